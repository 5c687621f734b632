# SPDX-License-Identifier: Apache-2.0
"""Recording switching activity: traces of real training steps and real attention through the cores, in Verilator.

The machines are small, what an event takes in them is what it takes in a large one. A trace is long: programs and steps
are run in order until `SAT_CYCLES` or `SPATTEN_CYCLES` are reached. The answers are compared as `hwsim verify` does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from dataflow.attention.pruning import AttentionPruning
from dataflow.attention.trace import read_attention_trace
from dataflow.errors import InputError
from dataflow.training.trace import Trace
from hwsim.rtl_tools.verilator import build, run
from hwsim.sat import silicon as sat
from hwsim.sat.bench.core import bench_of as core_bench
from hwsim.sat.bench.core import core_config, program_case
from hwsim.sat.bench.step import step_programs
from hwsim.spatten import silicon as spatten
from hwsim.spatten.bench.attention import bench_of as attention_bench
from hwsim.spatten.bench.trace import machine_for, trace_cases
from hwsim.spatten.run import SpattenRun

from ..silicon.activity import Activity, Record, rates, rtl_digest
from .case import Bench, Case, differing

SAT_CYCLES = 60_000
SPATTEN_CYCLES = 8_000
SAT_MACHINE = core_config(4, 4).model_copy(
    update={"west_buffer_bytes": 1 << 18, "north_buffer_bytes": 1 << 17, "output_buffer_bytes": 1 << 16,
            "state_buffer_bytes": 1 << 13}
)  # fmt: skip
Say = Callable[[str], None]


def record_sat(folder: Path, say: Say) -> Activity:
    """Layers of a traced training step, one sample each: FF, WU, BP and the update.

    Raises:
        InputError: no such trace, no Verilator, RTL that answers wrongly.
    """
    trace = Trace.read(folder)
    works = step_programs(trace, SAT_MACHINE, trace.steps[0], samples=1)
    bench = core_bench(SAT_MACHINE)
    records: list[Record] = []
    for layer, group in groupby(works, key=lambda work: work.label.rpartition(".")[0].partition(" ")[0]):
        for work in group:
            case = program_case(work.program, work.memory, work.label)
            records.append(_record(bench, [case], sat.BLOCKS, work.label, work.events, say))
        if sum(r.cycles for r in records) >= SAT_CYCLES:
            say(f"{layer} was the last layer")
            break
    source = f"{trace.meta.network.name}, {trace.pattern}, step {trace.steps[0]}, one sample"
    return _activity(bench, source, records)


def record_spatten(folder: Path, say: Say) -> Activity:
    """Steps of an attention trace.

    Raises:
        InputError: no such trace or no tensors in it, no Verilator, RTL that answers wrongly.
    """
    meta, steps = read_attention_trace(folder)
    config = machine_for(steps)
    bench = attention_bench(config)
    cases: list[Case] = []
    for case in trace_cases(config, AttentionPruning.model_validate(meta["settings"]), steps):
        cases.append(case)
        if sum(int(c.expected["cycles"][0]) for c in cases) >= SPATTEN_CYCLES:
            break
    ran = SpattenRun(workload=str(folder), machine=config)
    rows = ran.run(ran.open()).rows
    taken = {(step["iteration"], step["layer"]) for step in steps[: len(cases)]}
    mine = [row for row in rows if (row["iteration"], row["layer"]) in taken]
    events = {name: float(sum(row[name] for row in mine)) for name in ("qk_macs", "pv_macs", "rows", "compared")}
    events["bytes"] = float(sum(row["dram_bytes"] for row in mine))
    label = f"{len(cases)} of {len(steps)} layers' steps"
    source = f"{meta['origin']}, {label}"
    return _activity(bench, source, [_record(bench, cases, spatten.BLOCKS, label, events, say)])


def _record(
    bench: Bench, cases: Sequence[Case], blocks: Sequence[str], label: str, events: dict[str, float], say: Say
) -> Record:
    say(f"co-simulation: {label}")
    program = build(bench.top, bench.main, bench.parameters, bench.defines, trace=True, activity=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "activity.txt"
        answer = run(program, b"".join(c.stdin for c in cases), [str(path)])
        if wrong := differing(cases, answer):
            raise InputError(f"rtl: {bench.top}: {wrong}: see hwsim verify")
        cycles, found = rates(path, bench.top, blocks)
    return Record(label=label, cycles=cycles, events=events, rates=found)


def _activity(bench: Bench, source: str, records: list[Record]) -> Activity:
    parameters: dict[str, Any] = dict(bench.parameters)
    return Activity(
        top=bench.top, parameters=parameters, rtl=rtl_digest(bench.top), source=source, records=tuple(records)
    )
