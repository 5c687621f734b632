# SPDX-License-Identifier: Apache-2.0
"""Clock level of the STCE: every register stepped by the clock; the drawing from which the RTL is written.

What is a register here is a register there; the numbered phases of a cycle are the array's stages:

1. adder output: the sum that entered ``add_latency`` cycles ago goes to the accumulator of its slot, to the row below
   (WS, last round), to the output buffer (WS, bottom row) or to the drain register file (OS, last round).
2. adder input: the product that entered the multiplier ``mul_latency`` cycles ago meets its partial sum: zero or the
   output buffer (top row), the row above (WS, first round), or the slot's accumulator.
3. multiplier input: the activation register and the held weight, selected by index.
4. east: activation registers move one column east; the west lanes issue into column 0, each lane a token of
   ``row_delay`` behind the lane above (WS) or one cycle (OS).
5. south: weight registers move one row down and are caught by their row (WS: into the shadow bank, OS: into the held
   weight); the north lanes issue into row 0, one cycle later a column.
6. drain: OS results shift down to the output port.
7. controllers: tile starts, weight loads, done.

Column c does in a cycle what column c - 1 did in the cycle before, and no value crosses columns but the activation that
goes east. So column c is looked at c cycles later: in step t of the loop it is in cycle t + c, and all columns of a row
do the same. Registers that only pass on what entered them are a ring with what entered, cycle by cycle: a row's
activation registers with the tags of its products and sums, the weight registers. An activation register holds the
address of the word it stands for. Values are computed (FP32, round to nearest even), so a latency that is wrong shows
as wrong values. Exact sums are computed as such (`exact`) and rounded after the run; the cycles of the rounding come
behind the array.
Left out: the DMA side of the buffers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflow.errors import InputError
from hwsim.core.ieee import canonical
from hwsim.core.kernels import kernel, without_refcount

from .exact import added, product, rounded
from .job import Job, stored_length

_BUBBLE = -1
_NEVER = 1 << 62


def run_job(
    job: Job,
    x: np.ndarray,
    values: np.ndarray,
    index: np.ndarray | None,
    psum: np.ndarray | None = None,
    written: np.ndarray | None = None,
) -> tuple[np.ndarray, int]:
    """Step one array job to its end.

    Args:
        job: sizes and constants.
        x: float16[a, k] activations.
        values: float16[stored, b] stored weights, in reduction order (all of them when dense).
        index: uint8[stored, b] position of each stored weight in its group; None when dense.
        psum: float32[a, b] partial sums to start from (WS); None starts from zero.
        written: int64[a, b], filled with the cycle of each output's last write.

    Returns:
        float32[a, b] outputs (one canonical NaN) and the cycles from start accepted to done.
    """
    stored = stored_length(job)
    exact = job.round_latency > 0
    if exact and psum is not None:
        raise InputError("job: accumulate: exact: no partial sums to start from: they have been rounded")
    if x.shape != (job.a, job.k) or values.shape != (stored, job.b):
        raise InputError(f"job operands {x.shape} x {values.shape}: expected {(job.a, job.k)} x {(stored, job.b)}")
    # operands are padded to whole groups and whole tiles with zeros, as the buffer fill does
    tiles = 1 if job.is_os else -(-stored // (job.rows * job.depth))
    length = stored if job.is_os else tiles * job.rows * job.depth
    groups = -(-length // job.depth)
    xp = np.zeros((job.a, groups * (job.m if job.is_sparse else job.depth)), np.float32)
    xp[:, : job.k] = x
    width = -(-job.b // job.cols) * job.cols
    wp = np.zeros((groups * job.depth, width), np.float32)
    wp[:stored, : job.b] = values
    ip = np.zeros((groups * job.depth, width), np.int64)
    if index is not None:
        ip[:stored, : job.b] = index
    else:
        ip[:] = (np.arange(groups * job.depth) % job.depth)[:, None]
    start = np.zeros((job.a, job.b), np.complex128 if exact else np.float32)
    if psum is not None:
        start[:] = psum
    when = np.zeros((job.a, job.b), np.int64) if written is None else written
    operands = Operands(xp, xp.reshape(-1), wp, ip, start, when)
    cycles = (_step_os if job.is_os else _step_ws)(job, operands)
    if cycles < 0:
        raise RuntimeError(f"clock level did not finish: {job}")
    return canonical(rounded(start) if exact else start), cycles


class Operands(NamedTuple):
    """What a job reads and writes, padded as `run_job` does."""

    x: np.ndarray
    flat: np.ndarray
    """x, word by word."""
    w: np.ndarray
    idx: np.ndarray
    out: np.ndarray
    """The output buffer, written in place; WS reads partial sums from it. Its type is that of all sums."""
    when: np.ndarray
    """The cycle of each output's last write."""


