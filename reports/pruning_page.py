# SPDX-License-Identifier: Apache-2.0
"""The page of a study of pruning: quality by method and pattern, beside cycles and energy on every machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hwsim.core.report import Row
from hwsim.core.study import StudyTables

from .figures import Drawing
from .page import Page, template
from .style import MARKERS

NLL = "nats a token, held-out help topics"


def write_pruning(study: StudyTables, out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``study/``; returns the files.

    Args:
        study: tables ``cells``, ``machines``, ``errors`` and, where cells were measured again, ``again``.
    """
    page = Page(out)
    page.draw(_figures(study))
    text = page.render(
        template("pruning.md.j2"), meta=study.meta, tables=study.tables, grid=grid(study.tables["cells"]),
        spread=spread(study.tables["cells"]), pays=pays(study), not_paying=not_paying(study),
        ordered=ordered(study.tables["errors"]), beside=beside_uniform(study.tables["cells"]),
        chosen=[r for r in study.tables["cells"] if r["allocation"] != "uniform"],
        recovered=[r for r in study.tables["cells"] if r["recovery"]],
    )  # fmt: skip
    return page.write(text, study, str(study.meta["title"]))


def _uniform(cells: Sequence[Row]) -> list[Row]:
    return [r for r in cells if r["allocation"] == "uniform" and not r["recovery"]]


def grid(cells: Sequence[Row]) -> list[dict[str, Any]]:
    """A row a method, a column a pattern: nats a token, of the first seed."""
    rows: dict[str, dict[str, Any]] = {}
    for cell in _uniform(cells):
        rows.setdefault(cell["method"], {"method": cell["method"]}).setdefault(cell["pattern"], cell["nll"])
    return list(rows.values())


def spread(cells: Sequence[Row]) -> list[dict[str, Any]]:
    """Of what was run with several calibration seeds: lowest, mean and highest."""
    found: dict[tuple[str, ...], list[float]] = {}
    for cell in cells:
        allocation = cell["allocation"] + (f", {cell['budget']}" if cell["budget"] else "")
        allocation += f"; {cell['recovery']}" if cell["recovery"] else ""
        found.setdefault((cell["method"], cell["pattern"], allocation), []).append(cell["nll"])
    return [
        {"method": m, "pattern": p, "allocation": a, "seeds": len(v), "lowest": min(v), "mean": sum(v) / len(v),
         "highest": max(v)}
        for (m, p, a), v in found.items() if len(v) > 1
    ]  # fmt: skip


ORDER = ("magnitude", "wanda", "sparsegpt")
"""Methods whose layers' errors should fall in this order."""


def ordered(errors: Sequence[Row]) -> list[dict[str, Any]]:
    """Of patterns that have cells of the three methods: in how many kinds of layer their errors fall, and how far."""
    found: dict[str, dict[str, Row]] = {}
    for row in errors:
        if row["method"] in ORDER:
            found.setdefault(row["pattern"], {})[row["method"]] = row
    rows = []
    for pattern, by in found.items():
        if set(by) != set(ORDER):
            continue
        kinds = [key for key in by[ORDER[0]] if key not in ("method", "pattern")]
        apart = {kind: [by[a][kind] / by[b][kind] for a, b in itertools.pairwise(ORDER)] for kind in kinds}
        rows.append({
            "pattern": pattern, "kinds": len(kinds), "falling": sum(min(ratios) > 1 for ratios in apart.values()),
            "first": min(ratios[0] for ratios in apart.values()), "second": min(ratios[1] for ratios in apart.values()),
        })  # fmt: skip
    return rows


def beside_uniform(cells: Sequence[Row]) -> list[dict[str, Any]]:
    """Each cell whose patterns were chosen for a cost beside the cell of the same pattern in all layers: same method,
    calibration set and recovery; the cost is what that one's is, or less."""
    uniform = {(c["method"], c["pattern"], c["seed"], c["recovery"]): c for c in cells if c["allocation"] == "uniform"}
    rows = []
    for cell in cells:
        other = uniform.get((cell["method"], cell["pattern"], cell["seed"], cell["recovery"]))
        if cell["allocation"] == "rd" and other is not None:
            rows.append({**cell, "uniform_nll": other["nll"], "uniform_second": other["nll_second"],
                         "less": other["nll"] - cell["nll"], "share": cell["spent"] / cell["allowed"]})  # fmt: skip
    return rows


def _best(study: StudyTables) -> dict[str, Row]:
    """The cell of lowest loss for each pattern and allocation; machines do not see which method chose the mask."""
    best: dict[str, Row] = {}
    for cell in study.tables["cells"]:
        key = f"{cell['pattern']} {cell['allocation']} {cell['budget']}"
        if key not in best or cell["nll"] < best[key]["nll"]:
            best[key] = cell
    return best


