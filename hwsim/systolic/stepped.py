# SPDX-License-Identifier: Apache-2.0
"""A systolic array clocked register by register: the product that it computes, and the cycles that this takes.

Nothing here knows a formula: a fold ends in the cycle in which its last sum has left the array, also where the product
fills it only in part (the rest multiplies zeros that nobody reads). Each clock, every PE takes its neighbours' values
of the clock before; PEs are visited from the far corner back, so that no register is overwritten before it was read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dataflow.errors import InputError
from hwsim.core.kernels import kernel

from .config import Dataflow

Matrix = npt.NDArray[np.int64]
CYCLES, FIRST_READS, SECOND_READS, WRITES, ADDED, BUS, APART = range(7)
"""Places of the counters: clocks; words read of each operand; sums written; of those, added to one that is there; most
sums of a column in one clock; operands that met the wrong partner."""


class Stepped(NamedTuple):
    """What a clocked array did."""

    product: Matrix
    cycles: int
    ifmap_reads: int
    filter_reads: int
    ofmap_writes: int
    ofmap_reads: int
    bus: int
    """Most sums that one column wrote in one clock."""
    apart: int
    """Operands that met the wrong partner: 0 in an array that works."""


def run(dataflow: Dataflow, left: Matrix, right: Matrix, rows: int, cols: int) -> Stepped:
    """Clock a product through an array.

    Args:
        left: inputs, P x K.
        right: weights, K x F.

    Raises:
        InputError: shapes that do not fit, or are empty.
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0] or not (left.size and right.size):
        raise InputError(f"left {left.shape}, right {right.shape}: P x K and K x F, nothing empty")
    if rows < 1 or cols < 1:
        raise InputError(f"array {rows} x {cols}: at least 1 x 1")
    counts = np.zeros(7, np.int64)
    out = np.zeros((left.shape[0], right.shape[1]), np.int64)
    a, b = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
    if dataflow == "os":
        _outputs_stay(a, b, out, rows, cols, counts)
    elif dataflow == "ws":
        _operand_stays(a, b, out, rows, cols, counts)
    else:  # inputs stay, weights stream: the transposed product, with the operands in each other's place
        turned = np.zeros((right.shape[1], left.shape[0]), np.int64)
        _operand_stays(np.ascontiguousarray(b.T), np.ascontiguousarray(a.T), turned, rows, cols, counts)
        out = np.ascontiguousarray(turned.T)
        counts[[FIRST_READS, SECOND_READS]] = counts[[SECOND_READS, FIRST_READS]]
    return Stepped(out, *(int(counts[i]) for i in range(7)))


@kernel
def _outputs_stay(left: Matrix, right: Matrix, out: Matrix, rows: int, cols: int, counts: Matrix) -> None:
    """Inputs go right, weights down, a PE keeps its sum and gives it to its column when its last operands met."""
    pixels, reduction = left.shape
    filters = right.shape[1]
    a, b = np.zeros((rows, cols), np.int64), np.zeros((rows, cols), np.int64)
    a_tag, b_tag = np.zeros((rows, cols), np.int64), np.zeros((rows, cols), np.int64)
    total, seen = np.zeros((rows, cols), np.int64), np.zeros((rows, cols), np.int64)
    bus = np.zeros(cols, np.int64)
    for first_col in range(0, filters, cols):
        for first_row in range(0, pixels, rows):
            a_tag[:], b_tag[:] = -1, -1
            total[:], seen[:] = 0, 0
            clock = done = 0
            while done < rows * cols:
                bus[:] = 0
                for r in range(rows - 1, -1, -1):
                    for c in range(cols - 1, -1, -1):
                        # 1. operands move in; at the edges each row and column begins a clock after its neighbour
                        if c > 0:
                            a[r, c], a_tag[r, c] = a[r, c - 1], a_tag[r, c - 1]
                        else:
                            k = clock - r
                            a_tag[r, 0] = k if 0 <= k < reduction else -1
                            a[r, 0] = 0
                            if a_tag[r, 0] >= 0 and first_row + r < pixels:
                                a[r, 0] = left[first_row + r, k]
                                counts[FIRST_READS] += 1
                        if r > 0:
                            b[r, c], b_tag[r, c] = b[r - 1, c], b_tag[r - 1, c]
                        else:
                            k = clock - c
                            b_tag[0, c] = k if 0 <= k < reduction else -1
                            b[0, c] = 0
                            if b_tag[0, c] >= 0 and first_col + c < filters:
                                b[0, c] = right[k, first_col + c]
                                counts[SECOND_READS] += 1
                        # 2. what met is multiplied
                        if a_tag[r, c] != b_tag[r, c]:
                            counts[APART] += 1
                        if a_tag[r, c] >= 0 and b_tag[r, c] >= 0:
                            total[r, c] += a[r, c] * b[r, c]
                            seen[r, c] += 1
                            # 3. a whole sum leaves
                            if seen[r, c] == reduction:
                                done += 1
                                bus[c] += 1
                                if first_row + r < pixels and first_col + c < filters:
                                    out[first_row + r, first_col + c] = total[r, c]
                                    counts[WRITES] += 1
                clock += 1
                counts[BUS] = max(counts[BUS], bus.max())
            counts[CYCLES] += clock


