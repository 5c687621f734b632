# SPDX-License-Identifier: Apache-2.0
"""Fetch: from the places of the kept tokens to their vectors in SRAM, through both crossbars and the memory's channels.

Clock level. In a cycle:

1. response crossbar: each SRAM lane takes one transaction whose data is there. A channel shows one, the oldest; which
   channel is asked first moves on by one every cycle.
2. memory: every channel does its cycle (`hwsim.dram.controller`); the memory's clock is the machine's.
3. request crossbar: each channel takes one transaction from the lanes' heads, if its queue has room; which lane is
   asked first moves on by one every cycle.
4. address generator: up to a transaction a lane enters the lanes, in order; it stops at the first lane that is full.

Transaction n belongs to lane n mod lanes, on the way out and on the way back. A transaction that a token shares with
the one before it is fetched once. Left out: the depth of the SRAM (`plan` is given what fits) and the host.
Source: SpAtten (HPCA 2021): 32 x 16 and 16 x 32 crossbars; lane FIFOs and priorities are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from dataflow.errors import InputError
from hwsim.dram.controller import (
    NEVER,
    answer,
    answer_at,
    answer_tag,
    counts,
    new_state,
    push,
    tick,
    waiting,
    wake,
)
from hwsim.dram.mapping import place

from .config import SpattenConfig

# registers of a fetch unit, `f`
_GENERATED, _ARRIVED, _LANES = 0, 1, 2  # then for each lane: first place, count, a ring of transaction numbers
STALL_LANES, STALL_QUEUE, STALL_SRAM = 0, 1, 2
STALLS = ("lane_full", "queue_full", "sram_busy")
"""Why something waited: the generator for a lane; a lane's head for its channel; data for its SRAM lane."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Transactions of a fetch, in order: int64 arrays."""

    channel: np.ndarray
    bank: np.ndarray
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.channel)


@dataclass(frozen=True, slots=True)
class FetchRun:
    """What a fetch took."""

    transactions: int
    cycles: int
    """From the first request offered to the last vector in SRAM."""
    stalls: dict[str, int]
    """Waits by cause, summed over lanes and channels."""
    commands: dict[str, int]


def plan(config: SpattenConfig, base: int, tokens: np.ndarray, vector_bytes: int) -> Plan:
    """Transactions that hold the vectors of ``tokens`` (ascending), which lie one after the other from ``base`` on.

    Raises:
        InputError: tokens that do not ascend, a vector without bytes.
    """
    tokens = np.asarray(tokens, np.int64)
    if vector_bytes < 1 or base < 0 or (len(tokens) and (tokens[0] < 0 or (np.diff(tokens) <= 0).any())):
        raise InputError(f"fetch: base {base}, vectors of {vector_bytes} bytes: tokens must ascend from 0 or more")
    size = config.memory.transaction_bytes
    first = (base + tokens * vector_bytes) // size
    last = (base + tokens * vector_bytes + vector_bytes - 1) // size
    shared = np.zeros(len(tokens), np.int64)
    shared[1:] = first[1:] == last[:-1]
    each = last - first + 1 - shared
    starts = np.repeat(first + shared, each)
    within = np.arange(len(starts)) - np.repeat(np.cumsum(each) - each, each)
    where = place(config.memory, (starts + within) * size)
    return Plan(where.channel, where.bank, where.row)


def new_unit(config: SpattenConfig) -> np.ndarray:
    """Registers of an idle fetch unit."""
    return np.zeros(_LANES + config.crossbar_inputs * (2 + config.lane_depth), np.int64)


@njit(cache=True)
def fetch_tick(f, mem, t, lanes, depth, channel, bank, row, now, stalls):  # type: ignore[no-untyped-def]
    """One cycle of a fetch; whether all of it has arrived.

    Args:
        f: the unit's registers; mem: the channels'; t: the memory's timing.
        lanes, depth: of the crossbars, and of a lane's FIFO.
        channel, bank, row: the plan.
        stalls: int64[3], counted up.
    """
    n, channels, width = len(channel), len(mem), 2 + depth
    # 1. response crossbar
    taken = np.int64(0)
    for i in range(channels):
        m = mem[(i + now) % channels]
        if answer_at(m) <= now:
            at = answer_tag(m) % lanes
            if taken >> at & 1:
                stalls[STALL_SRAM] += 1
            else:
                taken |= np.int64(1) << at
                answer(m, now)
                f[_ARRIVED] += 1
    # 2. memory
    for c in range(channels):
        if now >= wake(mem[c]):
            tick(mem[c], t, now)
    # 3. request crossbar
    taken = np.int64(0)
    for i in range(lanes):
        lane = _LANES + (i + now) % lanes * width
        if f[lane + 1] > 0:
            number = f[lane + 2 + f[lane]]
            c = channel[number]
            if taken >> c & 1 or not push(mem[c], t, bank[number], row[number], number, False, now):
                stalls[STALL_QUEUE] += 1
            else:
                taken |= np.int64(1) << c
                f[lane] = (f[lane] + 1) % depth
                f[lane + 1] -= 1
    # 4. address generator
    for _ in range(min(lanes, n - f[_GENERATED])):
        lane = _LANES + f[_GENERATED] % lanes * width
        if f[lane + 1] == depth:
            stalls[STALL_LANES] += 1
            break
        f[lane + 2 + (f[lane] + f[lane + 1]) % depth] = f[_GENERATED]
        f[lane + 1] += 1
        f[_GENERATED] += 1
    return f[_ARRIVED] == n


@njit(cache=True)
def _run(f, mem, t, lanes, depth, channel, bank, row, stalls):  # type: ignore[no-untyped-def]
    now = 0
    while not fetch_tick(f, mem, t, lanes, depth, channel, bank, row, now, stalls):
        now += 1
        held = 0
        for lane in range(lanes):
            held += f[_LANES + lane * (2 + depth) + 1]
        if f[_GENERATED] == len(channel) and held == 0:
            # only the memory has something to do: on to when it does
            soonest = NEVER
            for c in range(len(mem)):
                soonest = min(soonest, answer_at(mem[c]))
                if waiting(mem[c]) > 0:
                    soonest = min(soonest, wake(mem[c]))
            now = max(now, soonest)
    return now


def fetch(config: SpattenConfig, work: Plan) -> FetchRun:
    """Run a plan on an idle memory with all rows closed."""
    if not len(work):
        return FetchRun(0, 0, dict.fromkeys(STALLS, 0), dict.fromkeys(counts(new_state(config.memory)), 0))
    mem = new_state(config.memory)
    stalls = np.zeros(len(STALLS), np.int64)
    cycles = _run(
        new_unit(config), mem, config.memory.timing(), config.crossbar_inputs, config.lane_depth, work.channel,
        work.bank, work.row, stalls,
    )  # fmt: skip
    told = {name: int(n) for name, n in zip(STALLS, stalls, strict=True)}
    return FetchRun(len(work), int(cycles), told, counts(mem))
