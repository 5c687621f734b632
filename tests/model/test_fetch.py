# SPDX-License-Identifier: Apache-2.0
"""The fetch unit: all that is asked for comes once, not sooner than the buses allow; its plan covers the vectors."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
import pytest
from pydantic import ValidationError

from dataflow.errors import InputError
from hwsim.memory.config import DramConfig
from hwsim.memory.mapping import place
from hwsim.spatten.config import SpattenConfig, eighth
from hwsim.spatten.timing.fetch import fetch, plan
from tests.support.spatten_twin import Job, Twin


def test_a_plan_covers_the_vectors_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        config = SpattenConfig()
        count, size = int(rng.integers(0, 60)), int(rng.integers(1, 200))
        tokens = np.sort(rng.choice(200, count, replace=False))
        base = int(rng.integers(0, 1 << 20))
        wanted: list[int] = []
        for token in tokens.tolist():
            start = base + token * size
            for number in range(start // 32, (start + size - 1) // 32 + 1):
                if not wanted or wanted[-1] != number:
                    wanted.append(number)
        found = plan(config, base, tokens, size)
        where = place(config.memory, np.array(wanted, np.int64) * 32)
        assert found.channel.tolist() == where.channel.tolist()
        assert found.bank.tolist() == where.bank.tolist()
        assert found.row.tolist() == where.row.tolist()


def naive_lanes(config: SpattenConfig, channel: np.ndarray) -> int:
    """The least any fetch can take: the busiest channel's buses, a lane's turns, the read latency."""
    memory = config.memory
    busiest = int(np.bincount(channel).max())
    bus = busiest * memory.nBL // memory.pseudo_channels
    return max(bus, -(-len(channel) // (config.crossbar_inputs // 2))) + memory.nRCDRD + memory.nCL


@pytest.mark.parametrize("machine", [SpattenConfig(), eighth(), SpattenConfig(crossbar_inputs=4, lane_depth=1)])
def test_all_arrives_and_not_too_soon(machine: SpattenConfig) -> None:
    rng = np.random.default_rng(1)
    for keys, size in ((1, 48), (40, 48), (921, 48), (1000, 96)):
        tokens = np.sort(rng.choice(1024, keys, replace=False))
        work = plan(machine, 1 << 20, tokens, size)
        found = fetch(machine, 1 << 20, tokens, size)
        count = len(work.channel)
        assert found.commands["RD"] == found.transactions == count
        assert found.cycles >= naive_lanes(machine, work.channel)
        assert found.cycles * machine.memory.peak_bytes_per_cycle >= count * 32
        assert fetch(machine, 1 << 20, tokens, size) == found  # nothing is left from before
    if machine.memory.channels == 16 and machine.crossbar_inputs == 32:
        assert found.cycles < 3 * count * 32 / machine.memory.peak_bytes_per_cycle


def test_every_cycle_of_the_twin() -> None:
    rng = np.random.default_rng(2)
    met: Counter[str] = Counter()
    for _ in range(40):
        window, deep = int(rng.choice([1, 2, 4, 8])), int(rng.choice([1, 2]))
        machine = SpattenConfig(
            crossbar_inputs=int(rng.choice([2, 8, 32])), crossbar_window=window, lane_depth=window * deep,
            answer_depth=max(window * deep, 2),
            memory=DramConfig(channels=int(rng.choice([2, 16])), queue=int(rng.choice([4, 32]))),
        )  # fmt: skip
        count, size = int(rng.integers(1, 150)), int(rng.integers(1, 130))
        tokens = np.sort(rng.choice(300, count, replace=False))
        work = plan(machine, 4096, tokens, size)
        found, twin = fetch(machine, 4096, tokens, size), Twin(machine)
        job = Job(0, 0, 0, 0, -1, deque(zip(*(part.tolist() for part in work), strict=True)), len(work.channel))
        twin.fetchers[0].take(job)
        while job.done is None:
            twin.cycle()
            twin.now += 1
        assert (found.cycles, found.stalls) == (job.done, twin.stalls)
        met += twin.met
    assert min(met["a younger request"], met["a younger beat"]) > 10


def test_windows_help_gathers() -> None:
    """Vectors of which a third is fetched, over all channels: a FIFO's oldest entry alone holds up those behind it."""
    tokens = np.flatnonzero(np.random.default_rng(3).random(2000) < 0.33)
    cycles = [
        fetch(SpattenConfig(crossbar_window=n, lane_depth=8, answer_depth=8), 0, tokens, 64).cycles
        for n in (1, 2, 4, 8)
    ]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > 1.2 * cycles[2]


def test_fewer_lanes_or_channels_take_longer() -> None:
    full, small = (fetch(m, 0, np.arange(1000), 64).cycles for m in (SpattenConfig(), eighth()))
    assert small > 5 * full
    narrow = SpattenConfig(crossbar_inputs=2)
    assert fetch(narrow, 0, np.arange(1000), 64).cycles >= 2000  # one transaction a cycle: the values have the other


def test_nothing_and_wrong_input() -> None:
    config = SpattenConfig()
    assert fetch(config, 0, np.zeros(0, np.int64), 64).cycles == 0
    for tokens in ([3, 3], [4, 2], [-1]):
        with pytest.raises(InputError, match="must ascend"):
            fetch(config, 0, np.array(tokens), 64)
    with pytest.raises(ValidationError, match="at most 1,000,000"):
        SpattenConfig(frequency_hz=500_000_003)
    for field in ("lane_depth", "answer_depth"):
        with pytest.raises(ValidationError, match=f"crossbar_window=4: more than {field}=2"):
            SpattenConfig(crossbar_window=4, **{field: 2})
    with pytest.raises(ValidationError, match="score_tokens=16: must be 32 or more, a row of the ring"):
        SpattenConfig(score_tokens=16)
    with pytest.raises(ValidationError, match="at most 32"):
        SpattenConfig(memory=DramConfig(channels=64))
