# SPDX-License-Identifier: Apache-2.0
"""Cases of the STCE: random jobs, values and cycles against the clock level."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check, check_all

from ..command import Command, command_of, north_image, output_image, outputs, west_image
from ..config import SatConfig
from ..timing.clock import run_job
from .jobs import JobCase, random_case

ADDRESS_WIDTH = 16

COVERED = (
    SatConfig(rows=3, cols=3, mul_latency=2, add_latency=3),
    SatConfig(rows=3, cols=3, interleave_max=3, mul_latency=2, accumulate="exact", round_latency=2),
)
"""The arrays whose coverage is counted."""

MACHINES = (
    SatConfig(rows=1, cols=1, mul_latency=1, add_latency=1, interleave_max=1, weight_registers=1),
    SatConfig(rows=2, cols=3, mul_latency=2, add_latency=3, interleave_max=5, weight_registers=3, group_max=8),
    SatConfig(rows=3, cols=2, mul_latency=1, add_latency=6, interleave_max=7, weight_registers=5, group_max=5),
    SatConfig(rows=1, cols=5, mul_latency=5, add_latency=2, weight_registers=16, group_max=8),
    SatConfig(rows=4, cols=4, interleave_max=40),
    SatConfig(rows=5, cols=1, interleave_max=4),
    COVERED[1],
    SatConfig(rows=2, cols=2, interleave_max=1, accumulate="exact"),
    SatConfig(rows=8, cols=8),
)
"""Arrays that are built; port widths are drawn a case, for they are only constants of the command."""


def bench_of(config: SatConfig) -> Bench:
    """The STCE of a configuration."""
    names = ("ROWS", "COLS", "GROUP_MAX", "WEIGHT_REGS", "WORD", "INTERLEAVE_MAX", "MUL_LATENCY", "ADD_LATENCY",
             "EXACT", "ROUND_LATENCY")  # fmt: skip
    parameters = {n: config.verilog_parameters()[n] for n in names} | {"ADDRESS_WIDTH": ADDRESS_WIDTH}
    fields = ",".join(f"t.s_cmd_{name}=f[{i}]" for i, name in enumerate(Command._fields))
    defines: dict[str, str | int] = {"HAS_CLOCK": 1, "FIELDS": len(Command._fields), "SET(t,f)": fields}
    defines |= {"ROWS": config.rows, "COLS": config.cols, "WORD": config.word_elements}
    defines["ADDRESS_WIDTH"] = ADDRESS_WIDTH
    return Bench("stce", "hwsim.sat.bench:stce_main.cpp", parameters, defines, quick=config.rows * config.cols > 256)


def case_of(rng: np.random.Generator, drawn: JobCase, *, stress: bool = True) -> Case:
    """The case of a job; ``stress``: after a pause and, at times, after a reset in the middle of the same job."""
    config, job = drawn.config, drawn.job
    written = np.zeros((job.a, job.b), np.int64)
    result, cycles = run_job(job, drawn.x, drawn.values, drawn.positions, drawn.psum, written)
    west = west_image(config, job, drawn.x)
    north = north_image(config, job, drawn.values, drawn.positions)
    first = output_image(config, job, drawn.psum)
    fields = command_of(config, job, accumulate=drawn.psum is not None)
    idle = reset = 0
    if stress:
        idle, reset = int(rng.integers(0, 5)), int(rng.integers(1, 200)) if rng.random() < 0.1 else 0
    head = np.array([*fields, len(west), len(north), len(first), idle, reset, 2 * cycles + 1000], np.uint32)
    ones = np.ones((job.a, job.b), np.float32)
    expected = {
        "cycles": np.array([cycles], np.uint32),
        "output": output_image(config, job, result),
        "when": output_image(config, job, written.astype(np.uint32).view(np.float32)),
    }
    assert np.array_equal(outputs(config, job, expected["output"]), result.view(np.uint32))
    flow = "OS" if job.is_os else "WS"
    label = f"{job.rows} x {job.cols} {flow} {drawn.pattern} a={job.a} k={job.k} b={job.b} I={job.interleave}"
    stdin = b"".join(a.tobytes() for a in (head, west, north, first))
    return Case(label, stdin, expected, care=output_image(config, job, ones) != 0)


def stce(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """Random jobs on each of `MACHINES`, or on the one machine that was asked for."""
    machines: tuple[SatConfig, ...] = MACHINES if options.coverage is None else COVERED
    if options.machine is not None:
        machines = (options.machine,)
    count = -(-cases // len(machines))

    def work() -> Iterator[tuple[Bench, list[Case]]]:
        for config in machines:
            drawn = [random_case(rng, base=config, special=rng.random() < 0.3) for _ in range(count)]
            yield bench_of(config), [case_of(rng, d) for d in drawn]

    return check_all("stce", work(), options)


def stce_32x32(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """The paper's array, one job each of WS and OS, dense and sparse: that it builds and works at full size."""
    config = SatConfig()
    drawn = [random_case(rng, base=config, dataflow=d, length=80) for d in ("WS", "OS") for _ in range(2)]
    return check("stce_32x32", bench_of(config), [case_of(rng, d, stress=False) for d in drawn], options)
