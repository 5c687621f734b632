# SPDX-License-Identifier: Apache-2.0
"""TOVA: token omission via attention. A fixed number of states; the token that the last query needs least leaves.

One list for all heads of a layer: the mean over the query heads of the last query's probabilities. No rule for recency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .method import CacheMethod, Choice, Seen, at_least, best


@dataclass(frozen=True)
class TOVA(CacheMethod):
    """The last query's attention."""

    budget: int = 256
    """Tokens that stay after each step."""

    title: ClassVar[str] = "TOVA: what the last query attends to, one list a layer"
    source: ClassVar[str] = "M. Oren et al., EMNLP 2024 (arXiv 2401.06104)"

    def __post_init__(self) -> None:
        at_least("tova", "budget", self.budget, 1)

    def keep(self, seen: Seen) -> Choice:
        if int(seen.held[0].sum()) <= self.budget:
            return Choice(seen.held)
        scores = seen.p[:, -1].mean(0, keepdim=True)
        return Choice(best(scores, seen, self.budget), macs=seen.q.shape[0] * int(seen.held[0].sum()))