@kernel
def _operand_stays(streamed: Matrix, held: Matrix, out: Matrix, rows: int, cols: int, counts: Matrix) -> None:
    """``held`` (S x C) is shifted in from above; ``streamed`` (T x S) goes right, partial sums go down and out."""
    length, depth = streamed.shape
    width = held.shape[1]
    kept, x = np.zeros((rows, cols), np.int64), np.zeros((rows, cols), np.int64)
    partial = np.zeros((rows, cols), np.int64)
    x_tag, sum_tag = np.zeros((rows, cols), np.int64), np.zeros((rows, cols), np.int64)
    for first_col in range(0, width, cols):
        for first_row in range(0, depth, rows):
            x_tag[:], sum_tag[:] = -1, -1
            clock = entered = done = 0
            while done < length * cols:
                if entered < rows:
                    # 1. the operand that stays is shifted down a row a clock, the last row first
                    from_row = first_row + rows - 1 - entered
                    for c in range(cols):
                        for r in range(rows - 1, 0, -1):
                            kept[r, c] = kept[r - 1, c]
                        kept[0, c] = 0
                        if from_row < depth and first_col + c < width:
                            kept[0, c] = held[from_row, first_col + c]
                            counts[SECOND_READS] += 1
                    entered += 1
                    clock += 1
                    continue
                for r in range(rows - 1, -1, -1):
                    for c in range(cols - 1, -1, -1):
                        # 2. vectors move right; at the edge each row begins a clock after the one above
                        if c > 0:
                            x[r, c], x_tag[r, c] = x[r, c - 1], x_tag[r, c - 1]
                        else:
                            t = clock - rows - r
                            x_tag[r, 0] = t if 0 <= t < length else -1
                            x[r, 0] = 0
                            if x_tag[r, 0] >= 0 and first_row + r < depth:
                                x[r, 0] = streamed[t, first_row + r]
                                counts[FIRST_READS] += 1
                        # 3. the sum from above, and this PE's product
                        above = partial[r - 1, c] if r > 0 else 0
                        tag = sum_tag[r - 1, c] if r > 0 else x_tag[r, c]
                        if tag != x_tag[r, c]:
                            counts[APART] += 1
                        partial[r, c] = above + kept[r, c] * x[r, c]
                        sum_tag[r, c] = x_tag[r, c]
                        # 4. below the last row a sum leaves, and is added to what the fold before left
                        if r == rows - 1 and sum_tag[r, c] >= 0:
                            done += 1
                            counts[BUS] = max(counts[BUS], 1)
                            if first_col + c < width:
                                out[sum_tag[r, c], first_col + c] += partial[r, c]
                                counts[WRITES] += 1
                                if first_row > 0:
                                    counts[ADDED] += 1
                clock += 1
            counts[CYCLES] += clock
