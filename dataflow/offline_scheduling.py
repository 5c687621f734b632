# SPDX-License-Identifier: Apache-2.0
"""Offline scheduling (SAT paper, optimization 3): dataflow, tiles and interleave for each product, before the run.

The cost of a candidate is the machine's affair and is passed in. The search is exhaustive over `mapping_candidates`;
the least cycles win, then the least DRAM bytes, then the first candidate (so a schedule is reproducible).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .errors import InputError
from .lowering import Product
from .schedule import Mapping
from .tiling import Limits, as_table, tile_candidates

Cost = Callable[[Product, np.ndarray], np.ndarray]
"""(product, int64[n, 7] mappings) -> int64[n, 2]: cycles and DRAM bytes of each."""


def mapping_candidates(
    product: Product, limits: Limits, dataflows: Sequence[str], interleaves: Sequence[int], transposes: bool = True
) -> np.ndarray:
    """Every mapping the scheduler considers for a product: int64[n, 7].

    Raises:
        InputError: no tile of the product fits the buffers.
    """
    found = []
    flips = (0, 1) if transposes and product.pattern.is_dense else (0,)
    for flip in flips:
        rows, cols = (product.cols, product.rows) if flip else (product.rows, product.cols)
        for flow in dataflows:
            for inter in interleaves:
                is_os = flow == "OS"
                for at, kt, bt in tile_candidates(
                    (rows, product.reduction, cols), product.pattern, limits, is_os, inter
                ):
                    found.append((int(is_os), inter, flip, at, kt, bt, 1))
                    if at < rows and bt < cols:  # else the loop order makes no difference
                        found.append((int(is_os), inter, flip, at, kt, bt, 0))
    if not found:
        raise InputError(
            f"{product.name}: no tile fits the buffers (west, north, output: "
            f"{limits.west_bits // 8}, {limits.north_bits // 8}, {limits.output_bits // 8} bytes a half)"
        )
    return as_table(found)


def best_mapping(product: Product, candidates: np.ndarray, cost: Cost) -> Mapping:
    """The candidate of least cycles (then bytes, then order)."""
    costs = cost(product, candidates)
    order = np.lexsort((np.arange(len(costs)), costs[:, 1], costs[:, 0]))
    return Mapping(*(int(v) for v in candidates[order[0]]))
