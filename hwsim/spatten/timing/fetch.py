# SPDX-License-Identifier: Apache-2.0
"""Fetch: from the addresses of the tokens to their vectors in SRAM, through both crossbars and the memory's channels.

Two units share the memory: one fetches queries and keys, the other values; each has half of the crossbars' lanes. Clock
level, steps of a cycle as `pipeline` calls them:

1. response crossbar (`respond`): each channel has a FIFO of ``answer_depth`` beats. Each SRAM lane takes at most one of
   the first ``crossbar_window`` beats of all FIFOs: which channel is asked first moves on by one every cycle, within a
   channel the oldest comes first, and several beats of a channel may leave together. A channel whose FIFO had room when
   the cycle began then takes its next beat. Bits are widened when they are read.
2. memory: every channel does its cycles up to this one (`hwsim.memory.controller`), at its own clock (`Clock`): in a
   cycle of the machine it may do one, several or none. What goes from one clock to the other is seen at the next edge.
3. request crossbar (`request`): each channel offers the memory the request in its register; where the register is
   empty, or its request was taken, it takes one of the first ``crossbar_window`` requests of all lanes: which lane is
   asked first moves on by one every cycle, within a lane the oldest comes first, and several of a lane may leave
   together.
4. address generators (`generate`): each takes up to a transaction a lane of its current job, in order, into the lanes;
   it stops at the first lane that was full when the cycle began, and at the end of the job.

In a segment's first cycle channel 0 and lane 0 are asked first. A window is of what was there when the cycle began: a
place that becomes free in it is filled in the next one.
A window of one is a plain FIFO: what cannot leave holds up all behind it, which halves the bandwidth of gathers.
A job is vectors of some tokens (ascending), which lie one after the other from its base on. Its transactions take the
unit's lanes in turns from the first one on, as they take the banks of an SRAM. A transaction that a token shares with
the one before it is fetched once. A job's data is there in the cycle after its last transaction was written.
Source: SpAtten (HPCA 2021): 32 x 16 and 16 x 32 crossbars; the halves, FIFOs, windows and priorities are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dataflow.errors import InputError
from hwsim.core.kernels import kernel
from hwsim.memory.controller import (
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
from hwsim.memory.mapping import Fields, Place, fields, locate, place

from ..config import SpattenConfig

# a job, a row of int64 registers
BASE, BYTES, FIRST, COUNT, OUTSTANDING, GENERATED, DONE, TRANSACTIONS = range(8)
"""First byte, bytes of a vector, where its tokens lie in the list and how many; transactions on their way, whether all
were generated, the cycle in which all is there; how many it took."""
JOB_FIELDS = 8

# an address generator, a row of int64 registers
_JOB, _AT, _BLOCK, _LAST, _LANE = range(5)  # job or -1; token, transaction, last one of the token; lane
_GENERATOR_FIELDS = 5

STALL_LANES, STALL_QUEUE, STALL_SRAM = 0, 1, 2
STALLS = ("lane_full", "queue_full", "sram_busy")
"""Causes of waiting: a generator for a lane; a request in a lane's window for its channel; a beat in a channel's window
for its SRAM lane."""
KEYS, VALUES = 0, 1
"""The two units."""


class Clock(NamedTuple):
    """Steps of the memory's time (`DramConfig.steps` a clock) in so many cycles of the machine; no common factor."""

    steps: int
    cycles: int


@dataclass(frozen=True, slots=True)
class FetchRun:
    """Result of a fetch."""

    transactions: int
    cycles: int
    """From the first request offered to the last vector in SRAM."""
    stalls: dict[str, int]
    """Waits by cause, summed over lanes and channels."""
    commands: dict[str, int]


