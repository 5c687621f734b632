# SPDX-License-Identifier: Apache-2.0
"""Figures of sparse attention, each a function of a table. Nothing is computed here but positions."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .style import BLUE, GREEN, GREY, INK, ORANGE, RC

Rows = list[dict[str, Any]]

mpl.use("Agg")


def words(rows: Rows) -> Figure:
    """A sentence once for each layer: words are grey from the layer on before which they left.

    Args:
        rows: word, and in how many layers it is alive.
    """
    layers = max(int(r["layers"]) for r in rows)
    across = 112.0  # letters of a line
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
        figure = Figure(figsize=(8, 0.19 * rows_each * layers + 0.6))
        axes = figure.add_axes((0.02, 0.02, 0.96, 0.88))
        axes.set_axis_off()
        axes.set_xlim(-6, across)
        axes.set_ylim(layers * rows_each, -0.6)
        axes.set_title("Words that are left, layer by layer")
        for layer in range(layers):
            top = layer * rows_each
            axes.text(-1.5, top, f"{layer + 1}", ha="right", va="center", weight="bold", fontsize=8)
            for row, (x, line) in zip(rows, places, strict=True):
                alive = int(row["layers"]) > layer
                style: dict[str, Any] = {"color": INK if alive else "#c4c9cf", "weight": "bold" if alive else "normal"}
                axes.text(x, top + line, row["word"], va="center", family="monospace", fontsize=7.2, **style)
    return figure


def quality(rows: Rows) -> Figure:
    """What is left of quality against the share of tokens that is left: importance beside the two controls.

    Args:
        rows: of `hwsim attention`; MiniLM's cosine, or the character model's bits per character.
    """
    metric, label = ("cosine", "cosine to the full embedding") if "cosine" in rows[0] else (
        "bits_per_character", "bits per character")  # fmt: skip
    with mpl.rc_context(RC):
        figure = Figure(figsize=(6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        whole = rows[0][metric]
        for control, colour in (("importance", BLUE), ("random", GREY), ("first", ORANGE)):
            mine = [r for r in rows if r["axis"] == "tokens" and r["setting"].endswith(control)]
            x = [100.0] + [float(r["setting"].split("%")[0]) for r in mine]
            y = [whole] + [r[metric] for r in mine]
            axes.plot(
                x, y, marker="o", markersize=4, color=colour, label={"first": "the first ones"}.get(control, control)
            )
        axes.invert_xaxis()
        axes.set_xlabel("tokens left after the last layer, %")
        axes.set_title(f"Cascade token pruning: {label}")
        axes.legend()
    return figure


def bandwidth(rows: Rows, memory: str) -> Figure:
    """Bandwidth and row hits against the length of what is read in one piece.

    Args:
        rows: of `hwsim dram` without a trace.
        memory: what it is, for the title.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        x = [r["run_bytes"] for r in rows]
        axes.plot(
            x, [100 * r["share_of_peak"] for r in rows], marker="o", markersize=4, color=BLUE, label="of peak bandwidth"
        )
        axes.plot(x, [100 * r["row_hits"] for r in rows], marker="s", markersize=4, color=GREEN, label="row hits")
        axes.set_xscale("log", base=2)
        axes.set_xticks(x, [str(v) for v in x])
        axes.set_ylim(0, 100)
        axes.set_xlabel("bytes read in one piece")
        axes.set_ylabel("%")
        axes.set_title(f"{memory}: bandwidth against locality")
        axes.legend()
    return figure
