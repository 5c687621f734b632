# SPDX-License-Identifier: Apache-2.0
"""What a pruning method is: from one layer's weights, and what is known of its inputs, to a mask and new weights.

A method is a frozen dataclass, its options the fields; a user's own is one file and an entry point::

    [project.entry-points."hwsim.pruning_methods"]
    mine = "my_package.mine:Mine"
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from algorithms.options import with_options
from dataflow.errors import InputError
from dataflow.registry import Registry, method_class

from .patterns import Pattern

Order = Literal["pruned", "dense"]
"""What a layer's inputs are outputs of: the layers before it as they are pruned, or as they were."""
Part = Literal["score", "repair", "structure", "recovery", "integers", "control"]
"""Choosing weights; repairing a mask; matrices around a mask; weights anew for a given mask; whole channels, for
integers; none of these, for comparison."""
Need = Literal["inputs", "gradients", "general", "fisher", "relevance", "classes", "filters"]


class Classes:
    """Sums of rows by their class, in float64."""

    def __init__(self, width: int, count: int) -> None:
        self.counts, self.sums = torch.zeros(count, dtype=torch.float64), torch.zeros(count, width, dtype=torch.float64)
        self.squares = torch.zeros(width, dtype=torch.float64)

    def add(self, x: Tensor, classes: Tensor) -> None:
        """Count rows x [n, in] of classes int64 [n] in; those of a class below 0 do not count."""
        counted = classes >= 0
        rows, of = x[counted].double(), classes[counted]
        self.counts += torch.bincount(of, minlength=len(self.counts))
        self.sums.index_add_(0, of, rows)
        self.squares += rows.square().sum(0)

    @property
    def f(self) -> Tensor:
        """F of one-way ANOVA of each column, [in]: the variance between classes over that within; 0 of a constant.

        Raises:
            InputError: fewer than two classes have rows, or no class has more than one.
        """
        there = self.counts > 0
        n, classes = float(self.counts.sum()), int(there.sum())
        if classes < 2 or n <= classes:
            raise InputError("classes: at least two, with more samples than classes")
        means = self.sums[there] / self.counts[there][:, None]
        between = (self.counts[there][:, None] * (means - self.sums.sum(0) / n) ** 2).sum(0) / (classes - 1)
        within = (self.squares - (self.counts[there][:, None] * means**2).sum(0)).clamp(min=0) / (n - classes)
        scale = self.squares / n
        found: Tensor = torch.where(between > 1e-12 * scale, between / (within + 1e-12 * scale), 0.0)
        return found.float()


