# SPDX-License-Identifier: Apache-2.0
"""FARMS: shares by how heavy the tail of each block's spectrum is; no data.

Eigenvalues of V V^T of windows V of one aspect ratio, slid over a weight matrix, all together; the tail's exponent by
Hill, a = 1 + n / sum ln(l_i / l_min) over the n eigenvalues from l_min (their median) on. A block's a is its layers'
mean. A block with a high one is trained least and loses most: sparsities are linear in a, from 1 - spread to
1 + spread times a common factor, so that they meet the target. A fixed aspect ratio makes matrices of different shapes
comparable. Source: FARMS, arXiv 2506.06280 (formula: released code).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor

MOST = 0.998
"""Sparsity that no layer goes beyond."""


def tail_exponent(eigenvalues: Tensor, least: float | None = None) -> float:
    """Hill's estimate from ``least`` on (none: the median)."""
    values = eigenvalues[eigenvalues > 0]
    least = float(values.median()) if least is None else least
    tail = values[values >= least]
    logs = float((tail / least).log().sum())
    return 1 + len(tail) / logs if logs > 0 else float("inf")


def window_eigenvalues(weight: Tensor, rows: int = 64, ratio: int = 2, steps: int = 5) -> Tensor:
    """Eigenvalues of windows of ``rows`` x ``ratio rows`` (smaller where the matrix is), ``steps`` along each side."""
    tall = min(rows, weight.shape[0], max(1, weight.shape[1] // ratio))
    wide = min(tall * ratio, weight.shape[1])
    tops, lefts = (
        sorted(set(torch.linspace(0, size - part, steps).long().tolist()))
        for size, part in ((weight.shape[0], tall), (weight.shape[1], wide))
    )
    windows = torch.stack([weight[t : t + tall, l : l + wide] for t in tops for l in lefts])
    found: Tensor = torch.linalg.svdvals(windows).square().flatten()
    return found


def sparsities(
    exponents: Mapping[str, float], sizes: Mapping[str, int], target: float, spread: float = 0.2
) -> dict[str, float]:
    """Sparsity of each block, linear in its exponent; their mean, weighted by sizes, is the target."""
    low, high = min(exponents.values()), max(exponents.values())
    share = {
        name: 1 - spread + 2 * spread * ((a - low) / (high - low) if high > low else 0.5)
        for name, a in exponents.items()
    }
    fixed: set[str] = set()
    while True:
        rest = [name for name in share if name not in fixed]
        wanted = target * sum(sizes.values()) - MOST * sum(sizes[name] for name in fixed)
        scale = wanted / sum(share[name] * sizes[name] for name in rest)
        over = {name for name in rest if share[name] * scale > MOST}
        if not over:
            return {name: MOST if name in fixed else share[name] * scale for name in share}
        fixed |= over


def farms(weights: Mapping[str, Tensor], density: Fraction, spread: float = 0.2) -> dict[str, Fraction]:
    """Share kept of each layer; layers of one block, by the name before the last dot, have the same."""
    blocks: dict[str, list[str]] = {}
    for name in weights:
        blocks.setdefault(name.rpartition(".")[0], []).append(name)
    exponents = {
        block: sum(tail_exponent(window_eigenvalues(weights[n])) for n in names) / len(names)
        for block, names in blocks.items()
    }
    sizes = {block: sum(weights[n].numel() for n in names) for block, names in blocks.items()}
    found = sparsities(exponents, sizes, float(1 - density), spread)
    return {name: 1 - Fraction(found[block]) for block, names in blocks.items() for name in names}
