# SPDX-License-Identifier: Apache-2.0
"""SpAtten's pipeline once more, as plain objects that live through every single cycle: no skipping, no registers.

Written from `hwsim.spatten.timing.pipeline`'s and `fetch`'s texts. Only the memory's channels are shared with the
kernel; they have a twin of their own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from hwsim.memory import controller
from hwsim.spatten.config import SpattenConfig
from hwsim.spatten.timing import fetch, pipeline
from hwsim.spatten.timing.pipeline import LOG, Segment


@dataclass
class Job:
    number: int
    space: int
    users: int
    cycles: int
    after: int
    transactions: deque[tuple[int, int, int]]
    left: int = 0
    done: int | None = None
    begun: bool = False
    head: int = 0


@dataclass
class Query:
    number: int
    row: list[int]
    times: dict[str, int] = field(default_factory=dict)
    failed: bool = False
    parts_done: int = 0
    parts_again: int = 0
    picked: int | None = None

    def __getitem__(self, column: int) -> int:
        return self.row[column]


class Unit:
    """Takes one query at a time for some cycles, hands it on after a latency."""

    def __init__(self) -> None:
        self.free_at = 0
        self.queue: deque[tuple[int, Query]] = deque()

    def next(self, now: int) -> Query | None:
        if self.free_at <= now and self.queue and self.queue[0][0] <= now:
            return self.queue.popleft()[1]
        return None


class Ring:
    def __init__(self, size: int) -> None:
        self.size, self.inside = size, deque()

    def fits(self, job: Job) -> bool:
        return sum(j.space for j in self.inside) + job.space <= self.size

    def put(self, job: Job) -> None:
        self.inside.append(job)

    def clean(self) -> None:
        if self.inside and self.inside[0].users == 0:
            self.inside.popleft()


class Fetcher:
    """An address generator and its half of the lanes."""

    def __init__(self, config: SpattenConfig, unit: int) -> None:
        half = config.crossbar_inputs // 2
        self.lanes = [deque() for _ in range(half)]
        self.before = [0] * half  # requests in each when the cycle began
        self.names = [unit * half + i for i in range(half)]
        self.depth = config.lane_depth
        self.turn = 0
        self.job: Job | None = None

    def take(self, job: Job) -> None:
        self.job, self.turn = job, 0

    def generate(self) -> None:
        for _ in range(len(self.lanes)):
            if self.job is None or self.before[self.turn] == self.depth:
                return
            self.lanes[self.turn].append((self.job, self.names[self.turn], self.job.transactions.popleft()))
            self.turn = (self.turn + 1) % len(self.lanes)
            if not self.job.transactions:
                self.job = None


class Twin:
    """Runs a segment."""

    def __init__(self, config: SpattenConfig, start: int = 0) -> None:
        self.config = config
        self.mem = controller.new_state(config.memory)
        self.timing = config.memory.timing()
        self.fetchers = [Fetcher(config, 0), Fetcher(config, 1)]
        self.refused: dict[int, int] = {}  # of a channel without room: the lane that waits for it
        self.now = self.start = start
        self.tags: dict[int, tuple[Job, int]] = {}

    def run(self, work: Segment) -> tuple[np.ndarray, int]:
        """Each query's way, and how many cycles Q x K worked."""
        c, p = self.config, pipeline
        jobs = []
        for i, row in enumerate(work.jobs.tolist()):
            tokens = work.tokens[row[fetch.FIRST] : row[fetch.FIRST] + row[fetch.COUNT]]
            where = fetch.plan(c, row[fetch.BASE], tokens, row[fetch.BYTES])
            places = deque(zip(where.channel.tolist(), where.bank.tolist(), where.row.tolist(), strict=True))
            columns = (p.SRAM_ROWS, p.READERS, p.PART_CYCLES, p.AFTER_FAILED_CHECK)
            jobs.append(Job(i, *(row[column] for column in columns), places, len(places)))
            jobs[-1].head = row[p.HEAD]
        queries = [Query(i, row) for i, row in enumerate(work.queries.tolist())]
        waiting = deque(queries)  # for a slot
        candidates, dots = deque(), deque()  # admitted, in order
        again: deque[tuple[int, Query]] = deque()
        lsb_fetches: deque[Job] = deque()
        key_jobs = deque(jobs[i] for i in work.key_jobs.tolist())
        shared, wanted = deque(), deque()  # jobs of values
        exp, check, divide, topk, want = Unit(), Unit(), Unit(), Unit(), Unit()
        pv: deque[tuple[Query, Job | None, bool]] = deque()
        leaving: deque[tuple[int, Query]] = deque()
        read: list[tuple[int, Job]] = []
        keys, values = Ring(c.key_rows), Ring(c.value_rows)
        engines = [0] * c.value_topk_engines
        slots, gone, worked = c.queries_in_flight, 0, 0
        dot_free, pick_free, pv_free = 0, 0, 0
        scored_after = c.dot_cycles + c.dequantize_cycles
        heads = [0] * (jobs[queries[-1][p.KEY_JOB]].head + 1)  # queries that are still to end
        for q in queries:
            heads[jobs[q[p.KEY_JOB]].head] += 1
        places: list[int] = [0] * c.heads_in_flight  # from when on each head has a place
        self.start = self.now
        while True:
            now = self.now
            self._fetch_cycle()
            # address generators
            key_unit, value_unit = self.fetchers
            if value_unit.job is None:
                line = shared or wanted
                if line and values.fits(line[0]):
                    value_unit.take(line.popleft())
                    values.put(value_unit.job)
            if key_unit.job is None:
                if lsb_fetches:
                    key_unit.take(lsb_fetches.popleft())
                elif slots and waiting and jobs[waiting[0][p.KEY_JOB]].begun:
                    q = waiting.popleft()
                    key_unit.take(jobs[q[p.QUERY_JOB]])
                    q.times["admitted"] = now
                    slots -= 1
                    candidates.append(q)
                    dots.append(q)
                    if q[p.SHARED_VALUE_JOB] >= 0:
                        shared.append(jobs[q[p.SHARED_VALUE_JOB]])
                elif key_jobs:
                    job = key_jobs[0]
                    decided = job.after < 0 or queries[job.after].failed
                    if decided and keys.fits(job) and job.head < len(places) and places[job.head] <= now:
                        key_unit.take(key_jobs.popleft())
                        job.begun = True
                        keys.put(job)
            # given back
            keys.clean()
            values.clean()
            oldest = len(places) - c.heads_in_flight
            if oldest < len(heads) and heads[oldest] == 0:
                places.append(now + 2)
            if leaving and leaving[0][0] <= now:
                q = leaving.popleft()[1]
                q.times["end"] = now
                heads[jobs[q[p.KEY_JOB]].head] -= 1
                slots += 1
                gone += 1
            if (
                gone == len(queries)
                and not self.tags
                and all(f.job is None and not any(f.lanes) for f in self.fetchers)
            ):
                break
            for cycle, job in read:
                if cycle <= now:
                    job.users -= 1
            read = [r for r in read if r[0] > now]
            # prob x V
            if pv_free <= now:
                firsts = {}
                for entry in pv:
                    firsts.setdefault(entry[0].number, entry)
                ready = [e for e in firsts.values() if e[1] is None or self._there(e[1])]
                if ready:
                    q, job, last = ready[0]
                    pv.remove(ready[0])
                    cycles = 0 if job is None else job.cycles if q[p.VALUE_PARTS] else q[p.OUTPUT_CYCLES]
                    if "output" not in q.times:
                        q.times["output"] = now
                        q.times["values"] = max(q.times["chosen"], job.done if job else 0)
                    pv_free = now + cycles
                    if job:
                        read.append((pv_free, job))
                    if last:
                        leaving.append((pv_free + c.output_cycles, q))
            # values asked for
            if q := want.next(now):
                count = q[p.VALUE_PARTS]
                mine = [jobs[q[p.VALUE_JOB] + i] for i in range(count)]
                wanted.extend(mine)
                if not count:
                    mine = [jobs[q[p.VALUE_JOB]] if q[p.VALUE_JOB] >= 0 else None]
                pv.extend((q, job, i == len(mine) - 1) for i, job in enumerate(mine))
            # top-k
            for e in range(len(engines)):
                if engines[e] <= now and (q := topk.next(now)):
                    q.times["topk"], q.times["chosen"] = now, now + q[p.TOPK_CYCLES]
                    engines[e] = q.times["chosen"]
                    want.queue.append((engines[e], q))
            # divide
            if q := divide.next(now):
                divide.free_at = now + q[p.SOFTMAX_CYCLES]
                q.times["divide"] = now
                q.times["weighed"] = divide.free_at + c.divide_cycles + c.quantize_cycles
                topk.queue.append((q.times["weighed"], q))
            # check
            if q := check.next(now):
                if q[p.RECOMPUTE] and not q.failed:
                    q.failed = True
                    again.append((now + 1, q))
                    if q[p.HOLD_KEYS] and not jobs[q[p.LSB_JOB]].begun:
                        jobs[q[p.LSB_JOB]].begun = True
                        lsb_fetches.append(jobs[q[p.LSB_JOB]])
                else:
                    if q[p.HOLD_KEYS] and not q.failed:
                        jobs[q[p.KEY_JOB]].users -= 1
                    divide.queue.append((now, q))
            # exp, sum
            if q := exp.next(now):
                exp.free_at = now + q[p.SOFTMAX_CYCLES]
                suffix = "_again" if q.failed else ""
                q.times["exp" + suffix] = now
                q.times["summed" + suffix] = exp.free_at + c.exponential_cycles + c.accumulate_cycles
                check.queue.append((q.times["summed" + suffix], q))
            # candidates
            while candidates and not candidates[0][p.CANDIDATE_CYCLES]:
                candidates.popleft().picked = now
            if candidates and pick_free <= now:
                q = candidates[0]
                if self._there(jobs[q[p.QUERY_JOB]]) and self._there(jobs[q[p.KEY_JOB]]):
                    candidates.popleft()
                    q.picked = pick_free = now + q[p.CANDIDATE_CYCLES]
            # Q x K
            if dot_free <= now:
                q, second = None, False
                if again and again[0][0] <= now and self._lsbs_fetched(jobs, again[0][1]):
                    q, second = again[0][1], True
                elif dots:
                    first = dots[0]
                    ready = first.picked is not None and first.picked <= now and self._there(jobs[first[p.QUERY_JOB]])
                    if ready and self._there(jobs[first[p.KEY_JOB] + first.parts_done]):
                        q = first
                if q:
                    parts = q[p.KEY_PARTS]
                    at = q.parts_again if second else q.parts_done
                    job = jobs[(q[p.LSB_JOB] if second and not q[p.HOLD_KEYS] else q[p.KEY_JOB]) + at]
                    dot_free = now + (job.cycles if parts > 1 else q[p.DOT_CYCLES])
                    suffix = "_again" if second else ""
                    if at == 0:
                        q.times["dot" + suffix] = now
                        if not second:
                            q.times["loaded"] = max(jobs[q[p.QUERY_JOB]].done, job.done)
                    if parts > 1 or second or not q[p.HOLD_KEYS]:
                        read.append((dot_free, job))
                    if second:
                        q.parts_again += 1
                    else:
                        q.parts_done += 1
                    if at == parts - 1:
                        q.times["scored" + suffix] = dot_free + scored_after
                        exp.queue.append((dot_free + scored_after, q))
                        (again if second else dots).popleft()
            worked += dot_free > now
            self.now += 1
        log = np.array([[q.times.get(name, -1) for name in LOG] for q in queries], np.int64)
        return log, worked

    def _lsbs_fetched(self, jobs: list[Job], q: Query) -> bool:
        return self._there(jobs[q[pipeline.LSB_JOB] + q.parts_again])

    def _there(self, job: Job) -> bool:
        return job.done is not None and job.done <= self.now

    def _fetch_cycle(self) -> None:
        now, mem, t = self.now, self.mem, self.timing
        for fetcher in self.fetchers:
            fetcher.before = [len(lane) for lane in fetcher.lanes]
        channels = len(mem)
        taken: set[int] = set()
        for i in range(channels):
            ch = (i + now - self.start) % channels
            if controller.answer_at(mem, ch) <= now:
                job, lane = self.tags[controller.answer_tag(mem, ch)]
                if lane not in taken:
                    taken.add(lane)
                    del self.tags[controller.answer(mem, ch, now)]
                    job.left -= 1
                    if job.left == 0:
                        job.done = now + 1
        for ch in range(channels):
            controller.tick(mem, ch, t, now)
        lanes = self.fetchers[0].lanes + self.fetchers[1].lanes
        taken = set()
        for i in range(len(lanes)):
            which = (i + now - self.start) % len(lanes)
            lane = lanes[which]
            if lane:
                job, name, (ch, bank, row) = lane[0]
                tag = max(self.tags, default=0) + 1
                if ch in taken or self.refused.get(ch, which) != which:
                    continue
                taken.add(ch)
                self.refused[ch] = which
                if controller.push(mem, ch, t, bank, row, tag, False, now + 1):
                    del self.refused[ch]
                    lane.popleft()
                    self.tags[tag] = (job, name)
        for fetcher in self.fetchers:
            fetcher.generate()
