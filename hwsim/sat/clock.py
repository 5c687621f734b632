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

A pipeline register that only moves data is a ring buffer; an activation register holds the address of the word it
stands for. Values are computed (FP32, round to nearest even), so a latency that is wrong shows as wrong values.
Left out: the DMA side of the buffers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from dataflow.errors import InputError

from .functional import canonical
from .job import Job, stored_length

_BUBBLE = -1


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
    start = np.zeros((job.a, job.b), np.float32) if psum is None else np.array(psum, np.float32)
    when = np.zeros((job.a, job.b), np.int64) if written is None else written
    cycles = (_step_os if job.is_os else _step_ws)(job, xp, wp, ip, start, when)
    if cycles < 0:
        raise RuntimeError(f"clock level did not finish: {job}")
    return canonical(start), cycles


@njit(cache=True)
def _step_ws(job, x, w, idx, out, when):  # type: ignore[no-untyped-def]
    """Weight-stationary run; ``out`` is the output buffer, read and written in place. Returns cycles, -1 if stuck."""
    rows, cols, depth, inter = job.rows, job.cols, job.depth, job.interleave
    lm, la, slot, rnd = job.mul_latency, job.add_latency, job.slot, job.round
    group = job.m if job.is_sparse else depth
    blocks = -(-job.a // inter)
    b_tiles = -(-job.b // cols)
    n_tiles = (w.shape[0] // (rows * depth)) * b_tiles

    # activation registers: row of x (or bubble), round, tile; one a PE
    xa = np.full((rows, cols), _BUBBLE, np.int64)
    xk = np.zeros((rows, cols), np.int64)
    xt = np.zeros((rows, cols), np.int64)
    xs = np.zeros((rows, cols), np.int64)  # slot number (accumulator)
    # weights: two banks a PE, ping-pong; the bank in use is tile & 1
    wv = np.zeros((rows, cols, 2, depth), np.float32)
    wi = np.zeros((rows, cols, 2, depth), np.int64)
    # weight registers moving south: value, index, rows still to go, entry, bank, valid
    nv = np.zeros((rows, cols), np.float32)
    ni = np.zeros((rows, cols), np.int64)
    nrow = np.zeros((rows, cols), np.int64)
    nent = np.zeros((rows, cols), np.int64)
    nbank = np.zeros((rows, cols), np.int64)
    nok = np.zeros((rows, cols), np.bool_)
    # multiplier and adder pipelines: value and tags
    mv = np.zeros((lm, rows, cols), np.float32)
    ma = np.full((lm, rows, cols), _BUBBLE, np.int64)
    mk = np.zeros((lm, rows, cols), np.int64)
    mt = np.zeros((lm, rows, cols), np.int64)
    ms = np.zeros((lm, rows, cols), np.int64)
    av = np.zeros((la, rows, cols), np.float32)
    aa = np.full((la, rows, cols), _BUBBLE, np.int64)
    ak = np.zeros((la, rows, cols), np.int64)
    at = np.zeros((la, rows, cols), np.int64)
    as_ = np.zeros((la, rows, cols), np.int64)
    acc = np.zeros((rows, cols, inter), np.float32)
    south = np.zeros((rows, cols), np.float32)
    # output buffer: partial sum read for the top row, write port
    top = np.zeros(cols, np.float32)
    pend = np.zeros(cols, np.bool_)
    pend_v = np.zeros(cols, np.float32)
    pend_a = np.zeros(cols, np.int64)
    pend_b = np.zeros(cols, np.int64)

    # west lanes: running tile, block, round, slot, cycle in slot and in round; start token countdown
    lane_tile = np.full(rows, -1, np.int64)
    lane_blk = np.zeros(rows, np.int64)
    lane_k = np.zeros(rows, np.int64)
    lane_cyc = np.zeros(rows, np.int64)
    token = np.full(rows, -1, np.int64)
    token_tile = np.zeros(rows, np.int64)
    # north lanes: the loader of column 0, and what it issues delayed a cycle a column
    load_tile, load_row, load_cyc, loading = -1, 0, 0, False
    lead = 0  # cycles since the loader began this tile
    hist = np.full((cols, 4), -1, np.int64)  # issue of the loader c cycles ago: tile, row, entry
    next_tile = 0
    free_in = 0  # cycles until west lane 0 is free
    # partial-sum hazard: countdown after the bottom lane starts the last round of a tile
    settled = np.full(n_tiles, -1, np.int64)
    last_tail = -1
    done_in = -1

    limit = 1000 + n_tiles * (blocks * depth * rnd + 4 * rows * (job.load_row + job.row_delay + 4) + 64) + cols
    for t in range(1, limit):
        rm, ra = t % lm, t % la
        # 7. controllers (registered state at the start of the cycle): may a tile start, may a load begin
        if next_tile < n_tiles and load_tile == next_tile and lead >= job.load_lead and free_in == 0:
            ok = True
            if next_tile >= b_tiles:
                ok = settled[next_tile - b_tiles] == 0
            if ok:
                token[0], token_tile[0] = 0, next_tile
                free_in = blocks * depth * rnd
                next_tile += 1
        if not loading and load_tile + 1 < n_tiles and load_tile + 1 <= next_tile:
            load_tile += 1
            load_row, load_cyc, loading, lead = 0, 0, True, 0

        # 1. adder output
        for r in range(rows):
            for c in range(cols):
                a = aa[ra, r, c]
                if a != _BUBBLE:
                    v = av[ra, r, c]
                    if ak[ra, r, c] == depth - 1:
                        south[r, c] = v
                        if r == rows - 1:
                            pend[c], pend_v[c], pend_a[c] = True, v, a
                            pend_b[c] = (at[ra, r, c] % b_tiles) * cols + c
                    else:
                        acc[r, c, as_[ra, r, c]] = v
        # 2. adder input
        for r in range(rows):
            for c in range(cols):
                a = ma[rm, r, c]
                aa[ra, r, c] = a
                if a != _BUBBLE:
                    k, s, tile = mk[rm, r, c], ms[rm, r, c], mt[rm, r, c]
                    if k > 0:
                        p = acc[r, c, s]
                    elif r > 0:
                        p = south[r - 1, c]
                    else:
                        p = top[c]
                    av[ra, r, c] = np.float32(p + mv[rm, r, c])
                    ak[ra, r, c], as_[ra, r, c], at[ra, r, c] = k, s, tile
        # 3. multiplier input
        for r in range(rows):
            for c in range(cols):
                a = xa[r, c]
                ma[rm, r, c] = a
                if a != _BUBBLE:
                    k, tile = xk[r, c], xt[r, c]
                    word = ((tile // b_tiles) * rows + r) * group + wi[r, c, tile & 1, k]
                    mv[rm, r, c] = np.float32(x[a, word] * wv[r, c, tile & 1, k])
                    mk[rm, r, c], ms[rm, r, c], mt[rm, r, c] = k, xs[r, c], tile
        # 4. east
        for r in range(rows):
            for c in range(cols - 1, 0, -1):
                xa[r, c] = xa[r, c - 1]
                xk[r, c], xt[r, c], xs[r, c] = xk[r, c - 1], xt[r, c - 1], xs[r, c - 1]
        for r in range(rows - 1, -1, -1):
            if token[r] == 0:  # a tile starts in this lane now
                lane_tile[r], lane_blk[r], lane_k[r], lane_cyc[r] = token_tile[r], 0, 0, 0
                if r + 1 < rows:
                    token[r + 1], token_tile[r + 1] = job.row_delay - 1, token_tile[r]
            if token[r] >= 0:
                token[r] -= 1
            xa[r, 0] = _BUBBLE
            if lane_tile[r] >= 0:
                cyc = lane_cyc[r]
                s = cyc // slot
                if r == rows - 1 and cyc == 0 and lane_k[r] == depth - 1 and lane_blk[r] == 0:
                    last_tail = lane_tile[r]
                    settled[last_tail] = job.hazard
                if cyc % slot == 0 and s < inter:
                    a = lane_blk[r] * inter + s
                    if a < job.a:
                        xa[r, 0] = a
                        xk[r, 0], xt[r, 0], xs[r, 0] = lane_k[r], lane_tile[r], s
                lane_cyc[r] += 1
                if lane_cyc[r] == rnd:
                    lane_cyc[r] = 0
                    lane_k[r] += 1
                    if lane_k[r] == depth:
                        lane_k[r] = 0
                        lane_blk[r] += 1
                        if lane_blk[r] == blocks:
                            if r == rows - 1 and lane_tile[r] == n_tiles - 1:
                                done_in = cols + 1 + lm + la  # the pipeline empties
                            lane_tile[r] = -1
        # 5. south
        for c in range(cols):
            for r in range(rows - 1, -1, -1):
                if nok[r, c]:
                    if nrow[r, c] == 0:
                        e, bank = nent[r, c], nbank[r, c]
                        wv[r, c, bank, e], wi[r, c, bank, e] = nv[r, c], ni[r, c]
                    elif r + 1 < rows:
                        nv[r + 1, c], ni[r + 1, c] = nv[r, c], ni[r, c]
                        nrow[r + 1, c], nent[r + 1, c] = nrow[r, c] - 1, nent[r, c]
                        nbank[r + 1, c] = nbank[r, c]
                    if r + 1 < rows:
                        nok[r + 1, c] = nrow[r, c] > 0
                elif r + 1 < rows:
                    nok[r + 1, c] = False
                if r == 0:
                    nok[0, c] = False
        for c in range(cols - 1, 0, -1):
            hist[c, 0], hist[c, 1], hist[c, 2] = hist[c - 1, 0], hist[c - 1, 1], hist[c - 1, 2]
        hist[0, 0] = -1
        if loading:
            word = load_cyc // job.load_word
            if word < depth and load_cyc % job.load_word == job.load_word - 1:
                hist[0, 0], hist[0, 1], hist[0, 2] = load_tile, load_row, word
            load_cyc += 1
            if load_cyc == job.load_row:
                load_cyc = 0
                load_row += 1
                if load_row == rows:
                    loading = False
        for c in range(cols):
            if hist[c, 0] >= 0:
                tile, r, e = hist[c, 0], hist[c, 1], hist[c, 2]
                entry = ((tile // b_tiles) * rows + r) * depth + e
                col = (tile % b_tiles) * cols + c
                nv[0, c], ni[0, c] = w[entry, col], idx[entry, col]
                nrow[0, c], nent[0, c], nbank[0, c], nok[0, c] = r, e, tile & 1, True
        # output buffer: the read for the top row's next partial sum, then this cycle's write (read-first memory)
        rn = (t + 1) % lm
        for c in range(cols):
            if ma[rn, 0, c] != _BUBBLE and mk[rn, 0, c] == 0:
                col = (mt[rn, 0, c] % b_tiles) * cols + c
                top[c] = out[ma[rn, 0, c], col] if col < out.shape[1] else np.float32(0.0)
        for c in range(cols):
            if pend[c]:
                if pend_b[c] < out.shape[1]:
                    out[pend_a[c], pend_b[c]] = pend_v[c]
                    when[pend_a[c], pend_b[c]] = t
                pend[c] = False
        lead += 1
        if free_in > 0:
            free_in -= 1
        for j in range(max(0, last_tail - b_tiles), last_tail + 1):
            if settled[j] > 0:
                settled[j] -= 1
        if done_in > 0:
            done_in -= 1
            if done_in == 0:
                return t + 1
    return -1


@njit(cache=True)
def _step_os(job, x, w, idx, out, when):  # type: ignore[no-untyped-def]
    """Output-stationary run; ``out`` is the output buffer, written in place. Returns cycles, -1 if stuck."""
    rows, cols, inter = job.rows, job.cols, job.interleave
    lm, la, slot, rnd, word_cyc = job.mul_latency, job.add_latency, job.slot, job.round, job.drain_word
    rounds = w.shape[0]
    b_tiles = -(-job.b // cols)
    n_tiles = -(-job.a // (rows * inter)) * b_tiles

    xa = np.full((rows, cols), _BUBBLE, np.int64)
    xk = np.zeros((rows, cols), np.int64)
    xt = np.zeros((rows, cols), np.int64)
    xs = np.zeros((rows, cols), np.int64)
    # weight moving south and weight held
    nv = np.zeros((rows, cols), np.float32)
    ni = np.zeros((rows, cols), np.int64)
    nok = np.zeros((rows, cols), np.bool_)
    hv = np.zeros((rows, cols), np.float32)
    hi = np.zeros((rows, cols), np.int64)
    mv = np.zeros((lm, rows, cols), np.float32)
    ma = np.full((lm, rows, cols), _BUBBLE, np.int64)
    mk = np.zeros((lm, rows, cols), np.int64)
    mt = np.zeros((lm, rows, cols), np.int64)
    ms = np.zeros((lm, rows, cols), np.int64)
    av = np.zeros((la, rows, cols), np.float32)
    aa = np.full((la, rows, cols), _BUBBLE, np.int64)
    ak = np.zeros((la, rows, cols), np.int64)
    at = np.zeros((la, rows, cols), np.int64)
    as_ = np.zeros((la, rows, cols), np.int64)
    acc = np.zeros((rows, cols, inter), np.float32)
    # drain register file with its addresses, drain command moving east, drain registers moving south
    fv = np.zeros((rows, cols, inter), np.float32)
    fa = np.full((rows, cols, inter), _BUBBLE, np.int64)
    fb = np.zeros((rows, cols, inter), np.int64)
    cmd = np.full((rows, cols), -1, np.int64)
    dv = np.zeros((rows, cols), np.float32)
    da = np.full((rows, cols), _BUBBLE, np.int64)
    db = np.zeros((rows, cols), np.int64)

    lane_tile = np.full(rows, -1, np.int64)
    lane_k = np.zeros(rows, np.int64)
    lane_cyc = np.zeros(rows, np.int64)
    token = np.full(rows, -1, np.int64)
    token_tile = np.zeros(rows, np.int64)
    hist = np.full((cols, 2), -1, np.int64)  # north lane of column 0, c cycles ago: tile, round
    north_tile, north_k, north_cyc = -1, 0, 0
    next_tile, busy = 0, 0
    # drain: per row, countdown to its turn, word and cycle in word
    turn = np.full(rows, -1, np.int64)
    word = np.full(rows, -1, np.int64)
    word_at = np.zeros(rows, np.int64)
    turn_tile = np.zeros(rows, np.int64)
    flush = np.full(lm + la + 2, -1, np.int64)  # delay line from the bottom lane's end of a tile to its drain
    done_in = -1

    limit = 1000 + (n_tiles + 1) * (rounds * rnd + job.drain_period + 64) + 2 * (rows + cols)
    for t in range(1, limit):
        rm, ra = t % lm, t % la
        # 7. controllers
        if next_tile < n_tiles and busy == 0:
            north_tile, north_k, north_cyc = next_tile, 0, 0
            busy = max(rounds * rnd, job.drain_period)
            next_tile += 1
        # 6. drain: registers move south towards the port; a row in its turn puts its own word in
        for c in range(cols):
            if da[rows - 1, c] != _BUBBLE and db[rows - 1, c] < out.shape[1]:
                out[da[rows - 1, c], db[rows - 1, c]] = dv[rows - 1, c]
                when[da[rows - 1, c], db[rows - 1, c]] = t
            for r in range(rows - 1, 0, -1):
                dv[r, c], da[r, c], db[r, c] = dv[r - 1, c], da[r - 1, c], db[r - 1, c]
            da[0, c] = _BUBBLE
        for r in range(rows):
            for c in range(cols - 1, 0, -1):
                cmd[r, c] = cmd[r, c - 1]
            cmd[r, 0] = -1
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
                    cmd[r, 0] = word[r]
                    if r == 0 and word[r] == inter - 1 and turn_tile[r] == n_tiles - 1:
                        done_in = rows + cols + word_cyc - 1
                word_at[r] += 1
                if word_at[r] == word_cyc:
                    word_at[r] = 0
                    word[r] += 1
                    if word[r] == inter:
                        word[r] = -1
        for r in range(rows):
            for c in range(cols):
                i = cmd[r, c]
                if i >= 0:
                    dv[r, c], da[r, c], db[r, c] = fv[r, c, i], fa[r, c, i], fb[r, c, i]
                    fa[r, c, i] = _BUBBLE  # a slot that the next tile does not fill must not be written again
        # 1. adder output
        for r in range(rows):
            for c in range(cols):
                if aa[ra, r, c] != _BUBBLE:
                    s = as_[ra, r, c]
                    if ak[ra, r, c] == rounds - 1:
                        fv[r, c, s], fa[r, c, s] = av[ra, r, c], aa[ra, r, c]
                        fb[r, c, s] = (at[ra, r, c] % b_tiles) * cols + c
                    else:
                        acc[r, c, s] = av[ra, r, c]
        # 2. adder input
        for r in range(rows):
            for c in range(cols):
                a = ma[rm, r, c]
                aa[ra, r, c] = a
                if a != _BUBBLE:
                    k, s = mk[rm, r, c], ms[rm, r, c]
                    p = acc[r, c, s] if k > 0 else np.float32(0.0)
                    av[ra, r, c] = np.float32(p + mv[rm, r, c])
                    ak[ra, r, c], as_[ra, r, c], at[ra, r, c] = k, s, mt[rm, r, c]
        # 3. multiplier input
        for r in range(rows):
            for c in range(cols):
                a = xa[r, c]
                ma[rm, r, c] = a
                if a != _BUBBLE:
                    k = xk[r, c]
                    mv[rm, r, c] = np.float32(x[a, (k // job.depth) * job.m + hi[r, c]] * hv[r, c])
                    mk[rm, r, c], ms[rm, r, c], mt[rm, r, c] = k, xs[r, c], xt[r, c]
        # 4. east
        for r in range(rows):
            for c in range(cols - 1, 0, -1):
                xa[r, c] = xa[r, c - 1]
                xk[r, c], xt[r, c], xs[r, c] = xk[r, c - 1], xt[r, c - 1], xs[r, c - 1]
        for r in range(rows - 1, -1, -1):
            if token[r] == 0:
                lane_tile[r], lane_k[r], lane_cyc[r] = token_tile[r], 0, 0
                if r + 1 < rows:
                    token[r + 1], token_tile[r + 1] = 0, token_tile[r]
            if token[r] >= 0:
                token[r] -= 1
            xa[r, 0] = _BUBBLE
            if lane_tile[r] >= 0:
                cyc = lane_cyc[r]
                s = cyc // slot
                if cyc % slot == 0 and s < inter:
                    a = ((lane_tile[r] // b_tiles) * rows + r) * inter + s
                    if a < job.a:
                        xa[r, 0] = a
                        xk[r, 0], xt[r, 0], xs[r, 0] = lane_k[r], lane_tile[r], s
                lane_cyc[r] += 1
                if lane_cyc[r] == rnd:
                    lane_cyc[r] = 0
                    lane_k[r] += 1
                    if lane_k[r] == rounds:
                        if r == rows - 1:
                            flush[at_flush] = lane_tile[r]
                        lane_tile[r] = -1
        # 5. south
        for c in range(cols):
            for r in range(rows - 1, -1, -1):
                if nok[r, c]:
                    hv[r, c], hi[r, c] = nv[r, c], ni[r, c]
                if r > 0:
                    nv[r, c], ni[r, c], nok[r, c] = nv[r - 1, c], ni[r - 1, c], nok[r - 1, c]
        for c in range(cols - 1, 0, -1):
            hist[c, 0], hist[c, 1] = hist[c - 1, 0], hist[c - 1, 1]
        hist[0, 0] = -1
        if north_tile >= 0:
            if north_cyc == job.load_word - 1:
                hist[0, 0], hist[0, 1] = north_tile, north_k
                if north_k == 0:  # the first weight leaves now: the first activation follows a cycle later
                    token[0], token_tile[0] = 0, north_tile
            north_cyc += 1
            if north_cyc == rnd:
                north_cyc = 0
                north_k += 1
                if north_k == rounds:
                    north_tile = -1
        for c in range(cols):
            nok[0, c] = hist[c, 0] >= 0
            if nok[0, c]:
                col = (hist[c, 0] % b_tiles) * cols + c
                nv[0, c], ni[0, c] = w[hist[c, 1], col], idx[hist[c, 1], col]
        if busy > 0:
            busy -= 1
        if done_in > 0:
            done_in -= 1
            if done_in == 0:
                return t + 1
    return -1
