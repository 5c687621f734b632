# SPDX-License-Identifier: Apache-2.0
"""iCBS: the set of weights to remove, with their interactions, block by block; no weight changes.

Removing a set from a row costs 1/2 d^T H d with d = -w where removed and H = X^T X: two weights may cancel, which
scores of single weights do not see. From another method's mask on, a block of a row at a time is set to the best of all
its choices of as many weights as it keeps, the rest of the row as it is: in N:M a group, else ``group`` weights. The
present choice is among them, so that no step makes it worse. The paper finds blocks by scores with a tabu list and
solves them by simulated annealing; here they come in order, ``sweeps`` times, and are small enough to try every choice.
Source: G. Rosenberg et al., arXiv 2411.17796 (the idea; its released code has another licence and was not used).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dataflow.errors import InputError
from dataflow.pattern import NM

from .method import Layer, Need, Pruned, PruningMethod, masked, pruning_method
from .patterns import Pattern

LARGEST = 8
"""Weights of a block: 256 choices."""


@dataclass(frozen=True)
class ICBS(PruningMethod):
    """Iterative combinatorial brain surgeon."""

    start: str = "wanda"
    """Method that gives the mask to begin with."""
    sweeps: int = 2
    group: int = 8
    """Weights of a block of an unstructured mask."""

    title: ClassVar[str] = "iCBS: sets of weights with their interactions, the best of all choices block by block"
    source: ClassVar[str] = "G. Rosenberg et al., arXiv 2411.17796"
    needs: ClassVar[frozenset[Need]] = frozenset({"inputs"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        if self.start.strip().lower() == "icbs":
            raise InputError("method icbs: option start: a method that gives a mask")
        if not isinstance(pattern, NM) and pattern.block > 1:
            raise InputError(f"method icbs: pattern {pattern}: single weights are chosen")
        size = pattern.m_group if isinstance(pattern, NM) else self.group
        if not 2 <= size <= LARGEST or layer.weight.shape[1] % size:
            raise InputError(
                f"method icbs: layer {layer.name}: blocks of {size}; 2 to {LARGEST}, and a divisor of the row"
            )
        mask = pruning_method(self.start).prune(layer, pattern).mask
        for _ in range(self.sweeps):
            mask = self.swept(layer.weight, mask, layer.known.gram, size)
        return masked(layer.weight, mask)

    def swept(self, weight: Tensor, mask: Tensor, hessian: Tensor, size: int) -> Tensor:
        """The mask after every block was set to its best choice once."""
        mask = mask.clone()
        every = (torch.arange(2**size)[:, None] >> torch.arange(size)) & 1 == 1  # kept, [choices, size]
        counts = every.sum(1)
        change = -weight * ~mask
        pull = change @ hessian  # H d of each row
        for start in range(0, weight.shape[1], size):
            part = slice(start, start + size)
            h, w = hessian[part, part], weight[:, part]
            outside = pull[:, part] - change[:, part] @ h
            choices = -w[:, None, :] * ~every  # [rows, choices, size]
            cost = 0.5 * ((choices @ h) * choices).sum(2) + (choices * outside[:, None, :]).sum(2)
            kept = mask[:, part].sum(1, keepdim=True)
            cost = cost.masked_fill(counts != kept, torch.inf)
            now = (mask[:, part] << torch.arange(size)).sum(1, keepdim=True)
            best, which = cost.min(1, keepdim=True)
            which = torch.where(best < cost.gather(1, now), which, now)[:, 0]  # of equals the present one
            mask[:, part] = every[which]
            difference = -w * ~mask[:, part] - change[:, part]
            change[:, part] += difference
            pull += difference @ hessian[part]
        return mask
