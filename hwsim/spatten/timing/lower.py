# SPDX-License-Identifier: Apache-2.0
"""From rows of a workload to the pipeline's tables: one layer of one iteration becomes a `Segment`.

Consecutive rows with the same keys of one KV head are a group: of one head, or of all query heads that share a KV head
(grouped-query attention). One query alone fetches its own values, those that the local top-k leaves; several queries
share keys and values: both are fetched once, all alive tokens' values (some query needs nearly each of them), and
prob x V passes over all that a query sees: local value pruning saves multiplies' energy. Where keys or values are more
than half of their SRAM, they come in parts: each position's queries, one a query head, read a part one after the other
while it is there, and go through all units as one query that takes as long as all of them; if one is computed again,
all are. Queries of other positions fetch the parts again.

An SRAM holds transactions as they come; a job takes whole rows, for as many transactions as its vectors touch at most.

Places (`SpattenConfig.layout`): "heads" as in the release: each head of each layer has a region for q, one for the
keys' first plane, one for their LSBs, one for values, each from a multiple of 64 KiB on; "planes": the q of all heads
lie one after the other, and so their keys, LSBs and values, each head ``stagger_bytes`` behind the one before. In both,
vectors lie one after the other in token order, packed to their bits. "pages", as in a server's cache: a layer has a
pool of blocks, each with the keys (or LSBs, or values) of ``page_tokens`` tokens for all KV heads, head by head
(``page_order`` HND) or token by token (NHD); which blocks a sequence has is drawn once, without order, and keys are
fetched in the order of their places. -1 for bits means as wide as the multipliers.

`Style` says what a machine does with a head; the default is SpAtten. `baselines` has others.
Source: SpAtten (HPCA 2021); regions, and what is shared, are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from math import gcd
from typing import Any

import numpy as np
import pandas as pd

from dataflow.attention.workload import CAUSAL, KV_HEAD, QUERIES, SEQUENCE
from dataflow.errors import InputError
from hwsim.core.kernels import kernel

from ..config import SpattenConfig
from .fetch import BASE, BYTES, COUNT, FIRST
from .pipeline import (
    AFTER_FAILED_CHECK,
    CANDIDATE_CYCLES,
    DOT_CYCLES,
    HEAD,
    KEY_JOB,
    KEY_PARTS,
    LSB_JOB,
    LSB_ONCE,
    OUTPUT_CYCLES,
    PART_CYCLES,
    QUERY_FIELDS,
    QUERY_JOB,
    READERS,
    RECOMPUTE,
    SCORE_ROWS,
    SHARED_VALUE_JOB,
    SOFTMAX_CYCLES,
    SRAM_ROWS,
    TOPK_CYCLES,
    VALUE_JOB,
    VALUE_PARTS,
    Segment,
    empty_jobs,
)
from .scores import Head, Source, Weights
from .topk import SEED, START_CYCLES, histogram_select, select

KINDS = ("query", "key", "lsb", "value")
"""Kinds of jobs, by what they fetch."""
_QUERIES, _KEYS, _LSBS, _VALUES = range(len(KINDS))
_HEADS = 64
"""KV heads that a layer's regions are laid out for; further ones lie behind, where the next layer's begin."""
_PAGE = 1024
_REGION = 1 << 16
"""Regions of a head begin at multiples of so many bytes (release)."""
_PLANE = 1 << 32
"""Bytes from one plane (q, keys, LSBs, values of all heads) to the next."""
_SEQUENCE = 40_961
"""Heads' regions from a sequence's first to the next one's; odd, so that sequences do not lie on the same rows."""
_POOL, _CACHE = 1 << 36, 1 << 44
"""Pages: bytes from a layer's pool of blocks to the next one's, and from one plane to the next."""


@dataclass(slots=True)
class Counts:
    """Work, beyond what the memory counts."""

    qk_macs: int = 0
    """Multiplies of Q x K, those of recomputations included."""
    again_macs: int = 0
    """Multiplies of recomputations alone."""
    pv_macs: int = 0
    softmax_elements: int = 0
    """Scores that go through the softmax, those of recomputations included."""
    compared: int = 0
    """Keys that go past a top-k engine's comparators."""
    selected: int = 0
    """Iterations of a candidate search (A3)."""
    key_elements_written: int = 0
    value_elements_written: int = 0
    outputs: int = 0
    """Elements of outputs."""
    queries: int = 0
    beyond_scores: int = 0
    """Queries (of query heads that go through as one: their positions) with more scores than the ring holds; they take
    all of it, and are timed as if the rest streamed by."""
    lsb_recomputations: int = 0
    """Queries whose scores are computed a second time, with the LSBs of the keys."""


