# SPDX-License-Identifier: Apache-2.0
"""A study of SpAtten: workloads beside the dense datapath, the ladder of techniques, A3 and MNNFast, and two sweeps.

Every table is rows of plain values; a report shows them and computes nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dataflow.attention.workload import Workload
from hwsim.core.machine import Tick as Progress
from hwsim.core.measurements import measurement
from hwsim.core.study import StudyTables
from hwsim.core.version import command, facts

from .baselines import (
    HEADS,
    PARALLEL_TOPK,
    PROGRESSIVE,
    STATIC,
    STYLES,
    TOKENS,
    dense_of,
    heads_of,
    ladder,
    style,
)
from .config import SpattenConfig, eighth
from .energy import TABLE, counted_energy_j
from .result import ALL_CAUSES, CAUSE_TEXT, SpattenResult
from .timeline import STAGES, stages
from .timing.lower import KINDS, layers
from .timing.scores import Source, SyntheticScores
from .timing.simulate import simulate
from .timing.topk import mean_cycles

if TYPE_CHECKING:
    from .run import SpattenStudy

Row = dict[str, Any]
Tick = Callable[[str], None]
PARALLEL = (1, 2, 4, 8, 16, 32, 64)
ENGINES = (1, 2)
SRAM_KB = (24, 48, 96, 192, 384)
"""Sizes of each SRAM, KiB; the paper's 196 KB are 192 KiB."""
ENGINE_KEYS = (32, 64, 128, 256, 512, 1024)
SYNTHETIC, RECORDED = "synthetic", "recorded"
"""Source of a case's probabilities."""
LAST_RUNG = "all of them, recorded probabilities"


class Case(NamedTuple):
    """A workload of a study."""

    name: str
    workload: Workload
    note: str
    """Source of the workload, in words."""
    model: str = ""
    """Model whose sizes it has (`dataflow.attention.workload.MODELS`); empty: none of them."""
    traced: Source | None = None
    """Recorded importance and probabilities; None: synthetic."""


def _of(case: Case) -> str:
    """Whose sizes a case has, as published figures name it; empty: neither."""
    return "GPT-2" if case.model.startswith("gpt2") else "BERT" if case.model.startswith("bert") else ""


def runs(cases: Sequence[Case]) -> int:
    """How often `study` calls ``tick`` for the cases."""
    return sum(len(ladder(c.workload, SpattenConfig())) + len(STYLES) + 2 for c in cases) + len(_swept(cases))


def _encoder(case: Case) -> bool:
    return bool((case.workload.rows["query_num"] > 1).any())


def _swept(cases: Sequence[Case]) -> list[Case]:
    """The first case with one query a head, and the first with several: those the sweeps run."""
    first = {_encoder(c): c for c in reversed(cases)}
    return [first[kind] for kind in sorted(first)]


def study_tables(settings: SpattenStudy, progress: Progress) -> StudyTables:
    """The study of the settings' workloads, with torch's attention on this computer where torch is installed."""
    cases = settings.cases()
    machine = settings.machine
    total, done = runs(cases), itertools.count(1)
    tables = study(machine, cases, seed=settings.seed, spread=settings.spread,
                   tick=lambda text: progress(text, next(done), total))  # fmt: skip
    tables["attention_torch"] = _measured(cases, tables["attention"])
    meta: dict[str, Any] = {
        "title": "SpAtten: sparse attention, simulated",
        "command": command(),
        "spatten_config": machine.model_dump(mode="json"),
        "spatten_peak_bytes_per_s": machine.peak_bytes_per_s,
        "spatten_peak_tflops": machine.peak_tflops,
        "seed": settings.seed,
        "spread": settings.spread,
        **facts(),
    }
    return StudyTables(meta, tables)


def _measured(cases: Sequence[Case], simulated: list[Row]) -> list[Row]:
    """Torch's attention of the cases' models, on each device, beside SpAtten's time; none without torch."""
    measure = measurement("attention")
    if measure is None:
        return []
    rows: list[Row] = []
    for case, row in zip(cases, simulated, strict=True):
        length = row["length"] if row["encoder"] else None  # a decoder's rows have generated tokens, too
        for found in measure(case.model, case.workload.rows["iteration_id"].nunique(), length) if case.model else ():
            mine = row["microseconds"] / 1e3
            rows.append({"model": row["workload"], **found, "spatten_milliseconds": mine,
                         "speedup": found["milliseconds"] / mine})  # fmt: skip
    return rows


