# SPDX-License-Identifier: Apache-2.0
"""The page of a sweep: Pareto fronts (one a workload), parallel coordinates, heat maps and tornado, to hover and
filter, without a network; beside it the figures as PNG and SVG and the same in Markdown. A sweep of few points has a
plain page: figures and a table of all of them. Nothing is computed here but what is shown."""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from dataflow.files import write_text
from hwsim.core.study import StudyTables

from .page import Page, html_page, markdown_table, template
from .style import BLUE, CYCLE, GREY, INK, MARKERS, ORANGE, RC, RED, save

Row = dict[str, Any]
FEW = 40
"""Up to so many points a page needs no filters, and has none."""
LABELS = {
    "cycles": "cycles", "seconds": "time, s", "energy_j": "energy, J", "samples_per_s": "samples a second",
    "samples_per_j": "samples a joule", "utilization": "utilization, share of multiply slots",
    "share_of_bound": "lower bound over cycles", "dram_bytes": "DRAM traffic, bytes", "sram_bytes": "SRAM, bytes",
    "dram_bytes_per_cycle": "DRAM bandwidth, bytes a cycle", "flop_per_s": "operations a second",
    "multipliers": "multipliers", "quality": "quality (of what: see the text)",
}  # fmt: skip
"""Columns of results in words, with their units."""
SHARES = ("utilization", "share_of_bound")
"""Columns that cannot be below 0 or above 1."""


def label(name: str) -> str:
    """A column or field in words, with its unit."""
    return LABELS.get(name) or name.replace("machine.", "").replace("_", " ").replace(".", " ")


def write_sweep(folder: Path) -> tuple[list[Path], list[Path]]:
    """The page of a sweep's stored results, into their folder.

    Returns:
        the files made, and files of the results that were found damaged.
    """
    from hwsim.sweeps.analysis import study_of
    from hwsim.sweeps.table import read_results

    found = read_results(folder)
    return write_explorer(study_of(found.table.to_pandas(), found.spec, found.fields), folder), found.damaged


