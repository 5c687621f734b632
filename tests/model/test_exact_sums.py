# SPDX-License-Identifier: Apache-2.0
"""``accumulate: exact``: both levels against rational numbers, order, limits, and what is refused by name."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dataflow.errors import InputError
from dataflow.mapping.lowering import lower
from dataflow.networks.network import Conv, Network
from dataflow.pattern import NM
from dataflow.training.methods import Method
from hwsim.core.kernels import kernel
from hwsim.sat.bench.jobs import halves, powers, random_case
from hwsim.sat.config import EXACT_CARRY_BITS, SatConfig
from hwsim.sat.result import CAUSES
from hwsim.sat.timing.clock import run_job
from hwsim.sat.timing.exact import added, exact_sums, product, rounded
from hwsim.sat.timing.functional import stce
from hwsim.sat.timing.job import array_job
from hwsim.sat.timing.masked import masked_product
from hwsim.sat.timing.step import limits_of, make_schedule, simulate
from hwsim.sat.timing.tile import job_cycles

EXACT = SatConfig(rows=3, cols=2, accumulate="exact")


def nearest32(value: Fraction) -> np.float32:
    """The binary32 number nearest to a rational number, ties to even: by comparing with the neighbours."""
    guess = np.float32(float(value))
    around = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    return min(around, key=lambda y: (abs(Fraction(float(y)) - value), int(y.view(np.uint32)) & 1))


def rational(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """float32[a, b] of x w, in rational numbers."""
    out = np.zeros((len(x), w.shape[1]), np.float32)
    for i in range(len(x)):
        for j in range(w.shape[1]):
            pairs = [(float(p), float(q)) for p, q in zip(x[i], w[:, j], strict=True)]
            with np.errstate(invalid="ignore"):
                odd = [np.float64(p) * np.float64(q) for p, q in pairs if not np.isfinite(p) or not np.isfinite(q)]
                special = sum(odd, np.float64(0.0))
            if odd:
                out[i, j] = np.float32(np.nan) if np.isnan(special) else special
            else:
                out[i, j] = nearest32(sum((Fraction(p) * Fraction(q) for p, q in pairs), Fraction(0)))
    return out


def bits(x: np.ndarray) -> np.ndarray:
    nan = np.isnan(x)
    return np.where(nan, 0x7FC00000, x.view(np.uint32))


@pytest.mark.parametrize("draw", [lambda r, s: halves(r, s, False), lambda r, s: halves(r, s, True),
                                  lambda r, s: powers(r, s, True)], ids=["normal", "any", "powers of two"])  # fmt: skip
def test_both_levels_round_as_rational_numbers_do(draw: object) -> None:
    rng = np.random.default_rng(3)
    for k in (1, 2, 3, 5, 40):
        x, w = draw(rng, (9, k)), draw(rng, (k, 9))  # type: ignore[operator]
        want = bits(rational(x, w))
        assert np.array_equal(bits(stce(x, w, exact=True)), want)
        job = array_job(EXACT, "OS", (9, k, 9), NM.parse("dense"), 2)
        assert np.array_equal(bits(run_job(job, x, w, None)[0]), want)


def test_ties_go_to_even_and_a_far_bit_breaks_them() -> None:
    """1 + 2^-24 is a tie; 2^-48 beside it decides; a binary32 sum in sequence loses it."""
    one, half, tiny = np.float16(1.0), np.float16(2.0**-12), np.float16(2.0**-24)
    for far, want in ((0.0, 1.0), (1.0, 1.0 + 2.0**-23), (-1.0, 1.0)):
        x = np.array([[one, half, tiny]], np.float16)
        w = np.array([[one], [half], [np.float16(far) * tiny]], np.float16)
        assert stce(x, w, exact=True)[0, 0] == np.float32(want)
    odd = np.array([[np.float16(1 + 2.0**-10)]]), np.array([[np.float16(1 + 2.0**-10)]])
    assert stce(*odd, exact=True)[0, 0] == np.float32((1 + 2.0**-10) ** 2)


def test_order_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    x, w = halves(rng, (3, 50), True), halves(rng, (50, 4), True)
    first = bits(stce(x, w, exact=True))
    for _ in range(5):
        order = rng.permutation(50)
        assert np.array_equal(bits(stce(x[:, order].copy(), w[order].copy(), exact=True)), first)


@pytest.mark.parametrize("largest", [65504.0, -65504.0])
def test_as_many_of_the_largest_products_as_the_carries_hold(largest: float) -> None:
    """2^24 products of the largest numbers: neither level loses a bit."""
    count = 1 << EXACT_CARRY_BITS
    x, w = np.full((1, count), 65504.0, np.float16), np.full((count, 1), largest, np.float16)
    want = nearest32(Fraction(65504) * Fraction(largest) * count)
    out = np.zeros((1, 1), np.float32)
    exact_sums(x.view(np.uint16), w.view(np.uint16), np.arange(count)[:, None], out)
    assert out[0, 0] == want
    total = np.zeros(1, np.complex128)
    _repeat(total, np.float32(65504.0), np.float32(largest), count)
    assert rounded(total)[0] == want
    with pytest.raises(InputError, match="at most 16,777,216 products"):
        array_job(EXACT, "OS", (1, count + 1, 1), NM.parse("dense"), 1)


@kernel
def _repeat(total: np.ndarray, x: float, w: float, count: int) -> None:
    for _ in range(count):
        total[0] = added(total[0], product(total[0], x, w))


def test_clock_and_tile_levels_agree_on_random_machines() -> None:
    rng = np.random.default_rng(5)
    causes, flows = np.zeros(7, np.int64), set()
    for _ in range(150):
        rows, cols, latency = (int(v) for v in rng.integers(1, 6, 3))
        base = SatConfig(rows=rows, cols=cols, mul_latency=latency, add_latency=6, accumulate="exact",
                         round_latency=int(rng.integers(1, 7)), interleave_max=int(rng.integers(1, 9)))  # fmt: skip
        case = random_case(rng, base=base, special=rng.random() < 0.3)
        result, cycles = run_job(case.job, case.x, case.values, case.positions)
        pattern = None if case.positions is None else case.pattern
        assert np.array_equal(bits(result), bits(stce(case.x, case.values, case.positions, pattern, exact=True)))
        assert job_cycles(case.job, causes) == cycles == causes.sum()
        flows.add(case.job.is_os)
    assert flows == {0, 1}


def test_the_adders_latency_is_not_the_arrays() -> None:
    fast, slow = (SatConfig(accumulate="exact", add_latency=la) for la in (1, 9))
    job = array_job(slow, "OS", (64, 100, 64), NM.parse("2:8"), 1)
    assert job == array_job(fast, "OS", (64, 100, 64), NM.parse("2:8"), 1)
    assert (job.round, fast.interleaves[0]) == (1, 1)


def test_partial_sums_are_refused_by_name() -> None:
    dense = NM.parse("dense")
    array_job(EXACT, "WS", (4, 24, 2), dense, 1)
    with pytest.raises(InputError, match=r"accumulate: exact: WS .* 25 stored elements, the array holds 24"):
        array_job(EXACT, "WS", (4, 25, 2), dense, 1)
    job = array_job(EXACT, "WS", (1, 2, 1), dense, 1)
    x, w, psum = np.ones((1, 2), np.float16), np.ones((2, 1), np.float16), np.ones((1, 1), np.float32)
    with pytest.raises(InputError, match="no partial sums"):
        run_job(job, x, w, None, psum)
    with pytest.raises(InputError, match="no partial sums"):
        stce(x, w, psum=psum, exact=True)


NET = Network(
    name="small",
    layers=(
        Conv(name="first", in_channels=16, out_channels=16, height=8, width=8, kernel=(1, 1), padding=(0, 0)),
        Conv(name="second", in_channels=16, out_channels=32, height=8, width=8, kernel=(3, 3), padding=(1, 1)),
    ),
)


def test_no_schedule_reads_a_sum_again() -> None:
    """On an array whose WS holds some of the reductions; what runs is what the levels accept, job by job."""
    load = lower(NET, batch=2, method=Method.BDWP, pattern=NM(2, 8))
    config = SatConfig(rows=4, cols=4, accumulate="exact", west_buffer_bytes=4096, output_buffer_bytes=2048)
    result = simulate(config, load)
    mappings = make_schedule(config, load).mappings()
    products = {p.name: p for p in load.products}
    for name, mapping in mappings.items():
        p = products[name]
        assert mapping.is_os or mapping.tile_reduction == p.reduction
        array_job(config, "OS" if mapping.is_os else "WS", (p.rows, p.reduction, p.cols), p.pattern, mapping.interleave)
    assert result.cycles == sum(sum(getattr(row, cause) for cause in CAUSES) for row in result.steps)
    assert result.total("interleave") == 0
    changes = {"accumulate": "binary32", "offline_scheduling": False, "fixed_dataflow": "WS"}
    with pytest.raises(InputError, match="accumulate: exact: (a WS tile|WS would)"):
        simulate(config, load, make_schedule(config.model_copy(update=changes), load))


def test_a_fixed_dataflow_and_masks_are_refused_by_name() -> None:
    load = lower(NET, batch=2, method=Method.BDWP, pattern=NM(2, 8))
    fixed = {"rows": 4, "cols": 4, "accumulate": "exact", "offline_scheduling": False}
    with pytest.raises(InputError, match="fixed_dataflow: accumulate: exact: WS"):
        make_schedule(SatConfig(**fixed, fixed_dataflow="WS"), load)
    make_schedule(SatConfig(**fixed, fixed_dataflow="OS"), load)
    with pytest.raises(InputError, match="mask: accumulate: exact"):
        masked_product(EXACT, limits_of(EXACT), 4, np.ones((16, 4), np.bool_))
