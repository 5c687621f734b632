# SPDX-License-Identifier: Apache-2.0
"""N:M sparse training: dense, SR-STE, SDGP, SDWP and BDWP for Linear, Conv1d and Conv2d of any model.

A step of a layer with dense master weights W (SAT / BDWP paper, section 2; SR-STE: arXiv 2102.04010):

    FF   Y  = X (m_ff W)         m_ff: N:M along the input channels       (BDWP, SR-STE; else W)
    BP   dX = dY (m_bp W)^T      m_bp: N:M along the output channels      (BDWP, SDWP; else W)
         dX = (m_dy dY) W^T      m_dy: N:M along the output channels      (SDGP)
         dX = dY (m_ff W)^T      what autograd gives; no N:M operand      (SR-STE)
    WU   dW = X^T dY             dense, straight through to W; SR-STE adds lambda (1 - m_ff) W

Groups of M run along channels at a fixed kernel position, inside a convolution group. With ``fp16`` the operands of all
three products are rounded to FP16 and accumulated in FP32, and masks are chosen from the rounded weights, as the
hardware does. Left out: the exact order of accumulation (that is the simulator's functional level), and
``nn.MultiheadAttention``, whose projections are not modules: it is reported as left dense.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataflow.errors import InputError
from dataflow.pattern import NM
from dataflow.registry import load
from dataflow.training.methods import Method, Pass

from ..pruning.masks import nm_mask


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
        return w * self.ff_mask(weight) if Pass.FF in self.method.sparse_passes else w

    def bp_weight(self, weight: Tensor) -> Tensor:
        w = self.operand(weight)
        if self.method.bp_uses_ff_mask:
            return w * self.ff_mask(weight)
        prunes = Pass.BP in self.method.sparse_passes and not self.method.prunes_gradients
        return w * self.bp_mask(weight) if prunes else w

    def bp_gradient(self, dy: Tensor, channels: int) -> Tensor:
        g = self.operand(dy)
        return g * self._mask(dy, channels) if self.method.prunes_gradients else g

    def regularized(self, dw: Tensor, weight: Tensor) -> Tensor:
        if not self.method.pruned_weight_decay:
            return dw
        return dw + self.method.pruned_weight_decay * weight * ~self.ff_mask(weight)


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


class _LinearProducts(torch.autograd.Function):
    """The three products of a linear layer: x [..., in], weight [out, in]."""

    @staticmethod
    def forward(ctx, x, weight, rule):  # type: ignore[no-untyped-def]  # torch's own signature is free
        ctx.save_for_backward(x, weight)
        ctx.rule = rule
        return F.linear(rule.operand(x), rule.ff_weight(weight))

    @staticmethod
    def backward(ctx, dy):  # type: ignore[no-untyped-def]  # torch's own signature is free
        x, weight = ctx.saved_tensors
        rule = ctx.rule
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = rule.bp_gradient(dy, -1) @ rule.bp_weight(weight)
        if ctx.needs_input_grad[1]:
            dw = rule.operand(dy).flatten(0, -2).T @ rule.operand(x).flatten(0, -2)
            dw = rule.regularized(dw, weight)
        return dx, dw, None


class _ConvProducts(torch.autograd.Function):
    """The three products of a convolution; ``shape`` is (stride, padding, dilation, groups)."""

    @staticmethod
    def forward(ctx, x, weight, rule, shape):  # type: ignore[no-untyped-def]  # torch's own signature is free
        ctx.save_for_backward(x, weight)
        ctx.rule, ctx.shape = rule, shape
        stride, padding, dilation, groups = shape
        conv = F.conv1d if weight.dim() == 3 else F.conv2d
        return conv(rule.operand(x), rule.ff_weight(weight), None, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx, dy):  # type: ignore[no-untyped-def]  # torch's own signature is free
        x, weight = ctx.saved_tensors
        rule = ctx.rule
        dx = dw = None

        def backward(g: Tensor, xs: Tensor, w: Tensor, wanted: list[bool]) -> Any:
            stride, padding, dilation, groups = ctx.shape
            zeros = [0] * len(stride)
            return torch.ops.aten.convolution_backward(
                g, xs, w, None, stride, padding, dilation, False, zeros, groups, wanted
            )

        if ctx.needs_input_grad[0]:
            g, w = rule.bp_gradient(dy, 1), rule.bp_weight(weight)
            dx = backward(g, x, w, [True, False, False])[0]
        if ctx.needs_input_grad[1]:
            dw = backward(rule.operand(dy), rule.operand(x), weight, [False, True, False])[1]
            dw = rule.regularized(dw, weight)
        return dx, dw, None, None


class NMLinear(nn.Linear):
    """A linear layer whose products follow ``nm_rule``."""

    nm_rule: NMRule

    def products(self, x: Tensor, weight: Tensor) -> Tensor:
        """The output without bias; its backward pass is the other two products."""
        out: Tensor = _LinearProducts.apply(x, weight, self.nm_rule)  # type: ignore[no-untyped-call]  # torch's
        return out

    def forward(self, x: Tensor) -> Tensor:
        y = self.products(x, self.weight)
        return y if self.bias is None else y + self.bias


class _NMConv:
    nm_rule: NMRule

    def products(self, x: Tensor, weight: Tensor) -> Tensor:
        """The output without bias; its backward pass is the other two products."""
        c: nn.Conv2d = self  # type: ignore[assignment]  # a mixin of it
        out: Tensor = _ConvProducts.apply(  # type: ignore[no-untyped-call]  # torch's
            x, weight, self.nm_rule, (c.stride, c.padding, c.dilation, c.groups)
        )
        return out

    def forward(self, x: Tensor) -> Tensor:
        c: nn.Conv2d = self  # type: ignore[assignment]  # a mixin of it
        y = self.products(x, c.weight)
        return y if c.bias is None else y + c.bias.reshape(-1, *[1] * (c.weight.dim() - 2))


class NMConv1d(_NMConv, nn.Conv1d):
    """A 1-D convolution whose products follow ``nm_rule``."""


class NMConv2d(_NMConv, nn.Conv2d):
    """A 2-D convolution whose products follow ``nm_rule``."""


_SWAP: dict[type, type] = {nn.Linear: NMLinear, nn.Conv1d: NMConv1d, nn.Conv2d: NMConv2d}


@dataclass(frozen=True)
class LayerReport:
    """One weighted layer after `convert`: why it stayed dense (None: it did not), and its density in each pass."""

    name: str
    kind: str
    dense_cause: str | None
    ff_density: float
    bp_density: float


def convert(
    model: nn.Module, method: Method, pattern: NM, *, skip: Collection[str] = (), fp16: bool = False
) -> list[LayerReport]:
    """Make every Linear, Conv1d and Conv2d of a model train N:M sparse, in place; parameters stay the same objects.

    Layers stay dense by `Method.dense_cause` (channels no multiple of M) or by name in ``skip``.
    With ``fp16`` they are converted all the same, with the dense method, so that their operands are rounded too.

    Raises:
        InputError: a name in ``skip`` that is no weighted layer.
    """
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.MultiheadAttention)
    modules = {n: m for n, m in model.named_modules() if isinstance(m, kinds)}
    for name in skip:
        if name not in modules:
            raise InputError(f"skip: the model has no weighted layer {name!r}; it has {', '.join(modules)}")
    report = []
    for name, module in modules.items():
        kind = type(module).__name__
        cause = _cause(name, module, method, pattern, skip)
        if cause is None or (fp16 and _can_swap(module)):
            module.__class__ = _SWAP[type(module)]
            module.nm_rule = rule_of(Method.DENSE if cause else method, pattern, fp16)  # type: ignore[assignment]  # the swapped class has it
        report.append(LayerReport(name, kind, cause, *_densities(module)))
    return report


def plain(model: nn.Module) -> nn.Module:
    """Undo `convert` in place: the same parameters, dense products."""
    for module in converted_layers(model).values():
        module.__class__ = next(base for base, swapped in _SWAP.items() if type(module) is swapped)
        del module.nm_rule
    return model


def _cause(name: str, module: nn.Module, method: Method, pattern: NM, skip: Collection[str]) -> str | None:
    if type(module) not in _SWAP and not isinstance(module, nn.MultiheadAttention):
        return f"dense: a {type(module).__name__} is not replaced"
    if isinstance(module, nn.Linear):
        cin, cout = module.in_features, module.out_features
    elif isinstance(module, nn.Conv1d | nn.Conv2d):
        cin, cout = module.in_channels // module.groups, module.out_channels // module.groups
        if not _can_swap(module):
            return "dense: padding by name or not with zeros"
    else:
        return "dense: the projections of nn.MultiheadAttention are no modules"
    return method.dense_cause(name, cin, cout, pattern, skip)


def _can_swap(module: nn.Module) -> bool:
    padding = getattr(module, "padding", ()), getattr(module, "padding_mode", "zeros")
    return type(module) in _SWAP and not isinstance(padding[0], str) and padding[1] == "zeros"


def _densities(module: nn.Module) -> tuple[float, float]:
    """Measured share of nonzero weights in FF and BP."""
    if not isinstance(module, NMLinear | NMConv1d | NMConv2d):
        return 1.0, 1.0
    rule, weight = module.nm_rule, module.weight.detach()
    nonzero = max(1, int(rule.operand(weight).count_nonzero()))
    return (
        int(rule.ff_weight(weight).count_nonzero()) / nonzero,
        int(rule.bp_weight(weight).count_nonzero()) / nonzero,
    )


def converted_layers(model: nn.Module) -> dict[str, NMLinear | NMConv1d | NMConv2d]:
    """The converted layers of a model by name."""
    return {n: m for n, m in model.named_modules() if isinstance(m, NMLinear | NMConv1d | NMConv2d)}
