# SPDX-License-Identifier: Apache-2.0
"""PERP: recovery of a pruned model by training few parameters, the masks unchanged.

Trained are biases and norms, and MaskLoRA: W + (alpha / r) (B A) o M with B = 0 at first, so that nothing changes at
the start and no removed weight ever comes back; the mask is kept apart, as a kept weight may be 0. Then W is the sum,
and costs nothing more. Source: M. Zimmer et al., arXiv 2312.15230; r 16, alpha 32, rate 5e-4, AdamW, linear decay,
two samples a step (released code). A head that shares its weights with the embedding is not trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dataflow.errors import InputError

from .mask import Masks
from .subject import Subject, as_matrix, as_weight


class MaskLoRA(nn.Module):
    """A parametrization of a weight: low-rank change where the mask keeps."""

    def __init__(self, mask: Tensor, rank: int, alpha: float, rng: torch.Generator) -> None:
        super().__init__()
        out, reduction = as_matrix(mask).shape
        rank = min(rank, out, reduction)
        self.mask, self.scale = mask, alpha / rank
        self.a = nn.Parameter(torch.randn(rank, reduction, generator=rng) / reduction**0.5)
        self.b = nn.Parameter(torch.zeros(out, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * as_weight(self.b @ self.a, weight) * self.mask


@dataclass(frozen=True)
class Recovered:
    """What a recovery did."""

    losses: list[float]
    """Of each step, before it."""
    trained: int
    """Parameters."""
    share: float
    """Of all the model's."""


def small_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Biases and norms: all parameters of one dimension."""
    return [p for p in model.parameters() if p.dim() == 1]


def perp(
    subject: Subject, masks: Masks, *, steps: int = 50, rank: int = 16, alpha: float = 32.0, rate: float = 5e-4,
    accumulate: int = 2, seed: int = 0, data: Iterator[Tensor] | None = None,
    tick: Callable[[str], None] = lambda text: None,
) -> Recovered:  # fmt: skip
    """Train for so many steps; the model is changed in place, its masks are as they were.

    Args:
        data: samples one by one; None: `samples` by the seed.

    Raises:
        InputError: the loss is no number.
    """
    model, layers = subject.model, subject.layers()
    total = sum(p.numel() for p in model.parameters())
    before = {p: p.requires_grad for p in model.parameters()}
    rng = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    try:
        for p in model.parameters():
            p.requires_grad_(False)
        trained = small_parameters(model)
        for name, mask in masks.items():
            lora = MaskLoRA(mask, rank, alpha, rng)
            parametrize.register_parametrization(layers[name], "weight", lora)
            trained += [lora.a, lora.b]
        for p in trained:
            p.requires_grad_(True)
        optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
        drawn = samples(subject, seed) if data is None else data
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate * (1 - step / steps)
            optimizer.zero_grad()
            value = 0.0
            for _ in range(accumulate):
                loss = subject.loss(next(drawn)) / accumulate
                loss.backward()
                value += float(loss.detach())
            if value != value:
                raise InputError(f"recovery: step {step}: the loss is no number; a lower rate than {rate}")
            optimizer.step()
            losses.append(value)
            tick(f"recovery, step {step + 1} of {steps}: {value:.3f}")
    finally:
        for name in masks:
            if parametrize.is_parametrized(layers[name]):
                with torch.no_grad():
                    parametrize.remove_parametrizations(layers[name], "weight", leave_parametrized=True)
        for p in model.parameters():
            p.requires_grad_(before.get(p, False))
            p.grad = None
    assert masks.off(model) == 0
    count = sum(p.numel() for p in trained)
    return Recovered(losses, count, count / total)


def samples(subject: Subject, seed: int) -> Iterator[Tensor]:
    """Calibration samples one by one, other draws of the data each time they are used up."""
    draw = 0
    while True:
        for batch in subject.calibration(1000 * (seed + 1) + draw):
            yield from batch.split(1)
        draw += 1
