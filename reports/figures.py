# SPDX-License-Identifier: Apache-2.0
"""The figures of a report, each a function of a study's tables. Nothing is computed here but positions.

`figures` names them in the order of the report; one whose table is empty is left out. Bars start at zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import matplotlib.patches
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hwsim.core.study import StudyTables

from .published import published
from .style import BLUE, CYCLE, GREEN, GREY, INK, ORANGE, PASS_COLOURS, RC, RED

Rows = list[dict[str, Any]]

mpl.use("Agg")


def figures(study: StudyTables) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of every figure the study has the tables for."""
    drawn: list[tuple[str, Callable[[], Figure | None]]] = [
        ("speedup", lambda: speedup(study)),
        ("waterfall", lambda: waterfall(study)),
        ("causes", lambda: shares(study, "causes", "cause", "cycles, share of the dense step's")),
        *((name, lambda n=n: layers(study, n)) for n, name in layer_figures(study).items()),
        ("roofline", lambda: roofline(study)),
        ("energy", lambda: shares(study, "energy", "component", "energy, share of the dense step's")),
        ("traffic", lambda: shares(study, "traffic", "memory", "bytes moved, share of the dense step's")),
        ("ablation", lambda: ablation(study)),
        ("accuracy", lambda: accuracy(study)),
        ("training", lambda: training(study)),
    ]
    for name, draw in drawn:
        with mpl.rc_context(RC):
            figure = draw()
        if figure is not None:
            yield name, figure


def networks(study: StudyTables) -> list[str]:
    """Networks with per-layer tables, in order."""
    return list(dict.fromkeys(str(r["network"]) for r in study.tables.get("layers", [])))


def layer_figures(study: StudyTables) -> dict[str, str]:
    """Name of each network's figure: plain letters, and a number where two would be the same."""
    names: dict[str, str] = {}
    for i, network in enumerate(networks(study)):
        name = "layers-" + re.sub(r"[^A-Za-z0-9._-]+", "-", network)
        names[network] = f"{name}-{i}" if name in names.values() else name
    return names


def _values(rows: Rows, key: str) -> list[Any]:
    return list(dict.fromkeys(r[key] for r in rows))


def _figure(width: float, height: float, columns: int = 1, **shared: Any) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, **shared)
    return figure, list(axes[0])


def _legend(axes: Axes, columns: int, **more: Any) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, borderaxespad=0, fontsize=8, **more)


def speedup(study: StudyTables) -> Figure | None:
    rows = study.tables.get("speedup", [])
    if not rows:
        return None
    names, patterns = _values(rows, "network"), _values(rows, "pattern")
    figure, (axes,) = _figure(max(4.5, 1.1 * len(names) + 1), 3.4)
    width = 0.8 / len(patterns)
    for i, pattern in enumerate(patterns):
        mine = {r["network"]: r for r in rows if r["pattern"] == pattern}
        at = np.arange(len(names)) + (i - (len(patterns) - 1) / 2) * width
        axes.bar(at, [mine[n]["speedup"] for n in names], width * 0.92, color=CYCLE[i], label=f"BDWP {pattern}")
        ideal = [mine[n]["ideal_speedup"] for n in names]
        for x, n in zip(at, names, strict=True):  # above both the bar and its ideal
            top = max(mine[n]["speedup"], mine[n]["ideal_speedup"])
            axes.text(x, top + 0.02, f"{mine[n]['speedup']:.2f}", ha="center", va="bottom", fontsize=7)
        axes.hlines(ideal, at - width / 2, at + width / 2, color=INK, linewidth=1, linestyle=":")
    handles = [*axes.get_legend_handles_labels()[0], Line2D([], [], color=INK, linestyle=":", label="ideal")]
    paper = published()["sat_speedup_mean"]
    if "mean" in names and "2:8" in patterns and paper.value is not None:
        at_mean = names.index("mean") + (patterns.index("2:8") - (len(patterns) - 1) / 2) * width
        axes.plot([at_mean], [paper.value], "D", color="white", markeredgecolor=RED, markeredgewidth=1.6, markersize=6)
        handles.append(
            Line2D([], [], color="none", marker="D", markerfacecolor="white", markeredgecolor=RED, markeredgewidth=1.6,
                   label=f"published mean, 2:8: {paper.text}")
        )  # fmt: skip
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(0, 1.12 * max(r["ideal_speedup"] for r in rows))
    axes.set_ylabel("speedup over dense")
    _legend(axes, min(5, len(handles)), handles=handles)
    return figure


