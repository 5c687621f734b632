# SPDX-License-Identifier: Apache-2.0
"""Lowering against torch's autograd: operands in lowering's order, multiplied, are the layer's three products."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dataflow.mapping.lowering import lower
from dataflow.mapping.operands import input_gradient, operands, output, weight_gradient
from dataflow.networks.network import Conv, Linear, Network
from dataflow.pattern import NM
from dataflow.training.methods import Method, Pass

CONVS: list[tuple] = [
    # in, out, h, w, kernel, stride, padding, groups, then dilation, padding below and right
    (4, 8, 7, 6, (3, 3), (1, 1), (1, 1), 1),
    (8, 4, 9, 9, (3, 3), (2, 2), (1, 1), 1),
    (4, 4, 8, 5, (1, 1), (2, 2), (0, 0), 1),
    (8, 8, 11, 7, (7, 5), (2, 3), (3, 0), 1),
    (8, 12, 6, 6, (3, 3), (1, 2), (0, 2), 4),
    (4, 8, 1, 13, (1, 4), (1, 2), (0, 1), 2),
    (4, 4, 5, 5, (2, 2), (3, 3), (0, 0), 1),
    (1, 1, 1, 1, (1, 1), (1, 1), (0, 0), 1),
    (4, 4, 2, 2, (5, 5), (4, 4), (3, 2), 1),
    (4, 8, 9, 8, (3, 3), (1, 1), (2, 2), 1, (2, 2)),
    (8, 4, 13, 9, (3, 2), (2, 3), (1, 0), 1, (3, 2)),
    (8, 8, 12, 16, (3, 5), (2, 4), (2, 3), 2, (4, 2)),
    (4, 4, 11, 11, (4, 3), (6, 2), (5, 1), 1, (4, 5)),
    (4, 8, 7, 6, (3, 3), (1, 2), (1, 0), 1, (1, 1), (0, 2)),
    (4, 8, 7, 9, (2, 4), (3, 2), (0, 3), 4, (2, 2), (1, 1)),
]
TRANSPOSED: list[tuple] = [
    # as above; the last two are output_padding and padding below and right
    (4, 8, 7, 6, (3, 3), (1, 1), (1, 1), 1, (1, 1), (0, 0)),
    (8, 4, 5, 5, (2, 2), (2, 2), (0, 0), 1, (1, 1), (0, 0)),
    (4, 4, 5, 4, (4, 4), (2, 2), (1, 1), 1, (1, 1), (0, 0)),
    (4, 8, 5, 4, (3, 3), (2, 3), (1, 0), 1, (1, 1), (1, 2)),
    (8, 8, 4, 3, (5, 3), (3, 2), (2, 1), 4, (2, 3), (0, 1)),
    (4, 4, 3, 3, (2, 2), (3, 3), (0, 0), 1, (1, 1), (2, 0)),
    (8, 4, 1, 9, (1, 4), (1, 2), (0, 1), 1, (1, 2), (0, 1)),
]


def conv_of(case: tuple) -> Conv:
    cin, cout, h, w, kernel, stride, padding, groups, *more = case
    names = ("dilation", "padding_end")
    return Conv(
        name="c", in_channels=cin, out_channels=cout, height=h, width=w, kernel=kernel, stride=stride,
        padding=padding, groups=groups, **dict(zip(names, more, strict=False)),
    )  # fmt: skip


def run(layer, pass_, pattern, x, w, dy):
    """Each product of a pass, with its sizes held against the lowered ones."""
    products = [
        p
        for p in lower(Network(name="n", layers=(layer,)), batch=len(x), method=Method.DENSE, pattern=pattern).products
        if p.pass_ is pass_
    ]
    pairs = operands(layer, pass_, pattern, x=x, w=w, dy=dy)
    assert len(pairs) == len(products)
    for product, (left, right) in zip(products, pairs, strict=True):
        assert left.shape == (product.count, product.rows, product.reduction)
        assert right.shape == (product.count, product.reduction, product.cols)
    return [left @ right for left, right in pairs]


@pytest.mark.parametrize("case", CONVS)
@pytest.mark.parametrize("m", [1, 4])
def test_conv_products_are_autograds(case: tuple, m: int) -> None:
    layer = conv_of(case)
    pattern = NM(m // 2, m) if m > 1 and layer.in_channels // layer.groups % m == 0 else NM(1, 1)
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(3, layer.in_channels, layer.height, layer.width, generator=rng, dtype=torch.float64)
    w = torch.randn(layer.out_channels, layer.in_channels // layer.groups, *layer.kernel, generator=rng).double()
    x.requires_grad_()
    w.requires_grad_()
    (top, left), (bottom, right) = layer.padding, layer.ends
    padded = F.pad(x, (left, right, top, bottom))
    y = F.conv2d(padded, w, None, layer.stride, 0, layer.dilation, layer.groups)
    assert layer.macs == y[0].numel() * w[0].numel()
    assert y.shape[2:] == (layer.out_height, layer.out_width)
    dy = torch.randn(y.shape, generator=rng, dtype=torch.float64)
    y.backward(dy)
    values = x.detach().numpy(), w.detach().numpy(), dy.numpy()
    (ff,) = run(layer, Pass.FF, pattern, *values)
    np.testing.assert_allclose(output(layer, 3, ff), y.detach().numpy(), atol=1e-12)
    (wu,) = run(layer, Pass.WU, NM(1, 1), *values)
    np.testing.assert_allclose(weight_gradient(layer, wu), w.grad.numpy(), atol=1e-11)
    if layer.out_channels // layer.groups % pattern.m_group == 0:
        bp = run(layer, Pass.BP, pattern, *values)
        np.testing.assert_allclose(input_gradient(layer, 3, bp), x.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("case", TRANSPOSED)
@pytest.mark.parametrize("m", [1, 4])
def test_transposed_conv_products_are_autograds(case: tuple, m: int) -> None:
    cin, cout, h, w, kernel, stride, padding, groups, dilation, output_padding = case
    layer = Conv(
        name="c", in_channels=cin, out_channels=cout, height=h, width=w, kernel=kernel, stride=stride, padding=padding,
        groups=groups, dilation=dilation, output_padding=output_padding, transposed=True,
    )  # fmt: skip
    pattern = NM(m // 2, m) if m > 1 and cin // groups % m == 0 else NM(1, 1)
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(3, cin, h, w, generator=rng, dtype=torch.float64).requires_grad_()
    weights = torch.randn(cin, cout // groups, *kernel, generator=rng, dtype=torch.float64).requires_grad_()
    y = F.conv_transpose2d(x, weights, None, stride, padding, output_padding, groups, dilation)
    assert y.shape[2:] == (layer.out_height, layer.out_width)
    assert layer.macs == x[0].numel() * weights[0].numel()
    dy = torch.randn(y.shape, generator=rng, dtype=torch.float64)
    y.backward(dy)
    values = x.detach().numpy(), weights.detach().numpy(), dy.numpy()
    ff = run(layer, Pass.FF, pattern, *values)
    np.testing.assert_allclose(input_gradient(layer.adjoint, 3, ff), y.detach().numpy(), atol=1e-12)
    (wu,) = run(layer, Pass.WU, NM(1, 1), *values)
    np.testing.assert_allclose(weight_gradient(layer, wu), weights.grad.numpy(), atol=1e-11)
    if cout // groups % pattern.m_group == 0:
        bp = run(layer, Pass.BP, pattern, *values)
        np.testing.assert_allclose(input_gradient(layer, 3, bp), x.grad.numpy(), atol=1e-12)


def test_linear_products_are_autograds() -> None:
    layer = Linear(name="l", in_features=6, out_features=10)
    rng = np.random.default_rng(0)
    x, w, dy = rng.standard_normal((5, 6)), rng.standard_normal((10, 6)), rng.standard_normal((5, 10))
    np.testing.assert_allclose(output(layer, 5, run(layer, Pass.FF, NM(1, 1), x, w, dy)[0]), x @ w.T)
    np.testing.assert_allclose(input_gradient(layer, 5, run(layer, Pass.BP, NM(1, 1), x, w, dy)), dy @ w)
    np.testing.assert_allclose(weight_gradient(layer, run(layer, Pass.WU, NM(1, 1), x, w, dy)[0]), dy.T @ x)


def test_a_group_of_m_holds_m_channels_at_one_kernel_position() -> None:
    layer = conv_of((8, 4, 5, 5, (3, 3), (1, 1), (1, 1), 1))
    w = np.arange(4 * 8 * 9).reshape(4, 8, 3, 3)
    (_, right), = operands(
        layer, Pass.FF, NM(2, 4), x=np.zeros((1, 8, 5, 5)), w=w, dy=np.zeros((1, 4, 5, 5))
    )  # fmt: skip
    groups = right[0].reshape(-1, 4, 4)  # [groups, M, out]
    assert (np.diff(groups, axis=1) == 9).all()
