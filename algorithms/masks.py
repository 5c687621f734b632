# SPDX-License-Identifier: Apache-2.0
"""N:M mask selection in torch: the N of largest magnitude of each M stay; ties go to the lower index.

The same rule as the simulator's SORE (SAT paper, section 2), NaN above infinity included.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dataflow.errors import InputError
from dataflow.pattern import NM

_INTEGER = {torch.float32: torch.int32, torch.float16: torch.int16, torch.bfloat16: torch.int16}


def nm_mask(values: Tensor, pattern: NM, dim: int) -> Tensor:
    """Which elements an N:M pattern keeps.

    Args:
        values: floating point, any shape; ``dim`` a multiple of M long.
        dim: the dimension along which groups of M consecutive elements run.

    Returns:
        bool tensor of the same shape with exactly N true in each group.

    Raises:
        InputError: ``dim`` is no multiple of M.
    """
    length = values.shape[dim]
    n, m = pattern.n_keep, pattern.m_group
    if length % m:
        raise InputError(f"N:M mask: dimension {dim} has {length} elements, no multiple of M={m}")
    if pattern.is_dense or not values.numel():
        return torch.ones_like(values, dtype=torch.bool)
    moved = values.detach().movedim(dim, -1)
    groups = moved.reshape(-1, m)
    if groups.dtype in _INTEGER:
        # magnitudes as integers order like numbers; the index below them makes every key of a group different
        bits = groups.contiguous().view(_INTEGER[groups.dtype]).long()
        bits &= (1 << (31 if groups.dtype == torch.float32 else 15)) - 1
        keys = bits * m + torch.arange(m - 1, -1, -1)
        mask = keys >= keys.topk(n, dim=-1, sorted=False).values.amin(-1, keepdim=True)
    else:
        order = groups.abs().sort(dim=-1, descending=True, stable=True).indices
        mask = torch.zeros_like(groups, dtype=torch.bool).scatter_(-1, order[:, :n], True)
    return mask.reshape(moved.shape).movedim(-1, dim)


def compress(values: Tensor, pattern: NM, dim: int) -> tuple[Tensor, Tensor]:
    """The kept values and their positions in their groups, in index order.

    Returns:
        values and uint8 indices; ``dim`` shrinks by N / M.
    """
    mask = nm_mask(values, pattern, dim).movedim(dim, -1)
    moved = values.movedim(dim, -1)
    shape = (*moved.shape[:-1], moved.shape[-1] // pattern.m_group * pattern.n_keep)
    position = torch.arange(pattern.m_group, dtype=torch.uint8).repeat(moved.shape[-1] // pattern.m_group)
    index = position.expand(moved.shape)[mask].reshape(shape)
    return moved[mask].reshape(shape).movedim(-1, dim), index.movedim(-1, dim)


def decompress(values: Tensor, index: Tensor, pattern: NM, dim: int) -> Tensor:
    """The inverse of `compress`: zeros where nothing was kept."""
    kept, place = values.movedim(dim, -1), index.movedim(dim, -1).long()
    groups = kept.shape[-1] // pattern.n_keep
    shape = (*kept.shape[:-1], groups, pattern.n_keep)
    out = torch.zeros(*kept.shape[:-1], groups, pattern.m_group, dtype=values.dtype)
    out.scatter_(-1, place.reshape(shape), kept.reshape(shape))
    return out.reshape(*kept.shape[:-1], groups * pattern.m_group).movedim(-1, dim)
