# SPDX-License-Identifier: Apache-2.0
"""``hwsim scalesim`` writes what SCALE-Sim 3.0.0 writes, letter by letter; wrong files are one line.

The kept reports are that tool's own (pip, CALC mode), of the topologies beside them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwsim.systolic import tables
from tests.support.cli import check_refused, run

DATA = Path(__file__).parents[1] / "data"
KEPT = DATA / "scalesim" / "reports"
CONFIG = """[general]
run_name = {name}

[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {cols}
IfmapSramSzkB: {kb}
FilterSramSzkB: {kb}
OfmapSramSzkB: {kb}
Bandwidth : 10
Dataflow : {dataflow}

[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""
SHAPES = {"small": (8, 4, 1), "odd_7": (7, 5, 1), "odd_4": (4, 16, 2), "resnet18_32": (32, 32, 64)}


def _config(folder: Path, name: str) -> tuple[Path, str]:
    """The configuration and topology of kept reports, by their name."""
    parts = name.removeprefix("gemm_").split("_")
    dataflow = parts.pop(1)
    rows, cols, kb = SHAPES["_".join(parts)]
    own = "scale_example_run_32x32_ws" if name.startswith("resnet18") else name
    path = folder / "run.cfg"
    path.write_text(CONFIG.format(name=own, rows=rows, cols=cols, kb=kb, dataflow=dataflow), encoding="utf-8")
    return path, {"resnet18": "resnet18_conv"}.get(name.split("_")[0], name.split("_")[0]) + ".csv"


@pytest.mark.parametrize("name", sorted(p.name for p in KEPT.iterdir()))
def test_all_three_reports_are_that_tools_letter_by_letter(name: str, tmp_path: Path, monkeypatch, capsys) -> None:
    config, topology = _config(tmp_path, name)
    more = ["-i", "gemm"] if name.startswith("gemm") else []
    assert run(monkeypatch, "scalesim", config, DATA / "scalesim" / topology, *more, "--out", tmp_path / "out") == 0
    (folder,) = (tmp_path / "out").iterdir()
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in (KEPT / name).iterdir())
    for path in (KEPT / name).iterdir():
        assert (folder / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), path.name
    assert "without effect in CALC mode: Bandwidth" in capsys.readouterr().out


def test_rows_of_another_simulators_tables(tmp_path: Path, capsys) -> None:
    assert tables.compare(tables.SAMPLE) == (200, 0)
    lines = tables.SAMPLE.read_text(encoding="utf-8").splitlines()
    cells = lines[-1].split(",")
    cells[6] = str(int(cells[6]) + 1)
    (tmp_path / "look_up_table_8_8.csv").write_text("\n".join([*lines, ",".join(cells)]), encoding="utf-8")
    tables.main([str(tmp_path)])
    assert capsys.readouterr().out.splitlines()[-1] == "all: 201 rows, 1 different"


@pytest.mark.parametrize("row", ["8,1,128,8,8,os", "8,1,128,0,8,os,141,1", "8,1,128,8,8,rs,141,1", "m,n,k,r,c,os,1,1"])
def test_a_row_that_is_no_product_is_one_line(row: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "look_up_table_8_8.csv").write_text(f"8,1,128,8,8,os,141,11.348\n{row}\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        tables.main([str(tmp_path)])
    assert "look_up_table_8_8.csv: row 2: " in capsys.readouterr().err


def test_corrected_counts_are_the_clocked_arrays(tmp_path: Path, monkeypatch, capsys) -> None:
    config, topology = _config(tmp_path, "small_os")
    words = ["scalesim", config, DATA / "scalesim" / topology, "--json"]
    assert run(monkeypatch, *words) == 0
    theirs = json.loads(capsys.readouterr().out)
    assert run(monkeypatch, *words, "--corrected") == 0
    ours = json.loads(capsys.readouterr().out)
    for a, b in zip(ours, theirs, strict=True):
        assert a["Total Cycles"] == b["Total Cycles"] + 1
        assert a["SRAM OFMAP Writes"] < b["SRAM OFMAP Writes"]
    assert ours[0]["SRAM OFMAP Writes"] == 490


SMALL = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n" \
    "C1, 9, 9, 3, 3, 5, 10, 1,\nC2, 13, 11, 3, 2, 3, 7, 2,\nC3, 6, 6, 1, 1, 20, 6, 1,\n"  # fmt: skip


@pytest.mark.parametrize(
    ("config", "topology"),
    [
        (("\n", "\r\n"), ("\n", "\r\n")),
        (("Bandwidth : 10\n", ""), (", ", ",    ")),
        (("[run_presets]", "# a remark\n[run_presets]"), (", ", ",\t")),
        (("", ""), ("C2", "\n\nC2")),
        (("", ""), ("Layer name", "\ufeffLayer name")),
    ],
    ids=["crlf", "spaces", "tabs", "blank lines", "byte order mark"],
)  # fmt: skip
def test_files_that_are_written_otherwise_give_the_same_reports(
    config: tuple[str, str], topology: tuple[str, str], tmp_path: Path, monkeypatch
) -> None:
    """SCALE-Sim 3.0.0 itself reads all of these as the plain files."""
    found = []
    for name, change in (("plain", False), ("other", True)):
        path, _ = _config(tmp_path, "small_ws")
        text, rows = path.read_text(encoding="utf-8"), SMALL
        if change:
            text, rows = text.replace(*config), rows.replace(*topology)
        path.write_bytes(text.encode())
        (tmp_path / "t.csv").write_bytes(rows.encode())
        assert run(monkeypatch, "scalesim", path, tmp_path / "t.csv", "--out", tmp_path / name) == 0
        found.append({p.name: p.read_text(encoding="utf-8") for p in (tmp_path / name / "small_ws").iterdir()})
    assert found[0] == found[1]


BASE = CONFIG.format(name="r", rows=8, cols=4, kb=1, dataflow="os")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("CALC", "USER", "InterfaceBandwidth: USER: that mode adds waits twice and is not modelled"),
        ("CALC", "FAST", "InterfaceBandwidth: 'FAST': CALC"),
        ("ArrayWidth: 4", "", "[architecture_presets]: ArrayWidth is missing"),
        ("ArrayWidth: 4", "ArrayWidth: 0", "ArrayWidth: '0': an integer from 1 to"),
        ("ArrayWidth: 4", "ArrayWidht: 4", "did you mean ArrayWidth"),
        ("Dataflow : os", "Dataflow : rs", "Dataflow: 'rs': os, ws or is"),
        ("UseRamulatorTrace: False", "UseRamulatorTrace: True", "Ramulator's traces are not modelled"),
        ("[run_presets]", "[run_preset]", "section"),
        ("[run_presets]", "[sparsity]\nSparsitySupport: true\n[run_presets]", "sparsity is not modelled"),
        ("[run_presets]", "[layout]\nIfmapCustomLayout: True\n[run_presets]", "custom layouts are not modelled"),
        ("[general]", "", "no SCALE-Sim configuration"),
        ("run_name = r", "run_name = ../r", "run_name: '../r': the name of a folder"),
        ("Dataflow : os", "Dataflow : os\nDataflow : ws", "no SCALE-Sim configuration"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_one_line(
    before: str, after: str, reason: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    assert before in BASE
    (tmp_path / "r.cfg").write_text(BASE.replace(before, after), encoding="utf-8")
    (tmp_path / "t.csv").write_text((DATA / "scalesim" / "small.csv").read_text())
    check_refused("scalesim r.cfg t.csv --out out", reason, tmp_path, monkeypatch, capsys)


HEAD = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"


@pytest.mark.parametrize(
    ("text", "words", "reason"),
    [
        ("Layer, M, N, K,\nG, 3, 4, 5,\n", "-i conv", "is a topology of form gemm, not conv"),
        (HEAD + "C, 9, 9, 3, 3, 5, 10, 1,\n", "-i gemm", "is a topology of form conv, not gemm"),
        (HEAD + "C, 2, 9, 3, 3, 5, 10, 1,\n", "", "layer C: a filter larger than the image"),
        (HEAD + "C, 9, 9, 3, 3, 5, x, 1,\n", "", "line 2: column Num Filter: 'x'"),
        (HEAD.replace("Strides,", "Strides, Batch,") + "C, 9, 9, 3, 3, 5, 1, 1, 4,\n", "", "batch 4: SCALE-Sim"),
        (HEAD.replace("Strides,", "Strides, Strides,") + "C, 9, 9, 3, 3, 5, 1, 1, 2,\n", "", "one for both directions"),
        ("", "", "t.csv"),
        ("Layer, K, N, M,\nG, 3, 4, 5,\n", "", "line 2: column M is number 4, SCALE-Sim takes number 2"),
        (HEAD.replace("IFMAP Height, IFMAP Width", "IFMAP Width, IFMAP Height") + "C, 9, 8, 3, 3, 5, 1, 1,\n", "",
         "column IFMAP Height is number 3, SCALE-Sim takes number 2"),
        (HEAD + "C, 9, 9, 3, 3, 5, 10, 0,\n", "", "line 2: column Strides: '0'"),
        ("Layer, M, N, K,\nG, 65536, 65536, 65536,\n", "", "words of inputs, weights and partial sums: at most"),
    ],
)  # fmt: skip
def test_a_wrong_topology_is_one_line(text: str, words: str, reason: str, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "r.cfg").write_text(BASE, encoding="utf-8")
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    check_refused(f"scalesim r.cfg t.csv {words} --out out", reason, tmp_path, monkeypatch, capsys)
