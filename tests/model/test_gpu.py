# SPDX-License-Identifier: Apache-2.0
"""GPUs as measured: the model's exact properties, the fit, the stored errors, what users see and what is refused."""

from __future__ import annotations

import itertools
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import hwsim
from algorithms import gpu_products
from dataflow.files import read_yaml
from dataflow.mapping.lowering import Operand, Product
from dataflow.pattern import NM
from dataflow.training.methods import Pass
from hwsim.tensor24.config import TensorConfig
from hwsim.tensor24.gpu import fit as fitting
from hwsim.tensor24.gpu import validation
from hwsim.tensor24.gpu.cards import MODE, SHARED, fitted, named, published, sheet, sheets, stored, vector
from hwsim.tensor24.gpu.kernel import L2_SLOPE, SPARSE_ROWS, SPLITS, STEP, TERMS, TILE, fastest, terms, throttled
from hwsim.tensor24.gpu.product import CAUSES, product_cost
from hwsim.tensor24.machine import Tensor24

CARDS = ("a100-pcie", "h100-pcie", "b200", "rtx4090", "h200")
PLAIN = {
    "shared": {"dram_share": 1.0, "overlap": 50.0, "l2_speed": 4.0, "l2_share": 0.5, "power_onset_us": 1e12},
    "dense": {"launch_us": 0.0, "rate": 1.0, "step_us": 0.0, "small_tile": 0.0, "raster": 1.0, "split_us": 0.0,
              "power_drop": 0.0},
}  # fmt: skip
PLAIN["2:4"] = PLAIN["dense"] | {"rate": 2.0}
SHEET = np.array([10.0, 1e6, 1e3, 1e6])
"""10 multiprocessors, 1 TFLOPS, 1 GB/s, an L2 of 1 MB."""
HUGE = np.array([10.0, 1e6, 1e18, 1e15])
"""The same with memories that cost nothing."""


def _numbers(**changed: float) -> np.ndarray:
    return vector({part: {**values, **{k: v for k, v in changed.items() if k in values}}
                   for part, values in PLAIN.items()})  # fmt: skip


def _shape(
    rows: int, cols: int, reduction: int, *, w: float | None = None, warm: bool = True, count: int = 1
) -> np.ndarray:
    w = 2.0 * reduction * cols if w is None else w
    return np.array([rows, cols, reduction, count, 2 * rows * reduction, w, 2 * rows * cols, warm], np.float64)


def _terms(
    sheet: np.ndarray, numbers: np.ndarray, shape: np.ndarray, tile: tuple[int, int, int], sparse: bool = False
) -> dict[str, float]:
    out = np.empty(len(TERMS))
    terms(sheet, numbers, sparse, shape, *tile, np.inf, out)
    return dict(zip(TERMS, out.tolist(), strict=True))


def test_weights_of_2_to_4_are_9_sixteenths_of_dense_ones_and_5_eighths_in_int8() -> None:
    dense, sparse = fitting.shapes(np.array([[64, 3584, 18944]]))[0]
    assert sparse[5] / dense[5] == 9 / 16
    assert (dense[[0, 1, 2, 3, 4, 6, 7]] == sparse[[0, 1, 2, 3, 4, 6, 7]]).all()
    assert NM(2, 4).storage_bytes(18944, 3584, value_bits=8) / (18944 * 3584) == 5 / 8


def test_time_moves_in_whole_waves() -> None:
    one = 2 * 128 * 128 * 1024 * 10 / 1e6  # a tile on one of ten multiprocessors
    for tiles, waves in ((1, 1), (9, 1), (10, 1), (11, 2), (20, 2), (21, 3)):
        found = _terms(HUGE, _numbers(), _shape(128 * tiles, 128, 1024), (128, 128, 1))
        assert [found["waves"], found["power"]] == pytest.approx([waves * one] * 2)
        assert [found["useful"], found["padding"]] == pytest.approx([tiles * one / 10] * 2)
    edge = _terms(HUGE, _numbers(), _shape(129, 128, 1024), (128, 128, 1))
    assert edge["padding"] == pytest.approx(2 * one / 10)
    split = _terms(HUGE, _numbers(split_us=7.0), _shape(128, 128, 1024), (128, 128, 8))
    assert split["waves"] == pytest.approx(one / 8)
    assert split["split"] - split["memory"] == pytest.approx(7.0)


