# SPDX-License-Identifier: Apache-2.0
"""Pruning by explanations: what relevance a weight passes on, by layer-wise relevance propagation (LRP).

From an output, R_i = sum_j a_i w_ij / z_j R_j leads relevance back to inputs and keeps its sum; a weight's part is the
term itself. The least |R| goes first: with signs the most negative would. Relevance is summed over positions and
samples before its magnitude is taken. LRP's plain rule is a gradient times its weight, if what is not linear is led
through as rules say (AttnLRP, arXiv 2402.05602): an activation f(x) as x times the constant f(x) / x; a norm as a
product with a constant; of a product of two activations each gets half; softmax as its gradient. The paper prunes
whole filters and heads of classifiers; here single weights, and the outputs that are explained are the logits of the
tokens that follow (of a classifier: of its highest class), which is ours.
Source: S. M. V. Hatefi et al., arXiv 2408.12568.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from .method import Layer, Need, Pruned, PruningMethod, masked
from .patterns import Pattern
from .selection import select

if TYPE_CHECKING:
    from torch import nn

    from algorithms.models.llama import Block, Llama


@dataclass(frozen=True)
class Relevance(PruningMethod):
    """Layer-wise relevance of each weight."""

    title: ClassVar[str] = "relevance: what a weight passes on of an output, by LRP"
    source: ClassVar[str] = "S. M. V. Hatefi et al., arXiv 2408.12568"
    needs: ClassVar[frozenset[Need]] = frozenset({"relevance"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        scores = (layer.weight * layer.explained.mean).abs()
        return masked(layer.weight, select(scores, pattern, "layer"))


def activation(x: Tensor, y: Tensor) -> Tensor:
    """y = f(x), its relevance led to x whole."""
    near = x.abs() < 1e-6
    return x * torch.where(near, 0.5, y / torch.where(near, 1.0, x)).detach()


def half_matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b, each with half of the relevance."""
    return 0.5 * (a.detach() @ b + a @ b.detach())


def half_product(a: Tensor, b: Tensor) -> Tensor:
    """a * b, each with half of the relevance."""
    return 0.5 * (a.detach() * b + a * b.detach())


def norm(module: nn.RMSNorm, x: Tensor) -> Tensor:
    """x times its norm's factor, a constant, and the norm's weights."""
    eps = module.eps if module.eps is not None else torch.finfo(x.dtype).eps
    factor = (x.detach() ** 2).mean(-1, keepdim=True).add(eps).rsqrt()
    return x * factor * module.weight


def feed_forward(block: Block, x: Tensor) -> Tensor:
    """The second half of a block, without the sum."""
    h = norm(block.norm2, x)
    gate = block.gate(h)
    out: Tensor = block.down(half_product(activation(gate, F.silu(gate)), block.up(h)))
    return out


def attention(block: Block, x: Tensor) -> Tensor:
    """The first half of a block, without the sum."""
    from algorithms.models.llama import rotated

    s, h = block.sizes, norm(block.norm1, x)
    q, k, v = (p.unflatten(-1, (-1, s.head)).transpose(1, 2) for p in (block.q(h), block.k(h), block.v(h)))
    at = torch.arange(q.shape[-2])
    q, k = rotated(q, s.base, at), rotated(k, s.base, at)
    k, v = (p.repeat_interleave(s.heads // s.kv_heads, 1) for p in (k, v))
    scores = half_matmul(q, k.transpose(-2, -1)) / s.head**0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    probabilities = scores.masked_fill(later, -torch.inf).softmax(-1)
    out: Tensor = block.o(half_matmul(probabilities, v).transpose(1, 2).flatten(2))
    return out


def llama_logits(model: Llama, tokens: Tensor) -> Tensor:
    """The model's logits [sequences, tokens, vocabulary], whose gradients times their weights are relevance."""
    x: Tensor = model.embedding(tokens)
    for block in model.layers:
        x = x + attention(block, x)  # type: ignore[arg-type]  # a Block
        x = x + feed_forward(block, x)  # type: ignore[arg-type]
    return F.linear(norm(model.head.norm, x), model.head.weight)
