# SPDX-License-Identifier: Apache-2.0
"""The 30 benchmarks on both designs: bounds by hand, means, every difference of the designs named."""

from __future__ import annotations

import pytest

from dataflow.attention.benchmarks import benchmarks
from dataflow.attention.pruning import AttentionPruning, Quantization
from dataflow.attention.workload import Transformer, make_workload
from hwsim.memory.config import DramConfig
from hwsim.spatten import benchmarks as module
from hwsim.spatten.benchmarks import (
    CHANGES,
    OURS,
    PAPER,
    benchmark_rows,
    bounds,
    change_rows,
    changed,
    family_rows,
    rival_means,
    rival_rows,
    sequential_bytes_per_cycle,
    simulated,
    unnamed_changes,
)
from hwsim.spatten.config import SpattenConfig

FEW = ("bert-base-cola", "bert-large-sst2", "gpt2-small-wikitext103")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few benchmarks, GPT-2's at a short length; the code has all of them."""
    chosen = {name: benchmarks()[name] for name in FEW}
    chosen[FEW[2]] = chosen[FEW[2]].model_copy(update={"length": 48})
    monkeypatch.setattr(module, "benchmarks", lambda: chosen)


def test_bounds_by_hand() -> None:
    """One layer, one head, 20 tokens behind each other: multiplies and bytes counted on paper."""
    machine = SpattenConfig()
    whole = make_workload("w", Transformer(1, 1, 64, 20, 0), AttentionPruning())
    found = bounds(whole, machine)
    assert found.multiplies == found.dense_multiplies == 2 * 20 * 20 * 64
    assert found.dense_bytes == 3 * 20 * 64 * 4
    assert found.peak == max(20 * 20 * 64 / 512, 3 * 20 * 64 * 12 / 8 / 512)
    narrow = bounds(whole, machine.changed(qk_multipliers=8192, pv_multipliers=8192))
    assert narrow.peak == 3 * 20 * 64 * 12 / 8 / 512
    assert narrow.sequential == pytest.approx(narrow.peak * 512 / sequential_bytes_per_cycle(DramConfig()))
    static = make_workload("s", Transformer(1, 1, 64, 20, 0), AttentionPruning(quantization=Quantization(msb=6, lsb=0)))
    assert bounds(static, machine.changed(qk_multipliers=8192, pv_multipliers=8192)).peak < narrow.peak


def test_a_sequential_stream_is_near_the_peak_and_never_above() -> None:
    for memory in (DramConfig(), DramConfig(channels=2)):
        reached = sequential_bytes_per_cycle(memory)
        assert 0.8 * memory.peak_bytes_per_cycle < reached < memory.peak_bytes_per_cycle


def test_every_difference_of_the_designs_is_a_change() -> None:
    assert not unnamed_changes()
    paper, ours = SpattenConfig(design=PAPER), SpattenConfig(design=OURS)
    for change in CHANGES:
        assert changed(paper, change, OURS) != paper
        assert changed(paper, change, PAPER) == paper
        assert changed(ours, change, PAPER) != ours
    for change in CHANGES:
        paper = changed(paper, change, OURS)
    assert paper.model_dump(exclude={"design"}) == ours.model_dump(exclude={"design"})


def test_rows_and_means(few: None) -> None:
    said: list[str] = []
    rows = benchmark_rows(said.append)
    assert len(rows) == len(said) == 2 * len(FEW)
    for row in rows:
        assert 0 < row["of_bound"] <= 1
        assert row["of_peak_bound"] <= row["of_bound"] * 1.0000001
        assert row["tflops_once"] <= row["tflops"] < 2.048
        assert row["refresh_uj"] > 0
    result, workload = simulated(FEW[0], SpattenConfig())
    first = rows[0]
    assert (first["benchmark"], first["design"], first["cycles"]) == (FEW[0], PAPER, result.cycles)
    assert first["dense_gop"] == 2e-9 * bounds(workload, SpattenConfig()).dense_multiplies
    means = {(r["design"], r["family"]): r for r in family_rows(rows)}
    mine = [r for r in rows if r["design"] == OURS]
    assert means[OURS, "all"]["tflops"] == pytest.approx(sum(r["tflops"] for r in mine) / 3)
    assert means[OURS, "BERT"]["benchmarks"] == 2
    assert means[OURS, "all"]["least_of_bound"] == min(r["of_bound"] for r in mine)
    base = sum(r["dense_gop_per_s"] for r in rows if r["design"] == PAPER) / 3
    assert means[OURS, "all"]["dense_gop_per_s_over_first"] == pytest.approx(
        means[OURS, "all"]["dense_gop_per_s"] / base
    )


def test_rivals_work_densely(few: None) -> None:
    rows = rival_rows(lambda text: None)
    assert all(r["a3_slower"] > 0 and r["mnnfast_energy"] > 0 for r in rows)
    assert [r["family"] for r in rival_means(rows)] == ["BERT", "GPT-2", "all"]
    for row in rows:
        assert row["dense_gop_per_s"] == pytest.approx(row["a3_gop_per_s"] * row["a3_slower"])
        assert row["gop_per_j"] == pytest.approx(row["mnnfast_gop_per_j"] * row["mnnfast_energy"])


def test_changes_end_at_the_other_design(few: None) -> None:
    rows = change_rows(lambda text: None, FEW[:1])
    assert [r["change"] for r in rows] == [*(c.name for c in CHANGES), "all of them"]
    last = rows[-1]
    assert last["alone_cycles"] == last["ours_cycles"]
    assert last["without_cycles"] == last["paper_cycles"]
