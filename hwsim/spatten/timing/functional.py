# SPDX-License-Identifier: Apache-2.0
"""Functional level of a query: every bit of scores, probabilities, output and importance.

Integers: q, k and v are signed (`quantize`); a score is their exact dot product. Floating point is IEEE binary32, every
operation rounded to nearest even by itself, none fused. A query of one head:

1. score s_j = sum_d q_d k_jd, exact
2. x_j = fp32(s_j) * scale, with scale = q's scale x k's scale x 1 / sqrt(D), one binary32 number
3. e_j = exp(x_j - max x), see `exponential`
4. the sum of e: of S partial sums (`SpattenConfig.partial_sums`), sum s adds elements s, s + S, ... in their order;
   then neighbours meet pairwise. S is lanes x the adder's cycles, so that every lane takes an element each cycle.
5. where k lies in two planes, the query is computed again with all bits if its largest probability, 1 / sum, is below
   the threshold: exactly where the sum is above `confidence_limit`, a number that is made once
6. p_j = e_j / sum; its integer is round(p_j * (2^B - 1)), half to even, B = probability bits
7. values: the largest integers p_j, of equal ones the first; output o_d = sum_j p_j v_jd, exact

`exponential` brings its argument to [-ln 2 / 2, ln 2 / 2]: t = x * log2(e), i = round(t) (half to even),
f = x - i * ln 2 in two parts (high, low), then a polynomial of 5th order by Horner, times 2^i; below 2^-126 it is 0.
The coefficients (`EXP_COEFFICIENTS`) are those of least largest error: the minimax polynomial with exp(0) = 1, its
binary32 coefficients then searched bit by bit with every rounding of the evaluation. Of all binary32 numbers whose
result is normal the worst is 1.97 ulp off.

Importance: tokens add p_j as integers (32 bits, saturating), heads sum_d |o_d| of each query as integers (64 bits), so
the order of the queries does not matter. At the end of a layer a head's integer is turned into binary32, multiplied by
the output's scale, and added to the head's importance.
Source: SpAtten (HPCA 2021); number formats where it is silent are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflow.errors import InputError
from hwsim.core.kernels import kernel

from ..config import SpattenConfig
from .topk import histogram_select, select

_LOG2E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)  # 11 bits: i times it is exact for |i| < 2^13
_LN2_LOW = np.float32(-2.12194440054690583e-4)
EXP_COEFFICIENTS = (0x3C072174, 0x3D2BA4EA, 0x3E2AAF5D, 0x3EFFFEC9, 0x3F7FFFF5, 0x3F800000)
"""Bits of the exponential's coefficients, of f^5 first: 0.0082477, 0.0419053, 0.1666846, 0.4999907, 0.9999993, 1. The
RTL's `fp32_exp` has the same."""
_C5, _C4, _C3, _C2, _C1, _C0 = np.array(EXP_COEFFICIENTS, np.uint32).view(np.float32)
_ONE, _ZERO = np.float32(1), np.float32(0)
_TINY = np.float32(2.0**-126)
SATURATED = 0xFFFFFFFF
SCALE_LIMIT = 2.0**96
"""A score's scale is below it: so no scaled score is infinite."""


class QueryResult(NamedTuple):
    """Result of a query."""

    probabilities: np.ndarray
    """uint16[L1]: probabilities as integers, in units of their last bit."""
    kept: np.ndarray
    """bool[L1]: which keys' values were multiplied."""
    output: np.ndarray
    """int64[D]: sums of probability x value integers."""
    again: bool
    """Whether it was computed again with LSBs."""
    topk_cycles: int
    topk_state: int


def quantize(x: np.ndarray, bits: int) -> tuple[np.ndarray, float]:
    """Linear symmetric: int32 integers and their scale; the largest magnitude becomes 2^(bits-1) - 1, half to even.

    NaN counts as 0; infinities as the largest finite magnitude. All zeros have scale 1.
    """
    top = 2 ** (bits - 1) - 1
    finite = np.nan_to_num(np.asarray(x, np.float32))
    largest = np.float32(np.abs(finite).max()) if finite.size else np.float32(0)
    scale = np.float32(largest / np.float32(top)) if largest > 0 else np.float32(1)
    if scale == 0:  # so small that it has no scale
        scale = _TINY
    integers = np.clip(np.rint(finite / scale), -top, top).astype(np.int32)
    return integers, float(scale)


def msb_plane(integers: np.ndarray, lsb: int) -> np.ndarray:
    """The integers with zeros for LSBs: an arithmetic shift right and left."""
    return (integers >> lsb) << lsb


@kernel
def exponential(x: np.float32) -> np.float32:
    """exp of a binary32 number that is not positive; NaN gives NaN."""
    if not x > np.float32(-104.0):
        return x if x != x else _ZERO
    i = np.float32(np.rint(np.float32(x * _LOG2E)))
    f = np.float32(np.float32(x - np.float32(i * _LN2_HIGH)) - np.float32(i * _LN2_LOW))
    y = np.float32(np.float32(f * _C5) + _C4)
    y = np.float32(np.float32(y * f) + _C3)
    y = np.float32(np.float32(y * f) + _C2)
    y = np.float32(np.float32(y * f) + _C1)
    y = np.float32(np.float32(y * f) + _C0)
    result = np.float32(y * np.float32(2.0 ** float(i)))
    return result if result >= _TINY else _ZERO


