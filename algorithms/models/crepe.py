# SPDX-License-Identifier: Apache-2.0
"""CREPE: the pitch of 1,024 samples at 16 kHz, by six convolutions with batch normalization and a dense layer.

Each stage pads, convolves, rectifies, normalizes and keeps the larger of two. The 360 outputs are pitches of 20 cents
each, from about 32 to 1,976 Hz; the pitch is their mean about the highest, weighted. Source: J. W. Kim et al., arXiv
1802.06182.
"""

from __future__ import annotations

import pickle

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataflow.errors import InputError

from .catalog import weights

RATE, FRAME, BINS = 16_000, 1024, 360
LOWEST_CENTS, BIN_CENTS = 1997.3794084376191, 20.0
"""Of the first bin, above 10 Hz; between bins."""


class Stage(nn.Module):
    """x [frames, channels, time, 1] to half the time."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
        super().__init__()
        self.padding = padding
        self.conv = nn.Conv2d(channels, out, (kernel, 1), (stride, 1))
        self.norm = nn.BatchNorm2d(out, eps=0.0010000000474974513)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x if x.dim() == 4 else x[:, None, :, None], (0, 0, *self.padding))
        return F.max_pool2d(self.norm(F.relu(self.conv(x))), (2, 1))


class Classifier(nn.Module):
    """x [frames, channels, 4, 1] to logits [frames, 360]."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, BINS)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x.permute(0, 2, 1, 3).flatten(1))
        return out


class Crepe(nn.Module):
    """Frames [n, 1024], each of mean 0 and variance 1, to logits [n, 360]."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        for i, (channels, out) in enumerate(zip((1, *widths[:-1]), widths, strict=True)):
            self.convs.append(Stage(channels, out, 64 if i else 512, 1 if i else 4, (31, 32) if i else (254, 254)))
        self.classifier = Classifier(4 * widths[-1])

    @property
    def stages(self) -> list[nn.Module]:
        return [*self.convs, self.classifier]

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        return x


WIDTHS = {"crepe-tiny": (128, 16, 16, 16, 32, 64), "crepe-full": (1024, 128, 128, 128, 256, 512)}


def load(name: str) -> Crepe:
    """The model with its weights, for evaluation.

    Raises:
        InputError: the weights are not installed, or others.
    """
    path = weights(name).path()
    try:
        found = torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise InputError(f"{path}: damaged ({type(error).__name__})") from None
    state = {f"classifier.linear.{kind}": found[f"classifier.{kind}"] for kind in ("weight", "bias")}
    for i in range(6):
        state |= {f"convs.{i}.conv.{kind}": found[f"conv{i + 1}.{kind}"] for kind in ("weight", "bias")}
        kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        state |= {f"convs.{i}.norm.{kind}": found[f"conv{i + 1}_BN.{kind}"] for kind in kinds}
    model = Crepe(WIDTHS[name])
    model.load_state_dict(state)
    return model.eval()


def bin_hertz(bins: Tensor) -> Tensor:
    """Frequencies of bins, fractions of them too."""
    return 10 * 2 ** ((LOWEST_CENTS + BIN_CENTS * bins) / 1200)


def pitch(logits: Tensor) -> Tensor:
    """Hertz: the mean of nine bins about the highest, weighted by their outputs; [n]."""
    score = logits.sigmoid()
    at = score.argmax(1, keepdim=True) + torch.arange(-4, 5)
    inside = (at >= 0) & (at < BINS)
    near = score.gather(1, at.clamp(0, BINS - 1)) * inside
    return bin_hertz((near * at).sum(1) / near.sum(1))
