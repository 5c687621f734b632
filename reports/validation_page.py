# SPDX-License-Identifier: Apache-2.0
"""The page of what others measured or published, ours beside it, misses first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hwsim.core.study import StudyTables
from hwsim.core.validation import Check, Part
from hwsim.core.version import facts

from .figures import Drawing
from .page import Page, template
from .style import MARKERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAR = 0.1
"""A figure without a target that is further away stands among the misses."""


def write_validation(parts: Mapping[str, Part], out: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``study/``; returns the files."""
    rows = [_row(p.title, c) for p in parts.values() for c in sorted(p.checks, key=lambda c: -c.miss)]
    misses = sorted((_row(p.title, c) for p in parts.values() for c in p.checks if _is_miss(c)),
                    key=lambda r: -float(r["miss"]))  # fmt: skip
    meta: dict[str, Any] = {"title": "Held against the outside", "command": "hwsim validate", **facts()}
    more = {t.key: [dict(r) for r in t.rows] for p in parts.values() for t in p.tables}
    study = StudyTables(meta, {"checks": rows, "misses": misses, **more})
    page, draw = Page(out), Drawing()
    drawn = {name: p.figures(draw) if p.figures else [] for name, p in parts.items()}
    page.draw((key, figure) for found in drawn.values() for key, _, figure in found)
    page.draw([("ratios", _ratios(draw, parts)), ("scatter", _scatter(draw, parts))])
    shown = [(p, [r for r in rows if r["part"] == p.title], drawn[name]) for name, p in parts.items()]
    aimed = [r for r in rows if r["target"] is not None]
    text = page.render(template("validation.md.j2"), meta=meta, misses=misses, parts=shown, count=len(rows),
                       aimed=len(aimed), met=sum(r["target"] == "yes" for r in aimed))  # fmt: skip
    return page.write(text, study, str(meta["title"]))


def _ratios(draw: Drawing, parts: Mapping[str, Part]) -> Figure:
    """Ours over theirs, a line of points a part, the part with the furthest first; misses have their own colour."""
    order = sorted((p for p in parts.values() if p.checks), key=lambda p: -max(c.miss for c in p.checks))
    figure, (axes,) = draw.figure(0.7 + 0.34 * len(order))
    axes.axvline(1, color=draw.ink, linewidth=0.8)
    for y, part in enumerate(order):
        for far, colour, label in ((False, draw.palette[0], "met, or within a tenth"), (True, draw.palette[3], "miss")):
            ratios = [c.ratio for c in part.checks if _is_miss(c) == far]
            spread = [y + 0.22 * ((k * 5) % 7 - 3) / 3 for k in range(len(ratios))]  # so that equal ones show
            axes.scatter(ratios, spread, s=14, color=colour, alpha=0.75, linewidths=0, marker=MARKERS[2 * far],
                         label=label if not y else None)  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_yticks(range(len(order)), [p.title for p in order])
    axes.invert_yaxis()
    axes.set_xlabel("ours over theirs")
    handles = [axes.scatter([], [], s=14, color=draw.palette[c], marker=MARKERS[m], label=label)
               for c, m, label in ((0, 0, "met, or within a tenth"), (3, 2, "miss"))]  # fmt: skip
    draw.legend(axes, handles=handles)
    return figure


def _scatter(draw: Drawing, parts: Mapping[str, Part]) -> Figure:
    """Ours against theirs, every figure in its own unit; on the line they are equal."""
    figure, (axes,) = draw.figure(5.6)
    values = [v for p in parts.values() for c in p.checks for v in (c.ours, c.theirs) if v > 0]
    ends = [min(values, default=0.1) / 2, 2 * max(values, default=10)]
    axes.plot(ends, ends, color=draw.ink, linewidth=0.8)
    for i, part in enumerate(p for p in parts.values() if p.checks):
        axes.scatter([c.theirs for c in part.checks], [c.ours for c in part.checks], s=16, alpha=0.7, linewidths=0,
                     color=draw.palette[i % len(draw.palette)], marker=MARKERS[i % len(MARKERS)],
                     label=part.title)  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("theirs, each in its unit")
    axes.set_ylabel("ours")
    draw.legend(axes, columns=2)
    return figure


def _is_miss(check: Check) -> bool:
    return check.met is False or (check.met is None and check.miss > FAR)


def _row(part: str, check: Check) -> dict[str, Any]:
    return {"part": part, "what": check.what, "ours": check.ours, "theirs": check.theirs, "unit": check.unit,
            "ratio": check.ratio, "miss": check.miss,
            "target": None if check.met is None else "yes" if check.met else "NO",
            "why": check.why, "source": check.source, "command": check.command}  # fmt: skip
