# SPDX-License-Identifier: Apache-2.0
"""Torch modules as shapes: the zoo's networks, layer for layer, and MAC counts from torch's own counters."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from algorithms.shapes import network_of
from algorithms.training.models import CharLM, DigitsCNN, DigitsMLP, DigitsViT
from algorithms.training.nm_training import convert
from algorithms.training.vision import MODELS
from dataflow.errors import InputError
from dataflow.mapping.lowering import lower
from dataflow.networks.network import MatMul, Network
from dataflow.networks.zoo import network
from dataflow.pattern import DENSE, NM
from dataflow.training.methods import Method, Pass

SMALL = {
    "digits-cnn": (DigitsCNN, torch.zeros(2, 1, 8, 8)),
    "digits-mlp": (DigitsMLP, torch.zeros(2, 1, 8, 8)),
    "digits-vit": (DigitsViT, torch.zeros(2, 1, 8, 8)),
    "char-lm": (lambda: CharLM(97, 32, 2, 4, 16), torch.zeros(2, 16, dtype=torch.int64)),
}


def encoder(vocabulary: int, dim: int, depth: int, heads: int, tokens: int) -> nn.Module:
    model = CharLM(vocabulary, dim, depth, heads, tokens)
    model.head = nn.Identity()
    return model


TRANSFORMERS = {
    "bert-base": (lambda: encoder(30522, 768, 12, 12, 384), torch.zeros(2, 384, dtype=torch.int64)),
    "gpt2-small": (lambda: CharLM(50257, 768, 12, 12, 1024), torch.zeros(2, 1024, dtype=torch.int64)),
}


def facts(net: Network) -> list[dict]:
    """Layers without their names; element-wise ones by what they move."""
    return [layer.model_dump(exclude={"name"}) for layer in net.layers]


@pytest.mark.parametrize("name", MODELS)
def test_zoo_is_the_torch_module(name: str) -> None:
    make, shape = MODELS[name]
    with torch.device("meta"):
        traced = network_of(make(), torch.zeros(2, *shape), name)
    zoo, found = facts(network(name)), facts(traced)
    # the order of independent branches (downsample) differs from one module to another
    key = str
    assert sorted(found, key=key) == sorted(zoo, key=key)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_by_size_are_the_torch_module(name: str) -> None:
    make, x = TRANSFORMERS[name]
    with torch.device("meta"):
        traced = network_of(make(), x, name)
    assert facts(traced) == facts(network(name))


def torch_macs(model: nn.Module, x: torch.Tensor) -> tuple[int, int]:
    """Multiply-accumulates a step, forward and backward, by torch's own counter."""
    with FlopCounterMode(display=False) as forward:
        y = model(x)
    with FlopCounterMode(display=False) as backward:
        y.float().sum().backward()
    return forward.get_total_flops() // 2, backward.get_total_flops() // 2


@pytest.mark.parametrize("name", [*MODELS, *SMALL, *TRANSFORMERS])
def test_macs_of_all_passes_are_torchs(name: str) -> None:
    if name in MODELS:
        make, shape = MODELS[name]
        net, x = network(name), torch.zeros(2, *shape)
    elif name in TRANSFORMERS:
        make, x = TRANSFORMERS[name]
        net = network(name)
    else:
        make, x = SMALL[name]
        net = network_of(make(), x, name)
    with torch.device("meta"):
        model = make()
    forward, backward = torch_macs(model, x.to("meta"))
    work = lower(net, batch=2, method=Method.DENSE, pattern=DENSE)
    assert work.macs(Pass.FF) == forward
    assert work.macs(Pass.BP) + work.macs(Pass.WU) == backward
    unneeded = sum(2 * x.macs for x in net.layers if not getattr(x, "needs_input_grad", True))
    assert work.macs(Pass.WU) == forward
    assert work.macs(Pass.BP) == forward - unneeded


@pytest.mark.parametrize("name", MODELS)
def test_macs_are_a_hooks_count(name: str) -> None:
    """Forward multiply-accumulates counted by hooks on convolutions and linear layers."""
    make, shape = MODELS[name]
    model = make().to("meta")
    counted = 0

    def count(module: nn.Module, _: object, y: torch.Tensor) -> None:
        nonlocal counted
        counted += y.numel() * module.weight[0].numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    model(torch.zeros(3, *shape, device="meta"))
    net = network(name)
    assert counted == 3 * (net.macs - sum(x.macs for x in net.layers if isinstance(x, MatMul)))


def test_conversion_does_not_change_the_shapes() -> None:
    for make, x in SMALL.values():
        model = make()
        before = network_of(model, x, "n")
        convert(model, Method.BDWP, NM(2, 8), fp16=True)
        assert network_of(model, x, "n") == before


def test_scaled_dot_product_attention_and_grouped_1d_convolution() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(8, 16, 3, stride=2, padding=1, groups=4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q = self.conv(x).reshape(len(x), 4, 4, -1)
            return nn.functional.scaled_dot_product_attention(q, q, q)

    net = network_of(Model(), torch.zeros(3, 8, 12), "n")
    assert [(x.kind, x.macs) for x in net.layers] == [
        ("conv", 16 * 6 * 2 * 3),
        ("matmul", 4 * 4 * 4 * 6),
        ("elementwise", 0),
        ("matmul", 4 * 4 * 4 * 6),
    ]


def test_a_model_without_a_layer_is_refused() -> None:
    with pytest.raises(InputError, match="no layer"):
        network_of(nn.ReLU(), torch.zeros(1, 4), "n")
