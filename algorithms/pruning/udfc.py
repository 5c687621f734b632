# SPDX-License-Identifier: Apache-2.0
"""UDFC: without any data, what a removed channel said is made good by the channels that stay.

The inputs of a layer are the outputs relu(f_i x + b_i) of filters with batch normalization, folded into f and b. A
removed channel j is written as sum_i s_ij of those that stay, and the layer, which reads it, takes that over:
W[:, i] += s_ij W[:, j]. s is the least of ||f_j - sum_i s_ij f_i||^2 + alpha1 (b_j - sum_i s_ij b_i)^2 + alpha2 sum_i
s_ij^2, in closed form. Exact where one filter is a multiple (at least 0) of another.
Source: S. Bai et al., Unified Data-Free Compression, arXiv 2308.07209; abstract and the values of alpha1 and alpha2
alone were read. Which of the two terms each belongs to, and that channels go by the norm of their filter times that of
the weights that read it, is ours; so is that a channel goes by the mask of the layer that reads it: its filter is not
counted as removed. Their quantization is not built. Layers that nothing of the kind precedes stay dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dataflow.errors import InputError

from .method import Filters, Layer, Need, Part, Pruned, PruningMethod
from .patterns import Pattern
from .selection import select


@dataclass(frozen=True)
class UDFC(PruningMethod):
    """Channels that go are linear combinations of those that stay."""

    alpha1: float = 0.01
    """Weight of the shift's distance."""
    alpha2: float = 0.008
    """Weight of the coefficients' squares."""

    title: ClassVar[str] = "UDFC, reduced: whole input channels go, the others take over, without data"
    source: ClassVar[str] = "S. Bai et al., arXiv 2308.07209 (abstract)"
    part: ClassVar[Part] = "integers"
    needs: ClassVar[frozenset[Need]] = frozenset({"filters"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        if self.alpha1 < 0 or self.alpha2 < 0:
            raise InputError("method udfc: options alpha1 and alpha2: at least 0")
        filters = layer.behind
        channels = len(filters.weight)
        by_tap = layer.weight.unflatten(1, (-1, channels))  # taps come before channels
        read = by_tap.square().sum((0, 1)).sqrt()
        kept = select((filters.weight.norm(dim=1) * read)[None], pattern)[0]
        found = by_tap.clone()
        found[..., kept] += by_tap[..., ~kept] @ coefficients(filters, kept, self.alpha1, self.alpha2)
        found[..., ~kept] = 0
        mask = kept.expand_as(found).flatten(1).contiguous()
        return Pruned(found.flatten(1), mask)


def coefficients(filters: Filters, kept: Tensor, alpha1: float, alpha2: float) -> Tensor:
    """s, [removed, kept]."""
    stay, go = ((filters.weight[x].double(), filters.shift[x].double()) for x in (kept, ~kept))
    gram = stay[0] @ stay[0].T + alpha1 * stay[1][:, None] * stay[1]
    gram.diagonal().add_(alpha2 + 1e-12 * gram.diagonal().mean())
    pull = stay[0] @ go[0].T + alpha1 * stay[1][:, None] * go[1]
    found: Tensor = torch.linalg.solve(gram, pull).T.float()
    return found
