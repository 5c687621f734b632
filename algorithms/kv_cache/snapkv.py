# SPDX-License-Identifier: Apache-2.0
"""SnapKV: a prompt is compressed once, by what its last queries look at; what is generated is appended.

Score of a key older than the window: the probabilities (over all keys) of the last w queries, averaged over them and
over the query heads of its KV head, then pooled over k neighbours (zeros beyond the ends counted).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from dataflow.errors import InputError

from .method import CacheMethod, Choice, Seen, at_least, best


@dataclass(frozen=True)
class SnapKV(CacheMethod):
    """An observation window's attention."""

    budget: int = 256
    """Tokens of a prompt that stay, the window's among them."""
    observed: int = 32
    """Last queries whose attention decides; their tokens stay."""
    kernel: int = 5
    """Neighbours that are pooled; odd."""

    title: ClassVar[str] = "SnapKV: the prompt once, by the attention of its last queries"
    source: ClassVar[str] = "Y. Li et al., NeurIPS 2024 (arXiv 2404.14469)"

    def __post_init__(self) -> None:
        at_least("snapkv", "observed", self.observed, 1)
        at_least("snapkv", "budget", self.budget, self.observed + 1)
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise InputError(f"cache method snapkv: kernel={self.kernel}: must be odd, at least 1")

    @property
    def window(self) -> int:
        return self.observed

    def room(self, seen: Seen) -> int:
        """Tokens of the prompt that stay in a layer, the window's among them."""
        return self.budget

    def keep(self, seen: Seen) -> Choice:
        if not seen.prompt or seen.tokens <= self.room(seen):
            return Choice(seen.held)
        hq, w, n = seen.q.shape[0], self.observed, seen.tokens
        scores = seen.by_kv_head(seen.p[:, -w:].mean(1)).mean(1)
        older = pooled(scores[:, : n - w], self.kernel)
        mask = best(F.pad(older, (0, w)), seen, self.room(seen), seen.last(w))
        return Choice(mask, seen.k.numel() * seen.element_bytes, hq * w * n * seen.k.shape[2])


def pooled(scores: Tensor, kernel: int) -> Tensor:
    """Mean of each of [.., n] and its neighbours, zeros beyond the ends counted."""
    return F.avg_pool1d(scores, kernel, stride=1, padding=kernel // 2, count_include_pad=True)
