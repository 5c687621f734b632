# SPDX-License-Identifier: Apache-2.0
"""Random array jobs: machines, shapes and operands, seeded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflow.pattern import NM

from ..config import Dataflow, SatConfig
from ..timing.functional import sore
from ..timing.job import Job, array_job, no_exact_job

PATTERNS = ("dense", "1:4", "2:4", "2:8", "4:8", "2:16", "1:2", "1:1", "4:4", "8:8", "1:16", "8:16", "3:5", "1:3",
            "2:3", "3:12", "1:12")  # fmt: skip


class JobCase(NamedTuple):
    config: SatConfig
    job: Job
    pattern: NM
    x: np.ndarray
    values: np.ndarray
    positions: np.ndarray | None
    psum: np.ndarray | None
    weights: np.ndarray
    """float16[k, b], dense: what the stored values were chosen from."""


def random_machine(rng: np.random.Generator, largest: int) -> SatConfig:
    """Rows and columns up to ``largest``, every latency drawn."""
    return SatConfig(
        rows=int(rng.integers(1, largest + 1)),
        cols=int(rng.integers(1, largest + 1)),
        mul_latency=int(rng.integers(1, 6)),
        add_latency=int(rng.integers(1, 7)),
    )


def random_case(
    rng: np.random.Generator,
    *,
    base: SatConfig | None = None,
    largest: int = 6,
    length: int = 40,
    special: bool = False,
    dataflow: Dataflow | None = None,
    long: bool = False,
) -> JobCase:
    """A random machine (``base``, else any up to ``largest``) with port widths drawn, dataflow, pattern, shape and
    interleave; ``long``: one dimension above 256, the others of at most 3."""

    def draw(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    config = (base or random_machine(rng, largest)).model_copy(
        update={
            "west_lane_bytes": int(rng.choice([2, 4, 8, 16, 32])),
            "north_lane_bytes": int(rng.choice([1, 2, 4])),
            "output_lane_bytes": int(rng.choice([1, 2, 4])),
        }
    )
    patterns = [NM.parse(p) for p in PATTERNS]
    fits = [
        p for p in patterns if p.is_dense or (p.n_keep <= config.weight_registers and p.m_group <= config.group_max)
    ]
    pattern = fits[draw(0, len(fits) - 1)]
    # a third of the cases have a dimension of 1 or 2
    size = (0, 0, 0)
    size = tuple(draw(1, 2) if rng.random() < 0.33 else draw(1, length) for _ in size)  # type: ignore[assignment]  # three
    if long:
        axis = draw(0, 2)
        size = tuple(draw(257, 600) if i == axis else draw(1, 3) for i in range(3))  # type: ignore[assignment]  # three
    flow: Dataflow = dataflow or ("OS" if rng.random() < 0.5 else "WS")
    interleave = draw(1, config.interleave_max)
    accumulate = flow == "WS" and not config.exact and rng.random() < 0.25
    if config.exact and no_exact_job(config, flow, size[1], pattern):  # partial sums are not read again
        held = config.rows * config.weight_registers if pattern.is_dense else config.rows * pattern.m_group
        size = (size[0], draw(1, held), size[2])
    return job_case(rng, config, size, flow, pattern, interleave, special=special, accumulate=accumulate)


def job_case(
    rng: np.random.Generator,
    config: SatConfig,
    size: tuple[int, int, int],
    flow: Dataflow,
    pattern: NM,
    interleave: int,
    *,
    special: bool = False,
    accumulate: bool = False,
) -> JobCase:
    """A job of this size with random operands; ``accumulate``: with partial sums to start from."""
    job = array_job(config, flow, size, pattern, interleave)
    draw = powers if config.exact and special and rng.random() < 0.5 else halves
    x, weights = draw(rng, (size[0], size[1]), special), draw(rng, (size[1], size[2]), special)
    psum = rng.standard_normal((size[0], size[2])).astype(np.float32) if accumulate else None
    values, positions = (weights, None) if pattern.is_dense else sore(weights, pattern)
    return JobCase(config, job, pattern, x, values, positions, psum, weights)


SPECIALS = np.array(
    [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0xFE01, 0x3C00, 0xBC00],
    np.uint16,
)
"""Zeros, subnormals, extremes, infinities, NaN, one: FP16 bit patterns."""


def powers(rng: np.random.Generator, shape: tuple[int, ...], special: bool) -> np.ndarray:
    """float16 powers of two of either sign, subnormal ones among them; a few zeros: their exact sums often lie in the
    middle between two binary32 numbers, or just beside it."""
    found = np.ldexp(rng.choice([-1.0, 1.0], shape), rng.integers(-24, 16, shape))
    return np.where(rng.random(shape) < 0.1, 0.0, found).astype(np.float16)


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
