# SPDX-License-Identifier: Apache-2.0
"""GPUSQ: a pruned model trained first as it is, then with integer weights, each time taught by the dense model.

The loss of both parts: of the data (hard labels), T^2 KL(dense || pruned) of the outputs (soft labels), and the squared
distance of states behind the later half of the stages, over the dense ones' square. In the second part, weights are
rounded to ``bits`` in the forward pass, their gradients passed straight through, and each stage's distance counts in
proportion to what was left of it at the end of the first; then they stay rounded. Masks are kept: symmetric integers
map 0 to 0. Stored bits of 2:4 in int8: (2 x 8 + 2 x 2) / (4 x 8) = 62.5% of dense int8.
The paper's are vision transformers, mask by magnitude, activations rounded too; here weights alone are rounded, and
rate and number of steps are ours. Source: C. Yu et al., arXiv 2305.10727.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataflow.errors import InputError

from .mask import Masks
from .perp import Recovered, samples
from .sparsegpt import rounded
from .subject import Subject, as_matrix, as_weight, weight_of

TEMPERATURE = 2.0


def gpusq(
    subject: Subject, dense: Sequence[nn.Module], masks: Masks, *, steps: int = 50, bits: int = 8, rate: float = 1e-4,
    accumulate: int = 2, seed: int = 0, tick: Callable[[str], None] = lambda text: None,
) -> Recovered:  # fmt: skip
    """Train for so many steps, half of them rounded; the model is changed in place, its masks are as they were.

    Args:
        dense: stages of the model before it was pruned.
        bits: of the integers; 0: none, all steps are the first part.

    Raises:
        InputError: the loss is no number; bits that are no integer's.
    """
    if bits not in (0, *range(2, 17)):
        raise InputError(f"recovery_bits: 0, or 2 to 16 (got {bits})")
    layers = {name: weight_of(module) for name, module in subject.layers().items() if name in masks}
    before = {p: p.requires_grad for p in subject.model.parameters()}
    trained = [*layers.values(), *(p for p in subject.model.parameters() if p.dim() == 1)]
    late = range(len(subject.stages) // 2, len(subject.stages) - 1)
    balance = torch.ones(len(late))
    left = torch.ones(len(late))
    losses: list[float] = []
    try:
        for p in subject.model.parameters():
            p.requires_grad_(False)
        for p in trained:
            p.requires_grad_(True)
        optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
        drawn = samples(subject, seed)
        with masks.held(subject.model, optimizer):
            for step in range(steps):
                part = bool(bits) and step >= steps // 2
                if part and step == steps // 2:
                    balance = left / left.mean().clamp(min=1e-30)
                for group in optimizer.param_groups:
                    group["lr"] = rate * (1 - step / steps)
                kept = [w.detach().clone() for w in layers.values()] if part else []
                if part:
                    _round(layers.values(), bits)
                optimizer.zero_grad()
                value, left = 0.0, torch.zeros(len(late))
                for _ in range(accumulate):
                    sample = next(drawn)
                    loss, far = taught(subject, dense, sample, late, balance)
                    (loss / accumulate).backward()
                    value, left = value + float(loss.detach()) / accumulate, left + far / accumulate
                if value != value:
                    raise InputError(f"recovery: step {step}: the loss is no number; a lower rate than {rate}")
                with torch.no_grad():
                    for weight, latent in zip(layers.values(), kept, strict=False):
                        weight.copy_(latent)
                optimizer.step()
                losses.append(value)
                tick(f"recovery, step {step + 1} of {steps}: {value:.3f}")
        if bits:
            _round(layers.values(), bits)
    finally:
        for p in subject.model.parameters():
            p.requires_grad_(before[p])
            p.grad = None
    assert masks.off(subject.model) == 0
    count = sum(p.numel() for p in trained)
    return Recovered(losses, count, count / sum(p.numel() for p in subject.model.parameters()))


def taught(
    subject: Subject, dense: Sequence[nn.Module], sample: Tensor, late: range, balance: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss on a sample, and of each late stage the relative squared distance of its state."""
    mine = theirs = sample
    far = []
    for number, (stage, teacher) in enumerate(zip(subject.stages, dense, strict=True)):
        mine = stage(mine)
        with torch.no_grad():
            theirs = teacher(theirs)
        if number in late:
            far.append((mine - theirs).square().sum() / theirs.square().sum().clamp(min=1e-30))
    apart = torch.stack(far)
    soft = F.kl_div(
        (mine / TEMPERATURE).log_softmax(-1).flatten(0, -2), (theirs / TEMPERATURE).log_softmax(-1).flatten(0, -2),
        reduction="batchmean", log_target=True,
    )  # fmt: skip
    loss = subject.loss_of(mine, sample) + TEMPERATURE**2 * soft + (balance * apart).mean()
    return loss, apart.detach()


@torch.no_grad()
def _round(weights: Iterable[Tensor], bits: int) -> None:
    for weight in weights:
        matrix = as_matrix(weight)
        scale = matrix.abs().amax(1, keepdim=True).clamp(min=1e-30) / (2 ** (bits - 1) - 1)
        weight.copy_(as_weight(rounded(matrix, scale, bits), weight))
