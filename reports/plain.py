# SPDX-License-Identifier: Apache-2.0
"""The plain part of a page: what is shown of runs, or of a study, whose machine has no section of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from hwsim.core.report import Column, Row
from hwsim.core.study import StudyTables

from .figures import Drawing
from .page import Page, template

MOST = 60
"""Rows of a table that are shown; the files beside the page have all."""
WIDE = 9
"""Columns of a run's largest rows that are shown."""
UNITS = {"seconds": ("time", "@s"), "s": ("time", "@s"), "ms": ("time", "@ms"), "us": ("time", "@us"),
         "j": ("energy", "@J"), "pj": ("energy, pJ", ",.4g"), "bytes": ("bytes", "@B")}  # fmt: skip
"""Last word of a column's name: what it is, and how it is written."""

SCALES = {
    "causes": ((1e9, "billion "), (1e6, "million "), (1e3, "thousand "), (1.0, "")),
    "energy": ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")),
}
"""Of a figure's axis: what a unit is worth, and its name."""


def plain_part(study: StudyTables, page: Page) -> dict[str, Any]:
    """Title and text of the plain part, its figures drawn."""
    tables = study.tables
    runs = [c for c in ("run", "machine", "workload", "cycles", "seconds", "speedup", "energy_j")
            if any(r.get(c) is not None for r in tables.get("runs", []))]  # fmt: skip
    if len(tables.get("runs", [])) == 1:
        runs.remove("speedup")
    names = {"speedup": ("over the first", ".3f"), "seconds": ("time", "@s"), "energy_j": ("energy", "@J")}
    drawn = dict(_figures(study)) if tables.get("runs") else {}
    page.draw(drawn.items())
    by_run: dict[str, list[Row]] = {}
    for row in tables.get("largest", []):
        by_run.setdefault(str(row["run"]), []).append({k: v for k, v in row.items() if k != "run"})
    text = page.render(
        template("plain.md.j2"), meta=study.meta, tables=tables, figures=drawn,
        runs=[(c, *names.get(c, (c, ",d" if c == "cycles" else "s"))) for c in runs],
        largest=[(name, rows, _columns(rows)[:WIDE]) for name, rows in by_run.items()],
        plain=[(words(name), rows[:MOST], _columns(rows)) for name, rows in tables.items() if rows],
    )  # fmt: skip
    return {"key": "", "title": str(study.meta.get("title", "Results")), "text": text}


def _figures(study: StudyTables) -> Iterator[tuple[str, Figure]]:
    runs, draw = [str(r["run"]) for r in study.tables["runs"]], Drawing()
    if len(runs) > 1:
        bars = [(str(r["run"]), r["speedup"] or 0.0) for r in study.tables["runs"]]
        yield "speedup", draw.steps({"": bars}, f"as fast as {runs[0]}", level=1)
    for table, part, value, label in (
        ("causes", "cause", "cycles", "{}cycles"), ("energy", "component", "energy_j", "energy, {}J")
    ):  # fmt: skip
        rows = study.tables[table]
        found = {(r["run"], r[part]): float(r[value]) for r in rows}
        parts = {str(p): [found.get((n, p), 0.0) for n in runs] for p in dict.fromkeys(r[part] for r in rows)}
        most = max((sum(values) for values in zip(*parts.values(), strict=True)), default=0.0)
        if most:
            unit, name = next((s for s in SCALES[table] if most >= s[0]), SCALES[table][-1])
            yield table, draw.stacked({"": (runs, parts)}, label.format(name), unit=unit)


def words(name: str) -> str:
    """A key in words."""
    return name.replace("_", " ").replace(".", " ").strip()


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns that say something: not the same empty value throughout."""
    found: list[Column] = []
    for key in rows[0]:
        values = [r.get(key) for r in rows]
        if all(v in (None, "", 0) or isinstance(v, list | dict) for v in values):
            continue
        numbers = all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values)
        first, _, last = key.rpartition("_")
        if numbers and (first or key in UNITS) and last in UNITS:
            found.append((key, words(first) if first else UNITS[last][0], UNITS[last][1]))
        elif numbers:
            whole = all(v is None or float(v).is_integer() for v in values)
            found.append((key, words(key), ",.0f" if whole else ".4g"))
        else:
            found.append((key, words(key), "s"))
    return found
