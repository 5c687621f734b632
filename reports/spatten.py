# SPDX-License-Identifier: Apache-2.0
"""SpAtten's figures of a report, each a function of a study's tables. Nothing is computed here but positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from hwsim.core.study import StudyTables

from .attention import words
from .published import published
from .style import BLUE, CYCLE, GREEN, GREY, INK, ORANGE, PURPLE, RC, RED, SKY

Rows = list[dict[str, Any]]
KINDS = (
    ("query_mb", "q", GREY),
    ("key_mb", "keys", BLUE),
    ("lsb_mb", "LSBs of keys", SKY),
    ("value_mb", "values", ORANGE),
)
COLOURS = {
    "qk": BLUE, "keys": ORANGE, "key_sram": "#a6761d", "lsb": SKY, "candidates": PURPLE, "softmax": "#d9c400",
    "topk": GREEN, "values": RED, "pv": "#5e3c99", "latency": "#333a56", "drain": GREY, "selection": "#00695c",
    "projections": "#c2185b",
}  # fmt: skip


def spatten_figures(study: StudyTables) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of every figure the study has the tables for."""
    if not study.tables.get("attention"):
        return
    drawn: list[tuple[str, Callable[[StudyTables], Figure]]] = [
        ("attention-ladder", ladder), ("attention-traffic", traffic), ("attention-causes", causes),
        ("attention-stages", stages), ("attention-roofline", roofline), ("attention-baselines", baselines),
        ("attention-topk", topk_sweep), ("attention-sram", sram_sweep), ("topk-engine", topk_engine),
    ]  # fmt: skip
    for name, draw in drawn:
        with mpl.rc_context(RC):
            yield name, draw(study)
    if study.tables.get("words"):
        yield "words", words(study.tables["words"])


def _names(rows: Rows, key: str = "workload") -> list[Any]:
    return list(dict.fromkeys(r[key] for r in rows))


def _panels(names: list[str], each: float, width: float = 7.6) -> tuple[Figure, list[Any]]:
    """One panel a workload, under each other."""
    figure = Figure(figsize=(width, each * len(names) + 0.4), layout="constrained")
    axes = figure.subplots(len(names), 1, squeeze=False)
    return figure, [a[0] for a in axes]


def ladder(study: StudyTables) -> Figure:
    """Technique by technique: speedup over the dense datapath."""
    rows = study.tables["ladder"]
    names = _names(rows)
    figure, panels = _panels(names, 2.1)
    for axes, name in zip(panels, names, strict=True):
        mine = [r for r in rows if r["workload"] == name]
        axes.barh(
            range(len(mine)), [r["over_dense"] for r in mine], color=[GREY] + [BLUE] * (len(mine) - 1), height=0.7
        )
        for i, r in enumerate(mine):
            axes.text(r["over_dense"], i, f" {r['over_dense']:.2f}x", va="center", fontsize=8)
        axes.axvline(1, color=INK, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(mine)), [r["rung"] for r in mine])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", visible=True)
        axes.set_xlim(0, 1.15 * max(r["over_dense"] for r in mine))
        axes.set_title(name)
    panels[-1].set_xlabel("speedup over the dense datapath (up to local value pruning: one comparator)")
    return figure


def traffic(study: StudyTables) -> Figure:
    """Megabytes by what is fetched, rung by rung."""
    rows = study.tables["attention_traffic"]
    names = _names(rows)
    figure, panels = _panels(names, 2.1)
    for axes, name in zip(panels, names, strict=True):
        mine = [r for r in rows if r["workload"] == name]
        left = np.zeros(len(mine))
        for key, text, colour in KINDS:
            values = np.array([r[key] for r in mine])
            axes.barh(range(len(mine)), values, left=left, color=colour, label=text, height=0.7)
            left += values
        axes.set_yticks(range(len(mine)), [r["rung"] for r in mine])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", visible=True)
        axes.set_title(name)
    panels[0].legend(loc="lower right", fontsize=8)
    panels[-1].set_xlabel("DRAM traffic, MB")
    return figure


def _stacked(rows: Rows, part: str, value: str, text: str, colours: dict[str, str], label: str) -> Figure:
    names = _names(rows)
    figure = Figure(figsize=(7.6, 0.5 * len(names) + 1.9), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(names))
    for kind in _names(rows, part):
        mine = {r["workload"]: r for r in rows if r[part] == kind}
        values = np.array([mine[n][value] if n in mine else 0.0 for n in names])
        if values.any():
            first = next(iter(mine.values()))
            axes.barh(range(len(names)), values, left=left, color=colours[kind], label=first[text], height=0.6)
            left += values
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.set_xlabel(label)
    figure.legend(loc="outside upper left", ncols=2, fontsize=8)
    return figure


def causes(study: StudyTables) -> Figure:
    """What the Q x K array does, share of the cycles."""
    rows = study.tables["attention_causes"]
    return _stacked(rows, "cause", "share", "text", COLOURS, "share of the cycles of Q x K")


def stages(study: StudyTables) -> Figure:
    """Where a query spends its time."""
    rows = study.tables["stages"]
    colours = dict(zip(_names(rows, "stage"), (*CYCLE, "#00695c", "#c2185b", "#795548"), strict=False))
    return _stacked(rows, "stage", "cycles", "stage", colours, "mean cycles of a query, from its fetch to its output")


