# SPDX-License-Identifier: Apache-2.0
"""A whole training step on SAT: every product, element-wise operation and update in order, with cycles by cause.

Products run on the STCE (`hwsim.sat.timing.nest`); element-wise operations cost their DRAM traffic; an update streams
weights, momentum and gradients through WUVE and, with pre-generation, on through SORE, which writes the N:M weights of
FF and BP (values and indices). The three streams of an update overlap, so the slowest sets its time. Steps do not
overlap each other: the first load and last store of each are exposed.
"""

from __future__ import annotations

from collections.abc import Mapping as TypingMapping
from dataclasses import dataclass, replace

import numpy as np

from dataflow.errors import InputError
from dataflow.mapping.lowering import Product, Update, VectorOp, Work, Workload
from dataflow.mapping.offline_scheduling import best_mapping, mapping_candidates
from dataflow.mapping.schedule import Mapping, Schedule
from dataflow.mapping.tiling import Limits, ceil_div, misfit
from dataflow.training.methods import Pass

from ..config import Dataflow, SatConfig
from ..result import StepResult, StepRow
from .job import ArrayTiming, array_timing, check_pattern, no_exact_job
from .masked import masked_product
from .nest import NEST_COLUMNS, Nest, cost_table, nest_of, run_nest
from .tile import sore_cycles, wuve_cycles


def limits_of(config: SatConfig) -> Limits:
    """What a job's tiles must fit: half of each buffer."""
    return Limits(
        config.rows,
        config.cols,
        config.west_buffer_bytes * 4,
        config.north_buffer_bytes * 4,
        config.output_buffer_bytes * 4,
        config.weight_registers,
    )


_MAPPING_CACHE: dict[object, Mapping] = {}
"""Mappings that this process has found, by all that they depend on: points of a sweep share many products."""
_MAPPING_CACHE_ENTRIES = 1 << 15


def make_schedule(config: SatConfig, workload: Workload) -> Schedule:
    """The schedule of a workload: by the offline scheduler, or `fixed_mapping` throughout where that is off."""
    machine, limits = array_timing(config), limits_of(config)
    how = (config.offline_scheduling, config.fixed_dataflow, config.interleaves)
    mappings: dict[str, Mapping] = {}
    for product in workload.products:
        check_pattern(config, product.pattern)
        nest, windows = nest_of(product, config.pregeneration)
        key = (machine, limits, how, nest, windows.tobytes())
        if key not in _MAPPING_CACHE:
            if config.offline_scheduling:
                candidates = mapping_candidates(product, limits, _dataflows(config, product), config.interleaves)
                found = best_mapping(product, candidates, _Cost(machine, config.pregeneration), limits)
            else:
                found = fixed_mapping(config, product)
            if len(_MAPPING_CACHE) >= _MAPPING_CACHE_ENTRIES:
                _MAPPING_CACHE.clear()
            _MAPPING_CACHE[key] = found
        mappings[product.name] = _MAPPING_CACHE[key]
    return Schedule.of(workload, mappings, config.model_dump(mode="json"))


def _dataflows(config: SatConfig, product: Product) -> tuple[Dataflow, ...]:
    """What a product's jobs can be.

    Raises:
        InputError: more products than an exact sum can have.
    """
    if not config.exact:
        return ("WS", "OS")
    if why := no_exact_job(config, "OS", product.reduction, product.pattern):
        raise InputError(f"{product.name}: {why}")
    return ("OS",) if no_exact_job(config, "WS", product.reduction, product.pattern) else ("WS", "OS")


def fixed_mapping(config: SatConfig, product: Product) -> Mapping:
    """The mapping without offline scheduling: one dataflow and one interleave (the least that hides the adder) for
    all, one array width of columns, as much of the reduction and then as many rows as the buffers hold, no transpose.
    """
    if config.exact and (why := no_exact_job(config, config.fixed_dataflow, product.reduction, product.pattern)):
        raise InputError(f"{product.name}: fixed_dataflow: {why}")
    candidates = mapping_candidates(
        product, limits_of(config), (config.fixed_dataflow,), config.interleaves[:1], transposes=False
    )
    if config.exact and config.fixed_dataflow == "WS":
        candidates = candidates[candidates[:, 4] == product.reduction]
        if not len(candidates):
            raise InputError(f"{product.name}: accumulate: exact: no WS tile of the whole reduction fits the buffers")
    cols = np.where(candidates[:, 5] >= min(config.cols, product.cols), candidates[:, 5], 1 << 40)
    order = np.lexsort((-candidates[:, 3], -candidates[:, 4], cols))
    return Mapping(*(int(v) for v in candidates[order[0]]))


