# SPDX-License-Identifier: Apache-2.0
"""The paper's 30 benchmarks on SpAtten's designs and its rivals; what each change from a design to another is worth.

Every number is of a whole benchmark, never of a sample. Bounds are of a workload alone (`dataflow.attention.demand`);
no machine that keeps the same keys, values and bits takes fewer cycles than the larger of its multiplies over the
multipliers and its DRAM bytes over a bandwidth. Two bandwidths are shown: the data buses' peak, and what the memory
model gives consecutive addresses (`sequential_bytes_per_cycle`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np

from dataflow.attention.benchmarks import Benchmark, benchmark_settings, benchmarks
from dataflow.attention.demand import demand
from dataflow.attention.workload import Workload
from hwsim.memory.config import DramConfig
from hwsim.memory.run import run as run_memory
from hwsim.silicon.cost import EventEnergy, Silicon

from .config import SpattenConfig, eighth
from .energy import counted_energy_j
from .result import SpattenResult
from .run import SpattenRun
from .silicon import REFRESH, energy_rtl

Row = dict[str, Any]
Tick = Callable[[str], None]
PAPER, OURS = "paper", "streaming"
"""Designs that run all benchmarks."""
FAMILIES = ("BERT", "GPT-2")
SEQUENTIAL_TRANSACTIONS = 1 << 16
"""Transactions of the sequential stream that is measured: 2 MiB, thousands of rows."""


def family(benchmark: Benchmark) -> str:
    """The model's family, as published figures name it."""
    return "GPT-2" if benchmark.model.startswith("gpt2") else "BERT"


@cache
def sequential_bytes_per_cycle(memory: DramConfig) -> float:
    """What the memory model gives reads of consecutive addresses, bytes a clock of the memory."""
    address = np.arange(SEQUENTIAL_TRANSACTIONS, dtype=np.int64) * memory.transaction_bytes
    found = run_memory(memory, address)
    return found.bytes / found.cycles


class Bounds(NamedTuple):
    """Least cycles of a workload, from its rows alone."""

    peak: float
    """With the data buses' peak."""
    sequential: float
    """With what a sequential stream reaches."""
    multiplies: float
    """Of attention, recomputations among them."""
    dense_multiplies: float
    """Of the same model and sentence without any technique."""
    dense_bytes: float
    """The same, in operands of 32 bits."""
    bytes: float
    """Of the workload, packed to their bits."""


def bounds(workload: Workload, config: SpattenConfig) -> Bounds:
    """Bounds of a workload on so many multipliers and such a memory; the memory's own scheduling does not count: the
    sequential stream is that of the standard's usual controller."""
    total = demand(workload.rows, config.operand_bits).sum()
    arrays = max((total.qk_multiplies + total.again_multiplies) / config.qk_multipliers,
                 total.pv_multiplies / config.pv_multipliers)  # fmt: skip
    moved = total.query_bytes + total.key_bytes + total.lsb_bytes + total.value_bytes
    usual = DramConfig(standard=config.memory.standard, channels=config.memory.channels)
    clocks = float(config.memory_steps) / usual.steps
    peak, sequential = usual.peak_bytes_per_cycle * clocks, sequential_bytes_per_cycle(usual) * clocks
    return Bounds(
        max(arrays, moved / peak), max(arrays, moved / sequential),
        float(total.qk_multiplies + total.again_multiplies + total.pv_multiplies),
        float(total.dense_multiplies), float(total.dense_bytes), float(moved),
    )  # fmt: skip


def simulated(
    name: str, machine: SpattenConfig, style: str = "SpAtten", *, length: int | None = None
) -> tuple[SpattenResult, Workload]:
    """A benchmark or another workload on a machine, and the rows that it ran.

    Args:
        length: of a benchmark; none, or that of a benchmark whose length its file says: its own.
    """
    if name in benchmarks() and benchmark_settings(benchmarks()[name].settings).file:
        length = None
    run = SpattenRun(workload=name, machine=machine, style=style, length=length)
    opened = run.open()
    assert opened.whole is not None
    return run.run(opened), opened.whole


class Costs(NamedTuple):
    """What a design's energy from the RTL needs."""

    built: Silicon
    events: EventEnergy


def on_all_cores(function: Callable[..., Row], jobs: Sequence[tuple[Any, ...]], what: str, tick: Tick) -> list[Row]:
    """Rows of independent jobs, in their order, a process a core; ``tick`` hears how many are done."""
    workers = min(os.cpu_count() or 1, len(jobs))
    if workers < 2:
        return [function(*job) for job in jobs]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        futures = [pool.submit(function, *job) for job in jobs]
        for i, _ in enumerate(as_completed(futures)):
            tick(f"{what}: {i + 1} of {len(jobs)}")
        return [future.result() for future in futures]


