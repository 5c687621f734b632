# SPDX-License-Identifier: Apache-2.0
"""Whole-product time: the loop nest of array jobs with double-buffered DRAM transfers, by events.

While job j computes, the DMA stores the outputs of job j-1 and loads the operands of job j+1; the next job starts when
both the array and the DMA are done. The first load and the last store of a product are exposed. An operand tile that
the job before used is not loaded again. A convolution operand is fetched as the image rows its window positions touch
(whole rows, clipped at the border), each once a tile: never k x k times. Outputs leave as FP16.

Left out: DRAM latency and row misses (a stated efficiency scales the bandwidth), overlap between products.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflow.mapping.lowering import Operand, Product
from hwsim.core.kernels import kernel

from .job import ArrayTiming, derive_job, index_bits, sore_latency, stored_length
from .tile import job_accesses, job_cycles

WINDOW_FIELDS = 13


class Nest(NamedTuple):
    """A product as the kernel sees it, before a mapping flips it. ``*_mode``: 0 plain matrix, 1 window positions along
    the operand's outer dimension (rows of the left, columns of the right), 2 along the reduction."""

    a: int
    k: int
    b: int
    count: int  # type: ignore[assignment]  # hides tuple's
    n: int
    m: int
    prune_on_load: int
    """Whether the right operand arrives dense and SORE prunes it on its way into the north buffer."""
    left_mode: int
    right_mode: int


NEST_COLUMNS = (
    "cycles", "useful", "padding", "interleave", "west", "north", "output", "fill_drain", "dram", "sore",
    "dram_read_bytes", "dram_write_bytes", "west_read_bytes", "west_write_bytes", "north_read_bytes",
    "north_write_bytes", "output_read_bytes", "output_write_bytes", "jobs", "sore_elements",
)  # fmt: skip
"""Columns of `run_nest`'s result; the causes (useful to sore) sum to cycles."""


def nest_of(product: Product, pregenerated: bool) -> tuple[Nest, np.ndarray]:
    """A product as `Nest` and its operands' windows, int64[2, 13]; of products in turn, one of them."""
    dense = product.pattern.is_dense
    n, m = (1, 1) if dense else (product.pattern.n_keep, product.pattern.m_group)
    on_load = not dense and not (pregenerated and product.right.kind == "weight")
    windows = np.zeros((2, WINDOW_FIELDS), np.int64)
    modes = []
    for i, operand in enumerate((product.left, product.right)):
        modes.append(_mode(operand))
        if operand.window is not None:
            w = operand.window
            windows[i] = (
                w.images, w.height, w.width, w.channels, w.out_height, w.out_width,
                w.taps_h, w.taps_w, w.stride_h, w.stride_w, w.pad_top, w.pad_left, w.dilation_h,
            )  # fmt: skip
    size = (product.rows, product.reduction, product.cols, 1 if product.in_turn else product.count)
    return Nest(*size, n, m, int(on_load), modes[0], modes[1]), windows


def _mode(operand: Operand) -> int:
    if operand.window is None:
        return 0
    return 1 if operand.positions_on_rows else 2


@kernel(inner=True)
def _span(first: int, last: int, height: int, taps: int, stride: int, pad: int, dilation: int) -> int:
    """Image rows that output rows first..last of one image touch."""
    if dilation > 1:
        rows = 0
        for r in range(max(0, first * stride - pad), min(height, last * stride - pad + dilation * (taps - 1) + 1)):
            for t in range(taps):
                y = r + pad - t * dilation  # the row is tap t of output row y / stride
                if first * stride <= y <= last * stride and y % stride == 0:
                    rows += 1
                    break
        return rows
    if stride > taps:  # rows between windows are not fetched; windows over the border are clipped
        rows = (last - first + 1) * taps
        y = first
        while y <= last and y * stride < pad:
            rows -= min(taps, pad - y * stride)
            y += 1
        y = last
        while y >= first and y * stride - pad + taps > height:
            rows -= min(taps, y * stride - pad + taps - height)
            y -= 1
        return rows
    low = max(0, first * stride - pad)
    high = min(height, last * stride - pad + taps)
    return max(0, high - low)