def waterfall(study: StudyTables) -> Figure | None:
    rows = study.tables.get("waterfall", [])
    if not rows:
        return None
    names = _values(rows, "network")
    name = "mean" if "mean" in names else names[0]
    pattern = study.meta["detail_pattern"]
    rows = sorted((r for r in rows if r["network"] == name and r["pattern"] == pattern), key=lambda r: r["order"])
    figure, (axes,) = _figure(7.2, 3.6)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    labels = []
    for i, row in enumerate(rows):
        value, delta = row["speedup"], row["delta"]
        whole = i in (0, len(rows) - 1)
        left, size = (0.0, value) if whole else (min(value, value - delta), abs(delta))
        axes.barh(i, size, left=left, color=BLUE if whole else RED if delta < 0 else GREEN, height=0.7)
        text = f"{value:.3f}x" if whole else f"{delta:+.3f}"
        axes.text(left + size + 0.02, i, text, va="center", fontsize=8)
        labels.append(row["step"])
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(r["speedup"] for r in rows))
    axes.set_xlabel(f"speedup over dense, {name if name != 'mean' else 'mean of the five networks'}, BDWP {pattern}")
    return figure


def layers(study: StudyTables, network: str) -> Figure | None:
    """Cycles by layer and pass: left bar dense, right bar sparse."""
    rows = [r for r in study.tables["layers"] if r["network"] == network]
    passes = [p for p in PASS_COLOURS if any(r["phase"] == p for r in rows)]
    # element-wise layers and updates as one bar each
    weighted = {r["layer"] for r in rows if r["phase"] in ("FF", "BP", "WU") and not r["elementwise"]}
    names = [*(n for n in _values(rows, "layer") if n in weighted), "element-wise"]
    figure, (axes,) = _figure(max(5.0, 0.19 * len(names) + 1.4), 3.6)
    methods = _values(rows, "method")
    for m, method in enumerate(methods):
        bottom = np.zeros(len(names))
        for phase in passes:
            cycles = np.zeros(len(names))
            for r in rows:
                if (r["method"], r["phase"]) == (method, phase):
                    cycles[names.index(r["layer"] if r["layer"] in weighted else "element-wise")] += r["cycles"]
            at = np.arange(len(names)) + (m - (len(methods) - 1) / 2) * 0.42
            label = phase if m == 0 else None
            axes.bar(
                at,
                cycles / 1e6,
                0.38,
                bottom=bottom,
                color=PASS_COLOURS[phase],
                alpha=0.5 if m == 0 else 1,
                label=label,
            )
            bottom += cycles / 1e6
    texts = {"FF": "FF", "BP": "BP", "WU": "WU", "UP": "update"}
    handles = [mpl.patches.Patch(color=PASS_COLOURS[p], label=texts[p]) for p in passes]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_xlim(-0.7, len(names) - 0.3)
    axes.set_ylabel("million cycles")
    axes.set_xlabel(f"left bar, pale: dense; right bar: {methods[-1]} {study.meta['detail_pattern']}")
    _legend(axes, len(handles), handles=handles)
    return figure


def roofline(study: StudyTables) -> Figure | None:
    rows = study.tables.get("roofline", [])
    if not rows:
        return None
    methods = _values(rows, "method")
    figure, panels = _figure(8.2, 3.7, len(methods), sharex=True, sharey=True)
    peak, bandwidth = study.meta["peak_macs_per_cycle"], study.meta["dram_bytes_per_cycle"]
    reach = np.array([r["intensity"] for r in rows])
    x = np.geomspace(max(0.05, reach.min() / 2), reach.max() * 2, 200)
    for axes, method in zip(panels, methods, strict=True):
        axes.grid(axis="both", visible=True)
        axes.plot(x, np.minimum(peak, x * bandwidth), color=INK, linewidth=1)
        for phase, colour in PASS_COLOURS.items():
            mine = [r for r in rows if (r["method"], r["phase"]) == (method, phase)]
            if mine:
                axes.scatter(
                    [r["intensity"] for r in mine], [r["macs_per_cycle"] for r in mine], s=14, color=colour,
                    alpha=0.65, linewidths=0, label=phase,
                )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(method if method == "dense" else f"{method} {study.meta['detail_pattern']}", pad=22)
        axes.set_xlabel("multiplies a DRAM byte")
        _legend(axes, 3)
    panels[0].set_ylabel("useful multiplies a cycle")
    return figure


