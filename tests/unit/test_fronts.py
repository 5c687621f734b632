# SPDX-License-Identifier: Apache-2.0
"""A front holds points of one workload; quality, where it is an objective, lets methods and patterns be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hwsim.sweeps.analysis import fronts, pareto, workload_fields

FIELDS = ["network", "pattern", "machine.rows"]
TABLE = pd.DataFrame({
    "network": ["a", "a", "a", "a", "b", "b"],
    "pattern": ["dense", "2:8", "dense", "2:8", "dense", "dense"],
    "machine.rows": [1, 1, 2, 2, 1, 2],
    "cycles": [80, 40, 60, 50, 900, 800],
    "quality": [0.9, 0.8, 0.9, 0.95, 0.9, 0.9],
})  # fmt: skip


def test_one_front_a_workload() -> None:
    assert workload_fields(TABLE, FIELDS, ["min cycles"]) == ["network", "pattern"]
    assert fronts(TABLE, ["min cycles"], FIELDS).tolist() == [False, True, True, False, False, True]
    assert pareto(TABLE, ["min cycles"]).tolist() == [False, True, False, False, False, False]


def test_quality_lets_patterns_be_compared() -> None:
    objectives = ["min cycles", "max quality"]
    assert workload_fields(TABLE, FIELDS, objectives) == ["network"]
    assert fronts(TABLE, objectives, FIELDS).tolist() == [False, True, False, True, False, True]


def test_one_workload_is_one_front() -> None:
    one = TABLE[TABLE["network"] == "b"]
    assert workload_fields(one, FIELDS, ["min cycles"]) == []
    assert fronts(one, ["min cycles"], FIELDS).tolist() == pareto(one, ["min cycles"]).tolist()
    assert fronts(TABLE[:0], ["min cycles"], FIELDS).tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_fronts_are_those_of_each_workload_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"network": rng.choice(["x", "y", "z"], 60), "machine.rows": rng.integers(1, 9, 60),
                          "cycles": rng.integers(1, 30, 60), "energy_j": rng.random(60)})  # fmt: skip
    objectives = ["min cycles", "min energy_j"]
    found = fronts(table, objectives, ["network", "machine.rows"])
    for name in "xyz":
        mine = (table["network"] == name).to_numpy()
        assert found[mine].tolist() == pareto(table[mine], objectives).tolist()
