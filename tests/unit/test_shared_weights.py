# SPDX-License-Identifier: Apache-2.0
"""Weights that several layers have, recurrent layers, and what is done once a step: in networks, YAML and lowering."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflow.importers import read_network, write_network_yaml
from dataflow.mapping.lowering import Product, Update, VectorOp, lower
from dataflow.networks.network import Conv, Layer, Linear, MatMul, Network, elementwise
from dataflow.pattern import DENSE, NM
from dataflow.training.methods import Method, Pass
from hwsim.sat.config import SatConfig
from hwsim.sat.timing.step import simulate
from hwsim.tensor24.config import TensorConfig
from hwsim.tensor24.timing import product_cost


def net(*layers: Layer) -> Network:
    return Network(name="n", layers=layers)


def work(network: Network, batch: int = 4, pattern: NM = DENSE, method: Method = Method.DENSE):
    return lower(network, batch=batch, method=method, pattern=pattern)


TWICE = net(
    Linear(name="a", in_features=32, out_features=32, rows=3),
    Linear(name="b", in_features=32, out_features=32, rows=5, shared=1024),
)
LSTM = net(
    Linear(name="in", in_features=32, out_features=192, rows=10),
    Linear(name="hidden", in_features=48, out_features=192, steps=10),
)


def test_a_layer_used_twice_has_its_weights_once() -> None:
    assert (TWICE.weights, TWICE.macs) == (1024, 8 * 1024)
    updates = [w for w in work(TWICE).work if isinstance(w, Update)]
    assert [(u.weights, u.added) for u in updates] == [(1024, 0), (0, 1024)]
    read, written = zip(*(u.traffic([]) for u in updates), strict=True)
    assert (read, written) == ((10 * 1024, 2 * 1024), (10 * 1024, 0))
    once = net(TWICE.layers[0].model_copy(update={"rows": 8}))
    assert [work(TWICE).macs(p) for p in Pass] == [work(once).macs(p) for p in Pass]
    steps = {r.step: r for r in simulate(SatConfig(), work(TWICE)).steps}
    assert steps["b.UP"].dram_read_bytes == 2 * 1024
    assert steps["b.UP"].dram_write_bytes == steps["b.UP"].wuve_updates == 0
    assert steps["b.UP"].cycles < steps["a.UP"].cycles


def test_a_recurrent_layer_runs_step_by_step_and_is_updated_once() -> None:
    assert LSTM.weights == 32 * 192 + 48 * 192
    assert LSTM.macs == 10 * LSTM.weights
    found = {p.name: p for p in work(LSTM).products if p.layer == "hidden"}
    ff, wu, bp = found["hidden.FF"], found["hidden.WU"], found["hidden.BP"]
    assert (ff.rows, ff.reduction, ff.cols, ff.count, ff.in_turn) == (4, 48, 192, 10, True)
    assert (bp.rows, bp.reduction, bp.cols, bp.count, bp.in_turn) == (4, 192, 48, 10, True)
    assert (wu.rows, wu.reduction, wu.cols, wu.count, wu.in_turn) == (48, 40, 192, 1, False)
    assert {p.macs for p in found.values()} == {4 * 10 * 48 * 192}
    assert sum(isinstance(w, Update) for w in work(LSTM).work) == 2


def test_steps_in_turn_take_as_long_as_one_after_the_other() -> None:
    one = net(Linear(name="hidden", in_features=48, out_features=192))
    row = {r.step: r for r in simulate(SatConfig(), work(one, pattern=NM(2, 4), method=Method.BDWP)).steps}
    rows = {r.step: r for r in simulate(SatConfig(), work(LSTM, pattern=NM(2, 4), method=Method.BDWP)).steps}
    for step in ("hidden.FF", "hidden.BP"):
        for column in ("cycles", "useful", "macs", "macs_done", "dram_read_bytes", "dram_write_bytes", "jobs", "dram"):
            assert getattr(rows[step], column) == 10 * getattr(row[step], column), (step, column)
    alone, both = (next(p for p in work(n).products if p.name == "hidden.FF") for n in (one, LSTM))
    costs = [product_cost(TensorConfig(), p) for p in (alone, both)]
    numbers = set(costs[0]) - {"tile", "parts"}
    assert {k: 10 * costs[0][k] for k in numbers} == {k: costs[1][k] for k in numbers}
    assert (costs[0]["tile"], costs[0]["parts"]) == (costs[1]["tile"], costs[1]["parts"])


def test_what_is_done_once_does_not_grow_with_the_batch() -> None:
    layers: list[Layer] = [
        Linear(name="l", in_features=8, out_features=8, rows=6),
        Conv(name="c", in_channels=4, out_channels=4, height=5, width=5, kernel=(3, 3)),
        MatMul(name="m", rows=2, reduction=3, cols=4),
        elementwise("e", "softmax", 10),
    ]
    each = work(net(*layers), batch=1)
    once = work(net(*(x.model_copy(update={"once": True}) for x in layers)), batch=64)
    assert each.work == once.work
    assert any(isinstance(w, VectorOp) for w in once.work)
    assert any(isinstance(w, Product) for w in once.work)


def test_yaml_keeps_all_of_it(tmp_path: Path) -> None:
    layers = (
        *TWICE.layers,
        *LSTM.layers,
        Conv(
            name="c", in_channels=4, out_channels=8, height=5, width=9, kernel=(3, 2), stride=(3, 2), padding=(1, 0),
            padding_end=(0, 1), dilation=(2, 3), transposed=True, output_padding=(1, 1), shared=100, once=True,
        ),
        Conv(name="last", in_channels=1, out_channels=1, height=2, width=2, kernel=(1, 1)),
    )  # fmt: skip
    write_network_yaml(net(*layers), tmp_path / "n.yaml")
    assert read_network(tmp_path / "n.yaml") == net(*layers)
    assert (tmp_path / "n.yaml").read_text().splitlines()[-1] == (
        "- {kind: 'conv', name: 'last', in_channels: 1, out_channels: 1, height: 2, width: 2, kernel: [1, 1]}"
    ), "a plain layer is written as ever"


CONV = {"name": "c", "in_channels": 4, "out_channels": 4, "height": 4, "width": 4, "kernel": (3, 3)}
WRONG = {
    "shared=65 must be at most the 64": (Linear, {"name": "l", "in_features": 8, "out_features": 8, "shared": 65}),
    "a recurrent layer has one matrix": (
        Linear,
        {"name": "l", "in_features": 8, "out_features": 8, "experts": 2, "steps": 2},
    ),
    "is larger than the padded input": (Conv, CONV | {"dilation": (2, 1)}),
    "output_padding is of a transposed": (Conv, CONV | {"output_padding": (1, 0)}),
    "must be below stride": (Conv, CONV | {"output_padding": (1, 0), "transposed": True}),
    "leaves no output": (Conv, CONV | {"padding": (3, 0), "transposed": True}),
}


@pytest.mark.parametrize("why", WRONG)
def test_layers_that_cannot_be(why: str) -> None:
    kind, fields = WRONG[why]
    with pytest.raises(ValueError, match=why):
        kind(**fields)
