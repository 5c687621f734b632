# SPDX-License-Identifier: Apache-2.0
"""Replaying a trace: the real tensors of a training step through SORE, STCE and WUVE at clock level.

Each product of each traced layer runs under the offline scheduler's mapping, job by job, with the N:M operand chosen by
SORE from the dense weights. Held against: the functional level (bits), the tile level (cycles), the masks in the trace
(positions), and the values torch computed (within the bound that the number of additions implies); the last two only
where the trace's operands were rounded to FP16. Left out: DRAM and the loop nest around the jobs (the tile level of
`hwsim.sat.timing.nest`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from dataflow.errors import InputError
from dataflow.mapping.lowering import Product, lower
from dataflow.mapping.operands import input_gradient, operands, output, weight_gradient
from dataflow.mapping.schedule import Mapping
from dataflow.networks.network import Network, Weighted
from dataflow.pattern import NM
from dataflow.training.methods import Pass
from dataflow.training.trace import Trace
from hwsim.core.ieee import to_fp16

from .config import SatConfig
from .timing.clock import run_job
from .timing.clock_engines import run_sore, run_wuve
from .timing.functional import sore, stce, wuve
from .timing.job import array_job
from .timing.step import make_schedule
from .timing.tile import job_cycles, sore_cycles, wuve_cycles

UNIT_ROUNDOFF = 2.0**-24
HALF_ROUNDOFF = 2.0**-11


@dataclass(slots=True)
class ReplayRow:
    """One unit's work on one layer and pass. All ``*_different`` must be 0, ``error`` at most ``error_bound``."""

    step: int
    layer: str
    phase: str
    unit: str
    """STCE, SORE or WUVE."""
    work: str
    mapping: str
    jobs: int
    cycles: int
    """Cycles at clock level."""
    cycles_different: int
    """Difference to the tile level's cycles, summed over the jobs; must be 0."""
    values: int
    bits_different: int
    """Values whose bits differ from the functional level."""
    masks_different: int
    """Elements that SORE keeps and the trace's mask does not."""
    error: float
    """Largest distance to torch's value, as a share of the bound for that value."""

    @property
    def agrees(self) -> bool:
        return not (self.cycles_different or self.bits_different or self.masks_different) and self.error <= 1.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"agrees": int(self.agrees)}


def replay(trace: Trace, config: SatConfig, tick: Callable[[str], None] = lambda text: None) -> list[ReplayRow]:
    """Replay every traced layer of every traced step, whole.

    Raises:
        InputError: a damaged trace, or one without a tensor that is needed.
    """
    rows: list[ReplayRow] = []
    layers = {layer.name: layer for layer in trace.meta.network.layers if isinstance(layer, Weighted)}
    for step in trace.steps:
        for name in trace.layers(step):
            if name not in layers:
                raise InputError(f"{trace.folder}: layer {name!r} is not in the trace's network")
            tensors = trace.tensors(step, name)
            for needed in ("weight", "x", "y", "dy", "dw", "gradient", "momentum", "new_weight"):
                if needed not in tensors:
                    raise InputError(f"{trace.folder}: step {step}, {name}/{needed}: tensor is missing")
            for row in _layer(trace, config, step, layers[name], tensors):
                rows.append(row)
                tick(f"{name} {row.phase} {row.unit}")
    return rows


class Traced(NamedTuple):
    """A product of a traced layer with its operands: L R, or (``swapped``, SDGP's BP) R^T L^T."""

    product: Product
    mapping: Mapping
    left: np.ndarray
    """float16[count, rows, reduction]."""
    right: np.ndarray
    """float16[count, reduction, cols], dense: SORE prunes it."""
    kept: np.ndarray
    """The trace's mask of ``right``."""
    swapped: bool


def traced_products(trace: Trace, config: SatConfig, layer: Weighted, t: dict[str, np.ndarray]) -> list[Traced]:
    """FF, WU and BP products of a layer of the trace, with the offline scheduler's mappings."""
    samples = trace.meta.samples
    cause = trace.meta.dense_causes.get(layer.name)
    workload = lower(
        Network(name=layer.name, layers=(layer,)),
        batch=samples,
        method=trace.method,
        pattern=trace.pattern,
        skip=(layer.name,) if cause else (),
    )
    mappings = make_schedule(config, workload).mappings()
    half = {n: to_fp16(t[n]) for n in ("x", "weight", "dy")}
    found = []
    for pass_ in (Pass.FF, Pass.WU, Pass.BP):
        products = [p for p in workload.products if p.pass_ is pass_]
        if not products:
            continue
        mask = t["ff_mask" if pass_ is Pass.FF else "bp_mask"]
        # a pass without an N:M operand may still use masked weights (SR-STE's BP)
        weight = half["weight"] * mask if products[0].pattern.is_dense else half["weight"]
        pairs = operands(layer, pass_, products[0].pattern, x=half["x"], w=weight, dy=half["dy"])
        masks = operands(layer, pass_, products[0].pattern, x=half["x"], w=mask, dy=half["dy"])
        swap = products[0].right.kind == "gradient" and pass_ is Pass.BP  # SDGP: dX^T = W^T dY^T
        for product, (left, right), (_, kept) in zip(products, pairs, masks, strict=True):
            if swap:
                left, right = right.swapaxes(1, 2), left.swapaxes(1, 2)
            found.append(Traced(product, mappings[product.name], left, right, kept, swap))
    return found


