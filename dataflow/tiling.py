# SPDX-License-Identifier: Apache-2.0
"""Tiling: which tiles of a product fit the buffers, as candidates for the offline scheduler.

A job's operands must fit half of each buffer (the other half is filled or emptied meanwhile):

- WS: any ``tile_rows x tile_reduction x tile_cols``; partial sums stay in the output buffer over the reduction tiles.
- OS: the whole reduction resident, or, where it is too long, streamed in chunks through one array tile
  (``rows * interleave`` x ``cols`` outputs stay in the PEs).

Candidates are multiples of the array in powers of two, the size that just fits, the whole, and even splits: few enough
to try them all, and within 2% of exhaustive search on small cases (a test).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .pattern import NM


class Limits(NamedTuple):
    """What the tiles of a machine must fit. Buffer sizes are half buffers, in bits."""

    rows: int
    cols: int
    west_bits: int
    north_bits: int
    output_bits: int
    dense_depth: int
    """Elements of a dense reduction a PE holds in WS."""


def tile_candidates(
    size: tuple[int, int, int], pattern: NM, limits: Limits, is_os: bool, interleave: int
) -> list[tuple[int, int, int]]:
    """Tiles ``(rows, reduction, cols)`` for a product of ``size = (a, k, b)``; at least one, unless nothing fits."""
    a, k, b = size
    m = 1 if pattern.is_dense else pattern.m_group
    found = []
    if is_os:
        rows_step, k_step = limits.rows * interleave, m
    else:
        rows_step = interleave
        k_step = limits.rows * (limits.dense_depth if pattern.is_dense else m)
    for bt in _sizes(b, limits.cols):
        for at in _sizes(a, rows_step):
            kt = _longest_reduction(at, bt, k, pattern, limits, m)
            if kt < 1:
                continue
            if kt < k:
                if is_os and (at > rows_step or bt > limits.cols):
                    continue  # only one array tile can keep its outputs while the reduction streams past
                parts = -(-k // kt)
                even = -(-(-(-k // parts)) // k_step) * k_step
                kt = even if even <= kt else max(kt // k_step * k_step, kt // m * m if kt < k_step else 0)
                if kt < 1:
                    continue
            found.append((at, kt, bt))
    return found


def _longest_reduction(at: int, bt: int, k: int, pattern: NM, limits: Limits, m: int) -> int:
    """Reduction elements that fit beside ``at`` rows and ``bt`` columns: k, or a multiple of m, or 0."""
    if at * bt * 32 > limits.output_bits:
        return 0
    word = 16 + pattern.index_bits
    groups = min(limits.west_bits // (16 * at * m), limits.north_bits // (word * bt * (1 if m == 1 else pattern.n_keep)))
    return min(groups * m, k)


def _sizes(length: int, step: int) -> list[int]:
    """Candidate tile lengths of a dimension: ``step`` times powers of two, even splits, the whole."""
    sizes = set()
    size = step
    while size < length:
        sizes.add(size)
        parts = -(-length // size)
        sizes.add(min(length, -(-(-(-length // parts)) // step) * step))
        size *= 2
    sizes.add(length)
    return sorted(sizes)


def as_table(rows: list[tuple[int, ...]]) -> np.ndarray:
    """Candidates as an int64 array of `dataflow.schedule.Mapping`'s seven columns."""
    return np.array(rows, np.int64).reshape(-1, 7)