@kernel(inner=True)
def operand_bytes(mode: int, window: np.ndarray, outer_at: int, outer: int, k_at: int, k: int) -> int:
    """DRAM bytes of an uncompressed operand tile ``outer x k`` at (outer_at, k_at)."""
    if mode == 0:
        return 2 * outer * k
    at, positions, features = (outer_at, outer, k) if mode == 1 else (k_at, k, outer)
    height, width, channels = window[1], window[2], window[3]
    out_h, out_w, taps_h, taps_w, stride, pad = window[4], window[5], window[6], window[7], window[8], window[10]
    dilation = window[12]
    first, last = at // out_w, (at + positions - 1) // out_w  # output rows, counted through all images
    image0, image1 = first // out_h, last // out_h
    if image0 == image1:
        rows = _span(first % out_h, last % out_h, height, taps_h, stride, pad, dilation)
    else:
        rows = _span(first % out_h, out_h - 1, height, taps_h, stride, pad, dilation)
        rows += _span(0, last % out_h, height, taps_h, stride, pad, dilation)
        rows += (image1 - image0 - 1) * _span(0, out_h - 1, height, taps_h, stride, pad, dilation)
    size: int = 2 * rows * width * min(channels, -(-features // (taps_h * taps_w)))
    return size


class _Tiling(NamedTuple):
    """A product under a mapping: sizes after the flip, tiles, and how an operand's bytes are counted."""

    a: int
    k: int
    b: int
    at: int
    kt: int
    bt: int
    rows_outer: int
    n: int
    m: int
    index_bits: int
    prune_on_load: int
    left_mode: int
    right_mode: int


@kernel
def run_nest(machine: ArrayTiming, nest: Nest, windows: np.ndarray, mapping: np.ndarray, out: np.ndarray) -> int:
    """Cycles of a product under a mapping (`dataflow.mapping.schedule.Mapping` as int64[7]).

    Args:
        out: float64[len(NEST_COLUMNS)], filled.
    """
    is_os, inter, flip = mapping[0], mapping[1], mapping[2]
    tiling = _tiling_of(nest, mapping)
    left, right = windows[flip], windows[1 - flip]
    out.fill(0.0)
    cycles = _array_time(machine, tiling, is_os, inter, out)
    moved = np.zeros(8, np.int64)
    _walk(machine, tiling, left, right, cycles, min(nest.count, 3), moved)
    if nest.count > 3:  # instances are alike: what a third one adds, each further one adds
        before = np.zeros(8, np.int64)
        _walk(machine, tiling, left, right, cycles, 2, before)
        _repeat(moved, before, nest.count - 3)
    for i in range(1, 8):
        out[i] *= nest.count
    for i in (12, 14, 16, 17):
        out[i] *= nest.count
    out[0], out[8], out[9], out[10], out[11] = moved[0], moved[1], moved[2], moved[3], moved[4]
    out[13], out[15], out[19] = moved[5], moved[6], moved[7]
    out[16] += 2.0 * out[11]  # FP32 words read again for the store of FP16 ones
    n_a, n_b, n_k = -(-tiling.a // tiling.at), -(-tiling.b // tiling.bt), -(-nest.k // tiling.kt)
    out[18] = float(n_a * n_b * n_k) * nest.count
    total: int = moved[0]
    return total


@kernel(inner=True)
def _tiling_of(nest: Nest, mapping: np.ndarray) -> _Tiling:
    flip = mapping[2]
    a, b = (nest.b, nest.a) if flip else (nest.a, nest.b)
    left_mode, right_mode = (nest.right_mode, nest.left_mode) if flip else (nest.left_mode, nest.right_mode)
    return _Tiling(
        a, nest.k, b, mapping[3], mapping[4], mapping[5], mapping[6], nest.n, nest.m, index_bits(nest.m),
        nest.prune_on_load, left_mode, right_mode,
    )  # fmt: skip


@kernel(inner=True)
def _array_time(machine: ArrayTiming, t: _Tiling, is_os: int, inter: int, out: np.ndarray) -> np.ndarray:
    """Array cycles by class of tile, int64[2, 2, 2] (is it the row, column, reduction tail); adds causes and port
    bytes of one instance to ``out``."""
    n_a, n_b, n_k = -(-t.a // t.at), -(-t.b // t.bt), -(-t.k // t.kt)
    streamed = is_os == 1 and n_k > 1
    cycles = np.zeros((2, 2, 2), np.int64)
    causes = np.zeros(7, np.int64)
    ports = np.zeros(4)
    for tail_a in range(2):
        for tail_b in range(2):
            repeats = (1 if tail_a else n_a - 1) * (1 if tail_b else n_b - 1)
            rows = t.a - (n_a - 1) * t.at if tail_a else t.at
            cols = t.b - (n_b - 1) * t.bt if tail_b else t.bt
            for tail_k in range(2):
                times = repeats * (1 if tail_k or streamed else n_k - 1)
                if times == 0 or (streamed and tail_k == 0):
                    continue
                length = t.k if streamed else t.k - (n_k - 1) * t.kt if tail_k else t.kt
                job = derive_job(machine, is_os, rows, length, cols, t.n, t.m, inter)
                cycles[tail_a, tail_b, tail_k] = job_cycles(job, causes)
                job_accesses(job, ports)
                for i in range(7):
                    out[1 + i] += float(causes[i]) * times
                for i in range(4):
                    out[(12, 14, 16, 17)[i]] += ports[i] * times
                if streamed:  # one job for the whole reduction: a chunk takes its share of rounds, the last the rest
                    chunk = -(-t.kt // t.m) * t.n * job.round
                    cycles[tail_a, tail_b, 0] = chunk
                    cycles[tail_a, tail_b, 1] -= chunk * (n_k - 1)
    return cycles


@kernel(inner=True)
def _repeat(moved: np.ndarray, before: np.ndarray, times: int) -> None:
    """Add ``times`` times what was added since ``before``."""
    for i in range(len(moved)):
        moved[i] += times * (moved[i] - before[i])


@kernel(inner=True)
def _copy(to: np.ndarray, values: np.ndarray) -> None:
    for i in range(len(to)):
        to[i] = values[i]


@kernel(inner=True)
def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    same = True
    for i in range(len(a)):
        same = same and a[i] == b[i]
    return same


@kernel(inner=True)
def _walk(
    machine: ArrayTiming, t: _Tiling, left: np.ndarray, right: np.ndarray, cycles: np.ndarray, instances: int,
    moved: np.ndarray,
) -> None:  # fmt: skip
    """Walk the jobs of ``instances`` products in a row; fills ``moved``: total cycles, DRAM and SORE stall cycles, DRAM
    bytes read and written, bytes filled into the west and north buffers, elements SORE sorted.

    Jobs in the middle of a loop are alike wherever the operand that the loop moves has tiles of one size: once a turn
    ends in the state in which the turn before ended, the turns up to the last but one repeat it and are counted, not
    walked.
    """
    n_a, n_b, n_k = -(-t.a // t.at), -(-t.b // t.bt), -(-t.k // t.kt)
    n_outer, n_inner = (n_a, n_b) if t.rows_outer else (n_b, n_a)
    # an operand whose window moves along this loop has tiles of many sizes
    inner_alike, outer_alike = t.right_mode != 1, t.left_mode != 1
    if not t.rows_outer:
        inner_alike, outer_alike = outer_alike, inner_alike
    k_alike = t.left_mode != 2 and t.right_mode != 2
    moved.fill(0)
    outer_start, inner_start, job_start = np.zeros(8, np.int64), np.zeros(8, np.int64), np.zeros(8, np.int64)
    state, inner_state, outer_state = np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros(3, np.int64)
    for _ in range(instances):
        last_a, last_b, last_k = -1, -1, -1
        outer = 0
        while outer < n_outer:
            _copy(outer_start, moved)
            inner = 0
            while inner < n_inner:
                _copy(inner_start, moved)
                ia, ib = (outer, inner) if t.rows_outer else (inner, outer)
                ik = 0
                while ik < n_k:
                    _copy(job_start, moved)
                    get_a, get_b = ia != last_a or ik != last_k, ib != last_b or ik != last_k
                    load, prune = _load(machine, t, left, right, ia, ib, ik, get_a, get_b, moved)
                    last_a, last_b, last_k = ia, ib, ik
                    store = _store(machine, t, ia, ib, moved) if ik == n_k - 1 else 0
                    _next_job(state, load, prune, moved)
                    state[1] = store
                    state[0] = cycles[int(ia == n_a - 1), int(ib == n_b - 1), int(ik == n_k - 1)]
                    if k_alike and 3 <= ik < n_k - 2:
                        _repeat(moved, job_start, n_k - 2 - ik)
                        ik = last_k = n_k - 2
                    ik += 1
                if inner_alike and 1 <= inner < n_inner - 2 and _equal(state, inner_state):
                    _repeat(moved, inner_start, n_inner - 2 - inner)
                    inner = n_inner - 2
                    last_a, last_b = (last_a, inner) if t.rows_outer else (inner, last_b)
                _copy(inner_state, state)
                inner += 1
            if outer_alike and 1 <= outer < n_outer - 2 and _equal(state, outer_state):
                _repeat(moved, outer_start, n_outer - 2 - outer)
                outer = n_outer - 2
                last_a, last_b = (outer, last_b) if t.rows_outer else (last_a, outer)
            _copy(outer_state, state)
            outer += 1
    _next_job(state, 0, 0, moved)
    moved[0] += state[2]
    moved[1] += state[2]


@kernel(inner=True)
def _next_job(state: np.ndarray, load: int, prune: int, moved: np.ndarray) -> None:
    """The job before computes while the DMA stores what came before it and loads (SORE prunes) the next one. ``state``:
    array cycles of the job before, its store, the store before that (shifted here)."""
    wait = max(0, load + prune + state[2] - state[0])
    by_sore = min(wait, prune)
    moved[0] += state[0] + wait
    moved[1] += wait - by_sore
    moved[2] += by_sore
    state[2] = state[1]


@kernel(inner=True)
def _load(
    machine: ArrayTiming,
    t: _Tiling,
    left: np.ndarray,
    right: np.ndarray,
    ia: int,
    ib: int,
    ik: int,
    get_a: bool,
    get_b: bool,
    moved: np.ndarray,
) -> tuple[int, int]:
    """DMA cycles to load a job's operand tiles, and SORE's cycles beyond them; adds the bytes to ``moved``."""
    rows, cols = min(t.at, t.a - ia * t.at), min(t.bt, t.b - ib * t.bt)
    length = min(t.kt, t.k - ik * t.kt)
    size, prune = 0, 0
    if get_a:
        size = operand_bytes(t.left_mode, left, ia * t.at, rows, ik * t.kt, length)
        moved[5] += 2 * rows * length
    if get_b:
        groups = -(-length // t.m)
        stored = -(-groups * t.n * cols * (16 + t.index_bits) // 8)
        moved[6] += stored
        if t.m == 1 or t.prune_on_load:
            size += operand_bytes(t.right_mode, right, ib * t.bt, cols, ik * t.kt, length)
        else:
            size += stored
        if t.prune_on_load:
            prune = sore_latency(machine.sore_lanes, groups * cols, t.n, t.m)
            moved[7] += groups * t.m * cols
    moved[3] += size
    load = int(np.ceil(size / machine.dram_bytes_per_cycle))
    return load, max(0, prune - load)  # SORE works as the data stream past


@kernel(inner=True)
def _store(machine: ArrayTiming, t: _Tiling, ia: int, ib: int, moved: np.ndarray) -> int:
    """DMA cycles to store a finished output tile as FP16; adds the bytes to ``moved``."""
    size = 2 * min(t.at, t.a - ia * t.at) * min(t.bt, t.b - ib * t.bt)
    moved[4] += size
    return int(np.ceil(size / machine.dram_bytes_per_cycle))


_UNKNOWN = np.int64(1) << 62


@kernel(inner=True)
def _floor(machine: ArrayTiming, t: _Tiling, is_os: int, inter: int) -> int:
    """A lower bound of the array's time for one instance, in closed form: exact for OS; for WS without the waits for
    partial sums."""
    n_a, n_b, n_k = -(-t.a // t.at), -(-t.b // t.bt), -(-t.k // t.kt)
    tail_a, tail_b = t.a - (n_a - 1) * t.at, t.b - (n_b - 1) * t.bt
    b_tiles = (n_b - 1) * -(-t.bt // machine.cols) + -(-tail_b // machine.cols)
    total = 0
    if is_os:  # one job for the whole reduction
        job = derive_job(machine, 1, t.at, t.k, t.bt, t.n, t.m, inter)
        height = job.rows * inter
        a_tiles = (n_a - 1) * -(-t.at // height) + -(-tail_a // height)
        length = stored_length(job) * job.round
        end = job.load_word + 1 + job.rows + job.cols + height * job.drain_word
        end += job.mul_latency + job.add_latency + job.round_latency
        return a_tiles * b_tiles * max(length, job.drain_period) + n_a * n_b * (
            end + length - max(length, job.drain_period)
        )
    for last_k in range(2):
        times = 1 if last_k else n_k - 1
        if times == 0:
            continue
        reduction = t.k - (n_k - 1) * t.kt if last_k else t.kt
        job = derive_job(machine, 0, t.at, reduction, t.bt, t.n, t.m, inter)
        k_tiles = -(-stored_length(job) // (job.rows * job.depth))
        wave = (job.rows - 1) * job.row_delay
        end = 1 + job.load_lead + wave + job.cols + job.mul_latency + job.add_latency + job.round_latency
        for last_a in range(2):
            repeats = times * (1 if last_a else n_a - 1)
            length = -(-(tail_a if last_a else t.at) // inter) * job.depth * job.round
            period = max(length, job.load_lead, job.rows * job.load_row)
            total += repeats * (k_tiles * b_tiles * period + n_b * (end + length - period))
    return total


@kernel(inner=True)
def _stored_bytes(t: _Tiling, k: int, cols: int) -> int:
    """Bytes of an N:M right operand in DRAM."""
    return -(-k // t.m) * t.n * cols * (16 + t.index_bits) // 8


@kernel(inner=True)
def _once(t: _Tiling, left: np.ndarray, right: np.ndarray, rows: int, k: int, cols: int) -> tuple[int, int]:
    """DRAM bytes of both operands of a tile at the start of the product."""
    size = operand_bytes(t.left_mode, left, 0, rows, 0, k)
    if t.m == 1 or t.prune_on_load:
        return size, operand_bytes(t.right_mode, right, 0, cols, 0, k)
    return size, _stored_bytes(t, k, cols)


@kernel(inner=True)
def _traffic_floor(machine: ArrayTiming, t: _Tiling, left: int, right: int) -> int:
    """A lower bound of the DMA's cycles for one instance: each operand (``left``, ``right`` bytes) as often as the
    loops come back to it, each time only once."""
    n_a, n_b, n_k = -(-t.a // t.at), -(-t.b // t.bt), -(-t.k // t.kt)
    # a tile stays while only the other operand's changes
    again_a = n_b if n_k > 1 or not t.rows_outer else 1
    again_b = n_a if n_k > 1 or t.rows_outer else 1
    return int((left * again_a + right * again_b + 2 * t.a * t.b) / machine.dram_bytes_per_cycle)


@kernel(inner=True)
def _exposed(machine: ArrayTiming, t: _Tiling, left: np.ndarray, right: np.ndarray) -> int:
    """Cycles of the DMA that nothing hides: the first load and the last store."""
    left_bytes, right_bytes = _once(t, left, right, t.at, t.kt, t.bt)
    rows, cols = t.a - (t.a - 1) // t.at * t.at, t.b - (t.b - 1) // t.bt * t.bt
    return int((left_bytes + right_bytes + 2 * rows * cols) / machine.dram_bytes_per_cycle)


@kernel
def _floors(
    machine: ArrayTiming, nest: Nest, windows: np.ndarray, mappings: np.ndarray, array: np.ndarray, both: np.ndarray,
    walk: np.ndarray,
) -> None:  # fmt: skip
    """Lower bounds of each mapping's cycles: the ``array``'s of one instance, ``both`` array and DMA of all; and a
    measure of how long it takes to ``walk`` it."""
    whole = np.zeros((2, 2), np.int64)  # bytes of both operands, unflipped and flipped
    for i in range(len(mappings)):
        row = mappings[i]
        tiling = _tiling_of(nest, row)
        flip = row[2]
        if whole[flip, 0] == 0:
            left, right = windows[flip], windows[1 - flip]
            whole[flip, 0], whole[flip, 1] = _once(tiling, left, right, tiling.a, tiling.k, tiling.b)
        alike = i > 0  # else the loops' order alone differs from the mapping before
        for j in range(6):
            alike = alike and row[j] == mappings[i - 1, j]
        array[i] = array[i - 1] if alike else _floor(machine, tiling, row[0], row[1])
        both[i] = max(array[i], _traffic_floor(machine, tiling, whole[flip, 0], whole[flip, 1])) * nest.count
        jobs = -(-tiling.a // row[3]) * -(-tiling.b // row[5]) * -(-nest.k // row[4])
        walk[i] = float(jobs) * both[i]


@kernel
def _walk_best(
    machine: ArrayTiming, nest: Nest, windows: np.ndarray, mappings: np.ndarray, array: np.ndarray, costs: np.ndarray,
    order: np.ndarray,
) -> None:  # fmt: skip
    """Walk the mappings in this order, those that can still be the best; ``costs`` holds their lower bounds before."""
    out = np.empty(len(NEST_COLUMNS))
    best = _UNKNOWN
    for i in order:
        if costs[i, 0] > best:
            continue
        row = mappings[i]
        tiling = _tiling_of(nest, row)
        exposed = _exposed(machine, tiling, windows[row[2]], windows[1 - row[2]])
        costs[i, 0] = max(costs[i, 0], array[i] * nest.count + exposed)
        if costs[i, 0] > best:
            continue
        out.fill(0.0)
        _array_time(machine, tiling, row[0], row[1], out)
        busy = 0.0
        for j in range(1, 8):
            busy += out[j]
        costs[i, 0] = max(costs[i, 0], int(busy) * nest.count + exposed)
        if costs[i, 0] <= best:
            costs[i, 0] = run_nest(machine, nest, windows, row, out)
            costs[i, 1] = int(out[10] + out[11])
            best = min(best, costs[i, 0])


def cost_table(machine: ArrayTiming, nest: Nest, windows: np.ndarray, mappings: np.ndarray) -> np.ndarray:
    """int64[n, 2]: cycles and DRAM bytes of each mapping (int64[n, 7]).

    Exact for each mapping that can be the best one. The array's own time and the DMA's bound a mapping's cycles from
    below; those whose bound exceeds the best total found are not walked and get the bound, with 2^62 bytes.
    """
    count = len(mappings)
    array, both, walk = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count)
    _floors(machine, nest, windows, mappings, array, both, walk)
    costs = np.empty((count, 2), np.int64)
    costs[:, 0], costs[:, 1] = both, _UNKNOWN
    # few jobs first: such walks are short, and give the bound that spares the long ones
    _walk_best(machine, nest, windows, mappings, array, costs, np.argsort(walk, kind="stable"))
    return costs
