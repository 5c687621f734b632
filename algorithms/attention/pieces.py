# SPDX-License-Identifier: Apache-2.0
"""The pieces of SpAtten's algorithm, each by itself: importance, choice, local values, progressive quantization.

Shapes: q [heads, L0, D], k and v [heads, L1, D], probabilities p [heads, L0, L1], head outputs e [heads, L0, D], with
the L0 queries and L1 keys that are alive. Statistics are float32. Rules: `dataflow.attention.pruning`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dataflow.attention.pruning import Quantization, kept


def top_k(scores: Tensor, k: int) -> Tensor:
    """Places of the ``k`` largest of ``scores`` [n] in the order of the input; of equal ones the first are kept.

    The same as `dataflow.attention.pruning.top_k`.
    """
    order = torch.sort(scores, descending=True, stable=True).indices
    return order[: max(k, 0)].sort().values


def token_importance(p: Tensor) -> Tensor:
    """What a layer adds to each key's importance: float32[L1], its probabilities over heads and queries."""
    return p.float().sum((0, 1))


def head_importance(e: Tensor) -> Tensor:
    """What a layer adds to each head's importance: float32[heads], the sum of its outputs' magnitudes."""
    return e.float().abs().sum((1, 2))


def local_values(p: Tensor, ratio: float, visible: Tensor | None = None) -> Tensor:
    """``p`` with only the largest probabilities of each query and head; the rest are 0, nothing is renormalized.

    Args:
        ratio: share of the keys whose values are left out.
        visible: bool[L0, L1], what a query may see; of its own visible keys a query keeps the share.
    """
    if ratio == 0:
        return p
    keys = p.shape[-1]
    seen = torch.full((p.shape[-2],), keys) if visible is None else visible.sum(-1).cpu()
    counts = torch.tensor([kept(int(n), ratio) for n in seen], device=p.device)
    order = torch.sort(p, dim=-1, descending=True, stable=True).indices
    rank = torch.empty_like(order).scatter_(-1, order, torch.arange(keys, device=p.device).expand_as(order))
    return torch.where(rank < counts[:, None], p, torch.zeros_like(p))


def quantize(x: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Linear symmetric quantization of each head: integers (int32, same shape) and scales [heads, 1, 1].

    Round to nearest, ties to even; the largest magnitude becomes 2^(bits-1) - 1. A head of zeros has scale 1.
    """
    top = 2 ** (bits - 1) - 1
    largest = x.float().abs().amax((-2, -1), keepdim=True)
    scale = torch.where(largest > 0, largest / top, torch.ones_like(largest))
    return torch.round(x.float() / scale).clamp(-top, top).to(torch.int32), scale


def rounded(x: Tensor, bits: int) -> Tensor:
    """``x`` rounded to what integers of ``bits`` bits can hold, float32."""
    integers, scale = quantize(x, bits)
    return integers * scale


def plane(x: Tensor, quantization: Quantization, *, full: bool) -> Tensor:
    """``x`` rounded to its quantized integers, of all bits or of the MSB plane alone, float32."""
    integers, scale = quantize(x, quantization.bits)
    if not full:
        integers = (integers >> quantization.lsb) << quantization.lsb
    return integers * scale


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a model makes probabilities of q k^T.

    Attributes:
        scale: factor of the products.
        softcap: scores become softcap tanh(score / softcap); None: they stay (Gemma 2).
        sinks: float[heads], a further score of each head that takes part in the softmax and has no value (gpt-oss).
    """

    scale: float
    softcap: float | None = None
    sinks: Tensor | None = None

    def of(self, heads: Tensor) -> Scoring:
        """The same of some heads."""
        return self if self.sinks is None else Scoring(self.scale, self.softcap, self.sinks[heads])


def probabilities(q: Tensor, k: Tensor, scoring: Scoring | float, visible: Tensor | None = None) -> Tensor:
    """softmax(q k^T scale), float32[heads, L0, L1]; keys that a query may not see have 0."""
    if not isinstance(scoring, Scoring):
        scoring = Scoring(scoring)
    scores = q.float() @ k.float().transpose(-2, -1) * scoring.scale
    if scoring.softcap is not None:
        scores = scoring.softcap * torch.tanh(scores / scoring.softcap)
    if visible is not None:
        scores = scores.masked_fill(~visible, float("-inf"))
    if scoring.sinks is None:
        return scores.softmax(-1)
    sinks = scoring.sinks.float().reshape(-1, 1, 1).expand(-1, scores.shape[1], 1)
    return torch.cat([scores, sinks], -1).softmax(-1)[..., :-1]


def progressive(
    q: Tensor, k: Tensor, scale: Scoring | float, quantization: Quantization | None, visible: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Probabilities, with LSBs only for the queries that need them.

    Returns:
        float32[heads, L0, L1] probabilities, and bool[heads, L0]: which queries were computed again.
    """
    if quantization is None:
        p = probabilities(q, k, scale, visible)
        return p, torch.zeros(p.shape[:-1], dtype=torch.bool, device=p.device)
    whole = plane(q, quantization, full=True)
    p = probabilities(whole, plane(k, quantization, full=False), scale, visible)
    again = p.amax(-1) < quantization.threshold
    if quantization.lsb == 0:
        return p, torch.zeros_like(again)
    refined = probabilities(whole, plane(k, quantization, full=True), scale, visible)
    return torch.where(again[..., None], refined, p), again
