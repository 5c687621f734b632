# SPDX-License-Identifier: Apache-2.0
"""The pipeline, clock level: queries of heads from the fetch of their keys to their outputs, many in flight.

    keys ->  K SRAM ->\\
    q    ----------->  Q x K -> exp, sum -> check -> divide -> top-k of values -> fetch V -> prob x V -> out
                         ^                    |
                         +--- LSBs of K <-----+  where the largest probability is too small

A query takes a slot when its q is fetched, and room for its scores in a ring of rows when Q x K begins with it; both
come back in the order of the queries, one query a cycle, once outputs have left. So between Q x K and the output a FIFO
of slots in front of each unit never overflows, and the same ring holds many short queries or one long. What holds the
machine back is: a slot, room for scores, a head's place in the table, room in an SRAM, a unit that is busy, data that
is not there. Both SRAMs are rings of rows: a job's rows are taken when its fetch begins (at most half of the ring) and
given back, oldest first and one job a cycle, when its last reader is through. Keys are read once by every query; scores
without LSBs stay in the ring of scores, and what LSBs add is added to them. LSBs have a part of the key SRAM of their
own, a ring too, and stay there until every query of the head is decided. Where a head's keys are more than half of
their ring, or its LSBs more than theirs, each query fetches them in parts; so values. prob x V takes the oldest query
whose values are there: where two heads' values fill the SRAM, the later head's may come first. No unit ever waits for
a younger query: values that several queries share are fetched when the first of them takes its slot, and that one takes
it only when no query before it still has values of its own to fetch.

A cycle, numbered as in the machine's document: 1 to 4 `fetch`'s steps; 5 the address generators begin a job (values
first); 6 SRAM rows and heads' places are given back; 7 outputs leave; 8 prob x V; 9 values are asked for; 10 top-k; 11
divide; 12 check; 13 exp and sum; 14 candidates; 15 Q x K (a recomputation goes first); 16 the oldest query's slot and
rows of scores are given back. So what a unit tells one that comes before it in this order is seen a cycle later:
handshakes are registered. A unit begins a query when the one
before has left its first stage; all but the top-k take a row a cycle (the tables say how many) and hand on a fixed
latency after the last row. Each unit is a kernel of its own, which says whether something happened; all are put into
`run_segment` where it calls them, so they cost nothing. Where in a cycle nothing happened in 5 to 16, they are not
looked at before the next cycle that one of them waits for, a job's last transaction or a job's last beat.

Left out: what is between segments (`simulate`), the way of outputs back to the memory.
Source: SpAtten (HPCA 2021), latencies from the authors' release (`SpattenConfig`); slots, rings and order are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.core.kernels import kernel, without_refcount
from hwsim.memory.controller import COMMANDS, NEVER, count_commands, room
from hwsim.memory.mapping import Fields

from ..config import SpattenConfig
from .fetch import (
    COUNT,
    DONE,
    JOB_FIELDS,
    KEYS,
    STALLS,
    VALUES,
    Clock,
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
    LSB_ONCE,  # whether LSBs are fetched once for all queries of its head, if any of them fails the check
    RECOMPUTE,  # whether it fails the check
    TOPK_CYCLES,  # of the top-k of values
    VALUE_JOB,  # first job that fetches its values
    VALUE_PARTS,  # how many jobs of values; 0: shared with other queries
    OUTPUT_CYCLES,  # of prob x V over shared values
    SHARED_VALUE_JOB,  # job of shared values that is to be fetched with this query, or -1
    SCORE_ROWS,  # rows of the ring of scores
) = range(15)
QUERY_FIELDS = 15

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
(key_sram), for LSBs (lsb), for candidates (candidates); no slot can be taken or no room for scores, and the last unit
of the pipeline that has work is that one (softmax, topk, values, pv), or none has (latency); no query is left (drain).
"""
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
    lsb_rows: int
    value_rows: int
    heads: int
    slots: int
    score_rows: int
    window: int
    engines: int
    select: int
    """From a row of probabilities to the top-k of values."""
    dot: int
    """Latencies behind a unit's last row: of Q x K with dequantizing, exp and sum, divide and quantize, prob x V."""
    total: int
    divide: int
    output: int
    size_bits: int