def benchmark_rows(tick: Tick, costs: Mapping[str, Costs] | None = None) -> list[Row]:
    """A row a benchmark and design: cycles, bounds, the dense machine, traffic, energy.

    Args:
        costs: by design; then with energy from the RTL's cells.
    """
    jobs = [(name, benchmark, design, costs and costs[design])
            for name, benchmark in benchmarks().items() for design in (PAPER, OURS)]  # fmt: skip
    return on_all_cores(_row, jobs, "benchmarks on both designs", tick)


def _row(name: str, benchmark: Benchmark, design: str, costs: Costs | None) -> Row:
    machine = SpattenConfig(design=design)
    result, workload = simulated(name, machine, length=benchmark.length)
    dense, _ = simulated(name, machine, "dense", length=benchmark.length)
    dense_cycles, least = dense.cycles, bounds(workload, machine)
    dense_gop = 2e-9 * least.dense_multiplies
    row: Row = {
        "benchmark": name, "family": family(benchmark), "length": benchmark.length, "design": design,
        "cycles": result.cycles, "ms": 1e3 * result.seconds,
        "tflops": 2e-12 * result.macs / result.seconds,
        "tflops_once": 2e-12 * (result.macs - result.total("again_macs")) / result.seconds,
        "of_peak_bound": least.peak / result.cycles, "of_bound": least.sequential / result.cycles,
        "over_dense": dense_cycles / result.cycles,
        "dense_gop": dense_gop, "gop": 2e-9 * result.macs, "dense_gop_per_s": dense_gop / result.seconds,
        "dram_mb": result.dram_bytes / 1e6, "dram_reduction": least.dense_bytes / result.dram_bytes,
        "packed_reduction": least.dense_bytes / least.bytes,
        "multiply_reduction": least.dense_multiplies / (result.macs - result.total("again_macs")),
        "energy_uj": 1e6 * counted_energy_j(result.settings, result.steps),
        "refresh_uj": 1e6 * result.energy().components["dram_refresh"],
    }  # fmt: skip
    if costs is not None:
        rows = energy_rtl(result.settings, result.steps, costs.events, costs.built)
        row["rtl_uj"] = 1e6 * sum(r["rtl_j"] for r in rows if r["what"] != REFRESH)
        row["area_mm2"] = costs.built.area_mm2()
    return row


def family_rows(rows: Sequence[Row]) -> list[Row]:
    """Arithmetic means by design over BERT's 22, GPT-2's 8 and all, as the paper averages; the least share of the
    bound; the second design over the first where both ran."""
    found: list[Row] = []
    first: dict[str, Row] = {}
    for design in dict.fromkeys(r["design"] for r in rows):
        for name in (*FAMILIES, "all"):
            mine = [r for r in rows if r["design"] == design and name in (r["family"], "all")]
            row: Row = {
                "design": design, "family": name, "benchmarks": len(mine),
                **{column: _mean(r[column] for r in mine) for column in (
                    "tflops", "tflops_once", "of_peak_bound", "of_bound", "over_dense", "dram_reduction",
                    "packed_reduction", "multiply_reduction", "dense_gop_per_s")},
                "least_of_bound": min(r["of_bound"] for r in mine),
                "least_over_dense": min(r["over_dense"] for r in mine),
                "gop_per_j": _mean(1e6 * r["dense_gop"] / r["energy_uj"] for r in mine),
            }  # fmt: skip
            if "rtl_uj" in mine[0]:
                row["gop_per_s_mm2"] = _mean(r["dense_gop_per_s"] / r["area_mm2"] for r in mine)
                row["gop_per_j_rtl"] = _mean(1e6 * r["dense_gop"] / r["rtl_uj"] for r in mine)
            base = first.setdefault(name, row)
            for column in ("dense_gop_per_s", "gop_per_s_mm2", "gop_per_j", "gop_per_j_rtl"):
                if column in row:
                    row[f"{column}_over_first"] = row[column] / base[column]
            found.append(row)
    return found


def _mean(values: Iterable[float]) -> float:
    """Arithmetic mean."""
    found = list(values)
    return sum(found) / len(found)


RIVALS = ("A3", "MNNFast")


def rival_rows(tick: Tick) -> list[Row]:
    """A row a benchmark: SpAtten-1/8, and A3 and MNNFast simulated on its multipliers, lanes, SRAMs and memory."""
    return on_all_cores(_rivals, list(benchmarks().items()), "SpAtten-1/8, A3 and MNNFast", tick)


