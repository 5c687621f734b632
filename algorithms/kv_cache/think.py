# SPDX-License-Identifier: Apache-2.0
"""ThinK: channels of a prompt's keys leave, others in each KV head; the last tokens' keys stay whole, values too.

Score of channel c: the sum over the last w queries, and over the query heads of the KV head, of q_c^2, times the sum
over all keys of k_c^2. The int(share D) channels of the lowest score leave. What is generated is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from .method import CacheMethod, Channels, Seen, at_least


@dataclass(frozen=True)
class ThinK(CacheMethod):
    """Narrow keys."""

    share: float = 0.4
    """Of the channels that leave."""
    observed: int = 32
    """Last queries that decide."""
    recent: int = 32
    """Last tokens of the prompt whose keys stay whole."""
    line: int = 0
    """Bytes of a memory line at which each narrow key begins; 0: they lie one after the other."""

    title: ClassVar[str] = "ThinK: channels of the keys by KV head"
    source: ClassVar[str] = "Y. Xu et al., ICLR 2025 (arXiv 2407.21018)"

    def __post_init__(self) -> None:
        at_least("think", "share", self.share, 0, 0.99)
        at_least("think", "observed", self.observed, 1)
        at_least("think", "recent", self.recent, 0)
        at_least("think", "line", self.line, 0)

    @property
    def window(self) -> int:
        return self.observed

    def narrow(self, seen: Seen) -> Channels | None:
        d = seen.k.shape[2]
        gone = int(self.share * d + 1e-9)
        if not gone:
            return None
        q = seen.q[:, -self.observed :].float()
        scores = seen.by_kv_head(q.square().sum(1)).sum(1) * seen.k.float().square().sum(1)
        order = scores.sort(dim=-1, descending=True, stable=True).indices[:, : d - gone]
        mask = torch.zeros(scores.shape, dtype=torch.bool).scatter_(1, order, True)
        return Channels(
            mask, ~seen.last(self.recent)[0], self.line, seen.k.numel() * seen.element_bytes, q.numel() + seen.k.numel()
        )
