# SPDX-License-Identifier: Apache-2.0
"""SpAtten's pipeline once more, as plain objects that live through every single cycle: no skipping, no registers.

Written from `hwsim.spatten.timing.pipeline`'s and `fetch`'s texts. Only the memory's channels are shared with the
kernel; they have a twin of their own.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from fractions import Fraction

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

    @property
    def used(self) -> int:
        return sum(j.space for j in self.inside)

    def fits(self, job: Job) -> bool:
        return self.used + job.space <= self.size

    def put(self, job: Job) -> None:
        self.inside.append(job)

    def clean(self) -> None:
        if self.inside and self.inside[0].users == 0:
            self.inside.popleft()


@dataclass
class Request:
    """A transaction on its way to the memory and back."""

    job: Job
    lane: int
    channel: int
    bank: int
    row: int


class Fetcher:
    """An address generator and its half of the lanes."""

    def __init__(self, config: SpattenConfig, unit: int) -> None:
        half = config.crossbar_inputs // 2
        self.lanes: list[list[Request]] = [[] for _ in range(half)]
        self.before = [0] * half  # requests in each when the cycle began
        self.names = [unit * half + i for i in range(half)]
        self.depth = config.lane_depth
        self.turn = 0
        self.job: Job | None = None

    def take(self, job: Job) -> None:
        self.job, self.turn = job, 0

    def generate(self) -> bool:
        """Whether a lane was full."""
        for _ in range(len(self.lanes)):
            if self.job is None:
                return False
            if self.before[self.turn] == self.depth:
                return True
            self.lanes[self.turn].append(Request(self.job, self.names[self.turn], *self.job.transactions.popleft()))
            self.turn = (self.turn + 1) % len(self.lanes)
            if not self.job.transactions:
                self.job = None
        return False


@dataclass
class Passed:
    """What there was at a mark: a count of queries that have ended."""

    cycle: int
    used: list[int]
    stalls: list[int]
    reads: int
    activations: int


class Twin:
    """Runs a segment."""

    def __init__(self, config: SpattenConfig, start: int = 0) -> None:
        self.config = config
        self.mem = controller.new_state(config.memory)
        self.fetchers = [Fetcher(config, 0), Fetcher(config, 1)]
        self.registers: list[Request | None] = [None] * config.memory.channels  # in front of each channel
        self.beats: list[list[Request]] = [[] for _ in range(config.memory.channels)]  # behind each channel
        self.inside: dict[int, Request] = {}  # the memory, by tag
        self.now = self.start = start
        self.cycle_ps = Fraction(10**12, config.frequency_hz)
        self.step_ps = Fraction(config.memory.clock_ps, config.memory.steps)
        self.step = self.seen = start * self.cycle_ps // self.step_ps
        """The memory's next step; the one that the machine sees."""
        self.pushed = 0
        self.used = [0] * 4
        self.stalls = dict.fromkeys(fetch.STALLS, 0)
        self.met: Counter[str] = Counter()
        """How often what is rare happened."""

    def run(self, work: Segment, marks: tuple[int, ...] = ()) -> tuple[np.ndarray, int, list[Passed]]:
        """Each query's way, how many cycles Q x K worked, and what there was at each mark."""
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
        keys, lsbs, values = Ring(c.key_rows), Ring(c.lsb_rows), Ring(c.value_rows)
        engines = [0] * c.value_topk_engines
        in_slots: deque[Query] = deque()  # in order
        scores = c.score_rows  # rows that are free
        own_values = 0  # jobs that queries in slots have still to fetch
        gone, worked = 0, 0
        passed: list[Passed] = []
        dot_free, pick_free, pv_free = 0, 0, 0
        scored_after = c.dot_cycles + c.dequantize_cycles
        heads = [0] * (jobs[queries[-1][p.KEY_JOB]].head + 1)  # queries that are still to end
        for q in queries:
            heads[jobs[q[p.KEY_JOB]].head] += 1
        places: list[int] = [0] * c.heads_in_flight  # from when on each head has a place
        self.start = self.now
        while True:
            now = self.now
            while len(passed) < len(marks) - 1 and gone >= marks[len(passed)]:
                passed.append(self._passed())
            self.cycle()
            # address generators
            key_unit, value_unit = self.fetchers
            if value_unit.job is None:
                line = shared or wanted
                if line and values.fits(line[0]):
                    own_values -= line is wanted
                    value_unit.take(line.popleft())
                    values.put(value_unit.job)
            if key_unit.job is None:
                if lsb_fetches and lsbs.fits(lsb_fetches[0]):
                    key_unit.take(lsb_fetches.popleft())
                    lsbs.put(key_unit.job)
                elif (
                    len(in_slots) < c.queries_in_flight
                    and waiting
                    and jobs[waiting[0][p.KEY_JOB]].begun
                    and not (own_values and waiting[0][p.SHARED_VALUE_JOB] >= 0)
                ):
                    q = waiting.popleft()
                    key_unit.take(jobs[q[p.QUERY_JOB]])
                    q.times["admitted"] = now
                    in_slots.append(q)
                    own_values += q[p.VALUE_PARTS]
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
            first_of_head = waiting and waiting[0][p.SHARED_VALUE_JOB] >= 0
            self.met["older values first"] += bool(own_values and first_of_head and len(in_slots) < c.queries_in_flight)
            self.met["no room for LSBs"] += bool(lsb_fetches) and not lsbs.fits(lsb_fetches[0])
            keys.clean()
            lsbs.clean()
            values.clean()
            oldest = len(places) - c.heads_in_flight
            if oldest < len(heads) and heads[oldest] == 0:
                places.append(now + 2)
            if leaving and leaving[0][0] <= now:
                q = leaving.popleft()[1]
                q.times["end"] = now
                heads[jobs[q[p.KEY_JOB]].head] -= 1
                gone += 1
            if gone == len(queries) and not self._moving():
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
                topk.queue.append((q.times["weighed"] + c.select_latency, q))
            # check
            if q := check.next(now):
                if q[p.RECOMPUTE] and not q.failed:
                    q.failed = True
                    again.append((now + 1, q))
                    if q[p.LSB_ONCE] and not jobs[q[p.LSB_JOB]].begun:
                        jobs[q[p.LSB_JOB]].begun = True
                        lsb_fetches.append(jobs[q[p.LSB_JOB]])
                else:
                    if q[p.LSB_ONCE] and q[p.LSB_JOB] >= 0 and not q.failed:
                        jobs[q[p.LSB_JOB]].users -= 1
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
                        if first.parts_done or first[p.SCORE_ROWS] <= scores:
                            q = first
                        else:
                            self.met["no room for scores"] += 1
                if q:
                    parts = q[p.KEY_PARTS]
                    at = q.parts_again if second else q.parts_done
                    job = jobs[q[p.LSB_JOB if second else p.KEY_JOB] + at]
                    dot_free = now + (job.cycles if parts > 1 else q[p.DOT_CYCLES])
                    suffix = "_again" if second else ""
                    if at == 0:
                        q.times["dot" + suffix] = now
                        if not second:
                            scores -= q[p.SCORE_ROWS]
                            q.times["loaded"] = max(jobs[q[p.QUERY_JOB]].done, job.done)
                    read.append((dot_free, job))
                    if second:
                        q.parts_again += 1
                    else:
                        q.parts_done += 1
                    if at == parts - 1:
                        q.times["scored" + suffix] = dot_free + scored_after
                        exp.queue.append((dot_free + scored_after, q))
                        (again if second else dots).popleft()
            # slots and scores given back, in order
            if in_slots and "end" in in_slots[0].times:
                q = in_slots.popleft()
                scores += q[p.SCORE_ROWS]
                self.met["a slot given back late"] += q.times["end"] < now
            worked += dot_free > now
            for i, n in enumerate((keys.used, values.used, len(in_slots), c.score_rows - scores)):
                self.used[i] += n
            self.now += 1
        log = np.array([[q.times.get(name, -1) for name in LOG] for q in queries], np.int64)
        passed += [self._passed()] * (len(marks) - len(passed))
        return log, worked, passed

    def _lsbs_fetched(self, jobs: list[Job], q: Query) -> bool:
        return self._there(jobs[q[pipeline.LSB_JOB] + q.parts_again])

    def _there(self, job: Job) -> bool:
        return job.done is not None and job.done <= self.now

    def _passed(self) -> Passed:
        commands = controller.counts(self.mem)
        return Passed(self.now, list(self.used), list(self.stalls.values()), commands["RD"], commands["ACT"])

    def _moving(self) -> bool:
        """Whether something is on its way from a generator to an SRAM."""
        lanes = [lane for f in self.fetchers for lane in f.lanes]
        return bool(self.inside) or any(f.job for f in self.fetchers) or any(lanes + self.registers + self.beats)

    def cycle(self) -> None:
        """Steps 1 to 4."""
        self.seen = self.now * self.cycle_ps // self.step_ps
        for fetcher in self.fetchers:
            fetcher.before = [len(lane) for lane in fetcher.lanes]
        self._responses()
        self._memory(self.seen + 1)
        self._requests()
        for fetcher in self.fetchers:
            self.stalls["lane_full"] += fetcher.generate()

    def rest(self, cycles: int) -> None:
        """Time passes to the edge before ``cycles`` later; only the memory has something to do."""
        self._memory((self.now + cycles) * self.cycle_ps // self.step_ps)

    def _memory(self, until: int) -> None:
        """Every step of the memory before ``until``, one by one."""
        while self.step < until:
            for ch in range(len(self.mem)):
                controller.tick(self.mem, ch, self.step)
            self.step += 1

    def _turned(self, things: list) -> list:
        first = (self.now - self.start) % len(things)
        return things[first:] + things[:first]

    def _responses(self) -> None:
        now, taken = self.now, set()
        for ch in self._turned(list(range(len(self.mem)))):
            beats = self.beats[ch]
            room = len(beats) < self.config.answer_depth
            passed_over = False
            for beat in beats[: self.config.crossbar_window]:
                if beat.lane in taken:
                    self.stalls["sram_busy"] += 1
                    passed_over = True
                    continue
                self.met["a younger beat"] += passed_over
                taken.add(beat.lane)
                beats.remove(beat)
                beat.job.left -= 1
                if beat.job.left == 0:
                    beat.job.done = now + 1
            if controller.answer_at(self.mem, ch) <= self.seen:
                if room:
                    beats.append(self.inside.pop(controller.answer(self.mem, ch, self.seen)))
                self.met["no room for a beat"] += not room

    def _requests(self) -> None:
        for ch, request in enumerate(self.registers):
            if request is not None:
                tag = self.pushed
                if controller.push(self.mem, ch, request.bank, request.row, tag, False, self.seen + 1):
                    self.pushed += 1
                    self.inside[tag] = request
                    self.registers[ch] = None
        for lane in self._turned(self.fetchers[0].lanes + self.fetchers[1].lanes):
            passed_over = False
            for request in lane[: self.config.crossbar_window]:
                if self.registers[request.channel] is not None:
                    self.stalls["queue_full"] += 1
                    passed_over = True
                    continue
                self.met["a younger request"] += passed_over
                self.registers[request.channel] = request
                lane.remove(request)
