# SPDX-License-Identifier: Apache-2.0
"""Microseconds of one matrix product on a GPU: a model of a library's kernel with 12 fitted numbers.

``Y[rows, cols] = X[rows, reduction] W[reduction, cols]``, W dense or 2:4. The output is cut into tiles, the reduction
into splits; a multiprocessor takes one tile at a time, so the tiles come in waves; per step of 64 of the reduction a
tile takes its multiplies' time at the sustained rate, or the latency of a step if that is longer. Meanwhile the memory
moves the bytes: W once for each group of row bands that a wave holds (the raster), X and Y once. Operands that fit a
part of the L2 come from there: in the measurements each product is repeated on the same buffers. A split reduction ends
with a kernel that adds the parts; it is tried where the tiles alone leave multiprocessors empty. The library takes the
fastest tile and split, and so does the model. Long kernels run at a lower clock (power).

Fitted numbers are in a vector: the order of `cards.SHARED`, then `cards.MODE` for dense, then for 2:4. Units:
microseconds, bytes, floating point operations (a multiply-add is two).
"""

from __future__ import annotations

import math

import numpy as np

from dataflow.kernels import kernel

SHAPE = ("rows", "cols", "reduction", "count", "x_bytes", "w_bytes", "y_bytes", "warm")
"""A product; ``count`` of them at once, bytes of one; warm is 1 where operands may be in the L2 from before, else 0."""
TERMS = ("useful", "rate", "padding", "waves", "latency", "memory", "split", "launch", "power")
"""What the time of a product is made of, in the order in which `terms` adds it."""

STEP = 64
"""Elements of the (dense) reduction in a step."""
TILE = (64, 128, 256)
SPARSE_ROWS = 128
"""Most rows of a tile where W is 2:4."""
SPLITS = (1, 2, 4, 8, 16)
L2_SLOPE = 1.35
"""Operands up to `l2_share` of the L2 come from it whole, beyond this many times that not at all, between in part."""
POWER_SLOPE = 4.0
"""Kernels this many times as long as the onset run at the lowest clock."""
SUM_BYTES = 4
"""Of an FP32 partial sum."""


@kernel(inline="always")
def resident(size: float, room: float) -> float:
    """Share of an operand of a size that stays in a cache's room: 1 up to it, 0 from `L2_SLOPE` times it on."""
    return min(1.0, max(0.0, (L2_SLOPE - size / room) / (L2_SLOPE - 1.0)))


@kernel(inline="always")
def throttled(micros: float, drop: float, onset: float) -> float:
    """Duration at the clock that a kernel of this duration runs at."""
    if micros <= onset:
        return micros
    return micros / (1.0 - drop * min(1.0, math.log(micros / onset) / math.log(POWER_SLOPE)))


@kernel
def terms(sheet, fitted, sparse, shape, tile_rows, tile_cols, split, limit, out):  # type: ignore[no-untyped-def]  # compiled
    """Fill ``out`` with the microseconds until each of `TERMS`, the last one the whole time.

    Args:
        sheet, fitted, shape: vectors, as the module's head says.
        sparse: whether W is 2:4.
        limit: where the time will not be below this, it is infinite, and the other terms are not filled.
    """
    sms, peak, dram, l2 = sheet[0], sheet[1], sheet[2], sheet[3]
    share, overlap, l2_speed, l2_share, onset = fitted[0], fitted[1], fitted[2], fitted[3], fitted[4]
    at = 12 if sparse else 5
    launch, rate, step_us, small = fitted[at], fitted[at + 1], fitted[at + 2], fitted[at + 3]
    raster, split_us, drop = fitted[at + 4], fitted[at + 5], fitted[at + 6]
    rows, cols, reduction, count = shape[0], shape[1], shape[2], shape[3]

    # multiplies: at the data sheet's rate, at the sustained one, of whole tiles, of whole waves
    flops = 2.0 * rows * cols * reduction * count
    sustained = flops / (rate * peak)
    out[0] = min(flops / ((2.0 if sparse else 1.0) * peak), sustained)
    out[1] = sustained
    bands, across = math.ceil(rows / tile_rows), math.ceil(cols / tile_cols)
    steps = math.ceil(reduction / (STEP * split))
    narrow = 1.0 + small * max(0.0, (1.0 / tile_rows + 1.0 / tile_cols) / (1.0 / 128 + 1.0 / 256) - 1.0)
    step = 2.0 * tile_rows * tile_cols * STEP * sms / (rate * peak) * narrow
    blocks = bands * across * split * count
    waves = math.ceil(blocks / sms)
    out[2] = max(out[1], blocks / sms * steps * step)
    out[3] = max(out[2], waves * steps * step)
    compute = waves * steps * max(step, step_us)
    out[4] = max(out[3], compute)

    # memory: W once for each group of row bands that a wave holds
    room = l2_share * l2
    held = min(bands, max(raster, sms / (split * across)))
    passes = max(1.0, bands / held)
    passes = 1.0 + (passes - 1.0) * (1.0 - resident(shape[5], room))
    size = (shape[4] + shape[5] * passes + shape[6]) * count
    near = shape[7] * resident((shape[4] + shape[5] + shape[6]) * count, room)
    memory = size * (1.0 - near + near / l2_speed) / (share * dram)
    out[8] = np.inf
    if max(compute, memory) + launch >= limit:
        return
    longer, shorter = max(compute, memory), min(compute, memory)
    out[5] = max(out[4], longer * (1.0 + (shorter / longer) ** overlap) ** (1.0 / overlap))

    # the parts of a split, written and read
    out[6] = out[5]
    if split > 1:
        sums = 2.0 * SUM_BYTES * rows * cols * count * split
        kept = resident(sums, room)
        out[6] += split_us + sums * (1.0 - kept + kept / l2_speed) / (share * dram)
    out[7] = out[6] + launch
    out[8] = throttled(out[7], drop, onset)


@kernel
def fastest(sheet, fitted, sparse, shape, out):  # type: ignore[no-untyped-def]  # compiled
    """The fastest tile and split: ``out`` gets its `TERMS`; returns (tile rows, tile cols, split)."""
    trial = np.empty(9)
    best = (0, 0, 0)
    out[8] = np.inf
    for tile_rows in TILE:
        if sparse and tile_rows > SPARSE_ROWS:
            break
        for tile_cols in TILE:
            for split in SPLITS:
                tiles = math.ceil(shape[0] / tile_rows) * math.ceil(shape[1] / tile_cols) * shape[3]
                if split > 1 and (shape[2] < STEP * split or tiles * split >= 2 * sheet[0]):
                    break
                terms(sheet, fitted, sparse, shape, tile_rows, tile_cols, split, out[8], trial)
                if trial[8] < out[8]:
                    out[:] = trial
                    best = (tile_rows, tile_cols, split)
    return best


@kernel
def times(sheet, fitted, shapes, found):  # type: ignore[no-untyped-def]  # compiled
    """Microseconds of products dense and 2:4.

    Args:
        shapes: ``[products, 2, 8]``.
        found: ``[products, 2]``, filled.
    """
    out = np.empty(9)
    for i in range(shapes.shape[0]):
        for mode in range(2):
            fastest(sheet, fitted, mode == 1, shapes[i, mode], out)
            found[i, mode] = out[8]
