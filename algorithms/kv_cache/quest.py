# SPDX-License-Identifier: Apache-2.0
"""Quest: pages by an upper bound of their scores, chosen anew by each query; nothing leaves.

Of each page and KV head the largest and the smallest value of each channel of its keys, M and m, are kept. For a
query q the page's bound is U = sum over channels of max(q M, q m), at least every q k in it. The last page is always
read and not ranked; of the others those of the largest U, budget / page - 1 of them. The first layers stay dense.

With grouped queries (the paper has none) ``sharing`` says who chooses: ``max`` and ``sum`` choose once a KV head, by
the largest or the summed U of its query heads; with ``union`` each query head chooses, and all attend to the union, up
to G times the budget; with ``head`` each reads and attends to its own, as if nothing were shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dataflow.errors import unknown

from .method import CacheMethod, Choice, Seen, at_least

SHARING = ("max", "sum", "union", "head")


@dataclass(frozen=True)
class Quest(CacheMethod):
    """Query-aware pages."""

    budget: int = 256
    """Tokens that a query reads, whole pages of them."""
    page: int = 16
    dense_layers: int = 2
    """First layers that read all."""
    sharing: str = "max"

    title: ClassVar[str] = "Quest: pages by bounds of their scores, anew for each token"
    source: ClassVar[str] = "J. Tang et al., ICML 2024 (arXiv 2406.10774)"

    def __post_init__(self) -> None:
        at_least("quest", "page", self.page, 1)
        at_least("quest", "budget", self.budget, self.page)
        at_least("quest", "dense_layers", self.dense_layers, 0)
        if self.sharing not in SHARING:
            raise unknown("cache method quest: sharing", self.sharing, SHARING)

    def read(self, seen: Seen) -> Choice:
        n, size = seen.tokens, self.page
        if n <= self.budget or seen.layer < self.dense_layers:
            return Choice(seen.held)
        low, high = bounds(seen.k, size)
        u = upper(seen.by_kv_head(seen.q[:, -1]), low, high)
        if self.sharing in ("max", "sum"):
            u = u.amax(1) if self.sharing == "max" else u.sum(1)
        else:
            u = u.flatten(0, 1)
        pages = u.shape[-1]
        order = u[:, :-1].sort(dim=-1, descending=True, stable=True).indices[:, : self.budget // size - 1]
        chosen = torch.zeros(u.shape, dtype=torch.bool).scatter_(1, order, True)
        chosen[:, -1] = True
        if self.sharing == "union":
            chosen = seen.by_kv_head(chosen).any(1)
        mask = chosen.repeat_interleave(size, 1)[:, :n]
        held = seen.held if len(mask) == len(seen.held) else seen.held.repeat_interleave(seen.group, 0)
        hk, d = seen.k.shape[0], seen.k.shape[2]
        return Choice(mask & held, 2 * hk * d * pages * seen.element_bytes, 2 * len(seen.q) * d * pages)


def bounds(k: Tensor, page: int) -> tuple[Tensor, Tensor]:
    """The smallest and the largest of each channel in each page of keys [Hk, N, D]: [Hk, pages, D] each."""
    rest = -k.shape[1] % page
    low = F.pad(k, (0, 0, 0, rest), value=torch.inf).unflatten(1, (-1, page)).amin(2)
    high = F.pad(k, (0, 0, 0, rest), value=-torch.inf).unflatten(1, (-1, page)).amax(2)
    return low, high


def upper(q: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """U [Hk, G, pages] of queries [Hk, G, D]: no q k of a page is above it."""
    return torch.maximum(q[:, :, None] * high[:, None], q[:, :, None] * low[:, None]).sum(-1)
