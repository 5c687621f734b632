# SPDX-License-Identifier: Apache-2.0
"""A control: the last tokens alone (a sliding window, without sinks), where they stood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .method import CacheMethod, Choice, Seen, at_least


@dataclass(frozen=True)
class Recent(CacheMethod):
    """The last ones."""

    budget: int = 256
    """Tokens that stay after each step."""

    title: ClassVar[str] = "control: the last tokens alone"
    source: ClassVar[str] = "a control"

    def __post_init__(self) -> None:
        at_least("recent", "budget", self.budget, 1)

    def keep(self, seen: Seen) -> Choice:
        return Choice(seen.held & seen.last(self.budget))
