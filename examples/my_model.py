# SPDX-License-Identifier: Apache-2.0
"""A torch model of one's own: ``hwsim sat my_model:make --nm 2:4`` in this folder."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MyModel(nn.Module):
    """Patches of an image, a recurrent layer over them, attention, a classifier that uses one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 64, 8, stride=8)
        self.memory = nn.LSTM(64, 64, batch_first=True)
        self.attention = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True)
        self.mix = nn.Linear(64, 64)
        self.classes = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = self.attention(self.memory(x)[0])
        x = self.mix(self.mix(x).relu())
        classes: Tensor = self.classes(x.mean(1))
        return classes


def make() -> tuple[nn.Module, Tensor]:
    """The model, and an input that shows its sizes: the batch first, values are not used."""
    return MyModel(), torch.zeros(1, 3, 64, 64)
