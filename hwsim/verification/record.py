# SPDX-License-Identifier: Apache-2.0
"""Recording switching activity: programs through a core, in Verilator; the answers are compared as `hwsim verify` does.

The machines are small: what an event takes in them is what it takes in a large one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dataflow.errors import InputError
from hwsim.rtl_tools.verilator import build, run
from hwsim.silicon.activity import Activity, Record, rates, rtl_digest

from .case import Bench, Case, differing
from .enables import record_enables

Say = Callable[[str], None]


def record_cases(
    bench: Bench,
    cases: Sequence[Case],
    blocks: Sequence[str],
    label: str,
    events: dict[str, float],
    say: Say,
    kind: str = "",
) -> Record:
    """Switching of a bench's scopes while it runs cases, one rate a block.

    Args:
        blocks: modules whose activity is recorded apart.
        events: what was done meanwhile, as energy is counted.
        kind: kind of run, where energy differs by it; empty: all runs are of one kind.

    Raises:
        InputError: no Verilator, no Yosys, RTL that answers wrongly.
    """
    say(f"co-simulation: {label}")
    program = build(bench.top, bench.main, bench.parameters, bench.defines, trace=True, activity=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "activity.txt"
        answer = run(program, b"".join(c.stdin for c in cases), [str(path)])
        if wrong := differing(cases, answer):
            raise InputError(f"rtl: {bench.top}: {wrong}: see hwsim verify")
        cycles, found = rates(path, bench.top, blocks)
    say(f"clock enables: {label}")
    enabled = record_enables(bench, cases, blocks)
    return Record(label=label, kind=kind, cycles=cycles, events=events, rates=found, enables=enabled)


def activity_of(bench: Bench, source: str, records: list[Record]) -> Activity:
    """What `hwsim.silicon.activity.reference_activity` reads again."""
    parameters: dict[str, Any] = dict(bench.parameters)
    return Activity(
        top=bench.top, parameters=parameters, rtl=rtl_digest(bench.top), source=source, records=tuple(records)
    )
