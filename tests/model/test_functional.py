# SPDX-License-Identifier: Apache-2.0
"""Functional level against an order-preserving numpy reference, bit for bit, and against float64 within its bound."""

from __future__ import annotations

import numpy as np
import pytest

from dataflow.pattern import NM
from hwsim.core.ieee import canonical, to_fp16
from hwsim.sat.bench.jobs import SPECIALS, halves
from hwsim.sat.config import SatConfig
from hwsim.sat.timing.clock_engines import run_sore, run_wuve
from hwsim.sat.timing.functional import sore, stce, wuve
from hwsim.sat.timing.tile import sore_cycles, wuve_cycles


def bits(x: np.ndarray) -> np.ndarray:
    return x.view(np.uint32 if x.dtype == np.float32 else np.uint16)


def reference_stce(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Dense matrix ``w``: numpy float32, one rank-1 update an element, so one rounding a step, in order."""
    acc = np.zeros((x.shape[0], w.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for k in range(x.shape[1]):
            acc = acc + np.multiply.outer(x[:, k].astype(np.float32), w[k].astype(np.float32))
    return canonical(acc)


def test_million_products() -> None:
    """10^6 random FP16 pairs plus all pairs of specials: the product is float64's, rounded once (it is exact)."""
    rng = np.random.default_rng(1)
    a = rng.integers(0, 1 << 16, 1_000_000).astype(np.uint16).view(np.float16)
    b = rng.integers(0, 1 << 16, 1_000_000).astype(np.uint16).view(np.float16)
    sa, sb = (m.ravel().view(np.float16) for m in np.meshgrid(SPECIALS, SPECIALS))
    a, b = np.concatenate([a, sa]), np.concatenate([b, sb])
    got = stce_products(a, b)
    with np.errstate(all="ignore"):
        exact = a.astype(np.float64) * b.astype(np.float64)
        want = canonical((exact + 0.0).astype(np.float32))  # the sum starts from +0
    finite = np.isfinite(exact)
    assert np.array_equal(want[finite].astype(np.float64), exact[finite])
    assert np.array_equal(bits(got), bits(want))


def stce_products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The array's product of each pair; pairs with the same second operand share a call."""
    out = np.empty(len(a), np.float32)
    order = np.argsort(bits(b), kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(bits(b)[order]) != 0])
    for first, last in zip(starts, np.r_[starts[1:], len(b)], strict=True):
        chosen = order[first:last]
        out[chosen] = stce(a[chosen][:, None], b[chosen[:1]][:, None])[:, 0]
    return out


def test_ten_thousand_tiles() -> None:
    rng = np.random.default_rng(2)
    specials = 0
    for i in range(10_000):
        a, k, b = (int(v) for v in rng.integers(1, 9, 3))
        n_m = [None, NM(2, 8), NM(1, 4), NM(2, 4), NM(3, 5)][i % 5]
        x, w = halves(rng, (a, k), i % 2 == 1), halves(rng, (k, b), i % 2 == 1)
        if n_m is None:
            got, want = stce(x, w), reference_stce(x, w)
        else:
            values, index = sore(w, n_m)
            got = stce(x, values, index, n_m)
            x = np.pad(x, ((0, 0), (0, -k % n_m.m_group)))
            want = reference_sparse(x, values, index, n_m)
        assert np.array_equal(bits(got), bits(want))
        specials += int(np.isnan(want).any())
    assert specials > 100  # NaN really occurred


