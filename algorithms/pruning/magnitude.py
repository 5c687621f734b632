# SPDX-License-Identifier: Apache-2.0
"""Pruning by magnitude: the baseline. Score |W|; an unstructured pattern has one threshold for the layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .method import Layer, Pruned, PruningMethod, masked
from .patterns import Pattern
from .selection import select


@dataclass(frozen=True)
class Magnitude(PruningMethod):
    """The weights of largest magnitude stay."""

    title: ClassVar[str] = "magnitude of the weights"
    source: ClassVar[str] = "S. Han et al., arXiv 1506.02626"

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        return masked(layer.weight, select(layer.weight.abs(), pattern, "layer"))
