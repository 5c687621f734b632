# SPDX-License-Identifier: Apache-2.0
"""Networks that say of what kind of file a block of 512 bytes is: convolutions, and a transformer. Trained here."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK = 512
"""Bytes of a sample."""
PATCH = 16
"""Bytes of a token of the transformer."""


class Stage(nn.Module):
    """x [samples, channels, positions] through a convolution, batch normalization and ReLU."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, out, kernel, stride)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class Channels(nn.Module):
    """Bytes int64 [samples, 512] to [samples, width, 512]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.embedding(x).transpose(1, 2)
        return out


class Head(nn.Module):
    """The mean over positions to logits; ``last``: positions are the last dimension, not the last but one."""

    def __init__(self, width: int, types: int, *, last: bool) -> None:
        super().__init__()
        self.dim = 2 if last else 1
        self.linear = nn.Linear(width, types)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x.mean(self.dim))
        return out


class Convolutions(nn.Module):
    """Four convolutions and a linear layer.

    Args:
        width: channels of the first; the others have 4/3, 2 and 8/3 of it, all in multiples of 8.
    """

    WIDTH = 48

    def __init__(self, types: int, width: int = WIDTH) -> None:
        super().__init__()
        a, b, c, d = (8 * max(1, round(width * k / 24)) for k in (3, 4, 6, 8))
        self.bytes = Channels(32)
        self.convs = nn.ModuleList([Stage(32, a, 8, 4), Stage(a, b, 4, 2), Stage(b, c, 4, 2), Stage(c, d, 4, 2)])
        self.head = Head(d, types, last=True)

    @property
    def stages(self) -> list[nn.Module]:
        return [self.bytes, *self.convs, self.head]

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        return x


class Patches(nn.Module):
    """Bytes int64 [samples, 512] to tokens [samples, 32, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, 8)
        self.linear = nn.Linear(8 * PATCH, width)
        self.places = nn.Parameter(0.02 * torch.randn(BLOCK // PATCH, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(self.embedding(x).reshape(-1, BLOCK // PATCH, 8 * PATCH)) + self.places
        return out


class Layer(nn.Module):
    """Attention and a feed-forward part, each behind a norm, x [samples, tokens, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        q, k, v = (f(y).unflatten(2, (self.heads, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        scores = (q @ k.transpose(2, 3)) * q.shape[3] ** -0.5
        x = x + self.o((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        out: Tensor = x + self.down(F.gelu(self.up(self.norm2(x))))
        return out


class Transformer(nn.Module):
    """Two layers over 32 tokens of 16 bytes.

    Args:
        width: in multiples of 16.
    """

    WIDTH = 96
    HEADS = 4

    def __init__(self, types: int, width: int = WIDTH) -> None:
        super().__init__()
        width = 16 * max(1, round(width / 16))
        self.bytes = Patches(width)
        self.layers = nn.ModuleList([Layer(width, self.HEADS) for _ in range(2)])
        self.head = Head(width, types, last=False)

    @property
    def stages(self) -> list[nn.Module]:
        return [self.bytes, *self.layers, self.head]

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        return x
