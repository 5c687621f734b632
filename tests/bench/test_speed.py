# SPDX-License-Identifier: Apache-2.0
"""Benchmarks (``make bench``): simulated steps, clock-level cycles, mask selection. They time; they assert nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from algorithms.pruning.masks import nm_mask
from dataflow.attention.pruning import AttentionPruning
from dataflow.attention.workload import PUBLISHED, Transformer, make_workload, read_workload
from dataflow.mapping.lowering import lower
from dataflow.networks.zoo import network
from dataflow.pattern import NM
from dataflow.training.methods import Method
from hwsim.rtl_tools.verilator import run
from hwsim.sat.bench.array import bench_of, case_of
from hwsim.sat.bench.jobs import job_case
from hwsim.sat.config import SatConfig
from hwsim.sat.run import SatRun
from hwsim.sat.timing import step
from hwsim.sat.timing.clock import run_job
from hwsim.sat.timing.functional import sore, stce
from hwsim.sat.timing.job import array_job
from hwsim.sat.timing.step import Simulation, make_schedule
from hwsim.spatten.config import SpattenConfig, eighth
from hwsim.spatten.timing.lower import layers
from hwsim.spatten.timing.scores import SyntheticScores
from hwsim.spatten.timing.simulate import simulate as simulate_attention
from hwsim.sweeps.executors import processes, serial
from hwsim.sweeps.space import Space
from hwsim.sweeps.spec import Spec
from hwsim.sweeps.sweep import run_sweep
from hwsim.verification.case import VerifyOptions, program


@pytest.mark.benchmark(group="step: ResNet-50, batch 512, BDWP 2:8")
@pytest.mark.parametrize("what", ["simulate", "schedule"])
def test_step(benchmark, what: str) -> None:
    config = SatConfig()
    workload = lower(network("resnet50"), batch=512, method=Method.BDWP, pattern=NM(2, 8))
    schedule = make_schedule(config, workload)
    simulation = Simulation(config, workload, schedule)

    def plan() -> None:
        step._MAPPING_CACHE.clear()
        make_schedule(config, workload)

    benchmark(simulation.run if what == "simulate" else plan)


@pytest.mark.benchmark(group="clock level, 32 x 32 array, 256 x 256 x 64")
@pytest.mark.parametrize("flow", ["WS", "OS"])
@pytest.mark.parametrize("pattern", ["dense", "2:8"])
def test_clock(benchmark, flow: str, pattern: str) -> None:
    nm = NM.parse(pattern)
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float16) for s in ((256, 256), (256, 64)))
    values, index = (w, None) if nm.is_dense else sore(w, nm)
    job = array_job(SatConfig(), flow, (256, 256, 64), nm, 8)  # type: ignore[arg-type]
    _, cycles = run_job(job, x, values, index)
    benchmark.extra_info["cycles"] = cycles
    benchmark(lambda: run_job(job, x, values, index))
    benchmark.extra_info["cycles_per_s"] = round(cycles / benchmark.stats.stats.median) if benchmark.stats else None


@pytest.mark.benchmark(group="functional level, 256 x 256 x 64")
def test_functional(benchmark) -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float16) for s in ((256, 256), (256, 64)))
    stce(x, w)
    benchmark(lambda: stce(x, w))


def topk_mask(values: torch.Tensor, pattern: NM, dim: int) -> torch.Tensor:
    """The usual way; its tie-break is torch.topk's."""
    groups = values.abs().movedim(dim, -1).unflatten(-1, (-1, pattern.m_group))
    kept = torch.zeros_like(groups, dtype=torch.bool).scatter_(-1, groups.topk(pattern.n_keep, -1).indices, True)
    return kept.flatten(-2).movedim(-1, dim)


