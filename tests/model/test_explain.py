# SPDX-License-Identifier: Apache-2.0
"""``hwsim explain`` finds a bottleneck that was planted, its gains are simulations, and what it cannot say is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hwsim
from dataflow.errors import InputError
from hwsim.core.explain import differences, explain, explained_tables
from hwsim.core.machine import find, load
from tests.support.cli import run

NARROW = {"batch": 4, "pattern": "2:8"}
SHORT = {"length": 64}

PLANTED = [
    ("sat", "resnet9", NARROW, {"dram_channels": 1, "dram_efficiency": 0.05}, {"DRAM channels"}),
    ("sat", "resnet9", NARROW, {"rows": 4, "cols": 4, "dram_channels": 32}, {"array rows", "array columns"}),
    ("sat", "resnet9", NARROW, {"output_buffer_bytes": 1024}, {"output buffer"}),
    ("sat", "resnet9", NARROW, {"sore_lanes": 1, "dram_channels": 32}, {"SORE lanes"}),
    ("sat", "resnet9", NARROW, {"wuve_lanes": 1, "dram_channels": 32}, {"WUVE lanes"}),
    ("tensor24", "resnet9", {"batch": 64}, {"dram_bytes_per_s": 1e10}, {"DRAM bandwidth"}),
    ("tensor24", "resnet9", {"batch": 64}, {"macs_per_cycle": 16, "tensor_cores": 1},
     {"tensor cores of each", "multiprocessors"}),
    ("tensor24", "resnet9", {"batch": 64}, {"l2_bytes_per_cycle": 64, "dram_bytes_per_s": 1e14}, {"L2 bandwidth"}),
    ("spatten", "gpt2-small", {"length": 128}, {"memory": {"channels": 1}}, {"memory channels"}),
    ("spatten", "bert-base", SHORT, {"qk_multipliers": 32, "pv_multipliers": 4096},
     {"multipliers of Q x K", "multipliers of both"}),
    ("spatten", "bert-base", SHORT, {"softmax_lanes": 1}, {"softmax lanes"}),
    ("spatten", "gpt2-small", {"length": 128}, {"topk_parallel": 1}, {"top-k engines of values"}),
]  # fmt: skip
"""Machine, workload, settings, a machine that lacks one thing, and the resources that may come first."""


@pytest.mark.parametrize(("name", "workload", "settings", "machine", "lacking"), PLANTED)
def test_a_planted_bottleneck_comes_first(
    name: str, workload: str, settings: dict[str, Any], machine: dict[str, Any], lacking: set[str]
) -> None:
    result = hwsim.simulate(hwsim.machine(name, **machine), workload, **settings)
    found = explain(result)
    first = found.trials[0]
    assert first.resource in lacking
    assert first.speedup > 1.3
    assert f"The largest gain: {first.resource}" in " ".join(found.conclusion())


@pytest.mark.parametrize(("name", "pattern"), [("tensor24", "2:4"), ("sat", "2:8"), ("sat", "dense"), ("sat", None)])
def test_a_phase_with_the_pattern_of_training_is_run_again_as_it_was(name: str, pattern: str | None) -> None:
    """A pattern that is the default of a training step is none of an inference phase."""
    kind = find(name)
    run = kind.settings(
        {"network": "llama-3.2-1b", "phase": "decode", "context": 64, **({"pattern": pattern} if pattern else {})}
    )
    result = kind.run(run)
    assert result.run_settings is not None
    assert kind.settings(result.run_settings) == run
    assert kind.simulate(kind.settings(result.run_settings)).cycles == result.cycles


@pytest.mark.parametrize("name", ["sat", "tensor24", "spatten"])
def test_gains_are_simulations(name: str) -> None:
    """Each trial equals a run whose configuration was written by hand; time by cause sums to the difference."""
    workload, settings = ("bert-base", SHORT) if name == "spatten" else ("resnet9", {"batch": 2, "pattern": "2:4"})
    result = hwsim.simulate(hwsim.machine(name), workload, **settings)
    found = explain(result, factor=4)
    assert {t.resource for t in found.trials} == set(find(name).resources)
    for trial in found.trials:
        if trial.result is None:
            assert trial.why_not
            continue
        changes: dict[str, Any] = {}
        for path, (before, after) in trial.changes.items():
            assert after == 4 * before
            *parts, last = path.split(".")
            place = changes
            for part in parts:
                place = place.setdefault(part, {})
            place[last] = after
        by_hand = hwsim.simulate(hwsim.machine(name, **changes), workload, **settings)
        assert trial.result.cycles == by_hand.cycles, trial.resource
        assert trial.speedup == pytest.approx(result.seconds / by_hand.seconds)
        if by_hand.frequency_hz == result.frequency_hz:
            assert sum(trial.causes.values()) == by_hand.cycles - result.cycles
    gains = [t.speedup for t in found.trials if t.result is not None]
    assert gains == sorted(gains, reverse=True)
    assert sum(r["cycles"] for r in explained_tables(found)["causes"] if r["run"] == "as it is") == result.cycles


def test_a_stored_run_is_explained_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    small = ["sat", "resnet9", "--batch", "2", "--nm", "2:4", "--set"]
    for rows in ("2", "8"):
        assert run(monkeypatch, *small, f"machine.rows={rows}", "--out", tmp_path / rows) == 0
    capsys.readouterr()
    assert run(monkeypatch, "explain", tmp_path / "2", "--out", tmp_path / "page") == 0
    out = capsys.readouterr().out
    assert "The largest gain: array rows (rows 2 → 4)" in out
    text = (tmp_path / "page" / "report.md").read_text(encoding="utf-8")
    assert "The largest gain: array rows" in text
    assert (tmp_path / "page" / "figures").is_dir()
    assert run(monkeypatch, "explain", tmp_path / "2", "--json", "--factor", "3") == 0
    data = json.loads(capsys.readouterr().out)
    (rows_,) = [r for r in data["resources"] if r["resource"] == "array rows"]
    assert rows_["change"] == "rows 2 → 6"
    assert "all of these" in [r["resource"] for r in data["resources"]]
    assert run(monkeypatch, "explain", tmp_path / "2", tmp_path / "8") == 0
    out = capsys.readouterr().out
    assert "machine.rows" in out
    assert "4x" in out
    assert differences(load(tmp_path / "2"), load(tmp_path / "8")) == {"machine.rows": (2, 8)}


def test_what_cannot_be_explained_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = hwsim.network("resnet9")
    given = hwsim.simulate(hwsim.machine("sat"), network, batch=2)
    with pytest.raises(InputError, match="does not hold the settings of its run"):
        explain(given)
    with pytest.raises(InputError, match="factor=1: must be 2 or more"):
        explain(given, factor=1)
    held = hwsim.simulate(hwsim.machine("tensor24"), "resnet9", batch=2)
    with pytest.raises(InputError, match="runs of two machines"):
        differences(given, held)
    held.save(tmp_path / "held")
    stored = load(tmp_path / "held")
    assert stored.run_settings == held.run_settings
    assert stored == held
    stored.steps[0]["cycles"] += 1  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="are stored, the same run takes"):
        explain(stored)
    assert run(monkeypatch, "explain", tmp_path / "none") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run(monkeypatch, "explain", tmp_path, tmp_path, tmp_path) == 2
    assert "one stored result or two" in capsys.readouterr().err


def test_a_machine_that_cannot_grow_says_why() -> None:
    found = explain(hwsim.simulate(hwsim.machine("spatten"), "bert-base", **SHORT))
    reasons = {t.resource: t.why_not for t in found.trials if t.result is None}
    assert "crossbar_inputs" in reasons["crossbar inputs"]


def test_a_card_does_not_grow_others_stand_in_its_place() -> None:
    settings = {"batch": 4, "pattern": "2:4"}
    result = hwsim.simulate(hwsim.machine("tensor24", gpu="a100-pcie"), "resnet9", **settings)
    found = explain(result)
    assert found.together is None
    changes = {t.changes["gpu"][1]: t for t in found.trials}
    assert set(changes) == {"h100-pcie", "b200", "rtx4090", "h200"}
    for name, trial in changes.items():
        by_hand = hwsim.simulate(hwsim.machine("tensor24", gpu=name), "resnet9", **settings)
        assert trial.speedup == pytest.approx(result.seconds / by_hand.seconds)
    text = " ".join(found.conclusion())
    assert "Nothing of this machine can grow" in text
    assert "times all of them" not in text


def test_resources_that_help_together_alone_are_found() -> None:
    """Multipliers and softmax lanes of the paper's design take as long: neither helps without the other."""
    found = explain(hwsim.simulate(hwsim.machine("spatten"), "bert-base", **SHORT))
    assert found.together is not None
    assert found.fewest is not None
    assert found.trials[0].speedup < 1.1 < found.together.speedup
    assert found.fewest.speedup >= 0.98 * found.together.speedup
    assert {"softmax lanes", "multipliers of Q x K"} <= set(found.fewest.why_not.split(", "))
    after = {field: value for field, (_, value) in found.fewest.changes.items()}
    by_hand = hwsim.simulate(hwsim.machine("spatten", **after), "bert-base", **SHORT)
    assert found.fewest.result is not None
    assert found.fewest.result.cycles == by_hand.cycles


def test_more_can_be_slower_and_is_said_to_be() -> None:
    """Sums of twice as many columns no longer fit their memory."""
    found = explain(hwsim.simulate(hwsim.machine("systolic"), "resnet9"))
    (columns,) = [t for t in found.trials if t.resource == "array columns"]
    assert columns.speedup < 0.9
    assert columns.causes[columns.moved] > 0
    assert "Slower with more: array columns" in " ".join(found.conclusion())


def test_a_machine_without_resources_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find("tensor24"), "resources", {})
    held = hwsim.simulate(hwsim.machine("tensor24"), "resnet9", batch=2)
    with pytest.raises(InputError, match="machine tensor24: names no resources"):
        explain(held)
