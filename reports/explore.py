# SPDX-License-Identifier: Apache-2.0
"""The page of a sweep: Pareto front, parallel coordinates, heat maps and tornado, to hover and filter, without a
network; beside it the figures as PNG and SVG and the same in Markdown. Nothing is computed here but what is shown."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from dataflow.files import write_text
from hwsim.core.study import StudyTables

from .page import markdown_table, template
from .style import BLUE, CYCLE, GREY, INK, ORANGE, RC, RED, save

Row = dict[str, Any]


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
    from plotly.offline import get_plotlyjs

    paths: list[Path] = []
    drawings: dict[str, str] = {}
    with mpl.rc_context(RC):
        for name, figure in _figures(study):
            files, drawings[name] = save(figure, out / "figures", name)
            paths += files
    meta = study.meta
    data = json.dumps({**meta, "rows": study.tables["points"], "sensitivity": study.tables["sensitivity"]})
    page = template("explore.html.j2").render(
        title=html.escape(meta["title"]),
        meta=meta,
        failed=study.tables["failed"],
        data=data.replace("<", "\\u003c"),  # no tag ends the script
        plotly=get_plotlyjs(),
        parts=drawings.get("parts", ""),
        escape=html.escape,
    )
    write_text(out / "report.html", page)
    front = study.tables["front"]
    columns = [(c, c, "s") for c in (front[0] if front else {})]
    text = template("explore.md.j2").render(
        meta=meta,
        names=list(drawings),
        front=markdown_table([{k: _short(v) for k, v in row.items()} for row in front[:20]], columns),
        count=len(front),
    )
    write_text(out / "report.md", text)
    return [out / "report.html", out / "report.md", *paths]


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


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
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    x, y, colour = meta["x"], meta["y"], meta["colour"]
    points = [p for p in points if p[x] is not None and p[y] is not None]
    values = [p[colour] for p in points]
    kinds = sorted(set(values), key=lambda v: (isinstance(v, str), v is None, v or 0))
    if len(kinds) <= len(CYCLE):
        for kind, paint in zip(kinds, CYCLE, strict=False):
            mine = [p for p in points if p[colour] == kind]
            axes.scatter([p[x] for p in mine], [p[y] for p in mine], s=12, color=paint, alpha=0.75, label=str(kind))
        axes.legend(title=colour, fontsize=7, title_fontsize=7, loc="best")
    else:
        drawn = axes.scatter([p[x] for p in points], [p[y] for p in points], s=12, c=values, cmap="viridis", alpha=0.75)
        figure.colorbar(drawn, label=colour)
    front = sorted((p for p in points if p["front"]), key=lambda p: p[x])
    if sorted(o.split()[1] for o in meta["objectives"]) == sorted((x, y)):
        axes.plot([p[x] for p in front], [p[y] for p in front], color=INK, linewidth=0.8, zorder=1)
    axes.scatter([p[x] for p in front], [p[y] for p in front], s=34, facecolors="none", edgecolors=INK, linewidths=0.8)
    for p in (p for p in points if p["design"]):
        axes.scatter([p[x]], [p[y]], s=120, marker="*", color=RED, edgecolors="white", zorder=5)
        axes.annotate("paper's design", (p[x], p[y]), xytext=(7, 7), textcoords="offset points", fontsize=8)
    if meta["log"]:
        for name, scale in ((x, axes.set_xscale), (y, axes.set_yscale)):
            if all(p[name] > 0 for p in points):
                scale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title("Every point; ringed: on the front of " + ", ".join(meta["objectives"]))
    axes.grid(True, axis="both")
    return figure


def _heat(heat: Row) -> Figure:
    rows, cols = len(heat["y"]), len(heat["x"])
    figure = Figure(figsize=(min(2 + 0.62 * cols, 10), min(1.4 + 0.42 * rows, 8)), layout="constrained")
    axes = figure.add_subplot()
    cells = [[float("nan") if v is None else v for v in row] for row in heat["cells"]]
    shown = axes.imshow(cells, origin="lower", aspect="auto", cmap="viridis", norm=_norm(heat["cells"]))
    axes.set_xticks(range(cols), heat["x"], rotation=30 if cols > 6 else 0)
    axes.set_yticks(range(rows), heat["y"])
    axes.set_xlabel(heat["x_name"])
    axes.set_ylabel(heat["y_name"])
    axes.grid(False)
    if rows * cols <= 120:
        for i, row in enumerate(heat["cells"]):
            for j, value in enumerate(row):
                if value is not None:
                    dark = float(shown.norm(value)) < 0.6  # type: ignore[arg-type]  # one number
                    axes.text(j, i, f"{value:.3g}", ha="center", va="center", fontsize=6.5,
                              color="white" if dark else "black")  # fmt: skip
    figure.colorbar(shown, label=heat["objective"].split()[1])
    best = "least" if heat["objective"].startswith("min") else "largest"
    axes.set_title(f"{best.capitalize()} {heat['objective'].split()[1]} for each pair")
    return figure


def _norm(cells: list[list[float | None]]) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    values = [v for row in cells for v in row if v is not None]
    return LogNorm() if values and min(values) > 0 and max(values) > 10 * min(values) else Normalize()


def _tornado(rows: list[Row]) -> Figure:
    rows = [r for r in rows if r["objective"] == rows[0]["objective"]][::-1]
    figure = Figure(figsize=(6.4, 1.1 + 0.42 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for i, row in enumerate(rows):
        for end, paint, side in (("low", BLUE, "right"), ("high", ORANGE, "left")):
            axes.barh(i, row[end] - 1, left=1, color=paint, height=0.6)
            axes.annotate(_brief(row[f"{end}_at"]), (row[end], i), xytext=(-3 if side == "right" else 3, 0),
                          textcoords="offset points", ha=side, va="center", fontsize=7)  # fmt: skip
    axes.axvline(1, color=GREY, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [r["field"] for r in rows])
    longest = max(len(_brief(r[f"{end}_at"])) for r in rows for end in ("low", "high"))
    axes.margins(x=0.1 + 0.022 * longest)
    axes.grid(True, axis="x")
    name = rows[0]["objective"].split()[1]
    axes.set_xlabel(f"{name} over its geometric mean of all points")
    axes.set_title(f"What moves {name}")
    return figure


def _brief(text: str) -> str:
    return text if len(text) <= 12 else text[:11] + "…"


def _parts(rows: list[Row]) -> Figure:
    """Cycles of each part, over those of the point that needs the fewest for it."""
    names = list(dict.fromkeys(r["part"] for r in rows))
    kinds = list(dict.fromkeys(r["point"] for r in rows))
    cycles = {(r["point"], r["part"]): r["cycles"] for r in rows}
    figure = Figure(figsize=(max(6.4, 0.2 * len(names)), 3.8), layout="constrained")
    axes = figure.add_subplot()
    for kind, paint, mark in zip(kinds, CYCLE, "os^Dv<>p", strict=False):
        mine = [(i, cycles[kind, n]) for i, n in enumerate(names) if cycles.get((kind, n))]
        least = [min(cycles[k, names[i]] for k in kinds if cycles.get((k, names[i]))) for i, _ in mine]
        axes.plot([i for i, _ in mine], [c / b for (_, c), b in zip(mine, least, strict=True)], mark, color=paint,
                  markersize=5, alpha=0.85, label=kind)  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    axes.set_ylabel("cycles over the fewest")
    axes.set_title("Part by part, beside the point that is best there")
    axes.legend(fontsize=7)
    return figure
