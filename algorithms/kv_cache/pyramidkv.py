# SPDX-License-Identifier: Apache-2.0
"""PyramidKV: SnapKV's choice, with budgets that fall with depth.

With c = budget - w: the first layer has hi = 2 c - lo older tokens, the last one lo = c // beta, between them the step
is an integer, as in the authors' code: its floor lets the mean be above the budget (by 9.5 of 2,048 in 32 layers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .method import Seen, at_least
from .snapkv import SnapKV


@dataclass(frozen=True)
class PyramidKV(SnapKV):
    """SnapKV by layer."""

    beta: int = 20
    """The last layer has 1 / beta of the budget's older tokens."""

    title: ClassVar[str] = "PyramidKV: SnapKV, budgets falling with depth"
    source: ClassVar[str] = "Z. Cai et al., arXiv 2406.02069"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("pyramidkv", "beta", self.beta, 1)

    def room(self, seen: Seen) -> int:
        if seen.tokens < 2 * self.budget:
            return self.budget
        c, older = self.budget - self.observed, seen.tokens - self.observed
        low = c // self.beta
        high = 2 * c - low
        if high >= older:
            high, low = older, 2 * c - older
        return high - seen.layer * ((high - low) // max(seen.layers - 1, 1)) + self.observed
