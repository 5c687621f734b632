# SPDX-License-Identifier: Apache-2.0
"""The SAT paper's five networks as torch modules, layer for layer as in `dataflow.networks.zoo` (tested)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .models import Block


def _conv_bn(cin: int, cout: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(cout))


class ResNet9(nn.Module):
    """ResNet-9, DAWNBench form. x: [batch, 3, 32, 32]."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.prep, self.layer1 = _conv_bn(3, 64, 3), _conv_bn(64, 128, 3)
        self.res1 = nn.ModuleList(_conv_bn(128, 128, 3) for _ in range(2))
        self.layer2, self.layer3 = _conv_bn(128, 256, 3), _conv_bn(256, 512, 3)
        self.res3 = nn.ModuleList(_conv_bn(512, 512, 3) for _ in range(2))
        self.classifier = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.layer1(F.relu(self.prep(x)))), 2)
        x = x + F.relu(self.res1[1](F.relu(self.res1[0](x))))
        x = F.max_pool2d(F.relu(self.layer2(x)), 2)
        x = F.max_pool2d(F.relu(self.layer3(x)), 2)
        x = x + F.relu(self.res3[1](F.relu(self.res3[0](x))))
        out: Tensor = self.classifier(F.max_pool2d(x, 4).flatten(1))
        return out


class VGG19(nn.Module):
    """VGG-19 with batch normalization and one classifier. x: [batch, 3, 32, 32]."""

    def __init__(self, classes: int = 100) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        cin = 3
        for channels, depth in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
            for _ in range(depth):
                parts += [_conv_bn(cin, channels, 3), nn.ReLU()]
                cin = channels
            parts.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.features(x).flatten(1))
        return out


class _Residual(nn.Module):
    """Basic (two 3 x 3) or bottleneck (1 x 1, 3 x 3, 1 x 1) block, stride in the 3 x 3."""

    def __init__(self, cin: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        cout = 4 * width if bottleneck else width
        if bottleneck:
            path = [_conv_bn(cin, width, 1), _conv_bn(width, width, 3, stride), _conv_bn(width, cout, 1)]
        else:
            path = [_conv_bn(cin, width, 3, stride), _conv_bn(width, width, 3)]
        self.path = nn.ModuleList(path)
        self.downsample = _conv_bn(cin, cout, 1, stride) if stride != 1 or cin != cout else None

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i, conv in enumerate(self.path):
            y = conv(y if i == 0 else F.relu(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """ResNet with the ImageNet stem. x: [batch, 3, size, size]."""

    def __init__(self, depths: tuple[int, ...], bottleneck: bool, classes: int) -> None:
        super().__init__()
        self.stem = _conv_bn(3, 64, 7, 2)
        blocks: list[nn.Module] = []
        cin = 64
        for stage, (width, depth) in enumerate(zip((64, 128, 256, 512), depths, strict=True)):
            for i in range(depth):
                blocks.append(_Residual(cin, width, 2 if stage and not i else 1, bottleneck))
                cin = 4 * width if bottleneck else width
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(cin, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        out: Tensor = self.fc(F.adaptive_avg_pool2d(self.blocks(x), 1).flatten(1))
        return out


class ViT(nn.Module):
    """ViT with a class token. x: [batch, 3, 32, 32]."""

    def __init__(self, dim: int = 384, depth: int = 12, heads: int = 6, classes: int = 100) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.randn(65, dim) * 0.02)
        self.blocks = nn.ModuleList(Block(dim, heads, 4 * dim, causal=False) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.patch(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(len(h), -1, -1), h], 1) + self.position
        for block in self.blocks:
            h = block(h)
        out: Tensor = self.head(self.norm(h)[:, 0])
        return out


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "resnet9": (ResNet9, (3, 32, 32)),
    "vgg19": (VGG19, (3, 32, 32)),
    "vit": (ViT, (3, 32, 32)),
    "resnet18-tiny": (lambda: ResNet((2, 2, 2, 2), False, 200), (3, 64, 64)),
    "resnet18": (lambda: ResNet((2, 2, 2, 2), False, 1000), (3, 224, 224)),
    "resnet50": (lambda: ResNet((3, 4, 6, 3), True, 1000), (3, 224, 224)),
}
"""Module and shape of one input, by the zoo's names."""
