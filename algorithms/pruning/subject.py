# SPDX-License-Identifier: Apache-2.0
"""What is pruned: a model as stages that run one after the other, its layers with weights, data and a measure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dataflow.errors import InputError
from dataflow.networks.network import Network, Phase

from .method import Filters

Row = dict[str, Any]


class Subject(ABC):
    """A pretrained model with its data."""

    name: ClassVar[str]
    metric: ClassVar[str]
    """Key of `quality` that matters most; lower is better."""
    model: nn.Module

    @property
    @abstractmethod
    def stages(self) -> Sequence[nn.Module]:
        """Modules that one after the other map an input to the model's output; each takes and gives one tensor."""

    @abstractmethod
    def calibration(self, seed: int) -> list[Tensor]:
        """Batches of inputs, drawn by a seed."""

    def general(self, seed: int) -> list[Tensor]:
        """Batches of inputs of another domain than `calibration`'s, none of what `quality` measures on.

        Raises:
            InputError: this model's data has one domain.
        """
        raise InputError(f"{self.name}: its data has one domain; methods that weigh two do not apply")

    def pieces(self, seed: int) -> list[Tensor]:
        """Samples, one a batch, of which each has a gradient of its own in a Fisher matrix."""
        return [sample for batch in self.calibration(seed) for sample in batch.split(1)]

    def loss(self, inputs: Tensor) -> Tensor:
        """What the model was trained for on a batch of calibration inputs, mean; for methods that need gradients."""
        return self.loss_of(self.model(inputs), inputs)

    @abstractmethod
    def loss_of(self, output: Tensor, inputs: Tensor) -> Tensor:
        """`loss`, where the model's output is known."""

    def explained(self, inputs: Tensor) -> Tensor:
        """An output of one sample, summed, whose gradients times the weights are relevance (LRP).

        Raises:
            InputError: no rules are known for this model.
        """
        raise InputError(f"{self.name}: has no rules of relevance; methods that need them do not apply")

    classes: ClassVar[int] = 0
    """Of `class_of`; 0: none."""

    def class_of(self, inputs: Tensor) -> Tensor:
        """The class of each sample (of a language model: of each position) of a batch, int64; below 0: none."""
        raise InputError(f"{self.name}: its data has no classes; methods that need them do not apply")

    def filters(self) -> dict[str, tuple[nn.Linear | nn.Conv1d | nn.Conv2d, nn.Module | None]]:
        """By layer the layer before it and its batch normalization (None: none), where ReLU alone lies between."""
        return {}

    @abstractmethod
    def quality(self) -> Row:
        """Figures on data that is not calibrated on."""

    def control(self, density: float) -> Row:
        """Figures of a dense network of about such a share of the weights (``density``: its own), trained as this model
        was; empty of a model that was not trained here."""
        return {}

    @abstractmethod
    def network(self, phase: Phase = "prefill") -> Network:
        """The model as shapes; its layers are called as the modules are. ``phase``: of a language model."""

    def features(self, x: Tensor) -> Tensor:
        """What of the state before the last stage is compared with the dense model's."""
        return x

    def facts(self) -> Row:
        """What figures depend on besides settings: digests of data, versions."""
        return {}

    def layers(self) -> dict[str, nn.Module]:
        """Layers that are pruned by module path, in forward order."""
        return {n: m for n, m in self.model.named_modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d)}

    def check(self) -> None:
        """Refuse a model with weights that are no numbers.

        Raises:
            InputError: names the layer.
        """
        for name, module in self.layers().items():
            if not bool(torch.isfinite(weight_of(module)).all()):
                raise InputError(f"{self.name}: layer {name}: a weight is NaN or infinite")


def weight_of(module: nn.Module) -> nn.Parameter:
    """A layer's weights."""
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight


def filters_of(module: nn.Module, norm: nn.Module | None) -> Filters:
    """A layer's channels with the batch normalization behind it, as it is in evaluation, folded in."""
    weight = weight_of(module).detach().flatten(1)
    bias = module.bias
    shift = bias.detach() if isinstance(bias, Tensor) else torch.zeros(len(weight))
    if norm is None:
        return Filters(weight, shift)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    return Filters(weight * scale[:, None], (shift - norm.running_mean) * scale + norm.bias.detach())


def as_matrix(weight: Tensor) -> Tensor:
    """Weights as [out, reduction]; a convolution's taps come before its channels, so that a group lies within a tap."""
    return weight if weight.dim() == 2 else weight.movedim(1, -1).reshape(len(weight), -1)


def as_weight(matrix: Tensor, like: Tensor) -> Tensor:
    """The inverse of `as_matrix`, in the shape of ``like``."""
    if like.dim() == 2:
        return matrix
    return matrix.reshape(len(like), *like.shape[2:], like.shape[1]).movedim(-1, 1).contiguous()


def as_rows(module: nn.Module, x: Tensor) -> Tensor:
    """A layer's inputs as rows [tokens, reduction], in `as_matrix`'s order."""
    if isinstance(module, nn.Linear):
        return x.flatten(0, -2)
    assert isinstance(module, nn.Conv1d | nn.Conv2d)
    if module.groups != 1 or any(d != 1 for d in module.dilation):
        raise InputError("a grouped or dilated convolution is not pruned")
    if isinstance(module, nn.Conv1d):
        x = x.unsqueeze(2)
    kernel = (1, *module.kernel_size)[-2:]
    stride, padding = (1, *module.stride)[-2:], (0, *module.padding)[-2:]
    assert not isinstance(padding, str)
    columns = nn.functional.unfold(x, kernel, padding=padding, stride=stride)  # [n, channels x taps, positions]
    split = columns.unflatten(1, (x.shape[1], -1)).transpose(1, 2)
    rows: Tensor = split.flatten(1, 2).transpose(1, 2).flatten(0, 1)
    return rows
