# SPDX-License-Identifier: Apache-2.0
"""Clock level = tile level = functional level on random jobs: every bit and every cycle."""

from __future__ import annotations

import numpy as np
import pytest

from dataflow.errors import InputError
from dataflow.pattern import DENSE, NM
from hwsim.sat.bench.jobs import JobCase, job_case, random_case
from hwsim.sat.config import SatConfig
from hwsim.sat.timing.clock import run_job
from hwsim.sat.timing.functional import stce
from hwsim.sat.timing.job import array_job
from hwsim.sat.timing.tile import CAUSES, job_cycles

CASES, PARTS = 10_000, 20


def compare(case: JobCase) -> tuple[int, int]:
    """Cycles by clock and by tile level; asserts equal bits and that causes are counted once."""
    got, clock = run_job(case.job, case.x, case.values, case.positions, case.psum)
    want = stce(case.x, case.values, case.positions, None if case.positions is None else case.pattern, case.psum)
    assert np.array_equal(got.view(np.uint32), want.view(np.uint32)), case.job
    causes = np.zeros(len(CAUSES), np.int64)
    tile = job_cycles(case.job, causes)
    assert causes.min() >= 0, (case.job, causes)
    assert causes.sum() == tile, (case.job, causes)
    return clock, tile


@pytest.mark.parametrize("part", range(PARTS))
def test_random_jobs(part: int) -> None:
    rng = np.random.default_rng([2024, part])
    seen = set()
    for i in range(CASES // PARTS):
        case = random_case(rng, special=i % 4 == 0)
        clock, tile = compare(case)
        assert clock == tile, (case.config, case.job)
        seen.add((case.job.is_os, case.job.is_sparse))
    assert len(seen) == 4  # both dataflows, dense and sparse, really were drawn


@pytest.mark.parametrize("dataflow", ["WS", "OS"])
@pytest.mark.parametrize("pattern", ["dense", "2:8", "8:8", "2:16"])
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 16, 1), (31, 33, 7), (3, 129, 5), (65, 8, 9)])
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (4, 3), (8, 8)])
def test_corners(dataflow: str, pattern: str, size: tuple[int, int, int], rows: int, cols: int) -> None:
    nm = NM.parse(pattern)
    rng = np.random.default_rng(5)
    config = SatConfig(rows=rows, cols=cols)
    for interleave in (1, 3, 8, 16):
        clock, tile = compare(job_case(rng, config, size, dataflow, nm, interleave))  # type: ignore[arg-type]
        assert clock == tile


def test_full_array() -> None:
    """One 32 x 32 job of each kind."""
    rng = np.random.default_rng(9)
    config, nm = SatConfig(), NM(2, 8)
    for dataflow in ("WS", "OS"):
        for pattern in (DENSE, nm):
            clock, tile = compare(job_case(rng, config, (70, 600, 50), dataflow, pattern, 8))  # type: ignore[arg-type]
            assert clock == tile


@pytest.mark.parametrize(
    ("constant", "dataflow"),
    [("row_delay", "WS"), ("load_lead", "WS"), ("hazard", "WS"), ("drain_period", "OS"), ("round", "OS")],
)
def test_constants_are_least(constant: str, dataflow: str) -> None:
    """Each latency constant is needed: one cycle less gives wrong values in some job. So the test above can fail."""
    rng = np.random.default_rng(77)
    wrong = 0
    for _ in range(600):
        case = random_case(rng)
        job = case.job
        if bool(job.is_os) != (dataflow == "OS") or getattr(job, constant) < 2:
            continue
        broken = job._replace(**{constant: getattr(job, constant) - 1})
        try:
            got, _ = run_job(broken, case.x, case.values, case.positions, case.psum)
        except RuntimeError:  # never done
            wrong += 1
            continue
        want = stce(case.x, case.values, case.positions, None if case.positions is None else case.pattern, case.psum)
        wrong += not np.array_equal(got.view(np.uint32), want.view(np.uint32))
    assert wrong > 0


def test_wrong_jobs() -> None:
    config = SatConfig()
    with pytest.raises(InputError, match="job size"):
        array_job(config, "WS", (0, 1, 1), DENSE, 1)
    with pytest.raises(InputError, match="interleave 17"):
        array_job(config, "WS", (1, 1, 1), DENSE, 17)
    with pytest.raises(InputError, match="group_max=16"):
        array_job(config, "OS", (1, 1, 1), NM(2, 32), 4)
    job = array_job(config, "OS", (2, 3, 4), DENSE, 4)
    with pytest.raises(InputError, match="job operands"):
        run_job(job, np.zeros((2, 4), np.float16), np.zeros((3, 4), np.float16), None)