def reference_sparse(x: np.ndarray, values: np.ndarray, index: np.ndarray, nm: NM) -> np.ndarray:
    acc = np.zeros((x.shape[0], values.shape[1]), np.float32)
    columns = np.arange(values.shape[1])
    with np.errstate(all="ignore"):
        for s in range(len(values)):
            picked = x[:, s // nm.n_keep * nm.m_group + index[s, columns].astype(int)]
            acc = acc + picked.astype(np.float32) * values[s].astype(np.float32)
    return canonical(acc)


def test_against_float64() -> None:
    """|error| <= gamma_k sum |x w| with gamma_k = k u / (1 - k u), u = 2^-24 (Higham, section 3.1)."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        a, k, b = (int(v) for v in rng.integers(1, 60, 3))
        x, w = halves(rng, (a, k), False), halves(rng, (k, b), False)
        x64, w64 = x.astype(np.float64), w.astype(np.float64)
        u = 2.0**-24
        bound = k * u / (1 - k * u) * (np.abs(x64) @ np.abs(w64))
        assert (np.abs(stce(x, w).astype(np.float64) - x64 @ w64) <= bound).all()


def brute_top_n(group: np.ndarray, n: int) -> list[int]:
    order = sorted(range(len(group)), key=lambda i: (-(int(group.view(np.uint16)[i]) & 0x7FFF), i))
    return sorted(order[:n])


@pytest.mark.parametrize("nm", ["1:1", "1:2", "2:4", "2:8", "4:8", "2:16", "3:5", "8:8"])
def test_sore(nm: str) -> None:
    pattern = NM.parse(nm)
    rng = np.random.default_rng(4)
    for i in range(60):
        k, b = int(rng.integers(1, 40)), int(rng.integers(1, 9))
        w = halves(rng, (k, b), True) if i % 2 else rng.integers(-2, 3, (k, b)).astype(np.float16)  # many ties
        config = SatConfig(sore_lanes=int(rng.integers(1, 9)))
        values, index, clock = run_sore(config, w, pattern)
        got, got_index = sore(w, pattern)
        assert np.array_equal(bits(values), bits(got))
        assert np.array_equal(index, got_index)
        groups = -(-k // pattern.m_group)
        assert clock == sore_cycles(config, groups * b, pattern)
        padded = np.zeros((groups * pattern.m_group, b), np.float16)
        padded[:k] = w
        for g in range(groups):
            for j in range(b):
                group = np.ascontiguousarray(padded[g * pattern.m_group : (g + 1) * pattern.m_group, j])
                keep = brute_top_n(group, pattern.n_keep)
                place = slice(g * pattern.n_keep, (g + 1) * pattern.n_keep)
                assert index[place, j].tolist() == keep
                assert np.array_equal(bits(values[place, j].copy()), bits(group[keep]))


def test_wuve() -> None:
    rng = np.random.default_rng(5)
    for i in range(200):
        n = int(rng.integers(1, 200))
        w, v = rng.standard_normal((2, n)).astype(np.float32)
        if i % 3 == 0:
            w = rng.integers(0, 1 << 32, n).astype(np.uint32).view(np.float32)
        g = halves(rng, (n,), i % 2 == 0)
        config = SatConfig(
            wuve_lanes=int(rng.integers(1, 9)), mul_latency=int(rng.integers(1, 5)), add_latency=int(rng.integers(1, 6))
        )
        want = wuve(w, v, g, rate=0.1, beta=0.9, decay=5e-4)
        *got, clock = run_wuve(config, w, v, g, (0.1, 0.9, 5e-4))
        for a, b in zip(got, want, strict=True):
            assert np.array_equal(bits(a), bits(b))
        assert clock == wuve_cycles(config, n)
        with np.errstate(all="ignore"):  # the reference: one operation at a time on Python-visible float32 scalars
            for e in range(min(n, 5)):
                g1 = np.float32(np.float32(g[e]) + np.float32(np.float32(5e-4) * w[e]))
                v1 = np.float32(np.float32(np.float32(0.9) * v[e]) + g1)
                w1 = np.float32(w[e] + np.float32(np.float32(-0.1) * v1))
                assert np.array_equal(bits(canonical(np.array([w1]))), bits(want[0][e : e + 1]))


def test_half_rounding() -> None:
    """float32 to FP16: ties to even, subnormals kept, overflow to infinity, one NaN."""
    x = np.array([2049, 2051, 2.0**-24, 2.0**-25, 3 * 2.0**-25, 65504, 65519.99, 65520, -0.0, np.nan], np.float32)
    want = [2048, 2052, 2.0**-24, 0, 2.0**-23, 65504, 65504, np.inf, -0.0]
    got = to_fp16(x)
    assert got[:-1].tolist() == want
    assert np.signbit(got[8])
    assert bits(got)[-1] == 0x7E00
