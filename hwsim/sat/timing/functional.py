# SPDX-License-Identifier: Apache-2.0
"""Functional level of SAT: every bit of STCE, SORE and WUVE, in the hardware's order, without time.

STCE: FP16 x FP16 is exact in FP32; the products of an output are added one by one, in reduction order, in FP32 with
round to nearest even. WS and OS, any tiling and any interleave keep that order, so the result does not depend on the
schedule. Zero padding adds +0 to a sum that is never -0 and changes nothing.

Exact (`hwsim.sat.timing.exact`): the sum of all products, rounded once; in any order. There are no partial sums to
start from.

NaN: one canonical NaN (quiet, positive, empty payload) leaves each unit. Magnitudes in SORE compare as the 15 bits
below the sign, so NaN is larger than infinity; ties go to the lower index.
"""

from __future__ import annotations

import numpy as np

from dataflow.errors import InputError
from dataflow.pattern import NM
from hwsim.core.ieee import canonical, to_fp16
from hwsim.core.kernels import kernel

from .exact import exact_sums


def stce(
    x: np.ndarray,
    values: np.ndarray,
    index: np.ndarray | None = None,
    pattern: NM | None = None,
    psum: np.ndarray | None = None,
    *,
    exact: bool = False,
) -> np.ndarray:
    """The array's product, bit for bit.

    Args:
        x: float16[a, k] activations.
        values: float16[stored, b] weights in reduction order; all k of them when dense.
        index: uint8[stored, b], position of each weight in its group of M; None when dense.
        pattern: the N:M pattern of ``values`` when ``index`` is given.
        psum: float32[a, b] to start from; None: +0.
        exact: ``accumulate: exact``.

    Returns:
        float32[a, b].
    """
    a, k = x.shape
    if exact and psum is not None:
        raise InputError("stce: accumulate: exact: no partial sums to start from: they have been rounded")
    out = np.zeros((a, values.shape[1]), np.float32) if psum is None else np.array(psum, np.float32)
    if index is None:
        if values.shape[0] != k:
            raise InputError(f"stce: {k} reduction elements of x, {values.shape[0]} of the weights")
        return _sums(x, values, np.arange(k)[:, None].repeat(values.shape[1], 1), out, exact)
    if pattern is None or values.shape[0] != pattern.kept(k):
        raise InputError(f"stce: stored weights {values.shape} do not fit {k} elements at {pattern}")
    groups = -(-k // pattern.m_group)
    xp = np.zeros((a, groups * pattern.m_group), np.float16)
    xp[:, :k] = x
    base = np.arange(values.shape[0])[:, None] // pattern.n_keep * pattern.m_group
    return _sums(xp, values, base + index.astype(np.int64), out, exact)


def _sums(x: np.ndarray, values: np.ndarray, position: np.ndarray, out: np.ndarray, exact: bool) -> np.ndarray:
    if exact:
        x, values = (np.ascontiguousarray(v, np.float16).view(np.uint16) for v in (x, values))
        exact_sums(x, values, position, out)
    else:
        _accumulate(x.astype(np.float32), values.astype(np.float32), position, out)
    return canonical(out)


@kernel
def _accumulate(x: np.ndarray, w: np.ndarray, position: np.ndarray, out: np.ndarray) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            acc = out[i, j]
            for s in range(w.shape[0]):
                acc = np.float32(acc + np.float32(x[i, position[s, j]] * w[s, j]))
            out[i, j] = acc


def sore(weights: np.ndarray, pattern: NM) -> tuple[np.ndarray, np.ndarray]:
    """Top-N of each group of M along axis 0: values and indices in index order.

    Args:
        weights: float16[k, b]; a short last group is padded with +0.

    Returns:
        float16[stored, b] and uint8[stored, b].
    """
    k, b = weights.shape
    n, m = pattern.n_keep, pattern.m_group
    groups = -(-k // m)
    bits = np.zeros((groups * m, b), np.uint16)
    bits[:k] = weights.view(np.uint16)
    values = np.empty((groups * n, b), np.uint16)
    index = np.empty((groups * n, b), np.uint8)
    _top_n(bits, n, m, values, index)
    return values.view(np.float16), index


@kernel
def _top_n(bits: np.ndarray, n: int, m: int, values: np.ndarray, index: np.ndarray) -> None:
    """A sorter of n entries takes an element a cycle: it enters before the first entry of smaller magnitude."""
    for j in range(bits.shape[1]):
        for g in range(bits.shape[0] // m):
            held = np.full(n, -1, np.int64)
            for i in range(m):
                magnitude = bits[g * m + i, j] & 0x7FFF
                place = n
                for e in range(n - 1, -1, -1):
                    if held[e] < 0 or (bits[g * m + held[e], j] & 0x7FFF) < magnitude:
                        place = e
                for e in range(n - 1, place, -1):
                    held[e] = held[e - 1]
                if place < n:
                    held[place] = i
            held.sort()
            for e in range(n):
                values[g * n + e, j] = bits[g * m + held[e], j]
                index[g * n + e, j] = held[e]


def wuve(
    weight: np.ndarray,
    momentum: np.ndarray,
    gradient: np.ndarray,
    *,
    rate: float,
    beta: float,
    decay: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Momentum SGD with weight decay on FP32 state, each operation rounded to nearest even in FP32:
    ``g' = g + decay w``; ``v' = beta v + g'``; ``w' = w + (-rate) v'``.

    Args:
        weight, momentum: float32 arrays of one shape; gradient: float16 of the same shape.
        rate, beta, decay: rounded to FP32 first.

    Returns:
        new weight (float32), new momentum (float32), new weight as FP16.
    """
    minus_rate, b, d = np.float32(-rate), np.float32(beta), np.float32(decay)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        g = gradient.astype(np.float32) + d * weight
        v = b * momentum + g
        w = weight + minus_rate * v
    return canonical(w), canonical(v), to_fp16(w)
