# SPDX-License-Identifier: Apache-2.0
"""D-Pruner, what its abstract says of it: weights that matter for a domain and in general stay.

Importance of a weight on a set of texts is the change of its loss without the weight, by a Taylor series with the
empirical Fisher matrix's diagonal F: |g w - 1/2 F w^2|, g the mean gradient. D-Pruner adds the general importance to
the domain's training loss as a penalty on change and takes importance by that loss. Only the abstract was read. Built
is the mixture (domain + lambda general) / (1 + lambda) of the two importances, each over its mean; the mixture is ours.
Source: N. Zhang et al., arXiv 2405.06275.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from dataflow.errors import InputError

from .method import Gradients, Layer, Need, Pruned, PruningMethod, masked
from .patterns import Pattern
from .selection import select


@dataclass(frozen=True)
class DPruner(PruningMethod):
    """Importance for a domain mixed with general importance."""

    weight: float = 1.0
    """lambda: 0 the domain alone; large: general importance alone."""

    title: ClassVar[str] = "D-Pruner, reduced: importance for the domain and in general"
    source: ClassVar[str] = "N. Zhang et al., arXiv 2405.06275 (abstract)"
    needs: ClassVar[frozenset[Need]] = frozenset({"gradients", "general"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        if self.weight < 0:
            raise InputError(f"method dpruner: option weight: at least 0 (got {self.weight})")
        domain, general = (importance(layer.weight, g) for g in (layer.slopes, layer.elsewhere))
        scores = (domain + self.weight * general) / (1 + self.weight)
        return masked(layer.weight, select(scores, pattern, "row"))


def importance(weight: Tensor, gradients: Gradients) -> Tensor:
    """|g w - 1/2 F w^2|, over its mean."""
    found = (gradients.mean * weight - 0.5 * gradients.root_mean_square**2 * weight**2).abs()
    return found / found.mean().clamp(min=1e-30)