@dataclass(frozen=True, slots=True)
class Group:
    """One KV head of one layer: rows of the workload that share its keys."""

    head: Head
    """The KV head, with the queries of all its query heads."""
    values: int
    """Values that a query multiplies, at most."""
    query_bytes: int
    key_bytes: int
    lsb_bytes: int
    """Bytes of a key's LSBs; 0: keys have one plane."""
    value_bytes: int
    progressive: bool
    threshold: float
    """Largest probability below which a query is computed again."""
    again: np.ndarray
    """bool[queries]: whether a query is computed again with LSBs."""
    members: tuple[Head, ...] = ()
    """Query heads that share it, in the order of their queries; empty: the head itself is the only one."""

    @property
    def heads(self) -> tuple[Head, ...]:
        """Its query heads."""
        return self.members or (self.head,)

    def weights(self, source: Source) -> Weights:
        """What a source says of the queries of all its query heads, one head's after the other's."""
        found = [source.weights(head) for head in self.heads]
        if len(found) == 1:
            return found[0]
        own = any(w.again is not None for w in found)
        return Weights(
            np.concatenate([w.probabilities for w in found]), np.concatenate([w.seen for w in found]),
            np.concatenate([np.zeros(len(w.seen), np.bool_) if w.again is None else w.again for w in found])
            if own else None,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """What each query of a group does: int64[queries]."""

    seen: np.ndarray
    dots: np.ndarray
    """Number of keys that are multiplied."""
    rows: np.ndarray
    """Number of scores in the softmax."""
    value_count: np.ndarray
    """Number of values that are multiplied."""
    topk: np.ndarray
    """Cycles of the top-k of values."""
    candidates: np.ndarray
    """Cycles of the candidate search (A3)."""
    again: np.ndarray
    keep: np.ndarray
    """bool[queries, keys]: which keys' values are multiplied."""
    compared: int = 0
    selected: int = 0
    all_values: bool = False
    """Whether the values of all keys are fetched, together with the keys."""


class Style:
    """SpAtten: values chosen by a top-k over the probabilities."""

    def __init__(self, config: SpattenConfig, source: Source) -> None:
        self.config, self.source = config, source

    def work(self, group: Group) -> Work:
        """What the queries of a group do."""
        if group.values >= group.head.keys and not group.progressive:
            return everything(np.concatenate([self.source.seen(head) for head in group.heads]), group.head.keys)
        weights = group.weights(self.source)
        n = len(weights.seen)
        k = np.minimum(group.values, weights.seen)
        keep = np.zeros((n, group.head.keys), np.bool_)
        cycles = np.full(n, START_CYCLES)
        c = self.config
        bits = 0 if c.topk_engine == "quick-select" else c.probability_bits
        compared = _choose(weights.probabilities, weights.seen, k, c.topk_parallel, bits, keep, cycles)
        none = np.zeros(n, np.int64)
        again = _again(group, weights)
        return Work(weights.seen, weights.seen, weights.seen, k, cycles, none, again, keep, int(compared))


def everything(seen: np.ndarray, keys: int, **rest: Any) -> Work:
    """Queries that multiply all keys and values that they see, once."""
    none, keep = np.zeros(len(seen), np.int64), np.arange(keys) < seen[:, None]
    return Work(seen, seen, seen, seen, none + START_CYCLES, none, none > 0, keep, **rest)


def _again(group: Group, weights: Weights) -> np.ndarray:
    found = group.again if weights.again is None else weights.again
    return found if group.progressive else np.zeros(len(found), np.bool_)


@kernel
def _choose(
    p: np.ndarray, seen: np.ndarray, k: np.ndarray, parallel: int, bits: int, keep: np.ndarray, cycles: np.ndarray
) -> int:
    """The top-k of every query, by histograms of ``bits`` bits (0: quick-select); those that keep all need no engine.
    Returns the keys streamed."""
    streamed = 0
    for i in range(len(seen)):
        if k[i] < seen[i]:
            if bits > 0:
                cycles[i], _, count = histogram_select(p[i, : seen[i]], k[i], parallel, bits, keep[i, : seen[i]])
            else:
                cycles[i], _, count, _ = select(p[i, : seen[i]], k[i], parallel, SEED, keep[i, : seen[i]])
            streamed += count
        else:
            keep[i, : seen[i]] = True
    return streamed


Rows = dict[str, list[Any]]
"""Rows of a workload, a list a column."""


def layers(pieces: Iterable[pd.DataFrame]) -> Iterator[Rows]:
    """Rows of one layer of one iteration after the other, of a workload that comes in pieces."""
    rest: Rows = {}
    for piece in pieces:
        columns = {name: rest.get(name, []) + piece[name].tolist() for name in piece.columns}
        key = np.array([columns["iteration_id"], columns["layer_id"]])
        cuts = np.flatnonzero((key[:, 1:] != key[:, :-1]).any(axis=0)) + 1
        places = list(pairwise([0, *cuts.tolist(), key.shape[1]]))
        for start, end in places[:-1]:
            yield {name: values[start:end] for name, values in columns.items()}
        rest = {name: values[places[-1][0] :] for name, values in columns.items()}
    if rest:
        yield rest


def groups(columns: Rows, operand_bits: int) -> list[Group]:
    """The KV heads of a layer that have keys and queries.

    Raises:
        InputError: query heads that share keys have different numbers of queries.
    """
    found = []
    keys, heads = columns["key_fetch_num"], columns["head_id"]
    sequences = columns.get(SEQUENCE, [0] * len(heads))
    place = list(zip(sequences, columns.get(KV_HEAD, heads), keys, strict=True))
    at, count = 0, len(keys)
    while at < count:
        end = at + 1
        while end < count and place[end] == place[at]:
            end += 1
        if keys[at]:
            found.append(_group(columns, operand_bits, at, end))
        at = end
    return found


def _group(columns: Rows, operand_bits: int, at: int, end: int) -> Group:
    """Rows from ``at`` to ``end``, which share their keys."""
    dimension = columns["embedding_length_D"][at]
    size = {}
    for name in ("query", "key", "value"):
        bits = columns[f"quant_{name}_bit"][at]
        size[name] = -(-dimension * (operand_bits if bits < 0 else bits) // 8)
    extra = columns["auto_requant_incre"][at] if columns["quant_key_bit"][at] > 0 else 0
    again = np.repeat(columns["if_requant"][at:end], columns[QUERIES][at:end])
    queries: dict[int, int] = {}
    for head, number in zip(columns["head_id"][at:end], columns[QUERIES][at:end], strict=True):
        queries[head] = queries.get(head, 0) + number
    place = (columns["iteration_id"][at], columns["layer_id"][at])
    rest = (columns["sentence_length_L"][at], columns["key_fetch_num"][at])
    kv_head = columns.get(KV_HEAD, columns["head_id"])[at]
    if len(set(queries.values())) > 1:
        where = f"iteration {place[0]}, layer {place[1]}, {KV_HEAD} {kv_head}"
        raise InputError(
            f"{where}: its query heads have {sorted(set(queries.values()))} queries; all must have as many"
        )
    more = (bool(columns[CAUSAL][at]) if CAUSAL in columns else False, columns.get(SEQUENCE, [0] * end)[at])
    members = tuple(Head(*place, head, *rest, number, dimension, *more) for head, number in queries.items())
    progressive = extra > 0 and (columns["auto_requant_thres"][at] > 0 or bool(again.any()))
    return Group(
        Head(*place, kv_head, *rest, sum(queries.values()), dimension, *more), max(columns["value_fetch_num"][at:end]),
        size["query"], size["key"], -(-dimension * extra // 8) if progressive else 0, size["value"], progressive,
        columns["auto_requant_thres"][at], again, members if len(members) > 1 or members[0].head != kv_head else (),
    )  # fmt: skip


def dot_cycles(config: SpattenConfig, keys: Any, dimension: int) -> Any:
    """Rows of Q x K for so many keys: as many as the multipliers do in a cycle, and the softmax takes."""
    return np.maximum(-(-keys * dimension // config.qk_multipliers), -(-keys // config.softmax_lanes))


def output_cycles(config: SpattenConfig, values: Any, dimension: int) -> Any:
    """Rows of prob x V for so many values."""
    return -(-values * dimension // config.pv_multipliers)


def touched(size: int, transaction: int) -> int:
    """Transactions that a vector of ``size`` bytes touches at most; vectors lie one after the other."""
    return (transaction - gcd(size, transaction) + size - 1) // transaction + 1


@lru_cache(maxsize=64)
def _blocks(sequence: int, count: int) -> np.ndarray:
    """Which blocks of a pool a sequence of ``count`` pages has, page by page; the same in all layers and heads."""
    return np.random.default_rng((sequence, count)).permutation(count) + sequence * count


class Builder:
    """Tables of a segment, filled head by head."""

    def __init__(self, config: SpattenConfig) -> None:
        self.config = config
        self.key_row_bytes, self.value_row_bytes = config.key_row_bytes, config.value_row_bytes
        self.key_rows, self.lsb_rows, self.value_rows = config.key_rows, config.lsb_rows, config.value_rows
        self.score_rows, self.score_row = config.score_rows, config.list_row
        self.kv_heads = 1
        """KV heads of a sequence in a block of a paged cache; set it before heads are added."""
        self.jobs: list[tuple[int, ...]] = []
        self.queries: list[np.ndarray] = []
        self.key_jobs: list[int] = []
        self.tokens: list[np.ndarray] = [np.zeros(1, np.int64)]
        self.token_count = 1
        self.query_count = 0
        self.heads = 0
        self.counts = Counts()
        self.kinds: list[int] = []

    def _places(self, group: Group) -> tuple[int, int, int, int]:
        """First bytes of a KV head's q, keys, LSBs and values; q of its query heads lie side by side for each token."""
        c, head = self.config, group.head
        sizes = (group.query_bytes * len(group.heads), group.key_bytes, group.lsb_bytes, group.value_bytes)
        pages = -(-head.length // _PAGE) * _PAGE
        if c.layout == "pages":
            layer = head.layer * _POOL + (_SEQUENCE * head.layer << 8)
            places = [i * _CACHE + layer + head.head * self._head_slots * size for i, size in enumerate(sizes)]
            return places[0], places[1], places[2], places[3]
        number = head.layer * _HEADS + head.head + head.sequence * _SEQUENCE
        if c.layout == "planes":
            places = [i * _PLANE + number * (pages * size + c.stagger_bytes) for i, size in enumerate(sizes)]
        else:
            spans = [-(-pages * size // _REGION) * _REGION for size in sizes]
            places = [number * sum(spans) + sum(spans[:i]) for i in range(len(spans))]
        return places[0], places[1], places[2], places[3]

    @property
    def _head_slots(self) -> int:
        """Vectors from one head's to the next one's in a block."""
        return self.config.page_tokens if self.config.page_order == "HND" else 1

    def _slots(self, head: Head, tokens: np.ndarray) -> np.ndarray:
        """Where vectors of tokens are, counted in vectors from the head's first place on."""
        if self.config.layout != "pages":
            return tokens
        size = self.config.page_tokens
        table = _blocks(head.sequence, -(-head.length // size))
        inner = 1 if self.config.page_order == "HND" else self.kv_heads
        return np.asarray(table[tokens // size] * (self.kv_heads * size) + tokens % size * inner)

    def _list(self, tokens: np.ndarray) -> int:
        """Places to be fetched, ascending, as the address generators want them."""
        self.tokens.append(np.sort(tokens) if self.config.layout == "pages" else tokens)
        self.token_count += len(tokens)
        return self.token_count - len(tokens)

    def _job(self, kind: int, base: int, size: int, first: int, count: int, space: int = 0, users: int = 0,
             cycles: int = 0, after: int = -1) -> int:  # fmt: skip
        self.jobs.append((base, size, first, count, space, users, cycles, after, self.heads - 1))
        self.kinds.append(kind)
        return len(self.jobs) - 1

    def _rows(self, count: int, size: int, row_bytes: int) -> int:
        """Rows of an SRAM for so many vectors of ``size`` bytes."""
        transaction = self.config.memory.transaction_bytes
        return -(-count * touched(size, transaction) * transaction // row_bytes)

    def _part(self, n: int, size: int, row_bytes: int, rows: int) -> int:
        """Vectors of a part of ``n``: all that half of an SRAM holds; of more, parts are alike and take a quarter at
        most, so that some are fetched while one is read; at least one vector."""
        transaction = self.config.memory.transaction_bytes
        if self._rows(n, size, row_bytes) <= rows // 2:
            return n
        most = max(max(rows // 4, 1) * row_bytes // transaction // touched(size, transaction), 1)
        return -(-n // -(-n // most))

    def add(self, group: Group, tokens: np.ndarray, work: Work) -> np.ndarray:
        """Add a KV head's queries.

        Args:
            tokens: int64[keys], positions.

        Returns:
            int64[queries of the pipeline]: the query head of each; the first one where several go through as one.
        """
        n, sharing = group.head.keys, len(group.heads)
        key_rows = self._rows(n, group.key_bytes, self.key_row_bytes)
        lsb_rows = self._rows(n, group.lsb_bytes, self.key_row_bytes) if group.lsb_bytes else 0
        value_rows = self._rows(n, group.value_bytes, self.value_row_bytes)
        resident = key_rows <= self.key_rows // 2 and lsb_rows <= self.lsb_rows
        fits = value_rows <= self.value_rows // 2
        together = sharing if sharing > 1 and not (resident and fits) else 1
        if together > 1:  # int[positions, heads]: which queries go through as one
            turn = np.arange(len(work.seen)).reshape(sharing, -1).T
            work = replace(work, again=np.tile(work.again[turn].any(axis=1), sharing))
        else:
            turn = np.arange(len(work.seen))[:, None]
        c, d, count, every = self.config, group.head.dimension, len(turn), work.all_values
        q_base, key_base, lsb_base, value_base = self._places(group)
        tokens = self._slots(group.head, tokens)
        first, self.heads = self._list(tokens), self.heads + 1
        shared = (count > 1 or together > 1) and fits
        passes = work.value_count if every or not (shared or together > 1) else work.seen
        table = np.zeros((count, QUERY_FIELDS), np.int64)
        table[:, DOT_CYCLES] = dot_cycles(c, work.dots, d)[turn].sum(axis=1)
        table[:, SOFTMAX_CYCLES] = (-(-work.rows // c.softmax_lanes))[turn].sum(axis=1)
        wanted = (-(-work.seen // self.score_row))[turn].sum(axis=1)
        table[:, SCORE_ROWS] = np.minimum(wanted, self.score_rows)
        self.counts.beyond_scores += int((wanted > self.score_rows).sum())
        table[:, TOPK_CYCLES] = work.topk[turn].sum(axis=1)
        table[:, CANDIDATE_CYCLES] = work.candidates[turn].sum(axis=1)
        table[:, LSB_ONCE], table[:, RECOMPUTE] = group.progressive and resident, work.again[turn[:, 0]]
        table[:, OUTPUT_CYCLES] = output_cycles(c, passes, d)[turn].sum(axis=1)
        table[:, [LSB_JOB, VALUE_JOB, SHARED_VALUE_JOB]] = -1
        table[:, KEY_PARTS] = 1
        if resident:
            table[:, KEY_JOB] = self._job(_KEYS, key_base, group.key_bytes, first, n, key_rows, count)
            self.key_jobs.append(int(table[0, KEY_JOB]))
            self.counts.key_elements_written += n * d
            if work.again.any():
                table[:, LSB_JOB] = self._job(_LSBS, lsb_base, group.lsb_bytes, first, n, lsb_rows, count)
        if shared or (every and fits):
            j = self._job(_VALUES, value_base, group.value_bytes, first, n, value_rows, count)
            table[:, VALUE_JOB], table[0, SHARED_VALUE_JOB] = j, j
            self.counts.value_elements_written += n * d
            shared = True
        each = len(work.seen) // sharing
        position = max(group.head.length - each, 0)  # of the first query: they are a sequence's last
        queries = self._list(np.arange(together)) if together > 1 else 0
        for i, mine in enumerate(turn):
            at = (position + mine[0] % each) * sharing + mine[0] // each
            table[i, QUERY_JOB] = self._job(
                _QUERIES, q_base + at * group.query_bytes, group.query_bytes, queries, together
            )
            seen = int(work.seen[mine].max())
            if not resident:
                self._key_parts(table[i], self.query_count + i, group, first, seen, key_base, together)
            if not shared and passes[mine].any():
                chosen = tokens[:seen] if every or together > 1 else tokens[work.keep[mine[0]]]
                self._value_parts(table[i], group, self._list(chosen), len(chosen), passes[mine], value_base)
        self.queries.append(table)
        self.query_count += count
        self._count(group, work)
        heads = np.repeat([head.head for head in group.heads], each)
        return np.asarray(heads[turn[:, 0]])

    def _key_parts(self, row: np.ndarray, query: int, group: Group, first: int, n: int, base: int, passes: int) -> None:
        """Keys of one query in parts, each read ``passes`` times; then, where it is computed again, both planes in as
        many, which wait for the check. Both planes count as one run of vectors that are as wide as both."""
        d, c = group.head.dimension, self.config
        room = self._part(n, group.key_bytes + group.lsb_bytes, self.key_row_bytes, self.key_rows)
        for again in range(1 + int(row[RECOMPUTE])):
            size = group.key_bytes + group.lsb_bytes * again
            starts = range(0, n, room)
            for at in starts:
                number = min(room, n - at)
                cycles = passes * int(dot_cycles(c, number, d))
                after = query if again else -1
                rows = min(self._rows(number, size, self.key_row_bytes), self.key_rows // 2)
                j = self._job(_LSBS if again else _KEYS, base, size, first + at, number, rows, 1, cycles, after)
                self.counts.key_elements_written += number * d
                self.key_jobs.append(j)
                if at == 0:
                    row[LSB_JOB if again else KEY_JOB] = j
            row[KEY_PARTS] = len(starts)

    def _value_parts(self, row: np.ndarray, group: Group, first: int, n: int, passes: np.ndarray, base: int) -> None:
        """Values in parts; ``passes``: over how many of them, from the first on, prob x V goes, query by query."""
        d = group.head.dimension
        room = self._part(n, group.value_bytes, self.value_row_bytes, self.value_rows)
        starts = range(0, n, room)
        for at in starts:
            number = min(room, n - at)
            cycles = int(output_cycles(self.config, np.clip(passes - at, 0, number), d).sum())
            rows = min(self._rows(number, group.value_bytes, self.value_row_bytes), self.value_rows // 2)
            j = self._job(_VALUES, base, group.value_bytes, first + at, number, rows, 1, cycles)
            self.counts.value_elements_written += number * d
            if at == 0:
                row[VALUE_JOB] = j
        row[VALUE_PARTS] = len(starts)

    def _count(self, group: Group, work: Work) -> None:
        c, d = self.counts, group.head.dimension
        again = int((work.dots * work.again).sum())
        c.qk_macs += (int(work.dots.sum()) + again) * d
        c.again_macs += again * d
        c.pv_macs += int(work.value_count.sum()) * d
        c.softmax_elements += int(work.rows.sum()) + int((work.rows * work.again).sum())
        c.compared += work.compared
        c.selected += work.selected
        c.outputs += len(work.seen) * d
        c.queries += len(work.seen)
        c.lsb_recomputations += int(work.again.sum())

    def take_counts(self) -> Counts:
        """Work since it was last asked for."""
        found, self.counts = self.counts, Counts()
        return found

    def segment(self) -> tuple[Segment, np.ndarray]:
        """The finished tables, and of each job an index into `KINDS`."""
        jobs = empty_jobs(len(self.jobs))
        if self.jobs:
            jobs[:, [BASE, BYTES, FIRST, COUNT, SRAM_ROWS, READERS, PART_CYCLES, AFTER_FAILED_CHECK, HEAD]] = self.jobs
        queries = np.concatenate(self.queries) if self.queries else np.zeros((0, QUERY_FIELDS), np.int64)
        tokens = np.concatenate(self.tokens)
        return Segment(jobs, np.array(self.key_jobs, np.int64), queries, tokens), np.array(self.kinds, np.int64)
