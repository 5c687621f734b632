# SPDX-License-Identifier: Apache-2.0
"""StreamingLLM: the first tokens (attention sinks) and a window of the last ones; no score.

Positions are closed up: of n tokens that are held the keys are rotated as if they stood at 0 .. n - 1, the query at
the last one. A rotation begins at the key as it was cached, so errors do not add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .method import CacheMethod, Choice, Seen, at_least


@dataclass(frozen=True)
class StreamingLLM(CacheMethod):
    """Sinks and window."""

    budget: int = 256
    """Tokens that stay after each step."""
    sinks: int = 4

    title: ClassVar[str] = "StreamingLLM: the first tokens and the last ones, positions closed up"
    source: ClassVar[str] = "G. Xiao et al., ICLR 2024 (arXiv 2309.17453)"
    closes_up: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least("streaming", "sinks", self.sinks, 0)
        at_least("streaming", "budget", self.budget, self.sinks + 1)

    def keep(self, seen: Seen) -> Choice:
        first = seen.positions < self.sinks
        return Choice(seen.held & (first | seen.last(self.budget - self.sinks)))
