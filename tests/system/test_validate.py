# SPDX-License-Identifier: Apache-2.0
"""``hwsim validate``: targets are met, misses stand first, an unknown part is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwsim.core.validation import VALIDATION, Check, Part
from hwsim.systolic import validation
from reports.validation_page import write_validation
from tests.support.cli import check_refused, run


def test_every_target_is_met_and_the_page_has_the_misses_first(tmp_path: Path, monkeypatch, capsys) -> None:
    parts = ["--part", "arrays", "--part", "networks", "--part", "sram"]
    assert run(monkeypatch, "validate", *parts, "--out", tmp_path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {r["part"] for r in found} == {"arrays", "networks", "sram"}
    assert all(r["met"] for r in found if r["met"] is not None)
    assert sum(r["met"] is not None for r in found) == 26
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert text.index("## Misses") < text.index("## Systolic arrays")
    assert "NVDLA, 32 multipliers" in text[: text.index("## Systolic arrays")]
    for name in ("ratios", "scatter"):
        assert f"(figures/{name}.svg)" in text
        assert (tmp_path / "figures" / f"{name}.svg").stat().st_size > 1000


def test_every_command_is_one_that_makes_the_figure() -> None:
    """A part's own command, the one that measured or counted, or one of the claims'."""
    elsewhere = {"make peers", "python -m hwsim.systolic.tables FOLDER"}
    for name in ("arrays", "array24", "attention", "dram", "networks", "speed", "sram"):
        for check in VALIDATION.get(name)().checks:
            assert check.command in elsewhere | {f"hwsim validate --part {name}"}, check.what
            assert check.source, check.what


def test_a_missed_target_is_a_miss_and_ratios_are_symmetric(tmp_path: Path) -> None:
    checks = (Check("near", 101, 100, "x", "s", "c", "", 0.02), Check("off", 90, 100, "x", "s", "c", "", 0.02),
              Check("half", 50, 100, "x", "s", "c"), Check("close", 105, 100, "x", "s", "c"))  # fmt: skip
    assert [c.met for c in checks] == [True, False, None, None]
    assert checks[2].miss == pytest.approx(Check("twice", 200, 100, "x", "s", "c").miss)
    write_validation({"p": Part("P", "text", checks)}, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    misses = text[: text.index("## P")]
    assert misses.index("half") < misses.index("off")
    assert "near" not in misses
    assert "close" not in misses


def test_speed_is_what_was_measured_and_misses_its_target_where_it_is_less(tmp_path: Path, monkeypatch) -> None:
    def row(tool: str, seconds: float, start: str = "in process") -> dict[str, object]:
        return {"tool": tool, "work": "cycles alone", "start": start, "seconds": 2 * seconds, "cpu_seconds": seconds,
                "cycles": 5}  # fmt: skip

    monkeypatch.setattr(validation, "PEERS", tmp_path / "peers.json")
    assert validation.speed().checks == ()
    for theirs, met in ((5.0, True), (0.4, False)):
        kept = {"date": "d", "machine": "m", "load_before_after": [1, 2], "left_out": {"zigzag": "no"},
                "rows": [row("hwsim", 4.1e-5), row("SCALE-Sim 3.0.0", theirs)]}  # fmt: skip
        (tmp_path / "peers.json").write_text(json.dumps(kept), encoding="utf-8")
        part = validation.speed()
        assert [c.met for c in part.checks] == [met]
        assert part.checks[0].ours == pytest.approx(theirs / 4.1e-5)  # as it was measured
        assert (part.checks[0].miss > 0) == (not met)
        assert [r["over"] for r in part.tables[0].rows] == [None, pytest.approx(theirs / 4.1e-5)]
        assert "Left out: zigzag, no." in part.text


def test_a_missing_speed_is_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(validation, "PEERS", tmp_path / "peers.json")
    kept = {"date": "d", "machine": "m", "load_before_after": [1, 2], "left_out": {}, "rows": []}
    (tmp_path / "peers.json").write_text(json.dumps(kept), encoding="utf-8")
    part = validation.speed()
    assert part.checks == ()
    assert "SCALE-Sim's cycles alone in process are missing" in part.text


def test_an_unknown_part_is_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    check_refused("validate --part drum --out o", "did you mean dram?", tmp_path, monkeypatch, capsys)
