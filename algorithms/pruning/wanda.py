# SPDX-License-Identifier: Apache-2.0
"""Wanda: pruning by weights and activations, without an update.

Score S_ij = |W_ij| ||x_j||_2, the norm over the calibration tokens; compared within one output's weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .method import Layer, Need, Pruned, PruningMethod, masked
from .patterns import Pattern
from .selection import select


@dataclass(frozen=True)
class Wanda(PruningMethod):
    """Magnitude times the norm of the input."""

    title: ClassVar[str] = "Wanda: |W| times the input's norm, compared within an output"
    source: ClassVar[str] = "M. Sun et al., arXiv 2306.11695"
    needs: ClassVar[frozenset[Need]] = frozenset({"inputs"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        scores = layer.weight.abs() * layer.known.norms
        return masked(layer.weight, select(scores, pattern, "row"))
