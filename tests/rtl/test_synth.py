# SPDX-License-Identifier: Apache-2.0
"""Synthesis: every module of the RTL, no latch; counts that can be known beforehand; results kept by content."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dataflow.errors import InputError
from hwsim.rtl_tools.sources import RTL, sources
from hwsim.sat.config import SatConfig
from hwsim.sat.silicon import REFERENCE_ACTIVITY as SAT_ACTIVITY
from hwsim.silicon import asic, cells, fpga, netlist
from hwsim.silicon.activity import reference_activity
from hwsim.silicon.asic import GATES, Library, find_library
from hwsim.silicon.fpga import DEVICE_RESOURCES, FLOW, RESOURCES
from hwsim.silicon.netlist import Flow, Netlist, parameters_of, plain, synthesize
from hwsim.spatten.silicon import REFERENCE_ACTIVITY as SPATTEN_ACTIVITY
from tests.support import tools
from tests.support.cli import check_refused
from tests.support.cli import run as hwsim

tools.package("pyosys", "synth")

COUNT = Flow("count", ("proc", "opt", "memory_collect"))


def machine(rows: int, cols: int) -> dict[str, int]:
    return SatConfig(rows=rows, cols=cols, group_max=4, weight_registers=2).verilog_parameters()


@pytest.fixture(scope="module")
def arrays() -> list[Netlist]:
    return [synthesize("stce", machine(*size), FLOW) for size in ((1, 1), (2, 3))]


@pytest.mark.rtl
def test_an_array_has_a_multiplier_a_pe(arrays: list[Netlist]) -> None:
    for found, pes in zip(arrays, (1, 6), strict=True):
        names = {row["module"]: row for row in found.by_name(fpga.price)}
        resources = found.total(fpga.price)
        assert found.latches == 0
        assert resources["DSP"] == pes
        for name in ("uspe", "fp16_mul", "fp32_add"):
            assert names[name]["instances"] == pes
        assert resources["BRAM36"] == resources["URAM"] == 0


@pytest.mark.rtl
def test_modules_add_up_to_the_whole(arrays: list[Netlist]) -> None:
    for found in arrays:
        rows = found.rows(fpga.price)
        assert plain(rows[0].module) == "stce"
        for resource in RESOURCES:
            assert rows[0].whole[resource] == sum(r.instances * r.own[resource] for r in rows)
            assert found.total(fpga.price)[resource] == sum(row[resource] for row in found.by_name(fpga.price))


@pytest.mark.rtl
def test_a_pe_is_the_same_in_any_array(arrays: list[Netlist]) -> None:
    pes = [next(r for r in found.rows(fpga.price) if plain(r.module) == "uspe").whole for found in arrays]
    assert pes[0] == pes[1]


def test_a_delay_has_its_flip_flops() -> None:
    found = synthesize("delay", {"WIDTH": 5, "DEPTH": 4}, GATES)
    assert found.total(cells.price)["flipflops"] == 20
    assert found.total(cells.price)["area_um2"] >= 20 * cells.DFF.area_um2


@pytest.mark.rtl
def test_every_module_without_latches() -> None:
    """Both cores at the machines whose activity is kept; what is in neither, alone."""
    seen: set[str] = set()
    for path in (SAT_ACTIVITY, SPATTEN_ACTIVITY):
        record = reference_activity(path)
        found = synthesize(record.top, record.parameters, GATES)
        assert found.latches == 0
        seen |= {plain(name) for name in found.modules}
    for path in sources(RTL):
        if path.suffix == ".v" and path.stem not in seen:
            assert synthesize(path.stem, {}, COUNT).latches == 0
            seen.add(path.stem)
    assert seen >= {p.stem for p in RTL.rglob("*.v")}


def test_a_latch_is_seen(tmp_path: Path) -> None:
    (tmp_path / "bad.v").write_text(
        "module bad (input wire a, input wire b, output reg c);\nalways @* begin if (a) c = b; end\nendmodule\n"
    )
    for flow in (GATES, FLOW):
        assert synthesize("bad", {}, flow, tmp_path).latches == 1


def test_memories_become_block_ram() -> None:
    found = synthesize("ram_columns", {"ADDRESS_WIDTH": 10}, FLOW)
    assert found.latches == 0
    assert found.total(fpga.price)["BRAM36"] > 0


def test_kept_by_content(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rtl = tmp_path / "rtl"
    shutil.copytree(RTL, rtl)
    calls = []
    real = netlist.run
    monkeypatch.setattr(netlist, "run", lambda commands: calls.append(commands) or real(commands))
    first = synthesize("delay", {"WIDTH": 3}, FLOW, rtl)
    assert synthesize("delay", {"WIDTH": 3}, FLOW, rtl) == first
    assert len(calls) == 2  # the hierarchy, the module
    assert synthesize("delay", {"WIDTH": 4}, FLOW, rtl) != first
    path = rtl / "common" / "delay.v"
    path.write_text(path.read_text() + "\n// changed\n")
    assert synthesize("delay", {"WIDTH": 3}, FLOW, rtl) == first
    assert len(calls) == 5  # a comment changes the file, not the module
    next((tmp_path / "cache").rglob("*.index.json")).write_text("{")
    assert synthesize("delay", {"WIDTH": 3}, FLOW, rtl) == first
    path.write_text(path.read_text().replace("endmodule", ""))
    with pytest.raises(InputError, match="yosys: .*ERROR"):
        synthesize("delay", {"WIDTH": 3}, FLOW, rtl)


def test_unknown_primitive_is_an_error() -> None:
    with pytest.raises(InputError, match="cell NEW: is not in the table"):
        Netlist("t", {}, "", {"t": {"NEW": 1}}, {}).rows(fpga.price)


def test_parameters_are_the_modules_own() -> None:
    assert set(parameters_of("sore", SatConfig().verilog_parameters())) == {"GROUP_MAX"}
    with pytest.raises(InputError, match="no file nope.v"):
        parameters_of("nope", {})


LIBERTY = """library (tiny) {
  cell (NAND2X1) { area : 24; pin (Y) { function : "(!(A B))"; } }
  cell (DFFPOSX1) { area : 96; ff (q, qn) { clocked_on : "CLK"; next_state : "D"; } }
}
"""


def test_library(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "tiny.lib"
    path.write_text(LIBERTY)
    library = Library(path)
    assert library.nand2 == 24
    assert library.price()("DFFPOSX1") == {"area_um2": 96.0, "gates": 4.0, "flipflops": True}
    assert library.price()("ram 64x8")["sram_bits"] == 512
    assert find_library(path) == path
    with pytest.raises(InputError, match="cell XX: is not in the table"):
        library.price()("XX")
    path.write_text("library (tiny) { cell (INV) { area : 1; } }")
    with pytest.raises(InputError, match="no cell NAND2X1"):
        Library(path)
    monkeypatch.setattr(asic, "PLACES", (tmp_path / "none.lib",))
    with pytest.raises(InputError, match="apt-get install qflow-tech-osu018"):
        find_library()


def test_standard_cells() -> None:
    try:
        library = Library(find_library())
    except InputError as error:
        tools.lacks(str(error))
    found = synthesize("fp16_mul", {}, library.flow())
    total = found.total(library.price())
    assert total["gates"] > 500
    assert found.latches == 0
    assert all(ps > 0 for ps in found.delays_ps.values())


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
        "synth sat --target asic --liberty none.lib": "--liberty none.lib: no such file",
        "synth sat --liberty none.lib": "goes with --target asic",
    }.items():
        check_refused(line, reason, tmp_path, monkeypatch, capsys)
