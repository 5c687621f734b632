# SPDX-License-Identifier: Apache-2.0
"""Faults that change nothing that anybody can see, each with its reason (``equivalent.yaml``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from .generate import Mutant

FILE = Path(__file__).with_name("equivalent.yaml")


class Equivalent(NamedTuple):
    file: str
    old: str
    new: str
    """Text of the fault; empty: whatever ``old`` becomes."""
    reason: str


@cache
def equivalents() -> tuple[Equivalent, ...]:
    """What the file lists."""
    rows = yaml.safe_load(FILE.read_text(encoding="utf-8")) or []
    return tuple(Equivalent(r["file"], r["old"], r.get("new", ""), r["reason"]) for r in rows)


def same(entry: Equivalent, mutant: Mutant) -> bool:
    """Whether a fault is the listed one."""
    old, new = (" ".join(t.split()) for t in (mutant.old, mutant.new))
    return mutant.file == entry.file and old == entry.old and entry.new in ("", new)


def without_equivalent(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Those that are not listed."""
    return [m for m in mutants if not any(same(e, m) for e in equivalents() if e.file == m.file)]
