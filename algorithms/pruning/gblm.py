# SPDX-License-Identifier: Apache-2.0
"""GBLM-Pruner: Wanda's score with the loss's gradient beside the activations.

Score S_ij = |W_ij| (||x_j||_2 + alpha ||G_ij||), compared within an output. Both norms are those of one sample on
average, so that alpha does not depend on how many there are (the released code sums over samples): the root of the mean
square of a sample's ||x_j||, and the mean of a sample's |G_ij| (``norm`` l1) or the root of its mean square (l2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dataflow.errors import InputError

from .method import Layer, Need, Pruned, PruningMethod, masked
from .patterns import Pattern
from .selection import select


@dataclass(frozen=True)
class GBLM(PruningMethod):
    """Gradient-based language model pruner."""

    alpha: float = 100.0
    norm: str = "l1"

    title: ClassVar[str] = "GBLM: Wanda with the gradient of the loss"
    source: ClassVar[str] = "R. J. Das et al., arXiv 2311.04902"
    needs: ClassVar[frozenset[Need]] = frozenset({"inputs", "gradients"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        if self.norm not in ("l1", "l2"):
            raise InputError(f"method gblm: option norm: l1 or l2 (got {self.norm!r:.60})")
        inputs, gradients = layer.known, layer.slopes
        gradient = gradients.absolute if self.norm == "l1" else gradients.root_mean_square
        scores = layer.weight.abs() * (inputs.norms / max(inputs.samples, 1) ** 0.5 + self.alpha * gradient)
        return masked(layer.weight, select(scores, pattern, "row"))
