# SPDX-License-Identifier: Apache-2.0
"""magika: the type of a file from 2,048 of its bytes, by an embedding, a convolution and a dense layer.

The first 1,024 bytes (white space before them left out) and the last 1,024 (that behind them left out), 256 where there
are fewer, each become 64 numbers; four bytes side by side are one position of 256 channels. Normalized along the
positions, convolved with five taps, the largest over all positions, normalized, and 214 types. Source: Y. Fratantonio
et al., arXiv 2409.13768; the weights are those of its ONNX file.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataflow.errors import InputError

from .catalog import weights

NAME = "magika"
HALF, PADDING, READ = 1024, 256, 4096
"""Bytes of each end; what stands for none; bytes that are looked at for white space."""
POSITIONS, CHANNELS, EPSILON = 512, 256, 1e-6


def features(data: bytes) -> Tensor:
    """A file's bytes as the model takes them, int64 [2048]."""
    first, last = data[:READ].lstrip()[:HALF], data[-READ:].rstrip()[-HALF:]
    found = torch.full((2, HALF), PADDING)
    found[0, : len(first)] = torch.frombuffer(bytearray(first), dtype=torch.uint8).long() if first else 0
    if last:
        found[1, HALF - len(last) :] = torch.frombuffer(bytearray(last), dtype=torch.uint8).long()
    return found.flatten()


class Bytes(nn.Module):
    """Bytes int64 [files, 2048] to [files, 256, 512]: channels and positions."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(257, 64)
        self.bias = nn.Parameter(torch.zeros(64))
        self.scale, self.shift = nn.Parameter(torch.ones(POSITIONS)), nn.Parameter(torch.zeros(POSITIONS))

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.embedding(x) + self.bias, approximate="tanh").reshape(-1, POSITIONS, CHANNELS)
        return F.layer_norm(x.transpose(1, 2), (POSITIONS,), self.scale, self.shift, EPSILON)


class Convolution(nn.Module):
    """[files, 256, 512] to [files, 512]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(CHANNELS, 512, 5)
        self.norm = nn.LayerNorm(512, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(F.gelu(self.conv(x), approximate="tanh").amax(2))
        return out


class Magika(nn.Module):
    """Bytes int64 [files, 2048] to logits [files, 214]."""

    def __init__(self, types: int = 214) -> None:
        super().__init__()
        self.bytes, self.convolution, self.dense = Bytes(), Convolution(), nn.Linear(512, types)

    @property
    def stages(self) -> list[nn.Module]:
        return [self.bytes, self.convolution, self.dense]

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        return x


_TENSORS = {
    "bytes.embedding.weight": "get_logits_/Const:0", "bytes.bias": "Dense_0/Reshape:0",
    "bytes.scale": "LayerNorm_0/Reshape_2:0", "bytes.shift": "LayerNorm_0/Reshape_3:0",
    "convolution.conv.weight": "Conv_0/transpose_3:0", "convolution.conv.bias": "const_fold_opt__209",
    "convolution.norm.weight": "LayerNorm_1/Reshape_2:0", "convolution.norm.bias": "LayerNorm_1/Reshape_3:0",
    "dense.weight": "jax2tf_get_logits_/Const_24:0", "dense.bias": "Dense_1/Reshape:0",
}  # fmt: skip
"""Ends of the names of the file's tensors."""


def load() -> Magika:
    """The model with its weights, for evaluation.

    Raises:
        InputError: the weights are not installed, or others; the package ``onnx`` is missing.
    """
    path = weights(NAME).path()
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise InputError("magika: its weights are an ONNX file: pip install 'hwsim[onnx]'") from None
    arrays = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}
    model = Magika()
    state = {}
    for name, parameter in model.state_dict().items():
        (found,) = (array for key, array in arrays.items() if key.endswith(_TENSORS[name]))
        array = found.T if name == "dense.weight" else found
        state[name] = torch.from_numpy(array.copy()).reshape(parameter.shape)
    model.load_state_dict(state)
    return model.eval()


@cache
def labels() -> list[str]:
    """The types that the outputs stand for."""
    path: Path = weights(NAME).path().with_name("config.min.json")
    return list(json.loads(path.read_text(encoding="utf-8"))["target_labels_space"])