def plan(config: SpattenConfig, base: int, tokens: np.ndarray, vector_bytes: int) -> Place:
    """Transactions of a job, in order, as arrays: what the address generator makes one by one.

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
    return place(config.memory, (starts + within) * size)


# a lane's FIFO of requests: how many, how many when the cycle began; then places and tags, the oldest first
_COUNT, _BEFORE, _REQUESTS = 0, 1, 2
# a channel's register: whether it holds a request; place, tag. Its FIFO of beats: how many; then tags, the oldest first
_FULL, _PLACE, _TAG = 0, 1, 2
_BEATS, _FIRST_BEAT = 3, 4


def new_lanes(config: SpattenConfig) -> np.ndarray:
    """Empty lane FIFOs, int64[lanes, ...]."""
    return np.zeros((config.crossbar_inputs // 2 * 2, _REQUESTS + 2 * config.lane_depth), np.int64)


def new_ports(config: SpattenConfig) -> np.ndarray:
    """The channels' empty registers and FIFOs of beats, int64[channels, ...]."""
    return np.zeros((config.memory.channels, _FIRST_BEAT + config.answer_depth), np.int64)


def new_record(events: int = 0) -> np.ndarray:
    """Room for what the memory did, int64[1 + events, 4]: the number of events, then `ACCEPTED` or `ANSWERED`, the
    cycle in which it could be, the channel, the tag (`tag_of`). Without room nothing is recorded."""
    return np.zeros((1 + events, 4), np.int64)


ACCEPTED, ANSWERED = 0, 1


@kernel(inline="always")
def memory_step(clock: Clock, cycle: int) -> int:
    """The last step of the memory that a cycle of the machine sees."""
    return cycle * clock.steps // clock.cycles


