# SPDX-License-Identifier: Apache-2.0
"""Tiling: which tiles of a product fit the buffers, as candidates for the offline scheduler.

A job's operands must fit half of each buffer (the other half is filled or emptied meanwhile):

- WS: any ``tile_rows x tile_reduction x tile_cols``; partial sums stay in the output buffer over the reduction tiles.
- OS: the whole reduction resident, or, where it is too long, streamed in chunks through one array tile
  (``rows * interleave`` x ``cols`` outputs stay in the PEs).

Candidates are multiples of the array in powers of two, the size that just fits, the whole, and even splits: few enough
to try them all; the scheduler then climbs from the best one over `neighbours`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernels import kernel
from ..pattern import NM


class Limits(NamedTuple):
    """What the tiles of a machine must fit. Buffer sizes are half buffers, in bits."""

    rows: int
    cols: int
    west_bits: int
    north_bits: int
    output_bits: int
    dense_depth: int
    """Elements of a dense reduction a PE holds in WS."""


@kernel
def tile_candidates(
    limits: Limits, a: int, k: int, b: int, n: int, m: int, index_bits: int, is_os: bool, interleave: int
) -> np.ndarray:
    """Tiles (rows, reduction, columns), int64[t, 3], for a product ``a x k x b``; none where nothing fits.

    Args:
        n, m: the right operand's pattern, 1 and 1 where it is dense.
    """
    if is_os:
        rows_step, k_step = limits.rows * interleave, m
    else:
        rows_step, k_step = interleave, limits.rows * (limits.dense_depth if m == 1 else m)
    row_sizes, col_sizes = _sizes(a, rows_step), _sizes(b, limits.cols)
    found = np.empty((len(row_sizes) * len(col_sizes) * 5, 3), np.int64)
    count = 0
    for bt in col_sizes:
        for at in row_sizes:
            longest = _longest_reduction(limits, at, bt, k, n, m, index_bits)
            if longest < 1:
                continue
            if longest == k:
                found[count, 0], found[count, 1], found[count, 2] = at, k, bt
                count += 1
            # only one array tile can keep its outputs while the reduction streams past
            if not is_os or (at <= rows_step and bt <= limits.cols):
                for kt in _reductions(k, longest, k_step, m):
                    found[count, 0], found[count, 1], found[count, 2] = at, kt, bt
                    count += 1
    return found[:count]


def misfit(
    size: tuple[int, int, int], tile: tuple[int, int, int], pattern: NM, limits: Limits, is_os: bool, interleave: int
) -> str | None:
    """Why a tile cannot run, or None where it can: the rule that candidates and schedule files both obey."""
    (_, k, _), (at, kt, bt) = size, tile
    m = 1 if pattern.is_dense else pattern.m_group
    if kt < k and kt % m:
        return f"tile_reduction {kt} is no multiple of M={m}"
    stored = kt if pattern.is_dense else pattern.kept(kt)
    needs = (-(-kt // m) * m * at * 16, stored * bt * (16 + pattern.index_bits), at * bt * 32)
    have = (limits.west_bits, limits.north_bits, limits.output_bits)
    for name, need, room in zip(("west", "north", "output"), needs, have, strict=True):
        if need > room:
            return f"tile {at}x{kt}x{bt} needs {need // 8} bytes, half the {name} buffer has {room // 8}"
    if is_os and kt < k and (at > limits.rows * interleave or bt > limits.cols):
        return "an OS tile that streams its reduction is at most one array tile"
    return None


@kernel
def neighbours(
    limits: Limits,
    size: tuple[int, int, int],
    tile: tuple[int, int, int],
    steps: tuple[int, int, int],
    n: int,
    m: int,
    index_bits: int,
    is_os: bool,
    interleave: int,
    most: int,
) -> np.ndarray:
    """Tiles that fit, int64[t, 3] in order, and differ from ``tile`` in one length: a step or one more or less, one
    part more or less, half, twice.

    Args:
        n, m: as of `tile_candidates`.
        most: jobs that the product may have.
    """
    found = np.empty((24, 3), np.int64)
    count = 0
    a, k, b = size
    options = np.empty(8, np.int64)
    for axis in (2, 1, 0):
        length, value, step = size[axis], tile[axis], steps[axis]
        parts = -(-length // value)
        options[0], options[1] = value - step, value + step
        options[2], options[3] = value - 1, value + 1
        options[4], options[5] = value // 2, 2 * value
        options[6] = -(-length // (parts + 1))
        options[7] = -(-length // (parts - 1)) if parts > 1 else value
        for i in range(8):
            at, kt, bt = tile
            option = min(max(1, options[i]), length)
            if option == value:
                continue
            if axis == 0:
                at = option
            elif axis == 1:
                kt = option
            else:
                bt = option
            if kt != k:
                kt = max(m, kt // m * m)
            if -(-a // at) * -(-k // kt) * -(-b // bt) > most:
                continue
            if not _fits(limits, k, at, kt, bt, n, m, index_bits, is_os, interleave):
                continue
            place = count  # sorted, each once
            while place > 0 and _before(at, kt, bt, found[place - 1]):
                place -= 1
            if place > 0 and found[place - 1, 0] == at and found[place - 1, 1] == kt and found[place - 1, 2] == bt:
                continue
            for j in range(count, place, -1):
                for field in range(3):
                    found[j, field] = found[j - 1, field]
            found[place, 0], found[place, 1], found[place, 2] = at, kt, bt
            count += 1
    return found[:count]


@kernel(inner=True)
def _before(at: int, kt: int, bt: int, other: np.ndarray) -> bool:
    rows: int = other[0]
    reduction: int = other[1]
    cols: int = other[2]
    if at != rows:
        return at < rows
    return kt < reduction if kt != reduction else bt < cols


@kernel(inner=True)
def _fits(
    limits: Limits, k: int, at: int, kt: int, bt: int, n: int, m: int, index_bits: int, is_os: bool, interleave: int
) -> bool:
    """Whether a tile can run: `misfit` finds no reason against it."""
    if kt < k and kt % m:
        return False
    groups = -(-kt // m)
    if groups * m * at * 16 > limits.west_bits or groups * n * bt * (16 + index_bits) > limits.north_bits:
        return False
    if at * bt * 32 > limits.output_bits:
        return False
    return not is_os or kt >= k or (at <= limits.rows * interleave and bt <= limits.cols)


@kernel(inner=True)
def _longest_reduction(limits: Limits, at: int, bt: int, k: int, n: int, m: int, index_bits: int) -> int:
    """Reduction elements that fit beside ``at`` rows and ``bt`` columns: k, or a multiple of m, or 0."""
    if at * bt * 32 > limits.output_bits:
        return 0
    groups = min(limits.west_bits // (16 * at * m), limits.north_bits // ((16 + index_bits) * bt * n))
    return min(groups * m, k)


@kernel(inner=True)
def _reductions(k: int, longest: int, step: int, m: int) -> np.ndarray:
    """Reduction tiles shorter than k: the fewest even parts that fit, twice, four and eight times as many.

    Short ones expose less of the first load; multiples of ``step`` (what the array holds) where they are long enough.
    """
    parts = -(-k // longest)
    sizes = np.empty(4, np.int64)
    found = 0
    for count in (parts, 2 * parts, 4 * parts, 8 * parts):
        unit = step if k // count >= step else m
        even = -(-k // count)
        size = -(-even // unit) * unit
        if size > longest:
            size = longest // unit * unit
            if size == 0:
                size = longest // m * m
        if 0 < size < k:
            sizes[found] = size
            found += 1
    return _distinct(sizes, found)


@kernel(inner=True)
def _sizes(length: int, step: int) -> np.ndarray:
    """Candidate tile lengths of a dimension: ``step`` times powers of two, even splits, the whole."""
    sizes = np.empty(130, np.int64)
    found = 0
    size = step
    while size < length:
        parts = -(-length // size)
        even = -(-length // parts)
        sizes[found] = size
        sizes[found + 1] = min(length, -(-even // step) * step)
        found += 2
        size *= 2
    sizes[found] = length
    return _distinct(sizes, found + 1)


@kernel(inner=True)
def _distinct(sizes: np.ndarray, count: int) -> np.ndarray:
    """The first ``count`` of few numbers, sorted, each once; in place."""
    kept = 0
    for i in range(count):
        value = sizes[i]
        place = kept
        while place > 0 and sizes[place - 1] > value:
            place -= 1
        if place > 0 and sizes[place - 1] == value:
            continue
        for j in range(kept, place, -1):
            sizes[j] = sizes[j - 1]
        sizes[place] = value
        kept += 1
    return sizes[:kept]


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)