def test_few_tiles_take_the_latency_of_each_step() -> None:
    found = _terms(HUGE, _numbers(step_us=50.0), _shape(64, 64, 10 * STEP + 1), (64, 64, 1))
    assert found["latency"] == pytest.approx(11 * 50.0)


def test_the_l2_serves_what_fits_a_share_of_it_and_nothing_beyond_the_slope() -> None:
    numbers, room = _numbers(), 0.5e6
    rest = 2 * 64 * 64 * 2
    micros = {}
    for size in (room, room * (1 + L2_SLOPE) / 2, room * L2_SLOPE, room * 2):
        micros[size] = _terms(SHEET, numbers, _shape(64, 64, 64, w=size - rest), (64, 64, 1))["memory"] / size
    full, half, none, beyond = micros.values()
    assert full == pytest.approx(1e-3 / 4)
    assert half == pytest.approx(1e-3 * (0.5 + 0.5 / 4))
    assert none == beyond == pytest.approx(1e-3)
    cold = _terms(SHEET, numbers, _shape(64, 64, 64, w=room - rest, warm=False), (64, 64, 1))
    assert cold["memory"] / room == pytest.approx(1e-3)


def test_weights_beyond_the_l2_are_read_again_by_every_wave_of_row_bands() -> None:
    wide = _shape(4 * 128, 10 * 128, 1024, w=2e6)  # a wave holds one row band
    xy = wide[4] + wide[6]
    once, two = (_terms(SHEET, _numbers(raster=raster), wide, (128, 128, 1))["memory"] * 1e3 for raster in (4.0, 2.0))
    all_four = _terms(SHEET, _numbers(), wide, (128, 128, 1))["memory"] * 1e3
    assert (once, two, all_four) == pytest.approx((2e6 + xy, 2 * 2e6 + xy, 4 * 2e6 + xy))
    small = _shape(4 * 128, 10 * 128, 1024, w=1e5)
    assert _terms(SHEET, _numbers(), small, (128, 128, 1))["memory"] * 1e3 == pytest.approx(1e5 + small[4] + small[6])


def test_long_kernels_lose_speed_to_power() -> None:
    assert throttled(10.0, 0.2, 10.0) == 10.0
    assert throttled(40.0, 0.2, 10.0) == pytest.approx(50.0)
    assert throttled(4000.0, 0.2, 10.0) == pytest.approx(5000.0)
    times = [throttled(x, 0.4, 10.0) for x in np.geomspace(1, 100, 200)]
    assert times == sorted(times)


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("sparse", [False, True])
def test_more_work_never_takes_less_time_and_terms_only_add(name: str, sparse: bool) -> None:
    rng = np.random.default_rng(5)
    out, more = np.empty(len(TERMS)), np.empty(len(TERMS))
    for _ in range(60):
        rows, cols, reduction = (int(2**x) for x in rng.uniform([0, 5, 10], [15, 15, 14]))
        fastest(sheet(name).vector, fitted(name), sparse, _shape(rows, cols, reduction), out)
        assert (np.diff(out) >= -1e-9 * out[-1]).all()
        for bigger in ((rows + 50, cols), (rows, cols + 50)):
            fastest(sheet(name).vector, fitted(name), sparse, _shape(*bigger, reduction), more)
            assert more[-1] >= out[-1] * (1 - 1e-12)


def test_the_fastest_is_the_least_of_all_that_are_tried() -> None:
    rng = np.random.default_rng(6)
    out = np.empty(len(TERMS))
    for _ in range(40):
        rows, cols, reduction = (int(2**x) for x in rng.uniform(0, 13, 3))
        sparse, name = bool(rng.integers(2)), CARDS[rng.integers(4)]
        shape, card = _shape(rows, cols, reduction), sheet(name)
        chosen = fastest(card.vector, fitted(name), sparse, shape, out)
        every = {
            (r, c, s): _terms(card.vector, fitted(name), shape, (r, c, s), sparse)["power"]
            for r, c, s in itertools.product(TILE, TILE, SPLITS)
            if (r <= SPARSE_ROWS or not sparse)
            and (s == 1 or (reduction >= STEP * s and math.ceil(rows / r) * math.ceil(cols / c) * s < 2 * card.sms))
        }
        assert out[-1] == min(every.values()) == every[chosen]


