# SPDX-License-Identifier: Apache-2.0
"""The three products of a training step with N:M operands: the rule of a method, and products as torch functions.

A pruned element is selected away, never multiplied by 0: what was infinite or NaN is 0. Under autocast the operands of
all three products have its type; masks are chosen from the master weights all the same.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dataflow.errors import InputError
from dataflow.pattern import NM
from dataflow.registry import load
from dataflow.training.methods import Method, Pass

from ..pruning.masks import nm_mask


def selected(x: Tensor, mask: Tensor) -> Tensor:
    """``x`` where ``mask``, else 0."""
    return torch.where(mask, x, torch.zeros((), dtype=x.dtype, device=x.device))


@dataclass(frozen=True)
class NMRule:
    """What a converted layer does in each pass, as its method's fields say; `Method.torch_rule` names subclasses."""

    method: Method
    pattern: NM
    fp16: bool = False

    def operand(self, x: Tensor) -> Tensor:
        """A product's operand as the hardware sees it."""
        return x.half().to(x.dtype) if self.fp16 else x

    def _mask(self, x: Tensor, dim: int) -> Tensor:
        return nm_mask(x.half() if self.fp16 else x, self.pattern, dim)

    def ff_mask(self, weight: Tensor) -> Tensor:
        """Mask along the input channels (dimension 1 of a torch weight)."""
        return self._mask(weight, 1)

    def bp_mask(self, weight: Tensor) -> Tensor:
        """Mask along the output channels (dimension 0 of a torch weight)."""
        return self._mask(weight, 0)

    def ff_weight(self, weight: Tensor) -> Tensor:
        w = self.operand(weight)
        return selected(w, self.ff_mask(weight)) if Pass.FF in self.method.sparse_passes else w

    def bp_weight(self, weight: Tensor) -> Tensor:
        w = self.operand(weight)
        if self.method.bp_uses_ff_mask:
            return selected(w, self.ff_mask(weight))
        prunes = Pass.BP in self.method.sparse_passes and not self.method.prunes_gradients
        return selected(w, self.bp_mask(weight)) if prunes else w

    def bp_gradient(self, dy: Tensor, channels: int) -> Tensor:
        g = self.operand(dy)
        return selected(g, self._mask(dy, channels)) if self.method.prunes_gradients else g

    def regularized(self, dw: Tensor, weight: Tensor) -> Tensor:
        if not self.method.pruned_weight_decay:
            return dw
        return dw + self.method.pruned_weight_decay * selected(weight, ~self.ff_mask(weight))


def rule_of(method: Method, pattern: NM, fp16: bool = False) -> NMRule:
    """The rule of a method's layers.

    Raises:
        InputError: the method's ``torch_rule`` cannot be loaded, or is no subclass of `NMRule`.
    """
    if method.torch_rule is None:
        return NMRule(method, pattern, fp16)
    where = f"training method {method.name!r}: torch_rule"
    rule = load(method.torch_rule, where)
    if not (isinstance(rule, type) and issubclass(rule, NMRule)):
        raise InputError(f"{where}: {method.torch_rule} is no subclass of {NMRule.__module__}.NMRule")
    return rule(method, pattern, fp16)


def linear_products(x: Tensor, weight: Tensor, rule: NMRule) -> Tensor:
    """The output [..., out] of x [..., in] and weight [out, in]; its backward pass is the other two products."""
    out: Tensor = _LinearProducts.apply(x, weight, rule, _autocast(x))  # type: ignore[no-untyped-call]  # torch's
    return out


def conv_products(x: Tensor, weight: Tensor, rule: NMRule, window: Window) -> Tensor:
    """The same of a convolution of a batch."""
    out: Tensor = _ConvProducts.apply(x, weight, rule, window, _autocast(x))  # type: ignore[no-untyped-call]  # torch's
    return out


