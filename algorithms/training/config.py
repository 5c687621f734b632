# SPDX-License-Identifier: Apache-2.0
"""A training run as one checked object. No torch here, so that the command line starts fast."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dataflow.pattern import PatternText
from dataflow.training.methods import METHOD_HELP, MethodName

Task = Literal["digits-cnn", "digits-mlp", "digits-vit", "char-lm"]


class TrainConfig(BaseModel):
    """One training run: SGD with momentum, linear warm-up, cosine decay."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Task = Field("digits-cnn", description="model and data")
    method: MethodName = Field("bdwp", description=METHOD_HELP)
    pattern: PatternText = Field("2:8", description="N:M (N kept of M) or dense")
    steps: int = Field(230, ge=1, le=10_000_000, description="optimizer steps")
    batch: int = Field(64, ge=1, le=65536, description="samples a step (sequences for char-lm)")
    context: int = Field(64, ge=2, le=4096, description="characters a sequence (char-lm)")
    dim: int = Field(128, ge=1, le=4096, description="width (char-lm)")
    depth: int = Field(2, ge=1, le=96, description="blocks (char-lm)")
    heads: int = Field(4, ge=1, le=64, description="attention heads (char-lm)")
    rate: float = Field(0.05, gt=0, le=100, description="peak learning rate")
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0, le=1)
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps with a rising rate")
    seed: int = Field(0, ge=0, lt=2**31)
    fp16: bool = Field(True, description="operands rounded to FP16, accumulated in FP32, as the hardware does")
    skip: tuple[str, ...] = Field((), description="layers left dense, by name")
    trace_steps: tuple[int, ...] = Field((), description="steps (from 0) at which a trace is taken")
    trace_layers: tuple[str, ...] = Field((), description="layers traced; none named: the first two N:M layers")
    trace_batch: int = Field(8, ge=1, le=4096, description="samples of a traced batch that are kept")
    checkpoint_every: int = Field(200, ge=1, description="steps between checkpoints (with --out)")

    @model_validator(mode="after")
    def _heads(self) -> TrainConfig:
        if self.dim % self.heads:
            raise ValueError(f"heads={self.heads} must divide dim={self.dim}")
        return self
