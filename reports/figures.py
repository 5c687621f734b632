# SPDX-License-Identifier: Apache-2.0
"""The kinds of figures that pages have (`hwsim.core.report.Draw`). Nothing is computed here but positions.

Bars start at zero. Figures have one width, which a phone can show whole; more names make a figure longer, not wider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.colors
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from hwsim.core.report import Reference, Row

from .style import BLUE, CYCLE, GREEN, GREY, INK, MARKERS, ORANGE, RC, RED

mpl.use("Agg")

WIDTH = 5.4
"""Inches of every figure."""
LETTER = 0.064
"""Inches of a letter of a legend or a tick, about."""


class Drawing:
    """The helpers that a section draws with; ``published``: figures by key."""

    palette = CYCLE
    ink, muted = INK, GREY

    def __init__(self, published: Mapping[str, Reference] | None = None) -> None:
        self.published: Mapping[str, Reference] = published or {}

    def figure(self, height: float, *, rows: int = 1, columns: int = 1, **shared: Any) -> tuple[Figure, list[Axes]]:
        with mpl.rc_context(RC):
            figure = Figure(figsize=(WIDTH, height), layout="constrained")
            axes = figure.subplots(rows, columns, squeeze=False, **shared)
        return figure, list(axes.flat)

    def legend(self, axes: Axes, *, columns: int = 0, handles: Sequence[Any] | None = None) -> None:
        shown = list(handles) if handles is not None else list(axes.get_legend_handles_labels()[0])
        labels = [str(h.get_label()) for h in shown]
        if not labels:
            return
        fitting = int((WIDTH - 1) / (LETTER * max(map(len, labels)) + 0.35))
        columns = columns or max(1, min(len(labels), fitting))
        axes.legend(
            handles=shown, labels=labels, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, borderaxespad=0,
            fontsize=8, frameon=False, handlelength=1.4, columnspacing=1.2,
        )  # fmt: skip

    def bars(
        self, names: Sequence[str], series: Mapping[str, Sequence[float | None]], label: str, *, digits: int = 2,
        ideal: Mapping[str, Sequence[float]] | None = None, marks: Sequence[tuple[int, int | None, float]] = (),
        mark_text: str = "", level: float | None = None,
    ) -> Figure:  # fmt: skip
        ideal = ideal or {}
        each = 0.16
        figure, (axes,) = self.figure(0.9 + len(names) * (each * len(series) + 0.12))
        _across(axes)
        height = 0.84 / len(series)
        peak = max(v for values in [*series.values(), *ideal.values(), [m for _, _, m in marks]] for v in values if v)
        for i, (name, values) in enumerate(series.items()):
            at = np.arange(len(names)) + (i - (len(series) - 1) / 2) * height
            axes.barh(at, [v or 0.0 for v in values], height * 0.9, color=CYCLE[i % len(CYCLE)], label=name)
            for k, (y, v) in enumerate(zip(at, values, strict=True)):
                if v is None:
                    continue
                # at the bar's foot, where it cannot be read as the ideal's; beyond all of them where the bar is short
                beyond = max([v, *(x[k] for n, x in ideal.items() if n == name), *(m for at, _, m in marks if at == k)])
                short = v < 0.14 * peak
                colour = INK if short else inside(CYCLE[i % len(CYCLE)])
                axes.text((beyond if short else 0) + 0.012 * peak, y, f"{v:.{digits}f}", va="center", fontsize=7,
                          color=colour)  # fmt: skip
            for y, x in zip(at, ideal.get(name, ()), strict=False):
                axes.plot([x, x], [y - height / 2, y + height / 2], color=INK, linewidth=1, linestyle=":")
        handles = list(axes.get_legend_handles_labels()[0])
        if ideal:
            handles.append(Line2D([], [], color=INK, linestyle=":", label="ideal"))
        look: dict[str, Any] = {
            "marker": "D",
            "markerfacecolor": "white",
            "markeredgecolor": RED,
            "markeredgewidth": 1.6,
        }
        for where, one, value in marks:
            y = where + ((one - (len(series) - 1) / 2) * height if one is not None else 0.0)
            axes.plot([value], [y], color="none", markersize=5, zorder=3, **look)
        if marks and mark_text:
            handles.append(Line2D([], [], color="none", label=mark_text, **look))
        if level is not None:
            axes.axvline(level, color=INK, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.08 * peak)
        _below(axes, label)
        if len(handles) > 1:
            self.legend(axes, handles=handles)
        return figure

    def stacked(
        self, panels: Mapping[str, tuple[Sequence[str], Mapping[str, Sequence[float]]]], label: str, *,
        colours: Mapping[str, str] | None = None, unit: float = 1.0,
    ) -> Figure:  # fmt: skip
        heights = [len(names) for names, _ in panels.values()]
        shown = [*dict.fromkeys(p for _, parts in panels.values() for p, values in parts.items() if any(values))]
        columns = max(1, min(len(shown), int(WIDTH / (LETTER * max(map(len, shown), default=1) + 0.4))))
        legend = 0.17 * -(-len(shown) // columns)
        height = 0.21 * sum(heights) + 0.45 * len(panels) + 0.45 + legend
        figure, axes_of = self.figure(height, rows=len(panels), height_ratios=heights)
        taken: dict[str, str] = {}
        for axes, (title, (names, parts)) in zip(axes_of, panels.items(), strict=True):
            _across(axes)
            left = np.zeros(len(names))
            for part, values in parts.items():
                sizes = np.array(values, np.float64) / unit
                if not sizes.any():
                    continue
                colour = (colours or {}).get(part, CYCLE[len(taken) % len(CYCLE)]) if part not in taken else taken[part]
                axes.barh(range(len(names)), sizes, left=left, color=colour, label=part, height=0.72)
                taken[part] = colour
                left += sizes
            axes.set_yticks(range(len(names)), names)
            axes.invert_yaxis()
            axes.set_xlim(0, max(float(left.max(initial=0)), 1e-12) * 1.02)
            if title:
                axes.set_title(title, fontsize=9)
        _below(axes_of[-1], label)
        if taken:
            self._above(figure, axes_of)
        return figure

    def steps(
        self, panels: Mapping[str, Sequence[tuple[str, float]]], label: str, *, level: float | None = None
    ) -> Figure:
        heights = [len(rows) for rows in panels.values()]
        figure, axes_of = self.figure(
            0.21 * sum(heights) + 0.4 * len(panels) + 0.4, rows=len(panels), height_ratios=heights
        )
        for axes, (title, rows) in zip(axes_of, panels.items(), strict=True):
            _across(axes)
            values = [v for _, v in rows]
            axes.barh(range(len(rows)), values, color=[GREY] + [BLUE] * (len(rows) - 1), height=0.7)
            for i, value in enumerate(values):
                axes.text(value, i, f" {value:.2f}x", va="center", fontsize=8)
            if level is not None:
                axes.axvline(level, color=INK, linewidth=0.8, linestyle=":")
            axes.set_yticks(range(len(rows)), [name for name, _ in rows])
            axes.invert_yaxis()
            axes.set_xlim(0, 1.17 * max(values))
            if title:
                axes.set_title(title, fontsize=9)
        _below(axes_of[-1], label)
        return figure

    def waterfall(self, steps: Sequence[tuple[str, float, float]], label: str) -> Figure:
        figure, (axes,) = self.figure(0.27 * len(steps) + 0.6)
        _across(axes)
        for i, (_, value, delta) in enumerate(steps):
            whole = i in (0, len(steps) - 1)
            left, size = (0.0, value) if whole else (min(value, value - delta), abs(delta))
            axes.barh(i, size, left=left, color=BLUE if whole else RED if delta < 0 else GREEN, height=0.7)
            text = f"{value:.3f}x" if whole else f"{delta:+.3f}"
            axes.text(left + size + 0.02, i, text, va="center", fontsize=8)
        axes.set_yticks(range(len(steps)), [name for name, _, _ in steps])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.15 * max(value for _, value, _ in steps))
        _below(axes, label)
        return figure

    def curves(
        self, panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]], x: str, y: str, *,
        log: str = "", binary: bool = False, level: tuple[float, str] | None = None,
        dotted: Mapping[str, str] | None = None, markers: bool = True,
    ) -> Figure:  # fmt: skip
        dotted = dotted or {}
        names = {n for lines in panels.values() for n in lines} - dotted.keys()
        figure, axes_of = self.figure(2.3 * len(panels) + 0.5, rows=len(panels))
        for axes, (title, lines) in zip(axes_of, panels.items(), strict=True):
            axes.grid(axis="both", visible=True)
            solid = [name for name in lines if name not in dotted]
            for name, (across, up) in lines.items():
                i = solid.index(dotted.get(name, name))
                look: dict[str, Any] = {"color": CYCLE[i % len(CYCLE)], "linewidth": 1.2}
                if name in dotted:
                    look |= {"linestyle": ":", "linewidth": 1}
                elif markers:
                    look |= {"marker": MARKERS[i % len(MARKERS)], "markersize": 4}
                axes.plot(across, up, label=None if name in dotted else name, **look)
            if level is not None:
                axes.axvline(level[0], color=RED, linewidth=1, linestyle=":", label=level[1])
            if binary:
                axes.set_xscale("log", base=2)
                ticks = sorted({v for across, _ in lines.values() for v in across})
                axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
                axes.minorticks_off()
            elif "x" in log:
                axes.set_xscale("log")
            if "y" in log:
                axes.set_yscale("log")
            else:
                axes.set_ylim(0, None)
            axes.set_ylabel(y)
            if title:
                axes.set_title(title, fontsize=9)
        axes_of[-1].set_xlabel(x)
        if len(names) > 1 or level is not None:
            self._above(figure, axes_of)
        return figure

    def roofline(
        self, panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], peak: float, bandwidth: float, x: str,
        y: str, *, colours: Mapping[str, str] | None = None,
    ) -> Figure:  # fmt: skip
        figure, axes_of = self.figure(3.3, columns=len(panels), sharex=True, sharey=True)
        every = [p for groups in panels.values() for points in groups.values() for p in points]
        reach = np.array([p[0] for p in every])
        roof = np.geomspace(max(0.05, reach.min() / 2), reach.max() * 2, 200)
        for axes, (title, groups) in zip(axes_of, panels.items(), strict=True):
            axes.grid(axis="both", visible=True)
            axes.plot(roof, np.minimum(peak, roof * bandwidth), color=INK, linewidth=1)
            for i, (name, points) in enumerate(groups.items()):
                if points:
                    axes.scatter(
                        [p[0] for p in points], [p[1] for p in points], s=14, alpha=0.65, linewidths=0, label=name,
                        color=(colours or {}).get(name, CYCLE[i % len(CYCLE)]), marker=MARKERS[i % len(MARKERS)],
                    )  # fmt: skip
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_title(title, fontsize=9)
            axes.set_xlabel(x)
        axes_of[0].set_ylabel(y)
        self._above(figure, axes_of)
        return figure

    def _above(self, figure: Figure, axes_of: Sequence[Axes]) -> None:
        """One legend for all axes, above them."""
        handles: dict[str, Any] = {}
        for axes in axes_of:
            for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(name, handle)
        columns = int(WIDTH / (LETTER * max(map(len, handles)) + 0.5))
        figure.legend(
            handles=list(handles.values()), labels=list(handles), loc="outside upper left", fontsize=8, frameon=False,
            ncols=max(1, min(len(handles), columns)), handlelength=1.6, columnspacing=1.2,
        )  # fmt: skip

    def tokens(self, rows: Sequence[Row], title: str) -> Figure:
        layers = max(int(r["layers"]) for r in rows)
        across = 80.0  # letters of a line
        lines, at = 0, 0.0
        places = []
        for row in rows:
            width = len(row["word"]) + 1.0
            if at + width > across:
                lines, at = lines + 1, 0.0
            places.append((at, lines))
            at += width
        rows_each = lines + 1.6
        with mpl.rc_context(RC):
            figure = Figure(figsize=(WIDTH, 0.19 * rows_each * layers + 0.6))
            axes = figure.add_axes((0.02, 0.02, 0.96, 0.88))
            axes.set_axis_off()
            axes.set_xlim(-6, across)
            axes.set_ylim(layers * rows_each, -0.6)
            axes.set_title(title)
            for layer in range(layers):
                top = layer * rows_each
                axes.text(-1.5, top, f"{layer + 1}", ha="right", va="center", weight="bold", fontsize=8)
                for row, (x, line) in zip(rows, places, strict=True):
                    alive = int(row["layers"]) > layer
                    style: dict[str, Any] = {
                        "color": INK if alive else "#9aa1a9",
                        "weight": "bold" if alive else "normal",
                    }
                    axes.text(x, top + line, row["word"], va="center", family="monospace", fontsize=7.2, **style)
        return figure


def inside(colour: str) -> str:
    """The colour of text on a bar of a colour: what has more contrast."""
    red, green, blue = mpl.colors.to_rgb(colour)
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def _below(axes: Axes, label: str) -> None:
    """The label of lying bars: at the right end, where a long one has room to its left, below the names."""
    axes.set_xlabel(label, loc="right" if len(label) > 36 else "center")


def _across(axes: Axes) -> None:
    """The grid of horizontal bars."""
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)


def quality(rows: Sequence[Row]) -> Figure:
    """What is left of quality against the share of tokens that is left: importance beside the two controls.

    Args:
        rows: of `hwsim attention`; MiniLM's cosine, or the character model's bits per character.
    """
    metric, label = ("cosine", "cosine to the full embedding") if "cosine" in rows[0] else (
        "bits_per_character", "bits per character")  # fmt: skip
    draw = Drawing()
    figure, (axes,) = draw.figure(3.0)
    axes.grid(axis="both", visible=True)
    whole = rows[0][metric]
    for i, (control, colour) in enumerate((("importance", BLUE), ("random", GREY), ("first", ORANGE))):
        mine = [r for r in rows if r["axis"] == "tokens" and r["setting"].endswith(control)]
        x = [100.0] + [float(r["setting"].split("%")[0]) for r in mine]
        y = [whole] + [r[metric] for r in mine]
        axes.plot(
            x, y, marker=MARKERS[i], markersize=4, color=colour, label={"first": "the first ones"}.get(control, control)
        )
    axes.invert_xaxis()
    axes.set_xlabel("tokens left after the last layer, %")
    axes.set_ylabel(label)
    axes.set_title("Cascade token pruning", pad=22)
    draw.legend(axes)
    return figure


def bandwidth(rows: Sequence[Row], memory: str) -> Figure:
    """Bandwidth and row hits against the length of what is read in one piece.

    Args:
        rows: of `hwsim dram` without a trace.
        memory: what it is, for the title.
    """
    draw = Drawing()
    x = [r["run_bytes"] for r in rows]
    lines = {
        "of peak bandwidth": (x, [100 * r["share_of_peak"] for r in rows]),
        "row hits": (x, [100 * r["row_hits"] for r in rows]),
    }
    figure = draw.curves({f"{memory}: bandwidth against locality": lines}, "bytes read in one piece", "%", binary=True)
    figure.axes[0].set_ylim(0, 105)
    return figure
