# SPDX-License-Identifier: Apache-2.0
"""Two top-k engines over P comparators, which keep the same keys: quick-select, and one that a histogram leads.

Quick-select. The engine compares unsigned keys (`ordered_key`). A pass reads a pivot, chosen at random among the
candidates, then streams the candidates, P a cycle, past the comparators; larger and smaller ones are packed into a FIFO
each by zero eliminators, equal ones are counted. Then one FIFO holds the candidates of the next pass, and the other is
emptied; or the pivot is the k-th largest. A last pass streams all n keys and lets through those above the k-th, and of
the equal ones the first, as many as are missing: their places come out in ascending order.

    cycles of a pass     ceil(candidates / P) + PASS_CYCLES
    cycles of a command  START_CYCLES + those of its passes, the filter pass (of n candidates) included

Where k is 0 or n is 0 nothing streams; where k >= n only the filter pass does. The random numbers are those of a 16-bit
linear-feedback shift register that steps once a pass: the same seed gives the same cycles.

Histogram. Probabilities of b bits are counted as they leave the divider, a row a cycle (`histogram_bin`): each value
below 2^h, h = ceil(b / 2), has a bin of its own, the others have a bin for each upper half of their bits. The bins are
searched from the highest down, three bits of the bin's number in a step, so the bin of the k-th largest is known
`stream_cycles` after the last row, while the next row is counted. A bin of one value gives the k-th largest; else a
refinement pass counts the lower halves of the bin's keys. Then the filter pass, as above. Nothing is drawn at random.

    cycles of a filter pass      ceil(n / P) + FILTER_CYCLES
    cycles of a refinement pass  ceil(n / P) + 1 + ceil(h / 3)

The k-th largest of numbers whose sum is one is at most 1 / k. So where k is more than 2^(b - h) the k-th largest
probability is in a bin of its own, and the keys stream once: from the shapes alone. (Rounding moves a probability by
half a step: from k = 2^(b - h) + 1 on the k-th largest is still below 2^h.)
Source: SpAtten (HPCA 2021); pass overhead, pivot generator, key order and the histogram are ours.
"""

from __future__ import annotations

import numpy as np

from hwsim.core.kernels import kernel

PASS_CYCLES = 4
"""Beyond the streaming: pivot address, pivot, comparison of the last row, decision."""
START_CYCLES = 1
FILTER_CYCLES = 3
"""Of the histogram's engine, beyond the streaming: the command, the last row's beat of flags, the packer behind it."""
STEP_BITS = 3
"""Bits of a bin's number that a step of the search finds."""
SEED = 1
"""Start of the random register, the same for every command: a query's cycles do not depend on earlier queries."""
LFSR_TAPS = 0xB400
"""x^16 + x^14 + x^13 + x^11 + 1, Galois form: period 65,535."""


def ordered_key(values: np.ndarray) -> np.ndarray:
    """uint32 keys of float32 values: larger values have larger keys, -0 is 0, every NaN is the largest."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    bits = np.where(bits == 0x80000000, np.uint32(0), bits)
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))
    return np.where(np.isnan(values), np.uint32(0xFFFFFFFF), keys)


@kernel
def lfsr_step(state: int) -> int:
    """The register's next value. A state of 0 would never change, so it counts as 1."""
    state = state & 0xFFFF
    if state == 0:
        state = 1
    return (state >> 1) ^ (LFSR_TAPS if state & 1 else 0)


@kernel
def select(keys: np.ndarray, k: int, parallel: int, state: int, keep: np.ndarray) -> tuple[int, int, int, int]:
    """Run a command.

    Args:
        keys: uint32[n]; a pivot's place is a 16-bit random number times the candidates, over 2^16.
        k: how many to keep; limited to 0..n.
        parallel: P, comparators.
        state: the random register.
        keep: bool[n], filled in: True for the k largest.

    Returns:
        cycles, passes (the filter pass included), keys streamed, and the register afterwards.
    """
    n = len(keys)
    k = min(max(k, 0), n)
    keep[:] = k == n
    if k == 0:
        return START_CYCLES, 0, 0, state
    filter_cycles = (n + parallel - 1) // parallel + PASS_CYCLES
    if k == n:
        return START_CYCLES + filter_cycles, 1, n, state
    candidates = keys.copy()
    larger = np.empty(n, np.uint32)
    smaller = np.empty(n, np.uint32)
    count, missing = n, k
    cycles, passes, streamed = START_CYCLES, 0, 0
    while True:
        state = lfsr_step(state)
        pivot = candidates[(state * count) >> 16]
        n_larger, n_smaller = 0, 0
        for i in range(count):
            key = candidates[i]
            if key > pivot:
                larger[n_larger] = key
                n_larger += 1
            elif key < pivot:
                smaller[n_smaller] = key
                n_smaller += 1
        cycles += (count + parallel - 1) // parallel + PASS_CYCLES
        passes += 1
        streamed += count
        if missing <= n_larger:
            candidates, larger, count = larger, candidates, n_larger
        elif missing <= count - n_smaller:
            missing -= n_larger
            break
        else:
            missing -= count - n_smaller
            candidates, smaller, count = smaller, candidates, n_smaller
    for i in range(n):
        if keys[i] > pivot:
            keep[i] = True
        elif keys[i] == pivot and missing > 0:
            keep[i] = True
            missing -= 1
    return cycles + filter_cycles, passes + 1, streamed + n, state


