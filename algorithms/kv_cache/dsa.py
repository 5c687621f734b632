# SPDX-License-Identifier: Apache-2.0
"""A selection like DeepSeek's sparse attention: a small indexer scores every token, the best are read.

Index score of token s for query t: I_ts = sum over index heads h of w_th ReLU(q_th k_s); one index key a token, kept
beside the cache in 8 bits with a scale of 4 bytes. One list for all query heads of a layer.

The indexer is trained with its model; here its weights are drawn, so what it costs is right and what it chooses is not:
no quality is measured. Its inputs are the layer's own queries and keys, in the place of the hidden state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from .method import CacheMethod, Choice, Seen, at_least, best


@dataclass(frozen=True)
class DSA(CacheMethod):
    """A low-dimensional indexer and a top-k."""

    budget: int = 256
    """Tokens that a query reads."""
    index_heads: int = 4
    index_width: int = 32
    """Channels of an index key."""
    seed: int = 0

    title: ClassVar[str] = "like DeepSeek's DSA: a small indexer and a top-k (needs training: by cost alone)"
    source: ClassVar[str] = "DeepSeek-V3.2-Exp, technical report"
    trained: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for option in ("budget", "index_heads", "index_width"):
            at_least("dsa", option, getattr(self, option), 1)

    def read(self, seen: Seen) -> Choice:
        n = seen.tokens
        if n <= self.budget:
            return Choice(seen.held)
        rng = torch.Generator().manual_seed(self.seed * 1_000_003 + seen.layer)
        hq, hk, d = seen.q.shape[0], seen.k.shape[0], seen.k.shape[2]
        of_q = torch.randn(self.index_heads, self.index_width, hq * d, generator=rng)
        of_k = torch.randn(self.index_width, hk * d, generator=rng)
        q = of_q @ seen.q[:, -1].float().flatten()
        k = seen.k.float().transpose(0, 1).flatten(1) @ of_k.T
        scores = index_scores(q, torch.ones(self.index_heads), k)
        new = of_q.numel() + of_k.numel()  # the token's own projections
        return Choice(
            best(scores[None], seen, self.budget), n * (self.index_width + 4),
            self.index_heads * self.index_width * n + new,
        )  # fmt: skip


def index_scores(q: Tensor, w: Tensor, k: Tensor) -> Tensor:
    """I [tokens] of index queries [heads, width], their weights [heads] and index keys [tokens, width]."""
    found: Tensor = w @ F.relu(q @ k.T)
    return found
