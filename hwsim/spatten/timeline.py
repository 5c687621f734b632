# SPDX-License-Identifier: Apache-2.0
"""A run as a Chrome / Perfetto trace: a track a unit, and a track a slot with each query's way.

A unit's slice is the time in which it takes a query's rows; a slot's slices are what the query waits for and is in.
Times are cycles at the machine's clock. Only the first `QUERIES` queries are written: viewers do not like more.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataflow.files import write_text

from .result import SpattenResult

QUERIES = 20_000
STAGES = (
    ("fetch q and keys", "admitted", "loaded"),
    ("wait for Q x K", "loaded", "dot"),
    ("Q x K", "dot", "scored"),
    ("wait for exp", "scored", "exp"),
    ("exp, sum", "exp", "summed"),
    ("LSBs, again", "summed", "summed_again"),
    ("wait for divide", "summed", "divide"),
    ("divide", "divide", "weighed"),
    ("wait for top-k", "weighed", "topk"),
    ("top-k", "topk", "chosen"),
    ("fetch values", "chosen", "values"),
    ("wait for prob x V", "values", "output"),
    ("prob x V", "output", "end"),
)
"""A query's way as (name, from, to), names of `pipeline.LOG`; a query without recomputation has no "LSBs, again"."""
_UNITS = (
    ("Q x K", "dot", "dot_busy"), ("Q x K", "dot_again", "dot_busy"), ("exp, sum", "exp", "row_busy"),
    ("exp, sum", "exp_again", "row_busy"), ("divide", "divide", "row_busy"), ("top-k", "topk", "chosen"),
    ("prob x V", "output", "output_busy"),
)  # fmt: skip


def stages(query: Mapping[Any, int]) -> list[tuple[str, int, int]]:
    """A query's stages (name, first cycle, last), without empty ones."""
    found = []
    for name, start, end in STAGES:
        if name == "wait for divide" and query["summed_again"] >= 0:
            start = "summed_again"
        if query[start] >= 0 and query[end] > query[start]:
            found.append((name, query[start], query[end]))
    return found


def write_timeline(result: SpattenResult, path: Path) -> None:
    """Write the trace's JSON."""
    frequency = int(result.config["frequency_hz"]) / 1e6  # cycles a microsecond
    events: list[dict[str, Any]] = []
    for pid, name in ((1, f"{result.style}: {result.workload}, units"), (2, "slots: queries in flight")):
        events.append({"name": "process_name", "ph": "M", "pid": pid, "args": {"name": name}})
    units = list(dict.fromkeys(u for u, _, _ in _UNITS))
    for i, unit in enumerate(units):
        events.append({"name": "thread_name", "ph": "M", "pid": 1, "tid": i, "args": {"name": unit}})

    def add(pid: int, tid: int, name: str, start: int, end: int) -> None:
        events.append({"name": name, "ph": "X", "pid": pid, "tid": tid, "ts": start / frequency,
                       "dur": (end - start) / frequency})  # fmt: skip

    taken: list[tuple[int, int]] = []  # (end, slot), the soonest first
    slots = 0
    for query in result.queries.head(QUERIES).sort_values("admitted", kind="stable").to_dict("records"):
        whose = f"i{query['iteration']} l{query['layer']} h{query['head']}"
        for unit, start, busy in _UNITS:
            begin = int(query[start])
            if begin >= 0:
                end = int(query[busy]) + (0 if busy == "chosen" else begin)
                add(1, units.index(unit), whose, begin, end)
        if taken and taken[0][0] <= query["admitted"]:
            _, slot = heapq.heappop(taken)
        else:
            slot, slots = slots, slots + 1
        heapq.heappush(taken, (query["end"], slot))
        add(2, slot, whose, query["admitted"], query["end"])
        for stage, begin, end in stages(query):
            add(2, slot, stage, begin, end)
    for slot in range(slots):
        events.append({"name": "thread_name", "ph": "M", "pid": 2, "tid": slot, "args": {"name": f"slot {slot}"}})
    write_text(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}) + "\n")
