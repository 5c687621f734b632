# SPDX-License-Identifier: Apache-2.0
"""Named networks as shapes, per sample: the five of the SAT paper, ResNet-18 at 224, transformers by size, and language
models by the configurations in ``configs`` (each file names its source).

Where the paper names a model without its sizes, the choice is in the function's docstring. Normalization, addition,
pooling and softmax are element-wise layers; ReLU, GELU and bias ride on the neighbouring product. The first weighted
layer needs no input gradient. Left out: dropout (no traffic of its own), the loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..registry import Registry
from .hf_config import read_config
from .network import Conv, Layer, Linear, MatMul, Network, Phase, elementwise


def _maker(name: str, thing: Any) -> Callable[..., Network]:
    if isinstance(thing, Network):
        return lambda: thing
    if not callable(thing):
        raise TypeError(f"expected a Network or a function that makes one, found {type(thing).__name__}")
    made: Callable[..., Network] = thing
    return made


NETWORKS: Registry[Callable[..., Network]] = Registry("network", "hwsim.networks", convert=_maker, normal=str.lower)
"""Functions that make a network, by its name; an entry point may also be a `Network`. Those of language models take
``phase`` and ``context`` as keywords."""


class _Builder:
    """Appends layers in forward order and follows the image's size."""

    def __init__(self, channels: int, size: int) -> None:
        self.layers: list[Layer] = []
        self.channels, self.size = channels, size
        self.first = True

    def conv(self, name: str, out: int, kernel: int, stride: int = 1, *, bn: bool = True, padding: int = -1) -> None:
        pad = kernel // 2 if padding < 0 else padding
        layer = Conv(
            name=name,
            in_channels=self.channels,
            out_channels=out,
            height=self.size,
            width=self.size,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            padding=(pad, pad),
            needs_input_grad=not self.first,
        )
        self.layers.append(layer)
        self.first = False
        self.channels, self.size = out, layer.out_height
        if bn:
            self.op(name + ".bn", "batchnorm")

    def op(self, name: str, op: str, inputs: int = 1) -> None:
        self.layers.append(elementwise(name, op, self.channels * self.size**2, inputs=inputs))

    def pool(self, name: str, size: int) -> None:
        """Pool to ``size x size``."""
        before = self.channels * self.size**2
        self.size = size
        self.layers.append(elementwise(name, "pool", before, outputs=self.channels * size**2))

    def linear(self, name: str, inputs: int, outputs: int, rows: int = 1) -> None:
        self.layers.append(
            Linear(name=name, in_features=inputs, out_features=outputs, rows=rows, needs_input_grad=not self.first)
        )
        self.first = False


@NETWORKS.register("resnet9")
def resnet9() -> Network:
    """ResNet-9 for CIFAR-10, DAWNBench form: 64-128-256-512 channels, residual pairs after the second and fourth."""
    b = _Builder(3, 32)
    b.conv("prep", 64, 3)
    b.conv("layer1", 128, 3)
    b.pool("pool1", 16)
    for i in range(2):
        b.conv(f"res1.{i}", 128, 3)
    b.op("res1.add", "add", inputs=2)
    b.conv("layer2", 256, 3)
    b.pool("pool2", 8)
    b.conv("layer3", 512, 3)
    b.pool("pool3", 4)
    for i in range(2):
        b.conv(f"res3.{i}", 512, 3)
    b.op("res3.add", "add", inputs=2)
    b.pool("pool4", 1)
    b.linear("classifier", 512, 10)
    return Network(name="resnet9", layers=tuple(b.layers))


