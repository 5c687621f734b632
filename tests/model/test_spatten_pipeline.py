# SPDX-License-Identifier: Apache-2.0
"""SpAtten's pipeline: every cycle of a twin that lives through each one; bounds; what more of a resource does."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

from hwsim.memory.config import DramConfig
from hwsim.memory.controller import COMMANDS, counts
from hwsim.spatten.config import SpattenConfig
from hwsim.spatten.timing.fetch import STALLS
from hwsim.spatten.timing.lower import Builder, Group, Work
from hwsim.spatten.timing.pipeline import CAUSES, LOG, Segment
from hwsim.spatten.timing.scores import Head
from hwsim.spatten.timing.state import Pipeline
from tests.support.spatten_twin import Twin

USED = ("key rows", "value rows", "slots", "score rows")
COLUMNS = ("cycle", *CAUSES, *USED, *STALLS, *COMMANDS)
"""Of a snapshot."""


def random_machine(rng: np.random.Generator, ample: bool = False) -> SpattenConfig:
    """A machine of any width; buffers that are short, each in some of them; ``ample``: only the ring of LSBs is."""

    def pick(*values: int) -> int:
        return int(rng.choice(values))

    qk, pv, inputs, window = pick(32, 128, 512), pick(32, 256), pick(2, 8, 32), pick(1, 2, 4, 8)
    softmax, comparators = pick(1, 4, 8), pick(1, 4, 16)
    key_row, value_row = (max(16 * inputs, 2 * multipliers, 256) for multipliers in (qk, pv))
    list_row = max(inputs, comparators, softmax, pv // 32)
    lsb_rows, key_rows, slots, score_rows, heads = (
        pick(1, 1, 2, 32), pick(2, 4, 8, 192), pick(1, 2, 3, 5, 8), pick(1, 1, 2, 4, 100), pick(1, 2, 16)
    )  # fmt: skip
    if ample:
        lsb_rows, key_rows, slots, score_rows, heads = 1, 192, 8, 100, 16
    planes = bool(rng.random() < 0.5)
    return SpattenConfig(
        qk_multipliers=qk, pv_multipliers=pv, softmax_lanes=softmax, topk_parallel=comparators, crossbar_inputs=inputs,
        topk_engine="histogram" if rng.random() < 0.5 else "quick-select", value_topk_engines=pick(1, 2, 3),
        lsb_sram_bytes=lsb_rows * key_row, key_sram_bytes=max((key_rows + lsb_rows) * key_row, 1024),
        value_sram_bytes=max(pick(2, 4, 192) * value_row, 1024), queries_in_flight=slots,
        score_tokens=max(score_rows * list_row, 8), heads_in_flight=heads,
        crossbar_window=window, lane_depth=window * pick(1, 2), answer_depth=max(window * pick(1, 2), 2),
        layout="planes" if planes else "heads", stagger_bytes=pick(0, 64, 4096) if planes else 0,
        dot_cycles=pick(1, 11), exponential_cycles=pick(1, 21), divide_cycles=pick(2, 29), output_cycles=pick(1, 3),
        memory=DramConfig(channels=pick(1, 2, 4, 16), queue=pick(4, 32), nREFI=pick(500, 3900)),
    )  # fmt: skip


def beside_another_clock(rng: np.random.Generator, config: SpattenConfig) -> SpattenConfig:
    """The same machine with a memory of any standard and a clock of its own."""
    standard = str(rng.choice(["HBM2", "HBM3", "LPDDR5-6400", "DDR4-2400", "DDR5-4800"]))
    memory = DramConfig(standard=standard, channels=config.memory.channels, queue=config.memory.queue)
    frequency = int(rng.choice([200_000_000, 999_000_000, 1_000_000_000, 1_600_000_000, 3_000_000_000]))
    wider = memory.transaction_bytes // config.memory.transaction_bytes  # as the SRAMs' rows are
    srams = {n: wider * getattr(config, n) for n in ("key_sram_bytes", "lsb_sram_bytes", "value_sram_bytes")}
    return config.changed(frequency_hz=frequency, memory=memory.model_dump(exclude_defaults=True), **srams)


def random_segment(rng: np.random.Generator, config: SpattenConfig, sharing: int = 1) -> Segment:
    """Heads of every kind: one query or several, pruned, in two planes, too large for an SRAM, with candidates; up to
    ``sharing`` query heads on the keys of each."""
    builder = Builder(config)
    longest = rng.choice([8, 24, 90])
    planes, failing = (1, 0.9) if rng.random() < 0.4 else (0.5, 0.3)
    for head in range(int(rng.integers(1, 9))):
        dimension = int(rng.choice([32, 64, 128]))
        length = int(rng.integers(1, longest))
        n = int(rng.integers(1, length + 1))
        count = int(rng.choice([1, 1, 2, 5]))
        heads = int(rng.integers(2, sharing + 1)) if sharing > 1 else 1
        members = tuple(Head(0, 0, i, length, n, count, dimension) for i in range(heads)) if heads > 1 else ()
        count *= heads
        tokens = np.sort(rng.choice(length, n, replace=False))
        progressive = bool(rng.random() < planes)
        again = (rng.random(count) < failing) & progressive
        size = dimension * int(rng.choice([4, 6, 8, 12])) // 8
        group = Group(Head(0, int(rng.integers(0, 3)), head, length, n, count, dimension), n, size, size,
                      dimension // 2 if progressive else 0, size, progressive, 0.1, again, members)  # fmt: skip
        seen = rng.integers(1, n + 1, count)
        dots = np.array([rng.integers(1, s + 1) for s in seen])
        keep = np.zeros((count, n), np.bool_)
        kept = np.array([rng.integers(0, s + 1) for s in seen])
        for i in range(count):
            keep[i, np.sort(rng.choice(int(seen[i]), int(kept[i]), replace=False))] = True
        candidates = rng.integers(1, 40, count) if rng.random() < 0.3 else np.zeros(count, np.int64)
        work = Work(seen, dots, dots, kept, rng.integers(1, 60, count), candidates, again, keep,
                    all_values=bool(rng.random() < 0.3))  # fmt: skip
        builder.add(group, tokens, work)
    return builder.segment()[0]


SEEDS = 96
RARE = (
    "no room for scores", "no room for LSBs", "a slot given back late", "a younger request", "a younger beat",
    "no room for a beat", "older values first",
)  # fmt: skip
"""What has to happen somewhere in the random cases, else they would not show it."""


@cache
def compared(seed: int, sharing: int = 1, clocks: bool = False) -> Counter[str]:
    """A random machine beside its twin, of which what happened is returned; ``clocks``: its memory has its own."""
    rng = np.random.default_rng(seed)
    config = random_machine(rng, ample=seed % 8 == 7)
    if clocks:
        config = beside_another_clock(rng, config)
    machine, twin = Pipeline(config), Twin(config)
    for _ in range(2):  # the second on a memory that has been used
        work = random_segment(rng, config, sharing)
        marks = np.sort(rng.integers(0, len(work.queries) + 1, 3))
        marks[-1] = len(work.queries)
        before = machine.causes.copy()
        same = Segment(*map(np.copy, work))
        log = machine.run(work, marks=marks)  # which counts in its tables
        expected, worked, passed = twin.run(same, tuple(marks.tolist()))
        for i, name in enumerate(LOG):
            assert log[:, i].tolist() == expected[:, i].tolist(), name
        assert machine.now == twin.now
        spent = machine.causes - before
        assert spent[CAUSES.index("qk")] == worked
        assert machine.causes.sum() == machine.now
        assert machine.used.tolist() == twin.used
        assert machine.stalls.tolist() == list(twin.stalls.values())
        for row, there in zip(machine.snapshots.tolist(), passed, strict=True):
            counted = dict(zip(COLUMNS, row, strict=True))
            assert row[0] == there.cycle == sum(row[1 : 1 + len(CAUSES)])
            assert [counted[name] for name in USED] == there.used
            assert [counted[name] for name in STALLS] == there.stalls
            assert (counted["RD"], counted["ACT"]) == (there.reads, there.activations)
    machine.rest(1)  # what the memory did alone since
    twin.rest(1)
    assert counts(machine.mem) == counts(twin.mem)
    return twin.met


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_cycle_of_the_twin(seed: int) -> None:
    compared(seed)


@pytest.mark.parametrize("seed", range(24))
def test_every_cycle_of_the_twin_where_query_heads_share_keys(seed: int) -> None:
    compared(seed, sharing=4)


@pytest.mark.parametrize("seed", range(32))
def test_every_cycle_of_the_twin_with_two_clocks(seed: int) -> None:
    compared(seed, clocks=True)


def test_the_random_cases_meet_what_is_rare() -> None:
    cases = Counter(name for seed in range(SEEDS) for name in +compared(seed))
    assert {name for name in RARE if cases[name] >= 5} == set(RARE), cases