@kernel
def exponentials(x: np.ndarray) -> np.ndarray:
    """`exponential` of float32[n]."""
    out = np.empty(len(x), np.float32)
    for i in range(len(x)):
        out[i] = exponential(x[i])
    return out


@kernel
def softmax(scores: np.ndarray, scale: np.float32, partial_sums: int, bits: int, out: np.ndarray) -> np.float32:
    """Integer probabilities of int64[n] scores into uint16[n] ``out``; the sum of the exponentials, binary32."""
    n = len(scores)
    x = np.empty(n, np.float32)
    largest = np.float32(-np.inf)
    for j in range(n):
        x[j] = np.float32(np.float32(scores[j]) * scale)
        largest = max(largest, x[j])
    sums = np.zeros(partial_sums, np.float32)
    for j in range(n):
        x[j] = exponential(np.float32(x[j] - largest))
        sums[j % partial_sums] = np.float32(sums[j % partial_sums] + x[j])
    width = partial_sums
    while width > 1:
        width //= 2
        for i in range(width):
            sums[i] = np.float32(sums[2 * i] + sums[2 * i + 1])
    top = np.float32((1 << bits) - 1)
    for j in range(n):
        out[j] = np.uint16(np.rint(np.float32(np.float32(x[j] / sums[0]) * top)))
    return np.float32(sums[0])


def confidence_limit(threshold: float) -> float:
    """The largest binary32 sum whose reciprocal, rounded, is not below ``threshold``; no sum is above it for 0."""
    least = np.float32(threshold)
    if least <= 0:
        return float("inf")
    limit = np.float32(_ONE / least)
    while _ONE / limit < least:
        limit = np.nextafter(limit, _ZERO)
    while _ONE / np.nextafter(limit, np.float32(np.inf)) >= least:
        limit = np.nextafter(limit, np.float32(np.inf))
    return float(limit)


@kernel
def _dot(q: np.ndarray, k: np.ndarray, out: np.ndarray) -> None:
    for j in range(len(k)):
        total = np.int64(0)
        for d in range(len(q)):
            total += np.int64(q[d]) * np.int64(k[j, d])
        out[j] = total


@kernel
def _query(
    q: np.ndarray,
    k_msb: np.ndarray,
    k_full: np.ndarray,
    v: np.ndarray,
    scale: np.float32,
    limit: np.float32,
    keep_values: int,
    partial_sums: int,
    bits: int,
    parallel: int,
    histogram: bool,
    state: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.bool, int, int]:
    n, dimension = v.shape
    scores = np.empty(n, np.int64)
    p = np.empty(n, np.uint16)
    keep = np.empty(n, np.bool_)
    _dot(q, k_msb, scores)
    again = softmax(scores, scale, partial_sums, bits, p) > limit
    if again:
        _dot(q, k_full, scores)
        softmax(scores, scale, partial_sums, bits, p)
    if histogram:
        cycles, _, _ = histogram_select(p.astype(np.uint32), keep_values, parallel, bits, keep)
    else:
        cycles, _, _, state = select(p.astype(np.uint32), keep_values, parallel, state, keep)
    output = np.zeros(dimension, np.int64)
    for j in range(n):
        if keep[j]:
            for d in range(dimension):
                output[d] += np.int64(p[j]) * np.int64(v[j, d])
    return p, keep, output, again, cycles, state


def run_query(
    config: SpattenConfig, q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float, *, lsb: int, threshold: float,
    keep_values: int, state: int = 1,
) -> QueryResult:  # fmt: skip
    """One query of one head.

    Args:
        config: the softmax's partial sums, the probabilities' bits, the top-k engine and its comparators.
        q: int32[D]; k, v: int32[L1, D] with all bits; L1 >= 1.
        scale: of a score, steps 2; used as binary32.
        lsb: bits of k's second plane; 0: static quantization.
        threshold: largest probability below which k's LSBs are used.
        keep_values: k of the local value top-k.
        state: the top-k engine's random register.
    """
    if not len(k) or k.shape != v.shape or k.shape[1:] != q.shape:
        raise InputError(f"query: q {q.shape}, k {k.shape}, v {v.shape}: expected [D], [L1, D], [L1, D], L1 at least 1")
    if not 0 <= scale < SCALE_LIMIT:
        raise InputError(f"query: scale={scale}: must be 0 or more and below 2^96")
    first = msb_plane(k, lsb)
    limit = np.float32(confidence_limit(threshold if lsb else 0.0))
    sizes = (config.partial_sums, config.probability_bits, config.topk_parallel)
    histogram = config.topk_engine == "histogram"
    found = _query(q, first, k, v, np.float32(scale), limit, keep_values, *sizes, histogram, state)
    return QueryResult(found[0], found[1], found[2], bool(found[3]), int(found[4]), int(found[5]))


def add_token_importance(scores: np.ndarray, probabilities: np.ndarray) -> None:
    """Add a query's probabilities to uint32[L1] ``scores`` in place, saturating."""
    total = scores.astype(np.uint64) + probabilities
    scores[:] = np.minimum(total, SATURATED).astype(np.uint32)


def head_importance(before: float, magnitude: int, scale: float) -> float:
    """A head's importance after one more layer: binary32. ``magnitude``: sum of |o_d| over its queries."""
    return float(np.float32(np.float32(before) + np.float32(np.float32(magnitude) * np.float32(scale))))
