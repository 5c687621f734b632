# SPDX-License-Identifier: Apache-2.0
"""From rows of a workload to the pipeline's tables: one layer of one iteration becomes a `Segment`.

A head is what consecutive rows of the same head say together. One query of a head fetches its own values, those that
the local top-k leaves; several queries share keys and values: both are fetched once, all alive tokens' values (some
query needs nearly each of them), and prob x V passes over all that a query sees: local value pruning saves multiplies'
energy. Where keys or values are more than half of their SRAM, each query fetches its own, in parts.

An SRAM holds transactions as they come; a job takes whole rows, for as many transactions as its vectors touch at most.

Places (`SpattenConfig.layout`): "heads" as in the release: each head of each layer has a region for q, one for the
keys' first plane, one for their LSBs, one for values, each from a multiple of 64 KiB on; "planes": the q of all heads
lie one after the other, and so their keys, LSBs and values, each head ``stagger_bytes`` behind the one before. Vectors
lie one after the other in token order, packed to their bits. -1 for bits means as wide as the multipliers.

`Style` says what a machine does with a head; the default is SpAtten. `baselines` has others.
Source: SpAtten (HPCA 2021); regions, and what is shared, are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from typing import Any

import numpy as np
import pandas as pd

from dataflow.attention.workload import QUERIES
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
"""Heads that a layer's regions are laid out for."""
_PAGE = 1024
_REGION = 1 << 16
"""Regions of a head begin at multiples of so many bytes (release)."""
_PLANE = 1 << 32
"""Bytes from one plane (q, keys, LSBs, values of all heads) to the next."""


@dataclass(slots=True)
class Counts:
    """Work, beyond what the memory counts."""

    qk_macs: int = 0
    """Multiplies of Q x K, those of recomputations included."""
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
    lsb_recomputations: int = 0
    """Queries whose scores are computed a second time, with the LSBs of the keys."""


