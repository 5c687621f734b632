# SPDX-License-Identifier: Apache-2.0
"""A sequence going through the layers of a pruned transformer: alive tokens, fetches, recorded tensors.

One `Session` is one sequence; its layers come in order, in the summarization stage once with all tokens, and then once
for each generated token with one query. A token that left at a layer is gone in the later ones; each generated token's
walk through the layers begins with all tokens that a layer still has keys of, importance having accumulated. Heads that
left stay away for good.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from dataflow.attention.pruning import AttentionPruning, kept

from . import pieces


@dataclass(slots=True)
class Step:
    """Record of one layer in one walk."""

    iteration: int
    layer: int
    queries: Tensor
    """int64[L0] positions in the sequence."""
    keys: Tensor
    """int64[L1] positions in the sequence."""
    heads: Tensor
    """int64: heads alive."""
    kv_heads: Tensor
    """int64: of each of them the KV head; another number where heads share one."""
    values: int
    """Values fetched for the last query, at most."""
    again: Tensor
    """bool[heads, L0]: queries computed again with LSBs."""
    next_keys: int = -1
    """Tokens that go on at the next layer, where some leave before it."""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """Where they are recorded, float32, of the alive heads, queries and keys: p [heads, L0, L1], q [heads, L0, D],
    k and v [heads, L1, D] (before quantization), e [heads, L0, D]."""


@dataclass(slots=True)
class Session:
    """Cascade state of one sequence.

    Attributes:
        layers, heads: of the model.
        record: keep every tensor of every step.
        masked: the reference: nothing leaves, what would have is masked out instead.
    """

    settings: AttentionPruning
    layers: int
    heads: int
    record: bool = False
    masked: bool = False
    iteration: int = 0
    length: int = 0
    steps: list[Step] = field(default_factory=list)
    token_scores: Tensor = field(default_factory=lambda: torch.zeros(0))
    head_scores: Tensor = field(init=False)
    alive: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    """Positions alive in this walk, ascending."""
    heads_alive: Tensor = field(init=False)
    held: list[Tensor] = field(init=False)
    """Of each layer: positions whose keys it has, ascending: tokens that came as far when they were new."""
    generator: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.head_scores = torch.zeros(self.heads)
        self.heads_alive = torch.arange(self.heads)
        self.held = [torch.zeros(0, dtype=torch.int64) for _ in range(self.layers)]
        self.generator = torch.Generator().manual_seed(self.settings.seed)

    @property
    def walked(self) -> int:
        """Layers that this walk has gone through."""
        return sum(step.iteration == self.iteration for step in self.steps)

    def begin(self, new: int) -> Tensor:
        """A walk begins with ``new`` more tokens: their positions."""
        if self.length:
            self.iteration += 1
        first, self.length = self.length, self.length + new
        length = self.length
        self.token_scores = torch.cat([self.token_scores, torch.zeros(length - len(self.token_scores))])
        self.alive = torch.arange(length)
        return torch.arange(first, length)

    def prune_tokens(self, layer: int, new: Tensor, newest: int) -> Tensor:
        """Choose the tokens that go on at ``layer``: int64 positions, ascending. The last ``newest`` always do.

        Args:
            new: positions of this walk's own tokens, whose keys no layer has yet.
        """
        self.alive = self.alive[torch.isin(self.alive, torch.cat([self.held[layer], new]))]
        ratio = self.settings.tokens.ratios(self.layers)[layer]
        count = kept(len(self.alive), ratio)
        # nothing is known of a token before its first layer
        if count < len(self.alive) and (layer or self.iteration):
            scores = self.token_scores[self.alive].clone()
            if self.settings.control == "random":
                scores = torch.rand(len(scores), generator=self.generator)
            elif self.settings.control == "first":
                scores = -torch.arange(len(scores), dtype=torch.float32)
            protected = (self.alive < self.settings.protected) | (self.alive >= self.length - newest)
            scores[protected] = torch.inf
            self.alive = self.alive[pieces.top_k(scores, max(count, int(protected.sum())))]
            if layer:
                self.steps[-1].next_keys = len(self.alive)
        return self.alive

    def prune_heads(self, layer: int) -> Tensor:
        """Choose the heads that go on at ``layer``: int64, ascending; once for a sequence, in its first walk."""
        ratio = self.settings.heads.ratios(self.layers)[layer]
        if self.iteration == 0 and ratio:
            scores = self.head_scores[self.heads_alive]
            self.heads_alive = self.heads_alive[pieces.top_k(scores, kept(len(self.heads_alive), ratio))]
        return self.heads_alive

    def attend(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, scoring: pieces.Scoring, seen: Tensor, queries: Tensor,
        keys: Tensor,
    ) -> Tensor:  # fmt: skip
        """Attention of the alive heads, queries and keys; adds to both importances.

        Args:
            q: [heads, L0, D], all heads; k, v: [groups, L1, D], a group serving heads / groups of them.
            scoring: how the model makes probabilities of scores.
            seen: bool[rows of q, rows of k], which keys the model lets a query see.
            queries, keys: int64 positions of the rows of q, and of k and v.

        Returns:
            [heads, L0, D], zero for heads that are gone.
        """
        live = torch.isin(queries, self.alive)
        self.held[layer] = torch.cat([self.held[layer], queries[live]])
        wanted = torch.isin(keys, self.alive) & torch.isin(keys, self.held[layer])
        visible = seen
        if not self.masked:
            k, v, keys, visible = k[:, wanted], v[:, wanted], keys[wanted], visible[:, wanted]
        else:
            visible = visible & wanted
            # rows of tokens that left are computed and thrown away: they see themselves, so that softmax is defined
            visible = visible | ((keys[None, :] == queries[:, None]) & ~live[:, None])
        heads = self.prune_heads(layer)
        shared = heads // (q.shape[0] // k.shape[0])
        settings = self.settings.quantization
        p, again = pieces.progressive(q[heads], k[shared], scoring.of(heads), settings, visible)
        self.token_scores[keys] += pieces.token_importance(p[:, live]).cpu()
        some = pieces.local_values(p, self.settings.values, visible)
        value = v[shared] if settings is None else pieces.rounded(v[shared], settings.msb)
        e = some.to(v.dtype) @ value.to(v.dtype)
        self.head_scores[heads] += pieces.head_importance(e[:, live]).cpu()
        fetched = kept(int((visible & wanted if self.masked else visible)[-1].sum()), self.settings.values)
        seen_keys = keys[wanted] if self.masked else keys
        step = Step(self.iteration, layer, queries[live], seen_keys, heads, shared, fetched, again[:, live])
        if self.record:
            mine = wanted if self.masked else slice(None)
            named = {"p": p[:, live][:, :, mine], "q": q[heads][:, live], "k": k[shared][:, mine],
                     "v": v[shared][:, mine], "e": e[:, live]}  # fmt: skip
            step.tensors = {name: t.float() for name, t in named.items()}
        self.steps.append(step)
        out = torch.zeros_like(q)
        out[heads] = e.to(q.dtype)
        return out