@dataclass(frozen=True)
class Window:
    """How a convolution moves: of each dimension of space, and in groups."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool = False
    output_padding: tuple[int, ...] = ()

    def by_channels(self, weight: Tensor) -> Tensor:
        """A weight with its output channels first, and back: a transposed convolution has its input channels first."""
        return weight.transpose(0, 1) if self.transposed else weight


def _autocast(x: Tensor) -> torch.dtype | None:
    """The type that operands have under autocast; None: it is off."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None


def _cast(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    return x if dtype is None or not x.is_floating_point() else x.to(dtype)


def _as_it_is(x: Tensor) -> AbstractContextManager[Any]:
    """Within: no operand is cast again."""
    return torch.autocast(x.device.type, enabled=False)


class _LinearProducts(torch.autograd.Function):
    """The three products of a linear layer."""

    @staticmethod
    def forward(ctx, x, weight, rule, dtype):  # type: ignore[no-untyped-def]  # torch's own signature is free
        ctx.save_for_backward(x, weight)
        ctx.rule, ctx.dtype = rule, dtype
        with _as_it_is(x):
            return F.linear(_cast(rule.operand(x), dtype), _cast(rule.ff_weight(weight), dtype))

    @staticmethod
    def backward(ctx, dy):  # type: ignore[no-untyped-def]  # torch's own signature is free
        x, weight = ctx.saved_tensors
        rule, dtype = ctx.rule, ctx.dtype
        dx = dw = None
        with _as_it_is(x):
            if ctx.needs_input_grad[0]:
                dx = (rule.bp_gradient(dy, -1) @ _cast(rule.bp_weight(weight), dtype)).to(x.dtype)
            if ctx.needs_input_grad[1]:
                rows = _cast(rule.operand(x), dtype).reshape(-1, x.shape[-1])
                dw = (rule.operand(dy).reshape(-1, dy.shape[-1]).T @ rows).to(weight.dtype)
                dw = rule.regularized(dw, weight)
        return dx, dw, None, None


class _ConvProducts(torch.autograd.Function):
    """The three products of a convolution, transposed or not."""

    @staticmethod
    def forward(ctx, x, weight, rule, window, dtype):  # type: ignore[no-untyped-def]  # torch's own signature is free
        ctx.save_for_backward(x, weight)
        ctx.rule, ctx.window, ctx.dtype = rule, window, dtype
        ff = window.by_channels(rule.ff_weight(window.by_channels(weight)))
        with _as_it_is(x):
            return torch.convolution(
                _cast(rule.operand(x), dtype), _cast(ff, dtype), None, window.stride, window.padding, window.dilation,
                window.transposed, window.output_padding or [0] * len(window.stride), window.groups,
            )  # fmt: skip

    @staticmethod
    def backward(ctx, dy):  # type: ignore[no-untyped-def]  # torch's own signature is free
        x, weight = ctx.saved_tensors
        rule, window, dtype = ctx.rule, ctx.window, ctx.dtype
        dx = dw = None

        def backward(g: Tensor, xs: Tensor, w: Tensor, wanted: list[bool]) -> Any:
            return torch.ops.aten.convolution_backward(
                g, xs, w, None, window.stride, window.padding, window.dilation, window.transposed,
                window.output_padding or [0] * len(window.stride), window.groups, wanted,
            )  # fmt: skip

        mine = window.by_channels(weight)
        with _as_it_is(x):
            if ctx.needs_input_grad[0]:
                bp = _cast(window.by_channels(rule.bp_weight(mine)), dtype)
                dx = backward(rule.bp_gradient(dy, 1), _cast(x, dtype), bp, [True, False, False])[0].to(x.dtype)
            if ctx.needs_input_grad[1]:
                rows = _cast(rule.operand(x), dtype)
                dw = backward(rule.operand(dy), rows, _cast(weight, dtype), [False, True, False])[1].to(weight.dtype)
                dw = window.by_channels(rule.regularized(window.by_channels(dw), mine))
        return dx, dw, None, None, None
