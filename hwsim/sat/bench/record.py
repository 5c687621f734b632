# SPDX-License-Identifier: Apache-2.0
"""Recording switching activity of SAT's core on a traced training step.

A trace is long: programs are run in order until `CYCLES` are reached, layer by layer.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from dataflow.training.trace import Trace
from hwsim.sat.config import Accumulate
from hwsim.sat.silicon import BLOCKS
from hwsim.silicon.activity import Activity, Record
from hwsim.verification.record import Say, activity_of, record_cases

from .core import bench_of, core_config, program_case
from .step import step_programs

CYCLES = 60_000
MACHINE = core_config(4, 4).model_copy(
    update={"west_buffer_bytes": 1 << 18, "north_buffer_bytes": 1 << 17, "output_buffer_bytes": 1 << 16,
            "state_buffer_bytes": 1 << 13}
)  # fmt: skip
EXACT_MACHINE = MACHINE.model_copy(update={"accumulate": "exact", "interleave_max": 1})


def record(folder: Path, say: Say, accumulate: Accumulate = "binary32") -> Activity:
    """Layers of a traced training step, one sample each: FF, WU, BP and the update.

    Raises:
        InputError: no such trace, no Verilator, RTL that answers wrongly.
    """
    trace = Trace.read(folder)
    machine = MACHINE if accumulate == "binary32" else EXACT_MACHINE
    works = step_programs(trace, machine, trace.steps[0], samples=1)
    bench = bench_of(machine)
    records: list[Record] = []
    for layer, group in groupby(works, key=lambda work: work.layer):
        for work in group:
            case = program_case(work.program, work.memory, work.label)
            records.append(record_cases(bench, [case], BLOCKS, work.label, work.events, say, work.kind))
        if sum(r.cycles for r in records) >= CYCLES:
            say(f"{layer} was the last layer")
            break
    source = f"{trace.meta.network.name}, {trace.pattern}, step {trace.steps[0]}, one sample"
    return activity_of(bench, source, records)
