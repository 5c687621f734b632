# SPDX-License-Identifier: Apache-2.0
"""The page of both papers' claims, published beside ours: the one place where the two meet, in a ratio."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from dataflow.files import write_text
from hwsim.core.study import StudyTables

from .published import published
from .report import Row, markdown_table, page, template
from .style import BLUE, CYCLE, GREY, INK, RC, save


def write_reproduction(study: StudyTables, out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``study/``; returns the files."""
    claims = [_beside(row) for row in study.tables["claims"]]
    drawn: tuple[tuple[str, Callable[[], Figure]], ...] = (
        ("ratios", lambda: ratios(claims)),
        ("spatten-area", lambda: areas(study.tables["spatten_area"])),
        ("fpga-growth", lambda: growth(study.tables["fpga"])),
    )
    paths: list[Path] = []
    drawings: dict[str, str] = {}
    for name, draw in drawn:
        with mpl.rc_context(RC):
            files, drawings[name] = save(draw(), out / "figures", name)
        paths += files
    study.write(out / "study")
    text = template("reproduction.md.j2").render(
        meta=study.meta, tables=study.tables, claims=claims, table=markdown_table,
        figure=lambda name, alt: f"\n![{alt}](figures/{name}.svg)\n",
    )  # fmt: skip
    write_text(out / "report.md", text.strip() + "\n")
    write_text(out / "report.html", page(text, str(study.meta["title"]), drawings))
    return [out / "report.html", out / "report.md", *paths]


def _beside(row: Row) -> dict[str, Any]:
    """A claim with its published figure, and ours over it; beside another's figure: over that."""
    told = published()[row["key"]]
    against = published()[row["against"]]
    ratio = row["value"] / against.value if row["value"] is not None and against.value else None
    beside = told.text if row["against"] == row["key"] else f"{told.text} ({against.what}: {against.text})"
    return {**row, "what": told.what, "published": beside, "source": told.source, "ratio": ratio}


def ratios(claims: list[dict[str, Any]]) -> Figure:
    """Ours over the published figure, claim by claim."""
    mine = [c for c in claims if c["ratio"]]
    figure = Figure(figsize=(7.6, 0.24 * len(mine) + 0.8), layout="constrained")
    axes = figure.subplots()
    bounds = [c for c in mine if c["why"].startswith("a bound")]
    for i, claim in enumerate(mine):
        colour = GREY if claim in bounds else BLUE
        axes.plot([1, claim["ratio"]], [i, i], color=colour, linewidth=1)
        axes.plot([claim["ratio"]], [i], "o", color=colour, markersize=5)
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(mine)), [shorten(c["what"], 62, placeholder=" ...") for c in mine], fontsize=7)
    axes.margins(y=0.02)
    axes.invert_yaxis()
    axes.grid(axis="both", visible=True)
    axes.set_xlabel("ours / published (grey: a bound)")
    return figure


def areas(rows: list[dict[str, Any]]) -> Figure:
    """SpAtten's blocks, logic and SRAM."""
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots()
    names = [r["block"] for r in rows]
    axes.barh(names, [r["logic_mm2"] for r in rows], color=BLUE, label="logic")
    axes.barh(names, [r["sram_mm2"] for r in rows], left=[r["logic_mm2"] for r in rows], color=CYCLE[1], label="SRAM")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.set_xlabel(f"mm2 at {rows[0]['node_nm']} nm, cells and macros alone")
    axes.legend()
    return figure


def growth(rows: list[dict[str, Any]]) -> Figure:
    """FPGA resources of the array against its size."""
    mine = [r for r in rows if r["what"].startswith("stce")]
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for i, name in enumerate(("LUT", "FF", "CARRY", "DSP")):
        axes.plot(
            range(len(mine)),
            [r[name] for r in mine],
            "o-",
            color=CYCLE[i],
            label={"CARRY": "CARRY8", "DSP": "DSP48E2"}.get(name, name),
            markersize=4,
        )
    axes.set_yscale("log")
    axes.set_xticks(range(len(mine)), [r["what"].removeprefix("stce ") for r in mine])
    axes.set_xlabel("rows x columns of the array")
    axes.set_ylabel("primitives")
    axes.legend()
    return figure
