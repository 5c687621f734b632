# SPDX-License-Identifier: Apache-2.0
"""Recording switching activity of SpAtten's core on a trace of attention, until `CYCLES` are reached."""

from __future__ import annotations

from pathlib import Path

from dataflow.attention.pruning import AttentionPruning
from dataflow.attention.trace import read_attention_trace
from hwsim.silicon.activity import Activity
from hwsim.spatten.run import SpattenRun
from hwsim.spatten.silicon import BLOCKS
from hwsim.verification.case import Case
from hwsim.verification.record import Say, activity_of, record_cases

from .attention import bench_of
from .trace import machine_for, trace_cases

CYCLES = 8_000


def record(folder: Path, say: Say) -> Activity:
    """Steps of an attention trace.

    Raises:
        InputError: no such trace or no tensors in it, no Verilator, RTL that answers wrongly.
    """
    meta, steps = read_attention_trace(folder)
    config = machine_for(steps)
    bench = bench_of(config)
    cases: list[Case] = []
    for case in trace_cases(config, AttentionPruning.model_validate(meta["settings"]), steps):
        cases.append(case)
        if sum(int(c.expected["cycles"][0]) for c in cases) >= CYCLES:
            break
    ran = SpattenRun(workload=str(folder), machine=config)
    rows = ran.run(ran.open()).steps
    taken = {(step["iteration"], step["layer"]) for step in steps[: len(cases)]}
    mine = [row for row in rows if (row["iteration"], row["layer"]) in taken]
    events = {
        name: float(sum(row[name] for row in mine)) for name in ("qk_macs", "pv_macs", "softmax_elements", "compared")
    }
    events["bytes"] = float(sum(row["dram_bytes"] for row in mine))
    label = f"{len(cases)} of {len(steps)} layers' steps"
    source = f"{meta['origin']}, {label}"
    return activity_of(bench, source, [record_cases(bench, cases, BLOCKS, label, events, say)])
