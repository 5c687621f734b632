# SPDX-License-Identifier: Apache-2.0
"""The pipeline, clock level: queries of heads from the fetch of their keys to their outputs, many in flight.

    keys ->  K SRAM ->\\
    q    ----------->  Q x K -> exp, sum -> check -> divide -> top-k of values -> fetch V -> prob x V -> out
                         ^                    |
                         +--- LSBs of K <-----+  where the largest probability is too small

A query takes a slot when its q is fetched and gives it back with its output; a slot has the query's score buffer, so
between Q x K and the output a FIFO of slots in front of each unit never overflows. What holds the machine back is: a
slot, a head's place in the table, room in an SRAM, a unit that is busy, data that is not there. Both SRAMs are rings of
rows: a job's rows are taken when its fetch begins (at most half of the ring) and given back, oldest first and one job
a cycle, when its last reader is through. Keys stay until every query on them is decided. Where a head's keys are more
than half an SRAM, each query fetches them in parts; so values. prob x V takes the oldest query whose values are there:
where two heads' values fill the SRAM, the later head's may come first.

A cycle, in this order: `fetch`'s four steps; the address generators begin a job (values first); SRAM rows and heads'
places are given back; outputs leave; prob x V; values asked for; top-k; divide; check; exp and sum; candidates; Q x K
(a recomputation goes first). So what a unit tells one that comes before it in this order is seen a cycle later:
handshakes are registered. A unit begins a query when the one before has left its first stage; all but the top-k take a
row a cycle (the tables say how many) and hand on a fixed latency after the last row.

Left out: what is between segments (`simulate`), the way of outputs back to the memory.
Source: SpAtten (HPCA 2021), latencies from the authors' release (`SpattenConfig`); slots, rings and order are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.core.kernels import kernel, without_refcount
from hwsim.memory.config import Timing
from hwsim.memory.controller import NEVER, room
from hwsim.memory.mapping import Fields

from ..config import SpattenConfig
from .fetch import (
    COUNT,
    DONE,
    JOB_FIELDS,
    KEYS,
    VALUES,
    begin,
    generate,
    idle,
    kernel_fields,
    memory_cycle,
    memory_next,
    request,
    respond,
)

# a job's further registers
SRAM_ROWS, READERS, PART_CYCLES, AFTER_FAILED_CHECK, HEAD = range(JOB_FIELDS, JOB_FIELDS + 5)
"""Rows of an SRAM that it fills; passes that still read it; cycles of a pass over it where it is a part; the query
whose check must have failed before it is fetched, or -1; its head, counted in the segment."""
PIPELINE_JOB_FIELDS = JOB_FIELDS + 5

# columns of a query, a row of int64
(
    QUERY_JOB,  # job that fetches q
    KEY_JOB,  # first job that fetches its keys
    KEY_PARTS,  # how many jobs of keys; as many of LSBs
    LSB_JOB,  # first job that fetches the keys' LSBs, or all bits; -1: none
    CANDIDATE_CYCLES,  # of candidate selection (A3)
    DOT_CYCLES,  # of Q x K
    SOFTMAX_CYCLES,  # of a row of probabilities in exp and sum, and again in divide
    HOLD_KEYS,  # whether its keys stay in the SRAM until the check
    RECOMPUTE,  # whether it fails the check
    TOPK_CYCLES,  # of the top-k of values
    VALUE_JOB,  # first job that fetches its values
    VALUE_PARTS,  # how many jobs of values; 0: shared with other queries
    OUTPUT_CYCLES,  # of prob x V over shared values
    SHARED_VALUE_JOB,  # job of shared values that is to be fetched with this query, or -1
) = range(14)
QUERY_FIELDS = 14

LOG = (
    "admitted", "loaded", "dot", "scored", "exp", "summed", "dot_again", "scored_again", "exp_again", "summed_again",
    "divide", "weighed", "topk", "chosen", "values", "output", "end",
)  # fmt: skip
"""A query's events, each the cycle in which it happened; -1: it did not happen."""
(
    LOG_ADMITTED, LOG_LOADED, LOG_DOT, LOG_SCORED, LOG_EXP, LOG_SUMMED, LOG_DOT_AGAIN, LOG_SCORED_AGAIN, LOG_EXP_AGAIN,
    LOG_SUMMED_AGAIN, LOG_DIVIDE, LOG_WEIGHED, LOG_TOPK, LOG_CHOSEN, LOG_VALUES, LOG_OUTPUT, LOG_END,
) = range(17)  # fmt: skip
"""Columns of `LOG`, by the same names."""
_AGAIN = LOG_DOT_AGAIN - LOG_DOT
"""From a column of the first computation to that of the recomputation."""

