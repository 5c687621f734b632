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

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from dataflow.attention import QUERIES
from hwsim.dram.controller import COMMANDS, counts

from .config import SpattenConfig
from .fetch import TRANSACTIONS, fetch
from .lower import KINDS, Builder, Counts, Style, groups, layers
from .pipeline import CAUSES, LOG, Machine
from .scores import Source
from .topk import select

Tick = Callable[[int], None]
MAX_QUERIES = 1 << 18
"""Queries whose way is kept; and of a segment, where layers overlap."""
BETWEEN = ("selection", "projections")
"""Causes of cycles between segments: top-k over tokens and heads; products."""


@dataclass(slots=True)
class SpattenResult:
    """A simulated workload."""

    machine: str
    workload: str
    config: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    """One a layer of an iteration (with overlap: an iteration): sizes, cycles by cause, bytes by kind, work."""
    log: np.ndarray = field(default_factory=lambda: np.zeros((0, len(LOG)), np.int64))
    """int64[queries, LOG]: the first queries' way, cycles of the run."""
    heads: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    """int64[queries, 3]: their iteration, layer, head."""

    def total(self, column: str) -> int:
        """Sum of a column."""
        return int(sum(r[column] for r in self.rows))

    @property
    def settings(self) -> SpattenConfig:
        return SpattenConfig.model_validate(self.config)

    @property
    def cycles(self) -> int:
        return self.total("cycles")

    @property
    def seconds(self) -> float:
        return self.cycles / int(self.config["frequency_hz"])

    @property
    def dram_bytes(self) -> int:
        return self.total("dram_bytes")

    @property
    def macs(self) -> int:
        """Multiplies of attention that were done."""
        return self.total("qk_macs") + self.total("pv_macs")

    def bounds(self) -> dict[str, float]:
        """Cycles that the run cannot be below: of the memory, of each array of multipliers."""
        c = self.settings
        return {
            "memory": self.dram_bytes / c.memory.peak_bytes_per_cycle,
            "qk": self.total("qk_macs") / c.qk_multipliers,
            "pv": self.total("pv_macs") / c.pv_multipliers,
        }


