# SPDX-License-Identifier: Apache-2.0
"""Runs a workload on a machine: cycles by cause, traffic by kind, a row a layer, and each query's way.

Rows stream back to back, from layer to layer and from iteration to iteration, as in the authors' release: both top-k
over tokens and heads run beside, and what a layer's row counts is what happened until as many queries had ended as
there are up to its last one. (After every `MAX_QUERIES` queries the machine runs empty once.) Without
``layers_overlap`` one sequence is alone on the machine: a layer begins on an empty machine, when the layer before has
ended and its top-k over token importance (where the workload has one; it begins with the last probabilities) and over
head importance (where the next layer has fewer heads; it begins with the last output) are done.

With ``projections`` each layer is followed by its QKV, output and FFN products: as many cycles as their multiplies take
on all multipliers, or as their weights (at the multipliers' width) take at the memory's bandwidth for consecutive
bytes, which is measured on the memory model; whichever is more.

Left out: outputs' way back to the memory; the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from dataflow.attention.workload import KV_HEAD, QUERIES
from hwsim.memory.controller import COMMANDS, counts

from ..config import SpattenConfig
from ..result import SpattenResult
from .fetch import STALLS, TRANSACTIONS, fetch
from .lower import KINDS, Builder, Counts, Group, Rows, Style, groups
from .pipeline import (
    CAUSES,
    DOT_CYCLES,
    LOG,
    LOG_END,
    LOG_WEIGHED,
    OUTPUT_CYCLES,
    PART_CYCLES,
    RECOMPUTE,
    SOFTMAX_CYCLES,
    TOPK_CYCLES,
    VALUE_JOB,
    VALUE_PARTS,
    Segment,
)
from .plan import plan
from .scores import Source
from .state import Pipeline
from .topk import SEED, select

Tick = Callable[[int], None]
MAX_ROWS = 1 << 16
"""Rows of a result; the last one, of iteration and layer -1, is the sum of all further ones."""
MAX_QUERIES = 1 << 18
"""Queries whose events are logged; and queries after which the machine runs empty, where layers overlap."""


def simulate(
    config: SpattenConfig, layers_of: Iterable[Rows], source: Source, *, workload: str, style_name: str = "SpAtten",
    style: Style | None = None, tick: Tick = lambda rows: None,
) -> SpattenResult:  # fmt: skip
    """Run a workload.

    Args:
        layers_of: of `layers`.
        workload, style_name: names for the result.
        style: what the machine does with a head; none: SpAtten.
        tick: called with the number of rows of each layer that is done.
    """
    run = _Run(config, source, style or Style(config, source))
    result = SpattenResult(style_name, workload, config.model_dump(mode="json"))
    logs, logged = [], 0
    waiting = iter(layers_of)
    frame = next(waiting, None)
    while frame is not None:
        following = next(waiting, None)
        found = run.layer(frame, following)
        if found is not None:
            rows, log = found
            for row in rows:
                if len(result.steps) < MAX_ROWS:
                    result.steps.append(row)
                else:
                    last = result.steps[-1]
                    last.update({k: last[k] + v for k, v in row.items()} | {"iteration": -1, "layer": -1})
            if logged < MAX_QUERIES:
                logs.append(log[: MAX_QUERIES - logged])
                logged += len(logs[-1])
        tick(len(frame["layer_id"]))
        frame = following
    names = ["iteration", "layer", "head", *LOG, "dot_busy", "row_busy", "output_busy"]
    result.queries = pd.DataFrame(np.concatenate(logs) if logs else np.zeros((0, len(names)), np.int64), columns=names)
    return result


@dataclass(slots=True)
class _Layer:
    """A layer in a segment."""

    iteration: int
    layer: int
    facts: dict[str, int]
    """Heads, keys, values; heads whose techniques are left off."""
    jobs: slice
    queries: slice
    counts: Counts
    products: tuple[int, int, int]
    """Of the projections: cycles, multiplies, bytes of weights."""


class _Run:
    """A machine on its way through a workload."""

    def __init__(self, config: SpattenConfig, source: Source, style: Style) -> None:
        self.config, self.source, self.style = config, source, style
        self.machine = Pipeline(config)
        self.heads = self.kv_heads = 0
        self.stream = 0.0
        self._begin()

    def _begin(self) -> None:
        self.builder = Builder(self.config)
        self.places: list[np.ndarray] = []
        self.frames: list[Rows] = []
        self.layers: list[_Layer] = []
        self.queries = 0

    def layer(self, frame: Rows, following: Rows | None) -> tuple[list[dict[str, Any]], np.ndarray] | None:
        """Add a layer; if its segment ends with it, run that: a row a layer, and its queries' way."""
        self.frames.append(frame)
        self.queries += sum(frame[QUERIES])
        if self.config.layers_overlap and following is not None and self.queries < MAX_QUERIES:
            return None
        found = [groups(f, self.config.operand_bits) for f in self.frames]
        planned = plan(self.config, list(chain.from_iterable(found)))
        tokens: dict[tuple[int, int], np.ndarray] = {}
        at = 0
        for each, of_layer in zip(self.frames, found, strict=True):
            mine = slice(at, at + len(of_layer))
            at = mine.stop
            tokens = self._add(each, planned.groups[mine], planned.values_kept[mine], planned.one_plane[mine])
        return self._finish(frame, following, tokens)

    def _add(
        self, frame: Rows, found: list[Group], values_kept: np.ndarray, one_plane: np.ndarray
    ) -> dict[tuple[int, int], np.ndarray]:
        """A layer's heads into the segment; their tokens by length and number of keys."""
        iteration, layer = frame["iteration_id"][0], frame["layer_id"][0]
        tokens: dict[tuple[int, int], np.ndarray] = {}
        jobs, queries = len(self.builder.jobs), self.builder.query_count
        kv_heads = len({(g.head.sequence, g.head.head) for g in found})
        facts = {"heads": sum(len(g.heads) for g in found), "kv_heads": kv_heads, "keys": 0, "values": 0}
        facts |= {"values_unpruned_heads": int(values_kept.sum()), "one_plane_heads": int(one_plane.sum())}
        self.kv_heads = max(self.kv_heads, max(frame.get(KV_HEAD, frame["head_id"])) + 1)
        self.builder.kv_heads = self.kv_heads
        for group in found:
            head = group.head
            size = (head.length, head.keys)
            if size not in tokens or self.source.of_heads:
                tokens[size] = self.source.tokens(iteration, layer, *size, head.head)
            heads = self.builder.add(group, tokens[size], self.style.work(group))
            self.places.append(np.stack([np.full_like(heads, iteration), np.full_like(heads, layer), heads], axis=1))
            facts["keys"] += head.keys
            facts["values"] += group.values * head.queries
        self.heads = max(self.heads, max(frame["head_id"]) + 1)
        products = (0, 0, 0)
        if self.config.projections:
            rows = sum(g.head.queries for g in found) / max(
                len({(h.sequence, h.head) for g in found for h in g.heads}), 1
            )
            products = self._projections(rows, frame["embedding_length_D"][0])
        self.layers.append(
            _Layer(
                iteration, layer, facts, slice(jobs, len(self.builder.jobs)), slice(queries, self.builder.query_count),
                self.builder.take_counts(), products,
            )
        )  # fmt: skip
        return tokens

    def _selection(
        self, frame: Rows, following: Rows | None, tokens: dict[tuple[int, int], np.ndarray], log: np.ndarray
    ) -> int:
        """Cycles from a layer's last event to the end of both top-k over importance, where the next layer waits."""
        cycles = 0
        counts = self.layers[-1].counts
        iteration, layer = frame["iteration_id"][0], frame["layer_id"][0]
        columns = (frame[n] for n in ("if_topk", "sentence_length_L", "key_fetch_num", "topk"))
        for wanted, length, keys, k in zip(*columns, strict=True):
            if wanted and keys:
                cycles += self._select(self.source.importance(iteration, layer, tokens[length, keys]), k, counts)
        ended = self.machine.now
        done = int(log[:, LOG_WEIGHED].max(initial=0)) + cycles if cycles else 0
        heads = len(set(frame["head_id"]))
        if following is not None and following["iteration_id"][0] == iteration:
            after = len(set(following["head_id"]))
            if after < heads:
                keys_of_heads = self.source.head_importance(iteration, layer, heads)
                done = max(done, int(log[:, LOG_END].max(initial=0))) + self._select(keys_of_heads, after, counts)
        return max(done - ended, 0)

    def _select(self, keys: np.ndarray, k: int, counts: Counts) -> int:
        keep = np.empty(len(keys), np.bool_)
        cycles, _, count, _ = select(keys, k, self.config.topk_parallel, SEED, keep)
        counts.compared += count
        return int(cycles)

    def _projections(self, rows: float, dimension: int) -> tuple[int, int, int]:
        """Cycles and multiplies of a layer's products, and bytes of its weights: of a model as wide as all heads
        together, 2 x width^2 for Q and the output, twice width times that of the KV heads for K and V, 8 x width^2
        for the FFN."""
        c = self.config
        width, narrow = self.heads * dimension, self.kv_heads * dimension
        weights = 10 * width**2 + 2 * width * narrow
        size = -(-weights * c.operand_bits // 8)
        if not self.stream:
            sample = np.arange(64 * c.memory.channels)
            self.stream = len(sample) * 256 / fetch(c, 0, sample, 256).cycles
        macs = round(rows * weights)
        cycles = max(-(-macs // (c.qk_multipliers + c.pv_multipliers)), int(np.ceil(size / self.stream)))
        return cycles, macs, size

    def _finish(
        self, frame: Rows, following: Rows | None, tokens: dict[tuple[int, int], np.ndarray]
    ) -> tuple[list[dict[str, Any]], np.ndarray]:
        m = self.machine
        work, kinds = self.builder.segment()
        before = m.counted()
        log = m.run(work, marks=np.array([layer.queries.stop for layer in self.layers], np.int64))
        selection = 0 if self.config.layers_overlap else self._selection(frame, following, tokens, log)
        m.rest(selection + sum(layer.products[0] for layer in self.layers))
        rested = counts(m.mem)
        rows = []
        for layer, after in zip(self.layers, m.snapshots, strict=True):
            rows.append(self._row(layer, work, kinds, after - before, selection))
            before = after
        for name, count in zip(COMMANDS, before[-len(COMMANDS) :], strict=True):
            rows[-1][f"dram_{name}"] += rested[name] - int(count)
        table = work.queries
        if len(table):
            busy = table[:, [DOT_CYCLES, SOFTMAX_CYCLES, OUTPUT_CYCLES]]
            log = np.concatenate([np.concatenate(self.places), log, busy], axis=1)
        else:
            log = np.zeros((0, 3 + len(LOG) + 3), np.int64)
        self._begin()
        return rows, log

    def _row(
        self, layer: _Layer, work: Segment, kinds: np.ndarray, spent: np.ndarray, selection: int
    ) -> dict[str, Any]:
        done, (projections, macs, weights) = layer.counts, layer.products
        row: dict[str, Any] = {"iteration": layer.iteration, "layer": layer.layer}
        row |= layer.facts | {"queries": done.queries, "lsb_recomputations": done.lsb_recomputations}
        counted = iter(spent.tolist())
        row["cycles"] = next(counted) + selection + projections
        row |= {f"{n}_cycles": next(counted) for n in CAUSES}
        row |= {"selection_cycles": selection, "projections_cycles": projections}
        used = [next(counted) for _ in range(4)]
        stalls = [next(counted) for _ in STALLS]
        size = self.config.memory.transaction_bytes
        mine, transactions = kinds[layer.jobs], work.jobs[layer.jobs, TRANSACTIONS]
        for kind, name in enumerate(KINDS):
            row[f"{name}_bytes"] = size * int(transactions[mine == kind].sum())
        row["weight_bytes"] = weights
        row["dram_bytes"] = weights + sum(row[f"{name}_bytes"] for name in KINDS)
        row |= _work(done)
        row["projection_macs"] = macs
        stay = ("key_sram_rows", "value_sram_rows", "slots", "score_rows")
        row |= {f"{name}_x_cycles": n for name, n in zip(stay, used, strict=True)}
        row |= {f"fetch_{name}": n for name, n in zip(STALLS, stalls, strict=True)}
        row |= {f"dram_{name}": next(counted) for name in COMMANDS}
        if weights:  # consecutive: a row is opened once
            row["dram_RD"] += -(-weights // size)
            row["dram_ACT"] += -(-weights // self.config.memory.row_bytes)
        table = work.queries[layer.queries]
        row |= {
            "exp_busy": int((table[:, SOFTMAX_CYCLES] * (1 + table[:, RECOMPUTE])).sum()),
            "divide_busy": int(table[:, SOFTMAX_CYCLES].sum()),
            "topk_busy": int(table[:, TOPK_CYCLES].sum()), "pv_busy": _pv_busy(table, work.jobs),
        }  # fmt: skip
        return row


def _pv_busy(table: np.ndarray, jobs: np.ndarray) -> int:
    """Cycles in which prob x V takes rows."""
    shared = int(table[table[:, VALUE_PARTS] == 0, OUTPUT_CYCLES].sum())
    own = table[table[:, VALUE_PARTS] > 0]
    parts = [
        jobs[first : first + count, PART_CYCLES].sum() for first, count in own[:, [VALUE_JOB, VALUE_PARTS]].tolist()
    ]
    return shared + int(sum(parts))


def _work(done: Counts) -> dict[str, int]:
    names = ("qk_macs", "pv_macs", "softmax_elements", "compared", "selected", "key_elements_written",
             "value_elements_written", "outputs", "beyond_scores", "again_macs")  # fmt: skip
    return {name: int(getattr(done, name)) for name in names}
