# SPDX-License-Identifier: Apache-2.0
"""ARMOR: an N:M core between two block-diagonal matrices, W ~ A (S o M) B.

W is divided by the norms of its columns, then by those of its rows, and d_j = sum of x_j^2 weighs an input; the loss is
sum_ij d_j (W^_ij - W_ij)^2. A and B begin as identities, the core as the N:M baseline with scores d_j W_ij^2, so that
without steps this is that baseline. A step is one of Adam on A, B and S, then one of the core: in every block of
``block`` x ``block`` one group of M, drawn with probability in proportion to the L1 norm of its gradient, takes the
best of all its masks, each with its least-squares values. The norms go into A and B. A and B cost multiplies of their
own, 2 ``block`` / width of the layer's: they count as weights that are kept, and machines run them as layers.
Source: L. Liu et al., arXiv 2510.05528 (defaults: released code). There 3,000 steps at a rate of 1e-4; here fewer at a
higher one.
"""

from __future__ import annotations

import itertools
import math
import zlib
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dataflow.errors import InputError
from dataflow.pattern import NM

from .method import Layer, Need, Part, Pruned, PruningMethod, Wrappers
from .patterns import Pattern
from .selection import select

MOST_MASKS = 70
"""Of a group: those of 4:8."""


@dataclass(frozen=True)
class Armor(PruningMethod):
    """N:M core in block-diagonal wrappers."""

    steps: int = 100
    rate: float = 3e-3
    block: int = 32
    """Side of a block of A and of B."""
    seed: int = 0

    title: ClassVar[str] = "ARMOR: an N:M core between two block-diagonal matrices, whose cost counts"
    source: ClassVar[str] = "L. Liu et al., arXiv 2510.05528"
    part: ClassVar[Part] = "structure"
    needs: ClassVar[frozenset[Need]] = frozenset({"inputs"})

    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        if not isinstance(pattern, NM) or math.comb(pattern.m_group, pattern.n_keep) > MOST_MASKS:
            raise InputError(f"method armor: pattern {pattern}: N:M with at most {MOST_MASKS} masks of a group")
        out, reduction = layer.weight.shape
        if out % self.block or reduction % self.block or self.block % pattern.m_group:
            raise InputError(
                f"method armor: layer {layer.name}: {out} x {reduction} is not made of blocks of {self.block}"
            )
        columns = layer.weight.norm(dim=0).clamp(min=1e-30)
        rows = (layer.weight / columns).norm(dim=1).clamp(min=1e-30)
        problem = Core(layer.weight / columns / rows[:, None], layer.known.norms**2, pattern, self.block)
        rng = torch.Generator().manual_seed(zlib.crc32(f"{self.seed} {layer.name}".encode()))
        problem.fit(self.steps, self.rate, rng)
        left = rows.unflatten(0, (-1, self.block))[:, :, None] * problem.left
        right = problem.right * columns.unflatten(0, (-1, self.block))[:, None, :]
        mask = problem.mask
        return Pruned(problem.core.masked_fill(~mask, 0.0), mask, Wrappers(left, right))