def _rivals(name: str, benchmark: Benchmark) -> Row:
    machine = eighth()
    mine, workload = simulated(name, machine, length=benchmark.length)
    gop = 2e-9 * bounds(workload, machine).dense_multiplies
    joules = counted_energy_j(machine, mine.steps)
    row: Row = {
        "benchmark": name, "family": family(benchmark), "ms": 1e3 * mine.seconds,
        "dense_gop_per_s": gop / mine.seconds, "gop_per_j": gop / joules,
    }  # fmt: skip
    for rival in RIVALS:
        result, _ = simulated(name, machine, rival, length=benchmark.length)
        theirs = counted_energy_j(machine, result.steps)
        key = rival.lower()
        row |= {f"{key}_slower": result.cycles / mine.cycles, f"{key}_energy": theirs / joules,
                f"{key}_gop_per_s": gop / result.seconds, f"{key}_gop_per_j": gop / theirs}  # fmt: skip
    return row


def rival_means(rows: Sequence[Row]) -> list[Row]:
    """Means of `rival_rows` over BERT's, GPT-2's and all."""
    numbers = [k for k in rows[0] if k not in ("benchmark", "family")]
    return [
        {"family": name, **{k: _mean(r[k] for r in rows if name in (r["family"], "all")) for k in numbers}}
        for name in (*FAMILIES, "all")
    ]


class Change(NamedTuple):
    """A difference between the paper's design and ours."""

    name: str
    fields: tuple[str, ...]
    """Of `SpattenConfig`; ``memory.`` in front of the memory's."""


CHANGES = (
    Change("top-k of values led by a histogram", ("topk_engine",)),
    Change("128 queries in flight, a ring of 8,192 scores", ("queries_in_flight", "score_tokens")),
    Change("32 heads in flight", ("heads_in_flight",)),
    Change("crossbars choose among four requests", ("crossbar_window",)),
    Change("places: planes, heads 32 bytes apart", ("layout", "stagger_bytes")),
    Change("channels change every 64 bytes", ("memory.piece_bytes",)),
    Change("eight banks in turn, exchanged by row bits", ("memory.turning_banks", "memory.xor_banks")),
    Change("memory queue of 64", ("memory.queue",)),
    Change("techniques left off where they do not pay", ("leave_off",)),
)


def changed(base: SpattenConfig, change: Change, other: str) -> SpattenConfig:
    """A machine whose fields of a change are those of another design."""
    theirs = SpattenConfig(design=other)
    fields: dict[str, Any] = {}
    memory = base.memory.model_dump()
    for path in change.fields:
        if path.startswith("memory."):
            name = path.removeprefix("memory.")
            memory[name] = getattr(theirs.memory, name)
        else:
            fields[path] = getattr(theirs, path)
    return base.changed(**fields, memory=DramConfig.model_validate(memory))


def change_rows(tick: Tick, workloads: Sequence[str]) -> list[Row]:
    """What each change is worth: cycles of the paper's design over those with it alone, and of ours without it alone
    over ours, a row a change and workload."""
    machines = [SpattenConfig(design=design) for design in (PAPER, OURS)]
    for change in CHANGES:
        machines += [changed(machines[0], change, OURS), changed(machines[1], change, PAPER)]
    jobs = [(name, machine) for name in workloads for machine in machines]
    cycles = iter([row["cycles"] for row in on_all_cores(_cycles, jobs, "changes from design to design", tick)])
    found = []
    for name in workloads:
        paper, ours = next(cycles), next(cycles)
        each = [(change.name, next(cycles), next(cycles)) for change in CHANGES]
        found += [{"workload": name, "change": what, "paper_cycles": paper, "alone_cycles": alone,
                   "alone": paper / alone, "without_cycles": without, "ours_cycles": ours, "last": without / ours}
                  for what, alone, without in [*each, ("all of them", ours, paper)]]  # fmt: skip
    return found


def _cycles(name: str, machine: SpattenConfig) -> Row:
    return {"cycles": simulated(name, machine)[0].cycles}


def unnamed_changes() -> set[str]:
    """Fields in which the designs differ and that no change names: there should be none."""
    paper, ours = (SpattenConfig(design=d).model_dump() for d in (PAPER, OURS))
    differ = {k for k in paper if k not in ("design", "memory") and paper[k] != ours[k]}
    differ |= {f"memory.{k}" for k, v in paper["memory"].items() if v != ours["memory"][k]}
    return differ ^ set(itertools.chain.from_iterable(c.fields for c in CHANGES))