def write_explorer(study: StudyTables, out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md`` and ``figures/``; returns the files."""
    page = Page(out)
    with mpl.rc_context(RC):
        for name, figure in _figures(study):
            files, page.drawings[name] = save(figure, out / "figures", name)
            page.files += files
    meta, points = study.meta, study.tables["points"]
    few = len(points) <= FEW
    front = study.tables["front"]
    shown = [{**p, "on the front": "yes" if p["front"] else ""} for p in points] if few else front[:20]
    first = ["design"] if any(r["design"] for r in shown) else []
    goals = [o.split()[1] for o in meta["objectives"]]
    names = list(dict.fromkeys([*first, *meta["fields"], *goals, meta["x"], meta["y"]])) if points else []
    columns = [(c, label(c), "s") for c in (*names, *(["on the front"] if few and points else []))]
    text = page.render(
        template("explore.md.j2"), meta=meta, names=list(page.drawings), titles=TITLES, few=few, count=len(front),
        labels=[label(f) for f in meta["workload_fields"]],
        rows=markdown_table([{k: _short(v) for k, v in row.items()} for row in shown], columns),
    )  # fmt: skip
    write_text(out / "report.md", text)
    if few:
        write_text(out / "report.html", html_page(text, meta["title"], page.drawings, _failed(study)))
    else:
        write_text(out / "report.html", _interactive(study, page))
    return [out / "report.html", out / "report.md", *page.files]


TITLES = {
    "pareto": "Every point, and the front of each workload",
    "heat": "The best value for each pair of two fields",
    "tornado": "What moves the first objective",
    "parts": "Cycles part by part",
}


def _failed(study: StudyTables) -> str:
    return str(template("failed.html.j2").render(meta=study.meta, failed=study.tables["failed"], escape=html.escape))


def _interactive(study: StudyTables, page: Page) -> str:
    from plotly.offline import get_plotlyjs

    meta = study.meta
    labels = {n: label(n) for n in (*meta["columns"], *meta["fields"])}
    data = {**meta, "rows": study.tables["points"], "sensitivity": study.tables["sensitivity"], "labels": labels}
    return str(template("explore.html.j2").render(
        title=html.escape(meta["title"]), meta=meta, failed=_failed(study), escape=html.escape,
        labels=[label(f) for f in meta["workload_fields"]],
        data=json.dumps(data).replace("<", "\\u003c"),  # no tag ends the script
        plotly=base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode(),
        parts=page.drawings.get("parts", ""),
    ))  # fmt: skip


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else value


def _figures(study: StudyTables) -> Iterator[tuple[str, Figure]]:
    points = study.tables["points"]
    if not points:
        return
    yield "pareto", _pareto(study.meta, points)
    if study.meta["heats"]:
        yield "heat", _heat(study.meta["heats"][0])
    if study.tables["sensitivity"]:
        yield "tornado", _tornado(study.tables["sensitivity"])
    if study.tables["parts"]:
        yield "parts", _parts(study.tables["parts"])


def _pareto(meta: Row, points: list[Row]) -> Figure:
    """Every point; ringed those on their workload's front; a line along each front where these are its axes."""
    figure = Figure(figsize=(5.8, 4.6), layout="constrained")
    axes = figure.add_subplot()
    x, y, colour = meta["x"], meta["y"], meta["colour"]
    points = [p for p in points if p[x] is not None and p[y] is not None]
    values = [p[colour] for p in points]
    kinds = sorted(set(values), key=lambda v: (isinstance(v, str), v is None, v or 0))
    if len(kinds) <= len(CYCLE):
        for i, kind in enumerate(kinds):
            mine = [p for p in points if p[colour] == kind]
            axes.scatter([p[x] for p in mine], [p[y] for p in mine], s=16, color=CYCLE[i], alpha=0.75,
                         marker=MARKERS[i % len(MARKERS)], label=str(kind), linewidths=0)  # fmt: skip
        figure.legend(title=label(colour), fontsize=7, title_fontsize=7, loc="outside upper left", alignment="left",
                      ncols=max(1, min(len(kinds), int(80 / (max(len(str(k)) for k in kinds) + 6)))))  # fmt: skip
    else:  # sizes say the same as colours
        order = {kind: i for i, kind in enumerate(kinds)}
        sizes = [6 + 34 * order[v] / (len(kinds) - 1) for v in values]
        shades: list[Any] = values if all(isinstance(v, int | float) for v in values) else [order[v] for v in values]
        drawn = axes.scatter([p[x] for p in points], [p[y] for p in points], s=sizes, c=shades, cmap="viridis",
                             alpha=0.75)  # fmt: skip
        figure.colorbar(drawn, label=f"{label(colour)} (larger marks: more)")
    front = [p for p in points if p["front"]]
    if sorted(o.split()[1] for o in meta["objectives"]) == sorted((x, y)):
        for workload in dict.fromkeys(p["workload_of"] for p in front):
            mine = sorted((p for p in front if p["workload_of"] == workload), key=lambda p: p[x])
            axes.plot([p[x] for p in mine], [p[y] for p in mine], color=INK, linewidth=0.8, zorder=1)
    axes.scatter([p[x] for p in front], [p[y] for p in front], s=40, facecolors="none", edgecolors=INK, linewidths=0.8)
    for p in (p for p in points if p["design"]):
        axes.scatter([p[x]], [p[y]], s=120, marker="*", color=RED, edgecolors="white", zorder=5)
        axes.annotate("paper's design", (p[x], p[y]), xytext=(7, 7), textcoords="offset points", fontsize=8)
    for name, scale, limits in ((x, axes.set_xscale, axes.set_xlim), (y, axes.set_yscale, axes.set_ylim)):
        if meta["log"] and all(p[name] > 0 for p in points):
            scale("log")
        elif name in SHARES:
            limits(0, 1)
        elif all(p[name] >= 0 for p in points) and min(p[name] for p in points) < 0.2 * max(p[name] for p in points):
            limits(0, None)
    axes.set_xlabel(label(x))
    axes.set_ylabel(label(y))
    each = (
        f", one front for each {' and '.join(map(label, meta['workload_fields']))}" if meta["workload_fields"] else ""
    )
    goals = ", ".join(_goal(o) for o in meta["objectives"])
    axes.set_title(
        f"Ringed: on the front of {goals}" + (f"\n{each[2:]}" if each else ""), fontsize=8, fontweight="normal"
    )
    axes.grid(True, axis="both")
    return figure


def _goal(objective: str) -> str:
    direction, column = objective.split()
    return f"{'least' if direction == 'min' else 'most'} {label(column).split(',')[0]}"


def _heat(heat: Row) -> Figure:
    rows, cols = len(heat["y"]), len(heat["x"])
    figure = Figure(figsize=(5.8, min(1.4 + 0.42 * rows, 8)), layout="constrained")
    axes = figure.add_subplot()
    cells = [[float("nan") if v is None else v for v in row] for row in heat["cells"]]
    shown = axes.imshow(cells, origin="lower", aspect="auto", cmap="viridis", norm=_norm(heat["cells"]))
    axes.set_xticks(range(cols), heat["x"], rotation=30 if cols > 6 else 0)
    axes.set_yticks(range(rows), heat["y"])
    axes.set_xlabel(label(heat["x_name"]))
    axes.set_ylabel(label(heat["y_name"]))
    axes.grid(False)
    if rows * cols <= 120:
        for i, row in enumerate(heat["cells"]):
            for j, value in enumerate(row):
                if value is not None:
                    dark = float(shown.norm(value)) < 0.6  # type: ignore[arg-type]  # one number
                    axes.text(j, i, f"{value:.3g}", ha="center", va="center", fontsize=6.5,
                              color="white" if dark else "black")  # fmt: skip
    figure.colorbar(shown, label=label(heat["objective"].split()[1]))
    axes.set_title(f"{_goal(heat['objective']).capitalize()} for each pair")
    return figure


def _norm(cells: list[list[float | None]]) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    values = [v for row in cells for v in row if v is not None]
    return LogNorm() if values and min(values) > 0 and max(values) > 10 * min(values) else Normalize()


def _tornado(rows: list[Row]) -> Figure:
    rows = [r for r in rows if r["objective"] == rows[0]["objective"]][::-1]
    figure = Figure(figsize=(5.8, 1.1 + 0.42 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")  # a half is as far from 1 as twice
    for i, row in enumerate(rows):
        for end, paint, side in (("low", BLUE, "right"), ("high", ORANGE, "left")):
            axes.barh(i, row[end] - 1, left=1, color=paint, height=0.6)
            axes.annotate(_brief(row[f"{end}_at"]), (row[end], i), xytext=(-3 if side == "right" else 3, 0),
                          textcoords="offset points", ha=side, va="center", fontsize=7)  # fmt: skip
    axes.axvline(1, color=GREY, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [label(r["field"]) for r in rows])
    longest = max(len(_brief(r[f"{end}_at"])) for r in rows for end in ("low", "high"))
    axes.margins(x=0.1 + 0.022 * longest)
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.xaxis.set_minor_formatter(lambda v, _: f"{v:g}x" if f"{v:e}"[0] in "235" else "")
    axes.tick_params(which="both", labelsize=8)
    axes.grid(True, axis="x")
    name = label(rows[0]["objective"].split()[1]).split(",")[0]
    axes.set_xlabel(f"{name} over the geometric mean of all points", loc="right")
    axes.set_title(f"What moves {name}")
    return figure


def _brief(text: str) -> str:
    return text if len(text) <= 12 else text[:11] + "…"


def _parts(rows: list[Row]) -> Figure:
    """Cycles of each part, over those of the point that needs the fewest for it."""
    names = list(dict.fromkeys(r["part"] for r in rows))
    kinds = list(dict.fromkeys(r["point"] for r in rows))
    cycles = {(r["point"], r["part"]): r["cycles"] for r in rows}
    figure = Figure(figsize=(5.8, 0.17 * len(names) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    for kind, paint, mark in zip(kinds, CYCLE, "os^Dv<>p", strict=False):
        mine = [(i, cycles[kind, n]) for i, n in enumerate(names) if cycles.get((kind, n))]
        least = [min(cycles[k, names[i]] for k in kinds if cycles.get((k, names[i]))) for i, _ in mine]
        axes.plot([c / b for (_, c), b in zip(mine, least, strict=True)], [i for i, _ in mine], mark, color=paint,
                  markersize=5, alpha=0.85, label=kind)  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(True, axis="both")
    axes.set_xlabel("cycles over the fewest of these points")
    figure.legend(fontsize=7, loc="outside upper left")
    return figure
