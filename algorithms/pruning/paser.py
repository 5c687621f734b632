# SPDX-License-Identifier: Apache-2.0
"""PASER: which data a pruned model is trained on afterwards.

Samples are embedded and clustered: a diffusion kernel, factored without negative numbers, each sample in the cluster of
its largest factor. A cluster's share of the budget is in proportion to its degradation, the mean Jensen-Shannon
divergence between what the dense and the pruned model say; within it, samples of the largest divergence over the
logarithm of their cost come first, the cost being the square of their length.
Source: B. He et al., arXiv 2502.12594, and the authors' release. Reduced: the embedding is the dense model's own state
behind its last norm, its mean over positions (theirs: a sentence encoder); the kernel's width is the median distance;
samples that contradict each other in their concepts are not looked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from sklearn.decomposition import NMF
from torch import Tensor, nn

from dataflow.errors import InputError

from .subject import Subject

DRAWS = 4
"""Times the calibration set that is chosen from."""
CLUSTERS = 8
TIME = 2
"""Steps of the diffusion."""


def chosen(
    subject: Subject, dense: Sequence[nn.Module], *, count: int | None = None, seed: int = 0,
    tick: Callable[[str], None] = lambda text: None,
) -> list[Tensor]:  # fmt: skip
    """The samples to train on, in order.

    Args:
        dense: stages of the model before it was pruned.
        count: how many; None: as many as one calibration set has.

    Raises:
        InputError: more than there are.
    """
    candidates = [s for draw in range(DRAWS) for batch in subject.calibration(1000 * (seed + 1) + draw)
                  for s in batch.split(1)]  # fmt: skip
    count = len(candidates) // DRAWS if count is None else count
    if not 1 <= count <= len(candidates):
        raise InputError(f"recovery paser: 1 to {len(candidates)} samples (got {count})")
    states, worse = [], []
    with torch.no_grad():
        for number, sample in enumerate(candidates):
            mine = theirs = sample
            for stage, teacher in list(zip(subject.stages, dense, strict=True))[:-1]:
                mine, theirs = stage(mine), teacher(theirs)
            states.append(subject.features(theirs).flatten(0, -2).mean(0) if theirs.dim() > 2 else theirs.flatten())
            worse.append(float(divergence(dense[-1](theirs), subject.stages[-1](mine)).mean()))
            tick(f"choice of data, sample {number + 1} of {len(candidates)}")
    degraded = torch.tensor(worse)
    of = clusters(torch.stack(states), min(CLUSTERS, len(candidates)), seed)
    lengths = torch.tensor([s.shape[1] if s.dim() == 2 else 1 for s in candidates])
    return [candidates[i] for i in pick(degraded, lengths, of, count)]


def divergence(a: Tensor, b: Tensor) -> Tensor:
    """Jensen-Shannon divergence of softmax(a) and softmax(b) along the last dimension: 0 of equal ones, at most ln 2;
    logits of minus infinity are probabilities of 0."""
    p, q = a.softmax(-1), b.softmax(-1)
    middle = ((p + q) / 2).clamp(min=1e-30)
    found: Tensor = 0.5 * (torch.special.xlogy(p, p / middle) + torch.special.xlogy(q, q / middle)).sum(-1)
    return found


def clusters(states: Tensor, count: int, seed: int = 0) -> Tensor:
    """The cluster of each row of states [n, width], int64 [n]: diffusion kernel, non-negative factors."""
    far = torch.cdist(states.double(), states.double()).square()
    width = far[far > 0].median() if bool((far > 0).any()) else torch.ones(())
    kernel = (-far / width).exp()
    degree = kernel.sum(1).rsqrt()
    step = degree[:, None] * kernel * degree
    diffused = torch.linalg.matrix_power(step, TIME)
    model = NMF(count, init="nndsvda", random_state=seed, max_iter=500)
    return torch.from_numpy(model.fit_transform(diffused.numpy())).argmax(1)


def pick(degraded: Tensor, lengths: Tensor, of: Tensor, count: int) -> list[int]:
    """So many samples, clusters of higher degradation with more of them.

    Args:
        degraded: divergence of each sample, [n].
        lengths: tokens of each, int64 [n].
        of: cluster of each, int64 [n].
    """
    names = of.unique().tolist()
    sizes = {c: int((of == c).sum()) for c in names}
    budget = shares({c: float(degraded[of == c].mean()) for c in names}, sizes, count)
    worth = degraded / (1 + lengths).double().square().log()
    found: list[int] = []
    for c in names:
        inside = (of == c).nonzero().flatten()
        order = worth[inside].argsort(descending=True, stable=True)
        found += inside[order][: budget[c]].tolist()
    return sorted(found, key=lambda i: (-float(worth[i]), i))


def shares(weights: dict[int, float], sizes: dict[int, int], count: int) -> dict[int, int]:
    """Whole numbers in proportion to weights that sum to ``count``, none above its size: largest remainders first, what
    a full one leaves over goes to the others.

    Raises:
        InputError: the sizes are together less.
    """
    if sum(sizes.values()) < count:
        raise InputError(f"recovery paser: {count} samples of {sum(sizes.values())}")
    found = dict.fromkeys(sizes, 0)
    while (left := count - sum(found.values())) > 0:
        free = [c for c in sizes if found[c] < sizes[c]]
        total = sum(weights[c] for c in free)
        wanted = {c: left * weights[c] / total if total > 0 else left / len(free) for c in free}
        whole = {c: min(math.floor(wanted[c]), sizes[c] - found[c]) for c in free}
        if not any(whole.values()):  # less than one each: the largest remainder
            best = max(free, key=lambda c: (wanted[c], -c))
            whole = {best: 1}
        for c, more in whole.items():
            found[c] += more
    return found


def repeated(samples: Sequence[Tensor]) -> Iterator[Tensor]:
    """The samples again and again."""
    while True:
        yield from samples
