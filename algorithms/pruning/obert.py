# SPDX-License-Identifier: Apache-2.0
"""oBERT: optimal brain surgeon with an empirical Fisher matrix in blocks along the reduction.

F = lambda I + 1 / m sum g g^T over the gradients g of m samples, of ``block`` weights of a row each. A set Q that goes
together costs rho_Q = 1/2 w_Q^T ([F^-1]_QQ)^-1 w_Q: w^2 / (2 [F^-1]_ii) of one weight, and of a pattern's block its
block. In N:M the weights of a group go one by one, each time the one that costs least, the others moved by what it
leaves behind, so that those of a group are not chosen as if they were independent. What is kept of a block of F then
moves to where (w' - w)^T F (w' - w) is least: the update -F^-1[:, Q] ([F^-1]_QQ)^-1 w_Q for all that goes at once.
Source: E. Kurtic et al., arXiv 2203.07259 (lambda 1e-7; blocks of 50, or 32 where 4 go together). There pruning is
gradual, with training between; here in one shot, by a threshold a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dataflow.errors import InputError
from dataflow.pattern import NM

from .method import Layer, Need, Pruned, PruningMethod
from .patterns import Pattern
from .selection import select

ROUNDING = 1e-6
"""Of a block's mean diagonal, added to lambda: what sums of float32 products are good for."""


@dataclass(frozen=True)
class OBert(PruningMethod):
    """Second-order pruning with block Fisher matrices."""

    damping: float = 1e-7
    """lambda."""
    block: int = 32
    """Weights of a block of F."""

    title: ClassVar[str] = "oBERT: block Fisher matrix of the loss, remaining weights updated"
    source: ClassVar[str] = "E. Kurtic et al., arXiv 2203.07259"
    needs: ClassVar[frozenset[Need]] = frozenset({"fisher"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        fisher = layer.curvature
        size = fisher.shape[-1]
        group = pattern.m_group if isinstance(pattern, NM) else pattern.block
        if size % group:
            raise InputError(f"method obert: layer {layer.name}: groups of {group} in Fisher blocks of {size}")
        damped = fisher.double()
        diagonal = damped.diagonal(dim1=2, dim2=3)
        diagonal += self.damping + ROUNDING * diagonal.mean(-1, keepdim=True)
        weight = layer.weight.double()
        inverse = _inverse(damped, layer.name)
        if isinstance(pattern, NM):
            mask = self.groups(weight, inverse, pattern)
        else:
            mask = select(self.scores(weight, inverse, pattern.block), _whole(pattern), "layer")
            mask = mask.repeat_interleave(pattern.block, 1)
        return Pruned(self.updated(weight, mask, damped).float(), mask)

    def scores(self, weight: Tensor, inverse: Tensor, block: int) -> Tensor:
        """rho of each block of so many weights, [out, in / block]."""
        parts = _diagonal_blocks(inverse, block)
        w = weight.unflatten(1, (-1, block))
        found: Tensor = 0.5 * (w * torch.linalg.solve(parts, w)).sum(-1)
        return found

    def groups(self, weight: Tensor, inverse: Tensor, pattern: NM) -> Tensor:
        """The N of each M that stay, taken out one by one."""
        parts = _diagonal_blocks(inverse, pattern.m_group).flatten(0, 1).clone()
        w = weight.reshape(-1, pattern.m_group).clone()
        mask = torch.ones_like(w, dtype=torch.bool)
        every = torch.arange(len(w))
        for _ in range(pattern.m_group - pattern.n_keep):
            diagonal = parts.diagonal(dim1=1, dim2=2)
            cost = (w**2 / diagonal.clamp(min=1e-30)).masked_fill(~mask, torch.inf)
            # of equal costs the higher index goes
            gone = pattern.m_group - 1 - cost.flip(1).argmin(1)
            column, pivot = parts[every, :, gone], diagonal[every, gone][:, None]
            w = w - column * w[every, gone][:, None] / pivot
            parts = parts - column[:, :, None] * column[:, None, :] / pivot[:, :, None]
            mask[every, gone] = False
            w[~mask] = 0
        return mask.reshape(weight.shape)

    def updated(self, weight: Tensor, mask: Tensor, fisher: Tensor) -> Tensor:
        """The best weights for the mask, block by block of F."""
        size = fisher.shape[-1]
        w, keep = (x.unflatten(1, (-1, size)).flatten(0, 1) for x in (weight, mask))
        f = fisher.flatten(0, 1)
        both = keep[:, :, None] & keep[:, None, :]
        system = f * both + torch.diag_embed((~keep).to(f.dtype))
        wanted = (f @ w[:, :, None]).squeeze(2) * keep
        found = torch.linalg.solve(system, wanted)
        out: Tensor = (found * keep).reshape(weight.shape)
        return out


def _whole(pattern: Pattern) -> Pattern:
    from .patterns import Unstructured

    assert isinstance(pattern, Unstructured)
    return Unstructured(pattern.sparsity)


def _inverse(fisher: Tensor, name: str) -> Tensor:
    lower, failed = torch.linalg.cholesky_ex(fisher)
    if bool(failed.any()):
        raise InputError(f"method obert: layer {name}: a Fisher block is singular: more samples, or more damping")
    found: Tensor = torch.cholesky_inverse(lower)
    return found


def _diagonal_blocks(blocks: Tensor, part: int) -> Tensor:
    """[out, n, B, B] to the [out, n B / part, part, part] along the diagonals."""
    split = blocks.unflatten(3, (-1, part)).unflatten(2, (-1, part))  # out, n, k, part, k, part
    found: Tensor = split.diagonal(dim1=2, dim2=4).movedim(-1, 2).flatten(1, 2)
    return found