def _beside(study: StudyTables) -> Iterator[tuple[Row, Row]]:
    """(cell, machine row) of the best cells."""
    by_cell: dict[str, list[Row]] = {}
    for machine in study.tables["machines"]:
        by_cell.setdefault(machine["cell"], []).append(machine)
    for cell in _best(study).values():
        for row in by_cell.get(cell["cell"], []):
            yield cell, row


def pays(study: StudyTables) -> list[dict[str, Any]]:
    """Where a pruned model is faster than the dense one: the best method of each pattern."""
    return [{**cell, **row} for cell, row in _beside(study) if row["speedup"] > 1.02]


def not_paying(study: StudyTables) -> list[dict[str, Any]]:
    """Where it is not, by at least 2%, with the cause; a pattern that a machine runs dense is one row."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for cell, row in _beside(study):
        if row["speedup"] <= 1.02:
            dense = row["speedup"] == 1 and row["why_dense"]
            phase = "every phase" if dense else row["phase"]
            key = (row["machine"], phase, cell["pattern"], cell["allocation"], cell["budget"])
            found.setdefault(key, {**cell, **row, "phase": phase, "why": row["why_dense"] or row["most"]})
    return list(found.values())


def _figures(study: StudyTables) -> Iterator[tuple[str, Figure]]:
    cells = _uniform(study.tables["cells"])
    patterns = list(dict.fromkeys(c["pattern"] for c in cells))
    yield "quality", _by_pattern(cells, patterns)
    for machine in dict.fromkeys(r["machine"] for r in study.tables["machines"] if r["speedup"] != 1):
        yield f"front-{machine}", _front(study, str(machine))


def _by_pattern(cells: Sequence[Row], patterns: Sequence[str]) -> Figure:
    """Loss of each method by pattern."""
    draw = Drawing()
    figure, (axes,) = draw.figure(4.4)
    methods = list(dict.fromkeys(c["method"] for c in cells))
    having = [[m for m in methods if any(c["method"] == m and c["pattern"] == p for c in cells)] for p in patterns]
    for i, method in enumerate(methods):
        losses: Mapping[str, float] = {c["pattern"]: c["nll"] for c in reversed(cells) if c["method"] == method}
        at = [k for k, p in enumerate(patterns) if p in losses]
        colour, marker = draw.palette[i % len(draw.palette)], MARKERS[i % len(MARKERS)]
        # a place each: none hides another
        beside = [k + 0.8 / len(methods) * (having[k].index(method) - (len(having[k]) - 1) / 2) for k in at]
        axes.plot(beside, [losses[patterns[k]] for k in at], marker, color=colour, label=method, markersize=5)
    axes.axhline(cells[0]["dense_nll"], color=draw.ink, linewidth=0.8, linestyle=":", label="dense")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    shown = [t for t in (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30) if low <= t <= high]
    axes.set_yticks(shown, [str(t) for t in shown])
    axes.minorticks_off()
    axes.set_xlim(-0.5, len(patterns) - 0.5)
    axes.set_xticks(range(len(patterns)), patterns)
    axes.set_ylabel(NLL)
    draw.legend(axes, columns=3)
    return figure


def _front(study: StudyTables, machine: str) -> Figure:
    """Loss against cycles over dense: the best method of each pattern, a panel a phase."""
    draw = Drawing()
    found = [(cell, row) for cell, row in _beside(study) if row["machine"] == machine]
    phases = list(dict.fromkeys(str(row["phase"]) for _, row in found))
    figure, axes_of = draw.figure(0.5 + 2.4 * -(-len(phases) // 2), rows=-(-len(phases) // 2), columns=2, sharey=True)
    most = max(row["cycles"] / row["dense_cycles"] for _, row in found)
    for axes, phase in zip(axes_of, phases, strict=False):
        axes.set_title(phase)
        for i, (cell, row) in enumerate(pair for pair in found if pair[1]["phase"] == phase):
            colour, marker = draw.palette[i % len(draw.palette)], MARKERS[i % len(MARKERS)]
            label = cell["pattern"] + (f", {cell['allocation']}" if cell["allocation"] != "uniform" else "")
            axes.plot(row["cycles"] / row["dense_cycles"], cell["nll"], marker, color=colour, label=label, markersize=5)
        axes.axhline(study.tables["cells"][0]["dense_nll"], color=draw.ink, linewidth=0.8, linestyle=":", label="dense")
        axes.set_xlim(0, max(1.1, 1.05 * most))
        axes.set_xlabel("cycles, share of the dense model's")
    for axes in axes_of[len(phases) :]:
        axes.set_visible(False)
    axes_of[0].set_ylabel("nats a token")
    handles, labels = axes_of[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=6, fontsize=8, frameon=False, handlelength=1.4)
    return figure
