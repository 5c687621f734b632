# SPDX-License-Identifier: Apache-2.0
"""A small language model with random weights, in the place of the one that a command prunes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from algorithms.models import smollm2
from algorithms.models.llama import Llama, LlamaSizes
from algorithms.pruning import run as runs
from algorithms.pruning.config import PruneConfig
from algorithms.pruning.language import LanguageModel

SIZES = LlamaSizes(300, hidden=32, width=64, blocks=2, heads=4, kv_heads=2, base=1e4, epsilon=1e-5, longest=512)


def tiny_llama() -> Llama:
    """The same weights every time."""
    torch.manual_seed(0)
    return Llama(SIZES).eval()


class Letters:
    """A tokenizer of characters: a token a character, those of a word's beginning as ``Ġ`` and it."""

    def encode(self, text: str) -> Any:
        ids = [min(ord(c), 127) + 128 * (i > 0 and text[i - 1] == " ") for i, c in enumerate(text) if c != " "]
        return type("Encoded", (), {"ids": [i % 300 for i in ids]})

    def id_to_token(self, i: int) -> str:
        return ("Ġ" if i >= 128 else "") + chr(i % 128)


def use_tiny(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The command's model is the small one; what it caches is in the folder."""

    def make(config: PruneConfig) -> LanguageModel:
        return LanguageModel(
            tiny_llama(), Letters(), length=config.length, samples=config.samples, tokens=config.tokens
        )

    monkeypatch.setitem(runs.SUBJECTS, smollm2.NAME, make)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
