# SPDX-License-Identifier: Apache-2.0
"""Faults that change nothing that anybody can see, each with its reason (``equivalent.yaml``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from hwsim.rtl_tools.sources import RTL

from .generate import Mutant

FILE = Path(__file__).with_name("equivalent.yaml")


class Equivalent(NamedTuple):
    file: str
    old: str
    new: str
    """Text of the fault; empty: whatever ``old`` becomes."""
    line: str
    """Text in the source's line, where the same text is in others; empty: in any."""
    reason: str


@cache
def equivalents() -> tuple[Equivalent, ...]:
    """What the file lists."""
    rows = yaml.safe_load(FILE.read_text(encoding="utf-8")) or []
    return tuple(Equivalent(r["file"], r["old"], r.get("new", ""), r.get("line", ""), r["reason"]) for r in rows)


def same(entry: Equivalent, mutant: Mutant) -> bool:
    """Whether a fault is the listed one."""
    old, new = (" ".join(t.split()) for t in (mutant.old, mutant.new))
    if mutant.file != entry.file or " ".join(entry.old.split()) != old or " ".join(entry.new.split()) not in ("", new):
        return False
    return entry.line in _lines(mutant.file)[mutant.line - 1]


@cache
def _lines(file: str) -> list[str]:
    return (RTL / file).read_text(encoding="utf-8").split("\n")


def is_equivalent(mutant: Mutant) -> bool:
    """Whether it is listed."""
    return any(same(e, mutant) for e in equivalents() if e.file == mutant.file)
