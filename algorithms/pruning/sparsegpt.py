# SPDX-License-Identifier: Apache-2.0
"""SparseGPT: one-shot pruning that repairs what is left, column by column, with a Hessian that all rows share.

H = 2 / n sum x x^T + lambda I (lambda: ``damping`` of the mean diagonal); U: upper Cholesky factor of H^-1. U_jj^2 is
the j-th diagonal of the inverse of what remains when the columns before j are done, so the score of a weight is
w^2 / U_jj^2, and a removed weight's error w / U_jj is made good in the columns behind it along U's row j. An input that
is always 0 has H_jj := 1 and its weights removed. With ``bits`` what is kept is rounded to integers in the same pass,
its rounding error made good with the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dataflow.errors import InputError
from dataflow.pattern import NM

from .method import Layer, Need, Pruned, PruningMethod
from .patterns import Pattern
from .selection import select


@dataclass(frozen=True)
class SparseGPT(PruningMethod):
    """Optimal brain surgeon with one Hessian a layer."""

    damping: float = 0.01
    """lambda, of the mean diagonal of H."""
    block: int = 128
    """Columns of which an unstructured mask is chosen at once, and updates are put off for the rest."""
    bits: int = 0
    """Of integers that kept weights are rounded to in the same pass, one scale an output; 0: none."""

    title: ClassVar[str] = "SparseGPT: Hessian-based, remaining weights updated"
    source: ClassVar[str] = "E. Frantar, D. Alistarh, arXiv 2301.00774"
    needs: ClassVar[frozenset[Need]] = frozenset({"inputs"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        if self.bits not in (0, *range(2, 17)):
            raise InputError(f"method sparsegpt: option bits: 0, or 2 to 16 (got {self.bits})")
        w = layer.weight.clone()
        scale = w.abs().amax(1).clamp(min=1e-30) / (2 ** (self.bits - 1) - 1) if self.bits else None
        n_in = w.shape[1]
        hessian = 2 / max(layer.known.tokens, 1) * layer.known.gram
        dead = hessian.diagonal() == 0
        hessian.diagonal()[dead] = 1
        w[:, dead] = 0
        u = self._factor(hessian, layer.name)
        mask = torch.ones_like(w, dtype=torch.bool)
        group = pattern.m_group if isinstance(pattern, NM) else pattern.block
        step = -(-self.block // group) * group
        for start in range(0, n_in, step):
            end = min(start + step, n_in)
            u1, errors = u[start:end, start:end], torch.zeros(len(w), end - start)
            w1, mask1 = w[:, start:end].clone(), mask[:, start:end]
            diagonal = u1.diagonal()
            if not isinstance(pattern, NM):
                mask1.copy_(select((w1 / diagonal) ** 2, pattern, "layer"))
            for j in range(end - start):
                if isinstance(pattern, NM) and j % group == 0:  # decided with the weights as they are updated by now
                    part = slice(j, j + group)
                    mask1[:, part] = select((w1[:, part] / diagonal[part]) ** 2, pattern)
                wanted = rounded(w1[:, j], scale, self.bits) * mask1[:, j]
                error = (w1[:, j] - wanted) / diagonal[j]
                w1[:, j:].addr_(error, u1[j, j:], alpha=-1)
                w1[:, j] = wanted  # the update leaves it there but for rounding
                errors[:, j] = error
            w[:, start:end] = w1
            w[:, end:].addmm_(errors, u[start:end, end:], alpha=-1)
        return Pruned(w.masked_fill_(~mask, 0.0), mask)

    def _factor(self, hessian: Tensor, name: str) -> Tensor:
        """U of H^-1 = U^T U, [in, in]."""
        damped = hessian.clone()
        damped.diagonal().add_(self.damping * hessian.diagonal().mean())
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed:
            upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
        if failed:
            raise InputError(f"layer {name}: the inputs' Hessian is singular: more calibration tokens, or more damping")
        return torch.triu(upper)


def rounded(w: Tensor, scale: Tensor | None, bits: int) -> Tensor:
    """The nearest integers of so many bits times the scale, symmetric about 0, which stays 0."""
    if scale is None:
        return w
    most = 2 ** (bits - 1) - 1
    return (w / scale).round().clamp(-most, most) * scale
