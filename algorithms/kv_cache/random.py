# SPDX-License-Identifier: Apache-2.0
"""A control: tokens at random, another set a KV head, beside protected first and last ones. Gone is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from .method import CacheMethod, Choice, Seen, at_least, best


@dataclass(frozen=True)
class Random(CacheMethod):
    """At random, the same protected as by the methods it stands beside."""

    budget: int = 256
    """Tokens that stay after each step."""
    sinks: int = 4
    """First tokens that always stay."""
    recent: float = 0.5
    """Share of the budget that is the last tokens."""
    seed: int = 0

    title: ClassVar[str] = "control: tokens at random, beside the first and the last ones"
    source: ClassVar[str] = "a control"

    def __post_init__(self) -> None:
        at_least("random", "recent", self.recent, 0, 1)
        at_least("random", "sinks", self.sinks, 0)
        at_least("random", "budget", self.budget, max(1, self.sinks + round(self.recent * self.budget)))

    def keep(self, seen: Seen) -> Choice:
        drawn = seen.memory.get("drawn", torch.zeros(seen.held.shape[0], 0))
        if drawn.shape[1] < seen.tokens:
            generator = torch.Generator().manual_seed((self.seed * 1_009 + seen.layer) * 1_000_003 + drawn.shape[1])
            more = torch.rand(len(drawn), seen.tokens - drawn.shape[1], generator=generator)
            drawn = seen.memory["drawn"] = torch.cat([drawn, more], 1)
        protected = (seen.positions < self.sinks) | seen.last(round(self.recent * self.budget))
        return Choice(best(drawn, seen, self.budget, protected))