def sizes(config: SpattenConfig) -> Sizes:
    """The kernel's numbers."""
    c = config
    return Sizes(
        c.key_rows, c.lsb_rows, c.value_rows, c.heads_in_flight, c.queries_in_flight, c.score_rows, c.crossbar_window,
        c.value_topk_engines, c.select_latency, c.score_latency, c.sum_latency, c.divide_latency, c.output_cycles,
        kernel_fields(c)[0],
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


class FetchUnits(NamedTuple):
    """The memory and the fetch units, which go on from segment to segment."""

    place_of: Fields
    clock: Clock
    mem: np.ndarray
    lanes: np.ndarray
    ports: np.ndarray
    generators: np.ndarray
    stalls: np.ndarray
    """int64[3] of `fetch`, counted up."""


class Counters(NamedTuple):
    """What a segment leaves besides its log."""

    causes: np.ndarray
    """int64[CAUSES], counted up; they sum to the cycles."""
    used: np.ndarray
    """int64[4], counted up: rows of both SRAMs, slots, and rows of scores, times cycles."""
    record: np.ndarray
    """Of `fetch`: what the memory did."""
    ready: np.ndarray
    """int64[cycles from the segment's start on], filled with a bit for each channel that has room; may be empty."""
    marks: np.ndarray
    """int64[marks], ascending: how many queries have ended when `Counters.snapshots` is written."""
    snapshots: np.ndarray
    """int64[marks, SNAPSHOT]: by then the cycle, ``causes``, ``used``, the fetch units' stalls, commands of memory."""


SNAPSHOT = 1 + len(CAUSES) + 4 + len(STALLS) + len(COMMANDS)


class Progress(NamedTuple):
    """A segment on its way through the units: its tables, and the units' registers."""

    jobs: np.ndarray
    key_jobs: np.ndarray
    queries: np.ndarray
    tokens: np.ndarray
    log: np.ndarray
    """int64[queries, LOG]; -1: did not happen."""
    fifo: np.ndarray
    """int64[FIFOs, entries, 2]: items, and the cycles from which on they count."""
    ends: np.ndarray
    """int64[FIFOs, 2]: first and end of each."""
    failed: np.ndarray
    """int8[queries]: 1: failed its check, computed again."""
    picked: np.ndarray
    """int64[queries]: when its candidates are there."""
    begun: np.ndarray
    """bool[jobs]: keys whose fetch has begun."""
    value_jobs: np.ndarray
    """int64[jobs]: in the order of their fetch."""
    lsb_jobs: np.ndarray
    """int64[jobs]: in the order of their fetch."""
    key_ring: np.ndarray
    lsb_ring: np.ndarray
    value_ring: np.ndarray
    """int64[3]: rows used; of the jobs in the order of their fetch, the oldest in the ring, and the end."""
    left: np.ndarray
    """int64[heads]: queries that have not ended."""
    freed: np.ndarray
    """int64[heads]: when the head's place was given back; -1: not yet."""
    engines: np.ndarray
    """int64[top-k engines]: busy until."""
    r: np.ndarray
    """int64: further registers of the units."""


# registers of the units
(_OLDEST, _FINISHED, _HELD, _ADMITTED, _NEXT_KEY, _HEADS, _PICK, _QUERY, _PART, _AGAIN_PART, _SCORES,
 _OWN_VALUES, _MEM_NEXT, _PICK_BUSY, _DOT_BUSY, _EXP_BUSY, _DIV_BUSY, _PV_BUSY) = range(18)  # fmt: skip
"""The oldest query that has its slot; queries that have ended; what is on its way in the fetch units; next query to be
admitted, next key job; heads whose places were given back; next query for the candidates, for Q x K, and which of its
parts, which part of one that is computed again; rows of scores in use; jobs of values of their own that admitted
queries have still to fetch; when the memory next does something; until when each unit is busy."""


def new_progress(s: Sizes, work: Segment, log: np.ndarray, start: int) -> Progress:
    """A segment before its first cycle, ``start``; ``log`` is filled with -1."""
    count, jobs = len(work.queries), len(work.jobs)
    left = np.bincount(work.jobs[work.queries[:, KEY_JOB], HEAD], minlength=1 + work.jobs[work.key_jobs[-1], HEAD])
    registers = np.zeros(18, np.int64)
    registers[_MEM_NEXT], registers[_PICK_BUSY:] = NEVER, start
    return Progress(
        *work, log,
        fifo=np.empty((_FIFOS, 2 * count + jobs + 1, 2), np.int64), ends=np.zeros((_FIFOS, 2), np.int64),
        failed=np.zeros(count, np.int8), picked=np.zeros(count, np.int64), begun=np.zeros(jobs, np.bool_),
        value_jobs=np.empty(jobs, np.int64), lsb_jobs=np.empty(jobs, np.int64), key_ring=np.zeros(3, np.int64),
        lsb_ring=np.zeros(3, np.int64), value_ring=np.zeros(3, np.int64),
        left=left, freed=np.full(len(left), -1, np.int64), engines=np.zeros(s.engines, np.int64), r=registers,
    )  # fmt: skip


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


@kernel(inline="always")
def _free_head(p: Progress, now: int) -> bool:
    """6: the place in the table of heads of the oldest head all of whose queries have ended."""
    head = p.r[_HEADS]
    given: bool = head < len(p.left) and p.left[head] == 0
    if given:
        p.freed[head] = now
        p.r[_HEADS] = head + 1
    return given


@kernel(inline="always")
def _admits(s: Sizes, p: Progress) -> bool:
    """Whether the next query may take a slot."""
    slot_free = p.r[_ADMITTED] - p.r[_OLDEST] < s.slots
    admits: bool = slot_free and (p.queries[p.r[_ADMITTED], SHARED_VALUE_JOB] < 0 or p.r[_OWN_VALUES] == 0)
    return admits


@kernel(inline="always")
def _scores_fit(s: Sizes, p: Progress, q: int) -> bool:
    """Whether there is room for a query's scores."""
    fit: bool = p.r[_SCORES] + p.queries[q, SCORE_ROWS] <= s.score_rows
    return fit


@kernel(inline="always")
def _free_oldest_query(p: Progress) -> bool:
    """16: slot and rows of scores of the oldest query, if its output has left."""
    q = p.r[_OLDEST]
    given: bool = q < p.r[_ADMITTED] and p.log[q, LOG_END] >= 0
    if given:
        p.r[_OLDEST] = q + 1
        p.r[_SCORES] -= p.queries[q, SCORE_ROWS]
    return given


@kernel(inline="always")
def _fetching(u: FetchUnits, p: Progress) -> bool:
    """Whether a fetch unit has something to do, but for what the memory has."""
    busy: bool = p.r[_HELD] > 0 or not idle(u.generators, KEYS) or not idle(u.generators, VALUES)
    return busy


@kernel(inline="always")
def _fetch(s: Sizes, u: FetchUnits, p: Progress, c: Counters, now: int, start: int) -> tuple[bool, bool]:
    """1 to 4: response crossbar, memory, request crossbar, address generators that have a job. Returns whether a
    generator has made its job's last transaction, and whether the last of a job has arrived."""
    made = ended = False
    if _fetching(u, p) or p.r[_MEM_NEXT] <= now:
        ended, held = respond(p.jobs, u.ports, u.mem, u.clock, s.window, now, now - start, u.stalls, c.record)
        memory_cycle(u.mem, u.clock, now)
        if now - start < len(c.ready):
            for i in range(len(u.mem)):
                c.ready[now - start] |= np.int64(room(u.mem, i, False) > 0) << i
        held += request(u.lanes, u.ports, u.mem, u.clock, s.window, now, now - start, u.stalls, c.record)
        for unit in (VALUES, KEYS):
            if not idle(u.generators, unit):
                held += generate(u.generators, unit, u.lanes, p.jobs, p.tokens, s.size_bits, u.place_of, u.stalls)
                made = made or idle(u.generators, unit)
        p.r[_HELD] = held
        p.r[_MEM_NEXT] = now if _fetching(u, p) else memory_next(u.mem, u.clock)
    return made, ended


@kernel(inline="always")
def _begin_values(s: Sizes, u: FetchUnits, p: Progress) -> bool:
    """5, values: shared ones first; a job that its SRAM has room for."""
    which = (
        _SHARED_VALUE_FETCHES if p.ends[_SHARED_VALUE_FETCHES, 0] < p.ends[_SHARED_VALUE_FETCHES, 1] else _VALUE_FETCHES
    )
    begins = False
    if idle(u.generators, VALUES) and p.ends[which, 0] < p.ends[which, 1]:
        j = p.fifo[which, p.ends[which, 0], 0]
        begins = p.value_ring[0] + p.jobs[j, SRAM_ROWS] <= s.value_rows
        if begins:
            p.ends[which, 0] += 1
            p.r[_OWN_VALUES] -= which == _VALUE_FETCHES
            p.value_ring[0] += p.jobs[j, SRAM_ROWS]
            p.value_jobs[p.value_ring[2]] = j
            p.value_ring[2] += 1
            begin(u.generators, VALUES, p.jobs, j, p.tokens, s.size_bits)
    return begins


@kernel(inline="always")
def _begin_keys(s: Sizes, u: FetchUnits, p: Progress, now: int) -> bool:
    """5, keys: LSBs that have room first, then the q of a query that takes a slot, then keys with a place and room. A
    query takes one only when the fetch of its head's first keys has begun."""
    j = -1
    if idle(u.generators, KEYS):
        query, next_key = p.r[_ADMITTED], p.r[_NEXT_KEY]
        if p.ends[_LSB_FETCHES, 0] < p.ends[_LSB_FETCHES, 1] and (
            p.lsb_ring[0] + p.jobs[p.fifo[_LSB_FETCHES, p.ends[_LSB_FETCHES, 0], 0], SRAM_ROWS] <= s.lsb_rows
        ):
            j = _pop(p.fifo, p.ends, _LSB_FETCHES)
            p.lsb_ring[0] += p.jobs[j, SRAM_ROWS]
            p.lsb_jobs[p.lsb_ring[2]] = j
            p.lsb_ring[2] += 1
        elif query < len(p.queries) and _admits(s, p) and p.begun[p.queries[query, KEY_JOB]]:
            j = p.queries[query, QUERY_JOB]
            p.log[query, LOG_ADMITTED] = now
            if p.queries[query, SHARED_VALUE_JOB] >= 0:
                _push(p.fifo, p.ends, _SHARED_VALUE_FETCHES, p.queries[query, SHARED_VALUE_JOB], now)
            p.r[_ADMITTED] += 1
            p.r[_OWN_VALUES] += p.queries[query, VALUE_PARTS]
        elif next_key < len(p.key_jobs):
            k = p.key_jobs[next_key]
            after, place = p.jobs[k, AFTER_FAILED_CHECK], _head_place_cycle(s, p.jobs, k, p.freed)
            fits = p.key_ring[0] + p.jobs[k, SRAM_ROWS] <= s.key_rows
            if (after < 0 or p.failed[after]) and fits and place >= 0 and place <= now:
                j = k
                p.begun[j] = True
                p.key_ring[0] += p.jobs[j, SRAM_ROWS]
                p.key_ring[2] += 1
                p.r[_NEXT_KEY] += 1
        if j >= 0:
            begin(u.generators, KEYS, p.jobs, j, p.tokens, s.size_bits)
    return j >= 0


@kernel(inline="always")
def _outputs(p: Progress, now: int) -> bool:
    """7: an output leaves."""
    leaves = _ready(p.fifo, p.ends, _OUTPUTS, now)
    if leaves:
        q = _pop(p.fifo, p.ends, _OUTPUTS)
        p.log[q, LOG_END] = now
        p.left[p.jobs[p.queries[q, KEY_JOB], HEAD]] -= 1
        p.r[_FINISHED] += 1
    return leaves


@kernel(inline="always")
def _end_passes(fifo: np.ndarray, ends: np.ndarray, jobs: np.ndarray, which: int, now: int) -> bool:
    """Passes over keys or values that have ended: those no longer read their job."""
    ended = False
    while _ready(fifo, ends, which, now):
        jobs[_pop(fifo, ends, which), READERS] -= 1
        ended = True
    return ended


@kernel(inline="always")
def _prob_x_v(s: Sizes, p: Progress, now: int) -> bool:
    """8, prob x V: a pass over the values of the oldest query whose values are there."""
    at = _oldest(p.fifo, p.ends, p.jobs, now) if p.r[_PV_BUSY] <= now else -1
    if at >= 0:
        q, j = p.fifo[_PV_QUEUE, at, 0], p.fifo[_PV_QUEUE, at, 1]
        p.fifo[_PV_QUEUE, at, 0] = -1
        while p.ends[_PV_QUEUE, 0] < p.ends[_PV_QUEUE, 1] and p.fifo[_PV_QUEUE, p.ends[_PV_QUEUE, 0], 0] < 0:
            p.ends[_PV_QUEUE, 0] += 1
        parts = p.queries[q, VALUE_PARTS]
        cycles = 0 if j < 0 else p.jobs[j, PART_CYCLES] if parts else p.queries[q, OUTPUT_CYCLES]
        if p.log[q, LOG_OUTPUT] < 0:
            p.log[q, LOG_VALUES] = p.log[q, LOG_CHOSEN] if j < 0 else max(p.jobs[j, DONE], p.log[q, LOG_CHOSEN])
            p.log[q, LOG_OUTPUT] = now
        p.r[_PV_BUSY] = now + cycles
        if j >= 0:
            _push(p.fifo, p.ends, _VALUES_READ, j, now + cycles)
        if parts == 0 or j == p.queries[q, VALUE_JOB] + parts - 1:
            _push(p.fifo, p.ends, _OUTPUTS, q, now + cycles + s.output)
    return at >= 0


@kernel(inline="always")
def _want_values(p: Progress, now: int) -> bool:
    """9: a query whose values are chosen asks for them, and waits for prob x V."""
    asks = _ready(p.fifo, p.ends, _VALUES_WANTED, now)
    if asks:
        q = _pop(p.fifo, p.ends, _VALUES_WANTED)
        first, parts = p.queries[q, VALUE_JOB], p.queries[q, VALUE_PARTS]
        for j in range(first, first + parts):
            _push(p.fifo, p.ends, _VALUE_FETCHES, j, now)
            _push(p.fifo, p.ends, _PV_QUEUE, q, j)
        if parts == 0:
            _push(p.fifo, p.ends, _PV_QUEUE, q, first)
    return asks


@kernel(inline="always")
def _top_k(s: Sizes, p: Progress, now: int) -> bool:
    """10: each top-k engine that is free takes a query."""
    begins = False
    for e in range(s.engines):
        if p.engines[e] <= now and _ready(p.fifo, p.ends, _TOPK_QUEUE, now):
            q = _pop(p.fifo, p.ends, _TOPK_QUEUE)
            chosen = now + p.queries[q, TOPK_CYCLES]
            p.log[q, LOG_TOPK], p.log[q, LOG_CHOSEN] = now, chosen
            p.engines[e] = chosen
            _push(p.fifo, p.ends, _VALUES_WANTED, q, chosen)
            begins = True
    return begins


@kernel(inline="always")
def _divide(s: Sizes, p: Progress, now: int) -> bool:
    """11, divide and quantize."""
    begins = p.r[_DIV_BUSY] <= now and _ready(p.fifo, p.ends, _DIVIDE_QUEUE, now)
    if begins:
        q = _pop(p.fifo, p.ends, _DIVIDE_QUEUE)
        busy = now + p.queries[q, SOFTMAX_CYCLES]
        p.r[_DIV_BUSY] = busy
        p.log[q, LOG_DIVIDE], p.log[q, LOG_WEIGHED] = now, busy + s.divide
        _push(p.fifo, p.ends, _TOPK_QUEUE, q, busy + s.divide + s.select)
    return begins


@kernel(inline="always")
def _check(p: Progress, now: int) -> bool:
    """12: on to divide, or once more from Q x K on; then LSBs are fetched, unless an earlier query asked for them."""
    checks = _ready(p.fifo, p.ends, _CHECK_QUEUE, now)
    if checks:
        q = _pop(p.fifo, p.ends, _CHECK_QUEUE)
        if p.queries[q, RECOMPUTE] and p.failed[q] == 0:
            p.failed[q] = 1
            j = p.queries[q, LSB_JOB]
            if p.queries[q, LSB_ONCE] and not p.begun[j]:
                p.begun[j] = True
                _push(p.fifo, p.ends, _LSB_FETCHES, j, now)
            _push(p.fifo, p.ends, _RECOMPUTATIONS, q, now + 1)
        else:
            if p.queries[q, LSB_ONCE] and p.queries[q, LSB_JOB] >= 0 and p.failed[q] == 0:
                p.jobs[p.queries[q, LSB_JOB], READERS] -= 1
            _push(p.fifo, p.ends, _DIVIDE_QUEUE, q, now)
    return checks


@kernel(inline="always")
def _exp_sum(s: Sizes, p: Progress, now: int) -> bool:
    """13, exp and sum."""
    begins = p.r[_EXP_BUSY] <= now and _ready(p.fifo, p.ends, _EXP_QUEUE, now)
    if begins:
        q = _pop(p.fifo, p.ends, _EXP_QUEUE)
        busy = now + p.queries[q, SOFTMAX_CYCLES]
        p.r[_EXP_BUSY] = busy
        p.log[q, LOG_EXP + _AGAIN * p.failed[q]], p.log[q, LOG_SUMMED + _AGAIN * p.failed[q]] = now, busy + s.total
        _push(p.fifo, p.ends, _CHECK_QUEUE, q, busy + s.total)
    return begins


@kernel(inline="always")
def _candidates(p: Progress, now: int) -> bool:
    """14, candidate selection (A3); a query that has none is passed over."""
    q, admitted = p.r[_PICK], p.r[_ADMITTED]
    while q < admitted and p.queries[q, CANDIDATE_CYCLES] == 0:
        q += 1
    fetched = (
        q < admitted and _fetched(p.jobs, p.queries[q, QUERY_JOB], now) and _fetched(p.jobs, p.queries[q, KEY_JOB], now)
    )
    begins = fetched and p.r[_PICK_BUSY] <= now
    if begins:
        p.picked[q] = now + p.queries[q, CANDIDATE_CYCLES]
        p.r[_PICK_BUSY] = p.picked[q]
        q += 1
    p.r[_PICK] = q
    return begins


@kernel(inline="always")
def _q_x_k(s: Sizes, p: Progress, now: int) -> bool:
    """15, Q x K: a pass over a query's keys, or a part of them; one that is computed again goes first."""
    q, i = -1, 0
    second = False
    if p.r[_DOT_BUSY] <= now:
        if _ready(p.fifo, p.ends, _RECOMPUTATIONS, now):
            again, part = p.fifo[_RECOMPUTATIONS, p.ends[_RECOMPUTATIONS, 0], 0], p.r[_AGAIN_PART]
            second = _fetched(p.jobs, p.queries[again, LSB_JOB] + part, now)
            if second:
                q, i = again, part
        query, part = p.r[_QUERY], p.r[_PART]
        picked = query < p.r[_ADMITTED] and query < p.r[_PICK] and p.picked[query] <= now
        fetched = picked and not second and _fetched(p.jobs, p.queries[query, QUERY_JOB], now)
        fetched = fetched and _fetched(p.jobs, p.queries[query, KEY_JOB] + part, now)
        if fetched and (part > 0 or _scores_fit(s, p, query)):
            q, i = query, part
    if q >= 0:
        parts = p.queries[q, KEY_PARTS]
        j = (p.queries[q, LSB_JOB] if second else p.queries[q, KEY_JOB]) + i
        busy = now + (p.jobs[j, PART_CYCLES] if parts > 1 else p.queries[q, DOT_CYCLES])
        p.r[_DOT_BUSY] = busy
        if i == 0:
            p.log[q, LOG_DOT + _AGAIN * second] = now
            if not second:
                p.r[_SCORES] += p.queries[q, SCORE_ROWS]
                p.log[q, LOG_LOADED] = max(p.jobs[p.queries[q, QUERY_JOB], DONE], p.jobs[j, DONE])
        _push(p.fifo, p.ends, _KEYS_READ, j, busy)
        i += 1
        if i == parts:
            p.log[q, LOG_SCORED + _AGAIN * second] = busy + s.dot
            _push(p.fifo, p.ends, _EXP_QUEUE, q, busy + s.dot)
            i = 0
            if second:
                p.ends[_RECOMPUTATIONS, 0] += 1
            else:
                p.r[_QUERY] += 1
        p.r[_AGAIN_PART if second else _PART] = i
    return q >= 0


@kernel(inline="always")
def _next_event(s: Sizes, p: Progress, now: int) -> int:
    """The next cycle in which a unit can do something, where none did in this one; NEVER: none. What is fetched until
    then is not foreseen."""
    later = NEVER
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
        if p.ends[which, 0] < p.ends[which, 1]:
            cycle = p.fifo[which, p.ends[which, 0], 1]
            if cycle > now:
                later = min(later, cycle)
    for cycle in (p.r[_DOT_BUSY], p.r[_EXP_BUSY], p.r[_DIV_BUSY], p.r[_PV_BUSY], p.r[_PICK_BUSY]):
        if cycle > now:
            later = min(later, cycle)
    for e in range(s.engines):
        if p.engines[e] > now:
            later = min(later, p.engines[e])
    if p.r[_NEXT_KEY] < len(p.key_jobs):
        place = _head_place_cycle(s, p.jobs, p.key_jobs[p.r[_NEXT_KEY]], p.freed)
        if place > now:
            later = min(later, place)
    return later


@kernel(inline="always")
def _cause(s: Sizes, p: Progress, now: int) -> int:
    """What Q x K does until the next cycle that is looked at, of `CAUSES`."""
    query, part, admitted = p.r[_QUERY], p.r[_PART], p.r[_ADMITTED]
    again = p.ends[_RECOMPUTATIONS, 0] < p.ends[_RECOMPUTATIONS, 1]
    if p.r[_DOT_BUSY] > now:
        cause = _QK
    elif query == len(p.queries):
        cause = _LSB if again else _DRAIN
    elif (query == admitted and not _admits(s, p)) or (
        query < admitted
        and part == 0
        and not _scores_fit(s, p, query)
        and _fetched(p.jobs, p.queries[query, KEY_JOB], now)
    ):
        cause = _LATENCY
        if p.ends[_PV_QUEUE, 0] < p.ends[_PV_QUEUE, 1]:
            cause = _PV if p.r[_PV_BUSY] > now else _VALUES
        elif _ready(p.fifo, p.ends, _TOPK_QUEUE, now):
            cause = _TOPK
        elif _ready(p.fifo, p.ends, _DIVIDE_QUEUE, now) or _ready(p.fifo, p.ends, _EXP_QUEUE, now):
            cause = _SOFTMAX
        elif again:
            cause = _LSB
    elif query < admitted and p.r[_PICK] > query and p.picked[query] > now:
        cause = _CANDIDATES
    elif p.begun[p.queries[query, KEY_JOB] + part]:
        cause = _KEYS
    else:
        k = p.key_jobs[p.r[_NEXT_KEY]]
        if p.jobs[k, AFTER_FAILED_CHECK] >= 0 and not p.failed[p.jobs[k, AFTER_FAILED_CHECK]]:
            cause = _LSB
        else:
            cause = _KEY_SRAM if p.key_ring[0] + p.jobs[k, SRAM_ROWS] > s.key_rows else _KEYS
    return cause


@kernel(inner=True)
def _snapshot(u: FetchUnits, c: Counters, at: int, now: int) -> None:
    """What has been counted, written down as a row of snapshots."""
    row = c.snapshots[at]
    row[0] = now
    row[1:] = 0
    place = 1
    for counted in (c.causes, c.used, u.stalls):
        row[place : place + len(counted)] = counted
        place += len(counted)
    count_commands(u.mem, row[place:])


@kernel
def run_segment(s: Sizes, units: FetchUnits, progress: Progress, counters: Counters, start: int) -> int:
    """Run a segment from cycle ``start`` on; the cycle in which the machine is empty again; -1: it never is.

    Args:
        s: `sizes`.
        units: state of the memory and the fetch units.
        progress: `new_progress` of the segment; the jobs' state and the log are filled in.
        counters: counted up, filled in.
    """
    u, p, c = without_refcount(units), without_refcount(progress), without_refcount(counters)
    now, look, cause = start, start, _DRAIN
    mark = 0
    while True:
        while mark < len(c.marks) - 1 and p.r[_FINISHED] >= c.marks[mark]:
            _snapshot(u, c, mark, now)
            mark += 1
        made, ended = _fetch(s, u, p, c, now, start)  # 1 to 4
        if made or now >= look:
            changed = _begin_values(s, u, p)  # 5
            changed |= _begin_keys(s, u, p, now)
            changed |= _free_oldest_job(p.jobs, p.key_jobs, p.key_ring)  # 6
            changed |= _free_oldest_job(p.jobs, p.lsb_jobs, p.lsb_ring)
            changed |= _free_oldest_job(p.jobs, p.value_jobs, p.value_ring)
            changed |= _free_head(p, now)
            changed |= _outputs(p, now)  # 7
            if p.r[_FINISHED] == len(p.queries):
                if not _fetching(u, p) and memory_next(u.mem, u.clock) == NEVER:
                    for at in range(mark, len(c.marks)):
                        _snapshot(u, c, at, now)
                    return now
                changed = True
            changed |= _end_passes(p.fifo, p.ends, p.jobs, _VALUES_READ, now)  # 8
            changed |= _prob_x_v(s, p, now)
            changed |= _want_values(p, now)  # 9
            changed |= _top_k(s, p, now)  # 10
            changed |= _divide(s, p, now)  # 11
            changed |= _check(p, now)  # 12
            changed |= _exp_sum(s, p, now)  # 13
            changed |= _candidates(p, now)  # 14
            changed |= _end_passes(p.fifo, p.ends, p.jobs, _KEYS_READ, now)  # 15
            changed |= _q_x_k(s, p, now)
            changed |= _free_oldest_query(p)  # 16
            look = now + 1 if changed else _next_event(s, p, now)
            cause = _cause(s, p, now)
        if ended:
            look = now + 1
        later = now + 1 if _fetching(u, p) else max(min(look, p.r[_MEM_NEXT]), now + 1)
        if later == NEVER:
            return -1  # nothing will ever happen again
        c.causes[cause] += later - now
        c.used[0] += p.key_ring[0] * (later - now)
        c.used[1] += p.value_ring[0] * (later - now)
        c.used[2] += (p.r[_ADMITTED] - p.r[_OLDEST]) * (later - now)
        c.used[3] += p.r[_SCORES] * (later - now)
        now = later


def empty_jobs(count: int) -> np.ndarray:
    """Jobs as `Segment` wants them, to be filled in."""
    jobs = np.zeros((count, PIPELINE_JOB_FIELDS), np.int64)
    jobs[:, [DONE, AFTER_FAILED_CHECK]] = -1
    jobs[:, COUNT] = 1
    return jobs
