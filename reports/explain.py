# SPDX-License-Identifier: Apache-2.0
"""A page that says why a run takes its cycles and what more of each resource would bring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.core.explain import explained_tables
from hwsim.core.study import StudyTables
from hwsim.core.version import command, facts

from .figures import Drawing
from .page import Page, template

if TYPE_CHECKING:
    from hwsim.core.explain import Explanation


def write_explanation(found: Explanation, out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``study/``; returns the files."""
    tables = explained_tables(found)
    study = StudyTables({"title": f"Why {found.result.name} takes its cycles", "command": command(), **facts()}, tables)
    page, draw = Page(out), Drawing()
    ran = [r for r in tables["resources"] if r["speedup"] is not None]
    bars = [("as it is", 1.0), *((str(r["resource"]), float(r["speedup"])) for r in ran)]
    figures = {"resources": draw.steps({"": bars}, f"speed with {found.heading}, of the run as it is", level=1)}
    runs = list(dict.fromkeys(str(r["run"]) for r in tables["causes"]))
    causes = list(dict.fromkeys(str(r["cause"]) for r in tables["causes"]))
    cycles = {(r["run"], r["cause"]): float(r["cycles"]) for r in tables["causes"]}
    if causes:
        most = max(found.result.cycles, 1)
        parts = {c: [cycles.get((run, c), 0.0) for run in runs] for c in causes}
        figures["causes"] = draw.stacked({"": (runs, parts)}, "cycles, of the run as it is", unit=float(most))
    page.draw(figures.items())
    text = page.render(
        template("explain.md.j2"), meta=study.meta, tables=tables, figures=figures, heading=found.heading,
        conclusion=found.conclusion(),
    )  # fmt: skip
    whole = page.render(template("report.md.j2"), meta=study.meta, parts=[{"key": "", "title": "", "text": text}])
    return page.write(whole, study, str(study.meta["title"]))
