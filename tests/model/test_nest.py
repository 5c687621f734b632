# SPDX-License-Identifier: Apache-2.0
"""Whole-product time against a plain Python twin that lists every job and every byte."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from dataflow.mapping.lowering import Pass, Product, Window, lower
from dataflow.mapping.offline_scheduling import mapping_candidates
from dataflow.mapping.schedule import Mapping
from dataflow.networks.network import Conv, MatMul, Network
from dataflow.pattern import NM
from dataflow.training.methods import Method
from hwsim.sat.config import SatConfig
from hwsim.sat.timing.job import array_job, array_timing
from hwsim.sat.timing.nest import NEST_COLUMNS, cost_table, nest_of, run_nest
from hwsim.sat.timing.step import limits_of
from hwsim.sat.timing.tile import job_cycles, sore_cycles
from tests.support.layers import SMALL, networks


@dataclass
class Job:
    cycles: int
    load: int
    prune: int
    store: int


def touched_rows(window: Window, first: int, count: int) -> int:
    """Image rows read for window positions first .. first + count - 1, as a set of (image, row)."""
    rows = set()
    for position in range(first, first + count):
        image, place = divmod(position // window.out_width, window.out_height)
        for tap in range(window.taps_h):
            row = place * window.stride_h - window.pad_top + tap * window.dilation_h
            if 0 <= row < window.height:
                rows.add((image, row))
    # output rows are fetched whole: neighbours in a strip are contiguous already
    return len(rows)


def twin(config: SatConfig, product: Product, mapping: Mapping) -> tuple[int, int]:
    """Cycles and DRAM bytes: all jobs of all instances in a list."""
    left, right = product.left, product.right
    a, k, b = product.rows, product.reduction, product.cols
    if mapping.transpose:
        left, right, a, b = right, left, b, a
    nm = product.pattern
    at, kt, bt = mapping.tile_rows, mapping.tile_reduction, mapping.tile_cols
    flow = "OS" if mapping.is_os else "WS"

    def size(operand, outer_at: int, outer: int, k_at: int, length: int) -> int:  # type: ignore[no-untyped-def]
        w = operand.window
        if w is None:
            return 2 * outer * length
        positions = (outer_at, outer) if operand.positions_on_rows else (k_at, length)
        features = length if operand.positions_on_rows else outer
        channels = min(w.channels, math.ceil(features / w.taps))
        return 2 * touched_rows(w, *positions) * w.width * channels

    def cycles(rows: int, length: int, cols: int) -> int:
        job = array_job(config, flow, (rows, length, cols), nm, mapping.interleave)  # type: ignore[arg-type]
        return int(job_cycles(job, np.zeros(7, np.int64)))

    jobs, total_bytes = [], 0
    bandwidth = config.dram_bytes_per_cycle
    outer = range(0, a, at) if mapping.rows_outer else range(0, b, bt)
    inner = range(0, b, bt) if mapping.rows_outer else range(0, a, at)
    streamed = flow == "OS" and kt < k
    for _ in range(product.count):
        have: tuple[object, object] = (None, None)
        for i in outer:
            for j in inner:
                ia, ib = (i, j) if mapping.rows_outer else (j, i)
                rows, cols = min(at, a - ia), min(bt, b - ib)
                spent = 0
                for ik in range(0, k, kt):
                    length = min(kt, k - ik)
                    load = prune = 0
                    if have[0] != (ia, ik):
                        load += size(left, ia, rows, ik, length)
                    if have[1] != (ib, ik):
                        on_load = not nm.is_dense and not (config.pregeneration and right.kind == "weight")
                        if nm.is_dense or on_load:
                            load += size(right, ib, cols, ik, length)
                        else:
                            load += nm.storage_bytes(length, cols)
                        if on_load:
                            prune = sore_cycles(config, -(-length // nm.m_group) * cols, nm)
                    have = ((ia, ik), (ib, ik))
                    last = ik + kt >= k
                    if streamed:
                        share = array_job(config, flow, (rows, k, cols), nm, mapping.interleave).round  # type: ignore[arg-type]
                        share *= kt if nm.is_dense else -(-kt // nm.m_group) * nm.n_keep
                        time = cycles(rows, k, cols) - spent if last else share
                        spent += time
                    else:
                        time = cycles(rows, length, cols)
                    store = 2 * rows * cols if last else 0
                    total_bytes += load + store
                    load_time = math.ceil(load / bandwidth)
                    jobs.append(Job(time, load_time, max(0, prune - load_time), math.ceil(store / bandwidth)))
    total = jobs[0].load + jobs[0].prune
    for n, job in enumerate(jobs):
        ahead = jobs[n + 1].load + jobs[n + 1].prune if n + 1 < len(jobs) else 0
        behind = jobs[n - 1].store if n else 0
        total += max(job.cycles, ahead + behind)
    return total + jobs[-1].store, total_bytes


def test_equals_twin() -> None:
    rng = np.random.default_rng(8)
    checked, streamed, sparse, counted, deep = 0, 0, 0, 0, 0
    for i in range(400):
        method, nm = [(Method.DENSE, "dense"), (Method.BDWP, "2:8"), (Method.SDGP, "2:4")][i % 3]
        config = SMALL.model_copy(
            update={"pregeneration": bool(i % 2), "dram_efficiency": float(rng.choice([0.01, 0.1, 1.0]))}
        )
        if i % 2:  # little room: many jobs, of which the kernel walks only those that differ
            tiny = {f"{b}_buffer_bytes": 1024 for b in ("west", "north", "output")}
            config = config.model_copy(update=tiny)
        work = lower(networks(rng), batch=int(rng.integers(1, 4)), method=method, pattern=NM.parse(nm))
        for product in work.products:
            candidates = mapping_candidates(product, limits_of(config), ("WS", "OS"), (1, 4, 8))
            nest, windows = nest_of(product, config.pregeneration)
            for row in candidates[rng.choice(len(candidates), min(4, len(candidates)), replace=False)]:
                mapping = Mapping(*(int(v) for v in row))
                out = np.empty(len(NEST_COLUMNS))
                got = run_nest(array_timing(config), nest, windows, row, out)
                want, moved = twin(config, product, mapping)
                assert got == want, (product, mapping)
                assert out[10] + out[11] == moved, (product, mapping)
                assert out[1:10].sum() == got
                assert out.min() >= 0
                checked += 1
                streamed += bool(mapping.is_os and mapping.tile_reduction < product.reduction)
                sparse += not product.pattern.is_dense
                counted += product.count > 3
                loops = (product.rows, mapping.tile_rows), (product.cols, mapping.tile_cols)
                deep += not mapping.transpose and all(-(-size // tile) >= 5 for size, tile in loops)
    assert min(checked, 20 * streamed, 10 * sparse, 10 * counted, 20 * deep) > 500


def test_windows_cost_no_more_than_the_image() -> None:
    """A 3 x 3 convolution whose input fits the buffer reads it once from DRAM, not nine times."""
    layer = Conv(name="c", in_channels=8, out_channels=8, height=12, width=12, kernel=(3, 3), padding=(1, 1))
    work = lower(Network(name="n", layers=(layer,)), batch=1, method=Method.DENSE, pattern=NM(1, 1), passes=(Pass.FF,))
    config = SatConfig(rows=8, cols=8)
    product = work.products[0]
    nest, windows = nest_of(product, True)
    out = np.empty(len(NEST_COLUMNS))
    run_nest(array_timing(config), nest, windows, np.array(Mapping(1, 8, 0, 144, 72, 8, 1), np.int64), out)
    assert out[NEST_COLUMNS.index("dram_read_bytes")] == 2 * (12 * 12 * 8 + 72 * 8)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 50])
def test_many_instances(count: int) -> None:
    """The steady state of repeated products equals listing them all."""
    layer = MatMul(name="m", rows=9, reduction=30, cols=7, count=count)
    work = lower(Network(name="n", layers=(layer,)), batch=1, method=Method.DENSE, pattern=NM(1, 1))
    for product in work.products:
        nest, windows = nest_of(product, True)
        for row in mapping_candidates(product, limits_of(SMALL), ("WS", "OS"), (4,)):
            out = np.empty(len(NEST_COLUMNS))
            got = run_nest(array_timing(SMALL), nest, windows, row, out)
            assert got == twin(SMALL, product, Mapping(*(int(v) for v in row)))[0]


def test_cost_table_finds_the_least() -> None:
    """Mappings the table does not walk cannot be better than the best one it found."""
    rng = np.random.default_rng(3)
    for i in range(60):
        config = SMALL.model_copy(update={"dram_efficiency": [0.05, 0.3, 1.0][i % 3], "rows": [4, 2, 8][i // 3 % 3]})
        method, pattern = [(Method.BDWP, NM(2, 8)), (Method.SDGP, NM(1, 4)), (Method.DENSE, NM(1, 1))][i % 7 % 3]
        work = lower(networks(rng), batch=2, method=method, pattern=pattern)
        for product in work.products:
            nest, windows = nest_of(product, i % 2 == 0)
            candidates = mapping_candidates(product, limits_of(config), ("WS", "OS"), (1, 4, 8))
            costs = cost_table(array_timing(config), nest, windows, candidates)
            out = np.empty(len(NEST_COLUMNS))
            full = [run_nest(array_timing(config), nest, windows, row, out) for row in candidates]
            assert costs[:, 0].min() == min(full)
            assert (costs[:, 0] <= full).all()
