# SPDX-License-Identifier: Apache-2.0
"""SAT's part of a report, and of the page of claims. Nothing is computed here but positions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataflow.training.methods import PAPER_METHODS
from hwsim.core.report import CLAIMS, Draw, Section
from hwsim.core.study import StudyTables

from .result import COMPONENT_TEXT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = list[dict[str, Any]]
PASSES = ("FF", "BP", "WU", "UP")
PASS_TEXT = {"UP": "update"}


def report_sections() -> tuple[Section, ...]:
    """SAT's sections."""
    here = Path(__file__)
    return (
        Section("sat", "SAT: sparse training", "waterfall", here.with_name("report.md.j2"), figures, facts, order=10),
        Section("sat", "SAT", "sat_area", here.with_name("claims.md.j2"), claim_figures, order=10, page=CLAIMS),
    )


def figures(study: StudyTables, draw: Draw) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of every figure the study has the tables for."""
    tables = study.tables
    yield "speedup", speedup(tables["speedup"], draw)
    if tables.get("waterfall"):
        yield "waterfall", waterfall(study, draw)
    for table, key, label in (
        ("causes", "cause", "cycles, share of the dense step's"),
        ("energy", "component", "energy, share of the dense step's"),
        ("traffic", "memory", "bytes moved, share of the dense step's"),
    ):
        rows = _energy(study) if table == "energy" else tables.get(table)
        if rows:
            yield table, shares(study, rows, key, label, draw)
    for network, name in layer_figures(study).items():
        yield name, layers(study, network, draw)
    if tables.get("roofline"):
        yield "roofline", roofline(study, draw)
    if tables.get("ablation"):
        rows = tables["ablation"]
        names = _values(rows, "network")
        series = {
            str(v): [next((r["speedup_over_all_off"] for r in rows if (r["network"], r["variant"]) == (n, v)), None)
                     for n in names] for v in _values(rows, "variant")
        }  # fmt: skip
        yield "ablation", draw.bars(names, series, "speedup over all off", digits=1)
    if tables.get("accuracy"):
        yield "accuracy", accuracy(tables["accuracy"], draw)
    if tables.get("training"):
        yield "training", training(tables["training"], draw)


def facts(study: StudyTables) -> dict[str, Any]:
    """What the template needs beside the tables."""
    sensitivity = study.tables.get("sensitivity") or [{}]
    networks = [k for k in sensitivity[0] if k not in ("variant", "pattern", "mean")]
    columns = [("variant", "variant", "s"), *((n, n, ".3f") for n in networks), ("mean", "mean", ".3f")]
    return {
        "networks": _networks(study), "layer_figures": layer_figures(study), "sensitivity": columns,
        "energy": _energy(study),
        "accuracy": [{**r, "metric": r["metric"].replace("_", " ")} for r in study.tables.get("accuracy", [])],
    }  # fmt: skip


def claim_figures(study: StudyTables, draw: Draw) -> Iterator[tuple[str, Figure]]:
    """Of the page of claims: FPGA resources of the array against its size."""
    mine = [r for r in study.tables["fpga"] if r["what"].startswith("stce")]
    sizes = [float(r["what"].split()[1]) for r in mine]
    names = {"LUT": "LUT", "FF": "FF", "CARRY": "CARRY8", "DSP": "DSP48E2"}
    lines = {text: (sizes, [r[key] for r in mine]) for key, text in names.items()}
    yield "fpga-growth", draw.curves({"": lines}, "rows and columns of the array", "primitives", log="y", binary=True)


def _networks(study: StudyTables) -> list[str]:
    """Networks with per-layer tables, in order."""
    return list(dict.fromkeys(str(r["network"]) for r in study.tables.get("layers", [])))


def layer_figures(study: StudyTables) -> dict[str, str]:
    """Name of each network's figure: plain letters, and a number where two would be the same."""
    names: dict[str, str] = {}
    for i, network in enumerate(_networks(study)):
        name = "layers-" + re.sub(r"[^A-Za-z0-9._-]+", "-", network)
        names[network] = f"{name}-{i}" if name in names.values() else name
    return names


