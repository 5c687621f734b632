# SPDX-License-Identifier: Apache-2.0
"""Screening: a weight counts by how well what it adds tells classes apart, by the F statistic of one-way ANOVA.

F = [sum_c n_c (m_c - m)^2 / (C - 1)] / [sum_c sum (a - m_c)^2 / (n - C)] of a connection's contribution a = w_ij x_j
over samples of C classes; it is that of x_j, whatever the weight. The paper combines it with a weighting that only its
abstract was read of; ours is S_ij = |W_ij| sd(x_j) sqrt(F_j), the spread of what the connection adds: scaling a unit
changes nothing, a constant unit scores 0. Classes of a language model's positions are the tokens that follow (the
commonest of the calibration text, others do not count); of a pitch model, half octaves that it hears.
Source: M. Wang et al., arXiv 2502.07189 (abstract).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .method import Layer, Need, Pruned, PruningMethod, masked
from .patterns import Pattern
from .selection import select


@dataclass(frozen=True)
class Screening(PruningMethod):
    """F statistic of one-way ANOVA."""

    title: ClassVar[str] = "screening: how well an input tells classes apart (ANOVA F)"
    source: ClassVar[str] = "M. Wang et al., arXiv 2502.07189 (abstract)"
    needs: ClassVar[frozenset[Need]] = frozenset({"inputs", "classes"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        spread = (layer.known.variances * layer.told.f).sqrt()
        return masked(layer.weight, select(layer.weight.abs() * spread, pattern, "layer"))
