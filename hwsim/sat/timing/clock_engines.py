# SPDX-License-Identifier: Apache-2.0
"""Clock level of SORE and WUVE: lanes of vector engines, stepped register by register.

A SORE lane: a sorter of N entries takes one element a cycle; after M of them the entries go to the data provider,
which sends them in index order, one a cycle, while the sorter takes the next group. A WUVE lane: a pipeline that takes
one weight a cycle. All lanes of an engine run in lockstep; a short last round of lanes holds bubbles. Left out: the
buffers in front and behind (every element is there when it is asked for).

Time 0 is the cycle in which ``start`` is accepted; ``done`` is raised in the cycle after the last write.
"""

from __future__ import annotations

import numpy as np

from dataflow.errors import InputError
from dataflow.pattern import NM
from hwsim.core.ieee import canonical, to_fp16
from hwsim.core.kernels import kernel

from ..config import SatConfig
from .job import wuve_latency


def run_sore(config: SatConfig, weights: np.ndarray, pattern: NM) -> tuple[np.ndarray, np.ndarray, int]:
    """Top-N of each group of M along axis 0 of float16[k, b]; groups are dealt to the lanes in order, columns outer.

    Returns:
        float16[stored, b] values, uint8[stored, b] indices, cycles.
    """
    k, b = weights.shape
    n, m = pattern.n_keep, pattern.m_group
    if min(k, b) < 1:
        raise InputError(f"sore: weights {weights.shape} are empty")
    groups = -(-k // m)
    bits = np.zeros((b, groups * m), np.uint16)
    bits[:, :k] = weights.view(np.uint16).T
    rounds = -(-groups * b // config.sore_lanes)
    padded = np.zeros((rounds * config.sore_lanes, m), np.uint16)
    padded[: groups * b] = bits.reshape(-1, m)
    values = np.zeros((rounds * config.sore_lanes, n), np.uint16)
    index = np.zeros((rounds * config.sore_lanes, n), np.uint8)
    cycles = _step_sore(padded, config.sore_lanes, values, index)
    values = values[: groups * b].reshape(b, groups * n).T.copy()
    return values.view(np.float16), index[: groups * b].reshape(b, groups * n).T.copy(), cycles


@kernel
def _step_sore(elements: np.ndarray, lanes: int, values: np.ndarray, index: np.ndarray) -> int:
    m, n = elements.shape[1], values.shape[1]
    rounds = elements.shape[0] // lanes
    entry = np.full((lanes, n), -1, np.int64)  # sorter: positions in the group, largest first
    entry_bits = np.zeros((lanes, n), np.int64)
    out = np.full((lanes, n), -1, np.int64)  # data provider: entries in index order
    out_bits = np.zeros((lanes, n), np.int64)
    sending, sent_round = n, -1  # next entry to send; the round it belongs to
    for t in range(1, rounds * m + n + 2):
        # data provider: one entry a cycle
        if sending < n:
            for lane in range(lanes):
                values[sent_round * lanes + lane, sending] = out_bits[lane, sending]
                index[sent_round * lanes + lane, sending] = out[lane, sending]
            sending += 1
            if sending == n and sent_round == rounds - 1:
                return t + 1
        # sorter: one element a cycle, inserted before the first entry of smaller magnitude
        if t <= rounds * m:
            i, g = (t - 1) % m, (t - 1) // m
            for lane in range(lanes):
                bits = np.int64(elements[g * lanes + lane, i])
                place = n
                for e in range(n - 1, -1, -1):
                    if entry[lane, e] < 0 or (entry_bits[lane, e] & 0x7FFF) < (bits & 0x7FFF):
                        place = e
                for e in range(n - 1, place, -1):
                    entry[lane, e], entry_bits[lane, e] = entry[lane, e - 1], entry_bits[lane, e - 1]
                if place < n:
                    entry[lane, place], entry_bits[lane, place] = i, bits
                if i == m - 1:  # hand over: each entry's rank by index is its place in the provider
                    for e in range(n):
                        rank = 0
                        for f in range(n):
                            rank += entry[lane, f] < entry[lane, e]
                        out[lane, rank], out_bits[lane, rank] = entry[lane, e], entry_bits[lane, e]
                    for e in range(n):
                        entry[lane, e] = -1
            if i == m - 1:
                sending, sent_round = 0, g
    return -1


def run_wuve(
    config: SatConfig, weight: np.ndarray, momentum: np.ndarray, gradient: np.ndarray, rates: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """`functional.wuve` stepped by the clock; ``rates`` are (rate, beta, decay), arrays are one-dimensional.

    Returns:
        weight, momentum (float32), weight as FP16, cycles.
    """
    if weight.size < 1 or not weight.shape == momentum.shape == gradient.shape:
        raise InputError(f"wuve: shapes {weight.shape}, {momentum.shape}, {gradient.shape} must be equal, not empty")
    n, lanes = weight.size, config.wuve_lanes
    rounds = -(-n // lanes)
    state = np.zeros((3, rounds * lanes), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        state[0, :n], state[1, :n], state[2, :n] = weight.ravel(), momentum.ravel(), gradient.ravel()
    out = np.zeros((2, rounds * lanes), np.float32)
    constants = np.array([-rates[0], rates[1], rates[2]], np.float32)
    cycles = _step_wuve(state, out, lanes, (config.mul_latency, config.add_latency, wuve_latency(config)), constants)
    w, v = canonical(out[0, :n].copy()), canonical(out[1, :n].copy())
    return w, v, to_fp16(w), cycles


@kernel
def _step_wuve(
    state: np.ndarray, out: np.ndarray, lanes: int, latencies: tuple[int, int, int], constants: np.ndarray
) -> int:
    """Stages hold (w, v, g, running value) of ``lanes`` elements; a stage acts as its last register loads."""
    lm, la, depth = latencies
    rounds = state.shape[1] // lanes
    pipe = np.zeros((depth, 4, lanes), np.float32)
    busy = np.full(depth, -1, np.int64)
    # stage after which each operation's result is in the register
    decay_at, grad_at, beta_at = lm, lm + la, lm + 2 * la
    rate_at, weight_at = 2 * lm + 2 * la, 2 * lm + 3 * la
    for t in range(1, rounds + depth + 2):
        last = busy[depth - 1]
        if last >= 0:
            for lane in range(lanes):
                out[0, last * lanes + lane] = pipe[depth - 1, 3, lane]
                out[1, last * lanes + lane] = pipe[depth - 1, 1, lane]
            if last == rounds - 1:
                return t + 1
        for s in range(depth - 1, 0, -1):
            busy[s] = busy[s - 1]
            if busy[s] < 0:
                continue
            for lane in range(lanes):
                w, v, g, x = pipe[s - 1, 0, lane], pipe[s - 1, 1, lane], pipe[s - 1, 2, lane], pipe[s - 1, 3, lane]
                if s == decay_at:
                    x = np.float32(constants[2] * w)
                    v = np.float32(constants[1] * v)
                if s == grad_at:
                    x = np.float32(g + x)
                if s == beta_at:
                    v = np.float32(v + x)
                if s == rate_at:
                    x = np.float32(constants[0] * v)
                if s == weight_at:
                    x = np.float32(w + x)
                pipe[s, 0, lane], pipe[s, 1, lane], pipe[s, 2, lane], pipe[s, 3, lane] = w, v, g, x
        busy[0] = -1
        if t <= rounds:
            busy[0] = t - 1
            for lane in range(lanes):
                for f in range(3):
                    pipe[0, f, lane] = state[f, (t - 1) * lanes + lane]
    return -1


def run_update(config: SatConfig, words: int, pattern: NM, orders: int) -> int:
    """Cycles of an update of ``words`` words, a weight a lane, with pre-generation: WUVE's new weights fill blocks of M
    words, which SORE takes in ``orders`` orders (1 or 2) while the next block fills; a full pipeline stands still.

    Values are `run_wuve`'s, then `run_sore`'s: only the time is here. Time 0 is the cycle in which it is accepted.
    """
    if words < 1 or words % pattern.m_group:
        raise InputError(f"update of {words} words: must be a multiple of M = {pattern.m_group}, at least one")
    return int(_step_update(words, wuve_latency(config), pattern.n_keep, pattern.m_group, orders))


@kernel
def _step_update(words: int, depth: int, n: int, m: int, orders: int) -> int:
    pipe = np.zeros(depth, np.bool_)
    taken = left = 0  # words that entered WUVE, that left it
    full = np.zeros(2, np.int64)  # passes that a block still has to make through SORE; 0: it may fill
    fill = send = at_in = at_out = 0
    rounds = words // m * orders
    index, sorted_rounds, entry, sending = 0, 0, 0, False
    wuve_done = sore_done = -1
    for t in range(1, 100 + 4 * (words * orders * 2 + depth)):
        # everything below sees the registers as they were at the start of the cycle
        leaves = pipe[depth - 1] and full[fill] == 0
        moves = not pipe[depth - 1] or leaves
        last_entry = entry == n - 1
        takes = full[send] > 0 and sorted_rounds < rounds and (index < m - 1 or not sending or last_entry)
        if sending:
            entry += 1
            if last_entry:
                entry, sending = 0, False
                if sorted_rounds == rounds:
                    sore_done = t + 1
        full_send, full_fill = send, fill
        if takes:
            index += 1
            at_out += 1
            if index == m:
                index, sending = 0, True
                sorted_rounds += 1
            if at_out == m:
                at_out = 0
                full[full_send] -= 1
                if full[full_send] == 0:
                    send = 1 - send
        if leaves:
            left += 1
            at_in += 1
            if at_in == m:
                at_in = 0
                full[full_fill] = orders
                fill = 1 - fill
            if left == words:
                wuve_done = t + 1
        if moves:
            for s in range(depth - 1, 0, -1):
                pipe[s] = pipe[s - 1]
            pipe[0] = taken < words
            taken += int(pipe[0])
        if sore_done >= 0 and wuve_done >= 0:
            return max(sore_done, wuve_done)
    return -1
