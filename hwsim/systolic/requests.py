# SPDX-License-Identifier: Apache-2.0
"""What SCALE-Sim's memories do with the requests of an array, in its CALC mode, line by line.

A line is a clock: the words that enter the array in it, lane by lane, and the sums that leave. Of each operand the
memory is 100 sets; a word that is in none of those in use joins the newest set, and when half of the sets have filled
since the last fetch, they are fetched in the time since then (the first time: 10 words a clock, before clock 0). Sums
are put into lines of C words; when half of the memory holds sums, half of it is written to DRAM, a line a clock.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwsim.core.kernels import kernel

Numbers = npt.NDArray[np.int64]
OS, WS, IS = range(3)
SETS, ACTIVE, FIRST_WORDS = 100, 50, 10
EVER = -(1 << 40)

# a reading memory's state
SET_WORDS, START, CURRENT, FILLED, FIRST, FETCHED, FETCH_START, FETCH_STOP, SEEN, NEXT, DRAM_START, DRAM_STOP, READS, \
    FROM, TO = range(15)  # fmt: skip
# the writing memory's state
FREE, LINES, DONE, LINE, BUSY, OUT_START, OUT_STOP, WRITES, OUT_FROM, OUT_TO, SIZE = range(11)


@kernel(inner=True)
def _fetch(m: Numbers, words: int, start: int, stop: int) -> bool:
    """Fetch words within clocks; False: within none, where that tool stops."""
    if stop < start:
        return False
    m[READS] += words
    if m[DRAM_START] == EVER:
        m[DRAM_START] = start + 1  # a word comes a clock after its request
    m[DRAM_STOP] = stop + 1
    return True


@kernel(inner=True)
def _read(m: Numbers, last: Numbers, address: int, clock: int) -> bool:
    """A word enters the array; ``last``: the set that a word joined last."""
    if m[SEEN] == 0:
        m[SEEN], m[FIRST] = 1, clock
    if last[address] >= m[START]:
        return True
    last[address] = m[CURRENT]
    m[FILLED] += 1
    if m[FILLED] < m[SET_WORDS]:
        return True
    m[FILLED] = 0
    m[CURRENT] += 1
    if m[CURRENT] < m[START] + ACTIVE:
        return True
    words = ACTIVE * m[SET_WORDS]
    if m[FETCHED] == 0:
        m[FETCHED] = 1
        m[FETCH_STOP] = m[FIRST] - 2
        m[FETCH_START] = m[FETCH_STOP] - -(-words // FIRST_WORDS) + 1
    if not _fetch(m, words, m[FETCH_START], m[FETCH_STOP]):
        return False
    m[NEXT] = m[START] + ACTIVE
    m[START] += ACTIVE
    m[FETCH_START], m[FETCH_STOP] = m[FETCH_STOP] + 1, clock
    return True


@kernel(inner=True)
def _finish(m: Numbers) -> bool:
    """Fetch what joined since the last fetch."""
    words = (m[CURRENT] - m[START]) * m[SET_WORDS] + m[FILLED]
    if m[FETCHED] == 0:
        sets = m[CURRENT] + (1 if m[FILLED] else 0)
        stop = -2
        return _fetch(m, words, stop - -(-(sets * m[SET_WORDS]) // FIRST_WORDS) + 1, stop)
    return _fetch(m, words, m[FETCH_START], m[FETCH_STOP])


@kernel(inner=True)
def _drain(w: Numbers, fills: Numbers, cols: int, clock: int) -> None:
    """Write half of the memory to DRAM; padding of all lines but the last counts as words."""
    half = w[SIZE] - (w[SIZE] + 1) // 2
    until = min(w[DONE] + -(-half // cols), w[LINES])
    words = (until - w[DONE] - 1) * cols + fills[until - 1]
    w[WRITES] += words
    w[FREE] += words
    if w[OUT_START] == EVER:
        w[OUT_START] = clock
    w[BUSY] = clock + until - w[DONE] - 1
    w[OUT_STOP] = max(w[OUT_STOP], w[BUSY])
    w[DONE] = until


@kernel(inner=True)
def _close(w: Numbers, fills: Numbers) -> None:
    """End a line that is not full."""
    if w[LINE]:
        fills[w[LINES]] = w[LINE]
        w[LINES] += 1
        w[LINE] = 0


@kernel(inner=True)
def _write(w: Numbers, fills: Numbers, cols: int, clock: int) -> int:
    """A sum leaves the array; the clock in which it is taken."""
    w[LINE] += 1
    w[FREE] -= 1
    if w[LINE] == cols:
        _close(w, fills)
    if clock < w[BUSY]:
        if w[FREE] <= 0:
            clock = w[BUSY]
    elif w[FREE] < w[SIZE] - (w[SIZE] - (w[SIZE] + 1) // 2):
        _close(w, fills)
        _drain(w, fills, cols, clock)
    return clock


@kernel(inner=True)
def _address(s: Numbers, pixel: int, k: int) -> int:
    """Place in the image of a window's element; -1: beyond its edge."""
    out_row, out_col = pixel // s[0], pixel % s[0]
    row, rest = k // (s[1] * s[2]), k % (s[1] * s[2])
    col, channel = rest // s[2], rest % s[2]
    y, x = out_row * s[3] + row, out_col * s[4] + col
    if y >= s[5] or x >= s[6]:
        return -1
    return int((y * s[6] + x) * s[2] + channel)


