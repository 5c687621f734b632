# SPDX-License-Identifier: Apache-2.0
"""Benchmarks (``make bench``): simulated steps, clock-level cycles, mask selection. They time; they assert nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from algorithms.masks import nm_mask
from dataflow.lowering import lower
from dataflow.methods import Method
from dataflow.pattern import NM
from dataflow.zoo import network
from hwsim.sat.clock import run_job
from hwsim.sat.config import SatConfig
from hwsim.sat.functional import sore, stce
from hwsim.sat.job import array_job
from hwsim.sat.step import Simulation, make_schedule


@pytest.mark.benchmark(group="step: ResNet-50, batch 512, BDWP 2:8")
@pytest.mark.parametrize("what", ["simulate", "schedule"])
def test_step(benchmark, what: str) -> None:
    config = SatConfig()
    workload = lower(network("resnet50"), batch=512, method=Method.BDWP, pattern=NM(2, 8))
    schedule = make_schedule(config, workload)
    simulation = Simulation(config, workload, schedule)
    benchmark(simulation.run if what == "simulate" else lambda: make_schedule(config, workload))


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
