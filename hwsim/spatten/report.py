# SPDX-License-Identifier: Apache-2.0
"""SpAtten's part of a report, and of the page of claims. Nothing is computed here but positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.core.report import CLAIMS, Draw, Section
from hwsim.core.study import StudyTables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = list[dict[str, Any]]
KINDS = (("query_mb", "q"), ("key_mb", "keys"), ("lsb_mb", "LSBs of keys"), ("value_mb", "values"))


def report_sections() -> tuple[Section, ...]:
    """SpAtten's sections."""
    here = Path(__file__)
    title = "SpAtten: sparse attention"
    return (
        Section("spatten", title, "attention", here.with_name("report.md.j2"), figures, order=20),
        Section(
            "spatten", "SpAtten", "spatten_area", here.with_name("claims.md.j2"), claim_figures, order=20, page=CLAIMS
        ),
    )


def figures(study: StudyTables, draw: Draw) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of every figure the study has the tables for."""
    tables = study.tables
    rows = tables["ladder"]
    panels = {n: [(r["technique"], r["over_dense"]) for r in rows if r["workload"] == n] for n in _names(rows)}
    label = "speedup over the dense datapath (32-bit operands)"
    yield "attention-ladder", draw.steps(panels, label, level=1)
    rows = tables["attention_traffic"]
    moved = {n: [r for r in rows if r["workload"] == n] for n in _names(rows)}
    bars = {
        n: ([r["technique"] for r in m], {text: [r[key] for r in m] for key, text in KINDS}) for n, m in moved.items()
    }
    yield "attention-traffic", draw.stacked(bars, "DRAM traffic, MB")
    label = "share of the cycles of Q x K"
    yield "attention-causes", draw.stacked({"": _parts(tables["attention_causes"], "text", "share")}, label)
    label = "mean cycles of a query, from its fetch to its output"
    yield "attention-stages", draw.stacked({"": _parts(tables["stages"], "stage", "cycles")}, label)
    yield "attention-roofline", roofline(study, draw)
    yield "attention-baselines", baselines(tables["baselines"], draw)
    for name, size, label, key in (
        ("topk", "parallel", "comparators of a top-k engine", "spatten_topk_saturates"),
        ("sram", "sram_kb", "key and value SRAM, KiB each", "spatten_sram_saturates"),
    ):
        if tables.get(f"{name}_sweep"):
            yield f"attention-{name}", _sweep(tables[f"{name}_sweep"], size, label, key, draw)
    yield "topk-engine", topk_engine(tables["topk_engine"], draw)
    if tables.get("words"):
        yield "words", draw.tokens(tables["words"], "Words that are left, layer by layer")


def claim_figures(study: StudyTables, draw: Draw) -> Iterator[tuple[str, Figure]]:
    """Of the page of claims: the benchmarks' shares of their bound, area by block."""
    rows = study.tables["spatten_benchmarks"]
    shares = {d: [r["of_bound"] for r in rows if r["design"] == d] for d in _names(rows, "design")}
    names = [str(n) for n in _names(rows, "benchmark")]
    yield "spatten-benchmarks", draw.bars(names, shares, "bound over cycles", level=1)
    rows = study.tables["spatten_area"]
    parts = {"logic": [r["logic_mm2"] for r in rows], "SRAM": [r["sram_mm2"] for r in rows]}
    label = f"mm2 at {rows[0]['node_nm']} nm, cells and macros alone"
    yield "spatten-area", draw.stacked({"": ([r["block"] for r in rows], parts)}, label)


def _names(rows: Rows, key: str = "workload") -> list[Any]:
    return list(dict.fromkeys(r[key] for r in rows))


def _parts(rows: Rows, part: str, value: str) -> tuple[list[str], Mapping[str, list[float]]]:
    names = _names(rows)
    found = {(r["workload"], r[part]): r[value] for r in rows}
    return names, {p: [found.get((n, p), 0.0) for n in names] for p in _names(rows, part)}


