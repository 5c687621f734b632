# SPDX-License-Identifier: Apache-2.0
"""The systolic array: clocked PE by PE against numpy's product and against the closed forms; bytes against a loop over
folds; bounds; the preset."""

from __future__ import annotations

import random
from typing import get_args

import numpy as np
import pytest

import hwsim
from dataflow.mapping.lowering import Operand, Product, Window
from dataflow.pattern import DENSE
from dataflow.training.methods import Pass
from hwsim.systolic.config import Dataflow, SystolicConfig
from hwsim.systolic.folds import Folds
from hwsim.systolic.machine import CAUSES, Systolic, dram_bytes, product_cost
from hwsim.systolic.stepped import run
from hwsim.systolic.validation import networks

DATAFLOWS = get_args(Dataflow)


def _matrices(rng: np.random.Generator, p: int, k: int, f: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(-128, 128, (p, k)), rng.integers(-128, 128, (k, f))


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("seed", range(8))
def test_the_clocked_array_has_numpys_product_and_the_closed_forms_counts(dataflow: Dataflow, seed: int) -> None:
    rng = np.random.default_rng(seed)
    partial = 0
    for _ in range(25):
        rows, cols = (int(v) for v in rng.integers(1, 12, 2))
        p, k, f = (int(v) for v in rng.integers(1, 40, 3))
        left, right = _matrices(rng, p, k, f)
        found = run(dataflow, left, right, rows, cols)
        folds = Folds(rows, cols, dataflow, p, k, f)
        assert (found.product == left @ right).all()
        assert found.cycles == folds.cycles
        assert found.ifmap_reads == folds.ifmap_reads
        assert found.filter_reads == folds.filter_reads
        assert found.ofmap_writes == folds.ofmap_writes
        assert found.ofmap_reads == folds.ofmap_reads
        assert (found.bus, found.apart) == (1, 0)
        partial += bool(folds.sizes[0] % rows or folds.sizes[1] % cols)
    assert partial > 10  # edges did occur


@pytest.mark.parametrize(("p", "k", "f"), [(1, 1, 1), (5, 1, 3), (1, 9, 1), (4, 4, 4), (8, 3, 1), (3, 17, 8)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (4, 4)])
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_smallest_products_and_arrays(dataflow: Dataflow, shape: tuple[int, int], p: int, k: int, f: int) -> None:
    left, right = _matrices(np.random.default_rng(0), p, k, f)
    found = run(dataflow, left, right, *shape)
    assert (found.product == left @ right).all()
    assert found.cycles == Folds(*shape, dataflow, p, k, f).cycles


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(hwsim.InputError, match="P x K and K x F"):
        run("os", np.ones((2, 3), np.int64), np.ones((2, 3), np.int64), 2, 2)
    with pytest.raises(hwsim.InputError, match="at least 1 x 1"):
        run("os", np.ones((2, 3), np.int64), np.ones((3, 3), np.int64), 0, 2)


def test_as_scalesim_differs_only_where_that_tool_does() -> None:
    for dataflow in DATAFLOWS:
        ours, theirs = (Folds(8, 4, dataflow, 49, 45, 10, as_scalesim=flag) for flag in (False, True))
        assert theirs.cycles == ours.cycles - 1
        assert (theirs.ifmap_reads, theirs.filter_reads, theirs.mapping) == (
            ours.ifmap_reads, ours.filter_reads, ours.mapping)  # fmt: skip
        assert theirs.ofmap_writes - ours.ofmap_writes == (ours.count * 12 if dataflow == "os" else 0)
        assert (theirs.compute_util == ours.compute_util) == (dataflow == "os")


def _product(p: int, k: int, f: int, count: int = 1) -> Product:
    left, right = Operand("activation"), Operand("weight")
    return Product("layer", Pass.FF, 0, p, k, f, count, p * k * f * count, DENSE, left, right)


def _twin_bytes(config: SystolicConfig, p: int, k: int, f: int) -> tuple[int, int]:
    """Bytes from and to DRAM, by walking over the folds with what each memory's half holds."""
    w = config.word_bytes
    fits = {"ifmap": config.ifmap_bytes // 2, "filter": config.filter_bytes // 2, "ofmap": config.ofmap_bytes // 2}
    sr, sc = {"os": (p, f), "ws": (k, f), "is": (k, p)}[config.dataflow]
    held: dict[str, object] = {"ifmap": None, "filter": None}
    read = written = 0

    def fetch(memory: str, tile: object, size: int, whole: int) -> None:
        nonlocal read
        if whole * w <= fits[memory]:  # all of the operand stays
            tile, size = "all", whole
        if held[memory] != tile:
            read += size * w
            held[memory] = tile if size * w <= fits[memory] else None

    for c0 in range(0, sc, config.cols):
        width = min(config.cols, sc - c0)
        for r0 in range(0, sr, config.rows):
            height = min(config.rows, sr - r0)
            if config.dataflow == "os":
                fetch("ifmap", ("row", c0, r0), height * k, p * k)
                if width * k < min(config.cols, f) * k:  # the last column: its room is a full column's
                    full = min(config.cols, f) * k * w <= fits["filter"]
                    if not full:
                        held["filter"] = None
                        read += width * k * w
                    else:
                        fetch("filter", c0, width * k, width * k if sc <= config.cols else 1 << 60)
                else:
                    fetch("filter", c0, width * k, 1 << 60)
                written += height * width * w
            else:
                moving, stay = ("ifmap", "filter") if config.dataflow == "ws" else ("filter", "ifmap")
                length = p if config.dataflow == "ws" else f
                held[stay] = None
                fetch(stay, (c0, r0), height * width, 1 << 60)
                fetch(moving, (c0, r0), height * length, k * length)
                sums = 4 * length * min(config.cols, sc)
                last = r0 + height == sr
                if sums <= fits["ofmap"] or sr <= config.rows:
                    written += width * length * w if last else 0
                else:
                    read += 4 * width * length if r0 else 0
                    written += width * length * (w if last else 4)
    return read, written


@pytest.mark.parametrize("seed", range(60))
def test_bytes_are_those_of_a_walk_over_the_folds(seed: int) -> None:
    rng = random.Random(seed)
    config = SystolicConfig(
        rows=rng.randint(1, 9), cols=rng.randint(1, 9), dataflow=rng.choice(DATAFLOWS),
        word_bytes=rng.choice((1, 2, 4)), ifmap_bytes=rng.choice((64, 512, 4096)),
        filter_bytes=rng.choice((64, 512, 4096)),
        ofmap_bytes=rng.choice((64, 512, 4096)),
    )  # fmt: skip
    p, k, f = (rng.randint(1, 40) for _ in range(3))
    folds = Folds(config.rows, config.cols, config.dataflow, p, k, f)
    assert dram_bytes(config, folds, Operand("activation"), Operand("weight")) == _twin_bytes(config, p, k, f)


def test_a_window_is_fetched_as_the_image() -> None:
    window = Window(1, 9, 9, 5, 7, 7, 3, 3, 1, 1, 0, 0)
    folds = Folds(8, 4, "ws", 49, 45, 10)
    read, _ = dram_bytes(SystolicConfig(), folds, Operand("activation", window), Operand("weight"))
    assert read == 9 * 9 * 5 + 45 * 10


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("settings", [{}, {"passes": ("FF", "BP", "WU"), "batch": 3}])
def test_no_step_beats_its_bounds_and_causes_sum(dataflow: str, settings: dict) -> None:
    machine = hwsim.machine("systolic", dataflow=dataflow, word_bytes=2)
    result = hwsim.simulate(machine, "resnet9", **settings)
    rows, config = result.rows(), machine.config
    assert (rows[list(CAUSES)].sum(axis=1) == rows["cycles"]).all()
    assert (rows[list(CAUSES)] >= 0).all().all()
    assert (rows["cycles"] >= rows["macs"] / (config.rows * config.cols)).all()
    moved = rows["dram_read_bytes"] + rows["dram_write_bytes"]
    assert (rows["cycles"] >= moved / config.dram_bytes_per_cycle).all()
    run_ = Systolic.settings({"network": "resnet9", "machine": config, **settings})
    assert max(Systolic.bounds(run_, result).values()) <= result.cycles
    assert result.table_energy().total > 0


def test_products_that_repeat_take_so_many_times_as_long() -> None:
    config = SystolicConfig(dram_bytes_per_cycle=1e6)
    one, seven = (product_cost(config, _product(40, 50, 60, count)) for count in (1, 7))
    assert seven["cycles"] == 7 * one["cycles"]
    assert seven["dram_read_bytes"] == 7 * one["dram_read_bytes"]


def test_patterns_run_dense_and_say_so() -> None:
    machine = hwsim.machine("systolic")
    with pytest.warns(UserWarning, match="every layer runs dense: nothing in a plain array skips zeros"):
        sparse = hwsim.simulate(machine, "resnet9", method="bdwp", pattern="2:8")
    assert sparse.cycles == hwsim.simulate(machine, "resnet9").cycles


def test_the_preset_is_pinned() -> None:
    assert hwsim.simulate(hwsim.machine("systolic"), "resnet18").cycles == 26_763_250


@pytest.mark.parametrize(("field", "value"), [("rows", 0), ("dataflow", "rs"), ("word_bytes", 3), ("ifmap_bytes", 1)])
def test_a_wrong_field_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(hwsim.InputError, match=field):
        hwsim.machine("systolic", **{field: value})


def test_the_peak_of_a_published_array() -> None:
    """By hand: a fold of 256 x 256 weights takes 2 x 256 + 256 + rows - 2 cycles."""
    (row,) = [c for c in networks().checks if c.what.startswith("TPU v1")]
    assert row.ours == pytest.approx(2e-12 * 16384 * 256 * 256 * 700e6 / (2 * 256 + 256 + 16384 - 2))
    assert row.theirs == 92
