# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning after pruning: a character model learns to predict with the tokens, heads and values that are left.

The forward pass is the pruned one; the loss is of the rows that survive all layers. Which ones leave has no gradient,
what the others weigh has. Quantization rounds, so it is left out while tuning.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from algorithms.training.models import CharLM
from dataflow.attention.pruning import AttentionPruning

from .attach import attach


def pruned_loss(model: CharLM, pruning: AttentionPruning, windows: Tensor) -> Tensor:
    """Mean cross entropy, nats, of the next character at the rows that survive.

    Args:
        windows: int64[batch, context + 1].
    """
    with attach(model, pruning.model_copy(update={"quantization": None})) as run:
        logits = model(windows[:, :-1])
        targets = torch.stack([w[session.alive + 1] for w, session in zip(windows, run.sessions, strict=True)])
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def tune(
    model: CharLM, pruning: AttentionPruning, text: Tensor, *, steps: int, batch: int = 8, context: int = 96,
    rate: float = 3e-4, seed: int = 0, tick: Callable[[str], None] = lambda name: None,
) -> list[float]:  # fmt: skip
    """Fine-tune in place with Adam; the loss of each step.

    Args:
        text: uint8 characters to train on; windows are drawn from it.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    losses = []
    model.train()
    for step in range(steps):
        starts = torch.randint(len(text) - context, (batch, 1), generator=generator)
        loss = pruned_loss(model, pruning, text[starts + torch.arange(context + 1)].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        tick(f"fine-tune, step {step + 1}")
    model.eval()
    return losses