def job_slices(mapping: Mapping, pattern: NM, a: int, k: int, b: int) -> Iterator[tuple[slice, slice, slice, slice]]:
    """Rows, columns, reduction and stored reduction of each array job of a mapping, reduction innermost."""
    # an OS job keeps its sums in the PEs: its reduction is one job, whatever chunks the buffers take
    step = k if mapping.is_os else mapping.tile_reduction
    n, m = (1, 1) if pattern.is_dense else (pattern.n_keep, pattern.m_group)
    for a0 in range(0, a, mapping.tile_rows):
        for b0 in range(0, b, mapping.tile_cols):
            for k0 in range(0, k, step):
                end = min(k, k0 + step)
                rows, cols = slice(a0, min(a, a0 + mapping.tile_rows)), slice(b0, min(b, b0 + mapping.tile_cols))
                yield rows, cols, slice(k0, end), slice(k0 // m * n, -(-end // m) * n)


def _layer(
    trace: Trace, config: SatConfig, step: int, layer: Weighted, t: dict[str, np.ndarray]
) -> Iterator[ReplayRow]:
    samples = trace.meta.samples
    restore: dict[Pass, Callable[[list[np.ndarray]], tuple[np.ndarray, np.ndarray | None]]] = {
        Pass.FF: lambda outs: (output(layer, samples, outs[0]), t["y"]),
        Pass.BP: lambda outs: (input_gradient(layer, samples, outs), t.get("dx")),
        Pass.WU: lambda outs: (weight_gradient(layer, outs[0]), t["dw"]),
    }
    for pass_, group in groupby(traced_products(trace, config, layer, t), key=lambda p: p.product.pass_):
        outs, sums, depth = [], [], 0
        for p in group:
            run = _Run(config, p.product, p.mapping)
            out, magnitude = run.multiply(p.left, p.right, p.kept if trace.meta.fp16 and not p.swapped else None)
            outs.append(out.swapaxes(1, 2) if p.swapped else out)
            sums.append(magnitude.swapaxes(1, 2) if p.swapped else magnitude)
            depth = max(depth, p.product.reduction)
            yield from run.rows(step, layer.name)
        ours, theirs = restore[pass_](outs)
        if theirs is not None and trace.meta.fp16:
            bound, _ = restore[pass_](sums)
            yield _torch_row(step, layer.name, pass_, ours, theirs, 2 * depth * UNIT_ROUNDOFF * bound)
    yield _update(trace, config, step, layer.name, t)


class _Run:
    """The jobs of one product, under its mapping."""

    def __init__(self, config: SatConfig, product: Product, mapping: Mapping) -> None:
        self.config, self.product, self.mapping = config, product, mapping
        self.causes = np.zeros(7, np.int64)
        self.jobs = self.cycles = self.off = self.values = self.bits = 0
        self.sore = [0, 0, 0, 0, 0]  # cycles, off, values, bits, masks

    def multiply(self, left: np.ndarray, right: np.ndarray, kept: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """[count, rows, cols] of the product, and the same of magnitudes (for the error bound)."""
        outs, sums = [], []
        for i in range(self.product.count):
            l, r = np.ascontiguousarray(left[i]), np.ascontiguousarray(right[i])
            values, index = self._prune(r, None if kept is None else kept[i])
            out = self._one(l, values, index)
            outs.append(out.T if self.mapping.transpose else out)
            used = r if index is None else _expand(values, index, self.product.pattern, len(r))
            sums.append(np.abs(l.astype(np.float64)) @ np.abs(used.astype(np.float64)))
        return np.stack(outs), np.stack(sums)

    def _prune(self, right: np.ndarray, kept: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        pattern = self.product.pattern
        if pattern.is_dense:
            return right, None
        values, index, cycles = run_sore(self.config, right, pattern)
        expected, places = sore(right, pattern)
        groups = -(-right.shape[0] // pattern.m_group) * right.shape[1]
        self.sore[0] += cycles
        self.sore[1] += abs(cycles - sore_cycles(self.config, groups, pattern))
        self.sore[2] += values.size
        self.sore[3] += int((values.view(np.uint16) != expected.view(np.uint16)).sum() + (index != places).sum())
        if kept is not None:
            mine = _expand(np.ones_like(values), index, pattern, len(right)) != 0
            self.sore[4] += int((mine & ~kept.astype(bool)).sum())
        return values, index

    def _one(self, left: np.ndarray, values: np.ndarray, index: np.ndarray | None) -> np.ndarray:
        mapping, pattern = self.mapping, self.product.pattern
        if mapping.transpose:
            left, values = np.ascontiguousarray(values.T), np.ascontiguousarray(left.T)
        (a, k), b = left.shape, values.shape[1]
        out = np.zeros((a, b), np.float32)
        for rows, cols, taken, stored in job_slices(mapping, pattern, a, k, b):
            out[rows, cols] = self._job(
                np.ascontiguousarray(left[rows, taken]),
                np.ascontiguousarray(values[stored, cols]),
                None if index is None else np.ascontiguousarray(index[stored, cols]),
                out[rows, cols] if taken.start else None,
            )
        return out

    def _job(self, x: np.ndarray, values: np.ndarray, index: np.ndarray | None, psum: np.ndarray | None) -> np.ndarray:
        pattern = self.product.pattern if index is not None else None
        size = (x.shape[0], x.shape[1], values.shape[1])
        flow = "OS" if self.mapping.is_os else "WS"
        job = array_job(self.config, flow, size, self.product.pattern, self.mapping.interleave)  # type: ignore[arg-type]  # a Dataflow
        out, cycles = run_job(job, x, values, index, psum)
        expected = stce(x, values, index, pattern, psum, exact=self.config.exact)
        self.jobs += 1
        self.cycles += cycles
        self.off += abs(cycles - job_cycles(job, self.causes))
        self.values += out.size
        self.bits += int((out.view(np.uint32) != expected.view(np.uint32)).sum())
        return out

    def rows(self, step: int, layer: str) -> Iterator[ReplayRow]:
        p = self.product
        if not p.pattern.is_dense:
            c, off, values, bits, masks = self.sore
            work = f"{p.reduction} x {p.cols} to {p.pattern}"
            yield ReplayRow(step, layer, p.pass_.value, "SORE", work, "", p.count, c, off, values, bits, masks, 0.0)
        work = f"{p.count} x ({p.rows} x {p.reduction} x {p.cols}), {p.pattern}"
        yield ReplayRow(
            step, layer, p.pass_.value, "STCE", work, str(self.mapping), self.jobs, self.cycles, self.off, self.values,
            self.bits, 0, 0.0,
        )  # fmt: skip


def _expand(values: np.ndarray, index: np.ndarray, pattern: NM, length: int) -> np.ndarray:
    """Dense form of stored values along axis 0."""
    groups = values.shape[0] // pattern.n_keep
    out = np.zeros((groups, pattern.m_group, values.shape[1]), values.dtype)
    shape = (groups, pattern.n_keep, values.shape[1])
    np.put_along_axis(out, index.reshape(shape).astype(np.int64), values.reshape(shape), 1)
    return out.reshape(-1, values.shape[1])[:length]


def _share(error: np.ndarray, bound: np.ndarray) -> float:
    """Largest error as a share of its bound; 0 / 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(error == 0, 0.0, error / bound).max(initial=0.0))


def _torch_row(
    step: int, layer: str, pass_: Pass, ours: np.ndarray, theirs: np.ndarray, bound: np.ndarray
) -> ReplayRow:
    error = np.abs(ours.astype(np.float64) - theirs)
    work = "distance to torch, share of the rounding bound"
    return ReplayRow(step, layer, pass_.value, "torch", work, "", 0, 0, 0, ours.size, 0, 0, _share(error, bound))


def _update(trace: Trace, config: SatConfig, step: int, layer: str, t: dict[str, np.ndarray]) -> ReplayRow:
    """WUVE on the whole batch's gradient, rounded to FP16 as it leaves the array; torch keeps it in FP32."""
    meta = trace.meta
    rate = meta.rates[step]
    w, v, g = t["weight"].ravel(), t["momentum"].ravel(), to_fp16(t["gradient"]).ravel()
    expected = wuve(w, v, g, rate=rate, beta=meta.momentum, decay=meta.weight_decay)
    *found, cycles = run_wuve(config, w, v, g, (rate, meta.momentum, meta.weight_decay))
    bits = sum(
        int((a.view(f"u{a.itemsize}") != b.view(f"u{b.itemsize}")).sum()) for a, b in zip(found, expected, strict=True)
    )
    theirs = t["new_weight"].ravel().astype(np.float64)
    moved = rate * (np.abs(t["gradient"].ravel()) * HALF_ROUNDOFF + 2.0**-25)  # half of the least FP16 subnormal
    scale = np.abs(w) + rate * (np.abs(v) + np.abs(t["gradient"].ravel()) + meta.weight_decay * np.abs(w))
    bound = moved + 6 * UNIT_ROUNDOFF * scale
    off = abs(cycles - wuve_cycles(config, w.size))
    error = _share(np.abs(found[0].astype(np.float64) - theirs), bound)
    work = f"{w.size} weights"
    return ReplayRow(step, layer, "UP", "WUVE", work, "", 1, cycles, off, 3 * w.size, bits, 0, error)
