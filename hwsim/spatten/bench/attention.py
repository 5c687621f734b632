# SPDX-License-Identifier: Apache-2.0
"""Cases of spatten_core: random heads with random queries, every answer, every importance score, every cycle.

Heads are dense, pruned, in one plane or two, with one query or several, of every dimension and every number of bits, on
one list of tokens or on several. The functional level says what must come out, the clock level when. In half of the
cases the memory behind AXI answers exactly as the DRAM model did in the simulator (every cycle is compared); in the
others in any order after any time, with pauses on every stream, resets in mid-work, illegal descriptors and a memory
that fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from hwsim.memory.config import DramConfig
from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check_all

from ..config import SpattenConfig
from ..timing.fetch import ACCEPTED, BASE, TRANSACTIONS, new_record
from ..timing.functional import SATURATED, SCALE_LIMIT, QueryResult, confidence_limit, run_query
from ..timing.lower import Builder, Group, Work, touched
from ..timing.pipeline import CAUSES, LOG, Segment
from ..timing.scores import Head
from ..timing.state import Pipeline
from ..timing.topk import START_CYCLES

CODES = {4: 0, 6: 1, 8: 2, 10: 3, 12: 4, 16: 5, 0: 7}
"""Codes of an element's bits in a descriptor; 0: there is no such plane."""
HEAD_FIELDS = ("key_address", "lsb_address", "value_address", "list", "count", "dimension", "query_bits", "key_bits",
               "lsb_bits", "value_bits", "shared", "queries", "scale", "limit", "number")  # fmt: skip
QUERY_FIELDS = ("address", "count", "keep", "seed", "tag")
"""Fields of the descriptors, in their order."""
RIGHT, HEAD_ILLEGAL, QUERY_ILLEGAL, MEMORY_FAILED = range(4)
"""Status of an answer."""
_ALIGN = 32
_FREE = 256
_LONGEST_QUERY = 256
"""Bytes from the first word that a query touches to its end, at most."""
WORD = 0xFFFFFFFF


def small(**changes: object) -> SpattenConfig:
    """A machine that builds in a minute."""
    values = {
        "qk_multipliers": 64, "pv_multipliers": 64, "softmax_lanes": 4, "topk_parallel": 4, "crossbar_inputs": 8,
        "queries_in_flight": 8, "score_tokens": 96, "heads_in_flight": 4, "buffer_keys": 64,
        "key_sram_bytes": 16_384, "lsb_sram_bytes": 1536, "value_sram_bytes": 16_384,
        "memory": DramConfig(channels=4, queue=8),
    } | changes  # fmt: skip
    return SpattenConfig.model_validate(values)


MACHINES = (
    small(),
    small(qk_multipliers=32, pv_multipliers=128, softmax_lanes=2, adder_cycles=2, topk_engine="histogram",
          topk_parallel=2, value_topk_engines=2, crossbar_inputs=4,
          crossbar_window=2, lane_depth=2, answer_depth=2, queries_in_flight=3, score_tokens=40, heads_in_flight=2,
          buffer_keys=32, key_sram_bytes=8192, lsb_sram_bytes=512, value_sram_bytes=6144,
          memory=DramConfig(channels=2, queue=4, interleave_bytes=64)),
    small(qk_multipliers=256, pv_multipliers=32, softmax_lanes=8, adder_cycles=1, topk_engine="histogram",
          topk_parallel=8, crossbar_inputs=4,
          crossbar_window=4, queries_in_flight=12, score_tokens=176, heads_in_flight=5, buffer_keys=128,
          key_sram_bytes=65_536, lsb_sram_bytes=4096, dot_cycles=15, exponential_cycles=30,
          memory=DramConfig(channels=4, queue=32)),
    small(qk_multipliers=32, pv_multipliers=32, softmax_lanes=1, topk_parallel=2, crossbar_inputs=2,
          queries_in_flight=1, score_tokens=16, heads_in_flight=2, lane_depth=1, buffer_keys=16,
          memory=DramConfig(channels=1, queue=4)),
    small(qk_multipliers=128, softmax_lanes=8, topk_parallel=2, value_topk_engines=3, queries_in_flight=16,
          score_tokens=192),
)  # fmt: skip


