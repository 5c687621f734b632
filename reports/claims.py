# SPDX-License-Identifier: Apache-2.0
"""The page of published claims, ours beside them: the one place where the two meet, in a ratio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hwsim.core.report import CLAIMS, Row, sections
from hwsim.core.study import StudyTables

from .figures import Drawing
from .page import Page, template
from .published import Published, published
from .report import section_part
from .style import BLUE, GREY, INK, RED


def write_reproduction(study: StudyTables, out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``study/``; returns the files."""
    page = Page(out)
    claims = [_beside(row) for row in study.tables["claims"]]
    page.draw([("ratios", ratios(claims)), *([("ranges", ranges(claims))] if any(c["range"] for c in claims) else [])])
    parts: dict[str, dict[str, Any]] = {}
    for section in sections():
        if section.page == CLAIMS and section.applies(study):
            parts[section.key] = {**section_part(section, study, page, more=True), "claims": []}
    for key in dict.fromkeys(c["machine"] for c in claims):
        part = parts.setdefault(key, {"key": key, "title": key, "text": ""})
        part["claims"] = [c for c in claims if c["machine"] == key]
    text = page.render(template("claims.md.j2"), meta=study.meta, tables=study.tables, parts=list(parts.values()))
    return page.write(text, study, str(study.meta["title"]))


def _beside(row: Row) -> dict[str, Any]:
    """A claim with its published figure and ours over it; beside a rival's: over that, and the published range."""
    known = published()
    told, against = (known.get(row[key]) or Published(what=str(row[key]), text="–", source="–")
                     for key in ("key", "against"))  # fmt: skip
    ratio = row["value"] / against.value if row["value"] is not None and against.value else None
    other = row["against"] != row["key"]
    beside = None if ratio is None else f"{ratio:.3g}x {against.what}" if other else f"{ratio:.3g}"
    text = f"{told.shown} ({against.what}: {against.text})" if other else told.shown
    return {
        **row, "what": told.what, "published": text, "source": told.source, "beside": beside,
        "machine": row.get("machine") or told.machine, "rival": against.what,
        "ratio": None if other else ratio, "over": ratio if other else None,
        "range": (told.low, told.high) if other and None not in (told.low, told.high) else None,
    }  # fmt: skip


def ratios(claims: Sequence[Row]) -> Figure:
    """Ours over the published figure, claim by claim."""
    mine = [c for c in claims if c["ratio"]]
    draw = Drawing()
    figure, (axes,) = draw.figure(0.33 * len(mine) + 0.9)
    for i, claim in enumerate(mine):
        bound = claim["why"].startswith("a bound")
        colour = GREY if bound else BLUE
        axes.plot([1, claim["ratio"]], [i, i], color=colour, linewidth=1)
        axes.plot([claim["ratio"]], [i], "o", color=colour, markersize=5, markerfacecolor="white" if bound else colour)
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_xscale("log")
    _names(axes, [c["what"] for c in mine])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("ours / published")
    draw.legend(axes, handles=[
        Line2D([], [], color=BLUE, marker="o", label="as reached"),
        Line2D([], [], color=GREY, marker="o", markerfacecolor="white", label="a bound"),
    ])  # fmt: skip
    return figure


def ranges(claims: Sequence[Row]) -> Figure:
    """Where a publication gives a range over others: ours over one of them, beside that range."""
    mine = [c for c in claims if c["range"]]
    draw = Drawing()
    figure, (axes,) = draw.figure(0.5 * len(mine) + 0.9)
    for i, claim in enumerate(mine):
        axes.plot(claim["range"], [i, i], color=RED, linewidth=5, alpha=0.5, solid_capstyle="butt")
        axes.plot([claim["over"]], [i], "o", color=BLUE, markersize=6)
        axes.annotate(f"{claim['over']:.3g}x", (claim["over"], i), xytext=(0, 6), textcoords="offset points",
                      ha="center", fontsize=8)  # fmt: skip
    axes.set_xscale("log")
    _names(axes, [c["what"] for c in mine])
    axes.margins(x=0.1, y=0.4)
    axes.set_xlabel("times faster or more efficient")
    axes.set_xticks([v for v in (1, 2, 5, 10, 20, 50, 100) if axes.get_xlim()[0] <= v <= axes.get_xlim()[1]])
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.minorticks_off()
    rival = " / ".join(dict.fromkeys(c["rival"].split(",")[0] for c in mine))
    draw.legend(axes, handles=[
        Line2D([], [], color=BLUE, marker="o", linestyle="none", label=f"ours over {rival}"),
        Line2D([], [], color=RED, alpha=0.5, linewidth=5, label="published, over several"),
    ])  # fmt: skip
    return figure


def _names(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_folded(n) for n in names], fontsize=7)
    axes.margins(y=0.02)
    axes.invert_yaxis()
    axes.grid(axis="both", visible=True)


def _folded(text: str, width: int = 40) -> str:
    """A name in at most two lines."""
    words = shorten(text, 2 * width, placeholder=" ...").split()
    first = ""
    while words and len(first) + len(words[0]) < width:
        first += (" " if first else "") + words.pop(0)
    return first + ("\n" + " ".join(words) if words else "")