class Lanes(NamedTuple):
    """Registers of the west lanes, and what they issued.

    Values are arrays of each kernel, looped over where they are used: so the compiler sees that they do not overlap,
    which is a fifth of the speed.
    """

    slot: np.ndarray
    """int64[rows, ring]: what a west lane issued, cycle by cycle: its slot, or a bubble; in the same places:"""
    first: np.ndarray
    last: np.ndarray
    """Whether it is of the first, of the last round."""
    x_at: np.ndarray
    weight: np.ndarray
    """Its address in x; WS: the weight of those that a PE holds."""
    row: np.ndarray
    col: np.ndarray
    """Row of the output, and its first column."""
    issued: np.ndarray
    """int64[rows]: the cycle of a lane's last issue."""
    tile: np.ndarray
    block: np.ndarray
    k: np.ndarray
    cycle: np.ndarray
    s: np.ndarray
    sub: np.ndarray
    """int64[rows], of a west lane: its tile or -1, block (WS), round, cycle in the round, slot, cycle in the slot."""
    token: np.ndarray
    token_tile: np.ndarray
    """int64[rows]: cycles until the lane starts a tile, or -1; which one."""


@kernel(inner=True)
def _ring(entries: int) -> int:
    """A power of two of at least that many."""
    size = 1
    while size < entries:
        size *= 2
    return size


