# SPDX-License-Identifier: Apache-2.0
"""Random pruning: the control that every other method has to beat."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import ClassVar

import torch

from .method import Layer, Part, Pruned, PruningMethod, masked
from .patterns import Pattern
from .selection import select


@dataclass(frozen=True)
class Random(PruningMethod):
    """Weights stay by chance."""

    seed: int = 0

    title: ClassVar[str] = "by chance: a control"
    source: ClassVar[str] = ""
    part: ClassVar[Part] = "control"

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        rng = torch.Generator().manual_seed(zlib.crc32(f"{self.seed} {layer.name}".encode()))
        return masked(layer.weight, select(torch.rand(layer.weight.shape, generator=rng), pattern, "layer"))
