# SPDX-License-Identifier: Apache-2.0
"""SpAtten's rules as formulas that every level shares: how many are kept, which, and how ratios go over the layers.

Source: "SpAtten", HPCA 2021 (arXiv 2012.09852).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator


def kept(count: int, ratio: float) -> int:
    """How many of ``count`` remain at a pruning ratio: floor(count (1 - ratio)), but at least one of one or more."""
    return max(math.floor(count * (1 - ratio) + 1e-9), min(count, 1))


def top_k(values: np.ndarray, k: int) -> np.ndarray:
    """Places of the ``k`` largest of ``values`` [n], in the order of the input; of equal ones the first are kept.

    NaN is larger than every number, as in `numpy.sort`; -0 equals 0. ``k`` is cut to 0..n. This is what a quick-select
    with an order-preserving compaction gives, and it has one answer.
    """
    values = np.asarray(values)
    # descending, stable: ascending and stable of the reversed array, read backwards
    order = values[::-1].argsort(kind="stable")[::-1]
    places: np.ndarray = len(values) - 1 - order
    return np.sort(places[: max(k, 0)])


class RatioSchedule(BaseModel):
    """How many are left at each layer.

    By a pruning ratio: 0 in the first layers, then going linearly from a start to an end. The mean over the pruned
    layers is ``average``: start + end = 2 average. A ratio is of what is alive at that layer.

    Or by ``alive``, the share of all that is left at each layer, as the authors' workloads have it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    average: float = Field(0.0, ge=0.0, lt=1.0, description="mean ratio of the layers that prune")
    start: float | None = Field(None, ge=0.0, lt=1.0, description="ratio of the first layer that prunes; none: average")
    spared: float = Field(0.15, ge=0.0, le=1.0, description="share of the layers, from the first on, that keep all")

    alive: tuple[float, ...] | None = Field(
        None,
        min_length=1,
        description="in place of ratios: share of all that is left, layer by layer, never rising; of n entries and L "
        "layers, layer l has entry floor(l n / L)",
    )

    @model_validator(mode="after")
    def _end_is_a_ratio(self) -> RatioSchedule:
        if self.alive is not None:
            if self.average or self.start is not None:
                raise ValueError("alive is in place of average and start")
            if any(not 0 < b <= a for a, b in pairwise((1.0, *self.alive))):
                raise ValueError(f"alive={self.alive}: must be shares above 0, at most 1, that never rise")
        if not 0 <= self.end < 1:
            raise ValueError(f"start={self.start}: the last ratio would be 2 x {self.average} - start = {self.end:g}")
        return self

    @property
    def end(self) -> float:
        return self.average if self.start is None else 2 * self.average - self.start

    def counts(self, total: int, layers: int) -> list[int]:
        """How many of ``total`` are left at each of ``layers``."""
        if self.alive is not None:
            return [kept(total, 1 - share) for share in self._shares(layers)]
        found = []
        for ratio in self.ratios(layers):
            total = kept(total, ratio)
            found.append(total)
        return found

    def _shares(self, layers: int) -> list[float]:
        alive = self.alive or (1.0,)
        return [alive[layer * len(alive) // layers] for layer in range(layers)]

    def ratios(self, layers: int) -> list[float]:
        """The ratio of each of ``layers``, of what is alive there."""
        if self.alive is not None:
            return [1 - b / a for a, b in pairwise((1.0, *self._shares(layers)))]
        first = min(math.ceil(self.spared * layers), layers)
        count = layers - first
        start = self.average if self.start is None else self.start
        step = (self.end - start) / (count - 1) if count > 1 else 0.0
        middle = [self.average] if count == 1 else [start + step * i for i in range(count)]
        return [0.0] * first + middle


class Quantization(BaseModel):
    """Linear symmetric quantization of Q, K and V; K lies in two planes: ``msb`` bits first, ``lsb`` more where needed.

    An integer of msb + lsb bits is split by an arithmetic shift; the MSB plane alone stands for the integer with zeros
    for LSBs. A query whose largest probability is below ``threshold`` is computed again with all bits of K. V has msb
    bits, rounded, and no second plane, as in the authors' release (``requant..._k``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    msb: int = Field(8, ge=2, le=12, description="bits of the first plane")
    lsb: int = Field(4, ge=0, le=8, description="bits of the second plane; 0: static quantization")
    threshold: float = Field(0.1, ge=0.0, le=1.0, description="largest probability below which the LSBs are fetched")

    @property
    def bits(self) -> int:
        return self.msb + self.lsb


class AttentionPruning(BaseModel):
    """Everything that SpAtten leaves out, as settings. The default prunes nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: RatioSchedule = Field(RatioSchedule(spared=0.15), description="cascade token pruning")
    heads: RatioSchedule = Field(RatioSchedule(spared=0.3), description="cascade head pruning")
    values: float = Field(
        0.0, ge=0.0, lt=1.0, description="local value pruning: share of the alive keys' V not fetched"
    )
    quantization: Quantization | None = Field(None, description="none: not quantized")
    protected: int = Field(0, ge=0, description="tokens from the first on that are never pruned")
    control: Literal["importance", "random", "first"] = Field(
        "importance",
        description="how tokens are chosen: by importance, or a control at the same ratio: at random, the first ones",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of the random control")