def study(
    config: SpattenConfig, cases: Sequence[Case], *, seed: int, spread: float, tick: Tick
) -> dict[str, list[Row]]:
    """The tables of a study.

    Args:
        config: the machine; A3 and MNNFast are compared with SpAtten-1/8.
        seed, spread: of drawn importance and probabilities.
    """
    tables: dict[str, list[Row]] = {
        name: [] for name in ("attention", "ladder", "attention_traffic", "attention_causes", "stages", "baselines",
                              "topk_sweep", "sram_sweep")
    }  # fmt: skip
    drawn = SyntheticScores(seed, spread, config.probability_bits)
    for case in cases:
        techniques = _ladder(config, case, drawn, tables, tick)
        found = _case(config, case, drawn, techniques, tables, tick)
        tables["stages"] += _stages(case.name, found)
        _baselines(case, drawn, tables, tick)
    for case in _swept(cases):
        tables["topk_sweep"] += _topk_sweep(config, case, drawn)
        tables["sram_sweep"] += _sram_sweep(config, case, drawn)
        tick(f"{case.name}: sweeps")
    tables["attention_headlines"] = _headlines(tables)
    tables["topk_engine"] = topk_engine()
    tables["attention_energy_table"] = [
        {"what": f.what, "value_pj": f.value_pj, "unit": f.unit, "technology": f.technology, "source": f.source}
        for f in TABLE
    ]
    return tables


def _run(config: SpattenConfig, workload: Workload, source: Source, name: str = "SpAtten") -> SpattenResult:
    used = style(name, config, source)
    return simulate(config, layers([workload.rows]), source, workload=workload.name, style_name=name, style=used)


def _energy(result: SpattenResult) -> float:
    """Energy without refresh, uJ."""
    return 1e6 * counted_energy_j(result.settings, result.steps)


def _tflops(result: SpattenResult) -> float:
    return 2e-12 * result.macs / result.seconds if result.cycles else 0.0


def _ladder(
    config: SpattenConfig, case: Case, drawn: Source, tables: dict[str, list[Row]], tick: Tick
) -> list[SpattenResult]:
    found: list[SpattenResult] = []
    for technique in ladder(case.workload, config):
        result = _run(technique.config, technique.workload, drawn, "dense" if technique.dense else "SpAtten")
        found.append(result)
        _technique(case, technique.name, SYNTHETIC, result, found, tables)
        tick(f"{case.name}: {technique.name}")
    return found


def _technique(
    case: Case,
    name: str,
    probabilities: str,
    result: SpattenResult,
    before: Sequence[SpattenResult],
    tables: dict[str, list[Row]],
) -> None:
    """A row of the ladder, and its traffic; ``before``: the techniques up to this one."""
    dense = before[0]
    tables["ladder"].append({
        "workload": case.name, "technique": name, "of": _of(case), "probabilities": probabilities,
        "cycles": result.cycles, "over_dense": dense.cycles / result.cycles,
        "over_previous": before[max(len(before) - 2, 0)].cycles / result.cycles,
        "dram_mb": result.dram_bytes / 1e6, "dram_ratio": dense.dram_bytes / result.dram_bytes,
        "energy_uj": _energy(result), "tflops": _tflops(result),
        "flop_per_byte": 2 * result.macs / result.dram_bytes,
        "memory_share": result.bounds()["memory"] / result.cycles,
    })  # fmt: skip
    tables["attention_traffic"].append(
        {"workload": case.name, "technique": name, **{f"{k}_mb": result.total(f"{k}_bytes") / 1e6 for k in KINDS}}
    )


