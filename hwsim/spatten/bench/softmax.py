# SPDX-License-Identifier: Apache-2.0
"""Cases of SpAtten's softmax: rows of random scores of every length and spread; sums and probabilities in every bit.

Half of the rows come without pauses; then the cycles are compared too: those of the units one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check_all

from ..timing.functional import SCALE_LIMIT
from ..timing.functional import softmax as functional

MACHINES = ((1, 1, 16), (2, 8, 64), (8, 4, 1024))
"""Lanes, partial sums of a lane, most scores of the softmaxes that are built."""
_BITS = 12
_SLOTS = 4
_SCORE = 32
DEQUANTIZE, SUBTRACT_EXP, TREE, DIVIDE = 7, 24, 2, 34
"""Cycles: from a row of scores to exp; of a row to its exponentials; of an adder of the tree; to its probabilities."""


def softmax(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    def work() -> Iterator[tuple[Bench, list[Case]]]:
        machines = MACHINES[-1:] if options.coverage else MACHINES
        for lanes, adder, size in machines:
            total = _sum_cycles(lanes, adder)
            row = max(lanes, 4)
            sizes = {"LANES": lanes, "SIZE": size, "PROB_BITS": _BITS, "SCORE_WIDTH": _SCORE, "LIST": row,
                     "SLOTS": _SLOTS, "SCORE_ROWS": size // row + 2}  # fmt: skip
            bench = Bench("softmax", "hwsim.spatten.bench:softmax_main.cpp", sizes | {"ADDER": adder},
                          sizes | {"HAS_CLOCK": 1, "SUM_CYCLES": total})  # fmt: skip
            yield bench, [case_of(rng, lanes, adder, size) for _ in range(-(-cases // len(machines)))]

    return check_all("softmax", work(), options)


def _sum_cycles(lanes: int, adder: int) -> int:
    """From a unit's last row to its sum."""
    return SUBTRACT_EXP + adder + TREE * (lanes * adder).bit_length() - 1


def random_scores(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.float32]:
    """Scores of some spread, with ties, and their scale."""
    spread = int(rng.choice([1, 30, 4000, 1 << 20, 1 << 30]))
    scores = rng.integers(-spread, spread + 1, n)
    scale = np.float32(rng.choice([0, 1e-30, 0.3, 2, 20, 300]) * rng.random() / spread)
    if rng.random() < 0.1:  # all as far below 0 as a score can be
        scores = rng.integers(-(1 << 31), -(1 << 30), n)
        scale = np.nextafter(np.float32(SCALE_LIMIT), np.float32(0))
    return scores, scale


def case_of(rng: np.random.Generator, lanes: int, adder: int, size: int) -> Case:
    n = int(rng.integers(1, size + 1))
    scores, scale = random_scores(rng, n)
    out = np.empty(n, np.uint16)
    sum_ = np.float32(functional(scores.astype(np.int64), scale, lanes * adder, _BITS, out))
    share = 256 if rng.random() < 0.5 else int(rng.choice([16, 64, 200]))
    rows = -(-n // lanes)
    cycles = rows - 1 + DEQUANTIZE + rows - 1 + 1 + _sum_cycles(lanes, adder) + rows - 1 + DIVIDE
    head = np.array([n, scale.view(np.uint32), rng.integers(0, _SLOTS), rng.integers(1, 1 << 31), share], np.uint32)
    expected = {
        "cycles": np.array([cycles], np.uint32),
        "output": np.concatenate([np.array([sum_], np.float32).view(np.uint32), out.astype(np.uint32)]),
    }
    stdin = head.tobytes() + scores.astype(np.int32).tobytes()
    return Case(f"{n} scores", stdin, expected, timed=share == 256)
