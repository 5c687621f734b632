# SPDX-License-Identifier: Apache-2.0
"""How figures look, and how they are saved: PNG and SVG on white, and an SVG that follows the page's colours."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataflow.files import atomic_path, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette: colours differ with any colour vision
BLUE, ORANGE, GREEN, RED, SKY, PURPLE, YELLOW, GREY = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#d9c400", "#8c8c8c",
)  # fmt: skip
CYCLE = (BLUE, ORANGE, GREEN, RED, SKY, PURPLE, YELLOW, GREY, "#5e3c99", "#a6761d", "#4d5a8c", "#00796b",
         "#c2185b", "#8d6e63")  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
"""Beside colours, so that figures can be read without them."""

# stand for the page's text and grid colour: replaced in the SVG inside a page
INK, GRID = "#1f2328", "#d0d4d9"

RC: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.dpi": 150,
    "svg.fonttype": "path",
}


def save(figure: Figure, folder: Path, name: str) -> tuple[list[Path], str]:
    """Write ``name.png`` and ``name.svg``; return both and the SVG for inside a page."""
    import matplotlib as mpl

    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    with mpl.rc_context({**RC, "svg.hashsalt": name}):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, drawn twice
        with atomic_path(paths[0]) as temporary:
            figure.savefig(temporary, facecolor="white", bbox_inches="tight", pad_inches=0.06)  # nothing is cut
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.06
        )
    svg = buffer.getvalue()
    write_text(paths[1], svg.replace("<defs>", '<rect width="100%" height="100%" fill="#ffffff"/>\n <defs>', 1))
    return paths, _inline(svg, name)


def _inline(svg: str, name: str) -> str:
    """An SVG for inside a page: no prolog, the page's colours, ids of its own, width from the page."""
    svg = svg[svg.index("<svg") :]
    svg = svg.replace(INK, "currentColor").replace(GRID, "var(--grid)")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)

    def sized(match: re.Match[str]) -> str:
        width = float(match[2])
        return f'<svg {match[1]}style="--full:{1.15 * width:.0f}pt"'

    return re.sub(r'<svg ([^>]*?)width="([\d.]+)pt" height="[\d.]+pt"', sized, svg, count=1)