def _case(
    config: SpattenConfig,
    case: Case,
    drawn: Source,
    techniques: list[SpattenResult],
    tables: dict[str, list[Row]],
    tick: Tick,
) -> SpattenResult:
    dense = techniques[0]
    result = techniques[-1] if case.traced is None else _run(config, case.workload, case.traced)
    rows = case.workload.rows
    operands = _run(config, dense_of(case.workload), drawn, "dense")
    tick(f"{case.name}: dense, {config.operand_bits}-bit operands")
    best = max((r for r in tables["ladder"] if r["workload"] == case.name), key=lambda r: r["over_dense"])
    if case.traced is not None:  # the same workload as the last technique: over it, what recorded probabilities change
        _technique(case, LAST_RUNG, RECORDED, result, [*techniques, result], tables)
    tables["attention"].append({
        "workload": case.name, "note": case.note, "of": _of(case), "encoder": _encoder(case),
        "probabilities": SYNTHETIC if case.traced is None else RECORDED,
        "synthetic_speedup": dense.cycles / techniques[-1].cycles,
        "heads": heads_of(rows), "length": int(rows["sentence_length_L"].max()), "queries": result.total("queries"),
        "lsb_recomputations": result.total("lsb_recomputations") / max(result.total("queries"), 1),
        "cycles": result.cycles,
        "microseconds": 1e6 * result.seconds, "speedup": dense.cycles / result.cycles,
        "speedup_operands": operands.cycles / result.cycles, "operand_bits": config.operand_bits,
        "best_technique": best["technique"], "best_over_dense": best["over_dense"],
        "dram_mb": result.dram_bytes / 1e6, "dram_ratio": dense.dram_bytes / result.dram_bytes,
        "dram_ratio_operands": operands.dram_bytes / result.dram_bytes,
        "macs_ratio": dense.macs / result.macs,
        "energy_uj": _energy(result), "refresh_uj": 1e6 * result.energy().components["dram_refresh"],
        "energy_ratio": _energy(dense) / _energy(result), "tflops": _tflops(result),
        "dense_tflops": _tflops(dense), "bound": result.bound, "bottleneck": result.bottleneck,
        "share_of_bound": result.share_of_bound, **{f"{k}_occupancy": v for k, v in result.occupancy.items()},
    })  # fmt: skip
    for cause in ALL_CAUSES:
        tables["attention_causes"].append({
            "workload": case.name, "cause": cause, "text": CAUSE_TEXT[cause],
            "share": result.total(f"{cause}_cycles") / result.cycles,
        })  # fmt: skip
    tick(case.name)
    return result


def _headlines(tables: dict[str, list[Row]]) -> list[Row]:
    """Ours for each published figure (of every workload that was run), the mean of those with the published figure's
    model, and what was counted of its causes: key, ours, value, why."""
    found: list[Row] = []

    def add(
        key: str, rows: list[Row], column: str, text: str = "{:.1f}x", why: Callable[[Row], str] = lambda r: "",
        of: str = "", largest: bool = False,
    ) -> None:  # fmt: skip
        """``of``: the model that the published figure is of; none: all. ``largest``: in place of the mean."""
        if rows:
            ours = "; ".join(f"{text.format(r[column], r)} ({r['workload']})" for r in rows)
            same = [r[column] for r in rows if not of or r["of"] == of]
            reasons = "; ".join(dict.fromkeys(filter(None, map(why, rows)))) or "–"
            value = (max(same) if largest else sum(same) / len(same)) if same else None
            found.append({"key": key, "ours": ours, "value": value, "why": reasons})

    def waits(row: Row) -> str:
        mine = [c for c in tables["attention_causes"] if c["workload"] == row["workload"] and c["cause"] != "qk"]
        worst = sorted(mine, key=lambda c: -float(c["share"]))[:2]
        return ", ".join(f"{c['text']} {c['share']:.0%}" for c in worst if c["share"] >= 0.05)

    every = tables["attention"]
    add("spatten_tflops_bert", [r for r in every if r["encoder"]], "tflops", "{:.2f}", waits, of="BERT")
    add("spatten_tflops_gpt2", [r for r in every if not r["encoder"]], "tflops", "{:.2f}", waits, of="GPT-2")
    for machine, name in (("A3", "a3"), ("MNNFast", "mnnfast")):
        mine = [r for r in tables["baselines"] if r["machine"] == machine]
        add(f"spatten_over_{name}", mine, "slower", "{:.2f}x",
            lambda r: f"{r['workload']}: {r['bottleneck']}")  # fmt: skip
        add(f"spatten_energy_over_{name}", mine, "more_energy", "{:.2f}x")
    techniques = [r for r in tables["ladder"] if r["probabilities"] == SYNTHETIC]
    by_name = {(r["workload"], r["technique"]): r for r in techniques}

    def moved(row: Row) -> str:
        """A technique's DRAM traffic, over that before it."""
        order = [r for r in techniques if r["workload"] == row["workload"]]
        before = order[max(order.index(row) - 1, 0)]
        less = before["dram_mb"] / row["dram_mb"]
        return f"{row['workload']}: {less:.2f}x less DRAM traffic by it; the choice is made beside the pipeline"

    for key, technique in (("tokens", TOKENS), ("heads", HEADS)):
        add(f"spatten_ladder_{key}", [r for r in techniques if r["technique"] == technique], "over_previous", "{:.2f}x",
            moved, of="GPT-2")  # fmt: skip
    add("spatten_parallel_topk", [r for r in techniques if r["technique"] == PARALLEL_TOPK], "over_previous",
        why=lambda r: f"{r['workload']}: {r['cycles']:,} cycles with 16 comparators, of which DRAM bytes at the peak "
        f"take {r['memory_share']:.0%}", of="GPT-2")  # fmt: skip
    quantized: list[Row] = []
    for name in dict.fromkeys(r["workload"] for r in techniques):
        last = by_name.get((name, PROGRESSIVE)) or by_name.get((name, STATIC))
        before = by_name.get((name, PARALLEL_TOPK))
        if last and before:
            quantized.append({**last, "gain": before["cycles"] / last["cycles"],
                              "bytes": before["dram_mb"] / last["dram_mb"]})  # fmt: skip
    add("spatten_quantization", quantized, "gain", "{:.2f}x",
        lambda r: f"{r['workload']}: {r['bytes']:.2f}x less DRAM traffic by it", of="GPT-2")  # fmt: skip
    for table, size, key in (("topk_sweep", "parallel", "topk"), ("sram_sweep", "sram_kb", "sram")):
        add(
            f"spatten_{key}_saturates",
            _saturation(tables[table], size),
            "size",
            "{}",
            lambda r: str(r["why"]),
            largest=True,
        )
    return found


