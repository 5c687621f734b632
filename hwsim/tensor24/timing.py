# SPDX-License-Identifier: Apache-2.0
"""Cycles and bytes of one product on tensor cores, in closed form: the fastest of its tiles, splits and rasters.

The output is cut into blocks of a tile; each multiprocessor takes one at a time, so a product is so many waves. Per
instruction a block's reduction goes on by 16 kept elements of each weight column (``mma.m16n8k16``): 16 dense ones, or
32 of which a 2:4 column keeps half (``mma.sp.m16n8k32``, which picks the activations by 2 bits a kept value); of int8
by twice as many. Blocks at the edges cost as much as whole ones. Both operands go through shared memory: each is
written once, and read once by every warp that shares it (warps are 64 x 64 at most, 2 x 2 at least). Blocks of a wave
lie in a rectangle (the raster): those in a row share the activations that the L2 fetched, those in a column the
weights; an operand that fits half of the L2 is fetched once. A split reduction leaves partial sums of 32 bits, written
and read again.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

from dataflow.mapping.lowering import HALF_BYTES, Operand, Product
from dataflow.pattern import NM

from .config import TensorConfig

WARP = 64
"""Largest rows and cols of a warp: its accumulators are 128 of a thread's 255 registers."""
ACCUMULATOR_BYTES = 4
TWO_OF_FOUR = NM(2, 4)


def fits(config: TensorConfig, pattern: NM) -> bool:
    """Whether weights of a pattern are stored as 2:4; with ``zero_fill`` all that have at most 2 in each 4."""
    within = pattern == NM(1, 2) or (pattern.n_keep <= 2 and pattern.m_group % 4 == 0)
    return pattern == TWO_OF_FOUR or (config.zero_fill and within)


def dense_cause(config: TensorConfig, product: Product) -> str:
    """Why a product's operands are both dense here; empty where the weights are 2:4."""
    if product.pattern.is_dense:
        return product.dense_cause or f"{product.pass_} is dense in this method"
    if product.right.kind != "weight":
        return f"{product.right.kind}s pruned as they come: no unit stores them as 2:4"
    return "" if fits(config, product.pattern) else f"{product.pattern} runs dense: the weights' one format is 2:4"


def operand_bytes(operand: Operand, elements: int, size: int = HALF_BYTES) -> int:
    """Bytes of one residency of an operand, ``size`` each: its matrix, or the image that windows read where that is
    less."""
    w = operand.window
    return size * (elements if w is None else min(elements, w.images * w.height * w.width * w.channels))


def product_cost(config: TensorConfig, product: Product) -> dict[str, Any]:
    """Cycles by cause (each adds to those before it), useful multiplies, bytes by memory, the chosen tile and parts."""
    if product.in_turn:  # one after the other: each is a product of its own
        turns = product.count
        cost = product_cost(config, replace(product, count=1, macs=product.macs // turns, in_turn=False))
        return {key: v if key in ("tile", "parts") else v * turns for key, v in cost.items()}
    choices = itertools.product(config.tiles, config.splits, (1 << i for i in range(config.sms.bit_length())))
    sparse = not dense_cause(config, product)
    return min(
        (_cost(config, product, sparse, *choice) for choice in choices),
        key=lambda cost: (cost["cycles"], cost["dram_bytes"]),
    )


def _cost(c: TensorConfig, p: Product, sparse: bool, tile: tuple[int, int], parts: int, down: int) -> dict[str, Any]:
    rows, reduction, cols, (tile_rows, tile_cols) = p.rows, p.reduction, p.cols, tile
    size, depth = c.element_bytes, c.depth * (2 if sparse else 1)
    parts = min(parts, -(-reduction // depth))
    steps = -(-reduction // (depth * parts))  # instructions of a block along the reduction
    grid_rows, grid_cols = -(-rows // tile_rows), -(-cols // tile_cols)
    blocks = grid_rows * grid_cols * parts * p.count
    waves = -(-blocks // c.sms)
    # one block: multiplies, and what goes through its shared memory
    acts, weights = tile_rows * depth * size, tile_cols * c.depth * size
    weights += tile_cols * c.depth * TWO_OF_FOUR.index_bits // 8 if sparse else 0
    read = acts * max(2, -(-tile_cols // WARP)) + weights * max(2, -(-tile_rows // WARP))
    port_bytes = (acts + weights + read) * steps
    multiply = -(-tile_rows * tile_cols * c.depth * steps // (c.tensor_cores * c.core_macs_per_cycle))
    # all of them: L2 and DRAM
    wide = max(c.sms // parts, 1)  # blocks of a wave in one part of the reduction
    down = min(down, wide)
    left = operand_bytes(p.left, rows * reduction, size)
    right = (
        TWO_OF_FOUR.storage_bytes(reduction, cols, 8 * size)
        if sparse
        else operand_bytes(p.right, reduction * cols, size)
    )
    left *= -(-grid_cols // (wide // down)) if left > c.l2_bytes // 2 else 1
    right *= -(-grid_rows // down) if right > c.l2_bytes // 2 else 1
    outputs = rows * cols * p.count
    sums = outputs * parts * ACCUMULATOR_BYTES if parts > 1 else 0
    l2_bytes = blocks * steps * (acts + weights) + 2 * sums + size * outputs
    dram_bytes = p.count * (left + right) + size * outputs + (2 * sums if sums > c.l2_bytes // 2 else 0)
    done = p.macs * p.pattern.n_keep // p.pattern.m_group if sparse else p.macs
    found = {
        "useful": -(-done // c.peak_macs_per_cycle),
        "padding": -(-blocks * tile_rows * tile_cols * c.depth * steps // c.peak_macs_per_cycle),
        "waves": waves * multiply,
        "shared": waves * max(multiply, -(-port_bytes // c.shared_bytes_per_cycle)),
        "l2": -(-l2_bytes // c.l2_bytes_per_cycle),
        "dram": math.ceil(dram_bytes / c.dram_bytes_per_cycle),
    }
    until = list(itertools.accumulate(found.values(), max))
    spent = {cause: after - before for cause, before, after in zip(found, [0, *until], until, strict=False)}
    return {**spent, "cycles": until[-1], "macs_done": done, "dram_bytes": dram_bytes, "l2_bytes": l2_bytes,
            "shared_bytes": blocks * port_bytes, "tile": f"{tile_rows}x{tile_cols}", "parts": parts}  # fmt: skip