def bench_of(config: SpattenConfig) -> Bench:
    """The core of a configuration."""
    p = config.verilog_parameters()
    owner = max(_bits(p["SLOTS"]), _bits(p["HEADS"]))
    banks = max(config.key_row_bytes, config.value_row_bytes) // 32
    identifier = 3 + owner + _bits(max(p["KEY_ROWS"] + p["LSB_ROWS"], p["VALUE_ROWS"])) + _bits(banks)
    defines = {
        "HAS_CLOCK": 1, "CHANNELS": p["CHANNELS"], "ADDRESS_WIDTH": 40, "ID_WIDTH": identifier, "SIZE": p["SIZE"],
        "OUT_WIDTH": p["OPERAND_BITS"] + p["PROBABILITY_BITS"] + _bits(p["SIZE"]),
    }  # fmt: skip
    return Bench("spatten_core", "hwsim.spatten.bench:attention_main.cpp", p, defines)


def _bits(n: int) -> int:
    return max((n - 1).bit_length(), 1)


def pack(integers: np.ndarray, bits: int) -> bytes:
    """Integers one after the other in so many bits each, two's complement, the lowest bit first."""
    raw = integers.astype(np.int64).ravel()[:, None] >> np.arange(bits) & 1
    return np.packbits(raw.astype(np.uint8), bitorder="little").tobytes()


@dataclass(slots=True)
class Attention:
    """One head with its queries, as integers."""

    tokens: np.ndarray
    """int[n], positions of the keys."""
    q: np.ndarray
    """int[queries, D]"""
    k: np.ndarray
    """int[n, D], all bits."""
    v: np.ndarray
    bits: tuple[int, int, int, int]
    """Bits of q, of k's first plane, of its LSBs (0: one plane), of v."""
    scale: float
    threshold: float
    seen: np.ndarray
    """int[queries]: keys that each query sees."""
    keep: np.ndarray
    """int[queries]: values that it multiplies at most."""
    seeds: np.ndarray
    number: int
    list_row: int = 0
    results: list[QueryResult] = field(default_factory=list)

    def run(self, config: SpattenConfig) -> None:
        """The functional level."""
        scale, threshold, lsb = self.scale, self.threshold, self.bits[2]
        for q, seen, keep, seed in zip(self.q, self.seen, self.keep, self.seeds, strict=True):
            self.results.append(run_query(
                config, q, self.k[:seen], self.v[:seen], scale, lsb=lsb, threshold=threshold, keep_values=int(keep),
                state=int(seed),
            ))  # fmt: skip


