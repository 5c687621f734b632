# SPDX-License-Identifier: Apache-2.0
"""PQ index and SAP: a layer is pruned by how sparse its weights already are.

I = 1 - d^(1/q - 1/p) ||w||_p / ||w||_q, from 0 (all alike) towards 1 (one alone); at least
m = d (1 + eta)^(-q / (q - p)) (1 - I)^(p q / (q - p)) of d weights have to stay. SAP prunes a share of
min(gamma (1 - m / d), beta) in a round of pruning and training; here in one round, and gamma is what meets the target.
Source: E. Diao et al., arXiv 2302.05601; p 0.5, q 1, eta 0, beta 0.9 (released code).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from torch import Tensor

from dataflow.errors import InputError

P, Q = 0.5, 1.0
BETA = 0.9


def pq_index(weights: Tensor, p: float = P, q: float = Q) -> float:
    """The index of a tensor; 0 of one without weights or of zeros."""
    w = weights.abs().double().flatten()
    if not len(w) or not bool(w.any()):
        return 0.0
    norm_p, norm_q = (float(w.pow(k).sum()) ** (1 / k) for k in (p, q))
    scale: float = len(w) ** (1 / q - 1 / p)
    return 1 - scale * float(norm_p / norm_q)


def needed(weights: Tensor, p: float = P, q: float = Q, eta: float = 0.0) -> float:
    """How many weights have to stay, at least."""
    return float(weights.numel() * (1 + eta) ** (-q / (q - p)) * (1 - pq_index(weights, p, q)) ** (p * q / (q - p)))


def sap(weights: Mapping[str, Tensor], density: Fraction) -> dict[str, Fraction]:
    """Share kept of each layer.

    Raises:
        InputError: more than beta of all weights would have to go.
    """
    spare = {name: 1 - needed(w) / w.numel() for name, w in weights.items()}
    sizes = {name: w.numel() for name, w in weights.items()}
    target = float(1 - density) * sum(sizes.values())
    if target > BETA * sum(sizes.values()) or not any(spare.values()):
        raise InputError(f"allocation pqi: at most {BETA:.0%} are removed, and nothing of weights that are all alike")

    def removed(gamma: float) -> float:
        return sum(min(gamma * spare[name], BETA) * sizes[name] for name in sizes)

    low, high = 0.0, BETA / min(s for s in spare.values() if s > 0)
    if removed(high) < target:
        raise InputError(f"allocation pqi: layers of weights that are all alike leave too few to remove for {density}")
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if removed(middle) < target else (low, middle)
    return {name: 1 - Fraction(min(high * spare[name], BETA)) for name in weights}
