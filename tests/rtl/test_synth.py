# SPDX-License-Identifier: Apache-2.0
"""Synthesis: every module of the RTL, no latch; counts that can be known beforehand; results kept by content."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import tomllib
import zipfile
from pathlib import Path

import pytest

from dataflow.errors import InputError
from hwsim.rtl_tools import plain as plain_module
from hwsim.rtl_tools import yosys
from hwsim.rtl_tools.sources import RTL, needed, sources
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
    for path in (*SAT_ACTIVITY.values(), SPATTEN_ACTIVITY):
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


FOLDERS = """module inc (input wire clk, input wire a, output reg y); // caf\xe9
`include "parts/body.inc"
endmodule
"""


def test_own_rtl_with_an_include_and_latin_comments(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "rtl" / "parts").mkdir(parents=True)
    (tmp_path / "rtl" / "inc.v").write_text(FOLDERS, encoding="latin-1")
    (tmp_path / "rtl" / "parts" / "body.inc").write_text('`include "../more.inc"\nalways @(posedge clk) y <= D;\n')
    (tmp_path / "more.inc").write_text("wire D = a;\n")
    assert hwsim(monkeypatch, "synth", "sat", "--top", "inc", "--rtl", tmp_path / "rtl", "--json") == 0
    assert json.loads(capsys.readouterr().out)["resources"]["FF"] == 1
    assert {p.name for p in needed("inc", tmp_path / "rtl")} == {"inc.v", "body.inc", "more.inc"}
    (tmp_path / "more.inc").unlink()
    check_refused("synth sat --top inc --rtl rtl", 'body.inc: `include "../more.inc": no such file in',
                  tmp_path, monkeypatch, capsys)  # fmt: skip
    check_refused("verify sat --block sore --rtl nothing", "no Verilog files there", tmp_path, monkeypatch, capsys)
    check_refused("synth sat --rtl nothing", "--rtl nothing: no Verilog files there", tmp_path, monkeypatch, capsys)


def test_a_compressed_liberty_file_is_named(tmp_path: Path) -> None:
    for suffix, opened in {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}.items():
        path = tmp_path / f"tiny.lib.{suffix}"
        with opened(path, "wt") as file:
            file.write(LIBERTY)
        with pytest.raises(InputError, match=f"tiny.lib.{suffix}: is a .* file: unpack it"):
            Library(path)
    with zipfile.ZipFile(tmp_path / "tiny.zip", "w") as packed:
        packed.writestr("tiny.lib", LIBERTY)
    with pytest.raises(InputError, match="is a zip file"):
        Library(tmp_path / "tiny.zip")
    (tmp_path / "tiny.lib").write_text("nothing of the kind")
    with pytest.raises(InputError, match="not a liberty file"):
        Library(tmp_path / "tiny.lib")


@pytest.mark.parametrize("old", ["0.23 (git sha1 7ce5011c24b)", "0.59+12", "?"])
def test_a_yosys_that_is_too_old_is_refused(old: str, tmp_path: Path, monkeypatch) -> None:
    program = tmp_path / "yosys"
    program.write_text(f"#!/bin/sh\necho 'Yosys {old}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(yosys.importlib.util, "find_spec", lambda name: None)
    yosys.program.cache_clear()
    try:
        with pytest.raises(InputError, match=rf"{program} is version .*, at least 0.60 is needed: pip install"):
            yosys.program()
        program.write_text("#!/bin/sh\necho 'Yosys 0.60 (git sha1 0)'\n")
        assert yosys.program() == (str(program), "-Q")
    finally:
        yosys.program.cache_clear()
    (wanted,) = tomllib.loads((RTL.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]["synth"]
    assert wanted == f"pyosys>={yosys.LEAST[0]}.{yosys.LEAST[1]}"


def test_a_full_temporary_folder_is_noticed(tmp_path: Path, monkeypatch) -> None:
    """Before a run, after it, and by files that end too early."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    usage = shutil.disk_usage(tmp_path)
    for left in ([10 << 20], [1 << 30, 0]):
        free = iter(left)
        monkeypatch.setattr(plain_module.shutil, "disk_usage", lambda place, f=free: usage._replace(free=next(f)))
        with pytest.raises(InputError, match=r"MiB free, at least \d+ are needed for temporary files"):
            synthesize("delay", {"WIDTH": 3}, GATES)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    real = netlist.run

    def cut(commands: list[str]) -> str:
        found = real(commands)
        for path in (Path(c.split()[-1]) for c in commands if c.startswith("write_rtlil")):
            path.write_text(path.read_text()[:-20])
        return found

    monkeypatch.setattr(netlist, "run", cut)
    with pytest.raises(InputError, match="was not written whole: no room for temporary files"):
        synthesize("delay", {"WIDTH": 3}, GATES)
    assert not list((tmp_path / "cache").rglob("*.json"))