CAUSES = ("qk", "keys", "key_sram", "lsb", "candidates", "softmax", "topk", "values", "pv", "latency", "drain")
"""What the Q x K array does in a cycle. It computes (qk); it waits for keys or q (keys), for room for them in the SRAM
(key_sram), for LSBs (lsb), for candidates (candidates); no slot is free, and the last unit of the pipeline that has
work is that one (softmax, topk, values, pv), or none has (latency); no query is left (drain)."""
_QK, _KEYS, _KEY_SRAM, _LSB, _CANDIDATES, _SOFTMAX, _TOPK, _VALUES, _PV, _LATENCY, _DRAIN = range(11)

# FIFOs of (item, first cycle in which it can be taken), by what they hold
(
    _OUTPUTS,  # queries whose output leaves
    _PV_QUEUE,  # (query, job of its values) for prob x V
    _VALUES_READ,  # jobs of values that a pass has read
    _VALUES_WANTED,  # queries whose values are to be fetched
    _VALUE_FETCHES,  # jobs of values that are to be fetched
    _SHARED_VALUE_FETCHES,  # such jobs whose values several queries share
    _TOPK_QUEUE,  # queries for the top-k
    _DIVIDE_QUEUE,  # queries for divide
    _CHECK_QUEUE,  # queries for the check
    _EXP_QUEUE,  # queries for exp and sum
    _KEYS_READ,  # jobs of keys that a pass has read
    _LSB_FETCHES,  # jobs of LSBs that are to be fetched
    _RECOMPUTATIONS,  # queries for Q x K once more
) = range(13)
_FIFOS = 13


class Sizes(NamedTuple):
    """What the kernel needs of a configuration."""

    key_rows: int
    value_rows: int
    heads: int
    slots: int
    engines: int
    dot: int
    """Latencies behind a unit's last row: of Q x K with dequantizing, exp and sum, divide and quantize, prob x V."""
    total: int
    divide: int
    output: int
    size_bits: int


def sizes(config: SpattenConfig) -> Sizes:
    """The kernel's numbers."""
    return Sizes(
        config.key_rows, config.value_rows, config.heads_in_flight, config.queries_in_flight, config.value_topk_engines,
        config.score_latency, config.sum_latency, config.divide_latency, config.output_cycles, kernel_fields(config)[0],
    )  # fmt: skip


class Segment(NamedTuple):
    """Work that begins on an empty machine and ends on an empty machine; arrays of int64."""

    jobs: np.ndarray
    """[jobs, PIPELINE_JOB_FIELDS]"""
    key_jobs: np.ndarray
    """Jobs of keys in the order in which they are fetched."""
    queries: np.ndarray
    """[queries, QUERY_FIELDS], in order."""
    tokens: np.ndarray
    """What the jobs' FIRST and COUNT point into."""
    fifo: np.ndarray
    """[FIFOs, entries, 2]: their rings, for the kernel."""
    ends: np.ndarray
    """[FIFOs, 2]: first and end of each, all 0."""


