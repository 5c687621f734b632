# SPDX-License-Identifier: Apache-2.0
"""Random array jobs: machines, shapes and operands, seeded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflow.pattern import NM
from hwsim.sat.config import SatConfig
from hwsim.sat.functional import sore
from hwsim.sat.job import Job, array_job

PATTERNS = ("dense", "1:4", "2:4", "2:8", "4:8", "2:16", "1:2", "1:1", "4:4", "8:8", "1:16", "8:16", "3:5", "1:3")


class Case(NamedTuple):
    config: SatConfig
    job: Job
    pattern: NM
    x: np.ndarray
    values: np.ndarray
    index: np.ndarray | None
    psum: np.ndarray | None


def random_case(rng: np.random.Generator, *, largest: int = 6, length: int = 40, special: bool = False) -> Case:
    """A random machine (every latency and port width drawn), dataflow, pattern, shape and interleave 1 to 16."""

    def draw(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    config = SatConfig(
        rows=draw(1, largest),
        cols=draw(1, largest),
        mul_latency=draw(1, 5),
        add_latency=draw(1, 6),
        west_lane_bytes=int(rng.choice([2, 4, 8, 16, 32])),
        north_lane_bytes=int(rng.choice([1, 2, 4])),
        output_lane_bytes=int(rng.choice([1, 2, 4])),
    )
    pattern = NM.parse(str(rng.choice(PATTERNS)))
    # a third of the cases have a dimension of 1 or 2
    size = tuple(draw(1, 2) if rng.random() < 0.33 else draw(1, length) for _ in range(3))
    dataflow = "OS" if rng.random() < 0.5 else "WS"
    job = array_job(config, dataflow, size, pattern, draw(1, 16))  # type: ignore[arg-type]
    x, weights = halves(rng, (size[0], size[1]), special), halves(rng, (size[1], size[2]), special)
    psum = None
    if dataflow == "WS" and rng.random() < 0.25:
        psum = rng.standard_normal((size[0], size[2])).astype(np.float32)
    if pattern.is_dense:
        return Case(config, job, pattern, x, weights, None, psum)
    return Case(config, job, pattern, x, *sore(weights, pattern), psum)


SPECIALS = np.array(
    [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0xFE01, 0x3C00, 0xBC00],
    np.uint16,
)
"""Zeros, subnormals, extremes, infinities, NaN, one: FP16 bit patterns."""


def halves(rng: np.random.Generator, shape: tuple[int, ...], special: bool) -> np.ndarray:
    """float16 normals; with ``special``, mostly arbitrary bit patterns and a share of `SPECIALS`."""
    if not special:
        return rng.standard_normal(shape).astype(np.float16)
    bits = rng.integers(0, 1 << 16, shape).astype(np.uint16)
    picked = rng.random(shape) < 0.3
    bits[picked] = rng.choice(SPECIALS, int(picked.sum()))
    finite = rng.random(shape) < 0.7  # else every sum would be NaN
    bits = np.where(finite, bits & 0xBFFF, bits)
    return bits.astype(np.uint16).view(np.float16)
