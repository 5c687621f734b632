# SPDX-License-Identifier: Apache-2.0
"""The jobs of a product of masked weights, with their operands: each with the N of its own tile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataflow.pattern import DENSE, NM
from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check_all

from ..config import SatConfig
from ..timing.functional import stce
from ..timing.job import array_job
from ..timing.masked import Masked, masked_product
from ..timing.step import limits_of
from .array import COVERED, MACHINES, bench_of, case_of
from .jobs import JobCase, halves


def compressed(weights: np.ndarray, mask: np.ndarray, pattern: NM) -> tuple[np.ndarray, np.ndarray]:
    """Stored values and places of masked weights [k, b]: the kept ones of a group in order, then zeros.

    The zeros take the lowest places that nothing kept has, so that no place stands twice, and come in the order of
    their places with the others, as the array reads them.
    """
    n, m = pattern.n_keep, pattern.m_group
    kept = mask.reshape(-1, m, mask.shape[1])
    order = np.argsort(~kept, axis=1, kind="stable")[:, :n]  # the kept first, then the lowest others
    order.sort(axis=1)
    values = np.take_along_axis((weights * mask).reshape(kept.shape), order, 1)
    shape = (-1, mask.shape[1])
    return values.reshape(shape).astype(np.float16), order.reshape(shape).astype(np.uint8)


def masked_jobs(
    config: SatConfig, found: Masked, x: np.ndarray, weights: np.ndarray, mask: np.ndarray
) -> Iterator[tuple[JobCase, slice, np.ndarray]]:
    """The jobs of a product in the order in which they run, each with its rows and the columns that it is of.

    Partial sums come from the functional level, as they would lie in the output buffer.
    """
    mapping, m = found.mapping, found.m
    (a, k), b = x.shape, weights.shape[1]
    for a0 in range(0, a, mapping.tile_rows):
        rows = slice(a0, min(a, a0 + mapping.tile_rows))
        for ib, b0 in enumerate(range(0, b, mapping.tile_cols)):
            cols = found.order[b0 : b0 + mapping.tile_cols]
            psum = None
            for ik, k0 in enumerate(range(0, k, mapping.tile_reduction)):
                taken, n = slice(k0, min(k, k0 + mapping.tile_reduction)), int(found.counts[ik, ib])
                if n == 0:
                    continue
                part, keep = weights[taken][:, cols], mask[taken][:, cols]
                pattern = DENSE if n == m else NM(n, m)
                values, places = (part * keep, None) if pattern.is_dense else compressed(part, keep, pattern)
                size = (rows.stop - rows.start, taken.stop - taken.start, len(cols))
                job = array_job(config, "WS", size, pattern, mapping.interleave)
                here = np.ascontiguousarray(x[rows, taken])
                values = np.ascontiguousarray(values)
                yield JobCase(config, job, pattern, here, values, places, psum, part * keep), rows, cols
                psum = stce(here, values, places, None if places is None else pattern, psum)


def random_mask(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A mask of any density, in blocks or not, with whole parts empty at times."""
    mask = rng.random(shape) < rng.choice([0.02, 0.1, 0.3, 0.5, 0.9])
    if rng.random() < 0.3:
        mask = np.repeat(mask[::4], 4, axis=0)[: shape[0]]
    if rng.random() < 0.3:
        mask[: int(rng.integers(0, shape[0] + 1))] = False
    if rng.random() < 0.2:
        mask[:, int(rng.integers(0, shape[1])) :] = True
    return np.asarray(mask, bool)


def random_product(
    rng: np.random.Generator, config: SatConfig
) -> tuple[Masked, np.ndarray, np.ndarray, np.ndarray] | None:
    """A product with a random mask, its activations, weights and mask; None: this machine has no M that fits."""
    groups = [m for m in (4, 8, 16) if m <= config.group_max]
    if not groups:
        return None
    a, k, b = int(rng.integers(1, 20)), int(rng.choice(groups)) * int(rng.integers(1, 5)), int(rng.integers(1, 12))
    mask = random_mask(rng, (k, b))
    found = masked_product(config, limits_of(config), a, mask, pack=bool(rng.random() < 0.5))
    return found, halves(rng, (a, k), False), halves(rng, (k, b), False), mask


def stce_masked(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """Jobs of products with random masks, each with its own tile's N, on each of `MACHINES` that takes groups."""
    arrays = MACHINES if options.coverage is None else COVERED
    machines = [c for c in arrays if c.group_max >= 4 and not c.exact]
    if options.machine is not None:
        machines = [options.machine]
    count = -(-cases // len(machines))

    def work() -> Iterator[tuple[Bench, list[Case]]]:
        for config in machines:
            made: list[Case] = []
            while len(made) < count:
                product = random_product(rng, config)
                assert product is not None
                made += [case_of(rng, job) for job, _, _ in masked_jobs(config, *product)]
            yield bench_of(config), made[:count]

    return check_all("stce_masked", work(), options)