def segment(jobs: np.ndarray, key_jobs: np.ndarray, queries: np.ndarray, tokens: np.ndarray) -> Segment:
    """A segment of tables."""
    entries = 2 * len(queries) + len(jobs) + 1
    fifo, ends = np.empty((_FIFOS, entries, 2), np.int64), np.zeros((_FIFOS, 2), np.int64)
    return Segment(jobs, key_jobs, queries, tokens, fifo, ends)


@kernel(inner=True)
def _push(fifo: np.ndarray, ends: np.ndarray, which: int, item: int, cycle: int) -> None:
    at = ends[which, 1]
    fifo[which, at, 0], fifo[which, at, 1] = item, cycle
    ends[which, 1] = at + 1


@kernel(inline="always")
def _ready(fifo: np.ndarray, ends: np.ndarray, which: int, now: int) -> bool:
    """Whether the FIFO's first item can be taken."""
    at = ends[which, 0]
    can_be_taken: bool = at < ends[which, 1] and fifo[which, at, 1] <= now
    return can_be_taken


@kernel(inner=True)
def _pop(fifo: np.ndarray, ends: np.ndarray, which: int) -> int:
    at = ends[which, 0]
    ends[which, 0] = at + 1
    item: int = fifo[which, at, 0]
    return item


@kernel(inner=True)
def _oldest(fifo: np.ndarray, ends: np.ndarray, jobs: np.ndarray, now: int) -> int:
    """The oldest entry of prob x V's queue whose values are fetched, a query's parts in their order; -1: none."""
    last = -1
    for at in range(ends[_PV_QUEUE, 0], ends[_PV_QUEUE, 1]):
        q, j = fifo[_PV_QUEUE, at, 0], fifo[_PV_QUEUE, at, 1]
        if q >= 0 and q != last:
            if j < 0 or 0 <= jobs[j, DONE] <= now:
                return at
            last = q  # its entries follow each other
    return -1


@kernel(inline="always")
def _fetched(jobs: np.ndarray, j: int, now: int) -> bool:
    fetched: bool = 0 <= jobs[j, DONE] <= now
    return fetched


@kernel(inner=True)
def _head_place_cycle(s: Sizes, jobs: np.ndarray, k: int, freed: np.ndarray) -> int:
    """The cycle in which a key job's head gets a place in the table: two after one was freed; -1: not known yet."""
    head = jobs[k, HEAD]
    if head < s.heads:
        return 0
    at = freed[head - s.heads]
    return at + 2 if at >= 0 else -1


@kernel(inner=True)
def _free_oldest_job(jobs: np.ndarray, order: np.ndarray, ring: np.ndarray) -> bool:
    """Free a ring's oldest job if no pass reads it any more; ``ring``: rows in use, first job, count of jobs so far."""
    if ring[1] < ring[2] and jobs[order[ring[1]], READERS] == 0:
        ring[0] -= jobs[order[ring[1]], SRAM_ROWS]
        ring[1] += 1
        return True
    return False


