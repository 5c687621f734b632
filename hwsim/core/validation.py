# SPDX-License-Identifier: Apache-2.0
"""Ours beside what others measured or published: checks, in parts that rooms and machines bring along.

A part is an entry point of the group ``hwsim.validation``: a function that computes its checks and returns a `Part`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataflow.registry import Registry

from .report import Column, Draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Check:
    """One figure of ours beside one of others."""

    what: str
    ours: float
    theirs: float
    unit: str
    source: str
    command: str
    """That makes ours."""
    why: str = ""
    """What stands behind the distance."""
    target: float | None = None
    """Largest share that ours may be away; None: a distance to be explained, not met."""
    at_least: bool = False
    """Theirs is a floor: all that is above it is as good."""

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs if self.theirs else (1.0 if not self.ours else math.inf)

    @property
    def miss(self) -> float:
        """How far away ours is, the same for too much and too little: 0 is equal, 1 is twice or half."""
        ratio = min(self.ratio, 1.0) if self.at_least else self.ratio
        return max(ratio, 1 / ratio) - 1 if ratio else math.inf

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None: there is none."""
        if self.target is None:
            return None
        return 1 - self.ratio <= self.target if self.at_least else abs(self.ratio - 1) <= self.target


@dataclass(frozen=True, slots=True)
class Table:
    """Further figures of a part, which are no ours beside theirs."""

    key: str
    """Name of its file."""
    text: str
    """What it shows, where it is from."""
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """Checks of one subject."""

    title: str
    text: str
    """What is compared, and what is left out."""
    checks: tuple[Check, ...]
    tables: tuple[Table, ...] = ()
    figures: Callable[[Draw], list[tuple[str, str, Figure]]] | None = None
    """Pictures: name of the file, what it shows, figure."""


VALIDATION: Registry[Callable[[], Part]] = Registry("part of the validation", "hwsim.validation")
