# SPDX-License-Identifier: Apache-2.0
"""The top-k engine: its choice is the stable sort's, its cycles are those of its passes."""

from __future__ import annotations

import numpy as np
from numba import njit

from dataflow.attention.pruning import top_k
from hwsim.spatten.timing.topk import (
    LFSR_TAPS,
    PASS_CYCLES,
    START_CYCLES,
    lfsr_step,
    mean_cycles,
    ordered_key,
    select,
)


@njit
def _wrong(count, rng):
    """Commands whose choice is not the stable sort's, or whose cycles do not follow from what streamed; most passes."""
    state, wrong, most = 1, 0, 0
    for case in range(count):
        n = rng.integers(1, 70) if case % 8 else rng.integers(1, 1025)
        kind = case % 5
        span = 1 if kind == 0 else 3 if kind == 1 else 20 if kind == 2 else 1 << 31
        keys = np.empty(n, np.uint32)
        for i in range(n):
            keys[i] = rng.integers(0, span)
        if kind == 4:
            keys = np.sort(keys)
        k = rng.integers(0, n + 2)
        if case % 11 == 0:
            k = (0, 1, n)[case % 3]
        parallel = 1 << rng.integers(0, 7)
        keep = np.empty(n, np.bool_)
        cycles, passes, streamed, state = select(keys, k, parallel, state, keep)
        order = np.argsort(keys[::-1], kind="mergesort")[::-1]
        want = np.zeros(n, np.bool_)
        for i in range(min(k, n)):
            want[n - 1 - order[i]] = True
        most = max(most, passes)
        if (keep != want).any():
            wrong += 1
        low = START_CYCLES + passes * PASS_CYCLES + streamed // parallel
        if not low <= cycles <= low + passes:
            wrong += 1
    return wrong, most, state


def test_the_stable_sorts_choice() -> None:
    """100,000 commands: ties, all equal, sorted, k = 0, 1, n and above, n from 1 to 1024, P from 1 to 64."""
    wrong, most, _ = _wrong(100_000, np.random.default_rng(0))
    assert wrong == 0
    assert 10 < most < 80


def test_cycles_of_a_known_case() -> None:
    """One pass where all are equal, and the filter pass; no pass for k = 0; the filter pass alone for k >= n."""
    keys, keep = np.full(100, 7, np.uint32), np.empty(100, np.bool_)
    assert select(keys, 30, 16, 1, keep)[:3] == (1 + 2 * (7 + 4), 2, 200)
    assert np.flatnonzero(keep).tolist() == list(range(30))
    assert select(keys, 0, 16, 1, keep)[:3] == (1, 0, 0)
    assert not keep.any()
    for k in (100, 101):
        assert select(keys, k, 16, 1, keep)[:3] == (1 + 7 + 4, 1, 100)
        assert keep.all()
    assert select(np.zeros(0, np.uint32), 3, 16, 1, np.empty(0, np.bool_))[:2] == (1, 0)


def test_keys_are_in_the_values_order() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(2000).astype(np.float32)
    values[:7] = [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45]
    keys = ordered_key(values)
    assert keys[0] == keys[1]
    assert keys[4] == keys[5] == 0xFFFFFFFF > keys[2]
    finite = np.argsort(values[6:], kind="stable")
    assert (np.diff(keys[6:][finite].astype(np.int64)) >= 0).all()
    keep = np.empty(2000, np.bool_)
    for k in (1, 17, 1999):
        select(keys, k, 8, 5, keep)
        assert np.flatnonzero(keep).tolist() == top_k(values, k).tolist()


def test_the_register_has_its_full_period() -> None:
    state, seen = 1, 0
    while True:
        state = lfsr_step(state)
        seen += 1
        if state == 1:
            break
    assert seen == 65535
    assert lfsr_step(0) == LFSR_TAPS  # as of 1


def test_linear_on_average() -> None:
    """Twice the keys take about twice the cycles; more comparators help until the passes' overhead is left."""
    cycles = {n: mean_cycles(n, n // 2, 1, 200, np.random.default_rng(n)) for n in (256, 512, 1024)}
    assert 1.8 < cycles[512] / cycles[256] < 2.2
    assert 1.8 < cycles[1024] / cycles[512] < 2.2
    assert 2 < cycles[1024] / 1024 < 5
    fast = [mean_cycles(1024, 512, p, 200, np.random.default_rng(p)) for p in (1, 4, 16, 64)]
    assert fast == sorted(fast, reverse=True)
    assert fast[2] / fast[3] < 3 < fast[0] / fast[1]
