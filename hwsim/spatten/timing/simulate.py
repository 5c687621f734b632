# SPDX-License-Identifier: Apache-2.0
"""Runs a workload on a machine, layer by layer: cycles by cause, traffic by kind, and each query's way.

A layer's queries depend on the layer before, so a layer begins on an empty machine, after the top-k over token
importance (where the workload has one) and over head importance (where the next layer has fewer heads). With
``layers_overlap`` other sequences are there to fill the machine: a layer begins while the one before ends, both top-k
run beside, and only an iteration begins empty. With ``projections`` each layer is followed by its QKV, output and FFN
products: as many cycles as their multiplies take on all multipliers, or as their weights (at the multipliers' width)
take at the memory's bandwidth for consecutive bytes, which is measured on the memory model; whichever is more.

Left out: outputs' way back to the memory; the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from hwsim.memory.controller import COMMANDS, counts

from ..config import SpattenConfig
from ..result import SpattenResult
from .fetch import STALLS, TRANSACTIONS, fetch
from .lower import KINDS, Builder, Counts, Rows, Style, groups
from .pipeline import (
    CAUSES,
    DOT_CYCLES,
    LOG,
    OUTPUT_CYCLES,
    PART_CYCLES,
    RECOMPUTE,
    SOFTMAX_CYCLES,
    TOPK_CYCLES,
    VALUE_JOB,
    VALUE_PARTS,
    Segment,
)
from .scores import Source
from .state import Pipeline
from .topk import SEED, select

Tick = Callable[[int], None]
MAX_ROWS = 1 << 16
"""Rows of a result; the last one, of iteration and layer -1, is the sum of all further ones."""
MAX_QUERIES = 1 << 18
"""Queries whose events are logged; and queries of a segment, where layers overlap."""


def simulate(
    config: SpattenConfig, rows: Iterable[Rows], source: Source, *, workload: str, style_name: str = "SpAtten",
    style: Style | None = None, tick: Tick = lambda rows: None,
) -> SpattenResult:  # fmt: skip
    """Run a workload.

    Args:
        rows: of `layers`.
        workload, style_name: names for the result.
        style: what the machine does with a head; none: SpAtten.
        tick: called with the number of rows of each layer that is done.
    """
    run = _Run(config, source, style or Style(config, source))
    result = SpattenResult(style_name, workload, config.model_dump(mode="json"))
    logs, logged = [], 0
    waiting = iter(rows)
    frame = next(waiting, None)
    while frame is not None:
        following = next(waiting, None)
        found = run.layer(frame, following)
        if found is not None:
            row, log = found
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


class _Run:
    """A machine on its way through a workload."""

    def __init__(self, config: SpattenConfig, source: Source, style: Style) -> None:
        self.config, self.source, self.style = config, source, style
        self.machine = Pipeline(config)
        self.heads = 0
        self.stream = 0.0
        self._begin()

    def _begin(self) -> None:
        self.builder = Builder(self.config)
        self.places: list[np.ndarray] = []
        self.layers: list[int] = []
        self.facts = dict.fromkeys(("heads", "keys", "values"), 0)
        self.products = np.zeros(3, np.int64)

    def layer(self, frame: Rows, following: Rows | None) -> tuple[dict[str, Any], np.ndarray] | None:
        """Add a layer; if its segment ends with it, run that: its row, and its queries' way."""
        iteration, layer = frame["iteration_id"][0], frame["layer_id"][0]
        found = groups(frame, self.config.operand_bits)
        tokens: dict[tuple[int, int], np.ndarray] = {}
        for group in found:
            head = group.head
            size = (head.length, head.keys)
            if size not in tokens:
                tokens[size] = self.source.tokens(iteration, layer, *size)
            self.builder.add(group, tokens[size], self.style.work(group))
            place = np.array([[iteration, layer, head.head]])
            self.places.append(np.repeat(place, head.queries, axis=0))
            self.facts["keys"] += head.keys
            self.facts["values"] += group.values * head.queries
        self.facts["heads"] += len(found)
        self.layers.append(layer)
        self.heads = max(self.heads, max(frame["head_id"]) + 1)
        if self.config.projections:
            rows = sum(g.head.queries for g in found) / max(len({g.head.head for g in found}), 1)
            self.products += self._projections(rows, frame["embedding_length_D"][0])
        last = following is None or following["iteration_id"][0] != iteration
        if self.config.layers_overlap and not last and self.builder.query_count < MAX_QUERIES:
            return None
        selection = 0 if self.config.layers_overlap else self._selection(frame, following, tokens)
        return self._finish(iteration, selection)

    def _selection(self, frame: Rows, following: Rows | None, tokens: dict[tuple[int, int], np.ndarray]) -> int:
        """Cycles of the importance engine at a layer's end."""
        cycles = 0
        iteration, layer = frame["iteration_id"][0], frame["layer_id"][0]
        columns = (frame[n] for n in ("if_topk", "sentence_length_L", "key_fetch_num", "topk"))
        for wanted, length, keys, k in zip(*columns, strict=True):
            if wanted and keys:
                cycles += self._select(self.source.importance(iteration, layer, tokens[length, keys]), k)
        heads = len(set(frame["head_id"]))
        if following is not None and following["iteration_id"][0] == iteration:
            after = len(set(following["head_id"]))
            if after < heads:
                cycles += self._select(self.source.head_importance(iteration, layer, heads), after)
        return cycles

    def _select(self, keys: np.ndarray, k: int) -> int:
        keep = np.empty(len(keys), np.bool_)
        cycles, _, count, _ = select(keys, k, self.config.topk_parallel, SEED, keep)
        self.builder.counts.compared += count
        return int(cycles)

    def _projections(self, rows: float, dimension: int) -> tuple[int, int, int]:
        """Cycles and multiplies of a layer's products, and bytes of its weights: 12 x width^2 of them (4 for Q, K, V
        and the output, 8 for the FFN), of a model as wide as all heads together."""
        c = self.config
        weights = 12 * (self.heads * dimension) ** 2
        size = -(-weights * c.operand_bits // 8)
        if not self.stream:
            sample = np.arange(64 * c.memory.channels)
            self.stream = len(sample) * 256 / fetch(c, 0, sample, 256).cycles
        macs = round(rows * weights)
        cycles = max(-(-macs // (c.qk_multipliers + c.pv_multipliers)), int(np.ceil(size / self.stream)))
        return cycles, macs, size

    def _finish(self, iteration: int, selection: int) -> tuple[dict[str, Any], np.ndarray]:
        m = self.machine
        projections, macs, weights = self.products.tolist()
        work, done = self.builder.segment()
        before, causes, stalls, used = m.now, m.causes.copy(), m.stalls.copy(), m.used.copy()
        commands = counts(m.mem)
        log = m.run(work)
        row: dict[str, Any] = {"iteration": iteration, "layer": self.layers[0], "layers": len(self.layers)}
        row |= self.facts | {"queries": done.queries, "lsb_recomputations": done.lsb_recomputations}
        row["cycles"] = m.now - before + selection + projections
        row |= {f"{n}_cycles": int(v) for n, v in zip(CAUSES, m.causes - causes, strict=True)}
        row |= {"selection_cycles": selection, "projections_cycles": projections}
        size = self.config.memory.transaction_bytes
        for kind, name in enumerate(KINDS):
            row[f"{name}_bytes"] = size * int(work.jobs[done.kinds == kind, TRANSACTIONS].sum())
        row["weight_bytes"] = weights
        row["dram_bytes"] = weights + sum(row[f"{name}_bytes"] for name in KINDS)
        row |= _work(done)
        row["projection_macs"] = macs
        stay = zip(("key_sram_rows", "value_sram_rows", "slots"), m.used - used, strict=True)
        row |= {f"{name}_x_cycles": int(v) for name, v in stay}
        row |= {f"fetch_{n}": int(v) for n, v in zip(STALLS, m.stalls - stalls, strict=True)}
        m.rest(selection + projections)
        after = counts(m.mem)
        row |= {f"dram_{name}": after[name] - commands[name] for name in COMMANDS}
        if weights:  # consecutive: a row is opened once
            row["dram_RD"] += -(-weights // size)
            row["dram_ACT"] += -(-weights // self.config.memory.row_bytes)
        table = work.queries
        if len(table):
            row |= {
                "exp_busy": int((table[:, SOFTMAX_CYCLES] * (1 + table[:, RECOMPUTE])).sum()),
                "divide_busy": int(table[:, SOFTMAX_CYCLES].sum()),
                "topk_busy": int(table[:, TOPK_CYCLES].sum()), "pv_busy": _pv_busy(work),
            }  # fmt: skip
            log = np.concatenate(
                [np.concatenate(self.places), log, table[:, [DOT_CYCLES, SOFTMAX_CYCLES, OUTPUT_CYCLES]]], axis=1
            )
        else:
            row |= dict.fromkeys(("exp_busy", "divide_busy", "topk_busy", "pv_busy"), 0)
            log = np.zeros((0, 3 + len(LOG) + 3), np.int64)
        self._begin()
        return row, log


def _pv_busy(work: Segment) -> int:
    """Cycles in which prob x V takes rows."""
    table, jobs = work.queries, work.jobs
    shared = int(table[table[:, VALUE_PARTS] == 0, OUTPUT_CYCLES].sum())
    own = table[table[:, VALUE_PARTS] > 0]
    parts = [
        jobs[first : first + count, PART_CYCLES].sum() for first, count in own[:, [VALUE_JOB, VALUE_PARTS]].tolist()
    ]
    return shared + int(sum(parts))


def _work(done: Counts) -> dict[str, int]:
    names = ("qk_macs", "pv_macs", "softmax_elements", "compared", "selected", "key_elements_written",
             "value_elements_written", "outputs")  # fmt: skip
    return {name: int(getattr(done, name)) for name in names}