@kernel(inline="always")
def machine_cycle(clock: Clock, step: int) -> int:
    """The first cycle of the machine that sees a step of the memory; `NEVER` stays."""
    return NEVER if step == NEVER else -(-step * clock.cycles // clock.steps)


@kernel(inline="always")
def tag_of(lane: int, job: int, number: int) -> int:
    """A transaction: its lane, its job, how many of the job were before it."""
    return (number << 40) | (job << 6) | lane


@kernel(inline="always")
def job_of(tag: int) -> int:
    """A tag's job."""
    return (tag >> 6) & ((1 << 34) - 1)


@kernel(inner=True)
def _event(record: np.ndarray, kind: int, cycle: int, channel: int, tag: int) -> None:
    at = record[0, 0] + 1
    if at < len(record):
        record[at, 0], record[at, 1], record[at, 2], record[at, 3] = kind, cycle, channel, tag
        record[0, 0] = at


def new_generators() -> np.ndarray:
    """Two idle address generators."""
    generators = np.zeros((2, _GENERATOR_FIELDS), np.int64)
    generators[:, _JOB] = -1
    return generators


@kernel(inner=True)
def idle(g: np.ndarray, unit: int) -> bool:
    """Whether a unit's address generator can take a job."""
    free: bool = g[unit, _JOB] < 0
    return free


@kernel(inner=True)
def begin(g: np.ndarray, unit: int, jobs: np.ndarray, j: int, tokens: np.ndarray, size_bits: int) -> None:
    """Give a unit's idle generator job ``j``, which has at least one token."""
    g[unit, _JOB], g[unit, _AT] = j, jobs[j, FIRST]
    start = jobs[j, BASE] + tokens[g[unit, _AT]] * jobs[j, BYTES]
    g[unit, _BLOCK], g[unit, _LAST] = start >> size_bits, (start + jobs[j, BYTES] - 1) >> size_bits
    g[unit, _LANE] = 0


@kernel(inner=True)
def generate(
    g: np.ndarray,
    unit: int,
    lanes: np.ndarray,
    jobs: np.ndarray,
    tokens: np.ndarray,
    size_bits: int,
    place_of: Fields,
    stalls: np.ndarray,
) -> int:
    """A cycle of a unit's address generator that has a job. Returns how many transactions it made."""
    j = g[unit, _JOB]
    made = 0
    half = lanes.shape[0] // 2
    depth = (lanes.shape[1] - _REQUESTS) // 2
    for _ in range(half):
        lane = unit * half + g[unit, _LANE]
        if lanes[lane, _BEFORE] == depth:
            stalls[STALL_LANES] += 1
            return made
        made += 1
        channel, bank, row = locate(place_of, g[unit, _BLOCK] << size_bits)
        at = _REQUESTS + 2 * lanes[lane, _COUNT]
        lanes[lane, at] = (row << 16) | (bank << 8) | channel
        lanes[lane, at + 1] = tag_of(lane, j, jobs[j, TRANSACTIONS])
        lanes[lane, _COUNT] += 1
        g[unit, _LANE] = g[unit, _LANE] + 1 if g[unit, _LANE] + 1 < half else 0
        jobs[j, OUTSTANDING] += 1
        jobs[j, TRANSACTIONS] += 1
        g[unit, _BLOCK] += 1
        while g[unit, _BLOCK] > g[unit, _LAST]:  # the next token, but for what it shares with this one
            g[unit, _AT] += 1
            if g[unit, _AT] == jobs[j, FIRST] + jobs[j, COUNT]:
                jobs[j, GENERATED] = 1
                g[unit, _JOB] = -1
                return made
            start = jobs[j, BASE] + tokens[g[unit, _AT]] * jobs[j, BYTES]
            g[unit, _BLOCK] = max(start >> size_bits, g[unit, _LAST] + 1)
            g[unit, _LAST] = (start + jobs[j, BYTES] - 1) >> size_bits
    return made


@kernel(inner=True)
def respond(
    jobs: np.ndarray,
    ports: np.ndarray,
    mem: np.ndarray,
    clock: Clock,
    window: int,
    now: int,
    turn: int,
    stalls: np.ndarray,
    record: np.ndarray,
) -> tuple[bool, int]:
    """A cycle of the response crossbar, ``turn`` cycles after the units began. Returns whether the last beat of a job
    moved, and how many wait in the FIFOs."""
    channels = len(mem)
    depth = ports.shape[1] - _FIRST_BEAT
    taken = np.int64(0)
    ended, waiting = False, 0
    step = memory_step(clock, now)
    first = turn % channels
    for i in range(channels):
        c = i + first
        if c >= channels:
            c -= channels
        before = ports[c, _BEATS]
        if before > 0:
            left = 0
            for at in range(before):
                tag = ports[c, _FIRST_BEAT + at]
                bit = np.int64(1) << (tag & 63)
                if at >= window or taken & bit:
                    stalls[STALL_SRAM] += at < window
                    ports[c, _FIRST_BEAT + left] = tag
                    left += 1
                    continue
                taken |= bit
                j = job_of(tag)
                jobs[j, OUTSTANDING] -= 1
                if jobs[j, OUTSTANDING] == 0 and jobs[j, GENERATED]:
                    jobs[j, DONE] = now + 1
                    ended = True
            ports[c, _BEATS] = left
        if before < depth and answer_at(mem, c) <= step:
            _event(record, ANSWERED, machine_cycle(clock, answer_at(mem, c)), c, answer_tag(mem, c))
            ports[c, _FIRST_BEAT + ports[c, _BEATS]] = answer(mem, c, step)
            ports[c, _BEATS] += 1
        waiting += ports[c, _BEATS]
    return ended, waiting


@kernel(inner=True)
def request(
    lanes: np.ndarray,
    ports: np.ndarray,
    mem: np.ndarray,
    clock: Clock,
    window: int,
    now: int,
    turn: int,
    stalls: np.ndarray,
    record: np.ndarray,
) -> int:
    """A cycle of the request crossbar, ``turn`` cycles after the units began. Returns how many requests wait in lanes
    and registers afterwards."""
    empty = np.int64(0)
    held = 0
    after = memory_step(clock, now) + 1
    for c in range(len(mem)):
        if ports[c, _FULL]:
            place = ports[c, _PLACE]
            if push(mem, c, (place >> 8) & 255, place >> 16, ports[c, _TAG], False, after):
                _event(record, ACCEPTED, now, c, ports[c, _TAG])
                ports[c, _FULL] = 0
            else:
                held += 1
        if not ports[c, _FULL]:
            empty |= np.int64(1) << c
    count = lanes.shape[0]
    first = turn % count
    for i in range(count):
        lane = i + first
        if lane >= count:
            lane -= count
        before = lanes[lane, _COUNT]
        lanes[lane, _BEFORE] = before
        left = 0
        for at in range(before):
            word, tag = lanes[lane, _REQUESTS + 2 * at], lanes[lane, _REQUESTS + 2 * at + 1]
            c = word & 255
            bit = np.int64(1) << c
            if at < window and empty & bit:
                empty &= ~bit
                ports[c, _FULL], ports[c, _PLACE], ports[c, _TAG] = 1, word, tag
                held += 1
            elif at >= window and left == at:
                left = before  # nothing left: the others stay where they are
                break
            else:
                stalls[STALL_QUEUE] += at < window
                if left < at:
                    lanes[lane, _REQUESTS + 2 * left], lanes[lane, _REQUESTS + 2 * left + 1] = word, tag
                left += 1
        lanes[lane, _COUNT] = left
        held += left
    return held


@kernel(inner=True)
def memory_cycle(mem: np.ndarray, clock: Clock, now: int) -> None:
    """All that the channels do up to a cycle of the machine, what they did alone since they were last looked at
    included."""
    step = memory_step(clock, now)
    for c in range(len(mem)):
        while wake(mem, c) <= step:
            tick(mem, c, wake(mem, c))


@kernel(inner=True)
def memory_next(mem: np.ndarray, clock: Clock) -> int:
    """The next cycle in which an answer is there or a channel with work may do something."""
    soonest = NEVER
    for c in range(len(mem)):
        soonest = min(soonest, answer_at(mem, c))
        if waiting(mem, c) > 0:
            soonest = min(soonest, wake(mem, c))
    return machine_cycle(clock, soonest)


@kernel
def memory_rests(mem: np.ndarray, clock: Clock, until: int) -> None:
    """Let time pass to cycle ``until`` without requests; the memory refreshes itself."""
    step = memory_step(clock, until)
    for c in range(len(mem)):
        while wake(mem, c) < step:
            tick(mem, c, wake(mem, c))


@kernel
def _run(
    jobs: np.ndarray,
    tokens: np.ndarray,
    lanes: np.ndarray,
    ports: np.ndarray,
    generators: np.ndarray,
    size_bits: int,
    place_of: Fields,
    mem: np.ndarray,
    clock: Clock,
    window: int,
    stalls: np.ndarray,
    record: np.ndarray,
) -> int:
    begin(generators, KEYS, jobs, 0, tokens, size_bits)
    now = 0
    while True:
        _, held = respond(jobs, ports, mem, clock, window, now, now, stalls, record)
        memory_cycle(mem, clock, now)
        held += request(lanes, ports, mem, clock, window, now, now, stalls, record)
        if not idle(generators, KEYS):
            held += generate(generators, KEYS, lanes, jobs, tokens, size_bits, place_of, stalls)
        done: int = jobs[0, DONE]
        if done >= 0:
            return done
        now += 1
        if idle(generators, KEYS) and held == 0:  # only the memory has something to do: on to when it does
            now = max(now, memory_next(mem, clock))


def kernel_fields(config: SpattenConfig) -> tuple[int, Fields]:
    """A transaction's bytes as a shift, and the address fields."""
    return config.memory.transaction_bytes.bit_length() - 1, fields(config.memory)


def clock_of(config: SpattenConfig) -> Clock:
    """The memory's clock beside the machine's."""
    return Clock(*config.memory_steps.as_integer_ratio())


def fetch(config: SpattenConfig, base: int, tokens: np.ndarray, vector_bytes: int) -> FetchRun:
    """Run one job of the key unit on an idle memory with all rows closed. Raises as `plan`."""
    tokens = np.asarray(tokens, np.int64)
    plan(config, base, tokens, vector_bytes)
    mem = new_state(config.memory)
    stalls = np.zeros(len(STALLS), np.int64)
    jobs = np.zeros((1, JOB_FIELDS), np.int64)
    jobs[0, [BASE, BYTES, COUNT, DONE]] = base, vector_bytes, len(tokens), -1
    cycles = 0
    if len(tokens):
        units = (new_lanes(config), new_ports(config), new_generators())
        clock, window = clock_of(config), config.crossbar_window
        cycles = _run(jobs, tokens, *units, *kernel_fields(config), mem, clock, window, stalls, new_record())
    waits = {name: int(n) for name, n in zip(STALLS, stalls, strict=True)}
    return FetchRun(int(jobs[0, TRANSACTIONS]), int(cycles), waits, counts(mem))