def roofline(study: StudyTables) -> Figure:
    """Every rung of every workload under the machine's roof; torch under its device's."""
    rows, cpu, meta = study.tables["ladder"], study.tables.get("attention_torch", []), study.meta
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.subplots()
    at = [r["flop_per_byte"] for r in [*rows, *cpu]]
    x = np.geomspace(min(at) / 2, 4 * max(at), 200)
    roof = np.minimum(x * meta["spatten_peak_bytes_per_s"] / 1e12, meta["spatten_peak_tflops"])
    axes.plot(x, roof, color=INK, linewidth=1.2, label="the machine's roof")
    for i, name in enumerate(_names(rows)):
        mine = [r for r in rows if r["workload"] == name]
        points = [(r["flop_per_byte"], r["tflops"]) for r in mine]
        axes.plot(*zip(*points, strict=True), "o", markersize=4, color=CYCLE[i], alpha=0.5)
        axes.plot(*points[0], "s", markersize=6, color=CYCLE[i], label=f"{name}, dense")
        axes.plot(*points[-1], "o", markersize=8, color=CYCLE[i], label=f"{name}, all techniques")
    for i, row in enumerate(cpu):
        if row["device"] not in [r["device"] for r in cpu[:i]]:
            roof = np.minimum(x * row["roof_gb_per_s"] / 1e3, row["roof_gflops"] / 1e3)
            axes.plot(x, roof, color=GREY, linewidth=1, linestyle="--", label=f"roof of this run's {row['device']}")
        place = (row["flop_per_byte"], row["gflops"] / 1e3)
        axes.plot(*place, "^", markersize=6, color=GREY)
        axes.annotate(
            f"torch ({row['device']}), {row['model']}", place, fontsize=7, xytext=(4, -9), textcoords="offset points"
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(axis="both", visible=True)
    axes.set_xlabel("operations (two a multiply) a DRAM byte")
    axes.set_ylabel("TFLOPS")
    axes.legend(fontsize=7, loc="lower right")
    return figure


def baselines(study: StudyTables) -> Figure:
    """Cycles of the others over SpAtten-1/8's, with the published figures."""
    rows = study.tables["baselines"]
    names, machines = _names(rows), [m for m in _names(rows, "machine") if m != "SpAtten-1/8"]
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        mine = {r["machine"]: r["slower"] for r in rows if r["workload"] == name}
        at = np.arange(len(machines)) + (i - (len(names) - 1) / 2) * width
        axes.bar(at, [mine[m] for m in machines], width * 0.92, color=CYCLE[i], label=name)
        for x, m in zip(at, machines, strict=True):
            axes.text(x, mine[m], f"{mine[m]:.2f}", ha="center", va="bottom", fontsize=7)
    for machine, key in (("A3", "spatten_over_a3"), ("MNNFast", "spatten_over_mnnfast")):
        paper = published()[key]
        if machine in machines and paper.value is not None:
            text = "published mean" if machine == "A3" else None
            axes.plot([machines.index(machine)], [paper.value], "D", color="white", markeredgecolor=RED,
                      markeredgewidth=1.6, markersize=6, label=text, zorder=3)  # fmt: skip
    axes.axhline(1, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(machines)), machines)
    axes.set_ylabel("cycles over SpAtten-1/8's")
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=2, borderaxespad=0)
    return figure


def _sweep(rows: Rows, key: str, line: str, label: str, paper: str) -> Figure:
    """TFLOPS against a size, a panel a workload, a curve for each value of ``line``; the published saturation."""
    names = _names(rows)
    figure = Figure(figsize=(7.6, 2.8), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    flat = published()[paper].value
    for axes, name in zip(panels, names, strict=True):
        mine = [r for r in rows if r["workload"] == name]
        for i, value in enumerate(_names(mine, line)):
            curve = [r for r in mine if r[line] == value]
            text = {"engines": f"{value} engine{'s' * (value != 1)}"}.get(line, "")
            axes.plot(
                [r[key] for r in curve], [r["tflops"] for r in curve], "o-", markersize=4, color=CYCLE[i], label=text
            )
        axes.axvline(flat, color=RED, linewidth=1, linestyle=":", label="published: flat from here")
        axes.set_xscale("log", base=2)
        ticks = _names(mine, key)
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.minorticks_off()
        axes.set_ylim(0, None)
        axes.set_xlabel(label)
        axes.set_title(name, fontsize=9)
    panels[0].set_ylabel("TFLOPS")
    panels[0].legend(fontsize=7, loc="lower right")
    return figure


def topk_sweep(study: StudyTables) -> Figure:
    return _sweep(
        study.tables["topk_sweep"], "parallel", "engines", "comparators of a top-k engine", "spatten_topk_saturates"
    )


def sram_sweep(study: StudyTables) -> Figure:
    return _sweep(
        study.tables["sram_sweep"], "sram_kb", "workload", "key and value SRAM, KiB each", "spatten_sram_saturates"
    )


def topk_engine(study: StudyTables) -> Figure:
    """Mean cycles of one top-k, against n, beside lines through the origin."""
    rows = study.tables["topk_engine"]
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for i, parallel in enumerate(_names(rows, "parallel")):
        mine = [r for r in rows if r["parallel"] == parallel]
        n = [r["keys"] for r in mine]
        axes.plot(n, [r["cycles"] for r in mine], "o-", markersize=4, color=CYCLE[i], label=f"P = {parallel}")
        axes.plot(n, [r["linear"] for r in mine], linestyle=":", color=CYCLE[i], linewidth=1)
    axes.plot([], [], linestyle=":", color=INK, linewidth=1, label="in proportion to n")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(n, [str(v) for v in n])
    axes.minorticks_off()
    axes.set_xlabel("keys n (the largest quarter is kept)")
    axes.set_ylabel("mean cycles")
    axes.legend(fontsize=8)
    return figure
