# SPDX-License-Identifier: Apache-2.0
"""Checking a page of HTML; a small sweep to make a page of."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

from hwsim.sweeps.analysis import study_of
from hwsim.sweeps.spec import Spec
from reports.explore import write_explorer


class Page(HTMLParser):
    VOID = frozenset({"meta", "br", "img", "hr", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.refs: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self._note(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(attrs)

    def _note(self, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key == "id" and value:
                self.ids.append(value)
            if key in ("src", "href", "xlink:href") and value:
                self.links.append(value)
            self.refs |= set(re.findall(r"url\(#([^)]+)\)", value or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_page(text: str) -> None:
    """Every tag is closed, every link is to a place in the page, no place has another's name."""
    page = Page()
    page.feed(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert {link for link in page.links if not link.startswith("#")} == set()
    assert (inside | page.refs) <= set(page.ids)


SPEC = Spec.model_validate({
    "title": "a <b> & </script> page", "machine": "sat", "text": "why", "learnt": ["Least: {{ least('cycles') }}."],
    "axes": {"machine.rows": [1, 2, 4], "pattern": ["dense", "2:4"], "batch": {"from": 1, "to": 30, "step": 1}},
})  # fmt: skip


def sweep_table() -> pd.DataFrame:
    rows = []
    for r in (1, 2, 4):
        for pattern in ("dense", "2:4"):
            for b in range(1, 31):
                cycles = 1000 * b * (2 if pattern == "dense" else 1) // r + b % 7
                rows.append({"design": "", "machine.rows": r, "pattern": pattern, "batch": b, "key": f"{r}{pattern}{b}",
                             "status": "ok", "error": "", "cycles": cycles,
                             "energy_j": 1.0 * r + 40 / b + 5 * (r == 2)})  # fmt: skip
    rows[7]["design"] = "paper"
    rows.append(rows[0] | {"status": "failed", "error": "too <large>", "cycles": None, "energy_j": None})
    return pd.DataFrame(rows)


def sweep_page(folder: Path, points: int = 0) -> None:
    """The page of the sweep, or of its first points."""
    table = sweep_table()
    write_explorer(
        study_of(table.iloc[:points] if points else table, SPEC, ["machine.rows", "pattern", "batch"]), folder
    )
