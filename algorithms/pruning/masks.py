# SPDX-License-Identifier: Apache-2.0
"""N:M mask selection in torch: the N of largest magnitude of each M stay; ties go to the lower index.

The same rule as the simulator's SORE (SAT paper, section 2), NaN above infinity included.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dataflow.errors import InputError
from dataflow.pattern import NM


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
    moved = values.detach().movedim(dim, 0)
    groups = moved.reshape(length // m, m, -1)  # [groups, M, everything else]
    if groups.dtype == torch.float64:
        order = groups.abs().sort(dim=1, descending=True, stable=True).indices
        mask = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, order[:, :n], True)
    else:
        mask = _by_magnitude(groups, n)
    return mask.reshape(moved.shape).movedim(0, dim)


def _by_magnitude(groups: Tensor, n: int) -> Tensor:
    """The n largest of each group along dimension 1. Without its sign, a float's bits order as an integer."""
    m = groups.shape[1]
    if groups.dtype == torch.float32:
        bits = groups.contiguous().view(torch.int32) & 0x7FFFFFFF
        mask = bits >= _nth_largest(bits, n)[:, None]
        if int(mask.sum()) == mask.numel() // m * n:  # no group had a tie
            return mask
        bits = bits.long()
    else:
        bits = groups.contiguous().view(torch.int16).int() & 0x7FFF
    # M - 1 - index below the magnitude: the lower index is the larger key, and no two keys of a group are equal
    keys = (bits << (m - 1).bit_length()) | torch.arange(m - 1, -1, -1, dtype=bits.dtype)[:, None]
    return keys >= _nth_largest(keys, n)[:, None]


def _nth_largest(keys: Tensor, n: int) -> Tensor:
    """The n-th largest of each group: every element sinks through a sorted list of n, as in the SORE engine."""
    held: list[Tensor] = []
    for x in keys.unbind(1):
        for e, entry in enumerate(held):
            held[e], x = torch.maximum(entry, x), torch.minimum(entry, x)
        if len(held) < n:
            held.append(x)
    return held[-1]


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
