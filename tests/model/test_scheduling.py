# SPDX-License-Identifier: Apache-2.0
"""The offline scheduler: never worse than a fixed choice, near exhaustive search; schedules as files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from dataflow.errors import InputError
from dataflow.mapping.lowering import lower
from dataflow.mapping.offline_scheduling import best_mapping, mapping_candidates
from dataflow.mapping.schedule import Mapping, Schedule
from dataflow.mapping.tiling import Limits, misfit, neighbours
from dataflow.networks.network import Conv, Linear, Network, elementwise
from dataflow.pattern import DENSE, NM
from dataflow.training.methods import Method
from hwsim.core.machine import load as load_result
from hwsim.sat.config import SatConfig
from hwsim.sat.result import CAUSES
from hwsim.sat.timing.job import array_timing
from hwsim.sat.timing.nest import NEST_COLUMNS, nest_of, run_nest
from hwsim.sat.timing.step import _Cost, limits_of, make_schedule, simulate
from tests.support.layers import SMALL, networks

NET = Network(
    name="small",
    layers=(
        Conv(name="first", in_channels=3, out_channels=16, height=16, width=16, kernel=(3, 3), padding=(1, 1),
             needs_input_grad=False),
        elementwise("bn", "batchnorm", 16 * 16 * 16),
        Conv(name="down", in_channels=16, out_channels=32, height=16, width=16, kernel=(3, 3), stride=(2, 2),
             padding=(1, 1)),
        Conv(name="wide", in_channels=32, out_channels=64, height=8, width=8, kernel=(1, 1)),
        elementwise("pool", "pool", 64 * 64, outputs=64),
        Linear(name="classifier", in_features=64, out_features=10),
    ),
)  # fmt: skip


def work(method: str = "bdwp", pattern: str = "2:8", batch: int = 4):  # type: ignore[no-untyped-def]
    return lower(NET, batch=batch, method=Method.parse(method), pattern=NM.parse(pattern))


@pytest.mark.parametrize("pattern", ["dense", "2:4", "2:8", "2:16"])
@pytest.mark.parametrize("size", [4, 16, 32])
def test_never_worse_than_the_best_fixed_choice(pattern: str, size: int) -> None:
    load = work("dense" if pattern == "dense" else "bdwp", pattern)
    base = SatConfig(rows=size, cols=size)
    best = simulate(base, load).cycles
    for dataflow in ("WS", "OS"):
        for interleave in (4, 8, 16):
            fixed = base.model_copy(
                update={"offline_scheduling": False, "fixed_dataflow": dataflow, "interleave_max": interleave}
            )
            assert best <= simulate(fixed, load).cycles


def exhaustive(config: SatConfig, product, interleaves: tuple[int, ...]) -> int:  # type: ignore[no-untyped-def]
    """Every tile size, loop order, dataflow, interleave and orientation that fits."""
    limits = limits_of(config)
    nest, windows = nest_of(product, config.pregeneration)
    out = np.empty(len(NEST_COLUMNS))
    best = 1 << 60
    nm = product.pattern
    m = 1 if nm.is_dense else nm.m_group
    for flip in (0, 1) if nm.is_dense else (0,):
        a, b = (product.cols, product.rows) if flip else (product.rows, product.cols)
        k = product.reduction
        reductions = sorted({*range(m, k, m), k})
        for is_os in (0, 1):
            for inter in interleaves:
                for at in range(1, a + 1):
                    for bt in range(1, b + 1):
                        for kt in reductions:
                            if misfit((a, k, b), (at, kt, bt), nm, limits, bool(is_os), inter):
                                continue
                            for order in (0, 1):
                                row = np.array((is_os, inter, flip, at, kt, bt, order), np.int64)
                                best = min(best, run_nest(array_timing(config), nest, windows, row, out))
    return best


def test_near_exhaustive_search() -> None:
    """Within 2% on small cases; the worst case is printed when it fails."""
    rng = np.random.default_rng(12)
    config = SatConfig(
        rows=2, cols=2, west_buffer_bytes=1024, north_buffer_bytes=1024, output_buffer_bytes=1024, dram_channels=1,
        dram_efficiency=0.5,
    )  # fmt: skip
    worst, checked = 0.0, 0
    while checked < 40:
        method, nm = (Method.BDWP, "2:8") if checked % 2 else (Method.DENSE, "dense")
        load = lower(networks(rng), batch=1, method=method, pattern=NM.parse(nm))
        for product in load.products:
            if product.rows * product.cols * product.reduction > 12_000 or product.rows * product.cols > 600:
                continue
            best = exhaustive(config, product, (4, 8))
            candidates = mapping_candidates(product, limits_of(config), ("WS", "OS"), (4, 8))
            mapping = best_mapping(product, candidates, _Cost(array_timing(config), True), limits_of(config))
            nest, windows = nest_of(product, True)
            out = np.empty(len(NEST_COLUMNS))
            found = run_nest(array_timing(config), nest, windows, np.array(mapping, np.int64), out)
            worst = max(worst, found / best - 1)
            assert found <= 1.02 * best, (product, found, best)
            checked += 1
    assert worst >= 0.0


def test_schedule_file(tmp_path: Path) -> None:
    config, load = SatConfig(rows=8, cols=8), work()
    schedule = make_schedule(config, load)
    schedule.write(tmp_path / "s.yaml")
    again = Schedule.read(tmp_path / "s.yaml")
    assert again == schedule
    assert simulate(config, load, again).steps == simulate(config, load).steps
    text = (tmp_path / "s.yaml").read_text()
    assert "step: 'down.FF', kind: product, shape: '1 x (256 x 144 x 32), 2:8', mapping: '" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("I=", "I=99"), "interleave"),
        (("kind: update", "kind: nonsense"), "steps"),
        (("step: 'down.FF'", "step: 'up.FF'"), "does not match"),
        (("tile=", "tile=x"), "mapping"),
        (("format: hwsim-schedule/1", "format: hwsim-schedule/9"), "format"),
        (("network: small", "network: small\nnetwork: small"), "duplicate"),
    ],
)
def test_broken_schedules(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    config, load = SatConfig(), work()
    path = tmp_path / "s.yaml"
    make_schedule(config, load).write(path)
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(InputError, match=message) as caught:
        simulate(config, load, Schedule.read(path))
    assert "\n" not in str(caught.value)


def test_mapping_text() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        m = Mapping(*(int(v) for v in np.r_[rng.integers(0, 2), rng.integers(1, 17), rng.integers(0, 2),
                                            rng.integers(1, 9999, 3), rng.integers(0, 2)]))  # fmt: skip
        assert Mapping.parse(str(m)) == m


def test_causes_sum_to_cycles() -> None:
    for method in ("dense", "bdwp", "srste", "sdwp", "sdgp"):
        result = simulate(SatConfig(), work(method, "dense" if method == "dense" else "2:8"))
        for row in result.steps:
            assert sum(getattr(row, c) for c in CAUSES) == row.cycles, row
        assert 0 < result.utilization <= 1


def test_optimizations_help() -> None:
    load = work(batch=64)
    on = simulate(SatConfig(), load)
    for name in ("interleave_mapping", "pregeneration", "offline_scheduling"):
        off = simulate(SatConfig(**{name: False}), load)
        assert off.cycles >= on.cycles, name
    bubbles = simulate(SatConfig(interleave_mapping=False), load)
    assert bubbles.total("interleave") > 0 == on.total("interleave")
    pruned = simulate(SatConfig(pregeneration=False), load)
    assert pruned.total("sore_elements", lambda r: r.kind == "product") > 0
    assert pruned.total("dram_read_bytes") > on.total("dram_read_bytes")


def test_compressed_weights_move_fewer_bytes() -> None:
    """FF reads a 64 x 64 layer's weights: 2 bytes each when dense, 2 of 8 at 19 bits when pre-generated."""
    net = Network(name="n", layers=(Linear(name="l", in_features=64, out_features=64),))
    for pattern, want in (("dense", 64 * 64 * 2), ("2:8", 64 * 16 * 19 // 8)):
        load = lower(net, batch=1, method=Method.BDWP, pattern=NM.parse(pattern))
        row = simulate(SatConfig(), load).steps[0]
        assert row.dram_read_bytes == 64 * 2 + want


def test_result_file(tmp_path: Path) -> None:
    result = simulate(SatConfig(), work())
    file = result.save(tmp_path / "r")[0]
    assert load_result(tmp_path / "r") == load_result(file) == result
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"result\.parquet: not a readable result"):
        load_result(tmp_path / "r")
    with pytest.raises(InputError, match="not a readable result"):
        load_result(tmp_path / "none.parquet")


def test_small_machine_refuses() -> None:
    with pytest.raises(InputError, match="group_max=8"):
        simulate(SatConfig(group_max=8), work(pattern="2:16"))


def test_candidates_fit() -> None:
    """Every candidate is accepted by the machine's own check (a schedule made can be replayed)."""
    from hwsim.sat.timing.step import _check_mapping

    rng = np.random.default_rng(2)
    for _ in range(60):
        load = lower(networks(rng), batch=3, method=Method.BDWP, pattern=NM(2, 8))
        for product in load.products:
            for row in mapping_candidates(product, limits_of(SMALL), ("WS", "OS"), (1, 4, 8)):
                _check_mapping(SMALL, product, Mapping(*(int(v) for v in row)))


def test_neighbours_are_their_definition() -> None:
    """Of random tiles: all that differ in one length by a step, one, a part, or a factor of two, and fit."""
    rng = np.random.default_rng(5)
    seen = 0
    for _ in range(300):
        pattern = [DENSE, NM(2, 8), NM(1, 4)][rng.integers(3)]
        n, m = (1, 1) if pattern.is_dense else (pattern.n_keep, pattern.m_group)
        size = tuple(int(v) for v in rng.integers(1, 200, 3))
        tile = tuple(int(rng.integers(1, v + 1)) for v in size)
        tile = (tile[0], size[1] if rng.random() < 0.5 else max(m, tile[1] // m * m), tile[2])
        is_os, inter, most = bool(rng.integers(2)), int(rng.choice([1, 4, 8])), int(rng.choice([8, 512]))
        limits = Limits(4, 8, *(int(v) for v in rng.integers(1 << 8, 1 << 18, 3)), 8)
        steps = (inter, m, 8)
        want = set()
        for axis in range(3):
            length, value, parts = size[axis], tile[axis], -(-size[axis] // tile[axis])
            options = [value - steps[axis], value + steps[axis], value - 1, value + 1, value // 2, 2 * value]
            options += [-(-length // p) for p in (parts - 1, parts + 1) if p]
            for option in (min(max(1, o), length) for o in options):
                other = [*tile]
                other[axis] = option
                if other[1] != size[1]:
                    other[1] = max(m, other[1] // m * m)
                jobs = math.prod(-(-s // t) for s, t in zip(size, other, strict=True))
                if option != value and jobs <= most and not misfit(size, tuple(other), pattern, limits, is_os, inter):
                    want.add(tuple(other))
        found = neighbours(limits, size, tile, steps, n, m, pattern.index_bits, is_os, inter, most)
        assert [tuple(t) for t in found.tolist()] == sorted(want)
        seen += len(want)
    assert seen > 500