def test_a_fit_to_the_models_own_times_finds_them_again() -> None:
    pytest.importorskip("scipy")
    card, numbers = sheet("a100-pcie"), fitted("a100-pcie")
    rng = np.random.default_rng(1)
    sizes = np.array([[int(2**x) for x in rng.uniform([6, 9, 9], [14, 14, 14])] for _ in range(60)])
    table = fitting.Table(sizes[:40], fitting.predict(card, numbers, sizes[:40]))
    found = fitting.fit(card, table, seed=3, generations=120)
    seen = fitting.errors(table.micros, fitting.predict(card, found, sizes[:40]))
    unseen = fitting.errors(fitting.predict(card, numbers, sizes[40:]), fitting.predict(card, found, sizes[40:]))
    assert seen["latency"] < 0.02
    assert unseen["latency"] < 0.05
    assert unseen["spearman"] > 0.9
    guess = fitting.errors(table.micros, fitting.predict(card, fitted("rtx4090"), sizes[:40]))
    assert guess["latency"] > 0.2  # another card's numbers do not pass
    again = fitting.fit(card, table, seed=3, generations=3)
    assert (again == fitting.fit(card, table, seed=3, generations=3)).all()


def _near(values: dict[str, float | None]) -> dict[str, object]:
    return {key: None if value is None else pytest.approx(value, rel=1e-4) for key, value in values.items()}


@pytest.mark.parametrize("split", ["A", "A2"])
def test_stored_errors_are_those_of_the_stored_numbers(split: str) -> None:
    kept, found = stored()["splits"][split], fitting.all_errors(split)
    assert kept["errors"].keys() == found.keys()
    for what, each in found.items():
        assert kept["errors"][what].keys() == each.keys()
        for name, values in each.items():
            assert kept["errors"][what][name] == _near(values), (what, name)
    on, tested = kept["fitted_on"], kept["tested_on"]
    assert not set(on) & set(tested)
    assert {f.stem.partition("_BF16_")[2] for f in fitting.MEASURED.glob("*.csv")} == {*on, *tested}
    assert {"seed", "scipy", "method"} <= stored().keys()
    # the model says more than a guess that knows the card's mean
    assert found["tested_on"]["pooled"]["speedup"] < found["baselines"]["one mean speedup a card"]["speedup"]


def test_a_card_that_was_measured_here_is_in_no_figure_of_the_published_ones() -> None:
    assert set(sheets()) - set(published()) == {"h200"}
    for split in ("A", "A2"):
        errors = fitting.all_errors(split)
        for what in ("tested_on", "left_out"):
            assert errors[what]["pooled"]["rows"] == sum(errors[what][name]["rows"] for name in published())
        # with another card's numbers, which have seen nothing of it
        assert errors["by_a_like_one"]["h200"]["rows"] == errors["left_out"]["h200"]["rows"] == 212
        assert errors["by_a_like_one"]["h200"]["speedup"] < errors["data_sheet"]["h200"]["speedup"]


def test_measuring_needs_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    table = fitting.MEASURED / "A100_BF16_SQUARE.csv"
    with pytest.raises(SystemExit) as stop:
        gpu_products.main([str(table), "--card", "X", "--out", str(tmp_path / "new")])
    assert stop.value.code == 2
    assert "no CUDA card here" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_page_has_the_stored_figures() -> None:
    text = (Path(fitting.__file__).parent / "README.md").read_text()
    for split in ("A", "A2"):
        errors = stored()["splits"][split]["errors"]
        for what, each in (("tested", errors["tested_on"]), ("left out", errors["left_out"])):
            for name, e in each.items():
                cells = [f"{100 * e[k]:.1f}%" for k in ("dense", "2:4", "latency", "speedup")]
                row = f"| {split}, {what} | {name} | {e['rows']} | {' | '.join(cells)} | {e['spearman']:.2f} |"
                assert row in text, row


