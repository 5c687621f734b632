# SPDX-License-Identifier: Apache-2.0
"""ECoFLaP: shares by how much the loss depends on each block, from forward passes alone.

Of one block: g = (L(W + eps z) - L(W - eps z)) / (2 eps) with z ~ N(0, 1) for its weights and nothing else changed; its
score is |g| sum |z|, over several draws. Every block keeps 1 - ``most`` of its weights; what is left of the budget goes
to blocks in proportion to their scores, none above all of its weights. Source: Y.-L. Sung et al., arXiv 2310.02998
(eps 1e-3, most 0.6; the released code adds where rounding has to be taken off: here budgets are met exactly).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

import torch

from .subject import Subject, weight_of


def keep(scores: Mapping[str, float], sizes: Mapping[str, int], budget: int, most: float = 0.6) -> dict[str, int]:
    """Weights kept of each block; they sum to the budget, which the least shares fit into where it can be."""
    least = {name: math.ceil(size * (1 - most) - 1e-9) for name, size in sizes.items()}
    while sum(least.values()) > budget:  # rounding up, or a budget below the least share
        largest = max(least, key=lambda name: least[name])
        least[largest] -= min(least[largest], sum(least.values()) - budget)
    kept, full = dict(least), set[str]()
    left = budget - sum(kept.values())
    while left > 0:
        rest = [name for name in sizes if name not in full]
        total = sum(scores[name] for name in rest)
        share = {name: left * (scores[name] / total if total > 0 else 1 / len(rest)) for name in rest}
        over = {name for name in rest if kept[name] + share[name] >= sizes[name]}
        if not over:
            down = {name: int(share[name]) for name in rest}
            order = sorted(rest, key=lambda name: down[name] - share[name])
            for name in order[: left - sum(down.values())]:
                down[name] += 1
            return {name: kept[name] + down.get(name, 0) for name in sizes}
        for name in over:
            left -= sizes[name] - kept[name]
            kept[name] = sizes[name]
        full |= over
    return kept


@torch.no_grad()
def scores(
    subject: Subject, blocks: Mapping[str, list[str]], *, seed: int = 0, draws: int = 4, epsilon: float = 1e-3,
    tick: Callable[[str], None] = lambda text: None,
) -> dict[str, float]:  # fmt: skip
    """Score of each block, on as many calibration samples as draws."""
    layers = subject.layers()
    samples = torch.cat(subject.calibration(seed)).split(1)
    found = dict.fromkeys(blocks, 0.0)
    for number, (block, names) in enumerate(blocks.items()):
        weights = [weight_of(layers[name]) for name in names]
        before = [w.clone() for w in weights]
        for draw in range(draws):
            rng = torch.Generator().manual_seed(1_000_003 * seed + 1009 * number + draw)
            noise = [torch.randn(w.shape, generator=rng) for w in weights]
            losses = []
            for sign in (1, -1):
                for weight, start, z in zip(weights, before, noise, strict=True):
                    weight.copy_(start + sign * epsilon * z)
                losses.append(float(subject.loss(samples[draw % len(samples)])))
            slope = abs(losses[0] - losses[1]) / (2 * epsilon)
            found[block] += slope * sum(float(z.abs().sum()) for z in noise)
        for weight, start in zip(weights, before, strict=True):
            weight.copy_(start)
        tick(f"{block}, sensitivity")
    return found


def ecoflap(
    subject: Subject, density: Fraction, *, seed: int = 0, most: float = 0.6,
    tick: Callable[[str], None] = lambda text: None,
) -> dict[str, Fraction]:  # fmt: skip
    """Share kept of each layer; layers of one block, by the name before the last dot, have the same.

    Args:
        most: sparsity that no block goes beyond; a tenth above the target where that is more.
    """
    blocks: dict[str, list[str]] = {}
    for name in subject.layers():
        blocks.setdefault(name.rpartition(".")[0], []).append(name)
    sizes = {b: sum(weight_of(subject.layers()[n]).numel() for n in names) for b, names in blocks.items()}
    budget = round(density * sum(sizes.values()))
    kept = keep(
        scores(subject, blocks, seed=seed, tick=tick), sizes, budget, min(max(most, float(1 - density) + 0.1), 1.0)
    )
    return {name: Fraction(kept[block], sizes[block]) for block, names in blocks.items() for name in names}
