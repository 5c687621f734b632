# SPDX-License-Identifier: Apache-2.0
"""From scores to a mask: what has the highest scores stays; of equal scores the one with the lower index stays."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dataflow.errors import InputError
from dataflow.pattern import NM

from .masks import nm_mask
from .patterns import Pattern, Unstructured, misfit

Scope = Literal["row", "layer"]
"""Within what an unstructured pattern compares: each output's weights, or the whole layer's."""


def select(scores: Tensor, pattern: Pattern, scope: Scope = "row") -> Tensor:
    """The mask that keeps the highest scores.

    Args:
        scores: [out, in], no NaN; a block's score is the sum of its weights'.
        scope: of unstructured patterns; N:M compares within its groups.

    Returns:
        bool [out, in]. Unstructured: in each row, or in the layer, exactly ``floor(sparsity x count)`` are removed.

    Raises:
        InputError: the pattern does not fit, or a score is NaN.
    """
    scores = scores.detach()
    if why := misfit(pattern, scores.shape[1]):  # of convolutions the caller has looked at the channels
        raise InputError(f"pattern {pattern}: {why}")
    if bool(scores.isnan().any()):
        raise InputError(f"pattern {pattern}: a score is NaN")
    if isinstance(pattern, NM):
        return _groups(scores, pattern)
    if pattern.block > 1:
        blocks = scores.unflatten(1, (-1, pattern.block)).sum(-1)
        return select(blocks, Unstructured(pattern.sparsity), scope).repeat_interleave(pattern.block, 1)
    flat = scores if scope == "row" else scores.reshape(1, -1)
    return highest(flat, flat.shape[1] - int(pattern.sparsity * flat.shape[1])).reshape(scores.shape)


def highest(scores: Tensor, count: int) -> Tensor:
    """bool [rows, n]: the ``count`` highest of each row; of equal ones those of lower index."""
    n = scores.shape[1]
    if count <= 0 or count >= n:
        return torch.full_like(scores, count > 0, dtype=torch.bool)
    threshold = scores.kthvalue(n - count + 1, dim=1, keepdim=True).values
    above, equal = scores > threshold, scores == threshold
    missing = count - above.sum(1, keepdim=True)
    return above | (equal & (equal.cumsum(1) <= missing))


def _groups(scores: Tensor, pattern: NM) -> Tensor:
    if not scores.numel() or float(scores.min()) >= 0:
        return nm_mask(scores, pattern, 1)
    if pattern.is_dense:
        return torch.ones_like(scores, dtype=torch.bool)
    groups = scores.reshape(-1, pattern.m_group)  # nm_mask looks at magnitudes alone
    return highest(groups, pattern.n_keep).reshape(scores.shape)