def test_the_command_writes_a_file_of_its_own_fit_and_says_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("scipy")
    path = tmp_path / "fitted.yaml"
    fitting.main(["--generations", "1", "--seed", "7", "--out", str(path)])
    said = capsys.readouterr().out
    found = read_yaml(path)
    assert (found["seed"], found["generations"]) == (7, 1)
    assert found["splits"].keys() == stored()["splits"].keys()
    numbers = {name: vector(c["fitted"]) for name, c in found["splits"]["A"]["cards"].items()}
    again = fitting.all_errors("A", numbers)["tested_on"]
    for name, values in again.items():
        assert found["splits"]["A"]["errors"]["tested_on"][name] == _near(values)
    worse, kept = again["pooled"]["latency"], stored()["splits"]["A"]["errors"]["tested_on"]["pooled"]["latency"]
    assert worse > 1.5 * kept  # one generation is no fit
    assert "split A2, tested on" in said
    assert f"{100 * worse:.1f}%" in said
    fitting.main(["--stored"])
    assert f"{100 * kept:.1f}%" in capsys.readouterr().out


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fitted.yaml"
    path.write_text("format: hwsim-gpu-fitted/0\n")
    with pytest.raises(hwsim.InputError, match=r"fitted.yaml: format: expected hwsim-gpu-fitted/1"):
        stored(path)


def test_rows_and_pictures_of_a_page() -> None:
    pytest.importorskip("matplotlib")
    from reports.figures import Drawing

    rows = validation.rows()
    pooled = [r for r in rows if r["target_met"] is not None]
    assert [(r["split"], r["card"], r["tables"]) for r in pooled] == [(s, "pooled", "tested_on") for s in ("A", "A2")]
    assert all(r["target_met"] for r in pooled)
    for split, what in itertools.product(("A", "A2"), ("tested_on", "left_out")):
        misses = [r["speedup"] for r in rows if (r["split"], r["tables"]) == (split, what)]
        assert misses == sorted(misses, reverse=True)
    (array,) = validation.array_rows()
    assert array["array_mean"] - array["measured_mean"] > 0.2
    assert array["spearman"] < 0.5
    dense, sparse, speedup = validation.vit_mlp()
    assert speedup["ours"] == pytest.approx(dense["ours"] / sparse["ours"])
    text = (Path(fitting.__file__).parent / "README.md").read_text()
    for row in (dense, sparse):
        assert f"{row['published']:,.0f} us, ours {row['ours']:,.0f}" in text
    assert {name for name, _ in validation.figures(Drawing())} == {"gpu-speedup", "gpu-error"}


def test_errors_and_ranks_are_as_defined() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(2)
    measured, found = np.round(rng.uniform(1, 4, (2, 50, 2)), 1)  # with equal values
    e = fitting.errors(measured, found)
    true, said = (x[:, 0] / x[:, 1] for x in (measured, found))
    assert e["spearman"] == pytest.approx(stats.spearmanr(true, said).statistic)
    assert e["latency"] == pytest.approx((e["dense"] + e["2:4"]) / 2)
    assert e["speedup"] == pytest.approx(np.mean(np.abs(said / true - 1)))
    assert fitting.errors(measured, measured) | {"rows": 0} == pytest.approx(
        {"rows": 0, "dense": 0, "2:4": 0, "latency": 0, "speedup": 0, "spearman": 1, "side": 1}
    )
    assert fitting.speedup_errors(measured, np.full(50, 2.0))["spearman"] is None


def test_the_mean_of_cards_is_geometric_where_a_number_is_a_scale() -> None:
    times = {"launch_us": 2.0, "step_us": 0.1, "split_us": 1.0}
    two = [_numbers(**times), _numbers(raster=4.0, rate=0.5, **times)]
    mean = named(fitting.average(two))
    assert mean["dense"]["raster"] == pytest.approx(2.0)
    assert mean["dense"]["rate"] == pytest.approx(0.75)
    assert len(two[0]) == len(SHARED) + 2 * len(MODE)


@pytest.mark.parametrize(
    ("text", "said"),
    [("M,N,K,cuBLAS\n1,2,3,4\n", "column cuSPARSE_2_4 is missing"),
     ("M,N,K,cuBLAS,cuSPARSE_2_4\n1,2,x,4,5\n", "line 2: expected numbers"),
     ("M,N,K,cuBLAS,cuSPARSE_2_4\n1,2,3,-4,5\n", "line 2: sizes are at least 1"),
     ("M,N,K,cuBLAS,cuSPARSE_2_4\n1,2,3,0,5\n1,2,3,,\n", "no row has both times")],
)  # fmt: skip
def test_a_broken_table_is_named_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(hwsim.InputError, match=f"t.csv: .*{said}"):
        fitting.read_table(path)


