# SPDX-License-Identifier: Apache-2.0
"""H2O, the heavy-hitter oracle: tokens that collected most attention, and the last ones.

Score A_j of key j: the sum over all queries so far of their probabilities, P_ij, summed over the query heads of a KV
head. The last r tokens stay, and of the older ones the h of the largest A. What left is gone; A of the others goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .method import SCORE_BYTES, CacheMethod, Choice, Seen, at_least, best


@dataclass(frozen=True)
class H2O(CacheMethod):
    """Accumulated attention."""

    budget: int = 256
    """Tokens that stay after each step."""
    recent: float = 0.5
    """Share of the budget that is the last tokens."""
    average: bool = False
    """Compare A_j over the number of queries that could see j (another method: it does not favour old tokens)."""

    title: ClassVar[str] = "H2O: most attention so far, and the last tokens"
    source: ClassVar[str] = "Z. Zhang et al., NeurIPS 2023 (arXiv 2306.14048)"

    def __post_init__(self) -> None:
        at_least("h2o", "budget", self.budget, 1)
        at_least("h2o", "recent", self.recent, 0, 1)

    def keep(self, seen: Seen) -> Choice:
        a = seen.by_kv_head(seen.mass).sum(1)
        before = seen.memory.get("A")
        if before is not None:
            a[:, : before.shape[1]] += before
        seen.memory["A"] = a
        scores = a / (seen.tokens - seen.positions) if self.average else a
        mask = best(scores, seen, self.budget, seen.last(round(self.recent * self.budget)))
        queries = (seen.tokens + 1) / 2 if seen.prompt else 1  # that see a key, on average
        held = int(seen.held.sum())
        return Choice(mask, SCORE_BYTES * held, round(seen.group * held * queries))
