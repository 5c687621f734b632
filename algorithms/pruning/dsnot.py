# SPDX-License-Identifier: Apache-2.0
"""DSnoT: a mask repaired by swaps; no weight changes.

What a row lost on average: e = sum of W_j E[x_j] over removed j. A swap takes back the removed weight with the largest
sign(e) W_j E[x_j] / Var(x_j)^gamma, and removes, of the kept ones whose W_k E[x_k] moves e towards 0, the one with the
lowest Wanda score; in N:M within the same group. A row is done when |e| is at most ``threshold``, after ``cycles``, or
when a swap would turn e's sign or not bring it nearer to 0: so |e| never grows. The released script leaves feed-forward
blocks as they were (``skip`` here does so by the ends of layers' names) and, for unstructured masks, switches the rule
of signs off; here it always holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dataflow.errors import InputError
from dataflow.pattern import NM

from .method import Layer, Need, Part, Pruned, PruningMethod, masked, pruning_method
from .patterns import Pattern


@dataclass(frozen=True)
class DSnoT(PruningMethod):
    """Dynamic sparse no training."""

    start: str = "wanda"
    """Method that gives the mask to begin with."""
    threshold: float = 0.1
    cycles: int = 50
    gamma: float = 1.0
    """Power of the variance."""
    skip: str = ""
    """Ends of the names of layers that keep the first mask, separated by commas."""

    title: ClassVar[str] = "DSnoT: a mask repaired by swaps, by what a row lost on average"
    source: ClassVar[str] = "Y. Zhang et al., arXiv 2310.08915"
    part: ClassVar[Part] = "repair"
    needs: ClassVar[frozenset[Need]] = frozenset({"inputs"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        if self.start.strip().lower() == "dsnot":
            raise InputError("method dsnot: option start: a method that gives a mask")
        mask = pruning_method(self.start).prune(layer, pattern).mask
        if not isinstance(pattern, NM) and pattern.block > 1:
            raise InputError(f"method dsnot: pattern {pattern}: swaps are of single weights")
        if layer.name.rpartition(".")[2] in [part.strip() for part in self.skip.split(",")]:
            return masked(layer.weight, mask)
        group = pattern.m_group if isinstance(pattern, NM) else layer.weight.shape[1]
        return masked(layer.weight, self.swapped(layer, mask, group))

    def swapped(self, layer: Layer, mask: Tensor, group: int) -> Tensor:
        """The mask after all swaps, each within ``group`` consecutive weights."""
        inputs, mask = layer.known, mask.clone()
        effect = layer.weight * inputs.means
        gain = effect / inputs.variances.clamp(min=1e-30) ** self.gamma
        wanda = layer.weight.abs() * inputs.norms
        error = effect.masked_fill(mask, 0.0).sum(1)
        rows = torch.arange(len(mask))
        for _ in range(self.cycles):
            rows = rows[error[rows].abs() > self.threshold]
            if not len(rows):
                break
            kept, sign = mask[rows], error[rows].sign()[:, None]
            lost = wanda[rows].masked_fill(~kept | (effect[rows] * sign >= 0), torch.inf)
            worst, where = lost.unflatten(1, (-1, group)).min(2)  # of each group: what can be removed
            able = worst.isfinite().repeat_interleave(group, 1)
            value = (sign * gain[rows]).masked_fill(kept | ~able | (effect[rows] * sign <= 0), -torch.inf)
            best, grow = value.max(1)
            drop = grow // group * group + where[torch.arange(len(rows)), grow // group]
            after = error[rows] - effect[rows, grow] + effect[rows, drop]
            fine = best.isfinite() & (after * sign[:, 0] >= 0) & (after.abs() < error[rows].abs())
            rows, grow, drop = rows[fine], grow[fine], drop[fine]
            mask[rows, grow], mask[rows, drop] = True, False
            error[rows] = after[fine]
        return mask
