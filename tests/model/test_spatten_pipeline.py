# SPDX-License-Identifier: Apache-2.0
"""SpAtten's pipeline: every cycle of a twin that lives through each one; bounds; what more of a resource does."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.memory.config import DramConfig
from hwsim.memory.controller import counts
from hwsim.spatten.config import SpattenConfig
from hwsim.spatten.timing.lower import Builder, Group, Work
from hwsim.spatten.timing.pipeline import CAUSES, LOG, Segment
from hwsim.spatten.timing.scores import Head
from hwsim.spatten.timing.state import Pipeline
from tests.support.spatten_twin import Twin


def random_machine(rng: np.random.Generator) -> SpattenConfig:
    def pick(*values: int) -> int:
        return int(rng.choice(values))

    return SpattenConfig(
        qk_multipliers=pick(32, 128, 512), pv_multipliers=pick(32, 256), softmax_lanes=pick(1, 4, 8),
        value_topk_engines=pick(1, 2, 3), key_sram_bytes=pick(2048, 4096, 196_608), crossbar_inputs=pick(2, 8, 32),
        value_sram_bytes=pick(2048, 4096, 196_608), queries_in_flight=pick(1, 2, 3, 8), lane_depth=pick(1, 2, 4),
        heads_in_flight=pick(1, 2, 16),
        dot_cycles=pick(1, 11), exponential_cycles=pick(1, 21), divide_cycles=pick(2, 29), output_cycles=pick(1, 3),
        memory=DramConfig(channels=pick(1, 2, 4, 16), queue=pick(4, 32), nREFI=pick(500, 3900)),
    )  # fmt: skip


def random_segment(rng: np.random.Generator, config: SpattenConfig) -> Segment:
    """Heads of every kind: one query or several, pruned, in two planes, too large for an SRAM, with candidates."""
    builder = Builder(config)
    for head in range(int(rng.integers(1, 7))):
        dimension = int(rng.choice([32, 64, 128]))
        length = int(rng.integers(1, 90))
        n = int(rng.integers(1, length + 1))
        count = int(rng.choice([1, 1, 1, 2, 5]))
        tokens = np.sort(rng.choice(length, n, replace=False))
        progressive = bool(rng.random() < 0.5)
        again = (rng.random(count) < 0.4) & progressive
        size = dimension * int(rng.choice([4, 6, 8, 12])) // 8
        group = Group(Head(0, int(rng.integers(0, 3)), head, length, n, count, dimension), n, size, size,
                      dimension // 2 if progressive else 0, size, progressive, again)  # fmt: skip
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


@pytest.mark.parametrize("seed", range(60))
def test_every_cycle_of_the_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    config = random_machine(rng)
    machine, twin = Pipeline(config), Twin(config)
    for _ in range(2):  # the second on a memory that has been used
        work = random_segment(rng, config)
        before = machine.causes.copy()
        expected, worked = twin.run(work)
        log = machine.run(work)
        for i, name in enumerate(LOG):
            assert log[:, i].tolist() == expected[:, i].tolist(), name
        assert machine.now == twin.now
        spent = machine.causes - before
        assert spent[CAUSES.index("qk")] == worked
        assert machine.causes.sum() == machine.now
    machine.rest(0)  # what the memory did alone since
    assert counts(machine.mem) == counts(twin.mem)
