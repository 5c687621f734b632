# SPDX-License-Identifier: Apache-2.0
"""Layer-wise reconstruction: the mask of another method, with the weights that reproduce the layer's outputs best.

min ||(V - W) X||^2 + lambda ||V - W||^2 over V that are 0 where the mask is: with H = X^T X + lambda I, (V H) = (W H)
where the mask keeps. Solved for all rows at once by conjugate gradients, preconditioned by the diagonal, beginning with
the masked weights; every step lowers the error. The optimum for a mask that SparseGPT approaches column by column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from dataflow.errors import InputError

from .method import Layer, Need, Part, Pruned, PruningMethod, pruning_method
from .patterns import Pattern


@dataclass(frozen=True)
class Reconstruct(PruningMethod):
    """Least squares for a mask."""

    start: str = "wanda"
    """Method that gives the mask."""
    damping: float = 0.01
    """lambda, of the mean diagonal of X^T X."""
    steps: int = 30

    title: ClassVar[str] = "reconstruction: another method's mask, weights by least squares"
    source: ClassVar[str] = "layer-wise objective of SparseGPT (arXiv 2301.00774), solved for a given mask; ours"
    part: ClassVar[Part] = "recovery"
    needs: ClassVar[frozenset[Need]] = frozenset({"inputs"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        if self.start.strip().lower() == "reconstruct":
            raise InputError("method reconstruct: option start: a method that gives a mask")
        mask = pruning_method(self.start).prune(layer, pattern).mask
        hessian = layer.known.gram.clone()
        hessian.diagonal().add_(self.damping * hessian.diagonal().mean().clamp(min=1e-30))
        return Pruned(self.solved(layer.weight, mask, hessian), mask)

    def solved(self, weight: Tensor, mask: Tensor, hessian: Tensor) -> Tensor:
        """V after so many steps; each row is its own problem."""
        inverse = 1 / hessian.diagonal()
        found = weight * mask
        residual = ((weight - found) @ hessian) * mask
        scaled = residual * inverse
        direction, power = scaled.clone(), (residual * scaled).sum(1)
        for _ in range(self.steps):
            turned = (direction @ hessian) * mask
            length = power / (direction * turned).sum(1).clamp(min=1e-30)
            found = found + length[:, None] * direction
            residual = residual - length[:, None] * turned
            scaled = residual * inverse
            after = (residual * scaled).sum(1)
            direction = scaled + (after / power.clamp(min=1e-30))[:, None] * direction
            power = after
        return found * mask
