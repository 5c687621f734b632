# SPDX-License-Identifier: Apache-2.0
"""The transaction lists whose reference cycle counts are in reference.csv, from their seeds."""

from __future__ import annotations

import random

import numpy as np

COUNT, REGION = 65536, 256 << 20
ARRAYS, VECTORS = 144, 1024
PAGED_ARRAYS, PAGED_VECTORS, PAGED_BYTES = 32, 8192, 128


def addresses(name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Byte addresses and whether each is a write, for transactions of ``size`` bytes."""
    kinds = [False] * COUNT
    if name == "seq_rd":
        found = [i * size for i in range(COUNT)]
    elif name == "rand_rd_256M":
        rng = random.Random(1)
        found = [rng.randrange(REGION // size) * size for _ in range(COUNT)]
    elif name in ("stride_512", "stride_64K"):
        found = [i * (512 if name == "stride_512" else 65536) for i in range(COUNT)]
    elif name == "pages16_5":
        found = _pages(size, 16, 5)
        kinds = [False] * len(found)
    elif name == "mix70_seq":
        rng = random.Random(2)
        kinds = [rng.random() < 0.3 for _ in range(COUNT)]
        found = [i * size for i in range(COUNT)]
    else:
        vector, percent, scattered = {
            "gather_v64_30": (64, 30, False), "gather_v48_10_sb": (48, 10, True), "gather_v64_10_sb": (64, 10, True),
            "gather_v128_10": (128, 10, False),
        }[name]  # fmt: skip
        found = _gather(size, vector, percent, scattered)
        kinds = [False] * len(found)
    return np.array(found, np.int64), np.array(kinds)


def _pages(size: int, vectors: int, percent: int) -> list[int]:
    """Random pages of ``vectors`` vectors, ascending, of each of `PAGED_ARRAYS` arrays, each read whole."""
    rng = random.Random(100 * vectors + percent)
    count, page = PAGED_VECTORS // vectors, vectors * PAGED_BYTES
    found: list[int] = []
    for array in range(PAGED_ARRAYS):
        for p in sorted(rng.sample(range(count), round(count * percent / 100))):
            start = array * PAGED_VECTORS * PAGED_BYTES + p * page
            found += range(start, start + page, size)
    return found


def _gather(size: int, vector: int, percent: int, scattered: bool) -> list[int]:
    """Sorted random vectors of each of `ARRAYS` arrays; a transaction that two neighbours share is read once."""
    picks, places = random.Random(1000 * vector + percent), random.Random(7 * vector + percent)
    slots = places.sample(range(REGION >> 18), ARRAYS)
    found: list[int] = []
    for array in range(ARRAYS):
        start = (slots[array] << 18) + places.randrange(32) * 4096 if scattered else array * VECTORS * vector
        last = -1
        for v in sorted(picks.sample(range(VECTORS), round(VECTORS * percent / 100))):
            low, high = (start + v * vector) // size, (start + (v + 1) * vector - 1) // size
            for t in range(low, high + 1):
                if t != last:
                    found.append(t * size)
                    last = t
    return found