def roofline(study: StudyTables, draw: Draw) -> Figure:
    """Every technique of every workload under the machine's roof; torch under its device's."""
    rows, cpu, meta = study.tables["ladder"], study.tables.get("attention_torch", []), study.meta
    figure, (axes,) = draw.figure(3.3 + 0.17 * (len(_names(rows)) + len(cpu) + 2))
    at = [r["flop_per_byte"] for r in [*rows, *cpu]]
    x = np.geomspace(min(at) / 2, 4 * max(at), 200)
    roof = np.minimum(x * meta["spatten_peak_bytes_per_s"] / 1e12, meta["spatten_peak_tflops"])
    axes.plot(x, roof, color=draw.ink, linewidth=1.2, label="the machine's roof")
    for i, name in enumerate(_names(rows)):
        colour = draw.palette[i % len(draw.palette)]
        points = [(r["flop_per_byte"], r["tflops"]) for r in rows if r["workload"] == name]
        axes.plot(*zip(*points, strict=True), "o", markersize=4, color=colour, alpha=0.5)
        axes.plot(*points[0], "s", markersize=6, color=colour)
        axes.plot(*points[-1], "o", markersize=8, color=colour, label=f"{name} (square: dense, circle: all techniques)")
    devices: dict[str, str] = {}
    for row in cpu:
        if row["device"] not in devices:
            devices[row["device"]] = "^v<>"[len(devices) % 4]
            roof = np.minimum(x * row["roof_gb_per_s"] / 1e3, row["roof_gflops"] / 1e3)
            axes.plot(
                x, roof, color=draw.muted, linewidth=1, linestyle="--", label=f"roof of this run's {row['device']}"
            )
        axes.plot(row["flop_per_byte"], row["gflops"] / 1e3, devices[row["device"]], markersize=6, color=draw.muted,
                  label=f"torch ({row['device']}), {row['model']}")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(axis="both", visible=True)
    axes.set_xlabel("operations (two a multiply) a DRAM byte")
    axes.set_ylabel("TFLOPS")
    draw.legend(axes, columns=1)
    return figure


def baselines(rows: Rows, draw: Draw) -> Figure:
    """Cycles of the others over SpAtten-1/8's, with the published figures."""
    machines = [m for m in _names(rows, "machine") if m != "SpAtten-1/8"]
    found = {(r["workload"], r["machine"]): r["slower"] for r in rows}
    series = {str(n): [found[n, m] for m in machines] for n in _names(rows)}
    marks: list[tuple[int, int | None, float]] = []
    for machine, key in (("A3", "spatten_over_a3"), ("MNNFast", "spatten_over_mnnfast")):
        paper = draw.published.get(key)
        if machine in machines and paper is not None and paper.value is not None:
            marks.append((machines.index(machine), None, paper.value))
    return draw.bars(machines, series, "cycles over SpAtten-1/8's", marks=marks, mark_text="published mean", level=1)


def _sweep(rows: Rows, key: str, label: str, paper: str, draw: Draw) -> Figure:
    """TFLOPS against a size, a panel a workload, a curve a number of engines; where the paper says it is flat."""
    panels: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for name in _names(rows):
        mine = [r for r in rows if r["workload"] == name]
        curves: dict[str, tuple[list[float], list[float]]] = {}
        for engines in dict.fromkeys(r.get("engines") for r in mine):
            curve = [r for r in mine if r.get("engines") == engines]
            text = "this machine" if engines is None else f"{engines} engine{'s' * (engines != 1)}"
            curves[text] = ([r[key] for r in curve], [r["tflops"] for r in curve])
        panels[name] = curves
    flat = draw.published.get(paper)
    level = None if flat is None or flat.value is None else (flat.value, "published: flat from here")
    return draw.curves(panels, label, "TFLOPS", binary=True, level=level)


def topk_engine(rows: Rows, draw: Draw) -> Figure:
    """Mean cycles of one top-k, against n, beside lines through the origin."""
    lines: dict[str, tuple[list[float], list[float]]] = {}
    dotted = {}
    for parallel in _names(rows, "parallel"):
        mine = [r for r in rows if r["parallel"] == parallel]
        n = [r["keys"] for r in mine]
        name = f"P = {parallel}"
        lines[name] = (n, [r["cycles"] for r in mine])
        lines[f"{name}, linear"] = (n, [r["linear"] for r in mine])
        dotted[f"{name}, linear"] = name
    label = "keys n (the largest quarter is kept; dotted: in proportion to n)"
    return draw.curves({"": lines}, label, "mean cycles", log="y", binary=True, dotted=dotted)