@pytest.mark.benchmark(group="2:8 mask of 512 x 512 x 3 x 3 weights")
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("how", [nm_mask, topk_mask], ids=["ours", "topk"])
def test_mask(benchmark, how, dtype: torch.dtype, dim: int) -> None:
    torch.set_num_threads(1)
    w = torch.randn(512, 512, 3, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    how(w, NM(2, 8), dim)
    benchmark(lambda: how(w, NM(2, 8), dim))


@pytest.mark.benchmark(group="one tile on a square array: clock level, Verilator")
@pytest.mark.parametrize("flow", ["WS", "OS"])
@pytest.mark.parametrize("size", [8, 16])
@pytest.mark.parametrize("level", ["clock", "rtl"])
def test_clock_against_verilator(benchmark, level: str, size: int, flow: str) -> None:
    rng = np.random.default_rng(0)
    config = SatConfig(rows=size, cols=size)
    drawn = job_case(rng, config, (256, 256, 64), flow, NM(2, 8), 8)  # type: ignore[arg-type]
    case = case_of(rng, drawn, stress=False)
    simulation = program(bench_of(config), VerifyOptions())
    cycles = int(case.expected["cycles"][0])
    work = {
        "clock": lambda: run_job(drawn.job, drawn.x, drawn.values, drawn.positions),
        "rtl": lambda: run(simulation, case.stdin),
    }[level]
    work()
    benchmark.extra_info["cycles"] = cycles
    benchmark(work)
    benchmark.extra_info["cycles_per_s"] = round(cycles / benchmark.stats.stats.median) if benchmark.stats else None


@pytest.mark.benchmark(group="SpAtten, authors' workload, one token")
@pytest.mark.parametrize("machine", ["full", "eighth"])
def test_spatten(benchmark, machine: str) -> None:
    config = SpattenConfig() if machine == "full" else eighth()
    rows = read_workload(PUBLISHED["gpt2-small-wikitext2"]).rows
    rows = rows[rows.iteration_id == 0]
    work = lambda: simulate_attention(config, layers([rows]), SyntheticScores(0, 2.0, 12), workload="w")  # noqa: E731
    cycles = work().cycles
    benchmark(work)
    benchmark.extra_info["cycles_per_s"] = round(cycles / benchmark.stats.stats.median) if benchmark.stats else None


@pytest.mark.benchmark(group="SpAtten, 16 HBM2 channels busy: keys of 200 queries, 993 each")
def test_spatten_fetch_bound(benchmark) -> None:
    config = SpattenConfig(qk_multipliers=8192, softmax_lanes=64)
    work = make_workload("w", Transformer(1, 200, 64, 992, 1), AttentionPruning())
    run = lambda: simulate_attention(config, layers([work.rows]), SyntheticScores(0, 2.0, 12), workload="w")  # noqa: E731
    found = run()
    benchmark.extra_info["memory_busy"] = round(found.occupancy["memory"], 3)
    benchmark(run)
    benchmark.extra_info["cycles_per_s"] = (
        round(found.cycles / benchmark.stats.stats.median) if benchmark.stats else None
    )


@pytest.mark.benchmark(group="400 designs of a few milliseconds each")
@pytest.mark.parametrize("how", ["loop", "sweep"])
def test_sweep_overhead(benchmark, how: str, tmp_path: Path) -> None:
    """What a sweep adds to calling the simulator."""
    network = tmp_path / "n.yaml"
    network.write_text("name: n\nlayers:\n- {kind: linear, name: a, in_features: 512, out_features: 512}\n")
    spec = {"machine": "sat", "base": {"network": str(network)}, "axes": {"batch": {"from": 1, "to": 400, "step": 1}}}
    space = Space(Spec.model_validate(spec))

    def loop() -> None:
        step._MAPPING_CACHE.clear()
        for batch in range(1, 401):
            SatRun(network=str(network), batch=batch).measure()

    def sweep() -> None:
        step._MAPPING_CACHE.clear()
        run_sweep(space, Path(tempfile.mkdtemp(dir=tmp_path)), serial)

    work = {"loop": loop, "sweep": sweep}[how]
    work()
    benchmark.pedantic(work, rounds=5)


@pytest.mark.benchmark(group="216 designs, a step of ResNet-18 each")
def test_sweep_of_resnet18(benchmark, tmp_path: Path) -> None:
    axes = {
        "machine.rows": [8, 16, 24, 32, 48, 64],
        "machine.cols": [8, 16, 32, 64],
        "pattern": ["dense", "2:4", "2:8"],
        "machine.dram_channels": [1, 2, 4],
    }
    space = Space(Spec.model_validate({"machine": "sat", "axes": axes}))
    benchmark.pedantic(lambda: run_sweep(space, Path(tempfile.mkdtemp(dir=tmp_path)), processes(2)), rounds=1)
    benchmark.extra_info["points_a_minute"] = round(60 * space.grid_size() / benchmark.stats.stats.median)
