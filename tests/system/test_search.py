# SPDX-License-Identifier: Apache-2.0
"""Searches, what a table of results says, and the quality that stands beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dataflow.errors import InputError
from hwsim.sweeps import store
from hwsim.sweeps.analysis import groups, heat, pareto, select, sensitivity, sentences
from hwsim.sweeps.executors import processes, serial
from hwsim.sweeps.search import run_search
from hwsim.sweeps.space import Space
from hwsim.sweeps.spec import Spec
from hwsim.sweeps.store import Store
from hwsim.sweeps.sweep import run_sweep
from tests.support import tools
from tests.support.cli import run as hwsim
from tests.support.sweeps import space

SEARCH = {
    "axes": {
        "machine.rows": {"from": 1, "to": 16},
        "machine.cols": [2, 4, 8, 3],
        "pattern": ["dense", "2:4", "2:8", "1:64"],
        "machine.dram_efficiency": {"from": 0.05, "to": 0.9, "log": True},
    },
    "where": ["machine.rows != 7"],
    "objectives": ["min cycles", "min multipliers"],
}


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_search_is_the_same_on_every_executor_and_goes_on(sampler: str, network: str, tmp_path: Path) -> None:
    tools.package("optuna")
    settings = {"sampler": sampler, "trials": 60, "batch": 12}
    found = space(network, **SEARCH, search=settings)
    run_search(found, tmp_path / "serial", serial)
    want = (tmp_path / "serial" / "results.parquet").read_bytes()
    run_search(found, tmp_path / "processes", processes(2))
    assert (tmp_path / "processes" / "results.parquet").read_bytes() == want

    class Stop(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.ran > 25:
            raise Stop

    with pytest.raises(Stop):
        run_search(found, tmp_path / "broken", serial, tick=stop)
    kept = len(Store(tmp_path / "broken").finished())
    assert kept > 12
    again = run_search(found, tmp_path / "broken", serial)
    assert (tmp_path / "broken" / "results.parquet").read_bytes() == want
    rows = pq.read_table(tmp_path / "broken" / "results.parquet").to_pandas()
    assert again.ran == len(rows) - kept
    assert (rows["machine.rows"] != 7).all()
    assert len(set(rows["key"])) == len(rows)


def test_search_finds_the_front(network: str, tmp_path: Path) -> None:
    """Of 256 designs, with as many trials: the best, and nearly all of the front."""
    tools.package("optuna")
    axes = {"machine.rows": {"from": 1, "to": 16}, "machine.cols": {"from": 1, "to": 16}}
    grid = {n: r | {"step": 1} for n, r in axes.items()}
    objectives = ["min cycles", "min multipliers"]
    run_sweep(space(network, axes=grid, where=[], objectives=objectives), tmp_path / "all", serial)
    searched = space(network, axes=axes, where=[], objectives=objectives, search={"trials": 256, "batch": 32})
    run_search(searched, tmp_path / "some", serial)
    fronts = []
    for name in ("all", "some"):
        table = pq.read_table(tmp_path / name / "results.parquet").to_pandas().iloc[:-1]
        fronts.append({(r.cycles, r.multipliers) for r in table[pareto(table, objectives)].itertuples()})
        assert name == "all" or len(table) < 256
    assert len(fronts[0] & fronts[1]) >= 0.6 * len(fronts[0])


def test_pareto_is_its_definition() -> None:
    rng = np.random.default_rng(1)
    for size, columns in ((0, 2), (1, 1), (40, 2), (60, 3)):
        values = rng.integers(0, 8, (size, columns)).astype(float)
        values[rng.random(values.shape) < 0.03] = np.nan
        table = pd.DataFrame(values, columns=list("abc")[:columns])
        signs = [1, -1, 1][:columns]
        found = pareto(table, [f"{'min' if s > 0 else 'max'} {c}" for s, c in zip(signs, "abc", strict=False)])
        v = values * signs
        for i in range(size):
            others = [v[j] for j in range(size) if not np.isnan(v[j]).any()]
            better = any((o <= v[i]).all() and (o < v[i]).any() for o in others)
            assert found[i] == (not np.isnan(v[i]).any() and not better)


def test_sensitivity_and_heat() -> None:
    rows = [{"a": a, "b": b, "c": c, "y": 2.0**a * (3.0 if b == "x" else 1.0)}
            for a in range(4) for b in "xz" for c in (1, 2)]  # fmt: skip
    table = pd.DataFrame(rows)
    first, second, third = sensitivity(table, ["c", "b", "a"], "min y")
    assert [r["field"] for r in (first, second, third)] == ["a", "b", "c"]
    assert (first["low"], first["high"]) == pytest.approx((2**-1.5, 2**1.5))
    assert (first["low_at"], first["high_at"]) == ("0", "3")
    assert (second["low"], second["high"], second["high_at"]) == pytest.approx((3**-0.5, 3**0.5, "x"))
    found = heat(table, "a", "b", "max y")
    assert (found["x"], found["y"]) == (["0", "1", "2", "3"], ["x", "z"])
    assert found["cells"] == [[3, 6, 12, 24], [1, 2, 4, 8]]
    assert len(groups(pd.Series(np.arange(100.0))).cat.categories) == 8


def test_sentences_are_worked_out() -> None:
    table = pd.DataFrame({"a.b": [1, 2, 3], "y": [5.0, 4.0, 8.0]})
    texts = ["Least {{ least('y') :: .1f }} at {{ at('y', 'a.b') }}; {{ count('a.b > 1') }} above.",
             "{{ most('y') / least('y', 'a.b == 1') :: .2f }}x"]  # fmt: skip
    assert sentences(texts, table) == ["Least 4.0 at 2; 2 above.", "1.60x"]
    with pytest.raises(InputError, match="no point where"):
        sentences(["{{ least('y', 'a.b > 9') }}"], table)
    assert select(table, ["a.b > 1 and y < 5"])["a.b"].tolist() == [2]


def test_quality_stands_beside(network: str, tmp_path: Path, monkeypatch, capsys) -> None:
    from dataflow.training import REFERENCE_ACCURACY

    monkeypatch.chdir(tmp_path)
    axes = {"pattern": ["dense", "2:8", "4:8"], "method": ["bdwp", "srste"]}
    for name, quality in (("kept", {"stored": "char-lm"}), ("made", {"train": {"task": "digits-mlp", "steps": 4}})):
        spec = {"machine": "sat", "base": {"network": network}, "axes": axes, "quality": quality}
        (tmp_path / f"{name}.yaml").write_text(json.dumps(spec))
        assert hwsim(monkeypatch, "sweep", f"{name}.yaml", "--workers", 0, "--no-page") == 0
    capsys.readouterr()
    kept = pq.read_table("out/kept/results.parquet").to_pylist()
    source = pd.read_csv(REFERENCE_ACCURACY / "accuracy.csv")
    for row in kept:
        method = "dense" if row["pattern"] == "dense" else row["method"]
        match = source[(source.task == "char-lm") & (source.method == method) & (source.pattern == row["pattern"])]
        assert row["quality"] == (match["mean"].item() if len(match) else None)
    made = pq.read_table("out/made/results.parquet").to_pylist()
    runs = {p.parent.name for p in Path("out/made/training").glob("*/training.json")}
    assert len(runs) == 5  # dense once
    assert len({r["quality"] for r in made if r["pattern"] == "dense"}) == 1
    assert all(0 <= r["quality"] <= 1 for r in made)


def test_attention_pruning_has_a_quality(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    base = {"workload": "bert-base", "iteration_stride": 64, "pruning": {"values": 0.0}}
    axes = {"pruning.values": [0.0, 0.5, 0.97], "machine.topk_parallel": [16, 32]}
    spec = {"machine": "spatten", "base": base, "axes": axes, "quality": {"attention": {"steps": 3, "prompts": 2}}}
    Path("s.yaml").write_text(json.dumps(spec))
    assert hwsim(monkeypatch, "sweep", "s.yaml", "--workers", 0, "--no-page") == 0
    rows = pq.read_table("out/s/results.parquet").to_pylist()
    assert rows[0]["quality_over_dense"] == 0
    assert len({r["quality"] for r in rows[:6]}) == 3
    assert rows[4]["quality"] == rows[5]["quality"] != rows[0]["quality"]
    kept = sorted(Path("out/s/training/attention").glob("*.json"))
    assert hwsim(monkeypatch, "sweep", "s.yaml", "--workers", 0, "--no-page") == 0
    assert "0 run now" in capsys.readouterr().out
    assert sorted(Path("out/s/training/attention").glob("*.json")) == kept
    wrong = {"machine": "sat", "axes": {"batch": [1]}, "quality": {"attention": {}}}
    Path("w.yaml").write_text(json.dumps(wrong))
    assert hwsim(monkeypatch, "sweep", "w.yaml") == 2
    assert "prunes no attention" in capsys.readouterr().err


def test_the_readmes_example_is_a_sweep() -> None:
    from ruamel.yaml import YAML

    text = (Path(store.__file__).parent / "README.md").read_text(encoding="utf-8")
    example = YAML(typ="safe", pure=True).load(text.split("```yaml\n")[1].split("```")[0])
    assert len(list(Space(Spec.model_validate(example)).points())) == 3 * 4 * 3 + 1