@kernel(inline="always")
def _new_lanes(job: Job) -> Lanes:
    """Idle lanes."""
    rows, size = job.rows, _ring(job.mul_latency + job.add_latency + 2)
    slot = np.full((rows, size), _BUBBLE, np.int64)
    first, last = np.zeros((rows, size), np.bool_), np.zeros((rows, size), np.bool_)
    x_at, weight = np.zeros((rows, size), np.int64), np.zeros((rows, size), np.int64)
    row, col = np.zeros((rows, size), np.int64), np.zeros((rows, size), np.int64)
    issued = np.full(rows, -2 * size, np.int64)
    tile, block, k = np.full(rows, -1, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    cycle, s, sub = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    token, token_tile = np.full(rows, -1, np.int64), np.zeros(rows, np.int64)
    return Lanes(slot, first, last, x_at, weight, row, col, issued, tile, block, k, cycle, s, sub, token, token_tile)


@kernel(inline="always")
def _start_lane(g: Lanes, r: int, delay: int) -> None:
    """4, east: a lane whose token is there starts a tile; the lane below gets the token ``delay`` cycles later."""
    if g.token[r] == 0:
        g.tile[r] = g.token_tile[r]
        if r + 1 < len(g.token):
            g.token[r + 1], g.token_tile[r + 1] = delay, g.token_tile[r]
    if g.token[r] >= 0:
        g.token[r] -= 1


@kernel(inline="always")
def _next_slot(job: Job, g: Lanes, r: int) -> bool:
    """4, east: a lane's counters go on by a cycle; whether a round ends with it, and ``k`` went on by one."""
    g.sub[r] += 1
    if g.sub[r] == job.slot:
        g.s[r], g.sub[r] = g.s[r] + 1, 0
    g.cycle[r] += 1
    ends: bool = g.cycle[r] == job.round
    if ends:
        g.cycle[r], g.s[r], g.sub[r] = 0, 0, 0
        g.k[r] += 1
    return ends


@kernel
def _step_ws(job: Job, operands: Operands) -> int:
    """Weight-stationary run. Returns cycles, -1 if stuck."""
    d, lanes = without_refcount(operands), _new_lanes(job)
    g = without_refcount(lanes)  # lanes, which owns its arrays, is used to the end of the loop
    x, flat, w, idx, out, when = d.x, d.flat, d.w, d.idx, d.out, d.when
    rows, cols, depth, inter = job.rows, job.cols, job.depth, job.interleave
    lm, la, rnd = job.mul_latency, job.add_latency, job.round
    group = job.m if job.is_sparse else depth
    blocks = -(-job.a // inter)
    b_tiles = -(-job.b // cols)
    n_tiles = (w.shape[0] // (rows * depth)) * b_tiles

    wrap = g.slot.shape[1] - 1
    # weights: two banks a PE, ping-pong; the bank in use is tile & 1
    wv = np.zeros((rows, 2 * depth, cols), np.float32)
    wi = np.zeros((rows, 2 * depth, cols), np.int64)
    # what the loader issued to column 0: row it is for (or bubble), weight there, entry and column in w
    n_size = _ring(rows + 2)
    n_wrap = n_size - 1
    n_row = np.full(n_size, _BUBBLE, np.int64)
    n_at = np.zeros(n_size, np.int64)
    n_entry = np.zeros(n_size, np.int64)
    n_col = np.zeros(n_size, np.int64)
    n_last = -2 * n_size
    # values in the multipliers, adders and accumulators
    mv = np.zeros((lm, rows, cols), out.dtype)
    av = np.zeros((la, rows, cols), out.dtype)
    acc = np.zeros((rows, inter, cols), out.dtype)
    zero = mv[0, 0, 0]
    # sums that go to the row below
    south = np.zeros((rows, cols), out.dtype)
    # output buffer: partial sum read for the top row
    top = np.zeros(cols, out.dtype)

    # north lane of column 0: tile, row, cycle in the row's load
    load_tile, load_row, load_cyc, loading = -1, 0, 0, False
    lead = 0  # cycles since the loader began this tile
    next_tile = 0
    free_at = 0  # cycle from which west lane 0 is free
    # partial-sum hazard: cycle from which a tile's sums are settled, once the bottom lane starts its last round
    settled = np.full(n_tiles, _NEVER, np.int64)
    done_at = _NEVER

    limit = 1000 + n_tiles * (blocks * depth * rnd + 4 * rows * (job.load_row + job.row_delay + 4) + 64) + cols
    for t in range(1, limit):
        rm, ra = t % lm, t % la
        # 7. controllers (registered state at the start of the cycle): may a tile start, may a load begin
        if (
            next_tile < n_tiles
            and load_tile == next_tile
            and lead >= job.load_lead
            and t >= free_at
            and (next_tile < b_tiles or t >= settled[next_tile - b_tiles])
        ):
            lanes.token[0], lanes.token_tile[0] = 0, next_tile
            free_at = t + blocks * depth * rnd
            next_tile += 1
        if not loading and load_tile + 1 < n_tiles and load_tile + 1 <= next_tile:
            load_tile += 1
            load_row, load_cyc, loading, lead = 0, 0, True, 0

        p3, p2, p1 = (t - 1) & wrap, (t - lm - 1) & wrap, (t - lm - la - 1) & wrap
        written_tag = _BUBBLE  # the bottom row's results of this cycle, by their place in the ring
        for r in range(rows):
            if t - g.issued[r] > lm + la + 1:
                continue  # bubbles everywhere
            # 1. adder output
            s = g.slot[r, p1]
            if s != _BUBBLE:
                if g.last[r, p1]:
                    for c in range(cols):
                        south[r, c] = av[ra, r, c]
                    if r == rows - 1:
                        written_tag = p1
                else:
                    for c in range(cols):
                        acc[r, s, c] = av[ra, r, c]
            # 2. adder input
            s = g.slot[r, p2]
            if s != _BUBBLE:
                if not g.first[r, p2]:
                    for c in range(cols):
                        av[ra, r, c] = added(acc[r, s, c], mv[rm, r, c])
                elif r > 0:
                    for c in range(cols):
                        av[ra, r, c] = added(south[r - 1, c], mv[rm, r, c])
                else:
                    for c in range(cols):
                        av[ra, r, c] = added(top[c], mv[rm, r, c])
            # 3. multiplier input
            if g.slot[r, p3] != _BUBBLE:
                k, x_at = g.weight[r, p3], g.x_at[r, p3]
                for c in range(cols):
                    mv[rm, r, c] = product(zero, flat[x_at + wi[r, k, c]], wv[r, k, c])
        # 4. east
        p0 = t & wrap
        for r in range(rows - 1, -1, -1):
            _start_lane(g, r, job.row_delay - 1)
            g.slot[r, p0] = _BUBBLE
            tile = g.tile[r]
            if tile >= 0:
                s, k = g.s[r], g.k[r]
                if r == rows - 1 and g.cycle[r] == 0 and k == depth - 1 and g.block[r] == 0:
                    settled[tile] = t + job.hazard
                if g.sub[r] == 0 and s < inter:
                    a = g.block[r] * inter + s
                    if a < job.a:
                        g.issued[r] = t
                        g.slot[r, p0], g.first[r, p0], g.last[r, p0] = s, k == 0, k == depth - 1
                        g.x_at[r, p0] = a * x.shape[1] + ((tile // b_tiles) * rows + r) * group
                        g.weight[r, p0] = (tile & 1) * depth + k
                        g.row[r, p0], g.col[r, p0] = a, (tile % b_tiles) * cols
                if _next_slot(job, g, r) and g.k[r] == depth:
                    g.k[r] = 0
                    g.block[r] += 1
                    if g.block[r] == blocks:
                        if r == rows - 1 and tile == n_tiles - 1:
                            done_at = t + cols + lm + la + job.round_latency  # the pipeline empties
                        g.tile[r], g.block[r] = -1, 0
        # 5. south: a weight is in row r of column c r + c + 1 cycles after its issue, and stays in the row it is for
        if t - n_last <= rows + 1:
            for r in range(rows):
                q = (t - r - 1) & n_wrap
                if n_row[q] == r:
                    for c in range(cols):
                        wv[r, n_at[q], c] = w[n_entry[q], n_col[q] + c]
                        wi[r, n_at[q], c] = idx[n_entry[q], n_col[q] + c]
        q = t & n_wrap
        n_row[q] = _BUBBLE
        if loading:
            word = load_cyc // job.load_word
            if word < depth and load_cyc % job.load_word == job.load_word - 1:
                n_last = t
                n_row[q], n_at[q] = load_row, (load_tile & 1) * depth + word
                n_entry[q] = ((load_tile // b_tiles) * rows + load_row) * depth + word
                n_col[q] = (load_tile % b_tiles) * cols
            load_cyc += 1
            if load_cyc == job.load_row:
                load_cyc = 0
                load_row += 1
                if load_row == rows:
                    loading = False
        # output buffer: the read for the top row's next partial sum, then this cycle's write (read-first memory)
        p2 = (t - lm) & wrap
        if g.slot[0, p2] != _BUBBLE and g.first[0, p2]:
            for c in range(cols):
                col = g.col[0, p2] + c
                top[c] = out[g.row[0, p2], col] if col < out.shape[1] else zero
        if written_tag != _BUBBLE:
            a, first = g.row[rows - 1, written_tag], g.col[rows - 1, written_tag]
            for c in range(min(cols, out.shape[1] - first)):
                out[a, first + c] = south[rows - 1, c]
                when[a, first + c] = t + c + job.round_latency
        lead += 1
        if t == done_at:
            return t + 1
    return -1


@kernel
def _step_os(job: Job, operands: Operands) -> int:
    """Output-stationary run. Returns cycles, -1 if stuck."""
    d, lanes = without_refcount(operands), _new_lanes(job)
    g = without_refcount(lanes)  # lanes, which owns its arrays, is used to the end of the loop
    x, flat, w, idx, out, when = d.x, d.flat, d.w, d.idx, d.out, d.when
    rows, cols, inter = job.rows, job.cols, job.interleave
    lm, la, rnd, word_cyc = job.mul_latency, job.add_latency, job.round, job.drain_word
    rounds = w.shape[0]
    b_tiles = -(-job.b // cols)
    n_tiles = -(-job.a // (rows * inter)) * b_tiles

    wrap = g.slot.shape[1] - 1
    # the weight a PE holds
    hv = np.zeros((rows, cols), np.float32)
    hi = np.zeros((rows, cols), np.int64)
    # what the north lane of column 0 issued: entry (or bubble) and column in w
    n_size = _ring(rows + 2)
    n_wrap = n_size - 1
    n_entry = np.full(n_size, _BUBBLE, np.int64)
    n_col = np.zeros(n_size, np.int64)
    n_last = -2 * n_size
    # values in the multipliers, adders and accumulators
    mv = np.zeros((lm, rows, cols), out.dtype)
    av = np.zeros((la, rows, cols), out.dtype)
    acc = np.zeros((rows, inter, cols), out.dtype)
    zero = mv[0, 0, 0]
    # drain register file with its addresses; drain registers, row r in place (r - t) mod rows
    fv = np.zeros((rows, inter, cols), out.dtype)
    fa = np.full((rows, inter), _BUBBLE, np.int64)
    fb = np.zeros((rows, inter), np.int64)
    d_last = -2 * rows - 2
    dv = np.zeros((rows, cols), out.dtype)
    da = np.full(rows, _BUBBLE, np.int64)
    db = np.zeros(rows, np.int64)

    north_tile, north_k, north_cyc = -1, 0, 0
    next_tile, free_at = 0, 0
    # drain: per row, countdown to its turn, word and cycle in word
    turn = np.full(rows, -1, np.int64)
    word = np.full(rows, -1, np.int64)
    word_at = np.zeros(rows, np.int64)
    turn_tile = np.zeros(rows, np.int64)
    flush = np.full(lm + la + 2, -1, np.int64)  # delay line from the bottom lane's end of a tile to its drain
    done_at = _NEVER

    limit = 1000 + (n_tiles + 1) * (rounds * rnd + job.drain_period + 64) + 2 * (rows + cols)
    for t in range(1, limit):
        rm, ra = t % lm, t % la
        # 7. controllers
        if next_tile < n_tiles and t >= free_at:
            north_tile, north_k, north_cyc = next_tile, 0, 0
            free_at = t + max(rounds * rnd, job.drain_period)
            next_tile += 1
        # 6. drain: registers move south towards the port; a row in its turn puts its own word in
        if t - d_last <= rows + 1:
            q = -t % rows  # was the bottom row, is the top row
            if da[q] != _BUBBLE:
                for c in range(min(cols, out.shape[1] - db[q])):
                    out[da[q], db[q] + c] = dv[q, c]
                    when[da[q], db[q] + c] = t + c + job.round_latency
                da[q] = _BUBBLE
        p0 = t & wrap
        at_flush = t % (lm + la + 2)
        if flush[at_flush] >= 0:
            turn[rows - 1], turn_tile[rows - 1] = 0, flush[at_flush]
            flush[at_flush] = -1
        for r in range(rows - 1, -1, -1):
            if turn[r] == 0:
                word[r], word_at[r] = 0, 0
                if r > 0:
                    turn[r - 1], turn_tile[r - 1] = inter * word_cyc - 1, turn_tile[r]
            if turn[r] >= 0:
                turn[r] -= 1
            if word[r] >= 0:
                if word_at[r] == 0:
                    q, i = (r - t) % rows, word[r]
                    for c in range(cols):
                        dv[q, c] = fv[r, i, c]
                    da[q], db[q] = fa[r, i], fb[r, i]
                    fa[r, i] = _BUBBLE  # a slot that the next tile does not fill must not be written again
                    d_last = t
                    if r == 0 and word[r] == inter - 1 and turn_tile[r] == n_tiles - 1:
                        done_at = t + rows + cols + word_cyc - 2 + job.round_latency
                word_at[r] += 1
                if word_at[r] == word_cyc:
                    word_at[r] = 0
                    word[r] += 1
                    if word[r] == inter:
                        word[r] = -1
        p3, p2, p1 = (t - 1) & wrap, (t - lm - 1) & wrap, (t - lm - la - 1) & wrap
        for r in range(rows):
            if t - g.issued[r] > lm + la + 1:
                continue  # bubbles everywhere
            # 1. adder output
            s = g.slot[r, p1]
            if s != _BUBBLE:
                if g.last[r, p1]:
                    for c in range(cols):
                        fv[r, s, c] = av[ra, r, c]
                    fa[r, s], fb[r, s] = g.row[r, p1], g.col[r, p1]
                else:
                    for c in range(cols):
                        acc[r, s, c] = av[ra, r, c]
            # 2. adder input
            s = g.slot[r, p2]
            if s != _BUBBLE:
                if g.first[r, p2]:
                    for c in range(cols):
                        av[ra, r, c] = added(zero, mv[rm, r, c])
                else:
                    for c in range(cols):
                        av[ra, r, c] = added(acc[r, s, c], mv[rm, r, c])
            # 3. multiplier input
            if g.slot[r, p3] != _BUBBLE:
                x_at = g.x_at[r, p3]
                for c in range(cols):
                    mv[rm, r, c] = product(zero, flat[x_at + hi[r, c]], hv[r, c])
        # 4. east
        for r in range(rows - 1, -1, -1):
            _start_lane(g, r, 0)
            g.slot[r, p0] = _BUBBLE
            tile = g.tile[r]
            if tile >= 0:
                s, k = g.s[r], g.k[r]
                if g.sub[r] == 0 and s < inter:
                    a = ((tile // b_tiles) * rows + r) * inter + s
                    if a < job.a:
                        g.issued[r] = t
                        g.slot[r, p0], g.first[r, p0], g.last[r, p0] = s, k == 0, k == rounds - 1
                        g.x_at[r, p0] = a * x.shape[1] + (k // job.depth) * job.m
                        g.row[r, p0], g.col[r, p0] = a, (tile % b_tiles) * cols
                if _next_slot(job, g, r) and g.k[r] == rounds:
                    g.k[r] = 0
                    if r == rows - 1:
                        flush[at_flush] = tile
                    g.tile[r] = -1
        # 5. south: a weight is in row r of column c r + c + 1 cycles after its issue
        if t - n_last <= rows + 1:
            for r in range(rows):
                q = (t - r - 1) & n_wrap
                if n_entry[q] != _BUBBLE:
                    for c in range(cols):
                        hv[r, c], hi[r, c] = w[n_entry[q], n_col[q] + c], idx[n_entry[q], n_col[q] + c]
        q = t & n_wrap
        n_entry[q] = _BUBBLE
        if north_tile >= 0:
            if north_cyc == job.load_word - 1:
                n_last = t
                n_entry[q] = north_k
                n_col[q] = (north_tile % b_tiles) * cols
                if north_k == 0:  # the first weight leaves now: the first activation follows a cycle later
                    lanes.token[0], lanes.token_tile[0] = 0, north_tile
            north_cyc += 1
            if north_cyc == rnd:
                north_cyc = 0
                north_k += 1
                if north_k == rounds:
                    north_tile = -1
        if t == done_at:
            return t + 1
    return -1
