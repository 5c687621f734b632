# SPDX-License-Identifier: Apache-2.0
"""What pruning one layer alone does to a model's output: the curves that an allocation by rate and distortion needs.

D_l(p) = ||f(x; W) - f(x; W with layer l pruned to p)||^2 over ||f(x; W)||^2; that these add up over layers is the
assumption of the allocation, which a run checks (K. Xu et al., "Efficient joint optimization of layer-adaptive weight
pruning in deep neural networks", ICCV 2023). There layers are pruned by magnitude; here by any method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dataflow.errors import InputError

from .method import Layer, PruningMethod
from .patterns import Pattern, misfit
from .prune import run_stage
from .subject import Subject, as_matrix, as_weight, weight_of

SAMPLES = 2
"""Calibration samples on which outputs are compared."""


def features(subject: Subject, states: Sequence[Tensor], start: int = 0) -> list[Tensor]:
    """What is compared of states before the stage ``start``."""
    for stage in subject.stages[start:-1]:
        states = [stage(x) for x in states]
    return [subject.features(x) for x in states]


def distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Squared distance over squared length."""
    lost = sum(float((a - b).square().sum()) for a, b in zip(found, wanted, strict=True))
    return lost / sum(float(b.square().sum()) for b in wanted)


@torch.no_grad()
def distortions(
    subject: Subject,
    method: PruningMethod,
    levels: Sequence[Pattern],
    *,
    seed: int = 0,
    samples: int = SAMPLES,
    tick: Callable[[str], None] = lambda text: None,
) -> dict[str, dict[str, float]]:
    """D by layer and by level (as text); a level that a layer cannot have is left out, ``dense`` costs 0 and is there.

    Raises:
        InputError: the method needs gradients.
    """
    if method.needs & {"gradients", "general", "fisher", "relevance", "classes"}:
        raise InputError("allocation rd: not with a method that needs gradients or classes")
    names = {module: name for name, module in subject.layers().items()}
    states = subject.calibration(seed)
    few = list(torch.cat([state[:samples] for state in states])[:samples].split(1))
    wanted = features(subject, few)
    found: dict[str, dict[str, float]] = {}
    for number, stage in enumerate(subject.stages):
        inside = {m: names[m] for m in stage.modules() if m in names}
        states, inputs = run_stage(stage, states, list(inside))
        for module, name in inside.items():
            weight = weight_of(module)
            before = weight.clone()
            found[name] = {"dense": 0.0}
            for level in levels:
                if str(level) == "dense" or misfit(level, before.shape[1]):
                    continue
                pruned = method.prune(Layer(name, as_matrix(before), inputs[module]), level)
                weight.copy_(as_weight(pruned.effective, weight))
                found[name][str(level)] = distance(features(subject, few, number), wanted)
            weight.copy_(before)
            tick(f"{name}, distortion")
        few = [stage(x) for x in few]
    return found