class Core:
    """One layer's problem and its state.

    Args:
        wanted: W, [out, in], normed.
        inputs: d, [in].

    Attributes:
        left, right: blocks of A and B, [out / block, block, block] and [in / block, block, block].
        core, mask: S and M, [out, in].
    """

    def __init__(self, wanted: Tensor, inputs: Tensor, pattern: NM, block: int) -> None:
        self.block, self.group = block, pattern.m_group
        self.wanted = self._split(wanted)
        self.weights = (inputs / inputs.mean().clamp(min=1e-30)).unflatten(0, (-1, block))  # [q, block]
        self.left, self.right = (torch.eye(block).repeat(size // block, 1, 1) for size in wanted.shape)
        self.mask = select(inputs * wanted**2, pattern)
        self.core = wanted * self.mask
        every = itertools.combinations(range(pattern.m_group), pattern.n_keep)
        self.choices = torch.tensor([[i in kept for i in range(pattern.m_group)] for kept in every])

    def _split(self, x: Tensor) -> Tensor:
        """[out, in] to blocks [out / block, in / block, block, block]."""
        found: Tensor = x.unflatten(1, (-1, self.block)).unflatten(0, (-1, self.block)).transpose(1, 2)
        return found

    def product(self) -> Tensor:
        """A (S o M) B in blocks [p, q, block, block]."""
        found: Tensor = self.left[:, None] @ self._split(self.core * self.mask) @ self.right[None]
        return found

    def loss(self) -> Tensor:
        lost: Tensor = (self.weights[None, :, None, :] * (self.product() - self.wanted) ** 2).sum()
        return lost

    def fit(self, steps: int, rate: float, rng: torch.Generator) -> None:
        """So many steps; if they make it worse, it is as it was before them."""
        start = float(self.loss())
        before = [x.clone() for x in (self.left, self.right, self.core, self.mask)]
        trained = [self.left, self.right, self.core]
        optimizer = torch.optim.Adam(trained, lr=rate)
        for _ in range(steps):
            with torch.enable_grad():
                for x in trained:
                    x.requires_grad_(True)
                slopes = torch.autograd.grad(self.loss(), trained)
            for x, slope in zip(trained, slopes, strict=True):
                x.requires_grad_(False)
                x.grad = slope
            with torch.no_grad():
                optimizer.step()
                self.core.masked_fill_(~self.mask, 0.0)
                self.choose(rng)
        if steps and not float(self.loss()) <= start:
            self.left, self.right, self.core, self.mask = before

    def slope(self) -> Tensor:
        """The loss's gradient of S o M as if all of it could move, in blocks."""
        lost = 2 * self.weights[None, :, None, :] * (self.product() - self.wanted)
        found: Tensor = self.left.transpose(1, 2)[:, None] @ lost @ self.right.transpose(1, 2)[None]
        return found

    def choose(self, rng: torch.Generator) -> None:
        """One group of every block gets its best mask with its best values; no loss grows."""
        size, group = self.block, self.group
        strength = self.slope().abs().unflatten(3, (-1, group)).sum(-1).flatten(2)  # [p, q, groups of a block]
        p, q = strength.shape[:2]
        drawn = torch.multinomial(strength.flatten(0, 1).clamp(min=1e-30), 1, generator=rng).view(p, q)
        row, column = drawn // (size // group), drawn % (size // group) * group
        own = column[..., None] + torch.arange(group)  # [p, q, group]: columns within the block
        core, mask = self._split(self.core), self._split(self.mask)
        at = (torch.arange(p)[:, None, None], torch.arange(q)[None, :, None], row[..., None], own)
        now = core[at] * mask[at]
        a = self.left[torch.arange(p)[:, None], :, row]  # [p, q, block]: A's column
        b = self.right[torch.arange(q)[None, :, None], own]  # [p, q, group, block]: B's rows
        rest = self.wanted - self.product() + a[..., None] * (now[..., None, :] @ b)
        weighed = b * self.weights[None, :, None, :]
        power = (a * a).sum(-1)[..., None]
        pull = ((a[..., None, :] @ rest) @ weighed.transpose(2, 3)).squeeze(2)  # [p, q, group]
        gram = power[..., None] * (weighed @ b.transpose(2, 3))
        gram = gram + 1e-6 * gram.diagonal(dim1=2, dim2=3).mean(-1)[..., None, None].clamp(min=1e-20) * torch.eye(group)
        allowed = self.choices
        both = allowed[:, :, None] & allowed[:, None, :]
        system = gram[:, :, None] * both + torch.diag_embed((~allowed).to(gram.dtype))
        values = torch.linalg.solve(system, (pull[:, :, None] * allowed)[..., None]).squeeze(-1) * allowed

        def cost(x: Tensor) -> Tensor:  # up to what is the same for all: x G x - 2 x h
            found: Tensor = ((x[..., None, :] @ gram[:, :, None]).squeeze(-2) * x - 2 * x * pull[:, :, None]).sum(-1)
            return found

        best, which = cost(values).min(-1)
        better = best < cost(now[:, :, None])[..., 0]
        chosen = values.gather(2, which[..., None, None].expand(-1, -1, 1, group)).squeeze(2)
        core[at] = torch.where(better[..., None], chosen, core[at])
        mask[at] = torch.where(better[..., None], allowed[which], mask[at])