def _values(rows: Rows, key: str) -> list[Any]:
    return list(dict.fromkeys(r[key] for r in rows))


def speedup(rows: Rows, draw: Draw) -> Figure:
    """Speedup by network and pattern, with the ideal and the published mean."""
    names, patterns = _values(rows, "network"), _values(rows, "pattern")
    found = {(r["network"], r["pattern"]): r for r in rows}
    paper = draw.published.get("sat_speedup_mean")
    marks: list[tuple[int, int | None, float]] = []
    text = ""
    if paper is not None and paper.value is not None and "mean" in names and "2:8" in patterns:
        marks, text = [(names.index("mean"), patterns.index("2:8"), paper.value)], f"published mean, 2:8: {paper.text}"
    series = {f"BDWP {p}": [found[n, p]["speedup"] for n in names] for p in patterns}
    ideal = {f"BDWP {p}": [found[n, p]["ideal_speedup"] for n in names] for p in patterns}
    return draw.bars(names, series, "speedup over dense", ideal=ideal, marks=marks, mark_text=text)


def waterfall(study: StudyTables, draw: Draw) -> Figure:
    """From the ideal to what is reached, of the mean or the first network."""
    rows = study.tables["waterfall"]
    names = _values(rows, "network")
    name = "mean" if "mean" in names else names[0]
    pattern = study.meta["detail_pattern"]
    rows = sorted((r for r in rows if r["network"] == name and r["pattern"] == pattern), key=lambda r: r["order"])
    of = name if name != "mean" else "mean of the five networks"
    return draw.waterfall(
        [(r["step"], r["speedup"], r["delta"]) for r in rows], f"speedup over dense, {of}, BDWP {pattern}"
    )


def layers(study: StudyTables, network: str, draw: Draw) -> Figure:
    """Cycles by layer and pass: upper bar dense, lower bar sparse."""
    rows = [r for r in study.tables["layers"] if r["network"] == network]
    passes = [p for p in PASSES if any(r["phase"] == p for r in rows)]
    # element-wise layers and updates as one bar each
    weighted = {r["layer"] for r in rows if r["phase"] in ("FF", "BP", "WU") and not r["elementwise"]}
    names = [*(n for n in _values(rows, "layer") if n in weighted), "element-wise"]
    methods = _values(rows, "method")
    figure, (axes,) = draw.figure(0.17 * len(names) + 1.1)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    at = np.arange(len(names))
    for m, method in enumerate(methods):
        left = np.zeros(len(names))
        for phase in passes:
            cycles = np.zeros(len(names))
            for r in rows:
                if (r["method"], r["phase"]) == (method, phase):
                    cycles[names.index(r["layer"] if r["layer"] in weighted else "element-wise")] += r["cycles"] / 1e6
            label = PASS_TEXT.get(phase, phase) if m == len(methods) - 1 else None
            up = at + (m - (len(methods) - 1) / 2) * 0.42
            colour = draw.palette[PASSES.index(phase)]
            axes.barh(up, cycles, 0.38, left=left, color=colour, alpha=0.5 if m == 0 else 1, label=label)
            left += cycles
    axes.set_yticks(at, names, fontsize=7)
    axes.set_ylim(len(names) - 0.3, -0.7)
    axes.set_xlabel(f"million cycles (upper bar, pale: dense; lower bar: {methods[-1]} {study.meta['detail_pattern']})")
    draw.legend(axes)
    return figure