@kernel
def run_segment(
    s: Sizes,
    t: Timing,
    place_of: Fields,
    mem: np.ndarray,
    work: Segment,
    lanes: np.ndarray,
    sticky: np.ndarray,
    generators: np.ndarray,
    log: np.ndarray,
    causes: np.ndarray,
    used: np.ndarray,
    stalls: np.ndarray,
    start: int,
    record: np.ndarray,
    ready: np.ndarray,
) -> int:
    """Run a segment from cycle ``start`` on; the cycle in which the machine is empty again; -1: it never is.

    Args:
        s, t, place_of: `sizes`, the memory's timing and address fields.
        mem, lanes, sticky, generators: state of the memory and the fetch units.
        work: `Segment`; the jobs' state is filled in.
        log: int64[queries, LOG], filled with -1 before.
        causes: int64[CAUSES], counted up; they sum to the cycles.
        used: int64[3], counted up: rows of both SRAMs and slots, times cycles.
        stalls: int64[3] of `fetch`, counted up.
        record: of `fetch`: what the memory did.
        ready: int64[cycles from start on], filled with a bit for each channel that has room; may be empty.
    """
    mem, lanes, generators, sticky = (
        without_refcount(mem),
        without_refcount(lanes),
        without_refcount(generators),
        without_refcount(sticky),
    )
    log, causes, used, stalls = (
        without_refcount(log),
        without_refcount(causes),
        without_refcount(used),
        without_refcount(stalls),
    )
    jobs, key_jobs = without_refcount(work.jobs), without_refcount(work.key_jobs)
    queries, tokens = without_refcount(work.queries), without_refcount(work.tokens)
    count = len(queries)
    fifo, ends = without_refcount(work.fifo), without_refcount(work.ends)
    state = np.zeros(count, np.int8)  # 1: failed its check, computed again
    picked = np.zeros(count, np.int64)  # when its candidates are there
    begun = np.zeros(len(jobs), np.bool_)
    value_jobs = np.empty(len(jobs), np.int64)  # in the order of their fetch
    key_ring, value_ring = np.zeros(3, np.int64), np.zeros(3, np.int64)
    left = np.zeros(1 + jobs[key_jobs[-1], HEAD], np.int64)  # of each head, queries that have not ended
    for q in range(count):
        left[jobs[queries[q, KEY_JOB], HEAD]] += 1
    freed = np.full(len(left), -1, np.int64)  # when the head's place was given back
    heads = 0  # whose places were
    engines = np.zeros(s.engines, np.int64)
    now, free, finished, held = start, s.slots, 0, 0
    admitted, next_key = 0, 0  # next query and next key job of the key unit
    pick, query, part, again_part = 0, 0, 0, 0  # next for the candidates; for Q x K, and which part
    pick_busy, dot_busy, exp_busy, div_busy, pv_busy = start, start, start, start, start
    mem_next = NEVER
    while True:
        changed = False
        # fetch
        working = held > 0 or not idle(generators, KEYS) or not idle(generators, VALUES)
        if working or mem_next <= now:
            if respond(jobs, mem, now, now - start, stalls, record) > 0:
                changed = True
            memory_cycle(mem, t, now)
            if now - start < len(ready):
                for c in range(len(mem)):
                    ready[now - start] |= np.int64(room(mem, c, t, False) > 0) << c
            held = request(lanes, sticky, mem, t, now, now - start, stalls, record)
            if not idle(generators, VALUES):
                held += generate(generators, VALUES, lanes, jobs, tokens, s.size_bits, place_of, stalls)
            if not idle(generators, KEYS):
                held += generate(generators, KEYS, lanes, jobs, tokens, s.size_bits, place_of, stalls)
            asked = idle(generators, KEYS) and idle(generators, VALUES) and held == 0
            mem_next = memory_next(mem) if asked else now
        # the address generators begin a job
        if idle(generators, VALUES):
            which = _VALUE_FETCHES
            if ends[_SHARED_VALUE_FETCHES, 0] < ends[_SHARED_VALUE_FETCHES, 1]:
                which = _SHARED_VALUE_FETCHES
            if ends[which, 0] < ends[which, 1]:
                j = fifo[which, ends[which, 0], 0]
                if value_ring[0] + jobs[j, SRAM_ROWS] <= s.value_rows:
                    ends[which, 0] += 1
                    value_ring[0] += jobs[j, SRAM_ROWS]
                    value_jobs[value_ring[2]] = j
                    value_ring[2] += 1
                    begin(generators, VALUES, jobs, j, tokens, s.size_bits)
                    changed = True
        if idle(generators, KEYS):
            j = -1
            if ends[_LSB_FETCHES, 0] < ends[_LSB_FETCHES, 1]:
                j = _pop(fifo, ends, _LSB_FETCHES)
            elif free > 0 and admitted < count and begun[queries[admitted, KEY_JOB]]:
                j = queries[admitted, QUERY_JOB]
                log[admitted, LOG_ADMITTED] = now
                if queries[admitted, SHARED_VALUE_JOB] >= 0:
                    _push(fifo, ends, _SHARED_VALUE_FETCHES, queries[admitted, SHARED_VALUE_JOB], now)
                admitted += 1
                free -= 1
            elif next_key < len(key_jobs):
                k = key_jobs[next_key]
                after, wait = jobs[k, AFTER_FAILED_CHECK], _head_place_cycle(s, jobs, k, freed)
                if (
                    (after < 0 or state[after])
                    and key_ring[0] + jobs[k, SRAM_ROWS] <= s.key_rows
                    and wait >= 0
                    and wait <= now
                ):
                    j = k
                    begun[j] = True
                    key_ring[0] += jobs[j, SRAM_ROWS]
                    key_ring[2] += 1
                    next_key += 1
            if j >= 0:
                begin(generators, KEYS, jobs, j, tokens, s.size_bits)
                changed = True
        # SRAM rows and heads' places are freed
        if _free_oldest_job(jobs, key_jobs, key_ring):
            changed = True
        if _free_oldest_job(jobs, value_jobs, value_ring):
            changed = True
        if heads < len(left) and left[heads] == 0:
            freed[heads] = now
            heads += 1
            changed = True
        # outputs leave
        if _ready(fifo, ends, _OUTPUTS, now):
            q = _pop(fifo, ends, _OUTPUTS)
            log[q, LOG_END] = now
            left[jobs[queries[q, KEY_JOB], HEAD]] -= 1
            free += 1
            finished += 1
            changed = True
        if (
            finished == count
            and idle(generators, KEYS)
            and idle(generators, VALUES)
            and held == 0
            and memory_next(mem) == NEVER
        ):
            return now
        # prob x V
        while _ready(fifo, ends, _VALUES_READ, now):
            jobs[_pop(fifo, ends, _VALUES_READ), READERS] -= 1
            changed = True
        if pv_busy <= now:
            at = _oldest(fifo, ends, jobs, now)
            if at >= 0:
                q, j = fifo[_PV_QUEUE, at, 0], fifo[_PV_QUEUE, at, 1]
                fifo[_PV_QUEUE, at, 0] = -1
                while ends[_PV_QUEUE, 0] < ends[_PV_QUEUE, 1] and fifo[_PV_QUEUE, ends[_PV_QUEUE, 0], 0] < 0:
                    ends[_PV_QUEUE, 0] += 1
                parts = queries[q, VALUE_PARTS]
                cycles = 0 if j < 0 else jobs[j, PART_CYCLES] if parts else queries[q, OUTPUT_CYCLES]
                if log[q, LOG_OUTPUT] < 0:
                    log[q, LOG_VALUES] = log[q, LOG_CHOSEN] if j < 0 else max(jobs[j, DONE], log[q, LOG_CHOSEN])
                    log[q, LOG_OUTPUT] = now
                pv_busy = now + cycles
                if j >= 0:
                    _push(fifo, ends, _VALUES_READ, j, pv_busy)
                if parts == 0 or j == queries[q, VALUE_JOB] + parts - 1:
                    _push(fifo, ends, _OUTPUTS, q, pv_busy + s.output)
                changed = True
        # values are asked for
        if _ready(fifo, ends, _VALUES_WANTED, now):
            q = _pop(fifo, ends, _VALUES_WANTED)
            for i in range(queries[q, VALUE_PARTS]):
                _push(fifo, ends, _VALUE_FETCHES, queries[q, VALUE_JOB] + i, now)
                _push(fifo, ends, _PV_QUEUE, q, queries[q, VALUE_JOB] + i)
            if queries[q, VALUE_PARTS] == 0:
                _push(fifo, ends, _PV_QUEUE, q, queries[q, VALUE_JOB])
            changed = True
        # top-k of the probabilities
        for e in range(s.engines):
            if engines[e] <= now and _ready(fifo, ends, _TOPK_QUEUE, now):
                q = _pop(fifo, ends, _TOPK_QUEUE)
                log[q, LOG_TOPK], log[q, LOG_CHOSEN] = now, now + queries[q, TOPK_CYCLES]
                engines[e] = log[q, LOG_CHOSEN]
                _push(fifo, ends, _VALUES_WANTED, q, log[q, LOG_CHOSEN])
                changed = True
        # divide
        if div_busy <= now and _ready(fifo, ends, _DIVIDE_QUEUE, now):
            q = _pop(fifo, ends, _DIVIDE_QUEUE)
            div_busy = now + queries[q, SOFTMAX_CYCLES]
            log[q, LOG_DIVIDE], log[q, LOG_WEIGHED] = now, div_busy + s.divide
            _push(fifo, ends, _TOPK_QUEUE, q, log[q, LOG_WEIGHED])
            changed = True
        # check
        if _ready(fifo, ends, _CHECK_QUEUE, now):
            q = _pop(fifo, ends, _CHECK_QUEUE)
            if queries[q, RECOMPUTE] and state[q] == 0:
                state[q] = 1
                j = queries[q, LSB_JOB]
                if queries[q, HOLD_KEYS] and not begun[j]:
                    begun[j] = True
                    _push(fifo, ends, _LSB_FETCHES, j, now)
                _push(fifo, ends, _RECOMPUTATIONS, q, now + 1)
            else:
                if queries[q, HOLD_KEYS] and state[q] == 0:
                    jobs[queries[q, KEY_JOB], READERS] -= 1
                _push(fifo, ends, _DIVIDE_QUEUE, q, now)
            changed = True
        # exp and sum
        if exp_busy <= now and _ready(fifo, ends, _EXP_QUEUE, now):
            q = _pop(fifo, ends, _EXP_QUEUE)
            exp_busy = now + queries[q, SOFTMAX_CYCLES]
            log[q, LOG_EXP + _AGAIN * state[q]], log[q, LOG_SUMMED + _AGAIN * state[q]] = now, exp_busy + s.total
            _push(fifo, ends, _CHECK_QUEUE, q, exp_busy + s.total)
            changed = True
        # candidates (A3)
        while pick < admitted and queries[pick, CANDIDATE_CYCLES] == 0:
            pick += 1
        fetched = (
            pick < admitted
            and _fetched(jobs, queries[pick, QUERY_JOB], now)
            and _fetched(jobs, queries[pick, KEY_JOB], now)
        )
        if fetched and pick_busy <= now:
            pick_busy = now + queries[pick, CANDIDATE_CYCLES]
            picked[pick] = pick_busy
            pick += 1
            changed = True
        # Q x K
        while _ready(fifo, ends, _KEYS_READ, now):
            jobs[_pop(fifo, ends, _KEYS_READ), READERS] -= 1
            changed = True
        if dot_busy <= now:
            q, i = -1, 0
            if _ready(fifo, ends, _RECOMPUTATIONS, now):
                q, i = fifo[_RECOMPUTATIONS, ends[_RECOMPUTATIONS, 0], 0], again_part
                if not _fetched(jobs, queries[q, LSB_JOB] + i, now):
                    q = -1
            second = q >= 0
            if q < 0 and query < admitted and pick > query and picked[query] <= now:
                fetched = _fetched(jobs, queries[query, QUERY_JOB], now) and _fetched(
                    jobs, queries[query, KEY_JOB] + part, now
                )
                if fetched:
                    q, i = query, part
            if q >= 0:
                parts = queries[q, KEY_PARTS]
                j = (queries[q, LSB_JOB] if second and not queries[q, HOLD_KEYS] else queries[q, KEY_JOB]) + i
                dot_busy = now + (jobs[j, PART_CYCLES] if parts > 1 else queries[q, DOT_CYCLES])
                if i == 0:
                    log[q, LOG_DOT + _AGAIN * second] = now
                    if not second:
                        log[q, LOG_LOADED] = max(jobs[queries[q, QUERY_JOB], DONE], jobs[j, DONE])
                if parts > 1 or second or not queries[q, HOLD_KEYS]:
                    _push(fifo, ends, _KEYS_READ, j, dot_busy)
                if i == parts - 1:
                    log[q, LOG_SCORED + _AGAIN * second] = dot_busy + s.dot
                    _push(fifo, ends, _EXP_QUEUE, q, dot_busy + s.dot)
                    i = -1
                    if second:
                        ends[_RECOMPUTATIONS, 0] += 1
                    else:
                        query += 1
                if second:
                    again_part = i + 1
                else:
                    part = i + 1
                changed = True
        working = held > 0 or not idle(generators, KEYS) or not idle(generators, VALUES)
        later = now + 1
        if not changed and not working:
            later = mem_next
            for which in (
                _OUTPUTS,
                _VALUES_READ,
                _VALUES_WANTED,
                _CHECK_QUEUE,
                _KEYS_READ,
                _TOPK_QUEUE,
                _DIVIDE_QUEUE,
                _EXP_QUEUE,
            ):
                if ends[which, 0] < ends[which, 1]:
                    cycle = fifo[which, ends[which, 0], 1]
                    if cycle > now:
                        later = min(later, cycle)
            for cycle in (dot_busy, exp_busy, div_busy, pv_busy, pick_busy):
                if cycle > now:
                    later = min(later, cycle)
            for e in range(s.engines):
                if engines[e] > now:
                    later = min(later, engines[e])
            if next_key < len(key_jobs):
                wait = _head_place_cycle(s, jobs, key_jobs[next_key], freed)
                if wait > now:
                    later = min(later, wait)
            if later == NEVER:
                return -1  # nothing will ever happen again
            later = max(later, now + 1)
        # what Q x K does until then
        if dot_busy > now:
            cause = _QK
        elif query == count:
            cause = _LSB if ends[_RECOMPUTATIONS, 0] < ends[_RECOMPUTATIONS, 1] else _DRAIN
        elif free == 0 and (query == admitted or _fetched(jobs, queries[query, KEY_JOB] + part, now)):
            cause = _LATENCY
            if ends[_PV_QUEUE, 0] < ends[_PV_QUEUE, 1]:
                cause = _PV if pv_busy > now else _VALUES
            elif _ready(fifo, ends, _TOPK_QUEUE, now):
                cause = _TOPK
            elif _ready(fifo, ends, _DIVIDE_QUEUE, now) or _ready(fifo, ends, _EXP_QUEUE, now):
                cause = _SOFTMAX
            elif ends[_RECOMPUTATIONS, 0] < ends[_RECOMPUTATIONS, 1]:
                cause = _LSB
        elif query < admitted and pick > query and picked[query] > now:
            cause = _CANDIDATES
        elif begun[queries[query, KEY_JOB] + part]:
            cause = _KEYS
        else:
            k = key_jobs[next_key]
            if jobs[k, AFTER_FAILED_CHECK] >= 0 and not state[jobs[k, AFTER_FAILED_CHECK]]:
                cause = _LSB
            else:
                cause = _KEY_SRAM if key_ring[0] + jobs[k, SRAM_ROWS] > s.key_rows else _KEYS
        dt = later - now
        causes[cause] += dt
        used[0] += key_ring[0] * dt
        used[1] += value_ring[0] * dt
        used[2] += (s.slots - free) * dt
        now = later


def empty_jobs(count: int) -> np.ndarray:
    """Jobs as `Segment` wants them, to be filled in."""
    jobs = np.zeros((count, PIPELINE_JOB_FIELDS), np.int64)
    jobs[:, [DONE, AFTER_FAILED_CHECK]] = -1
    jobs[:, COUNT] = 1
    return jobs