@kernel
def memories(
    array: Numbers, sizes: Numbers, shape: Numbers, ifmap: Numbers, weight: Numbers, ofmap: Numbers,
    last_ifmap: Numbers, last_weight: Numbers, fills: Numbers,
) -> int:  # fmt: skip
    """Run a layer through the memories.

    Args:
        array: rows, columns, dataflow.
        sizes: P, K, F.
        shape: output columns, filter columns, channels, strides, image rows and columns.
        ifmap, weight, ofmap: the memories' states.
        last_ifmap, last_weight: for each word, the set that it joined last: -1.
        fills: room for the lines of sums.

    Returns:
        Clocks waited; -1: that tool divides by zero here.
    """
    rows, cols, dataflow = array[0], array[1], array[2]
    pixels, reduction, filters = sizes[0], sizes[1], sizes[2]
    on_rows = pixels if dataflow == OS else reduction
    on_cols = pixels if dataflow == IS else filters
    length = reduction if dataflow == OS else pixels if dataflow == WS else filters
    load = 0 if dataflow == OS else rows
    lines = load + length + rows + cols - 2
    line = waited = 0
    for c0 in range(0, on_cols, cols):
        for r0 in range(0, on_rows, rows):
            height, width = min(rows, on_rows - r0), min(cols, on_cols - c0)
            for i in range(lines):
                clock = line + waited
                line += 1
                # 1. what enters at the rows (in is it is the weights)
                for r in range(height):
                    t = i - r - load
                    if t < 0 or t >= length:
                        continue
                    if dataflow == IS:
                        _note(weight, FROM, clock + 1)
                        if not _read(weight, last_weight, t * reduction + r0 + r, clock):
                            return -1
                        continue
                    a = _address(shape, r0 + r, t) if dataflow == OS else _address(shape, t, r0 + r)
                    if a >= 0:
                        _note(ifmap, FROM, clock + 1)
                        if not _read(ifmap, last_ifmap, a, clock):
                            return -1
                # 2. what enters at the columns: streamed in os, else loaded, the last row first
                for c in range(width):
                    t = i - c if dataflow == OS else rows - 1 - i
                    if t < 0 or t >= (length if dataflow == OS else height):
                        continue
                    if dataflow == IS:
                        a = _address(shape, c0 + c, r0 + t)
                        if a >= 0:
                            _note(ifmap, FROM, clock + 1)
                            if not _read(ifmap, last_ifmap, a, clock):
                                return -1
                        continue
                    _note(weight, FROM, clock + 1)
                    if not _read(weight, last_weight, (c0 + c) * reduction + (t if dataflow == OS else r0 + t), clock):
                        return -1
                # 3. sums that leave
                taken = clock
                some = False
                for c in range(width):
                    if dataflow == OS:
                        t = rows - 1 - (i - c - (length - 1))
                        there = 0 <= t < height
                    else:
                        t = i - c - (2 * rows - 1)
                        there = 0 <= t < length
                    if there:
                        some = True
                        taken = _write(ofmap, fills, cols, taken)
                if some:
                    _note(ofmap, OUT_FROM, taken)
                waited += taken - clock
    if not (_finish(ifmap) and _finish(weight)):
        return -1
    _close(ofmap, fills)
    clock = line - 1 + waited
    while ofmap[DONE] < ofmap[LINES]:
        _drain(ofmap, fills, cols, clock)
        clock = ofmap[BUSY] + 1
    return int(waited)


@kernel(inner=True)
def _note(m: Numbers, at: int, clock: int) -> None:
    """Keep the first and the last clock of a request."""
    if m[at] == EVER:
        m[at] = clock
    m[at + 1] = clock


def reading(kilobytes: int) -> Numbers:
    """State of a memory of an operand before the first request."""
    m = np.zeros(15, np.int64)
    m[SET_WORDS] = kilobytes * 1024 // SETS
    m[DRAM_START] = m[FROM] = EVER
    return m


def writing(kilobytes: int) -> Numbers:
    """State of the memory of sums before the first."""
    w = np.zeros(11, np.int64)
    w[SIZE] = w[FREE] = kilobytes * 1024
    w[OUT_START] = w[OUT_FROM] = EVER
    return w
