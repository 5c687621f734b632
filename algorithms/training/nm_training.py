# SPDX-License-Identifier: Apache-2.0
"""N:M sparse training: dense, SR-STE, SDGP, SDWP and BDWP for the layers of any model.

A step of a layer with dense master weights W (SAT / BDWP paper, section 2; SR-STE: arXiv 2102.04010):

    FF   Y  = X (m_ff W)         m_ff: N:M along the input channels       (BDWP, SR-STE; else W)
    BP   dX = dY (m_bp W)^T      m_bp: N:M along the output channels      (BDWP, SDWP; else W)
         dX = (m_dy dY) W^T      m_dy: N:M along the output channels      (SDGP)
         dX = dY (m_ff W)^T      what autograd gives; no N:M operand      (SR-STE)
    WU   dW = X^T dY             dense, straight through to W; SR-STE adds lambda (1 - m_ff) W

Groups of M run along channels at a fixed kernel position, inside a convolution group, and inside each of an
attention's projections. With ``fp16`` the operands of all three products are rounded to FP16 and accumulated in FP32,
and masks are chosen from the rounded weights, as the hardware does. Left out: the exact order of accumulation (that is
the simulator's functional level).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dataflow.errors import InputError
from dataflow.pattern import NM
from dataflow.training.methods import Method

from .nm_layers import NMConv1d, NMConv2d, NMLayer, NMLinear, keep_slow_path, swapped
from .nm_products import NMRule as NMRule
from .nm_products import rule_of

_TABLES = (nn.Embedding, nn.EmbeddingBag)


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
    """Make the layers of a model train N:M sparse, in place; parameters stay the same objects.

    Converted are Linear, Conv1d, Conv2d, ConvTranspose1d and 2d, MultiheadAttention's projections, transformers'
    Conv1D. Layers stay dense by `Method.dense_cause` (channels no multiple of M) or by name in ``skip``. With ``fp16``
    they are converted all the same, with the dense method, so that their operands are rounded too. A model that was
    converted before is converted anew.

    Returns:
        every module with weights of its own, converted or with its cause.

    Raises:
        InputError: a name in ``skip`` that is no weighted layer.
    """
    plain(model)
    modules = _weighted(model)
    for name in skip:
        if name not in modules:
            raise InputError(f"skip: the model has no weighted layer {name!r}; it has {', '.join(modules)}")
    report = []
    for name, module in modules.items():
        kind = type(module).__name__
        new = None if _unready(module) else swapped(type(module))
        cause = _cause(name, module, new, method, pattern, skip)
        if new is not None and (cause is None or fp16):
            module.__class__ = new
            module.nm_rule = rule_of(Method.DENSE if cause else method, pattern, fp16)  # type: ignore[assignment]  # the swapped class has it
            module.register_forward_pre_hook(keep_slow_path)
        report.append(LayerReport(name, kind, cause, *_densities(module)))
    return report


def plain(model: nn.Module) -> nn.Module:
    """Undo `convert` in place: the same parameters, dense products."""
    for module in model.modules():
        if isinstance(module, NMLayer):
            kinds: Any = type(module).__mro__
            module.__class__ = next(k for k in kinds if issubclass(k, nn.Module) and not issubclass(k, NMLayer))
            del module.nm_rule
            hooks = module._forward_pre_hooks
            for key in [k for k, hook in hooks.items() if hook is keep_slow_path]:
                del hooks[key]
    return model


def _weighted(model: nn.Module) -> dict[str, nn.Module]:
    """Modules with a weight of their own, by name; an attention has its output projection."""
    attentions = [n for n, m in model.named_modules() if isinstance(m, nn.MultiheadAttention)]
    inside = {f"{n}.out_proj" if n else "out_proj" for n in attentions}
    found = {}
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if _unready(module) or p.dim() > 1]
        given = [getattr(module, "weight", None)] if not own and swapped(type(module)) else []
        if ".parametrizations." in f".{name}.":  # how a weight is computed, not a layer
            continue
        if name not in inside and (own or any(isinstance(w, torch.Tensor) for w in given) or _computed(module)):
            found[name] = module
    return found


def _unready(module: nn.Module) -> bool:
    """Whether a lazy module has no weights yet."""
    return any(nn.parameter.is_lazy(p) for p in module.parameters(recurse=False))


def _computed(module: nn.Module) -> bool:
    """Whether a module's weight is computed from others by a parametrization."""
    return hasattr(module, "parametrizations")


def _cause(
    name: str, module: nn.Module, new: type[Any] | None, method: Method, pattern: NM, skip: Collection[str]
) -> str | None:
    if _unready(module):
        return "dense: a lazy module has no weights yet: run the model once before"
    if isinstance(module, _TABLES):
        return "dense: a table is no product"
    if _computed(module):
        return "dense: its weight is computed by a parametrization"
    if new is None:
        return f"dense: a {type(module).__name__} is not replaced"
    before = type(module)
    module.__class__ = new
    try:
        inputs, outputs = module.nm_channels()  # type: ignore[operator]  # the swapped class has it
    finally:
        module.__class__ = before
    return method.dense_cause(name, inputs, outputs, pattern, skip)


def _densities(module: nn.Module) -> tuple[float, float]:
    """Measured share of nonzero weights in FF and BP."""
    if not isinstance(module, NMLayer):
        return 1.0, 1.0
    rule, weights = module.nm_rule, module.nm_weights()
    nonzero = max(1, sum(int(rule.operand(w).count_nonzero()) for w in weights))
    return (
        sum(int(rule.ff_weight(w).count_nonzero()) for w in weights) / nonzero,
        sum(int(rule.bp_weight(w).count_nonzero()) for w in weights) / nonzero,
    )


def converted_layers(model: nn.Module) -> dict[str, NMLinear | NMConv1d | NMConv2d]:
    """The converted layers of a model by name, those whose products a trace can hold."""
    return {n: m for n, m in model.named_modules() if isinstance(m, NMLinear | NMConv1d | NMConv2d)}