@dataclass(frozen=True, slots=True)
class Group:
    """One head of one layer: rows of the workload that share its keys."""

    head: Head
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
        weights = self.source.weights(group.head)
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
    """The heads of a layer that have keys and queries."""
    found = []
    keys, heads = columns["key_fetch_num"], columns["head_id"]
    at, count = 0, len(keys)
    while at < count:
        end = at + 1
        while end < count and heads[end] == heads[at] and keys[end] == keys[at]:
            end += 1
        number = sum(columns[QUERIES][at:end])
        if keys[at]:
            dimension = columns["embedding_length_D"][at]
            size = {}
            for name in ("query", "key", "value"):
                bits = columns[f"quant_{name}_bit"][at]
                size[name] = -(-dimension * (operand_bits if bits < 0 else bits) // 8)
            extra = columns["auto_requant_incre"][at] if columns["quant_key_bit"][at] > 0 else 0
            again = np.repeat(columns["if_requant"][at:end], columns[QUERIES][at:end])
            head = Head(columns["iteration_id"][at], columns["layer_id"][at], heads[at],
                        columns["sentence_length_L"][at], keys[at], number, dimension)  # fmt: skip
            progressive = extra > 0 and (columns["auto_requant_thres"][at] > 0 or bool(again.any()))
            found.append(Group(
                head, max(columns["value_fetch_num"][at:end]), size["query"], size["key"],
                -(-dimension * extra // 8) if progressive else 0, size["value"], progressive,
                columns["auto_requant_thres"][at], again,
            ))  # fmt: skip
        at = end
    return found


def dot_cycles(config: SpattenConfig, keys: Any, dimension: int) -> Any:
    """Rows of Q x K for so many keys: as many as the multipliers do in a cycle, and the softmax takes."""
    return np.maximum(-(-keys * dimension // config.qk_multipliers), -(-keys // config.softmax_lanes))


def output_cycles(config: SpattenConfig, values: Any, dimension: int) -> Any:
    """Rows of prob x V for so many values."""
    return -(-values * dimension // config.pv_multipliers)


def touched(size: int, transaction: int) -> int:
    """Transactions that a vector of ``size`` bytes touches at most; vectors lie one after the other."""
    return (transaction - gcd(size, transaction) + size - 1) // transaction + 1


class Builder:
    """Tables of a segment, filled head by head."""

    def __init__(self, config: SpattenConfig) -> None:
        self.config = config
        self.key_row_bytes, self.value_row_bytes = config.key_row_bytes, config.value_row_bytes
        self.key_rows, self.lsb_rows, self.value_rows = config.key_rows, config.lsb_rows, config.value_rows
        self.score_rows, self.score_row = config.score_rows, config.list_row
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
        """First bytes of a head's q, keys, LSBs and values."""
        c, head = self.config, group.head
        sizes = (group.query_bytes, group.key_bytes, group.lsb_bytes, group.value_bytes)
        pages = -(-head.length // _PAGE) * _PAGE
        number = head.layer * _HEADS + head.head % _HEADS
        if c.layout == "planes":
            places = [i * _PLANE + number * (pages * size + c.stagger_bytes) for i, size in enumerate(sizes)]
        else:
            spans = [-(-pages * size // _REGION) * _REGION for size in sizes]
            places = [number * sum(spans) + sum(spans[:i]) for i in range(len(spans))]
        return places[0], places[1], places[2], places[3]

    def _list(self, tokens: np.ndarray) -> int:
        self.tokens.append(tokens)
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

    def add(self, group: Group, tokens: np.ndarray, work: Work) -> None:
        """Add a head's queries.

        Args:
            tokens: int64[keys], positions.
        """
        c, d, n = self.config, group.head.dimension, group.head.keys
        count = len(work.seen)
        q_base, key_base, lsb_base, value_base = self._places(group)
        first = self._list(tokens)
        self.heads += 1
        key_rows = self._rows(n, group.key_bytes, self.key_row_bytes)
        lsb_rows = self._rows(n, group.lsb_bytes, self.key_row_bytes) if group.lsb_bytes else 0
        value_rows = self._rows(n, group.value_bytes, self.value_row_bytes)
        resident = key_rows <= self.key_rows // 2 and lsb_rows <= self.lsb_rows
        fits = value_rows <= self.value_rows // 2
        shared = count > 1 and fits
        table = np.zeros((count, QUERY_FIELDS), np.int64)
        table[:, DOT_CYCLES] = dot_cycles(c, work.dots, d)
        table[:, SOFTMAX_CYCLES] = -(-work.rows // c.softmax_lanes)
        table[:, SCORE_ROWS] = np.minimum(-(-work.seen // self.score_row), self.score_rows)
        table[:, TOPK_CYCLES], table[:, CANDIDATE_CYCLES] = work.topk, work.candidates
        table[:, LSB_ONCE], table[:, RECOMPUTE] = group.progressive and resident, work.again
        table[:, OUTPUT_CYCLES] = output_cycles(c, work.seen if shared and not work.all_values else work.value_count, d)
        table[:, [LSB_JOB, VALUE_JOB, SHARED_VALUE_JOB]] = -1
        table[:, KEY_PARTS] = 1
        if resident:
            table[:, KEY_JOB] = self._job(_KEYS, key_base, group.key_bytes, first, n, key_rows, count)
            self.key_jobs.append(int(table[0, KEY_JOB]))
            self.counts.key_elements_written += n * d
            if work.again.any():
                table[:, LSB_JOB] = self._job(_LSBS, lsb_base, group.lsb_bytes, first, n, lsb_rows, count)
        if shared or (work.all_values and fits):
            j = self._job(_VALUES, value_base, group.value_bytes, first, n, value_rows, count)
            table[:, VALUE_JOB], table[0, SHARED_VALUE_JOB] = j, j
            self.counts.value_elements_written += n * d
            shared = True
        position = max(group.head.length - count, 0)  # of the first query: they are a sequence's last
        for i in range(count):
            table[i, QUERY_JOB] = self._job(
                _QUERIES, q_base + (position + i) * group.query_bytes, group.query_bytes, 0, 1
            )
            if not resident:
                self._key_parts(table[i], self.query_count + i, group, first, int(work.seen[i]), key_base)
            if not shared and work.value_count[i]:
                chosen = tokens[: work.seen[i]] if work.all_values else tokens[work.keep[i]]
                self._value_parts(
                    table[i], group, self._list(chosen), len(chosen), int(work.value_count[i]), value_base
                )
        self.queries.append(table)
        self.query_count += count
        self._count(group, work)

    def _key_parts(self, row: np.ndarray, query: int, group: Group, first: int, n: int, base: int) -> None:
        """Keys of one query in parts; then, where it is computed again, both planes in as many, which wait for the
        check. Both planes count as one run of vectors that are as wide as both."""
        d, c = group.head.dimension, self.config
        room = self._part(n, group.key_bytes + group.lsb_bytes, self.key_row_bytes, self.key_rows)
        for again in range(1 + int(row[RECOMPUTE])):
            size = group.key_bytes + group.lsb_bytes * again
            starts = range(0, n, room)
            for at in starts:
                number = min(room, n - at)
                cycles = int(dot_cycles(c, number, d))
                after = query if again else -1
                rows = min(self._rows(number, size, self.key_row_bytes), self.key_rows // 2)
                j = self._job(_LSBS if again else _KEYS, base, size, first + at, number, rows, 1, cycles, after)
                self.counts.key_elements_written += number * d
                self.key_jobs.append(j)
                if at == 0:
                    row[LSB_JOB if again else KEY_JOB] = j
            row[KEY_PARTS] = len(starts)

    def _value_parts(self, row: np.ndarray, group: Group, first: int, n: int, kept: int, base: int) -> None:
        d = group.head.dimension
        room = self._part(n, group.value_bytes, self.value_row_bytes, self.value_rows)
        starts = range(0, n, room)
        for at in starts:
            number = min(room, n - at)
            cycles = int(output_cycles(self.config, min(number, max(kept - at, 0)), d))
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