def roofline(study: StudyTables, draw: Draw) -> Figure:
    """Every product under the roof, a panel a method."""
    rows = study.tables["roofline"]
    panels = {}
    for method in _values(rows, "method"):
        title = method if method == "dense" else f"{method} {study.meta['detail_pattern']}"
        panels[title] = {
            phase: [(r["intensity"], r["macs_per_cycle"]) for r in rows if (r["method"], r["phase"]) == (method, phase)]
            for phase in PASSES
        }
    peak, bandwidth = study.meta["peak_macs_per_cycle"], study.meta["dram_bytes_per_cycle"]
    return draw.roofline(panels, peak, bandwidth, "multiplies a DRAM byte", "useful multiplies a cycle")


def _energy(study: StudyTables) -> Rows:
    """The energy table, components in words."""
    rows = study.tables.get("energy", [])
    return [{**r, "component": COMPONENT_TEXT.get(r["component"], r["component"])} for r in rows]


def shares(study: StudyTables, rows: Rows, key: str, label: str, draw: Draw) -> Figure:
    """Stacked shares of the dense step's total, a bar a network and method."""
    steps = [(n, m) for n in _networks(study) for m in _values([r for r in rows if r["network"] == n], "method")]
    found = {(r["network"], r["method"], r[key]): r["share_of_dense"] for r in rows}
    parts = {str(p): [found[(*s, p)] for s in steps] for p in _values(rows, key)}
    return draw.stacked({"": ([f"{n} {m}" for n, m in steps], parts)}, label)


METHODS = tuple(m.name for m in PAPER_METHODS)
MARKERS = ("*", "o", "s", "^", "D")


def accuracy(rows: Rows, draw: Draw) -> Figure:
    """Difference to dense against speedup, a panel a task; the marker's size tells the pattern."""
    from matplotlib.lines import Line2D

    tasks = _values(rows, "task")
    patterns = [p for p in _values(rows, "pattern") if p != "dense"]
    sizes = {"dense": 8.0} | {p: 4.0 + 2.5 * i for i, p in enumerate(patterns)}
    others = list(dict.fromkeys([*METHODS, *_values(rows, "method")]))
    looks = {
        m: (MARKERS[i % len(MARKERS)], draw.muted if m == "dense" else draw.palette[(i - 1) % len(draw.palette)])
        for i, m in enumerate(others)
    }
    figure, panels = draw.figure(2.3 * len(tasks) + 0.6, rows=len(tasks))
    for axes, task in zip(panels, tasks, strict=True):
        axes.grid(axis="both", visible=True)
        mine = [r for r in rows if r["task"] == task and r["delta"] is not None]
        points = next(r["metric"] for r in rows if r["task"] == task) == "accuracy"
        scale = 100 if points else 1
        for r in mine:
            marker, colour = looks[r["method"]]
            axes.errorbar(
                r["speedup"], r["delta"] * scale, yerr=(r["delta_std"] or 0) * scale, fmt=marker, color=colour,
                markersize=sizes[r["pattern"]], markerfacecolor="none", elinewidth=0.8,
            )  # fmt: skip
        axes.axhline(0, color=draw.ink, linewidth=0.8)
        unit = "accuracy, points" if points else "bits per character"
        axes.set_ylabel(f"{unit}, minus dense")
        axes.set_title(task)
    panels[-1].set_xlabel("simulated speedup of a step")
    look: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "none"}
    handles = [Line2D([], [], color=c, marker=m, label=n, **look) for n, (m, c) in looks.items()]
    handles += [Line2D([], [], color=draw.ink, marker="o", markersize=sizes[p], label=p, **look) for p in patterns]
    figure.legend(handles=handles, loc="outside upper left", ncols=5, fontsize=8)
    return figure


def training(rows: Rows, draw: Draw) -> Figure:
    """The loss of each run, step by step."""
    lines = {}
    for method, pattern in dict.fromkeys((r["method"], r["pattern"]) for r in rows):
        mine = [r for r in rows if (r["method"], r["pattern"]) == (method, pattern)]
        label = method if method == "dense" else f"{method} {pattern}"
        lines[label] = ([r["step"] for r in mine], [r["loss"] for r in mine])
    return draw.curves({"": lines}, "training step", "loss, nats", markers=False)
