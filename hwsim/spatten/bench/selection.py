# SPDX-License-Identifier: Apache-2.0
"""Cases of SpAtten's zero eliminator, its two top-k engines and what is around them: random rows, ties, stalls, resets.

Quick-select's choice and cycles are `hwsim.spatten.timing.topk.select`'s, from the same random register; the other
engine's are `histogram_select`'s, and what leads it is `histogram_bin`'s. Half of an engine's cases run free; the
others meet random stalls on the streams (values only).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check_all

from ..timing.functional import SATURATED
from ..timing.topk import histogram_bin, histogram_select, ordered_key, select, stream_cycles

ZERO_MACHINES = (1, 2, 5, 8, 16)
"""Lanes of the zero eliminators that are built."""
TOPK_MACHINES = ((2, 4), (4, 64), (16, 1024), (64, 256))
"""Comparators and largest number of keys of quick-selects that are built; their keys have 32 bits."""
HISTOGRAM_MACHINES = ((2, 4, 4, 2), (4, 64, 16, 1), (8, 64, 7, 4), (16, 1024, 12, 8), (32, 1024, 12, 8))
"""Comparators, largest number of keys, bits of a key and lanes of the histogram of the engines that are built."""
SELECT_MACHINES = ((1, 2, 32, 4, 5), (0, 4, 64, 8, 12), (1, 32, 256, 32, 12), (1, 16, 1024, 32, 12))
"""Engine, comparators, largest number of keys, tokens of a row, bits of a key of the local prunings that are built."""
IMPORTANCE_MACHINES = ((2, 8, 4), (4, 64, 8), (8, 64, 8), (16, 1024, 32))
"""Comparators, largest number of entries, entries of a row of the cascade prunings that are built."""
_SLOT_WIDTH = 3
_TOKEN_WIDTH = 20


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
                {"HAS_CLOCK": 1, "LANES": lanes, "WIDTH": 32, "GIVE(t,a,b)": "t.s_cmd_seed=a"},
            )
            yield bench, [_topk_case(rng, lanes, size) for _ in range(-(-cases // len(machines)))]

    return check_all("topk", work(), options)


def _count_and_k(rng: np.random.Generator, lanes: int, size: int) -> tuple[int, int]:
    """How many keys, 0 to size; how many to keep, at times more than there are: as many as a count can say."""
    n = int(rng.integers(0, size + 1)) if rng.random() < 0.9 else int(rng.choice([0, 1, lanes, size]))
    return n, int(rng.integers(0, n + 1)) if rng.random() < 0.85 else int(rng.choice([0, 1, n, *_beyond(rng, n, size)]))


def _beyond(rng: np.random.Generator, n: int, size: int) -> tuple[int, int]:
    """Counts above ``n``, the next one and any, up to what the bits of a count of ``size`` can say."""
    most = (1 << size.bit_length()) - 1
    return min(n + 1, most), int(rng.integers(min(n + 1, most), most + 1))


def _seed(rng: np.random.Generator) -> tuple[int, int]:
    """A seed, and what the random register is then; 0 leaves it as it is: 1 where a reset in the middle went before."""
    seed = int(rng.integers(1, 1 << 16)) if rng.random() < 0.9 else 0
    return seed, seed or 1


def _engine_case(rng: np.random.Generator, lanes: int, keys: np.ndarray, k: int, own: tuple[int, int], bits: int,
                 keep: np.ndarray, cycles: int, *, cut: bool = False) -> Case:  # fmt: skip
    """A command of either engine, which has two words of its own; ``cut``: surely after a reset in the middle."""
    n = len(keys)
    (share,) = _shares(rng, 1)
    reset = int(rng.integers(1, 60)) if cut or rng.random() < 0.15 else 0
    rows = rng.integers(0, 1 << bits, -(-n // lanes) * lanes, dtype=np.uint32)  # behind the last key: nobody's
    rows[:n] = keys
    head = np.array([n, k, *own, rng.integers(1, 1 << 31), share, reset], np.uint32).tobytes()
    expected: dict[str, np.ndarray] = {"cycles": np.array([cycles], np.uint32), "output": keep.astype(np.uint8)}
    return Case(f"{k} of {n} keys", head + rows.tobytes(), expected, timed=share == 256)


def _topk_case(rng: np.random.Generator, lanes: int, size: int) -> Case:
    n, k = _count_and_k(rng, lanes, size)
    # any bits, or few different keys, or one: ties
    keys = rng.integers(0, int(rng.choice([1, 2, 40, 4096, 1 << 32])), n, dtype=np.uint32)
    seed, state = _seed(rng)
    keep = np.zeros(n, np.bool_)
    cycles, *_ = select(keys, k, lanes, state, keep)
    return _engine_case(rng, lanes, keys, k, (seed, 0), 32, keep, cycles, cut=not seed)


def topk_histogram(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    def work() -> Iterator[tuple[Bench, list[Case]]]:
        machines = HISTOGRAM_MACHINES[3:4] if options.coverage else HISTOGRAM_MACHINES
        for lanes, size, bits, _ in machines:
            bench = Bench(
                "topk_histogram",
                "hwsim.spatten.bench:topk_main.cpp",
                {"LANES": lanes, "WIDTH": bits, "SIZE": size},
                {"HAS_CLOCK": 1, "LANES": lanes, "WIDTH": bits, "GIVE(t,a,b)": "t.s_cmd_bin=a,t.s_cmd_missing=b"},
            )
            yield bench, [_topk_histogram_case(rng, lanes, size, bits) for _ in range(-(-cases // len(machines)))]

    return check_all("topk_histogram", work(), options)


def _probabilities(rng: np.random.Generator, n: int, bits: int) -> np.ndarray:
    """uint32[n] below 2^bits: any bits, few different ones, or one, of one upper half, or what a softmax gives."""
    kind, top = int(rng.integers(0, 6)), 1 << bits
    if kind == 0:
        return rng.integers(0, top, n, dtype=np.uint32)
    if kind == 1:
        return np.full(n, rng.integers(0, top), np.uint32)
    if kind == 2:
        return rng.integers(0, top, 3, dtype=np.uint32)[rng.integers(0, 3, n)]
    low = (bits + 1) // 2
    if kind == 3:
        first = int(rng.integers(0, top >> low)) << low
        return rng.integers(first, first + (1 << low), n, dtype=np.uint32)
    e = np.exp(rng.standard_normal(n) * rng.choice([0.1, 1, 3]))
    return np.asarray(np.rint(e / max(e.sum(), 1e-9) * (top - 1)), np.uint32)


def _topk_histogram_case(rng: np.random.Generator, lanes: int, size: int, bits: int) -> Case:
    n, k = _count_and_k(rng, lanes, size)
    keys, keep = _probabilities(rng, n, bits), np.zeros(n, np.bool_)
    cycles, *_ = histogram_select(keys, k, lanes, bits, keep)
    return _engine_case(rng, lanes, keys, k, histogram_bin(keys, k, bits), bits, keep, cycles)


def prob_histogram(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    def work() -> Iterator[tuple[Bench, list[Case]]]:
        machines = HISTOGRAM_MACHINES[3:4] if options.coverage else HISTOGRAM_MACHINES
        for _, size, bits, lanes in machines:
            sizes = {"LANES": lanes, "PROB_BITS": bits, "SLOT_WIDTH": _SLOT_WIDTH}
            widths = {"COUNT_WIDTH": size.bit_length()}
            bench = Bench("prob_histogram", "hwsim.spatten.bench:prob_histogram_main.cpp", sizes | {"SIZE": size},
                          sizes | widths | {"HAS_CLOCK": 1})  # fmt: skip
            yield bench, [_prob_histogram_case(rng, lanes, size, bits) for _ in range(-(-cases // len(machines)))]

    return check_all("prob_histogram", work(), options)


def _prob_histogram_case(rng: np.random.Generator, lanes: int, size: int, bits: int) -> Case:
    """Queries, some back to back, some with empty cycles between them or between their rows."""
    queries = int(rng.integers(1, 12))
    longest = int(rng.choice([1, lanes, 4 * lanes, size]))
    pauses = [(0, 0), (0, 3), (3, 0), (2, 9)][int(rng.integers(0, 4))]  # most empty cycles before a row; before a query
    words: list[np.ndarray] = []
    output, when, cycle = np.empty((queries, 3), np.uint32), np.empty((queries, 3), np.uint32), -1
    for query in range(queries):
        n = int(rng.integers(1, min(longest, size) + 1))
        k = int(rng.integers(0, n + 1)) if rng.random() < 0.8 else int(rng.choice(_beyond(rng, n, size)))
        slot = int(rng.integers(0, 1 << _SLOT_WIDTH))
        rows = -(-n // lanes)
        keys = np.zeros(rows * lanes, np.uint32)  # absent ones are 0
        keys[:n] = _probabilities(rng, n, bits)
        gaps = rng.integers(0, pauses[0] + 1, rows).astype(np.uint32)
        gaps[0] += rng.integers(0, pauses[1] + 1)
        cycle += int(gaps.sum()) + rows
        output[query], when[query] = [slot, *histogram_bin(keys[:n], k, bits)], cycle + stream_cycles(bits)
        words += [np.array([n, k, slot], np.uint32), np.column_stack([gaps, keys.reshape(rows, lanes)]).ravel()]
    reset = int(rng.integers(1, 40)) if rng.random() < 0.3 else 0
    head = np.array([queries, rng.integers(1, 1 << 31), reset], np.uint32)
    stdin = b"".join(w.astype(np.uint32).tobytes() for w in [head, *words])
    return Case(f"{queries} queries", stdin, {"output": output, "when": when})


def value_select(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    def work() -> Iterator[tuple[Bench, list[Case]]]:
        machines = SELECT_MACHINES[3:4] if options.coverage else SELECT_MACHINES
        for machine in machines:
            engine, comparators, size, tokens, bits = machine
            sizes = {"PROB_BITS": bits, "SIZE": size, "LIST": tokens, "TOKEN_WIDTH": _TOKEN_WIDTH,
                     "SLOT_WIDTH": _SLOT_WIDTH}  # fmt: skip
            widths = {"COUNT_WIDTH": size.bit_length(), "LIST_WIDTH": (2 * size // tokens).bit_length() - 1}
            give = "t.s_bin=a,t.s_missing=b" if engine else "t.s_seed=a"
            bench = Bench("value_select", "hwsim.spatten.bench:value_select_main.cpp",
                          sizes | {"COMPARATORS": comparators, "ENGINE": engine},
                          sizes | widths | {"HAS_CLOCK": 1, "GIVE(t,a,b)": give})  # fmt: skip
            yield bench, [_value_select_case(rng, machine) for _ in range(-(-cases // len(machines)))]

    return check_all("value_select", work(), options)


def _value_select_case(rng: np.random.Generator, machine: tuple[int, int, int, int, int]) -> Case:
    engine, comparators, size, row, bits = machine
    n, k = _count_and_k(rng, comparators, size)
    keys, keep = _probabilities(rng, n, bits), np.zeros(n, np.bool_)
    cut = False
    if engine:
        cycles, *_ = histogram_select(keys, k, comparators, bits, keep)
        own = histogram_bin(keys, k, bits)
    else:
        seed, state = _seed(rng)
        own, cut = (seed, 0), not seed
        cycles, *_ = select(keys, k, comparators, state, keep)
    rows = -(-n // row)
    room = rows * row
    prob, tokens = (rng.integers(0, 1 << b, room, dtype=np.uint32) for b in (bits, _TOKEN_WIDTH))
    prob[:n] = keys
    output, care = np.full((3, room), 2, np.uint32), np.zeros((3, room), np.bool_)
    if k == 0 or k >= n:  # nothing is written
        cycles = 1
        output[1:], care[:] = 0xFFFFFFFF, True
    else:
        kept = np.flatnonzero(keep)
        output[0, :n], output[1, :k], output[2, :k] = keep, tokens[kept], prob[kept]
        care[0, :n], care[1:, :k] = True, True
    reset = int(rng.integers(1, 60)) if cut or rng.random() < 0.2 else 0
    head = np.array([rng.integers(0, 1 << _SLOT_WIDTH), n, k, rng.integers(0, 2 * size // row), *own,
                     rng.integers(1, 1 << 31), reset], np.uint32)  # fmt: skip
    expected = {"cycles": np.array([cycles], np.uint32), "output": output}
    stdin = head.tobytes() + prob.tobytes() + tokens.tobytes()
    return Case(f"{k} of {n} values", stdin, expected, care=care)


def importance_topk(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """Cascade pruning: what is kept of a list lies where it was asked for, nothing else has changed."""

    def work() -> Iterator[tuple[Bench, list[Case]]]:
        machines = IMPORTANCE_MACHINES[1:2] if options.coverage else IMPORTANCE_MACHINES
        for comparators, size, row in machines:
            width = (2 * size // row).bit_length()  # both halves of the lists, and heads behind them
            sizes = {"LIST": row, "NAME_WIDTH": _TOKEN_WIDTH, "ROW_WIDTH": width}
            bench = Bench("importance_topk", "hwsim.spatten.bench:importance_main.cpp",
                          sizes | {"COMPARATORS": comparators, "SIZE": size},
                          sizes | {"HAS_CLOCK": 1, "COUNT_WIDTH": size.bit_length(), "ROWS": 1 << width})  # fmt: skip
            yield bench, [_importance_case(rng, comparators, size, row) for _ in range(-(-cases // len(machines)))]

    return check_all("importance_topk", work(), options)


def _importance_case(rng: np.random.Generator, comparators: int, size: int, row: int) -> Case:
    n, k = _count_and_k(rng, comparators, size)
    rows = 1 << (2 * size // row).bit_length()
    needed = -(-max(n, 1) // row)
    source = int(rng.integers(0, rows - needed + 1))
    names = rng.integers(0, 1 << _TOKEN_WIDTH, (rows, row), dtype=np.uint32)
    # as tokens add up integers, and saturate; as heads' binary32 numbers are ordered; ties
    kind = int(rng.integers(0, 4))
    if kind == 0:
        scores = np.minimum(rng.integers(0, 1 << 33, (rows, row)), SATURATED).astype(np.uint32)
    elif kind == 1:
        scores = ordered_key(rng.exponential(size=(rows, row)).astype(np.float32))
    else:
        scores = rng.integers(0, int(rng.choice([1, 3, 4096])), (rows, row), dtype=np.uint32)
    far = [at for at in range(rows - needed + 1) if at + needed <= source or at >= source + needed]
    target = source if not far or rng.random() < 0.3 else int(rng.choice(far))
    keep, (seed, state) = np.zeros(n, np.bool_), _seed(rng)
    first, last = source * row, target * row
    cycles, *_ = select(scores.ravel()[first : first + n].copy(), k, comparators, state, keep)
    kept = first + np.flatnonzero(keep)
    output, care = np.array([names.ravel(), scores.ravel()]), np.ones((2, rows * row), np.bool_)
    output[:, last : last + len(kept)] = output[:, kept]
    care[:, last + len(kept) : last + -(-len(kept) // comparators) * comparators] = False
    (share,) = _shares(rng, 1)
    reset = int(rng.integers(1, 60)) if not seed or rng.random() < 0.15 else 0
    head = np.array([source, target, n, k, seed, rng.integers(1, 1 << 31), share, reset], np.uint32)
    expected = {"cycles": np.array([cycles], np.uint32), "output": output}
    stdin = head.tobytes() + names.tobytes() + scores.tobytes()
    return Case(f"{k} of {n} entries", stdin, expected, timed=share == 256, care=care)
