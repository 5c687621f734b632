# SPDX-License-Identifier: Apache-2.0
"""Rotary positions of a model, so that keys can be turned to other positions."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Rotation:
    """Which channels turn together, and how fast.

    Attributes:
        frequencies: [pairs], radians a position.
        neighbours: whether channels 2 i and 2 i + 1 are a pair (llama.cpp's order), else i and i + pairs.
    """

    frequencies: Tensor
    neighbours: bool

    def turned(self, x: Tensor, by: Tensor) -> Tensor:
        """x [heads, tokens, D] turned by so many positions, int64 [heads, tokens]; channels beyond the pairs stay."""
        angle = by[..., None].double() * self.frequencies.double()
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        count = len(self.frequencies)
        turning, rest = x[..., : 2 * count], x[..., 2 * count :]
        pairs = (turning[..., 0::2], turning[..., 1::2]) if self.neighbours else turning.split(count, -1)
        a, b = pairs[0] * cos - pairs[1] * sin, pairs[0] * sin + pairs[1] * cos
        new = torch.stack((a, b), -1).flatten(-2) if self.neighbours else torch.cat((a, b), -1)
        return torch.cat((new, rest), -1)


def rotation_of(model: nn.Module) -> Rotation | None:
    """A model's; none: it has none, several, or one in a form that is not known."""
    from algorithms.models.llama import Llama, frequencies

    if isinstance(model, Llama):
        return Rotation(frequencies(model.sizes.base, model.sizes.head), True)
    buffers = (getattr(module, "inv_freq", None) for module in model.modules())
    found = [b for b in buffers if isinstance(b, Tensor)]
    rotate: Any = getattr(sys.modules.get(type(model).__module__), "rotate_half", None)
    if not found or rotate is None or rotate(torch.arange(4)).tolist() != [-2, -3, 0, 1]:
        return None
    same = all(torch.equal(f, found[0]) for f in found)
    return Rotation(found[0], False) if same else None
