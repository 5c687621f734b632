# SPDX-License-Identifier: Apache-2.0
"""SpAtten's designs: what each has by default, what one gains on the other, and that no technique makes ours slower."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from dataflow.attention.pruning import AttentionPruning, Quantization, RatioSchedule
from dataflow.attention.workload import MODELS, PUBLISHED, Transformer, Workload, make_workload, read_workload
from hwsim.memory.config import DramConfig
from hwsim.spatten.config import DESIGNS, SpattenConfig
from hwsim.spatten.result import SpattenResult
from hwsim.spatten.run import SpattenRun

NOISE = 1.01
"""A run of a few thousand cycles with all techniques left off differs from the dense one by the widths of its vectors,
which meet other channels of the memory: 0.8% at most in 300 random workloads."""


def simulated(workload: Workload, style: str = "SpAtten", **machine: object) -> SpattenResult:
    run = SpattenRun(machine=SpattenConfig.model_validate(machine), style=style)
    return run.run(run.opened(workload))


def test_a_design_gives_what_is_not_said() -> None:
    assert SpattenConfig() == SpattenConfig(design="paper")
    mine = SpattenConfig(design="streaming", topk_parallel=8)
    assert (mine.topk_parallel, mine.crossbar_window) == (8, DESIGNS["streaming"]["crossbar_window"])
    # a memory that is given in part is the design's in all else; a whole object is taken as it is
    part = SpattenConfig.model_validate({"design": "streaming", "memory": {"queue": 16}}).memory
    assert (part.queue, part.turning_banks) == (16, DESIGNS["streaming"]["memory"]["turning_banks"])
    assert SpattenConfig(design="streaming", memory=DramConfig(queue=16)).memory.turning_banks == 32
    for name in DESIGNS:
        config = SpattenConfig(design=name)
        assert SpattenConfig.model_validate(config.model_dump()) == config
        short = config.model_dump(exclude_defaults=True)
        assert short == ({} if name == "paper" else {"design": name})
        assert SpattenConfig.model_validate(short) == config
    changed = SpattenConfig.model_validate({"design": "streaming", "memory": {"queue": 32, "channels": 8}})
    short = changed.model_dump(exclude_defaults=True)
    assert short == {"design": "streaming", "memory": {"queue": 32, "channels": 8}}
    assert SpattenConfig.model_validate(short) == changed
    with pytest.raises(ValidationError, match="did you mean streaming"):
        SpattenConfig(design="streeming")


def random_workload(rng: np.random.Generator) -> Workload:
    generated = int(rng.integers(1, 4)) if rng.random() < 0.6 else 0
    length = int(rng.integers(8, 1000)) if generated else int(rng.integers(4, 130))
    model = Transformer(
        int(rng.integers(1, 7)), int(rng.integers(1, 13)), int(rng.choice([32, 64, 128])), length, generated
    )
    quantization = Quantization(
        msb=int(rng.choice([4, 6, 8])), lsb=int(rng.choice([0, 4])), threshold=float(rng.choice([0.05, 0.1, 1.0]))
    )
    pruning = AttentionPruning(
        tokens=RatioSchedule(average=float(rng.choice([0, 0.02, 0.1, 0.3]))),
        heads=RatioSchedule(average=float(rng.choice([0, 0.05, 0.2]))),
        values=float(rng.choice([0, 0.1, 0.5, 0.8])),
        quantization=quantization if rng.random() < 0.7 else None,
    )
    return make_workload("random", model, pruning, refetched=float(rng.choice([0, 0.06, 0.3])))


@pytest.mark.parametrize("seed", range(24))
def test_no_technique_makes_ours_slower_than_dense(seed: int) -> None:
    workload = random_workload(np.random.default_rng(1000 + seed))
    pruned, dense = (simulated(workload, style, design="streaming") for style in ("SpAtten", "dense"))
    assert pruned.cycles <= NOISE * dense.cycles
    assert pruned.dram_bytes <= dense.dram_bytes


def test_without_the_rule_techniques_do_cost_time() -> None:
    """What the rule is for: a top-k of values that queries share, and a second pass where Q x K limits."""
    model = Transformer(2, 4, 64, 64, 0)
    shared = make_workload("shared", model, AttentionPruning(values=0.5))
    whole = simulated(shared, design="streaming")
    assert whole.total("values_unpruned_heads") == whole.total("heads") == 8
    slow = simulated(shared, design="streaming", leave_off=False, topk_engine="quick-select", topk_parallel=2)
    assert slow.total("values_unpruned_heads") == 0
    assert slow.cycles > 1.2 * whole.cycles
    twice = make_workload("twice", model, AttentionPruning(quantization=Quantization(msb=8, lsb=4, threshold=1.0)),
                          refetched=1.0)  # fmt: skip
    once = simulated(twice, design="streaming")
    assert (once.total("one_plane_heads"), once.total("lsb_recomputations")) == (8, 0)
    both = simulated(twice, design="streaming", leave_off=False)
    assert both.total("lsb_recomputations") == both.total("queries")
    assert both.cycles > 1.5 * once.cycles


def test_ours_takes_less_than_the_papers_on_the_same_work() -> None:
    """Two tokens of the authors' file: an unpruned one and a pruned one."""
    whole = read_workload(PUBLISHED["gpt2-small-wikitext2"])
    workload = Workload("two tokens", whole.rows[whole.rows["iteration_id"] < 2])
    paper, ours = (simulated(workload, design=name) for name in ("paper", "streaming"))
    for column in ("qk_macs", "pv_macs", "lsb_recomputations", "queries"):
        assert paper.total(column) == ours.total(column)
    assert ours.total("values_unpruned_heads") == ours.total("one_plane_heads") == 0
    assert ours.cycles < 0.75 * paper.cycles
    bert = make_workload("bert", MODELS["bert-base"], AttentionPruning())
    paper, ours = (simulated(bert, design=name) for name in ("paper", "streaming"))
    assert ours.cycles < 1.01 * paper.cycles