def layer_frames(pieces: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Rows of one layer of one iteration after the other, of a workload that comes in pieces."""
    rest = pd.DataFrame()
    for piece in pieces:
        found = list(layers(pd.concat([rest, piece], ignore_index=True) if len(rest) else piece))
        rest = found.pop()
        yield from found
    if len(rest):
        yield rest


def simulate(
    config: SpattenConfig, frames: Iterable[pd.DataFrame], source: Source, *, workload: str, machine: str = "SpAtten",
    style: Style | None = None, tick: Tick = lambda rows: None,
) -> SpattenResult:  # fmt: skip
    """Run a workload.

    Args:
        frames: of `layer_frames`.
        workload, machine: names for the result.
        style: what the machine does with a head; none: SpAtten.
        tick: called with the number of rows of each layer that is done.
    """
    run = _Run(config, source, style or Style(config, source))
    result = SpattenResult(machine, workload, config.model_dump(mode="json"))
    logs, heads, kept = [], [], 0
    waiting = iter(frames)
    frame = next(waiting, None)
    while frame is not None:
        following = next(waiting, None)
        row = run.layer(frame, following)
        if row is not None:
            row, log, places = row
            result.rows.append(row)
            if kept < MAX_QUERIES:
                logs.append(log[: MAX_QUERIES - kept])
                heads.append(places[: MAX_QUERIES - kept])
                kept += len(logs[-1])
        tick(len(frame))
        frame = following
    if logs:
        result.log, result.heads = np.concatenate(logs), np.concatenate(heads)
    return result


class _Run:
    """A machine on its way through a workload."""

    def __init__(self, config: SpattenConfig, source: Source, style: Style) -> None:
        self.config, self.source, self.style = config, source, style
        self.machine = Machine(config)
        self.state = 1
        self.heads = 0
        self.stream = 0.0
        self._begin()

    def _begin(self) -> None:
        self.builder = Builder(self.config)
        self.places: list[np.ndarray] = []
        self.layers: list[int] = []
        self.facts = dict.fromkeys(("heads", "keys", "values"), 0)

    def layer(
        self, frame: pd.DataFrame, following: pd.DataFrame | None
    ) -> tuple[dict[str, Any], np.ndarray, np.ndarray] | None:
        """Add a layer; if its segment ends with it, run that: its row, its queries' way and whose they are."""
        iteration, layer = int(frame["iteration_id"].iloc[0]), int(frame["layer_id"].iloc[0])
        found = groups(frame, self.config.operand_bits)
        tokens: dict[int, np.ndarray] = {}
        for group in found:
            head = group.head
            if head.keys not in tokens:
                tokens[head.keys] = self.source.tokens(iteration, layer, head.length, head.keys)
            self.builder.add(group, tokens[head.keys], self.style.work(group))
            place = np.array([[iteration, layer, head.head]])
            self.places.append(np.repeat(place, head.queries, axis=0))
            self.facts["keys"] += head.keys
            self.facts["values"] += group.values * head.queries
        self.facts["heads"] += len(found)
        self.layers.append(layer)
        self.heads = max(self.heads, int(frame["head_id"].max()) + 1)
        last = following is None or int(following["iteration_id"].iloc[0]) != iteration
        if self.config.layers_overlap and not last and self.builder.query_count < MAX_QUERIES:
            return None
        selection = 0 if self.config.layers_overlap else self._selection(frame, following, tokens)
        rows = sum(g.head.queries for g in found) / max(len({g.head.head for g in found}), 1)
        dimension = int(frame["embedding_length_D"].iloc[0])
        projections, weights = self._projections(rows, dimension) if self.config.projections else (0, 0)
        return self._finish(iteration, selection, projections * len(self.layers), weights * len(self.layers))

    def _selection(self, frame: pd.DataFrame, following: pd.DataFrame | None, tokens: dict[int, np.ndarray]) -> int:
        """Cycles of the importance engine at a layer's end."""
        cycles = 0
        iteration, layer = int(frame["iteration_id"].iloc[0]), int(frame["layer_id"].iloc[0])
        for row in frame[frame["if_topk"]].itertuples():
            if row.key_fetch_num:
                keys = self.source.importance(iteration, layer, tokens[row.key_fetch_num])
                cycles += self._select(keys, int(row.topk))
        heads = frame["head_id"].nunique()
        if following is not None and int(following["iteration_id"].iloc[0]) == iteration:
            after = following["head_id"].nunique()
            if after < heads:
                cycles += self._select(self.source.head_importance(iteration, layer, heads), after)
        return cycles

    def _select(self, keys: np.ndarray, k: int) -> int:
        keep = np.empty(len(keys), np.bool_)
        cycles, _, count, self.state = select(keys, k, self.config.topk_parallel, self.state, keep)
        self.builder.counts.compared += count
        return int(cycles)

    def _projections(self, rows: float, dimension: int) -> tuple[int, int]:
        """Cycles of a layer's products and bytes of its weights: 12 x width^2 of them (4 for Q, K, V and the output,
        8 for the FFN), of a model as wide as all heads together."""
        c = self.config
        weights = 12 * (self.heads * dimension) ** 2
        size = -(-weights * c.operand_bits // 8)
        if not self.stream:
            sample = np.arange(64 * c.memory.channels)
            self.stream = len(sample) * 256 / fetch(c, 0, sample, 256).cycles
        macs = rows * weights / (c.qk_multipliers + c.pv_multipliers)
        return int(np.ceil(max(macs, size / self.stream))), size

    def _finish(
        self, iteration: int, selection: int, projections: int, weights: int
    ) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
        m = self.machine
        work, done = self.builder.segment()
        before, causes, stalls, used = m.now, m.causes.copy(), m.stalls.copy(), m.used.copy()
        commands = counts(m.mem)
        log = m.run(work)
        row: dict[str, Any] = {"iteration": iteration, "layer": self.layers[0], "layers": len(self.layers)}
        row |= self.facts | {"queries": done.queries, "again": done.again}
        row["cycles"] = m.now - before + selection + projections
        row |= {f"{n}_cycles": int(v) for n, v in zip(CAUSES, m.causes - causes, strict=True)}
        row |= {"selection_cycles": selection, "projections_cycles": projections}
        size = self.config.memory.transaction_bytes
        for kind, name in enumerate(KINDS):
            row[f"{name}_bytes"] = size * int(work.jobs[done.kinds == kind, TRANSACTIONS].sum()) if len(done.kinds) else 0
        row["weight_bytes"] = weights
        row["dram_bytes"] = weights + sum(row[f"{name}_bytes"] for name in KINDS)
        row |= _work(done)
        row["projection_macs"] = weights * 8 // self.config.operand_bits if weights else 0
        stay = zip(("key_sram_elements", "value_sram_elements", "slots"), m.used - used, strict=True)
        row |= {f"{name}_x_cycles": int(v) for name, v in stay}
        row |= {f"fetch_{n}": int(v) for n, v in zip(("lane_full", "queue_full", "sram_busy"), m.stalls - stalls, strict=True)}
        m.rest(selection + projections)
        after = counts(m.mem)
        row |= {f"dram_{name}": after[name] - commands[name] for name in COMMANDS}
        if weights:  # consecutive: a row is opened once
            row["dram_RD"] += -(-weights // size)
            row["dram_ACT"] += -(-weights // self.config.memory.row_bytes)
        places = np.concatenate(self.places) if self.places else np.zeros((0, 3), np.int64)
        self._begin()
        return row, log, places


def _work(done: Counts) -> dict[str, int]:
    names = ("qk_macs", "pv_macs", "rows", "compared", "selected", "key_elements_written", "value_elements_written",
             "outputs")  # fmt: skip
    return {name: int(getattr(done, name)) for name in names}


def query_count(frame: pd.DataFrame) -> int:
    """Queries of rows."""
    return int(frame[QUERIES].sum())