@NETWORKS.register("vgg19")
def vgg19() -> Network:
    """VGG-19 with batch normalization for CIFAR-100: 16 convolutions, one 512 to 100 classifier."""
    b = _Builder(3, 32)
    index = 0
    for stage, (channels, depth) in enumerate(((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))):
        for _ in range(depth):
            b.conv(f"conv{index}", channels, 3)
            index += 1
        b.pool(f"pool{stage}", b.size // 2)
    b.linear("classifier", 512, 100)
    return Network(name="vgg19", layers=tuple(b.layers))


def _basic_resnet(name: str, size: int, classes: int) -> Network:
    """ResNet-18: 7 x 7 stem with stride 2, max pooling, four stages of two basic blocks."""
    b = _Builder(3, size)
    b.conv("conv1", 64, 7, 2)
    b.pool("maxpool", (b.size + 1) // 2)
    for stage, channels in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = 2 if stage and not block else 1
            entry = (b.channels, b.size)
            path = f"layer{stage + 1}.{block}"
            b.conv(f"{path}.conv1", channels, 3, stride)
            b.conv(f"{path}.conv2", channels, 3)
            _shortcut(b, path, entry, channels, stride)
    b.pool("avgpool", 1)
    b.linear("fc", 512, classes)
    return Network(name=name, layers=tuple(b.layers))


def _shortcut(b: _Builder, path: str, entry: tuple[int, int], channels: int, stride: int) -> None:
    if entry[0] != channels or stride != 1:
        after = (b.channels, b.size)
        b.channels, b.size = entry
        b.conv(f"{path}.downsample", channels, 1, stride)
        assert (b.channels, b.size) == after
    b.op(f"{path}.add", "add", inputs=2)


@NETWORKS.register("resnet18")
def resnet18() -> Network:
    """ResNet-18 for ImageNet, 224 x 224."""
    return _basic_resnet("resnet18", 224, 1000)


@NETWORKS.register("resnet18-tiny")
def resnet18_tiny() -> Network:
    """ResNet-18 for Tiny ImageNet, 64 x 64, 200 classes, with the ImageNet stem."""
    return _basic_resnet("resnet18-tiny", 64, 200)


@NETWORKS.register("resnet50")
def resnet50() -> Network:
    """ResNet-50 for ImageNet, 224 x 224, stride in the 3 x 3 convolution (v1.5)."""
    b = _Builder(3, 224)
    b.conv("conv1", 64, 7, 2)
    b.pool("maxpool", 56)
    for stage, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(depth):
            stride = 2 if stage and not block else 1
            entry = (b.channels, b.size)
            path = f"layer{stage + 1}.{block}"
            b.conv(f"{path}.conv1", width, 1)
            b.conv(f"{path}.conv2", width, 3, stride)
            b.conv(f"{path}.conv3", 4 * width, 1)
            _shortcut(b, path, entry, 4 * width, stride)
    b.pool("avgpool", 1)
    b.linear("fc", 2048, 1000)
    return Network(name="resnet50", layers=tuple(b.layers))


def _block(layers: list[Layer], path: str, tokens: int, dim: int, heads: int, ffn: int) -> None:
    """One transformer block: attention and feed-forward, each with layer norm and residual."""
    head = dim // heads
    width = tokens * dim

    def linear(name: str, inputs: int, outputs: int) -> Linear:
        return Linear(name=f"{path}.{name}", in_features=inputs, out_features=outputs, rows=tokens)

    layers += [
        elementwise(f"{path}.norm1", "layernorm", width),
        linear("q", dim, dim),
        linear("k", dim, dim),
        linear("v", dim, dim),
        MatMul(name=f"{path}.qk", rows=tokens, reduction=head, cols=tokens, count=heads),
        elementwise(f"{path}.softmax", "softmax", heads * tokens * tokens),
        MatMul(name=f"{path}.pv", rows=tokens, reduction=tokens, cols=head, count=heads),
        linear("o", dim, dim),
        elementwise(f"{path}.add1", "add", width, inputs=2),
        elementwise(f"{path}.norm2", "layernorm", width),
        linear("fc1", dim, ffn),
        linear("fc2", ffn, dim),
        elementwise(f"{path}.add2", "add", width, inputs=2),
    ]


@NETWORKS.register("vit")
def vit() -> Network:
    """ViT for CIFAR-100 (our choice of size): 4 x 4 patches of 32 x 32, 64 tokens and a class token, width 384, 12
    layers, 6 heads, feed-forward 1536."""
    dim, tokens = 384, 65
    layers: list[Layer] = [
        Conv(name="patch", in_channels=3, out_channels=dim, height=32, width=32, kernel=(4, 4), stride=(4, 4),
             needs_input_grad=False),
    ]  # fmt: skip
    for i in range(12):
        _block(layers, f"blocks.{i}", tokens, dim, 6, 4 * dim)
    layers += [
        elementwise("norm", "layernorm", tokens * dim),
        Linear(name="head", in_features=dim, out_features=100),
    ]
    return Network(name="vit", layers=tuple(layers))


def transformer(name: str, *, layers: int, dim: int, heads: int, ffn: int, tokens: int, vocabulary: int = 0) -> Network:
    """A transformer encoder (``vocabulary`` 0) or decoder (a language-model head of ``vocabulary`` rows) by size.

    A decoder's attention products are counted in full: causal masking saves nothing on a dense array.

    Raises:
        InputError: heads do not divide dim.
    """
    if dim % heads:
        raise InputError(f"transformer {name}: heads {heads} must divide dim {dim}")
    found: list[Layer] = [elementwise("embedding", "embedding", tokens * dim)]
    for i in range(layers):
        _block(found, f"layers.{i}", tokens, dim, heads, ffn)
    found.append(elementwise("norm", "layernorm", tokens * dim))
    if vocabulary:
        found.append(Linear(name="head", in_features=dim, out_features=vocabulary, rows=tokens))
    return Network(name=name, layers=tuple(found))


@NETWORKS.register("bert-base")
def bert_base() -> Network:
    """BERT-base encoder: 12 layers, width 768, 12 heads, 384 tokens (SQuAD length)."""
    return transformer("bert-base", layers=12, dim=768, heads=12, ffn=3072, tokens=384)


@NETWORKS.register("gpt2-small")
def gpt2_small() -> Network:
    """GPT-2 small decoder: 12 layers, width 768, 12 heads, 1024 tokens, 50257 tokens of vocabulary."""
    return transformer("gpt2-small", layers=12, dim=768, heads=12, ffn=3072, tokens=1024, vocabulary=50257)


PAPER_NETWORKS = ("resnet9", "vit", "vgg19", "resnet18-tiny", "resnet50")
"""The five models of the SAT paper."""


def _by_configuration(path: Path) -> Callable[..., Network]:
    def make(*, phase: Phase = "training", context: int | None = None) -> Network:
        return read_config(path, phase=phase, context=context)

    return make


CONFIGS = Path(__file__).parent / "configs"
"""Folder of language models' configurations, NAME.json each."""
for _file in sorted(CONFIGS.glob("*.json")):
    NETWORKS.add(_file.stem, _by_configuration(_file))


def network(name: str, **options: Any) -> Network:
    """A network by name.

    Args:
        options: keywords of the name's function; those that it does not take are left out.

    Raises:
        InputError: no such network (the message lists all); the name's function returns no `Network`.
    """
    make = NETWORKS.get(name)
    takes = inspect.signature(make).parameters
    made = make(**{key: value for key, value in options.items() if key in takes})
    if not isinstance(made, Network):
        raise InputError(f"network {name!r}: {NETWORKS.source(name)} made a {type(made).__name__}, no Network")
    return made
