# SPDX-License-Identifier: Apache-2.0
"""Layers whose products follow an N:M rule: what `algorithms.training.nm_training.convert` makes of a model's layers.

Each is a subclass of what it replaces, with the same parameters. A forward pre-hook that does nothing keeps torch's
fused inference paths, which read weights past the layers, from being taken.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .nm_products import NMRule, Window, conv_products, linear_products


class NMLayer:
    """What the layers here have in common.

    Attributes:
        nm_rule: what each product does with the weight and the gradient.
    """

    nm_rule: NMRule

    def nm_weights(self) -> list[Tensor]:
        """Weights, each with its output channels first and its input channels second."""
        weight: Tensor = self.weight  # type: ignore[attr-defined]  # a mixin of layers
        return [weight.detach()]

    def nm_channels(self) -> tuple[int, int]:
        """Input and output channels that groups of M run along."""
        (weight,) = self.nm_weights()
        return weight.shape[1], weight.shape[0]


class NMLinear(NMLayer, nn.Linear):
    """A linear layer whose products follow ``nm_rule``."""

    def products(self, x: Tensor, weight: Tensor) -> Tensor:
        """The output without bias; its backward pass is the other two products."""
        return linear_products(x, weight, self.nm_rule)

    def forward(self, x: Tensor) -> Tensor:
        y = self.products(x, self.weight)
        return y if self.bias is None else y + self.bias.to(y.dtype)


class _NMConv(NMLayer):
    """Convolutions, transposed or not: x [batch, channels, space] or [channels, space]."""

    _transposed = False

    def products(self, x: Tensor, weight: Tensor, output_padding: tuple[int, ...] = ()) -> Tensor:
        """The output without bias; its backward pass is the other two products."""
        c: Any = self
        padding = c.padding
        if isinstance(padding, str) or c.padding_mode != "zeros":
            mode = "constant" if c.padding_mode == "zeros" else c.padding_mode
            x = F.pad(x, c._reversed_padding_repeated_twice, mode=mode)
            padding = (0,) * len(c.stride)
        window = Window(c.stride, padding, c.dilation, c.groups, self._transposed, output_padding)
        single = x.dim() < weight.dim()
        y = conv_products(x[None] if single else x, weight, self.nm_rule, window)
        return y[0] if single else y

    def nm_channels(self) -> tuple[int, int]:
        c: Any = self
        return c.in_channels // c.groups, c.out_channels // c.groups

    def _with_bias(self, y: Tensor) -> Tensor:
        c: Any = self
        return y if c.bias is None else y + c.bias.reshape(-1, *[1] * (c.weight.dim() - 2)).to(y.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self._with_bias(self.products(x, self.weight))  # type: ignore[attr-defined]  # a mixin of layers


class NMConv1d(_NMConv, nn.Conv1d):
    """A 1-D convolution whose products follow ``nm_rule``."""


class NMConv2d(_NMConv, nn.Conv2d):
    """A 2-D convolution whose products follow ``nm_rule``."""


class _NMConvTransposed(_NMConv):
    """The weight has its input channels first."""

    _transposed = True

    def nm_weights(self) -> list[Tensor]:
        weight: Tensor = self.weight  # type: ignore[attr-defined]  # a mixin of layers
        return [weight.detach().transpose(0, 1)]

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        c: Any = self
        dims = len(c.stride)
        more = c._output_padding(x, output_size, c.stride, c.padding, c.kernel_size, dims, c.dilation)
        return self._with_bias(self.products(x, c.weight, tuple(more)))


class NMConvTranspose1d(_NMConvTransposed, nn.ConvTranspose1d):
    """A transposed 1-D convolution whose products follow ``nm_rule``."""


class NMConvTranspose2d(_NMConvTransposed, nn.ConvTranspose2d):
    """A transposed 2-D convolution whose products follow ``nm_rule``."""


class NMMultiheadAttention(NMLayer, nn.MultiheadAttention):
    """Attention whose four projections follow ``nm_rule``; groups run inside each of q, k, v. Else as torch's."""

    def nm_weights(self) -> list[Tensor]:
        return [w.detach() for w in (*self._projections(), self.out_proj.weight)]

    def nm_channels(self) -> tuple[int, int]:
        """Of all projections: the greatest common divisors, so that what divides them divides each."""
        weights = self.nm_weights()
        return math.gcd(*(w.shape[1] for w in weights)), math.gcd(*(w.shape[0] for w in weights))

    def _projections(self) -> tuple[Tensor, Tensor, Tensor]:
        if self._qkv_same_embed_dim:
            q, k, v = self.in_proj_weight.chunk(3)
            return q, k, v
        return self.q_proj_weight, self.k_proj_weight, self.v_proj_weight

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """As `torch.nn.MultiheadAttention`: [tokens, batch, width], batch first if it is so, or [tokens, width]."""
        single = query.dim() == 2
        q, k, v = (x[:, None] if single else x.transpose(0, 1) if self.batch_first else x for x in (query, key, value))
        if single and key_padding_mask is not None:
            key_padding_mask = key_padding_mask[None]
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        q, k, v = (
            self._plus(linear_products(x, w, self.nm_rule), b)
            for x, w, b in zip((q, k, v), self._projections(), biases, strict=True)
        )
        batch, tokens = q.shape[1], q.shape[0]
        extra = 0
        if self.bias_k is not None and self.bias_v is not None:
            k, v = (torch.cat([x, b.to(x.dtype).expand(1, batch, -1)]) for x, b in ((k, self.bias_k), (v, self.bias_v)))
            extra += 1
        if self.add_zero_attn:
            k, v = (torch.cat([x, x.new_zeros(1, *x.shape[1:])]) for x in (k, v))
            extra += 1
        # [batch, heads, tokens, size]
        q, k, v = (x.reshape(x.shape[0], batch, self.num_heads, -1).permute(1, 2, 0, 3) for x in (q, k, v))
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        if attn_mask is not None:
            mask = attn_mask.reshape(-1, self.num_heads, *attn_mask.shape[1:]) if attn_mask.dim() == 3 else attn_mask
            scores = _masked(scores, F.pad(mask, (0, extra)))
        elif is_causal:
            raise RuntimeError("is_causal needs attn_mask")  # as torch's
        if key_padding_mask is not None:
            scores = _masked(scores, F.pad(key_padding_mask, (0, extra))[:, None, None])
        weights = scores.softmax(-1)
        out = F.dropout(weights, self.dropout, self.training) @ v
        out = out.permute(2, 0, 1, 3).reshape(tokens, batch, self.embed_dim)
        out = self._plus(linear_products(out, self.out_proj.weight, self.nm_rule), self.out_proj.bias)
        out = out[:, 0] if single else out.transpose(0, 1) if self.batch_first else out
        if not need_weights:
            return out, None
        weights = weights.mean(1) if average_attn_weights else weights
        return out, weights[0] if single else weights

    @staticmethod
    def _plus(y: Tensor, bias: Tensor | None) -> Tensor:
        return y if bias is None else y + bias.to(y.dtype)


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores where a boolean mask is not, or with a mask of numbers added."""
    if mask.dtype == torch.bool:
        return scores.masked_fill(mask, float("-inf"))
    return scores + mask.to(scores.dtype)


class NMTransposedLinear(NMLayer):
    """transformers' Conv1D (GPT-2): a linear layer with its weight [in, out]."""

    def nm_weights(self) -> list[Tensor]:
        weight: Tensor = self.weight  # type: ignore[attr-defined]  # a mixin of layers
        return [weight.detach().T]

    def products(self, x: Tensor, weight: Tensor) -> Tensor:
        """The output without bias; its backward pass is the other two products."""
        return linear_products(x, weight.T, self.nm_rule)

    def forward(self, x: Tensor) -> Tensor:
        c: Any = self
        y = self.products(x, c.weight)
        out: Tensor = y + c.bias.to(y.dtype)
        return out