def _saturation(rows: list[Row], size: str) -> list[Row]:
    """The smallest size of each workload (one engine) whose cycles are within 5% of the best's, and what the published
    one's cycles are over the best's."""
    found = []
    paper = {"parallel": 16, "sram_kb": 192}[size]
    for name in dict.fromkeys(r["workload"] for r in rows):
        mine = {r[size]: r["cycles"] for r in rows if r["workload"] == name and r.get("engines", 1) == 1}
        best = min(mine.values())
        why = f"{name}: {paper} take {mine[paper] / best:.2f}x the cycles of the best size" if paper in mine else ""
        found.append({"workload": name, "size": min(s for s, c in mine.items() if c <= 1.05 * best), "why": why})
    return found


def _stages(name: str, result: SpattenResult) -> list[Row]:
    """Mean cycles of a query in each stage."""
    totals = dict.fromkeys((stage for stage, _, _ in STAGES), 0)
    queries = result.queries.to_dict("records")
    for query in queries:
        for stage, start, end in stages(query):
            totals[stage] += end - start
    return [{"workload": name, "stage": stage, "cycles": v / max(len(queries), 1)} for stage, v in totals.items()]


def _baselines(case: Case, drawn: Source, tables: dict[str, list[Row]], tick: Tick) -> None:
    config = eighth()
    whole = dense_of(case.workload)
    first: SpattenResult | None = None
    for name in STYLES:
        result = _run(config, case.workload if name == "SpAtten" else whole, drawn, name)
        first = first or result
        tables["baselines"].append({
            "workload": case.name, "machine": "SpAtten-1/8" if name == "SpAtten" else name, "cycles": result.cycles,
            "slower": result.cycles / first.cycles, "energy_uj": _energy(result),
            "more_energy": _energy(result) / _energy(first), "dram_mb": result.dram_bytes / 1e6,
            "bound": result.bound, "bottleneck": result.bottleneck, "share_of_bound": result.share_of_bound,
        })  # fmt: skip
        tick(f"{case.name}: {name}")


def _topk_sweep(config: SpattenConfig, case: Case, drawn: Source) -> list[Row]:
    rows = []
    for engines in ENGINES:
        for parallel in PARALLEL:
            machine = config.changed(topk_parallel=parallel, value_topk_engines=engines)
            result = _run(machine, case.workload, drawn)
            rows.append({"workload": case.name, "engines": engines, "parallel": parallel, "cycles": result.cycles,
                         "tflops": _tflops(result), "topk_busy": result.occupancy["top-k"]})  # fmt: skip
    return rows


def _sram_sweep(config: SpattenConfig, case: Case, drawn: Source) -> list[Row]:
    rows = []
    for kb in SRAM_KB:
        machine = config.changed(key_sram_bytes=kb << 10, value_sram_bytes=kb << 10)
        result = _run(machine, case.workload, drawn)
        rows.append({"workload": case.name, "sram_kb": kb, "cycles": result.cycles, "tflops": _tflops(result),
                     "dram_mb": result.dram_bytes / 1e6})  # fmt: skip
    return rows


def topk_engine(draws: int = 200) -> list[Row]:
    """Mean cycles of a top-k over random keys, k = n / 4, against n and P, and n / P times what the largest n takes."""
    rng = np.random.default_rng(0)
    rows = []
    for parallel in (1, 4, 16, 64):
        found = {n: mean_cycles(n, n // 4, parallel, draws, rng) for n in ENGINE_KEYS}
        each = found[ENGINE_KEYS[-1]] / ENGINE_KEYS[-1]
        rows += [{"parallel": parallel, "keys": n, "cycles": c, "linear": each * n} for n, c in found.items()]
    return rows