def shares(study: StudyTables, table: str, key: str, label: str) -> Figure | None:
    rows = study.tables.get(table, [])
    if not rows:
        return None
    steps = [(n, m) for n in networks(study) for m in _values([r for r in rows if r["network"] == n], "method")]
    figure, (axes,) = _figure(8.2, 0.34 * len(steps) + 1.2)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    left = np.zeros(len(steps))
    parts = [p for p in _values(rows, key) if any(r["share_of_dense"] for r in rows if r[key] == p)]
    for i, part in enumerate(parts):
        found = {(r["network"], r["method"]): r["share_of_dense"] for r in rows if r[key] == part}
        sizes = np.array([found[s] for s in steps])
        axes.barh(range(len(steps)), sizes, left=left, color=CYCLE[i], label=part, height=0.72)
        left += sizes
    axes.set_yticks(range(len(steps)), [f"{n} {m}" for n, m in steps])
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, left.max()) * 1.01)
    axes.set_xlabel(label)
    longest = max(len(p) for p in parts)
    _legend(axes, max(2, min(len(parts), 130 // (longest + 6))))
    return figure


def ablation(study: StudyTables) -> Figure | None:
    rows = study.tables.get("ablation", [])
    if not rows:
        return None
    names, variants = _values(rows, "network"), _values(rows, "variant")
    figure, (axes,) = _figure(max(5.0, 1.35 * len(names) + 1), 3.5)
    width = 0.84 / len(variants)
    for i, variant in enumerate(variants):
        mine = {r["network"]: r["speedup_over_all_off"] for r in rows if r["variant"] == variant}
        at = np.arange(len(names)) + (i - (len(variants) - 1) / 2) * width
        bars = axes.bar(at, [mine[n] for n in names], width * 0.92, color=CYCLE[i], label=variant)
        axes.bar_label(bars, fmt="%.1f", fontsize=6, padding=1)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("speedup over all off")
    _legend(axes, 3)
    return figure


METHOD_MARKERS = {
    "dense": ("*", GREY),
    "srste": ("o", BLUE),
    "sdgp": ("s", ORANGE),
    "sdwp": ("^", GREEN),
    "bdwp": ("D", RED),
}


def accuracy(study: StudyTables) -> Figure | None:
    """Difference to dense against speedup, a panel a task; the marker's size tells the pattern."""
    rows = study.tables.get("accuracy", [])
    if not rows:
        return None
    tasks = _values(rows, "task")
    patterns = [p for p in _values(rows, "pattern") if p != "dense"]
    sizes = {"dense": 8.0} | {p: 4.0 + 2.5 * i for i, p in enumerate(patterns)}
    figure, panels = _figure(3.0 * len(tasks) + 0.4, 3.6, len(tasks))
    for axes, task in zip(panels, tasks, strict=True):
        axes.grid(axis="both", visible=True)
        mine = [r for r in rows if r["task"] == task and r["delta"] is not None]
        points = next(r["metric"] for r in rows if r["task"] == task) == "accuracy"
        scale = 100 if points else 1
        for r in mine:
            marker, colour = METHOD_MARKERS[r["method"]]
            axes.errorbar(
                r["speedup"], r["delta"] * scale, yerr=(r["delta_std"] or 0) * scale, fmt=marker, color=colour,
                markersize=sizes[r["pattern"]], markerfacecolor="none", elinewidth=0.8,
            )  # fmt: skip
        axes.axhline(0, color=INK, linewidth=0.8)
        unit = "accuracy, points" if points else "bits per character"
        axes.set_ylabel(f"{unit}, minus dense")
        axes.set_xlabel("simulated speedup of a step")
        axes.set_title(task)
    look: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "none"}
    handles = [Line2D([], [], color=c, marker=m, label=n, **look) for n, (m, c) in METHOD_MARKERS.items()]
    handles += [Line2D([], [], color=INK, marker="o", markersize=sizes[p], label=p, **look) for p in patterns]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), fontsize=8)
    return figure


def training(study: StudyTables) -> Figure | None:
    rows = study.tables.get("training", [])
    if not rows:
        return None
    figure, (axes,) = _figure(5.6, 2.9)
    for i, (method, pattern) in enumerate(dict.fromkeys((r["method"], r["pattern"]) for r in rows)):
        mine = [r for r in rows if (r["method"], r["pattern"]) == (method, pattern)]
        label = method if method == "dense" else f"{method} {pattern}"
        axes.plot(
            [r["step"] for r in mine],
            [r["loss"] for r in mine],
            color=(GREY, RED, BLUE)[i % 3],
            linewidth=1,
            label=label,
        )
    axes.set_xlabel("training step")
    axes.set_ylabel("loss, nats")
    axes.set_ylim(0, None)
    axes.legend(fontsize=8)
    return figure
