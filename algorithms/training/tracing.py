# SPDX-License-Identifier: Apache-2.0
"""Taking a trace: one forward and backward pass of a few samples, with every tensor of chosen layers kept.

The samples are the first of the step's own batch and run through a copy of the model (batch normalization uses its
running statistics), so that training is not disturbed. Biases are left out of ``y``: they are no part of a product.
"""

from __future__ import annotations

import copy
import platform
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dataflow.errors import InputError
from dataflow.training.methods import Method, Pass

from .nm_layers import NMConv1d, NMConv2d, NMLinear
from .nm_training import NMRule, converted_layers

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def traced_layers(model: nn.Module, chosen: Sequence[str]) -> list[str]:
    """``chosen``, or the first two N:M layers where none is named.

    Raises:
        InputError: a name that is no converted layer.
    """
    layers = converted_layers(model)
    for name in chosen:
        if name not in layers:
            raise InputError(f"trace_layers: {name!r} is no converted layer; those are {', '.join(layers)}")
    sparse = [n for n, m in layers.items() if m.nm_rule.method.sparse_passes] or list(layers)
    return list(chosen) or sparse[:2]


def take_trace(
    model: nn.Module, names: Sequence[str], loss: Loss, x: Tensor, y: Tensor
) -> dict[str, dict[str, np.ndarray]]:
    """The tensors of `dataflow.training.trace` for each layer, except the optimizer's."""
    model = copy.deepcopy(model).eval()
    layers = converted_layers(model)
    seen: dict[str, dict[str, Tensor]] = {n: {} for n in names}
    handles = []
    for name in names:
        handles.append(layers[name].register_forward_hook(_keep(seen[name])))
    model.zero_grad()
    loss(model, x, y).backward()
    for handle in handles:
        handle.remove()
    return {name: _tensors(layers[name], seen[name]) for name in names}


def _keep(kept: dict[str, Tensor]) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        if "x" in kept:
            raise InputError("a layer that runs twice in a step cannot be traced")
        kept["x"] = args[0].detach()
        kept["y"] = out.detach()
        out.register_hook(lambda g: kept.__setitem__("dy", g.detach()))
        if args[0].requires_grad:
            kept["input"] = args[0]

    return hook


def _tensors(layer: NMLinear | NMConv1d | NMConv2d, kept: dict[str, Tensor]) -> dict[str, np.ndarray]:
    rule, weight = layer.nm_rule, layer.weight.detach()
    sparse = rule.method.sparse_passes
    ones = torch.ones_like(weight, dtype=torch.bool)
    bias = 0 if layer.bias is None else layer.bias.detach()
    if not isinstance(layer, NMLinear) and layer.bias is not None:
        bias = layer.bias.detach().reshape(-1, *[1] * (weight.dim() - 2))
    ff_mask = rule.ff_mask(weight) if Pass.FF in sparse else ones
    bp_mask = rule.bp_mask(weight) if Pass.BP in sparse and not rule.method.prunes_gradients else ones
    tensors = {
        "weight": weight,
        "ff_mask": ff_mask,
        "bp_mask": ff_mask if rule.method.bp_uses_ff_mask else bp_mask,
        "x": kept["x"],
        "y": kept["y"] - bias,
        "dy": kept["dy"],
    }
    # this layer's products alone: the input may have other users (a residual branch), the gradient a regularizer
    x, own = kept["x"].clone().requires_grad_(), weight.clone().requires_grad_()
    if "input" in kept:
        (tensors["dx"],) = torch.autograd.grad(layer.products(x, own), x, kept["dy"])
    layer.nm_rule = NMRule(Method.DENSE, rule.pattern, rule.fp16)
    (tensors["dw"],) = torch.autograd.grad(layer.products(x, own), own, kept["dy"])
    if isinstance(layer, NMLinear):  # rows of all samples, as the products see them
        tensors |= {n: tensors[n].flatten(0, -2) for n in ("x", "y", "dy", "dx") if n in tensors}
    return {n: np.ascontiguousarray(t.detach().numpy()) for n, t in tensors.items()}


def versions() -> dict[str, str]:
    """What a trace or a result was made with."""
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "hwsim": version("hwsim"),
    }
