# SPDX-License-Identifier: Apache-2.0
"""Cases of SpAtten's zero eliminator and top-k engine: random rows and keys, ties, back-pressure, resets.

The top-k engine's choice and cycles are `hwsim.spatten.timing.topk.select`'s, from the same random register. Half of
the cases run free; the others meet random stalls on the streams (values only).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check_all

from ..timing.topk import select

ZERO_MACHINES = (1, 2, 5, 8, 16)
"""Lanes of the zero eliminators that are built."""
TOPK_MACHINES = ((2, 4), (4, 64), (16, 1024), (64, 256))
"""Comparators and largest number of keys of the top-k engines that are built."""


def _shares(rng: np.random.Generator, count: int) -> list[int]:
    """Shares of cycles, of 256: half of the cases run free."""
    return [256] * count if rng.random() < 0.5 else rng.choice([16, 64, 128, 200, 256], count).tolist()


def zero_eliminator(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    def work() -> Iterator[tuple[Bench, list[Case]]]:
        machines = ZERO_MACHINES[-1:] if options.coverage else ZERO_MACHINES
        for lanes in machines:
            bench = Bench("zero_eliminator", "hwsim.spatten.bench:zero_main.cpp", {"LANES": lanes, "WIDTH": 32},
                          {"HAS_CLOCK": 1, "LANES": lanes})  # fmt: skip
            yield bench, [_zero_case(rng, lanes) for _ in range(-(-cases // len(machines)))]

    return check_all("zero_eliminator", work(), options)


def _zero_case(rng: np.random.Generator, lanes: int) -> Case:
    beats = int(rng.integers(1, 20))
    keep = rng.random((beats, lanes)) < rng.choice([0, 0.1, 0.5, 0.9, 1])
    data = rng.integers(0, 1 << 32, (beats, lanes), dtype=np.uint32)
    out = np.zeros((beats, 1 + lanes), np.uint32)
    out[:, 0] = keep.sum(1)
    for row, marked, elements in zip(out, keep, data, strict=True):
        row[1 : 1 + row[0]] = elements[marked]
    shares = _shares(rng, 2)
    head = np.array([beats, rng.integers(1, 1 << 31), *shares], np.uint32).tobytes()
    stdin = head + b"".join(k.astype(np.uint8).tobytes() + d.tobytes() for k, d in zip(keep, data, strict=True))
    expected = {"cycles": np.array([beats], np.uint32), "output": out}
    return Case(f"{beats} beats of {lanes}", stdin, expected, timed=shares == [256, 256])


def topk(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    def work() -> Iterator[tuple[Bench, list[Case]]]:
        machines = TOPK_MACHINES[2:3] if options.coverage else TOPK_MACHINES
        for lanes, size in machines:
            bench = Bench(
                "topk",
                "hwsim.spatten.bench:topk_main.cpp",
                {"LANES": lanes, "SIZE": size},
                {"HAS_CLOCK": 1, "LANES": lanes},
            )
            yield bench, [_topk_case(rng, lanes, size) for _ in range(-(-cases // len(machines)))]

    return check_all("topk", work(), options)


def _topk_case(rng: np.random.Generator, lanes: int, size: int) -> Case:
    n = int(rng.integers(0, size + 1)) if rng.random() < 0.9 else int(rng.choice([0, 1, lanes, size]))
    k = int(rng.integers(0, n + 1)) if rng.random() < 0.9 else int(rng.choice([0, 1, n, min(n + 1, size)]))
    # any bits, or few different keys, or one: ties
    keys = rng.integers(0, int(rng.choice([1, 2, 40, 4096, 1 << 32])), n, dtype=np.uint32)
    seed = int(rng.integers(1, 1 << 16))
    keep = np.zeros(n, np.bool_)
    cycles, *_ = select(keys, k, lanes, seed, keep)
    (share,) = _shares(rng, 1)
    reset = int(rng.integers(1, 60)) if share < 256 and rng.random() < 0.3 else 0
    rows = np.zeros(-(-n // lanes) * lanes, np.uint32)
    rows[:n] = keys
    rows[n:] = rng.integers(0, 1 << 32, len(rows) - n, dtype=np.uint32)  # nobody's
    head = np.array([n, k, seed, rng.integers(1, 1 << 31), share, reset], np.uint32).tobytes()
    expected: dict[str, np.ndarray] = {"cycles": np.array([cycles], np.uint32), "output": keep.astype(np.uint8)}
    return Case(f"{k} of {n} keys", head + rows.tobytes(), expected, timed=share == 256 and not reset)