class Inputs:
    """Statistics of a layer's inputs x [tokens, in], summed over batches in float32.

    Attributes:
        gram: X^T X, [in, in].
        total: sum of x, [in].
        tokens: how many.
        samples: sequences or images that they are of.
        classes: of methods that need them.
    """

    def __init__(self, width: int, classes: int = 0) -> None:
        self.gram, self.total, self.tokens, self.samples = torch.zeros(width, width), torch.zeros(width), 0, 0
        self.classes = Classes(width, classes) if classes else None

    def add(self, x: Tensor, samples: int = 1, classes: Tensor | None = None) -> None:
        """Count rows x [tokens, in] of so many samples in; ``classes``: of as many equal parts of the rows."""
        if self.classes is not None and classes is not None:
            self.classes.add(x, classes.flatten().repeat_interleave(len(x) // classes.numel()))
        self.gram.addmm_(x.T, x)
        self.total += x.sum(0)
        self.tokens += len(x)
        self.samples += samples

    @property
    def norms(self) -> Tensor:
        """L2 norm of each input over the tokens, [in]."""
        return self.gram.diagonal().clamp(min=0).sqrt()

    @property
    def means(self) -> Tensor:
        return self.total / max(self.tokens, 1)

    @property
    def variances(self) -> Tensor:
        """Of each input over the tokens, [in]."""
        return (self.gram.diagonal() / max(self.tokens, 1) - self.means**2).clamp(min=0)


class Gradients:
    """Statistics of the loss's gradients of a layer's weights, one gradient a sample, [out, in] each."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._sum, self._absolute, self._square = (torch.zeros(shape) for _ in range(3))
        self.samples = 0

    def add(self, gradient: Tensor) -> None:
        """Count the gradient of one sample in."""
        self._sum += gradient
        self._absolute += gradient.abs()
        self._square.addcmul_(gradient, gradient)
        self.samples += 1

    @property
    def mean(self) -> Tensor:
        return self._sum / max(self.samples, 1)

    @property
    def absolute(self) -> Tensor:
        """Mean of the magnitudes."""
        return self._absolute / max(self.samples, 1)

    @property
    def root_mean_square(self) -> Tensor:
        return (self._square / max(self.samples, 1)).sqrt()


class Filters(NamedTuple):
    """Channels relu(f x + b), batch normalization folded into f and b."""

    weight: Tensor
    """f: a row a channel."""
    shift: Tensor
    """b, [channels]."""


@dataclass
class Layer:
    """What a method sees of one layer."""

    name: str
    weight: Tensor
    """[out, in]; a convolution's with its taps before the channels, so that a group lies within one tap."""
    inputs: Inputs | None = None
    gradients: Gradients | None = None
    """Of the loss, at the dense weights."""

    general: Gradients | None = None
    """Of the loss on data of another domain."""
    fisher: Tensor | None = None
    """Mean of g g^T over samples' gradients, in blocks along the reduction: [out, in / block, block, block]."""

    relevance: Gradients | None = None
    """Of an output with the rules of LRP: times the weights it is relevance."""

    filters: Filters | None = None
    """Whose outputs are the layer's inputs."""

    @property
    def behind(self) -> Filters:
        """The filters behind its inputs, where the method asked for them."""
        assert self.filters is not None
        return self.filters

    @property
    def explained(self) -> Gradients:
        """Its relevance, where the method asked for it."""
        assert self.relevance is not None
        return self.relevance

    @property
    def told(self) -> Classes:
        """Its inputs by class, where the method asked for them."""
        assert self.inputs is not None
        assert self.inputs.classes is not None
        return self.inputs.classes

    @property
    def elsewhere(self) -> Gradients:
        """Its gradients on another domain, where the method asked for them."""
        assert self.general is not None
        return self.general

    @property
    def curvature(self) -> Tensor:
        """Its Fisher blocks, where the method asked for them."""
        assert self.fisher is not None
        return self.fisher

    @property
    def known(self) -> Inputs:
        """Its inputs, where the method asked for them."""
        assert self.inputs is not None
        return self.inputs

    @property
    def slopes(self) -> Gradients:
        """Its gradients, where the method asked for them."""
        assert self.gradients is not None
        return self.gradients


class Wrappers(NamedTuple):
    """Block-diagonal matrices A and B around a layer's weights: what it computes with is A W B."""

    left: Tensor
    """Blocks of A, [out / block, block, block]."""
    right: Tensor
    """Blocks of B, [in / block, block, block]."""

    @property
    def block(self) -> int:
        return self.left.shape[-1]


class Pruned(NamedTuple):
    """What a method makes of a layer."""

    weight: Tensor
    """[out, in], 0 where the mask is false."""
    mask: Tensor
    """bool [out, in]."""
    wrappers: Wrappers | None = None

    @property
    def effective(self) -> Tensor:
        """The matrix that the layer's inputs are multiplied by, [out, in]."""
        if self.wrappers is None:
            return self.weight
        a, b = self.wrappers
        blocks = self.weight.unflatten(1, (len(b), -1)).unflatten(0, (len(a), -1)).transpose(1, 2)
        found: Tensor = (a[:, None] @ blocks @ b[None]).transpose(1, 2).reshape(self.weight.shape)
        return found

    @property
    def extra(self) -> int:
        """Weights of the wrappers."""
        return 0 if self.wrappers is None else self.wrappers.left.numel() + self.wrappers.right.numel()


@dataclass(frozen=True)
class PruningMethod(ABC):
    """A pruning method with its options."""

    title: ClassVar[str]
    """In a few words."""
    source: ClassVar[str]
    """Publication."""
    needs: ClassVar[frozenset[Need]] = frozenset()
    order: ClassVar[Order] = "pruned"
    """The paper's choice."""
    part: ClassVar[Part] = "score"
    """What it is counted as beside others."""

    @abstractmethod
    def prune(self, layer: Layer, pattern: Pattern) -> Pruned:
        """Prune one layer; the pattern fits it. What needs ``fisher`` has a field ``block``: the size of its blocks."""


def masked(weight: Tensor, mask: Tensor) -> Pruned:
    """The weights as they are, where the mask keeps them."""
    return Pruned(weight.masked_fill(~mask, 0.0), mask)


PRUNING_METHODS: Registry[type[PruningMethod]] = Registry(
    "pruning method",
    "hwsim.pruning_methods",
    convert=method_class(PruningMethod, "pruning method"),
    normal=lambda name: name.strip().lower(),
)
"""All pruning methods by name."""


def pruning_method(name: str, options: Mapping[str, Any] | None = None) -> PruningMethod:
    """A method by name, with options by the names of its fields.

    Raises:
        InputError: no such method or option, or an option of another type.
    """
    return with_options(PRUNING_METHODS.get(name), f"method {name}", options)
