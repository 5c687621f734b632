# SPDX-License-Identifier: Apache-2.0
"""Synthesis: every module of the RTL, no latch; counts that can be known beforehand; results kept by content."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_cli import check_refused
from test_cli import run as hwsim

from dataflow.errors import InputError
from hwsim.sat.config import SatConfig
from hwsim.synth import fpga
from hwsim.synth.fpga import DEVICE_RESOURCES, RESOURCES, Synthesis, parameters_of, plain, synthesize
from hwsim.verify.verilator import RTL

pytest.importorskip("pyosys", reason="pyosys is not installed: pip install 'hwsim[synth]'")


def machine(rows: int, cols: int) -> dict[str, int]:
    return SatConfig(rows=rows, cols=cols, group_max=4, weight_registers=2).verilog_parameters()


@pytest.fixture(scope="module")
def arrays() -> list[Synthesis]:
    return [synthesize("stce", machine(*size)) for size in ((1, 1), (2, 3))]


def test_an_array_has_a_multiplier_a_pe(arrays: list[Synthesis]) -> None:
    for found, pes in zip(arrays, (1, 6), strict=True):
        names = {row["module"]: row for row in found.by_name()}
        assert found.latches == 0
        assert found.resources["DSP"] == pes
        for name in ("uspe", "fp16_mul", "fp32_add"):
            assert names[name]["instances"] == pes
        assert found.resources["BRAM36"] == found.resources["URAM"] == 0


def test_modules_add_up_to_the_whole(arrays: list[Synthesis]) -> None:
    for found in arrays:
        rows = found.rows()
        assert plain(rows[0].module) == "stce"
        for resource in RESOURCES:
            assert rows[0].whole[resource] == sum(r.instances * r.own[resource] for r in rows)
            assert found.resources[resource] == sum(row[resource] for row in found.by_name())


def test_a_pe_is_the_same_in_any_array(arrays: list[Synthesis]) -> None:
    pes = [next(r for r in found.rows() if plain(r.module) == "uspe").whole for found in arrays]
    assert pes[0] == pes[1]


def test_memories_become_block_ram() -> None:
    found = synthesize("ram_columns", {"ADDRESS_WIDTH": 10})
    assert found.latches == 0
    assert found.resources["BRAM36"] > 0


def test_kept_by_content(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rtl = tmp_path / "rtl"
    shutil.copytree(RTL, rtl)
    calls = []
    real = fpga.run
    monkeypatch.setattr(fpga, "run", lambda commands: calls.append(commands) or real(commands))
    first = synthesize("delay", {"WIDTH": 3}, rtl)
    assert synthesize("delay", {"WIDTH": 3}, rtl) == first
    assert len(calls) == 1
    assert synthesize("delay", {"WIDTH": 4}, rtl) != first
    path = rtl / "common" / "delay.v"
    path.write_text(path.read_text() + "\n// changed\n")
    assert synthesize("delay", {"WIDTH": 3}, rtl) == first
    assert len(calls) == 3
    path.write_text(path.read_text().replace("endmodule", ""))
    with pytest.raises(InputError, match="yosys: .*ERROR"):
        synthesize("delay", {"WIDTH": 3}, rtl)


def test_unknown_primitive_is_an_error() -> None:
    with pytest.raises(InputError, match="primitive NEW: is not in the table"):
        Synthesis("t", {}, "", {"t": {"NEW": 1}}).rows()


def test_parameters_are_the_modules_own() -> None:
    assert set(parameters_of("sore", SatConfig().verilog_parameters())) == {"GROUP_MAX"}
    with pytest.raises(InputError, match="no file nope.v"):
        parameters_of("nope", {})


def test_command(tmp_path: Path, monkeypatch, capsys) -> None:
    words = ["synth", "sat", "--top", "fp16_mul", "--out", tmp_path / "o"]
    assert hwsim(monkeypatch, *words) == 0
    assert "fp16_mul" in capsys.readouterr().out
    assert (tmp_path / "o" / "modules.csv").exists()
    assert hwsim(monkeypatch, *words, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["resources"]["DSP"] == 1
    assert shown["share"]["DSP"] == 1 / DEVICE_RESOURCES["DSP"]
    for line, reason in {
        "synth gpu": "sat",
        "synth sat --top nope": "no file nope.v",
        "synth sat --set machine.rows=0": "machine.rows",
    }.items():
        check_refused(line, reason, tmp_path, monkeypatch, capsys)
