# SPDX-License-Identifier: Apache-2.0
"""The top-k engines: their choice is the stable sort's, their cycles are those of their passes."""

from __future__ import annotations

import numpy as np
from numba import njit

from dataflow.attention.pruning import top_k
from hwsim.spatten.timing.topk import (
    FILTER_CYCLES,
    LFSR_TAPS,
    PASS_CYCLES,
    START_CYCLES,
    histogram_bin,
    histogram_cycles,
    histogram_select,
    lfsr_step,
    low_bits,
    mean_cycles,
    ordered_key,
    select,
    stream_cycles,
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


@njit
def _differ(count, rng):
    """Commands whose choice is not quick-select's, or whose cycles are not the formula's; how many had two passes."""
    wrong, twice = 0, 0
    for case in range(count):
        bits = rng.integers(4, 17)
        n = rng.integers(1, 70) if case % 8 else rng.integers(1, 1025)
        span = (1, 3, 1 << ((bits + 1) // 2), 1 << bits, 1 << bits)[case % 5]
        keys = np.empty(n, np.uint32)
        for i in range(n):
            keys[i] = rng.integers(0, span)
        k, parallel = rng.integers(0, n + 2), 1 << rng.integers(1, 6)
        if case % 11 == 0:
            k = (0, 1, n)[case % 3]
        keep, want = np.empty(n, np.bool_), np.empty(n, np.bool_)
        cycles, passes, streamed = histogram_select(keys, k, parallel, bits, keep)
        select(keys, k, parallel, 1, want)
        at, missing = histogram_bin(keys, k, bits)
        twice += passes == 2
        wrong += (keep != want).any() or streamed != passes * n
        wrong += cycles != histogram_cycles(n, k, parallel, bits, at >> low_bits(bits) != 0)
        wrong += 0 < k <= n and not 0 < missing <= k
    return wrong, twice


def test_the_histograms_choice_is_quick_selects() -> None:
    """50,000 commands of 4 to 16 bits, ties and all equal among them."""
    wrong, twice = _differ(50_000, np.random.default_rng(1))
    assert wrong == 0
    assert 5_000 < twice < 45_000


def test_the_histograms_cycles_of_known_cases() -> None:
    """A pass, two where the k-th largest shares its bin, none for k = 0; all kept needs no bin."""
    keep = np.empty(100, np.bool_)
    for value, passes, cycles in ((63, 1, 7 + FILTER_CYCLES), (64, 2, 7 + FILTER_CYCLES + 7 + 1 + 2)):
        assert histogram_select(np.full(100, value, np.uint32), 30, 16, 12, keep) == (cycles, passes, passes * 100)
        assert np.flatnonzero(keep).tolist() == list(range(30))
        assert histogram_bin(np.full(100, value, np.uint32), 30, 12) == (value if value < 64 else 64 + 1, 30)
        assert histogram_select(np.full(100, value, np.uint32), 0, 16, 12, keep) == (1, 0, 0)
        assert histogram_select(np.full(100, value, np.uint32), 101, 16, 12, keep) == (7 + FILTER_CYCLES, 1, 100)
    assert [stream_cycles(bits) for bits in (4, 8, 12, 16)] == [2, 3, 4, 4]


def test_many_kept_probabilities_stream_once() -> None:
    """The k-th largest of a softmax is at most 1 / k: from k = 65 on, 12 bits need no refinement, at 64 they may."""
    rng = np.random.default_rng(2)
    for k, most in ((65, 1), (64, 2)):
        seen = set()
        for _ in range(300):
            n = int(rng.integers(k + 1, 200))
            e = np.exp(rng.standard_normal(n) * rng.choice([0, 0.1, 1, 5]))
            e[:k] += rng.choice([0, 1e6])  # k equal ones hold nearly all
            keys = np.rint(e / e.sum() * 4095).astype(np.uint32)
            seen.add(histogram_select(keys, k, 16, 12, np.empty(n, np.bool_))[1])
        assert max(seen) == most


def test_linear_on_average() -> None:
    """Twice the keys take about twice the cycles; more comparators help until the passes' overhead is left."""
    cycles = {n: mean_cycles(n, n // 2, 1, 200, np.random.default_rng(n)) for n in (256, 512, 1024)}
    assert 1.8 < cycles[512] / cycles[256] < 2.2
    assert 1.8 < cycles[1024] / cycles[512] < 2.2
    assert 2 < cycles[1024] / 1024 < 5
    fast = [mean_cycles(1024, 512, p, 200, np.random.default_rng(p)) for p in (1, 4, 16, 64)]
    assert fast == sorted(fast, reverse=True)
    assert fast[2] / fast[3] < 3 < fast[0] / fast[1]
