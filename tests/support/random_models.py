# SPDX-License-Identifier: Apache-2.0
"""Small torch modules from a grammar: steps that fit one another, drawn by a sequence of numbers.

A tensor is an image [channels, height, width], tokens [tokens, width] or a vector [width]; each step turns one of them
into one, and says which parameters its products use and whether torch's counter sees all of its multiplies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, ...]


class Do(nn.Module):
    """A step as a function of the module, which holds its parts, and of the input."""

    def __init__(self, body: Callable[..., Tensor], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(torch.randn(part) * 0.1) if isinstance(part, tuple) else part)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


@dataclass
class Model:
    """A drawn module.

    Attributes:
        example: an input of two samples.
        weights: elements of the parameters that its products use.
        counted: whether torch's counter sees every multiply.
        steps: what it does, in words.
    """

    module: nn.Module
    example: Tensor
    weights: int
    counted: bool
    steps: list[str] = field(default_factory=list)


class _Builder:
    def __init__(self, numbers: Iterator[int]) -> None:
        self.numbers = numbers
        self.weights, self.counted, self.names = 0, True, [""]

    def pick(self, *choices: Any) -> Any:
        return choices[next(self.numbers, 0) % len(choices)]

    def uses(self, *sizes: int) -> None:
        self.weights += sum(sizes)

    # --- images

    def conv(self, shape: Shape) -> tuple[nn.Module, Shape]:
        c = shape[0]
        groups = self.pick(1, 1, 2, c)
        out, k = groups * self.pick(1, 2, 3), self.pick(1, 2, 3)
        layer = nn.Conv2d(c, out, (k, self.pick(1, 3)), self.pick(1, 2), self.pick(0, 1), self.pick(1, 1, 2), groups,
                          bias=self.pick(True, False))  # fmt: skip
        self.uses(layer.weight.numel())
        return layer, (out, *_sizes(layer, shape))

    def transposed(self, shape: Shape) -> tuple[nn.Module, Shape]:
        groups = self.pick(1, 2)
        out, stride = groups * self.pick(1, 2), self.pick(1, 2)
        layer = nn.ConvTranspose2d(shape[0], out, self.pick(2, 3), stride, self.pick(0, 1), stride - 1, groups)
        self.uses(layer.weight.numel())
        return layer, (out, *_sizes(layer, shape))

    def image_norm(self, shape: Shape) -> tuple[nn.Module, Shape]:
        return self.pick(nn.BatchNorm2d(shape[0]), nn.GroupNorm(2, shape[0])), shape

    def image_pool(self, shape: Shape) -> tuple[nn.Module, Shape]:
        layer = self.pick(nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Upsample(scale_factor=2), nn.ZeroPad2d((1, 0, 2, 1)))
        return layer, (shape[0], *_sizes(layer, shape))

    def image_residual(self, shape: Shape) -> tuple[nn.Module, Shape]:
        layer = nn.Conv2d(shape[0], shape[0], 3, 1, 1)
        self.uses(layer.weight.numel())
        return Do(lambda m, x: x + F.silu(m.f(x)), f=layer), shape

    def squeeze(self, shape: Shape) -> tuple[nn.Module, Shape]:
        layer = nn.Linear(shape[0], shape[0])
        self.uses(layer.weight.numel())
        return Do(lambda m, x: x * torch.sigmoid(m.f(x.mean((2, 3))))[:, :, None, None], f=layer), shape

    def to_tokens(self, shape: Shape) -> tuple[nn.Module, Shape]:
        return Do(lambda m, x: x.flatten(2).transpose(1, 2)), (shape[1] * shape[2], shape[0])

    def to_vector(self, shape: Shape) -> tuple[nn.Module, Shape]:
        return nn.Flatten(), (shape[0] * shape[1] * shape[2],)

    # --- tokens

    def linear(self, shape: Shape) -> tuple[nn.Module, Shape]:
        layer = nn.Linear(shape[-1], self.pick(2, 4, 6), bias=self.pick(True, False))
        self.uses(layer.weight.numel())
        return layer, (*shape[:-1], layer.out_features)

    def twice(self, shape: Shape) -> tuple[nn.Module, Shape]:
        layer = nn.Linear(shape[-1], shape[-1])
        self.uses(layer.weight.numel())
        return Do(lambda m, x: m.f(F.relu(m.f(x))), f=layer), shape

    def sliced(self, shape: Shape) -> tuple[nn.Module, Shape]:
        width = shape[-1]
        self.uses(2 * width * width)
        return Do(
            lambda m, x: F.linear(x, m.w[:width]) + torch.tanh(F.linear(x, m.w[width:])), w=(2 * width, width)
        ), shape

    def gated(self, shape: Shape) -> tuple[nn.Module, Shape]:
        layer = nn.Linear(shape[-1], 2 * shape[-1])
        self.uses(layer.weight.numel())

        def body(m: Any, x: Tensor) -> Tensor:
            a, b = m.f(x).chunk(2, -1)
            return a * torch.sigmoid(b)

        return Do(body, f=layer), shape

    def by_matrix(self, shape: Shape) -> tuple[nn.Module, Shape]:
        width = shape[-1]
        out = self.pick(2, 4)
        self.uses(width * out)
        how = self.pick("x @ w", "x @ w.t()", "einsum", "w * mask")
        if how == "x @ w.t()":
            return Do(lambda m, x: x @ m.w.t(), w=(out, width)), (*shape[:-1], out)
        if how == "einsum" and len(shape) == 2 and width > 1:  # else torch multiplies element by element
            return Do(lambda m, x: torch.einsum("bti,io->bto", x, m.w), w=(width, out)), (shape[0], out)
        if how == "w * mask":
            return Do(lambda m, x: x @ (m.w * (m.w > 0)), w=(width, out)), (*shape[:-1], out)
        return Do(lambda m, x: x @ m.w, w=(width, out)), (*shape[:-1], out)

    def low_rank(self, shape: Shape) -> tuple[nn.Module, Shape]:
        self.uses(shape[-1] * 2, 2 * 4)
        return Do(lambda m, x: x @ m.a @ m.b, a=(shape[-1], 2), b=(2, 4)), (*shape[:-1], 4)

    def attention(self, shape: Shape) -> tuple[nn.Module, Shape]:
        tokens, width = shape
        if width % 2:
            return self.linear(shape)
        if self.pick(True, False):
            layer = nn.MultiheadAttention(width, 2, batch_first=True)
            self.uses(4 * width * width)
            return Do(lambda m, x: m.f(x, x, x, need_weights=False)[0], f=layer), shape
        layer = nn.Linear(width, 3 * width)
        self.uses(layer.weight.numel())

        def body(m: Any, x: Tensor) -> Tensor:
            q, k, v = (t.view(-1, tokens, 2, width // 2).transpose(1, 2) for t in m.f(x).chunk(3, -1))
            return ((q @ k.transpose(-2, -1)).softmax(-1) @ v).transpose(1, 2).reshape(-1, tokens, width)

        return Do(body, f=layer), shape

    def recurrent(self, shape: Shape) -> tuple[nn.Module, Shape]:
        kind, both = self.pick(nn.LSTM, nn.GRU), self.pick(False, True)
        layer = kind(shape[1], 3, batch_first=True, bidirectional=both)
        self.uses(*(p.numel() for n, p in layer.named_parameters() if n.startswith("weight")))
        self.counted = False
        return Do(lambda m, x: m.f(x)[0], f=layer), (shape[0], 6 if both else 3)

    def conv1d(self, shape: Shape) -> tuple[nn.Module, Shape]:
        layer = nn.Conv1d(shape[1], 4, 3, padding=1)
        self.uses(layer.weight.numel())
        return Do(lambda m, x: m.f(x.transpose(1, 2)).transpose(1, 2), f=layer), (shape[0], 4)

    def token_norm(self, shape: Shape) -> tuple[nn.Module, Shape]:
        return self.pick(nn.LayerNorm(shape[-1]), nn.GELU(), nn.Softmax(-1), nn.Hardswish()), shape

    def token_residual(self, shape: Shape) -> tuple[nn.Module, Shape]:
        layer = nn.Linear(shape[-1], shape[-1])
        self.uses(layer.weight.numel())
        return Do(lambda m, x: x + m.f(x), f=layer), shape

    def mean(self, shape: Shape) -> tuple[nn.Module, Shape]:
        return Do(lambda m, x: self_mean(x)), (shape[1],)

    def build(self, count: int) -> Model:
        kind = self.pick("image", "tokens", "vector")
        shape: Shape = {"image": (4, self.pick(5, 8), 6), "tokens": (self.pick(3, 5), 4), "vector": (8,)}[kind]
        example, steps = torch.randn(2, *shape), []
        for _ in range(count):
            kinds: tuple[Any, ...] = {
                3: (self.conv, self.conv, self.transposed, self.image_norm, self.image_pool, self.image_residual,
                    self.squeeze, self.to_tokens, self.to_vector),
                2: (self.linear, self.twice, self.sliced, self.gated, self.by_matrix, self.low_rank, self.attention,
                    self.recurrent, self.conv1d, self.token_norm, self.token_residual, self.mean),
                1: (self.linear, self.twice, self.sliced, self.gated, self.by_matrix, self.low_rank, self.token_norm,
                    self.token_residual),
            }[len(shape)]  # fmt: skip
            make = self.pick(*kinds)
            if len(shape) == 3 and min(shape[1:]) < 5 and make in (self.conv, self.image_pool, self.transposed):
                make = self.to_vector
            if len(shape) == 3 and shape[0] % 2:
                make = self.image_residual if make in (self.conv, self.transposed, self.image_norm) else make
            step, shape = make(shape)
            steps.append(step)
            self.names.append(make.__name__)
        last = nn.Linear(shape[-1], 3)
        self.uses(last.weight.numel())
        module = nn.Sequential(
            *steps,
            last if len(shape) < 3 else nn.Sequential(Do(lambda m, x: x.transpose(1, 3)), nn.Linear(shape[0], 3)),
        )
        if len(shape) == 3:
            self.weights += shape[0] * 3 - last.weight.numel()
        return Model(module.eval(), example, self.weights, self.counted, self.names[1:])


def self_mean(x: Tensor) -> Tensor:
    return x.mean(1)


def _sizes(layer: nn.Module, shape: Shape) -> tuple[int, int]:
    height, width = layer(torch.zeros(1, *shape)).shape[2:]
    return int(height), int(width)


def drawn(numbers: list[int]) -> Model:
    """The model of a sequence of numbers: how many steps, then what each choice needs."""
    rest = iter(numbers[1:])
    return _Builder(rest).build(1 + numbers[0] % 5)
