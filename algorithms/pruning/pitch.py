# SPDX-License-Identifier: Apache-2.0
"""CREPE to prune: the pitch of synthetic tones, whose truth is exact.

A tone has eight harmonics of random loudness and phase, and white noise 20, 10 or 0 dB below it. ``accuracy`` is the
share within 50 cents of the truth (``accuracy_0db``: in the loudest noise alone), ``error`` what is missing from 1.
Tones of calibration and of measurement come from seeds that never meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from algorithms.models import crepe
from algorithms.shapes import network_of
from dataflow.networks.network import Network, Phase

from .subject import Row, Subject

BATCH = 64
NOISE_DB = (20, 10, 0)
HELD_OUT = 1 << 40
"""From here on seeds are of tones that are measured on."""


def tones(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Frames [n, 1024] of mean 0 and variance 1, their pitch in hertz [n], and the noise's level in dB below [n]."""
    rng = torch.Generator().manual_seed(seed)
    hertz = 60 * (1000 / 60) ** torch.rand(count, generator=rng)
    time = torch.arange(crepe.FRAME) / crepe.RATE
    frames = torch.zeros(count, crepe.FRAME)
    for harmonic in range(1, 9):
        loud = (0.3 + 0.7 * torch.rand(count, 1, generator=rng)) / harmonic
        turn = 2 * torch.pi * (harmonic * hertz[:, None] * time + torch.rand(count, 1, generator=rng))
        frames += torch.where(harmonic * hertz[:, None] < crepe.RATE / 2, loud * turn.sin(), torch.zeros(()))
    level = torch.tensor(NOISE_DB)[torch.arange(count) % len(NOISE_DB)]
    noise = torch.randn(frames.shape, generator=rng) * frames.std(1, keepdim=True)
    frames = frames + noise * 10 ** (-level[:, None] / 20)
    return (frames - frames.mean(1, keepdim=True)) / frames.std(1, keepdim=True), hertz, level


class PitchModel(Subject):
    """CREPE tiny.

    Args:
        model: None: with the real weights.
        samples: frames of calibration.
        frames: frames to measure on.
    """

    name: ClassVar[str] = "crepe-tiny"
    metric: ClassVar[str] = "error"
    model: crepe.Crepe

    def __init__(self, model: crepe.Crepe | None = None, *, samples: int = 256, frames: int = 3000) -> None:
        self.model = crepe.load(self.name) if model is None else model
        self.samples, self.frames = samples, frames
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    @property
    def stages(self) -> Sequence[nn.Module]:
        return self.model.stages

    def network(self, phase: Phase = "prefill") -> Network:
        return network_of(self.model, torch.zeros(1, crepe.FRAME), self.name)

    def calibration(self, seed: int) -> list[Tensor]:
        return list(tones(self.samples, seed)[0].split(BATCH))

    def loss_of(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Cross-entropy with a bell of 25 cents about what the model itself says: a batch does not hold its truth."""
        best = output.detach().argmax(1, keepdim=True)
        target = (-((torch.arange(crepe.BINS) - best) ** 2) * crepe.BIN_CENTS**2 / (2 * 25.0**2)).exp()
        return F.binary_cross_entropy_with_logits(output, target)

    def explained(self, inputs: Tensor) -> Tensor:
        """The highest logit: ReLU, maxima and a fixed normalization are linear piece by piece, no rule changes it."""
        found: Tensor = self.model(inputs).amax(-1).sum()
        return found

    classes: ClassVar[int] = 12

    def class_of(self, inputs: Tensor) -> Tensor:
        """Half octaves of the pitch that the model hears."""
        found: Tensor = self.model(inputs).argmax(-1) * self.classes // crepe.BINS
        return found

    @torch.no_grad()
    def quality(self) -> Row:
        frames, hertz, level = tones(self.frames, HELD_OUT)
        found = torch.cat([crepe.pitch(self.model(part)) for part in frames.split(BATCH)])
        right = (1200 * (found / hertz).log2()).abs() < 50
        return {
            "error": 1 - float(right.double().mean()), "accuracy": float(right.double().mean()),
            "accuracy_0db": float(right[level == 0].double().mean()), "frames": self.frames,
        }  # fmt: skip


class FullPitchModel(PitchModel):
    """CREPE full."""

    name: ClassVar[str] = "crepe-full"
