# SPDX-License-Identifier: Apache-2.0
"""MiniLM to prune: a docstring found by its first sentence, among those of the standard library.

``recall``: share of first sentences whose nearest text (the rest of a docstring) is their own; ``error`` what is
missing from 1; ``cosine``: of the pruned model's embedding of a text to the dense model's. Half of the docstrings, by a
hash of their text, are calibrated on; the others are measured on.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from algorithms.attention import minilm
from algorithms.shapes import network_of
from dataflow.errors import InputError
from dataflow.networks.network import Network, Phase

from .subject import Row, Subject
from .text import digest

TOKENS = 128
"""Of the network as shapes."""


class Embedding(nn.Module):
    """Token numbers [1, tokens] to the first layer's input."""

    def __init__(self, model: minilm.MiniLM) -> None:
        super().__init__()
        self.words, self.positions, self.kinds, self.norm = model.words, model.positions, model.kinds, model.norm

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.positions.weight[: tokens.shape[1]] + self.kinds.weight[0]
        out: Tensor = self.norm(x)
        return out


class Pool(nn.Module):
    """The last layer's output to unit vectors."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x.mean(1), dim=-1)


def pairs() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(first sentence, the rest) of docstrings: for calibration, and held out."""
    parts: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    seen = set()
    for _, text in minilm.docstrings():
        first, _, rest = text.partition(". ")
        if len(first) >= 20 and len(rest) >= 100 and text not in seen:
            seen.add(text)
            parts[hashlib.sha256(text.encode()).digest()[0] % 2].append((first, rest))
    return parts


class Encoder(Subject):
    """all-MiniLM-L6-v2.

    Args:
        model, tokenizer: None: the real ones.
        samples: texts of calibration.
        texts: pairs to measure on, at most.
    """

    name: ClassVar[str] = "minilm"
    metric: ClassVar[str] = "error"
    model: minilm.MiniLM

    def __init__(
        self, model: minilm.MiniLM | None = None, tokenizer: Any = None, *, samples: int = 64, texts: int = 400
    ) -> None:
        if model is None:
            model, tokenizer = minilm.load()
        self._dense, self._tokenizer = model, tokenizer
        self.model = copy.deepcopy(model)  # what is pruned; the other says what was
        self.samples, self.texts = samples, texts
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    @property
    def stages(self) -> Sequence[nn.Module]:
        return [Embedding(self.model), *self.model.layers, Pool()]

    def network(self, phase: Phase = "prefill") -> Network:
        return network_of(self.model, torch.zeros(1, TOKENS, dtype=torch.int64), self.name)

    def facts(self) -> Row:
        rest, held = pairs()
        return {"calibration_sha256": digest([" ".join(p) for p in rest]),
                "held_out_sha256": digest([" ".join(p) for p in held])}  # fmt: skip

    def calibration(self, seed: int) -> list[Tensor]:
        texts = [" ".join(pair) for pair in pairs()[0]]
        chosen = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed))[: self.samples]
        return [minilm.tokens_of(self._tokenizer, texts[i])[0] for i in chosen.tolist()]

    def loss_of(self, output: Tensor, inputs: Tensor) -> Tensor:
        raise InputError(
            f"{self.name}: was trained on pairs of texts; methods that need a loss's gradients do not apply"
        )

    @torch.no_grad()
    def quality(self) -> Row:
        held = pairs()[1][: self.texts]
        first, rest = (torch.cat([self._embed(self.model, p[i]) for p in held]) for i in (0, 1))
        dense = torch.cat([self._embed(self._dense, text) for _, text in held])
        found = (first @ rest.T).argmax(1) == torch.arange(len(held))
        recall = float(found.double().mean())
        return {"error": 1 - recall, "recall": recall, "cosine": float((rest * dense).sum(1).mean()),
                "texts": len(held)}  # fmt: skip

    def _embed(self, model: minilm.MiniLM, text: str) -> Tensor:
        out: Tensor = model(minilm.tokens_of(self._tokenizer, text)[0])
        return out