SWAP: dict[type, type[Any]] = {
    nn.Linear: NMLinear, nn.Conv1d: NMConv1d, nn.Conv2d: NMConv2d, nn.ConvTranspose1d: NMConvTranspose1d,
    nn.ConvTranspose2d: NMConvTranspose2d, nn.MultiheadAttention: NMMultiheadAttention,
}  # fmt: skip
"""What each kind of layer becomes."""
TRANSFORMERS = "transformers.pytorch_utils", "Conv1D"
"""Where a layer of transformers that is converted too is defined."""


def swapped(kind: type) -> type[Any] | None:
    """The class that replaces a kind of layer; None: there is none. transformers is not imported for it."""
    if (kind.__module__, kind.__name__) == TRANSFORMERS:
        return _hugging_face(kind)
    return SWAP.get(kind)


def _hugging_face(kind: type) -> type[Any]:
    """A subclass of transformers' Conv1D, made once and found by pickle under its name here."""
    name = "NMHuggingFaceConv1D"
    if name not in globals():
        made = type(name, (NMTransposedLinear, kind), {"__module__": __name__, "__doc__": NMTransposedLinear.__doc__})
        globals()[name] = made
    found: type[Any] = globals()[name]
    return found


def __getattr__(name: str) -> Any:
    if name == "NMHuggingFaceConv1D":
        from importlib import import_module

        return _hugging_face(getattr(import_module(TRANSFORMERS[0]), TRANSFORMERS[1]))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def keep_slow_path(module: nn.Module, args: Any) -> None:
    """A forward pre-hook that does nothing: torch takes no fused path where there is one."""
