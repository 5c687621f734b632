# SPDX-License-Identifier: Apache-2.0
"""A layer's tensors laid out as the operands of its products: what the buffers of a machine are filled with.

The order of rows, reduction and columns is that of `dataflow.mapping.lowering` (its head states it); each entry of the
list that `operands` returns belongs to the product of the same place that ``lower`` makes for the layer and pass. This
is the explicit form, with every overlapping window copied: for checking values, never for counting traffic.
"""

from __future__ import annotations

import numpy as np

from ..networks.network import Conv, Linear, Weighted
from ..pattern import NM
from ..training.methods import Pass
from .lowering import phase

Pair = tuple[np.ndarray, np.ndarray]
"""left [count, rows, reduction] and right [count, reduction, cols]."""


def operands(layer: Weighted, pass_: Pass, pattern: NM, *, x: np.ndarray, w: np.ndarray, dy: np.ndarray) -> list[Pair]:
    """Operands of each product of a pass.

    Args:
        pattern: the pattern of the product's right operand: its M orders a convolution's reduction.
        x: activations, [batch, in_channels, height, width] or [batch * rows, in_features].
        w: weights, [out_channels, in_channels / groups, kh, kw] (of a transposed convolution [in_channels,
            out_channels / groups, kh, kw]) or [out_features, in_features].
        dy: output gradients, [batch, out_channels, out_height, out_width] or [batch * rows, out_features].
    """
    if isinstance(layer, Linear):
        left, right = {Pass.FF: (x, w.T), Pass.BP: (dy, w), Pass.WU: (x.T, dy)}[pass_]
        return [(left[None], right[None])]
    if layer.transposed:
        turned = {Pass.FF: Pass.BP, Pass.BP: Pass.FF, Pass.WU: Pass.WU}[pass_]
        return operands(layer.adjoint, turned, pattern, x=dy, w=w, dy=x)
    m = 1 if pattern.is_dense else pattern.m_group
    g = layer.groups
    xg, wg, dyg = _split(x, g), w.reshape(g, -1, *w.shape[1:]), _split(dy, g)
    if pass_ is Pass.BP:
        return _gradient_operands(layer, wg, dyg, m)
    columns = np.stack([_columns(layer, part, m) for part in xg])
    if pass_ is Pass.FF:
        return [(columns, np.stack([_reduce_first(part, m) for part in wg]))]
    positions = np.stack([part.transpose(0, 2, 3, 1).reshape(-1, part.shape[1]) for part in dyg])
    return [(columns.transpose(0, 2, 1), positions)]


def phases(layer: Conv) -> list[tuple[np.ndarray, np.ndarray, list[int], list[int]]]:
    """The BP products of a convolution: input rows, input columns, kernel rows and kernel columns of each."""
    found = []
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = layer.kernel, layer.stride, layer.padding, layer.dilation
    for a in range(sh):
        for b in range(sw):
            y, x = phase(layer.height, kh, sh, ph, dh, a), phase(layer.width, kw, sw, pw, dw, b)
            if all(len(part) for part in (y.taps, x.taps, y.pixels, x.pixels)):
                found.append((np.array(y.pixels), np.array(x.pixels), list(y.taps), list(x.taps)))
    return found


def input_gradient(layer: Weighted, batch: int, outputs: list[np.ndarray]) -> np.ndarray:
    """dX from the outputs of a layer's BP products: [count, rows, cols] each."""
    if isinstance(layer, Linear):
        rows: np.ndarray = outputs[0][0]
        return rows
    if layer.transposed:
        return output(layer.adjoint, batch, outputs[0])
    cin = layer.in_channels // layer.groups
    dx = np.zeros((batch, layer.groups, cin, layer.height, layer.width), outputs[0].dtype)
    for (ys, xs, _, _), out in zip(phases(layer), outputs, strict=True):
        part = out.reshape(layer.groups, batch, len(ys), len(xs), cin).transpose(1, 0, 4, 2, 3)
        dx[np.ix_(np.arange(batch), np.arange(layer.groups), np.arange(cin), ys, xs)] = part
    return dx.reshape(batch, layer.in_channels, layer.height, layer.width)