_NEVER = 1 << 62
"""Cost of a mapping that the machine cannot run."""


class _Cost:
    """Cycles and DRAM bytes of candidate mappings, as `dataflow.mapping.offline_scheduling` wants them."""

    def __init__(self, machine: ArrayTiming, pregeneration: bool) -> None:
        self.machine, self.pregeneration = machine, pregeneration

    def __call__(self, product: Product, mappings: np.ndarray) -> np.ndarray:
        nest, windows = nest_of(product, self.pregeneration)
        costs = np.asarray(cost_table(self.machine, nest, windows, mappings))
        if self.machine.exact:  # WS would read partial sums again
            costs[(mappings[:, 0] == 0) & (mappings[:, 4] < product.reduction)] = _NEVER
        return costs


Masks = TypingMapping[str, np.ndarray]
"""bool [reduction, cols] by layer: of weights that were pruned otherwise than N:M; a convolution's taps come before
its channels."""


def simulate(
    config: SatConfig, workload: Workload, schedule: Schedule | None = None, masks: Masks | None = None
) -> StepResult:
    """Run a workload's step under a schedule (made here when None).

    Args:
        masks: FF products of these layers run with each tile's own N (`hwsim.sat.timing.masked`), not under the
            schedule.

    Raises:
        InputError: a pattern the machine cannot hold, a schedule of another workload, a product that fits no buffer.
    """
    if schedule is None:
        schedule = make_schedule(config, workload)
    else:
        schedule.check(workload)
    return Simulation(config, workload, schedule, masks).run()


@dataclass(slots=True)
class _Prepared:
    work: Product
    mapping: Mapping
    nest: Nest
    windows: np.ndarray
    row: np.ndarray
    alike: int
    """Products of the same number have the same nest, windows and mapping: they take the same time."""


