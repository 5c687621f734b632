# SPDX-License-Identifier: Apache-2.0
"""A page of runs side by side, of any machines: speed, cycles by cause, energy by component, the largest rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.core.study import StudyTables
from hwsim.core.version import command, facts

from .page import Page, template
from .plain import plain_part

if TYPE_CHECKING:
    from hwsim.core.result import Result

LARGEST = 12
"""Rows of each run that are shown: those of the most cycles."""


def compared(results: Mapping[str, Result], title: str = "") -> StudyTables:
    """Results as tables: ``runs``, ``causes``, ``energy`` (where counted), ``largest``; the first is what others are
    over."""
    first = next(iter(results.values()))
    tables: dict[str, list[dict[str, Any]]] = {"runs": [], "causes": [], "energy": [], "largest": []}
    for name, result in results.items():
        counted = result.table_energy()
        energy = dict(counted.components) if counted else {}
        total = sum(energy.values())
        tables["runs"].append({
            "run": name, "machine": result.machine, "workload": result.workload, "cycles": result.cycles,
            "seconds": result.seconds, "speedup": first.seconds / result.seconds if result.seconds else None,
            "energy_j": total if energy else None,
        })  # fmt: skip
        for cause, cycles in result.causes.items():
            tables["causes"].append({"run": name, "cause": result.CAUSES[cause], "cycles": cycles,
                                     "share": cycles / max(result.cycles, 1)})  # fmt: skip
        tables["energy"] += [
            {
                "run": name,
                "component": result.COMPONENTS.get(c, c.replace("_", " ")),
                "energy_j": v,
                "share": v / total if total else 0.0,
            }
            for c, v in energy.items()
        ]
        rows = sorted(result.records, key=lambda r: -r["cycles"])[:LARGEST]
        tables["largest"] += [{"run": name, **row} for row in rows]
    title = title or (" beside ".join(results) if len(results) < 4 else f"{len(results)} runs side by side")
    return StudyTables({"title": title, "command": command(), **facts()}, tables)


def write_comparison(results: Mapping[str, Result], out: Path, title: str = "") -> list[Path]:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``study/`` of labelled results; returns the files."""
    study = compared(results, title)
    page = Page(out)
    text = page.render(template("report.md.j2"), meta=study.meta, parts=[plain_part(study, page)])
    return page.write(text, study, str(study.meta["title"]))
