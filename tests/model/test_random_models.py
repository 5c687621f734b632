# SPDX-License-Identifier: Apache-2.0
"""Random small modules: the same multiplies and weights through torch, a YAML file, ONNX and `torch.export`."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from algorithms.shapes import network_of
from dataflow.importers import read_network, write_network_yaml
from dataflow.networks.network import Network
from tests.support import tools
from tests.support.random_models import Model, drawn

NUMBERS = st.lists(st.integers(0, 59), min_size=1, max_size=40)
HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def check(model: Model, folder: Path) -> None:
    net = network_of(model.module, model.example, "m")
    assert net.weights == model.weights, model.steps
    if model.counted:
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        with FlopCounterMode(display=False) as count, sdpa_kernel(SDPBackend.MATH):
            model.module(model.example)
        torch.backends.mha.set_fastpath_enabled(fast)
        assert 2 * net.macs == count.get_total_flops() // 2, model.steps
    write_network_yaml(net, folder / "m.yaml")
    assert read_network(folder / "m.yaml") == net.model_copy(update={"operations": ()}), model.steps
    found = by_onnx(model, folder / "m.onnx")
    assert (found.macs, found.weights) == (net.macs, net.weights), model.steps


def by_onnx(model: Model, path: Path) -> Network:
    tools.package("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.module, (model.example,), path, dynamo=False, opset_version=17, input_names=["x"],
            dynamic_axes={"x": {0: "batch"}}, do_constant_folding=False,
        )  # fmt: skip
    return read_network(path)


@settings(max_examples=50, suppress_health_check=HEALTH)
@given(NUMBERS)
def test_three_ways_agree(tmp_path: Path, numbers: list[int]) -> None:
    check(drawn(numbers), tmp_path)


@pytest.mark.nightly
@settings(max_examples=2000, suppress_health_check=HEALTH)
@given(NUMBERS)
def test_three_ways_agree_on_many(tmp_path: Path, numbers: list[int]) -> None:
    check(drawn(numbers), tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_archives_agree(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    model = drawn([rng.randrange(60) for _ in range(40)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = ({0: torch.export.Dim("batch", min=2, max=64)},)
        torch.export.save(
            torch.export.export(model.module, (model.example,), dynamic_shapes=shapes), tmp_path / "m.pt2"
        )
    net, found = network_of(model.module, model.example, "m"), read_network(tmp_path / "m.pt2")
    assert (found.macs, found.weights) == (net.macs, net.weights), model.steps