def output(layer: Weighted, batch: int, y: np.ndarray) -> np.ndarray:
    """Y as torch has it from the FF product's [count, rows, cols]; a transposed convolution has several products, and
    its Y is `input_gradient` of its `adjoint`."""
    if isinstance(layer, Linear):
        rows: np.ndarray = y[0]
        return rows
    ho, wo = layer.out_height, layer.out_width
    return y.reshape(layer.groups, batch, ho, wo, -1).transpose(1, 0, 4, 2, 3).reshape(batch, -1, ho, wo)


def weight_gradient(layer: Weighted, dw: np.ndarray) -> np.ndarray:
    """dW as torch has it from the WU product's [count, rows, cols]."""
    if isinstance(layer, Linear):
        turned: np.ndarray = dw[0].T
        return turned
    layer = layer.adjoint if layer.transposed else layer
    cin = layer.in_channels // layer.groups
    parts = dw.reshape(layer.groups, cin, *layer.kernel, -1).transpose(0, 4, 1, 2, 3)
    return parts.reshape(layer.out_channels, cin, *layer.kernel)


def _split(x: np.ndarray, groups: int) -> np.ndarray:
    """[batch, channels, h, w] to [groups, batch, channels / groups, h, w]."""
    return x.reshape(x.shape[0], groups, -1, *x.shape[2:]).swapaxes(0, 1)


def _reduce_first(w: np.ndarray, m: int) -> np.ndarray:
    """[out, channels, kh, kw] to [reduction, out]: channel group, kernel row, kernel column, channel in the group."""
    out, c, kh, kw = w.shape
    return w.reshape(out, c // m, m, kh, kw).transpose(1, 3, 4, 2, 0).reshape(-1, out)


def _columns(layer: Conv, x: np.ndarray, m: int) -> np.ndarray:
    """Explicit im2col: [batch, channels, h, w] to [positions, reduction]."""
    (sh, sw), (dh, dw) = layer.stride, layer.dilation
    padded = np.pad(x, ((0, 0), (0, 0), *zip(layer.padding, layer.ends, strict=True)))
    view = np.lib.stride_tricks.sliding_window_view(padded, layer.spans, (2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]
    b, c, ho, wo, kh, kw = view.shape
    return view.reshape(b, c // m, m, ho, wo, kh, kw).transpose(0, 3, 4, 1, 5, 6, 2).reshape(b * ho * wo, -1)


def _gradient_operands(layer: Conv, wg: np.ndarray, dyg: np.ndarray, m: int) -> list[Pair]:
    found = []
    (sh, sw), (ph, pw), (dh, dw) = layer.stride, layer.padding, layer.dilation
    g, batch, cout = dyg.shape[:3]
    for ys, xs, taps_h, taps_w in phases(layer):
        rows = (ys[:, None] + ph - dh * np.array(taps_h)) // sh  # output row that tap reaches from input row y
        cols = (xs[:, None] + pw - dw * np.array(taps_w)) // sw
        reach = ((rows >= 0) & (rows < layer.out_height))[:, None, :, None]
        reach = reach & ((cols >= 0) & (cols < layer.out_width))[None, :, None, :]
        r, c = rows.clip(0, layer.out_height - 1), cols.clip(0, layer.out_width - 1)
        picked = dyg[..., r[:, None, :, None], c[None, :, None, :]] * reach.astype(dyg.dtype)
        picked = picked.reshape(g, batch, cout // m, m, *picked.shape[3:])
        left = picked.transpose(0, 1, 4, 5, 2, 6, 7, 3).reshape(g, batch * len(ys) * len(xs), -1)
        kept = wg[:, :, :, taps_h][..., taps_w]  # [g, cout, cin, taps_h, taps_w]
        kept = kept.reshape(g, cout // m, m, *kept.shape[2:])
        found.append((left, kept.transpose(0, 1, 4, 5, 2, 3).reshape(g, -1, kept.shape[3])))
    return found
