# SPDX-License-Identifier: Apache-2.0
"""Recorded switching: a program that multiplies moves the array, one that only waits for memory does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwsim.rtl_tools.verilator import build, run
from hwsim.sat.bench.core import MACHINES, MemoryImage, bench_of, program_case, random_program
from hwsim.sat.program import RUN, UPDATE, Program
from hwsim.sat.silicon import BLOCKS
from hwsim.silicon.activity import rates
from hwsim.verification.case import Case, differing
from hwsim.verification.enables import record_enables
from tests.support import tools

tools.verilator()

MACHINE = MACHINES[0]


def multiplying() -> Case:
    """A random program with a RUN and an UPDATE."""
    for seed in range(1000):
        program, memory, text = random_program(np.random.default_rng(seed), MACHINE)
        if {RUN, UPDATE} <= {op.kind for op in program.ops}:
            return program_case(program, memory, text)
    raise AssertionError("no such program")


def loading() -> Case:
    """Zeros into the west buffer."""
    program = Program(MACHINE)
    memory = MemoryImage(program)
    words = 8
    program.load("west", memory.place(bytes(words * 2 * MACHINE.word_elements * MACHINE.rows)), words)
    return program_case(program, memory, "a load of zeros")


@pytest.mark.rtl
def test_what_works_switches(tmp_path: Path) -> None:
    bench = bench_of(MACHINE)
    program = build(bench.top, bench.main, bench.parameters, bench.defines, trace=True, activity=True)
    found = {}
    for name, case in (("work", multiplying()), ("load", loading())):
        path = tmp_path / f"{name}.txt"
        answer = run(program, case.stdin, [str(path)])
        assert differing([case], answer) == ""
        wrong = replace(case, expected=case.expected | {"output": case.expected["output"] + 1})
        assert case.label in differing([wrong], answer)
        cycles, found[name] = rates(path, bench.top, BLOCKS)
        assert cycles >= int(case.expected["cycles"][0])
        assert all(0 <= rate <= 2 for modules in found[name].values() for rate in modules.values())
    for block, module in (("stce", "uspe"), ("wuve", "wuve_lane")):
        assert found["work"][block][module] > 0.001  # of a program that mostly loads and stores
        assert found["load"][block][module] < found["work"][block][module] / 5


@pytest.mark.rtl
def test_enables_of_what_works_are_high() -> None:
    """The design with counters answers as the RTL does."""
    tools.package("pyosys", "synth")
    work, load = (record_enables(bench_of(MACHINE), [case()], BLOCKS) for case in (multiplying, loading))
    assert 0 < work["stce"]["uspe"].high < 0.5
    assert load["stce"]["uspe"].high == 0
    assert load["rest"]["axi_read"].high > 0.2