@kernel
def low_bits(bits: int) -> int:
    """h: bits of a key's lower half."""
    return (bits + 1) // 2


@kernel
def stream_cycles(bits: int) -> int:
    """Cycles from a query's last row of probabilities to its bin: row, counters, the steps of the search."""
    return 1 + (low_bits(bits) + 1 + STEP_BITS - 1) // STEP_BITS


@kernel
def histogram_cycles(n: int, k: int, parallel: int, bits: int, refined: bool) -> int:
    """Cycles of a command of the histogram's engine.

    Args:
        n: keys.
        k: how many to keep.
        parallel: P, comparators.
        bits: of a key.
        refined: the bin has several values: `histogram_bin`'s is 2^h or more. Without meaning where k is 0 or k >= n.
    """
    if k <= 0 or n == 0:
        return START_CYCLES
    rows = (n + parallel - 1) // parallel
    cycles = rows + FILTER_CYCLES
    if refined and k < n:
        cycles += rows + 1 + (low_bits(bits) + STEP_BITS - 1) // STEP_BITS
    return cycles


@kernel
def histogram_bin(keys: np.ndarray, k: int, bits: int) -> tuple[int, int]:
    """The bin of the k-th largest key, and how many of the bin's keys are among the k largest.

    Args:
        keys: unsigned integers[n], below 2^bits.
        k: at least 0. 0 gives the highest bin and 0; more than n gives bin 0 and what is missing with all above it.
        bits: of a key.
    """
    low = low_bits(bits)
    counts = np.zeros(2 << low, np.int64)
    for key in keys:
        high = int(key) >> low
        counts[int(key) if high == 0 else (1 << low) + high] += 1
    missing, at = k, (2 << low) - 1
    while at > 0 and missing > counts[at]:
        missing -= counts[at]
        at -= 1
    return at, missing


@kernel
def histogram_select(keys: np.ndarray, k: int, parallel: int, bits: int, keep: np.ndarray) -> tuple[int, int, int]:
    """Run a command of the histogram's engine. Arguments as `select`'s; keys are below 2^bits.

    Returns:
        cycles, passes (the filter pass included), keys streamed.
    """
    n = len(keys)
    k = min(max(k, 0), n)
    keep[:] = k == n
    if k == 0:
        return START_CYCLES, 0, 0
    if k == n:
        return histogram_cycles(n, k, parallel, bits, False), 1, n
    kth, missing = histogram_bin(keys, k, bits)
    low = low_bits(bits)
    refined = kth >> low != 0
    if refined:
        high = kth - (1 << low)
        counts = np.zeros(1 << low, np.int64)
        for key in keys:
            if int(key) >> low == high:
                counts[int(key) & ((1 << low) - 1)] += 1
        at = (1 << low) - 1
        while missing > counts[at]:
            missing -= counts[at]
            at -= 1
        kth = (high << low) + at
    for i in range(n):
        if keys[i] > kth:
            keep[i] = True
        elif keys[i] == kth and missing > 0:
            keep[i] = True
            missing -= 1
    passes = 2 if refined else 1
    return histogram_cycles(n, k, parallel, bits, refined), passes, passes * n


@kernel
def mean_cycles(n: int, k: int, parallel: int, draws: int, rng: np.random.Generator) -> float:
    """Mean cycles of a command over ``draws`` random permutations of n keys.

    Only the keys' order matters, so permutations stand for every distribution without ties.
    """
    keep = np.empty(n, np.bool_)
    keys = np.arange(n).astype(np.uint32)
    total, state = 0, 1
    for _ in range(draws):
        for i in range(n - 1, 0, -1):
            j = rng.integers(0, i + 1)
            keys[i], keys[j] = keys[j], keys[i]
        cycles, _, _, state = select(keys, k, parallel, state, keep)
        total += cycles
    return total / draws
