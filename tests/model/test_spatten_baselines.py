# SPDX-License-Identifier: Apache-2.0
"""Baselines: A3's search is the greedy one, MNNFast's threshold counts, techniques are taken away one by one."""

from __future__ import annotations

import numpy as np
import pytest

from dataflow.attention.pruning import AttentionPruning, Quantization, RatioSchedule
from dataflow.attention.workload import MODELS, QUERIES, Transformer, make_workload, usual_pruning
from hwsim.spatten.baselines import (
    A3_NEAR,
    A3_SEARCH,
    MNNFAST_THRESHOLD,
    STYLES,
    _a3,
    dense_of,
    ladder,
    style,
    without,
)
from hwsim.spatten.config import SpattenConfig, eighth
from hwsim.spatten.timing.lower import Group, layers
from hwsim.spatten.timing.scores import Head, SyntheticScores
from hwsim.spatten.timing.simulate import simulate

MODEL = Transformer(4, 5, 64, 60, 0)
PRUNING = AttentionPruning(
    tokens=RatioSchedule(average=0.2), heads=RatioSchedule(average=0.25, spared=0.5), values=0.4,
    quantization=Quantization(msb=6, lsb=4),
)  # fmt: skip


def naive_a3(q: np.ndarray, k: np.ndarray, iterations: int) -> tuple[int, int]:
    """The search over a list of all products, largest and smallest first."""
    products = q[None, :] * k  # [keys, D]
    score = np.zeros(len(k), np.float32)
    large, small = np.ones_like(products, bool), np.ones_like(products, bool)
    for _ in range(iterations):
        at = np.unravel_index(np.argmax(np.where(large, products, -np.inf)), products.shape)
        if large[at] and products[at] > 0:
            score[at[0]] += products[at]
            large[at] = False
        at = np.unravel_index(np.argmin(np.where(small, products, np.inf)), products.shape)
        if small[at] and products[at] < 0:
            score[at[0]] += products[at]
            small[at] = False
    chosen = np.flatnonzero(score > 0)
    if not len(chosen):
        return 1, 1
    exact = k[chosen] @ q
    return len(chosen), int((exact >= exact.max() + np.log(A3_NEAR) * 8).sum())


def test_a3_is_the_greedy_search() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(1, 40))
        k = rng.standard_normal((n, 64)).astype(np.float32)
        q = (rng.standard_normal((3, 64)) * rng.choice([0.5, 2.0])).astype(np.float32)
        iterations = max(1, int(A3_SEARCH * n))
        order = np.argsort(k, axis=0, kind="stable").astype(np.int32)
        found = _a3(q, k, order, iterations, np.log(A3_NEAR) * 8)
        assert [(int(c), int(s)) for c, s in zip(*found, strict=True)] == [naive_a3(row, k, iterations) for row in q]


def test_styles_say_what_is_done() -> None:
    config = SpattenConfig()
    source = SyntheticScores(0, 2.0, 12)
    group = Group(Head(0, 0, 0, 50, 50, 4, 64), 50, 96, 96, 0, 96, False, 0.0, np.zeros(4, bool))
    work = {name: style(name, config, source).work(group) for name in STYLES}
    p = source.weights(group.head).probabilities
    assert work["MNNFast"].value_count.tolist() == (p >= MNNFAST_THRESHOLD * 4095).sum(1).tolist()
    assert (work["dense"].value_count == 50).all()
    assert (work["A3"].dots <= 50).all()
    assert (work["A3"].value_count <= work["A3"].dots).all()
    assert work["A3"].candidates.tolist() == [-(-25 // 8)] * 4
    assert style("A3", eighth(), source).work(group).candidates.tolist() == [25] * 4
    assert all(work[n].all_values for n in ("dense", "MNNFast", "A3"))
    assert not work["SpAtten"].all_values


@pytest.mark.parametrize("generated", [0, 3])
def test_techniques_are_taken_away(generated: int) -> None:
    full = make_workload("w", MODEL._replace(generated=generated), PRUNING)
    rows = full.rows
    dense = dense_of(full).rows
    per_layer = dense.groupby(["iteration_id", "layer_id"])
    assert (per_layer["head_id"].nunique() == 5).all()
    assert (dense.key_fetch_num == dense.sentence_length_L).all()
    assert (dense.value_fetch_num == dense.sentence_length_L).all()
    assert (dense[QUERIES] == (1 if generated else 60)).all()
    assert (dense[["quant_key_bit", "quant_query_bit", "quant_value_bit"]] == -1).all().all()
    assert not dense.if_requant.any()
    assert not dense.if_topk.any()
    static = without(full, quantization="static").rows
    assert (static.quant_key_bit == 10).all()
    assert (static.quant_value_bit == 6).all()
    assert static.key_fetch_num.tolist() == rows.key_fetch_num.tolist()
    heads = without(full, heads=True).rows
    assert len(heads) == 5 * 4 * max(generated, 1)
    assert (without(full, values=True).rows.value_fetch_num == rows.key_fetch_num).all()
    assert without(full).rows.equals(rows)


def test_each_rung_fetches_no_more() -> None:
    for generated in (0, 3):
        work = make_workload("w", MODEL._replace(generated=generated), PRUNING)
        config = SpattenConfig()
        moved, multiplied = [], []
        for technique in ladder(work, config):
            source = SyntheticScores(0, 2.0, 12)
            used = style("dense" if technique.dense else "SpAtten", technique.config, source)
            found = simulate(technique.config, layers([technique.workload.rows]), source, workload="w", style=used)
            moved.append(found.dram_bytes)
            multiplied.append(found.macs)
        assert moved == sorted(moved, reverse=True)
        assert multiplied[:5] == sorted(multiplied[:5], reverse=True)
        assert len(moved) == 7


def test_usual_pruning_is_of_every_size() -> None:
    for name, model in MODELS.items():
        small = model._replace(length=64, generated=min(model.generated, 2))
        work = make_workload(name, small, usual_pruning(small))
        assert work.rows.head_id.nunique() == model.heads
        assert work.rows.key_fetch_num.iloc[-1] < work.rows.key_fetch_num.iloc[0]
