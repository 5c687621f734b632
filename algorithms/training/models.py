# SPDX-License-Identifier: Apache-2.0
"""Small models that train in seconds to minutes on a CPU, with channel counts that N:M groups divide."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DigitsCNN(nn.Module):
    """8 x 8 digits: four 3 x 3 convolutions (32, 32, 64, 64), batch norm, a 10-way classifier. x: [batch, 1, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 32, 32, 64, 64)
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1, bias=False) for i, o in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in widths[1:])
        self.hidden = nn.Linear(64 * 2 * 2, 128)
        self.classifier = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(x)))
            if i in (1, 3):
                x = F.max_pool2d(x, 2)
        out: Tensor = self.classifier(F.relu(self.hidden(x.flatten(1))))
        return out


class DigitsMLP(nn.Module):
    """64 - 256 - 256 - 10. x: [batch, 1, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 256), nn.Linear(256, 256)
        self.classifier = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))
        return out


def attend(module: Attention, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """softmax(q k^T scale) v. All [batch, heads, tokens, head dimension]."""
    score = q @ k.transpose(-2, -1) * scale
    if module.causal:
        t = q.shape[-2]
        score = score.masked_fill(torch.ones(t, t, dtype=torch.bool, device=q.device).triu(1), float("-inf"))
    return score.softmax(-1) @ v


class Attention(nn.Module):
    """Multi-head self-attention with separate linear projections. x: [batch, tokens, dim].

    ``attend`` may be replaced (`algorithms.attention.attach`).
    """

    def __init__(self, dim: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.attend = attend
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = (p(x).view(b, t, self.heads, -1).transpose(1, 2) for p in (self.q, self.k, self.v))
        y = self.attend(self, q, k, v, (d // self.heads) ** -0.5)
        out: Tensor = self.o(y.transpose(1, 2).reshape(b, t, d))
        return out


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, dim: int, heads: int, ffn: int, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, causal)
        self.fc1, self.fc2 = nn.Linear(dim, ffn), nn.Linear(ffn, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return out


class DigitsViT(nn.Module):
    """Sixteen 2 x 2 patches, width 64, 4 blocks, mean pooling. x: [batch, 1, 8, 8]."""

    def __init__(self, dim: int = 64, depth: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, dim, 2, stride=2)
        self.position = nn.Parameter(torch.randn(16, dim) * 0.02)
        self.blocks = nn.ModuleList(Block(dim, heads, 4 * dim, causal=False) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.classifier(self.norm(x).mean(1))
        return out


class CharLM(nn.Module):
    """Decoder-only character language model. x: int64[batch, context] -> logits [batch, context, vocabulary].

    ``start`` is the position of the first character, where the earlier ones' keys and values are kept elsewhere.
    """

    def __init__(self, vocabulary: int, dim: int = 128, depth: int = 4, heads: int = 4, context: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim)
        self.position = nn.Parameter(torch.randn(context, dim) * 0.02)
        self.blocks = nn.ModuleList(Block(dim, heads, 4 * dim, causal=True) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocabulary)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        h = self.embedding(x) + self.position[start : start + x.shape[1]]
        for block in self.blocks:
            h = block(h)
        out: Tensor = self.head(self.norm(h))
        return out