class Simulation:
    """A workload and its schedule, prepared; `run` is the simulation itself and may be repeated."""

    def __init__(self, config: SatConfig, workload: Workload, schedule: Schedule, masks: Masks | None = None) -> None:
        self.config, self.workload, self.schedule = config, workload, schedule
        self.masks: Masks = masks or {}
        self.machine = array_timing(config)
        mappings = schedule.mappings()
        self.items: list[Work | _Prepared] = []
        kinds: dict[object, int] = {}
        for work in workload.work:
            if not isinstance(work, Product):
                self.items.append(work)
                continue
            check_pattern(config, work.pattern)
            mapping = mappings[work.name]
            _check_mapping(config, work, mapping)
            nest, windows = nest_of(work, config.pregeneration)
            turns = work.count if work.in_turn else 1
            alike = kinds.setdefault((nest, windows.tobytes(), mapping, turns), len(kinds))
            self.items.append(_Prepared(work, mapping, nest, windows, np.array(mapping, np.int64), alike))

    def run(self) -> StepResult:
        rows = []
        timed: dict[int, dict[str, int]] = {}
        for item in self.items:
            if isinstance(item, _Prepared) and item.work.pass_ is Pass.FF and item.work.layer in self.masks:
                rows.append(self._masked(item, self.masks[item.work.layer]))
            elif isinstance(item, _Prepared):
                if item.alike not in timed:
                    timed[item.alike] = self._time(item)
                rows.append(self._product(item, timed[item.alike]))
            elif isinstance(item, VectorOp):
                rows.append(self._vector(item))
            elif isinstance(item, Update):
                rows.append(self._update(item))
        w = self.workload
        return StepResult(
            network=w.network,
            batch=w.batch,
            method=w.method.name,
            pattern=str(w.pattern),
            clock_hz=self.config.frequency_hz,
            peak_macs_per_cycle=self.config.peak_macs_per_cycle,
            dram_bytes_per_cycle=self.config.dram_bytes_per_cycle,
            config=self.config.model_dump(mode="json"),
            steps=rows,
            phase=w.phase,
            context=w.context,
            left_out=w.ignored,
        )

    def _time(self, item: _Prepared) -> dict[str, int]:
        out = np.empty(len(NEST_COLUMNS))
        run_nest(self.machine, item.nest, item.windows, item.row, out)
        if item.work.in_turn:  # each on the results of the one before: nothing of two of them overlaps
            out *= item.work.count
        return dict(zip(NEST_COLUMNS, out.astype(np.int64).tolist(), strict=True))

    def _product(self, item: _Prepared, named: dict[str, int]) -> StepRow:
        work = item.work
        stored = work.rows * work.pattern.kept(work.reduction) * work.cols * work.count
        return StepRow(
            step=work.name,
            layer=work.layer,
            phase=work.pass_.value,
            kind="product",
            pattern=str(work.pattern),
            dense_cause=work.dense_cause or "",
            mapping=str(item.mapping),
            macs=work.macs,
            macs_done=stored,
            sore_comparisons=named["sore_elements"] * work.pattern.n_keep,
            **named,  # type: ignore[arg-type]  # integer columns
        )

    def _masked(self, item: _Prepared, mask: np.ndarray) -> StepRow:
        """A product whose weights have a mask: each tile with its own N, or dense where that takes less."""
        work = item.work
        if mask.shape != (work.reduction, work.cols) or work.count != 1:
            raise InputError(
                f"layer {work.layer}: a mask of {mask.shape[0]} x {mask.shape[1]} weights, the product is "
                f"{work.count} x {work.reduction} x {work.cols}; masks are of whole matrices and convolutions of one "
                "group"
            )
        found = masked_product(self.config, limits_of(self.config), work.rows, mask, left=work.left)
        dense = self._time(item)
        if dense["cycles"] <= found.columns["cycles"]:
            cause = f"{float(mask.mean()):.0%} kept, but dense is no slower: most tiles have a full group of {found.m}"
            return replace(self._product(item, dense), dense_cause=cause, ideal=found.ideal)
        return StepRow(
            step=work.name,
            layer=work.layer,
            phase=work.pass_.value,
            kind="product",
            pattern=f"N:{found.m} by tile",
            mapping=str(found.mapping),
            macs=work.macs,
            macs_done=work.rows * found.stored,
            ideal=found.ideal,
            **found.columns,  # type: ignore[arg-type]  # integer columns
        )

    def _vector(self, work: VectorOp) -> StepRow:
        cycles = self._dram_cycles(work.read_bytes + work.write_bytes)
        return StepRow(
            step=work.name,
            layer=work.layer,
            phase=work.pass_.value,
            kind="elementwise",
            op=work.op,
            cycles=cycles,
            elementwise=cycles,
            dram_read_bytes=work.read_bytes,
            dram_write_bytes=work.write_bytes,
        )

    def _update(self, work: Update) -> StepRow:
        """The slowest of its three streams: DRAM, WUVE, and (pre-generation) SORE for FF's and BP's weights."""
        n = work.weights
        sparse = [p for p in (work.ff_pattern, work.bp_pattern) if not p.is_dense and self.config.pregeneration]
        read, written = work.traffic(sparse)
        sorts = sum(sore_cycles(self.config, ceil_div(n, p.m_group), p) for p in sparse)
        vector = wuve_cycles(self.config, n + work.added)
        memory = self._dram_cycles(read + written)
        cycles = max(vector, sorts, memory)
        cause = "wuve" if vector == cycles else "sore" if sorts == cycles else "dram"
        return StepRow(
            step=work.name,
            layer=work.layer,
            phase="UP",
            kind="update",
            cycles=cycles,
            dram_read_bytes=read,
            dram_write_bytes=written,
            wuve_updates=n,
            sore_elements=n * len(sparse),
            sore_comparisons=n * sum(p.n_keep for p in sparse),
            **{cause: cycles},  # type: ignore[arg-type]  # integer columns
        )

    def _dram_cycles(self, size: int) -> int:
        return int(np.ceil(size / self.config.dram_bytes_per_cycle))


def _check_mapping(config: SatConfig, product: Product, mapping: Mapping) -> None:
    """Refuse a mapping of a schedule file that this machine cannot run."""
    if mapping.interleave > config.interleave_max:
        raise InputError(f"{product.name}: interleave {mapping.interleave} > interleave_max={config.interleave_max}")
    if config.exact and not mapping.is_os and mapping.tile_reduction < product.reduction:
        raise InputError(f"{product.name}: accumulate: exact: a WS tile must have the whole reduction")
    if config.exact and (
        why := no_exact_job(config, "OS" if mapping.is_os else "WS", product.reduction, product.pattern)
    ):
        raise InputError(f"{product.name}: {why}")
    if mapping.transpose and not product.pattern.is_dense:
        raise InputError(f"{product.name}: only a dense product can be transposed")
    rows, cols = (product.cols, product.rows) if mapping.transpose else (product.rows, product.cols)
    tile = (mapping.tile_rows, mapping.tile_reduction, mapping.tile_cols)
    size = (rows, product.reduction, cols)
    why = misfit(size, tile, product.pattern, limits_of(config), bool(mapping.is_os), mapping.interleave)
    if why is not None:
        raise InputError(f"{product.name}: {why}")