class Scene:
    """Heads in the memory and in the simulator's tables, and as descriptors."""

    def __init__(self, config: SpattenConfig, base: int = 0, *, anywhere: bool = False) -> None:
        """``anywhere``: queries begin at any 8 bytes from which they take no more than 256."""
        self.config, self.base, self.anywhere = config, base, anywhere
        self.builder = Builder(config)
        self.memory = bytearray(_FREE)
        self.bases: list[int] = []
        self.heads: list[list[int]] = []
        self.queries: list[list[int]] = []
        self.work: list[Attention] = []
        self.starts: list[int] = []
        """Of each head, the first byte of its data."""

    def _place(self, data: bytes) -> int:
        """Put data at the next free address."""
        at = len(self.memory)
        self.memory += data + bytes(-len(data) % _ALIGN)
        return self.base + at

    def _query(self, data: bytes) -> int:
        """Put a query somewhere in the next free words."""
        rng = np.random.default_rng(len(self.memory))
        before = 8 * int(rng.integers(0, min(3, (_LONGEST_QUERY - len(data)) // 8) + 1)) if self.anywhere else 0
        return self._place(rng.bytes(before) + data) + before

    def _vectors(self, integers: np.ndarray, tokens: np.ndarray, bits: int) -> int:
        """Vectors at their tokens' addresses; the bytes between are never read."""
        size = integers.shape[1] * bits // 8
        first = int(tokens[0]) // 4 * 4  # four vectors are whole transactions
        region = bytearray(np.random.default_rng(len(self.memory)).bytes((int(tokens[-1]) + 1 - first) * size))
        for token, vector in zip((tokens - first).tolist(), integers, strict=True):
            region[token * size : (token + 1) * size] = pack(vector, bits)
        base: int = self._place(bytes(region)) - first * size
        return base

    def add(self, a: Attention) -> None:
        """Add a head."""
        a.run(self.config)
        self.work.append(a)
        q_bits, k_bits, l_bits, v_bits = a.bits
        n, d = a.k.shape
        count = len(a.q)
        self.starts.append(len(self.memory))
        q_at = [self._query(pack(q, q_bits)) for q in a.q]
        k_at = self._vectors(a.k >> l_bits, a.tokens, k_bits)
        l_at = self._vectors(a.k & ((1 << l_bits) - 1), a.tokens, l_bits) if l_bits else 0
        v_at = self._vectors(a.v, a.tokens, v_bits)
        keep = np.zeros((count, n), np.bool_)
        cycles = np.full(count, START_CYCLES)
        kept = np.minimum(a.keep, a.seen)
        for i, result in enumerate(a.results):
            keep[i, : a.seen[i]] = result.kept
            if a.keep[i] < a.seen[i]:
                cycles[i] = result.topk_cycles
        again = np.array([r.again for r in a.results])
        group = Group(
            Head(0, 0, 0, int(a.tokens[-1]) + 1, n, count, d), int(kept.max()), d * q_bits // 8, d * k_bits // 8,
            d * l_bits // 8, d * v_bits // 8, l_bits > 0, a.threshold, again,
        )  # fmt: skip
        none = np.zeros(count, np.int64)
        before = len(self.builder.jobs)
        self.builder.add(group, a.tokens, Work(a.seen, a.seen, a.seen, kept, cycles, none, again, keep))
        at = iter(q_at)
        places = {0: at, 1: iter([k_at]), 2: iter([l_at])}
        kinds = self.builder.kinds[before:]
        self.bases += [v_at if kind == 3 else next(places[kind]) for kind in kinds]
        shared = kinds.count(3) == 1 and count > 1
        # of one plane the limit is any number that is not below 0
        limit = _word(confidence_limit(a.threshold)) if l_bits else int(a.seeds[0]) << 15 & WORD >> 1
        self.heads.append([
            k_at, l_at, v_at, a.list_row, n, (32, 64, 128).index(d), *(CODES[b] for b in a.bits), int(shared), count,
            _word(a.scale), limit, a.number,
        ])  # fmt: skip
        for i in range(count):
            self.queries.append([q_at[i], int(a.seen[i]), int(a.keep[i]), int(a.seeds[i]), len(self.queries)])

    def fits(self, a: Attention) -> bool:
        """Whether a head's keys and the values that a query multiplies fit half of their rows each, and its LSBs all of
        theirs."""
        values = int(np.minimum(a.keep, a.seen).max())
        counts = (len(a.k), len(a.k), values)
        rooms = rooms_of(self.config, a.k.shape[1], a.bits)
        return all(count <= room for count, room in zip(counts, rooms, strict=True))

    def segment(self) -> Segment:
        """The simulator's tables."""
        work, _ = self.builder.segment()
        work.jobs[:, BASE] = self.bases
        return work


def rooms_of(config: SpattenConfig, d: int, bits: tuple[int, int, int, int]) -> tuple[int, int, int]:
    """How many vectors of ``d`` elements there is room for: of keys' first plane, of their LSBs, of values."""
    c, found = config, []
    halves = ((c.key_rows // 2, c.key_row_bytes), (c.lsb_rows, c.key_row_bytes), (c.value_rows // 2, c.value_row_bytes))
    for (rows, row_bytes), width in zip(halves, bits[1:], strict=True):
        word = c.memory.transaction_bytes
        found.append(rows * row_bytes // word // touched(d * width // 8, word) if width else WORD)
    return found[0], found[1], found[2]


def _most(config: SpattenConfig) -> int:
    """The largest count that a descriptor can say: above the keys of any head."""
    return (1 << int(config.verilog_parameters()["SIZE"]).bit_length()) - 1


def _word(x: float) -> int:
    return int(np.float32(x).view(np.uint32))


def random_attention(
    rng: np.random.Generator, config: SpattenConfig, tokens: np.ndarray, row: int, planes_share: float
) -> Attention:
    """A head over a list's first tokens; ``planes_share``: how often keys have two planes, where they can."""
    d = int(rng.choice([32, 64, 128]))
    count = int(rng.choice([1, 1, 1, 2, 3, 6]))
    widths = [b for b in (4, 6, 8, 10, 12) if b <= config.operand_bits]
    k_bits = int(rng.choice(widths))
    planes = [b for b in (4, 6, 8) if b + k_bits <= config.operand_bits]
    l_bits = int(rng.choice(planes)) if planes and rng.random() < planes_share else 0
    q_bits, v_bits = int(rng.choice([*widths, 16])), int(rng.choice(widths))
    bits = (q_bits, k_bits, l_bits, v_bits)
    n = int(rng.integers(1, len(tokens) + 1))
    if (kind := rng.random()) < 0.3:  # the whole list, or as many as there is room for
        n = min(len(tokens), *rooms_of(config, d, bits)[: 3 if kind < 0.15 else 2])

    def integers(bits: int, *shape: int) -> np.ndarray:
        top = 1 << (min(bits, config.operand_bits) - 1)
        if rng.random() < 0.2:  # ties, extremes
            return rng.choice([-top, -1, 0, top - 1], shape).astype(np.int32)
        return rng.integers(-top, top, shape).astype(np.int32)

    q, k, v = integers(q_bits, count, d), integers(k_bits + l_bits, n, d), integers(v_bits, n, d)
    spread = max(float(np.abs(q.astype(np.int64) @ k.T.astype(np.int64)).std()), 1.0)
    scale = float(np.float32(rng.choice([0, 0.1, 1, 3, 30]) / spread))
    if rng.random() < 0.03:
        scale = float(np.nextafter(np.float32(SCALE_LIMIT), np.float32(0)))
    seen = rng.integers(1, n + 1, count) if rng.random() < 0.4 else np.full(count, n)
    keep = np.maximum(rng.integers(0, n + 2, count), 1)
    keep[rng.random(count) < 0.1] = _most(config)
    room = rooms_of(config, d, bits)[2]
    keep = np.where((np.minimum(keep, seen) > room) & (room > 0), room, keep)
    return Attention(
        tokens[:n], q, k, v, bits, scale, float(rng.choice([0, 0.03, 0.1, 0.3, 1])), seen,
        keep, rng.integers(1, 1 << 16, count), int(rng.integers(0, 64)), row,
    )  # fmt: skip


def random_scene(rng: np.random.Generator, config: SpattenConfig, *, far: bool = True) -> tuple[Scene, np.ndarray]:
    """Some heads, and the lists' places and tokens, int[places, 2]; ``far``: at any addresses, with any tokens."""
    scene = Scene(config, int(rng.integers(1 << 29, 1 << 40)) // 4096 * 4096 - (1 << 28) if far else 0, anywhere=True)
    p = config.verilog_parameters()
    row_of = config.list_row
    lists, entries, row = [], [], 0
    for _ in range(int(rng.integers(1, 3))):
        length = int(rng.integers(1, p["SIZE"] + 1)) if rng.random() < 0.8 else p["SIZE"]
        spread = int(length * rng.choice([1, 1.3, 3])) + 1
        tokens = np.sort(rng.choice(spread, length, replace=False))
        if far and rng.random() < 0.5:
            tokens += int(rng.integers(0, (1 << 20) - spread))
        last = (2 * p["SIZE"] - length) // row_of
        if row > last:
            break
        row = last if rng.random() < 0.2 else row  # up to the last place
        lists.append((tokens, row))
        entries += [[row * row_of + i, int(t)] for i, t in enumerate(tokens)]
        row += -(-length // row_of)
    wanted, planes_share = int(rng.integers(1, 8)), float(rng.choice([0.5, 1]))
    for _ in range(100):
        tokens, at = lists[int(rng.integers(len(lists)))]
        a = random_attention(rng, config, tokens, at, planes_share)
        if scene.fits(a):
            scene.add(a)
            wanted -= 1
        if not wanted:
            break
    return scene, np.array(entries, np.uint32)


def case_of(rng: np.random.Generator, config: SpattenConfig, *, timed: bool | None = None) -> Case:
    """A scene as the bench wants it, with what must come back."""
    while True:
        scene, lists = random_scene(rng, config)
        if scene.work:
            break
    return scene_case(rng, scene, lists, timed=bool(rng.random() < 0.5) if timed is None else timed)


def many_case(rng: np.random.Generator, config: SpattenConfig) -> Case:
    """More queries than 8 bits can count, of one head with two keys."""
    scene, count, tokens = Scene(config), 300, np.arange(2)
    q, k, v = (rng.integers(-8, 8, (n, 32)).astype(np.int32) for n in (count, 2, 2))
    two = np.full(count, 2)
    scene.add(Attention(tokens, q, k, v, (4, 4, 0, 4), 0.01, 0.0, two, two, rng.integers(1, 1 << 16, count), 5))
    return scene_case(rng, scene, np.stack([tokens, tokens], axis=1), timed=True)


def scene_case(rng: np.random.Generator, scene: Scene, lists: np.ndarray, *, timed: bool) -> Case:
    """A scene as a case."""
    config = scene.config
    size = config.verilog_parameters()["SIZE"]
    places = 2 * size
    work = scene.segment()
    machine = Pipeline(config)
    record = new_record(1 << 18)
    ready = np.zeros(1 << 18, np.int64)
    log = machine.run(work, record, ready)
    end = log[:, LOG.index("end")]
    total = int(end.max())
    # what the memory did: of each channel, requests in their order, and which of them was answered when
    order: dict[int, int] = {}
    asked = [0] * config.memory.channels
    answers = []
    for kind, cycle, channel, tag in record[1 : 1 + record[0, 0]].tolist():
        if kind == ACCEPTED:
            order[tag] = asked[channel]
            asked[channel] += 1
        else:
            answers.append([channel, order.pop(tag), cycle])
    status, failing, text = [RIGHT] * len(end), (len(scene.memory), len(scene.memory)), ""
    if not timed and rng.random() < 0.4:
        status, failing, text = _spoil(rng, scene)
    tokens_before = rng.integers(0, 1 << 32, places, dtype=np.uint32)
    tokens_before[rng.random(places) < 0.5] = 0
    tokens_before[rng.random(places) < 0.1] = SATURATED - 100
    heads_before = rng.integers(0, 1 << 62, 64, dtype=np.uint64)
    tokens_after, heads_after = tokens_before.copy(), heads_before.copy()
    values = []
    row_of = config.list_row
    told = iter(status)
    for a in scene.work:
        at = a.list_row * row_of
        for result, seen in zip(a.results, a.seen, strict=True):
            one = np.zeros(2 + 256, np.uint32)
            one[0] = next(told)
            one[1] = result.again
            wide = np.zeros(128, np.int64)
            wide[: len(result.output)] = result.output
            one[2:] = wide.view(np.uint32)
            values.append(one)
            if one[0] != RIGHT:
                one[1:] = 0
            if one[0] in (HEAD_ILLEGAL, QUERY_ILLEGAL):
                continue
            part = tokens_after[at : at + seen].astype(np.uint64) + result.probabilities
            tokens_after[at : at + seen] = np.minimum(part, SATURATED)
            if one[0] == RIGHT:
                heads_after[a.number] += np.uint64(np.abs(result.output).sum())
    again = sum(bool(r.again) for a in scene.work for r in a.results)
    gone, last = -1, 0  # heads leave the table in their order, one a cycle
    for a in scene.work:
        last += len(a.q)
        gone = max(gone, int(end[last - len(a.q) : last].max())) + 1
    counters = np.array([gone + 1, len(scene.queries), again, int(work.jobs[:, TRANSACTIONS].sum()),
                         int(machine.causes[CAUSES.index("qk")])], np.uint64)  # fmt: skip
    output = np.concatenate([*values, tokens_after, heads_after.view(np.uint32), counters.view(np.uint32),
                             np.zeros(1, np.uint32)])  # fmt: skip
    when = np.zeros(len(output), np.uint32)
    when[: 258 * len(end)] = np.repeat(end, 258)
    shares = [256] * 4
    reset, cycles = 0, total + 1
    if not timed:
        shares = [int(rng.choice([8, 40, 128, 256])) for _ in range(4)]
        reset = int(rng.integers(1, 400)) if rng.random() < 0.3 else 0
        cycles = 0
        for query in scene.queries:
            query[3] *= rng.random() < 0.8  # seed 0: the random register goes on, and the cycles are of no matter
    limit = 20_000 + 200 * total
    mask = ready[:cycles].astype(np.uint32)
    laid = np.array(answers if timed else [], np.uint32)
    head = [len(scene.memory), scene.base & WORD, scene.base >> 32, len(lists), len(scene.heads), len(scene.queries),
            len(mask), len(laid), int(rng.integers(1, 1 << 31)), *shares, reset, limit,
            *failing]  # fmt: skip
    heads = [[part for address in h[:3] for part in (address & WORD, address >> 32)] + h[3:] for h in scene.heads]
    queries = [[q[0] & WORD, q[0] >> 32, *q[1:]] for q in scene.queries]
    arrays = [lists, tokens_before, heads_before.view(np.uint32), heads, queries]
    parts = [np.array(w, np.uint32).tobytes() for w in arrays]
    stdin = (
        np.array(head, np.uint32).tobytes() + bytes(scene.memory) + b"".join(parts) + mask.tobytes() + laid.tobytes()
    )
    expected = {"cycles": np.array([total], np.uint32), "when": when, "output": output}
    care = np.ones(len(output), np.bool_)
    if not timed:
        care[-11:-9] = care[-3:-1] = False  # cycles; those of Q x K
        if any(status):
            care[-9:-1] = False
    label = f"{len(scene.work)} heads, {len(scene.queries)} queries, {again} again{text}"
    return Case(label, stdin, expected, timed=timed, care=care)


def _spoil(rng: np.random.Generator, scene: Scene) -> tuple[list[int], tuple[int, int], str]:
    """Make descriptors illegal, mostly by as little as can be, or part of the memory fail: every query's status, the
    failing bytes, in words."""
    counts = [len(a.q) for a in scene.work]
    firsts = [sum(counts[:i]) for i in range(len(counts))]
    status = [RIGHT] * sum(counts)
    which = int(rng.integers(0, len(counts)))
    kind = str(rng.choice(["head", "head", "query", "memory", "word", "empty"]))
    longest = [i for i, a in enumerate(scene.work) if a.q.shape[1] * a.bits[0] == 8 * _LONGEST_QUERY]
    if longest and rng.random() < 0.3:  # such a query only just fits
        kind, which = "long query", int(rng.choice(longest))
    head, size = scene.heads[which], len(scene.memory)
    mine = range(firsts[which], firsts[which] + counts[which])
    none = (size, size)
    if kind == "head":
        wrong = _wrong_head(rng, scene, which)
        changes = wrong[int(rng.integers(len(wrong)))]
        for place, value in changes.items():
            head[place] = value
        for i in mine:
            status[i] = HEAD_ILLEGAL
        return status, none, f"; head {which}: {changes}"
    if kind in ("query", "long query"):
        at = int(rng.choice(mine))
        query = scene.queries[at]
        if kind == "query":
            illegal = [(0, query[0] + (1 << int(rng.integers(0, 3)))), (1, 0), (1, head[4] + 1), (2, 0)]
            illegal += [(1, _most(scene.config))]
            room = rooms_of(scene.config, scene.work[which].k.shape[1], scene.work[which].bits)[2]
            if not head[10] and query[1] > room:
                illegal += [(2, room + 1)] * 5
        else:  # one piece too long
            illegal = [(0, query[0] + begin) for begin in (8, 16, 24)]
        place, value = illegal[int(rng.integers(len(illegal)))]
        query[place] = value
        status[at] = QUERY_ILLEGAL
        return status, none, f"; query {at}: field {place} is {value}"
    if kind == "memory":
        status[firsts[which] :] = [MEMORY_FAILED] * (len(status) - firsts[which])
        return status, (scene.starts[which], size), f"; memory fails from head {which} on"
    if kind == "word":
        byte, failed, text = _failing_word(rng, scene, which)
        for i, one in zip(mine, failed, strict=True):
            status[i] = MEMORY_FAILED if one else RIGHT
        first = (byte - scene.base) // _ALIGN * _ALIGN
        return status, (first, first + _ALIGN), f"; memory fails in a word of {text} of head {which}"
    idle = [int(x) for x in rng.integers(0, 1 << 5, 15)]
    idle[11] = 0
    scene.heads.insert(which, idle)
    return status, none, "; a head without queries"


def _wrong_head(rng: np.random.Generator, scene: Scene, which: int) -> list[dict[int, int]]:
    """Fields of a head's descriptor that make it illegal, each with nothing else wrong."""
    config, a, head = scene.config, scene.work[which], scene.heads[which]
    size, most, row = config.verilog_parameters()["SIZE"], config.operand_bits, config.list_row
    found = [{place: head[place] + (1 << int(rng.integers(0, 5)))} for place in range(3)]
    found += [{4: 0}, {5: 3}, {6: 6}, {6: 7}, {7: 7}, {9: 7}, {7: 5}, {8: 5}, {9: 6}]
    found += [{12: 0x80000000}, {12: _word(SCALE_LIMIT)}, {13: 0xBF800000}, {13: head[13] | 1 << 31}]
    if head[3] * row + size + 1 <= 2 * size:
        found.append({4: size + 1})
    # planes that are together too wide by as little as can be: what does not fit any more is then wrong as well
    found += [{7: CODES[k], 8: CODES[most + 2 - k]} for k in (4, 6, 8, 10, 12) if most + 2 - k in CODES and k <= most]
    # its list ends behind the lists
    behind = (2 * size - head[4]) // row + 1
    if behind < 2 * size // row:
        found += [{3: behind}, {3: 2 * size // row - 1}]
    # one more than there is room for
    places = (2 * size) // row * row - head[3] * row
    rooms = rooms_of(config, a.k.shape[1], a.bits)
    for room in rooms[: 3 if head[10] else 2]:
        if room < min(size, places):
            found += [{4: room + 1}] * 5
    return found


def _failing_word(rng: np.random.Generator, scene: Scene, which: int) -> tuple[int, list[bool], str]:
    """A byte of what a head reads, which of its queries need it, and what it is of."""
    a, head = scene.work[which], scene.heads[which]
    d, all_of_them = a.k.shape[1], [True] * len(a.q)
    first = sum(len(b.q) for b in scene.work[:which])
    kinds = ["query", "key", *(["lsb"] if all(r.again for r in a.results) else []), "value"]
    kind = str(rng.choice(kinds))
    if kind == "query":
        at = int(rng.integers(len(a.q)))
        byte = scene.queries[first + at][0] + int(rng.integers(0, d * a.bits[0] // 8))
        return byte, [i == at for i in range(len(a.q))], kind
    place, width = {"key": (0, a.bits[1]), "lsb": (1, a.bits[2]), "value": (2, a.bits[3])}[kind]
    vector = d * width // 8
    token = int(rng.integers(len(a.k)))
    if kind == "value" and not head[10]:
        token = int(rng.choice(np.flatnonzero(a.results[int(rng.integers(len(a.q)))].kept)))
    byte = head[place] + int(a.tokens[token]) * vector + int(rng.integers(0, vector))
    if kind != "value" or head[10]:
        return byte, all_of_them, kind
    begins = head[place] + a.tokens * vector
    here = (begins // _ALIGN <= byte // _ALIGN) & ((begins + vector - 1) // _ALIGN >= byte // _ALIGN)
    return byte, [bool(here[: len(r.kept)][r.kept].any()) for r in a.results], kind


def spatten_core(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """Random scenes on each of `MACHINES`, or on the one machine that was asked for."""
    # every module is met by one machine of each top-k engine
    machines: tuple[SpattenConfig, ...] = MACHINES[:2] if options.coverage else MACHINES
    if options.machine is not None:
        machines = (options.machine,)

    def work() -> Iterator[tuple[Bench, list[Case]]]:
        for config in machines:
            made = [case_of(rng, config) for _ in range(-(-cases // len(machines)))]
            yield bench_of(config), made + [many_case(rng, config)] * (len(made) > 40 and config == MACHINES[0])

    return check_all("spatten_core", work(), options)


def spatten_full(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """Random scenes on the paper's machine and on ours at full size, heads of up to 1024 keys; every cycle."""

    def work() -> Iterator[tuple[Bench, list[Case]]]:
        for name in ("paper", "streaming"):
            config = SpattenConfig(design=name)
            bench = replace(bench_of(config), quick=True)
            yield bench, [case_of(rng, config, timed=True) for _ in range(-(-cases // 2))]

    return check_all("spatten_full", work(), options)
