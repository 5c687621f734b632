# SPDX-License-Identifier: Apache-2.0
"""Masks of a model's layers, which stay as they are through any number of optimizer steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dataflow.errors import InputError


class Masks(dict[str, Tensor]):
    """bool tensors by module path, of the shape of that module's ``weight``; true: kept.

    A mask is kept apart from the weights: a kept weight may be 0 for a while and is still kept.
    """

    @property
    def density(self) -> float:
        """Share kept, of all weights that have a mask."""
        total = sum(mask.numel() for mask in self.values())
        return sum(int(mask.sum()) for mask in self.values()) / total if total else 1.0

    @torch.no_grad()
    def apply(self, model: nn.Module) -> None:
        """Set what is not kept to 0.

        Raises:
            InputError: a module is missing, or its weight has another shape.
        """
        for weight, mask in self._weights(model):
            weight.masked_fill_(~mask, 0.0)

    @contextmanager
    def held(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """While this lasts, every step of the optimizer leaves removed weights and their state (momenta) at 0."""
        pairs = list(self._weights(model))

        @torch.no_grad()
        def after(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            for weight, mask in pairs:
                gone = ~mask
                weight.masked_fill_(gone, 0.0)
                for value in optimizer.state.get(weight, {}).values():
                    if isinstance(value, Tensor) and value.shape == weight.shape:
                        value.masked_fill_(gone, 0.0)

        self.apply(model)
        handle = optimizer.register_step_post_hook(after)
        try:
            yield
        finally:
            handle.remove()

    def off(self, model: nn.Module) -> int:
        """Weights that are not 0 although they are not kept."""
        return sum(int((weight[~mask] != 0).sum()) for weight, mask in self._weights(model))

    def _weights(self, model: nn.Module) -> Iterator[tuple[nn.Parameter, Tensor]]:
        modules: Mapping[str, nn.Module] = dict(model.named_modules())
        for name, mask in self.items():
            weight = getattr(modules.get(name), "weight", None)
            if not isinstance(weight, nn.Parameter):
                raise InputError(f"masks: the model has no layer {name!r} with weights")
            if weight.shape != mask.shape:
                raise InputError(f"masks: layer {name!r}: weights {list(weight.shape)}, mask {list(mask.shape)}")
            yield weight, mask
