# SPDX-License-Identifier: Apache-2.0
"""How much of each layer is kept: a share a layer for unstructured patterns, or one of several patterns a layer.

- ``global``: one threshold on |W| for all layers; every layer keeps at least ``least`` of its own (5e-4 in the released
  code of Global MP).
- ``erk`` (Erdos-Renyi kernel): density proportional to (in + out) / (in out), at most 1; what that leaves over goes to
  the others (U. Evci et al., arXiv 1911.11134).
- ``lamp``: one threshold on w^2 over the sum of the squares of the layer's weights that are not smaller (J. Lee et al.,
  arXiv 2010.07611).
- ``dynamic_program``: patterns that lose least in sum within a budget of whatever a layer costs: weights kept, or a
  machine's cycles or picojoules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dataflow.errors import InputError

Shares = dict[str, Fraction]
"""Share kept, by layer."""
LEAST = 5e-4
BUCKETS = 100_000
"""Into which a budget is cut: a cost is rounded up to the next, so that no budget is exceeded."""


def global_magnitude(weights: Mapping[str, Tensor], density: Fraction, least: float = LEAST) -> Shares:
    """One threshold on the magnitudes of all weights; layers that it leaves with less than ``least`` keep that.

    Raises:
        InputError: the least shares are together more than the density.
    """
    return _global({name: weight.abs().flatten() for name, weight in weights.items()}, density, least)


def lamp(weights: Mapping[str, Tensor], density: Fraction) -> Shares:
    """One threshold on LAMP's scores; each layer keeps one weight at least, as its largest has the score 1."""
    scores = {}
    for name, weight in weights.items():
        squares = weight.flatten().double().square().sort().values
        scores[name] = (squares / squares.flip(0).cumsum(0).flip(0)).float()
    return _global(scores, density, 0.0)


def _global(scores: Mapping[str, Tensor], density: Fraction, least: float) -> Shares:
    sizes = {name: score.numel() for name, score in scores.items()}
    wanted = round(density * sum(sizes.values()))
    floors = {name: min(math.ceil(least * size), size) for name, size in sizes.items()}
    if sum(floors.values()) > wanted:
        raise InputError(f"allocation: {least:.2%} of each layer is more than a density of {float(density):.2%}")
    fixed: dict[str, int] = {}
    while True:
        free = [name for name in scores if name not in fixed]
        count = wanted - sum(fixed.values())
        kept = _above([scores[name] for name in free], count)
        low = {name: floors[name] for name, k in zip(free, kept, strict=True) if k < floors[name]}
        if not low:
            return {
                name: Fraction(k, sizes[name]) for name, k in {**fixed, **dict(zip(free, kept, strict=True))}.items()
            }
        fixed |= low


def _above(scores: list[Tensor], count: int) -> list[int]:
    """How many of the ``count`` highest are in each; of equal ones those of the earlier come first."""
    every = torch.cat(scores)
    if count <= 0 or count >= len(every):
        return [len(s) if count > 0 else 0 for s in scores]
    threshold = every.kthvalue(len(every) - count + 1).values
    kept = [int((s > threshold).sum()) for s in scores]
    for i, s in enumerate(scores):
        kept[i] += min(int((s == threshold).sum()), count - sum(kept))
    return kept


def erk(shapes: Mapping[str, tuple[int, int]], density: Fraction) -> Shares:
    """Shares of layers of (out, in) weights; layers that would have more than all of their weights have all."""
    full: set[str] = set()
    while True:
        rest = [name for name in shapes if name not in full]
        budget = density * sum(o * i for o, i in shapes.values()) - sum(math.prod(shapes[name]) for name in full)
        scale = budget / sum(o + i for o, i in (shapes[name] for name in rest))
        found = {name: scale * Fraction(sum(shapes[name]), math.prod(shapes[name])) for name in rest}
        over = {name for name, share in found.items() if share > 1}
        if not over:
            return {name: Fraction(1) if name in full else found[name] for name in shapes}
        full |= over


def dynamic_program(
    losses: Mapping[str, Mapping[str, float]], costs: Mapping[str, Mapping[str, float]], budget: float,
    buckets: int = BUCKETS,
) -> dict[str, str]:  # fmt: skip
    """The level of each layer that loses least in sum, within a budget.

    Args:
        losses, costs: by layer, by level.
        budget: that the sum of costs may have. What a level costs more than the layer's cheapest is rounded up to
            1 / ``buckets`` of what the cheapest leave over, unless all are integers and that is at most ``buckets``:
            then the answer is exact.

    Raises:
        InputError: the cheapest levels together cost more.
    """
    names = list(losses)
    cheapest = {name: min(costs[name][level] for level in losses[name]) for name in names}
    left = budget - sum(cheapest.values())
    if left < -1e-9 * abs(budget):
        text = f"a budget of {budget:.6g}: the cheapest patterns cost {budget - left:.6g} already"
        raise InputError(f"allocation: {text}")
    more = {name: {level: costs[name][level] - cheapest[name] for level in losses[name]} for name in names}
    whole = left <= buckets and all(float(c).is_integer() for by in more.values() for c in by.values())
    size = int(left + 1e-9) if whole else buckets
    unit = 1.0 if whole else max(left, 0.0) / buckets
    steps = {
        name: {level: math.ceil(cost / unit - 1e-9) if unit else size * (cost > 0) + (cost > 0)
               for level, cost in by.items()}
        for name, by in more.items()
    }  # fmt: skip
    best = np.zeros(size + 1)
    chosen = np.zeros((len(names), size + 1), np.int16)
    for row, name in enumerate(names):
        found = np.full(size + 1, np.inf)
        for number, level in enumerate(losses[name]):
            step = steps[name][level]
            if step > size:
                continue
            total = np.full(size + 1, np.inf)
            total[step:] = best[: size + 1 - step] + losses[name][level]
            better = total < found
            found[better], chosen[row][better] = total[better], number
        best = found
    levels, place = {}, size
    for row, name in reversed(list(enumerate(names))):
        levels[name] = list(losses[name])[chosen[row][place]]
        place -= steps[name][levels[name]]
    return {name: levels[name] for name in names}


def weights_kept(shapes: Mapping[str, tuple[int, int]], densities: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Costs in weights: by layer, by level, the weights that are kept."""
    return {
        name: {level: float(density * o * i) for level, density in densities.items()} for name, (o, i) in shapes.items()
    }