def test_rows_that_were_not_measured_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("M,N,K,cuBLAS,cuSPARSE_2_4\n1,2,3,0,5\n4,5,6,7,8\n1,2,3,,\n")
    table = fitting.read_table(path)
    assert table.sizes.tolist() == [[4, 5, 6]]
    assert table.micros.tolist() == [[7, 8]]


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"gpu": "a100"}, "gpu 'a100': did you mean a100-pcie.* Known: a100-pcie, h100-pcie, b200, rtx4090"),
     ({"gpu": "b200", "sms": 100}, "sms: has no effect with gpu b200"),
     ({"gpu": "b200", "tiles": [[64, 64]]}, "tiles: has no effect with gpu b200"),
     ({"warm_l2": True}, "warm_l2: has no effect without gpu")],
)  # fmt: skip
def test_wrong_cards_and_settings_without_effect_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(hwsim.InputError, match=said):
        hwsim.machine("tensor24", **fields)


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("warm", [False, True])
def test_a_network_on_a_card_sums_to_its_causes_and_beats_no_bound(name: str, warm: bool) -> None:
    machine = hwsim.machine("tensor24", gpu=name, warm_l2=warm)
    with pytest.warns(UserWarning, match=f"gpu {name}: .* of the time is in work unlike what"):
        result = hwsim.simulate(machine, "vit", batch=16, method="bdwp", pattern="2:4")
    rows = result.rows()
    assert (rows[list(CAUSES)].sum(axis=1) == rows["cycles"]).all()
    assert (rows[list(CAUSES)] >= 0).all(axis=None)
    assert result.seconds == pytest.approx(rows["microseconds"].sum() * 1e-6, rel=1e-3)
    assert name in result.workload
    facts = result.facts()["extra"]["gpu"]
    assert facts["numbers"] == "fitted"
    assert facts["errors"]["dense"] == stored()["splits"]["A"]["errors"]["tested_on"][name]["dense"]
    run = Tensor24.settings({"network": "vit", "machine": {"gpu": name, "warm_l2": warm}})
    assert max(Tensor24.bounds(run, result).values()) <= result.cycles
    assert result.table_energy() is None


def test_a_stored_result_of_a_card_is_read_again(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = hwsim.simulate(hwsim.machine("tensor24", gpu="h100-pcie"), "resnet9", batch=4, pattern="2:4")
    result.save(tmp_path)
    assert hwsim.load(tmp_path) == result
    assert Tensor24.settings(result.settings).machine.gpu == "h100-pcie"


def test_a_measured_product_takes_the_time_that_the_fit_says_and_a_cold_one_no_less() -> None:
    def product(pattern: NM, rows: int = 2048, **more: object) -> Product:
        return Product("l", Pass.FF, 0, rows, 2048, 3072, 1, rows * 2048 * 3072, pattern, Operand("activation"),
                       Operand("weight"), **more)  # type: ignore[arg-type]  # fmt: skip

    said = fitting.predict(sheet("a100-pcie"), fitted("a100-pcie"), np.array([[2048, 3072, 2048]]))[0]
    for i, pattern in enumerate((NM(1, 1), NM(2, 4))):
        warm = product_cost("a100-pcie", product(pattern), sparse=bool(i), warm=True)
        assert warm["microseconds"] == said[i]
        assert product_cost("a100-pcie", product(pattern), sparse=bool(i))["microseconds"] >= said[i]
        assert warm["unlike_measured"] == ""
    assert product_cost("a100-pcie", product(NM(1, 1), 8), sparse=False)["unlike_measured"] == "rows below 64"


def test_array_and_gpu_are_not_taken_for_each_other() -> None:
    assert "no GPU" in Tensor24.title
    assert TensorConfig().gpu is None
    assert set(sheets()) == set(CARDS)
    big = {"batch": 16384, "method": "bdwp", "pattern": "2:4", "passes": ["FF"]}
    speedups = {}
    for gpu in (None, "a100-pcie"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            machine = hwsim.machine("tensor24", gpu=gpu)
            sparse = hwsim.simulate(machine, "vit", **{**big, "batch": 64})
            dense = hwsim.simulate(machine, "vit", **{**big, "batch": 64, "method": "dense"})
        speedups[gpu] = dense.seconds / sparse.seconds
    assert speedups["a100-pcie"] < speedups[None]
