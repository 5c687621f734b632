# SPDX-License-Identifier: Apache-2.0
"""Weights with any mask on the array: each tile's own N, against the plain nest, the clock level and plain products."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dataflow.errors import InputError
from dataflow.mapping.lowering import Operand, Product, lower
from dataflow.mapping.offline_scheduling import mapping_candidates
from dataflow.networks.network import Conv, Network
from dataflow.pattern import NM
from dataflow.pruned import PrunedLayer, PrunedModel, write_pruned
from dataflow.training.methods import Method, Pass
from hwsim.core.machine import find
from hwsim.sat.bench.jobs import halves, random_machine
from hwsim.sat.bench.masked import compressed, masked_jobs, random_product
from hwsim.sat.config import SatConfig
from hwsim.sat.timing.clock import run_job
from hwsim.sat.timing.functional import stce
from hwsim.sat.timing.job import array_timing
from hwsim.sat.timing.masked import fullest, masked_product, masked_walk, packed, reduction_order, tile_counts
from hwsim.sat.timing.nest import NEST_COLUMNS, nest_of, run_nest
from hwsim.sat.timing.step import limits_of
from hwsim.sat.timing.tile import job_cycles
from tests.support.cli import run

CASES, PARTS = 500, 10


@pytest.mark.parametrize("pattern", ["dense", "2:4", "3:8", "1:16"])
@pytest.mark.parametrize("size", [(5, 64, 7), (130, 160, 70), (1, 32, 200)])
def test_a_mask_of_one_pattern_takes_what_the_pattern_takes(pattern: str, size: tuple[int, int, int]) -> None:
    """Every column of every WS mapping: cycles, causes, bytes, jobs."""
    nm, (a, k, b) = NM.parse(pattern), size
    config = SatConfig(rows=4, cols=4, west_buffer_bytes=8192, north_buffer_bytes=4096, output_buffer_bytes=8192)
    product = Product("p", Pass.FF, 0, a, k, b, 1, a * k * b, nm, Operand("activation"), Operand("weight"))
    nest, windows = nest_of(product, True)
    m = 16 if nm.is_dense else nm.m_group
    mask = np.ones((k, b), bool)
    if not nm.is_dense:
        mask = np.arange(k)[:, None].repeat(b, 1) % m < nm.n_keep
    seen = 0
    for row in mapping_candidates(product, limits_of(config), ("WS",), (4, 8), transposes=False)[::3]:
        if row[4] % m and row[4] < k:
            continue
        counts = tile_counts(fullest(mask, m), m, m - 1, max(1, -(-int(row[4]) // m)), int(row[5]))
        assert set(counts.ravel()) == {m if nm.is_dense else nm.n_keep}
        got, want = np.zeros(len(NEST_COLUMNS) + 1), np.zeros(len(NEST_COLUMNS))
        walked = np.array([a, k, b, m], np.int64)
        masked_walk(array_timing(config), walked, row, counts, got, nest.left_mode, windows[0])
        run_nest(array_timing(config), nest, windows, row, want)
        np.testing.assert_array_equal(got[:-1], want, err_msg=str(row))
        assert got[-1] == nm.kept(k) * b
        seen += 1
    assert seen > 3


@pytest.mark.parametrize("part", range(PARTS))
def test_random_masks_at_clock_level(part: int) -> None:
    """Every job's cycles and bits; the whole product is, bit for bit, that of the masked weights."""
    rng = np.random.default_rng([20, part])
    jobs, depths = 0, set()
    for _ in range(CASES // PARTS):
        config = random_machine(rng, 5)
        product = random_product(rng, config)
        assert product is not None
        found, x, weights, mask = product
        out = np.zeros((len(x), weights.shape[1]), np.float32)
        total, causes = 0, np.zeros(7, np.int64)
        for case, rows, cols in masked_jobs(config, found, x, weights, mask):
            got, cycles = run_job(case.job, case.x, case.values, case.positions, case.psum)
            assert cycles == job_cycles(case.job, causes)
            pattern = None if case.positions is None else case.pattern
            want = stce(case.x, case.values, case.positions, pattern, case.psum)
            assert np.array_equal(got.view(np.uint32), want.view(np.uint32))
            out[rows, cols] = got
            total += cycles
            jobs += 1
            depths.add((case.pattern.n_keep, case.pattern.m_group))
        plain = stce(x, weights * mask)
        assert np.array_equal(out.view(np.uint32), plain.view(np.uint32))
        array = sum(found.columns[c] for c in NEST_COLUMNS[1:8])
        assert array == total
        assert found.columns["cycles"] == total + found.columns["dram"]
        assert found.ideal <= found.columns["cycles"]
    assert jobs > CASES // PARTS
    assert len(depths) > 6  # tiles of many N really ran


def test_a_tile_takes_its_fullest_group() -> None:
    """Two groups of 16, three columns: 3 of 16 where the fullest keeps 3; empty tiles are no job; 13 of 16 fit, 16 are
    dense."""
    mask = np.zeros((32, 4), bool)
    mask[[0, 5, 9], 0] = True
    mask[3, 1] = True
    mask[16:29, 2] = True
    mask[16:, 3] = True
    kept = fullest(mask, 16)
    assert kept.tolist() == [[3, 1, 0, 0], [0, 0, 13, 16]]
    assert tile_counts(kept, 16, 15, 1, 2).tolist() == [[3, 0], [0, 16]]
    assert tile_counts(kept, 16, 8, 1, 1).tolist() == [[3, 1, 0, 0], [0, 0, 16, 16]]  # 13 > 8 registers
    assert packed(kept).tolist() == [3, 2, 0, 1]


def test_stored_values_are_the_kept_ones_and_zeros_in_order() -> None:
    weights = np.arange(1, 9, dtype=np.float16)[:, None]
    mask = np.array([0, 0, 1, 0, 0, 0, 0, 0], bool)[:, None]
    values, places = compressed(weights, mask, NM(2, 4))
    assert values.ravel().tolist() == [0, 3, 0, 0]
    assert places.ravel().tolist() == [0, 2, 0, 1]
    rng = np.random.default_rng(1)
    mask = rng.random((48, 5)) < 0.3
    n = int(fullest(mask, 16).max())
    values, places = compressed(halves(rng, (48, 5), False), mask, NM(n, 16))
    assert (np.diff(places.reshape(3, n, 5).astype(int), axis=1) > 0).all()


def test_packing_saves_where_columns_differ_and_nothing_is_free_where_they_do_not() -> None:
    rng = np.random.default_rng(2)
    config = SatConfig(rows=8, cols=8)
    mask = rng.random((128, 64)) < np.where(np.arange(64) % 8 == 0, 0.9, 0.05)  # one full column in eight
    packed_, plain = (masked_product(config, limits_of(config), 256, mask, pack=p) for p in (True, False))
    assert packed_.columns["cycles"] < 0.6 * plain.columns["cycles"]
    assert sorted(packed_.order.tolist()) == list(range(64))
    assert plain.order.tolist() == list(range(64))
    same = np.arange(128)[:, None].repeat(64, 1) % 16 < 4
    assert (masked_product(config, limits_of(config), 256, same).columns
            == masked_product(config, limits_of(config), 256, same, pack=False).columns)  # fmt: skip


def test_nothing_kept_is_only_stored_and_no_fitting_group_is_told() -> None:
    config = SatConfig(rows=4, cols=4)
    found = masked_product(config, limits_of(config), 10, np.zeros((32, 8), bool))
    assert found.columns["jobs"] == found.stored == found.ideal == 0
    assert found.columns["dram_write_bytes"] == 2 * 10 * 8
    assert found.columns["cycles"] == found.columns["dram"] > 0
    with pytest.raises(InputError, match="a reduction of 33 is a multiple of no M"):
        masked_product(config, limits_of(config), 10, np.ones((33, 8), bool))


def test_a_pruned_models_masks_run_with_their_own_n(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """In a folder: one layer N:M, one of few weights, one of too many for it to pay."""
    rng = np.random.default_rng(3)
    sparse, full = rng.random((256, 128)) < 0.05, rng.random((128, 256)) < 0.95
    nm = np.arange(128)[None].repeat(128, 0) % 4 < 2
    layers = {
        "layers.0.q": PrunedLayer(pattern="2:4", shape=(128, 128), density=0.5),
        "layers.0.up": PrunedLayer(pattern="95%", shape=(256, 128), density=float(sparse.mean())),
        "layers.0.down": PrunedLayer(pattern="5%", shape=(128, 256), density=float(full.mean())),
    }
    config = {
        "model_type": "llama", "vocab_size": 64, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 128,
    }  # fmt: skip
    model = PrunedModel(model="tiny", settings={}, config=config, layers=layers)
    write_pruned(tmp_path / "p", model, {"layers.0.q": nm, "layers.0.up": sparse, "layers.0.down": full})
    kind = find("sat")
    run_ = kind.settings({"network": str(tmp_path / "p"), "phase": "prefill", "context": 100})
    rows = {r["layer"]: r for r in kind.simulate(run_).records}
    found = masked_product(SatConfig(), limits_of(SatConfig()), 100, sparse.T)
    up = rows["layers.0.up"]
    assert (up["cycles"], up["pattern"]) == (found.columns["cycles"], f"N:{found.m} by tile")
    assert (up["macs_done"], up["ideal"]) == (100 * found.stored, found.ideal)
    assert up["ideal"] <= up["cycles"]
    assert rows["layers.0.q"]["pattern"] == "2:4"
    down = rows["layers.0.down"]
    assert down["pattern"] == "dense"
    assert "95% kept, but dense is no slower" in down["dense_cause"]
    dense = {r["layer"]: r for r in kind.simulate(run_.model_copy(update={"method": "dense"})).records}
    assert up["cycles"] < 0.8 * dense["layers.0.up"]["cycles"]
    assert down["cycles"] == dense["layers.0.down"]["cycles"]
    assert run(monkeypatch, "sat", tmp_path / "p", "--phase", "prefill", "--context", "100", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cycles"] == sum(r["cycles"] for r in rows.values())
    assert told["speedup"] > 1
    assert kind.measure(run_)["cycles"] == told["cycles"]
    skipped = kind.simulate(run_.model_copy(update={"skip": ("layers.0.up",)}))
    assert next(r for r in skipped.records if r["layer"] == "layers.0.up")["pattern"] == "dense"


CONV = Conv(name="a", in_channels=8, out_channels=6, height=9, width=7, kernel=(3, 2), stride=(2, 1), padding=(1, 0))


@pytest.mark.parametrize("pattern", ["dense", "2:4", "1:8"])
def test_a_convolution_of_one_pattern_takes_what_the_pattern_takes(pattern: str) -> None:
    """Images are fetched as the plain nest fetches them: every column of every WS mapping."""
    nm = NM.parse(pattern)
    net = Network(name="c", layers=(CONV.model_copy(update={"sparsity": pattern}),))
    config = SatConfig(rows=4, cols=4, west_buffer_bytes=2048, north_buffer_bytes=1024, output_buffer_bytes=2048)
    (product,) = lower(net, batch=3, method=Method.MASKED, pattern=NM(1, 2), passes=(Pass.FF,)).products
    assert product.left.window is not None
    nest, windows = nest_of(product, True)
    m = 8 if nm.is_dense else nm.m_group
    counts_of = np.full((product.reduction // m, product.cols), m if nm.is_dense else nm.n_keep)
    seen = 0
    for row in mapping_candidates(product, limits_of(config), ("WS",), (4, 8), transposes=False)[::3]:
        if row[4] % m and row[4] < product.reduction:
            continue
        counts = tile_counts(counts_of, m, m - 1, max(1, -(-int(row[4]) // m)), int(row[5]))
        got, want = np.zeros(len(NEST_COLUMNS) + 1), np.zeros(len(NEST_COLUMNS))
        walked = np.array([product.rows, product.reduction, product.cols, m], np.int64)
        masked_walk(array_timing(config), walked, row, counts, got, nest.left_mode, windows[0])
        run_nest(array_timing(config), nest, windows, row, want)
        np.testing.assert_array_equal(got[:-1], want, err_msg=str(row))
        seen += 1
    assert seen > 3


@pytest.mark.parametrize(("taps", "channels", "m"), [(6, 8, 4), (6, 8, 8), (6, 12, 8), (512, 1, 16), (1, 32, 16)])
def test_groups_of_a_convolution_lie_in_one_tap_where_they_can(taps: int, channels: int, m: int) -> None:
    order = reduction_order(taps, channels, m)
    assert sorted(order.tolist()) == list(range(taps * channels))
    for group in order[: len(order) // m * m].reshape(-1, m):
        if channels % m == 0:
            assert len({place // channels for place in group.tolist()}) == 1
    if taps == 1:
        assert order.tolist() == list(range(channels))


def test_a_pruned_convolution_runs_tile_by_tile_and_computes_what_the_masked_one_does(tmp_path: Path) -> None:
    """In a folder; and its jobs at the clock level, on the image's windows in the reduction's order."""
    rng = np.random.default_rng(4)
    layer = Conv(name="a", in_channels=32, out_channels=48, height=12, width=10, kernel=(3, 3), padding=(1, 1))
    mask = rng.random((48, 32, 3, 3)) < 0.04
    shape = PrunedLayer(pattern="96%", shape=mask.shape, density=float(mask.mean()))
    network = Network(name="c", layers=(layer,))
    write_pruned(tmp_path / "c", PrunedModel(model="c", settings={}, shapes=network, layers={"a": shape}), {"a": mask})
    kind, config = find("sat"), SatConfig()
    run_ = kind.settings({"network": str(tmp_path / "c"), "passes": ["FF"], "batch": 4})
    (row,) = kind.simulate(run_).records
    matrix = np.moveaxis(mask, 1, -1).reshape(48, -1).T
    (product,) = lower(network, batch=4, method=Method.DENSE, pattern=NM.parse("dense"), passes=(Pass.FF,)).products
    found = masked_product(config, limits_of(config), product.rows, matrix, left=product.left)
    assert (row["pattern"], row["cycles"]) == (f"N:{found.m} by tile", found.columns["cycles"])
    dense = kind.simulate(run_.model_copy(update={"method": "dense"}))
    assert row["cycles"] < dense.cycles
    plain = masked_product(config, limits_of(config), product.rows, matrix)  # as if the windows lay in memory
    assert found.columns["dram_read_bytes"] < plain.columns["dram_read_bytes"]
    order = reduction_order(9, 32, found.m)
    x, w = halves(rng, (product.rows, 288), False), halves(rng, (288, 48), False)
    out, total, causes = np.zeros((product.rows, 48), np.float32), 0, np.zeros(7, np.int64)
    for case, rows, cols in masked_jobs(config, found, x[:, order], w[order], matrix[order]):
        got, cycles = run_job(case.job, case.x, case.values, case.positions, case.psum)
        assert cycles == job_cycles(case.job, causes)
        out[rows, cols] = got
        total += cycles
    want = stce(x[:, order], (w * matrix)[order])
    assert np.array_equal(out.view(np.uint32), want.view(np.uint32))
    assert total == sum(found.columns[c] for c in NEST_COLUMNS[1:8])
    assert found.columns["cycles"] == total + found.columns["dram"]


def test_a_mask_that_is_not_of_the_product_is_told(tmp_path: Path) -> None:
    kind = find("sat")
    network = Network(name="c", layers=(CONV.model_copy(update={"groups": 2}),))
    mask = np.arange(6 * 4 * 6).reshape(6, 4, 3, 2) % 2 == 0
    layer = PrunedLayer(pattern="50%", shape=mask.shape, density=0.5)
    write_pruned(tmp_path / "c", PrunedModel(model="c", settings={}, shapes=network, layers={"a": layer}), {"a": mask})
    run_ = kind.settings({"network": str(tmp_path / "c"), "passes": ["FF"]})
    with pytest.raises(InputError, match=r"layer a: a mask of 24 x 6 weights, .* convolutions of one group"):
        kind.simulate(run_)
    assert kind.simulate(run_.model_copy(update={"skip": ("a",)})).cycles > 0
