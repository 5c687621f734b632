# SPDX-License-Identifier: Apache-2.0
"""Offline scheduling (SAT paper, optimization 3): dataflow, tiles and interleave for each product, before the run.

The cost of a candidate is the machine's affair and is passed in. All `mapping_candidates` are tried, then the best
one's neighbours for as long as that helps; the least cycles win, then the least DRAM bytes, then the first candidate
(so a schedule is reproducible). Within 2% of exhaustive search on small cases, never worse than a fixed choice (tests).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import InputError
from ..kernels import kernel
from .lowering import Product
from .schedule import Mapping
from .tiling import Limits, neighbours, tile_candidates

Cost = Callable[[Product, np.ndarray], np.ndarray]
"""(product, int64[n, 7] mappings) -> int64[n, 2]: cycles and DRAM bytes of each."""


def mapping_candidates(
    product: Product, limits: Limits, dataflows: Sequence[str], interleaves: Sequence[int], transposes: bool = True
) -> np.ndarray:
    """Every mapping the scheduler considers for a product: int64[n, 7].

    Raises:
        InputError: no tile of the product fits the buffers.
    """
    pattern = product.pattern
    n, m = (1, 1) if pattern.is_dense else (pattern.n_keep, pattern.m_group)
    found = []
    for flip in (0, 1) if transposes and pattern.is_dense else (0,):
        rows, cols = (product.cols, product.rows) if flip else (product.rows, product.cols)
        for flow in dataflows:
            for inter in interleaves:
                is_os = flow == "OS"
                tiles = tile_candidates(limits, rows, product.reduction, cols, n, m, pattern.index_bits, is_os, inter)
                found.append(_both_orders(tiles, int(is_os), inter, flip, rows, cols))
    table = np.concatenate(found)
    if not len(table):
        raise InputError(
            f"{product.name}: no tile fits the buffers (west, north, output: "
            f"{limits.west_bits // 8}, {limits.north_bits // 8}, {limits.output_bits // 8} bytes a half)"
        )
    return table


@kernel
def _both_orders(tiles: np.ndarray, is_os: int, interleave: int, flip: int, rows: int, cols: int) -> np.ndarray:
    """int64[n, 7]: each tile with rows outermost and, where the order of the loops makes a difference, columns."""
    table = np.empty((2 * len(tiles), 7), np.int64)
    count = 0
    for i in range(len(tiles)):
        orders = 2 if tiles[i, 0] < rows and tiles[i, 2] < cols else 1
        for j in range(orders):
            table[count, 0], table[count, 1], table[count, 2] = is_os, interleave, flip
            for axis in range(3):
                table[count, 3 + axis] = tiles[i, axis]
            table[count, 6] = 1 - j
            count += 1
    return table[:count]


def best_mapping(product: Product, candidates: np.ndarray, cost: Cost, limits: Limits) -> Mapping:
    """The candidate of least cycles (then bytes, then order), improved over its neighbours until none is better."""
    best, found = _least(candidates, cost(product, candidates))
    for _ in range(_CLIMBS if _jobs(product, found) <= _CLIMB_JOBS else 0):
        around = _around(product, found, limits)
        if not len(around):
            break
        value, mapping = _least(around, cost(product, around))
        if value >= best:
            break
        best, found = value, mapping
    return found


_CLIMBS = 12
_CLIMB_JOBS = 256
"""Only a product of at most so many jobs is improved: what a climb changes, the edges of a nest, is a job's share."""


def _jobs(product: Product, mapping: Mapping) -> int:
    rows, cols = (product.cols, product.rows) if mapping.transpose else (product.rows, product.cols)
    tiles = (rows, mapping.tile_rows), (product.reduction, mapping.tile_reduction), (cols, mapping.tile_cols)
    return math.prod(-(-length // tile) for length, tile in tiles)


def _least(mappings: np.ndarray, costs: np.ndarray) -> tuple[tuple[int, int], Mapping]:
    least = np.flatnonzero(costs[:, 0] == costs[:, 0].min())
    i = least[costs[least, 1].argmin()]  # of equals the first
    return (int(costs[i, 0]), int(costs[i, 1])), Mapping(*(int(v) for v in mappings[i]))


def _around(product: Product, mapping: Mapping, limits: Limits) -> np.ndarray:
    """A mapping's neighbours that fit, in a fixed order, with both orders of the loops."""
    rows, cols = (product.cols, product.rows) if mapping.transpose else (product.rows, product.cols)
    pattern = product.pattern
    n, m = (1, 1) if pattern.is_dense else (pattern.n_keep, pattern.m_group)
    steps = (limits.rows * mapping.interleave if mapping.is_os else mapping.interleave, m, limits.cols)
    tile = (mapping.tile_rows, mapping.tile_reduction, mapping.tile_cols)
    size = (rows, product.reduction, cols)
    tiles = neighbours(
        limits, size, tile, steps, n, m, pattern.index_bits, bool(mapping.is_os), mapping.interleave, 2 * _CLIMB_JOBS
    )
    found = np.empty((2 * len(tiles), 7), np.int64)
    found[:, :3] = mapping[:3]
    found[0::2, 3:6] = found[1::2, 3:6] = tiles
    found[0::2, 6], found[1::2, 6] = 1, 0
    return found
