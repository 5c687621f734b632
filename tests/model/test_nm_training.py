# SPDX-License-Identifier: Apache-2.0
"""The methods' products against explicit matrix algebra, and against autograd where they are dense."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from algorithms.pruning.masks import nm_mask
from algorithms.training.models import CharLM, DigitsCNN
from algorithms.training.nm_training import NMRule, convert, converted_layers, plain
from dataflow.errors import InputError
from dataflow.pattern import NM
from dataflow.training.methods import PAPER_METHODS, Method, Pass

PATTERN = NM(2, 8)


def half(x: torch.Tensor) -> torch.Tensor:
    return x.half().to(x.dtype)


def expected(method: Method, w: torch.Tensor, dy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What FF and BP use of a [out, in] weight, and BP of a [rows, out] gradient."""
    ff, bp, g = w, w, dy
    if method in (Method.BDWP, Method.SRSTE):
        ff = w * nm_mask(w, PATTERN, 1)
    if method in (Method.BDWP, Method.SDWP):
        bp = w * nm_mask(w, PATTERN, 0)
    if method is Method.SRSTE:
        bp = ff
    if method is Method.SDGP:
        g = dy * nm_mask(dy, PATTERN, 1)
    return ff, bp, g


@pytest.mark.parametrize("fp16", [False, True])
@pytest.mark.parametrize("method", PAPER_METHODS, ids=str)
def test_linear_is_matrix_algebra(method: Method, fp16: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(16, 24).double() if not fp16 else nn.Linear(16, 24)
    model = nn.Sequential(layer)
    convert(model, method, PATTERN, fp16=fp16)
    dtype = layer.weight.dtype
    x = torch.randn(3, 5, 16, dtype=dtype, requires_grad=True)
    dy = torch.randn(3, 5, 24, dtype=dtype)
    y = model(x)
    y.backward(dy)
    r = half if fp16 else lambda t: t
    w = r(layer.weight.detach())
    ff, bp, g = expected(method, w, r(dy).reshape(-1, 24))
    flat = r(x.detach()).reshape(-1, 16)
    torch.testing.assert_close(y.reshape(-1, 24), flat @ ff.T + layer.bias)
    torch.testing.assert_close(x.grad.reshape(-1, 16), g @ bp)
    dw = r(dy).reshape(-1, 24).T @ flat
    if method is Method.SRSTE:
        dw = dw + 2e-4 * layer.weight.detach() * ~nm_mask(w, PATTERN, 1)
    torch.testing.assert_close(layer.weight.grad, dw)
    torch.testing.assert_close(layer.bias.grad, dy.sum((0, 1)))


@pytest.mark.parametrize("kind", ["1d", "2d"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("method", PAPER_METHODS, ids=str)
def test_conv_is_autograd_of_masked_parts(method: Method, groups: int, kind: str) -> None:
    """FF, BP and WU of a convolution are autograd's of convolutions with the masked weight or gradient."""
    torch.manual_seed(1)
    two = kind == "2d"
    conv = (nn.Conv2d if two else nn.Conv1d)(16, 32, 3, stride=2, padding=1, groups=groups).double()
    reference = F.conv2d if two else F.conv1d
    convert(nn.Sequential(conv), method, PATTERN)
    x = torch.randn(2, 16, *([9, 7] if two else [9]), dtype=torch.float64, requires_grad=True)
    y = conv(x)
    dy = torch.randn_like(y)
    y.backward(dy)
    w = conv.weight.detach()
    ff, bp, g = w, w, dy
    if method in (Method.BDWP, Method.SRSTE):
        ff = w * nm_mask(w, PATTERN, 1)
    if method in (Method.BDWP, Method.SDWP):
        bp = w * nm_mask(w, PATTERN, 0)
    bp = ff if method is Method.SRSTE else bp
    if method is Method.SDGP:
        g = dy * nm_mask(dy, PATTERN, 1)

    def run(weight: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return reference(inputs, weight, conv.bias, 2, 1, 1, groups)

    torch.testing.assert_close(y, run(ff, x))
    xs, ws = x.detach().requires_grad_(), w.clone().requires_grad_()
    torch.testing.assert_close(x.grad, torch.autograd.grad(run(bp, xs), xs, g)[0])
    dw = torch.autograd.grad(run(ws, xs.detach()), ws, dy)[0]
    if method is Method.SRSTE:
        dw = dw + 2e-4 * w * ~nm_mask(w, PATTERN, 1)
    torch.testing.assert_close(conv.weight.grad, dw)


@pytest.mark.parametrize("make", [lambda: nn.Linear(8, 16), lambda: nn.Conv1d(8, 8, 3), lambda: nn.Conv2d(8, 8, 3)])
def test_dense_parts_pass_gradcheck(make) -> None:
    """With N = M every product is dense: numerical differentiation agrees."""
    torch.manual_seed(2)
    layer = make().double()
    layer.nm_rule = None
    shape = {nn.Linear: (3, 8), nn.Conv1d: (2, 8, 5), nn.Conv2d: (2, 8, 4, 4)}[type(layer)]
    del layer.nm_rule
    model = nn.Sequential(layer)
    convert(model, Method.BDWP, NM(2, 8), skip=())
    from dataclasses import replace

    layer.nm_rule = replace(layer.nm_rule, method=Method.DENSE)
    x = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer.products, (x, layer.weight))


def test_rules_for_layers_left_dense() -> None:
    model = DigitsCNN()
    report = {r.name: r for r in convert(model, Method.BDWP, PATTERN, skip=("convs.2",))}
    assert report["convs.0"].dense_cause == "dense by rule: 1 input channels, no multiple of 8"
    assert report["classifier"].dense_cause == "dense by rule: 10 output channels, no multiple of 8"
    assert report["convs.2"].dense_cause == "dense by name"
    assert report["convs.1"].dense_cause is None
    assert report["convs.1"].ff_density == report["convs.1"].bp_density == 0.25
    assert set(converted_layers(model)) == {"convs.1", "convs.3", "hidden"}
    with pytest.raises(InputError, match="no weighted layer 'nope'"):
        convert(DigitsCNN(), Method.BDWP, PATTERN, skip=("nope",))


def test_any_torch_model_keeps_its_parameters() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.MultiheadAttention(8, 2), nn.Conv2d(8, 8, 3, padding="same"))
    before, kinds = dict(model.named_parameters()), [type(m) for m in model.modules()]
    report = {r.name: r for r in convert(model, Method.BDWP, PATTERN)}
    assert {r.dense_cause for r in report.values()} == {None}
    assert {r.ff_density for r in report.values()} == {0.25}
    after = dict(model.named_parameters())
    assert all(after[n] is p for n, p in before.items())
    assert [type(m) for m in plain(model).modules()] == kinds
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_transformer_projections_are_converted() -> None:
    model = CharLM(97, 32, 2, 4, 16)
    convert(model, Method.BDWP, PATTERN)
    names = set(converted_layers(model))
    assert {f"blocks.{i}.{n}" for i in (0, 1) for n in ("attention.q", "attention.o", "fc1", "fc2")} <= names
    assert "head" not in names  # 97 outputs


def test_frozen_and_inputless_gradients() -> None:
    """No gradient is computed that nobody asked for."""
    layer = nn.Linear(8, 8)
    convert(nn.Sequential(layer), Method.BDWP, PATTERN)
    layer.weight.requires_grad_(False)
    x = torch.randn(2, 8, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None


def test_a_method_from_outside_trains_by_its_fields_and_by_its_own_rule() -> None:
    x = torch.randn(4, 16)
    fields = Method("mine", "FF alone", frozenset({Pass.FF}))
    layer = nn.Linear(16, 16)
    convert(layer_model := nn.Sequential(layer), fields, PATTERN)
    assert torch.equal(layer_model(x), F.linear(x, layer.weight * nm_mask(layer.weight, PATTERN, 1), layer.bias))

    own = Method("own", "a rule of its own", frozenset({Pass.FF}), torch_rule=f"{__name__}:Halved")
    layer = nn.Linear(16, 16)
    convert(nn.Sequential(layer), own, PATTERN)
    assert torch.equal(layer(x), F.linear(x, layer.weight / 2, layer.bias))


class Halved(NMRule):
    def ff_weight(self, weight: torch.Tensor) -> torch.Tensor:
        return weight / 2


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        ("no_such_module_here:Rule", "torch_rule cannot be loaded: ModuleNotFoundError"),
        ("pathlib:Path", "torch_rule: pathlib:Path is no subclass of .*NMRule"),
        ("", "torch_rule cannot be loaded"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(rule: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        convert(nn.Sequential(nn.Linear(16, 16)), Method("own", "", frozenset({Pass.FF}), torch_rule=rule), PATTERN)
