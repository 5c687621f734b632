# SPDX-License-Identifier: Apache-2.0
"""Where hwsim runs: installations that nobody may write, no home, blanks in every path, terminals of few characters."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hwsim
from hwsim.rtl_tools.plain import is_plain, plain_path
from hwsim.silicon.asic import PLACES
from tests.support import tools

ROOT = Path(hwsim.__file__).parents[1]
NAMES = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "COLUMNS", "LANG", "LC_ALL", "LC_CTYPE", "PYTHONIOENCODING",
         "PYTHONUTF8", "PYTHONCOERCECLOCALE", "PYTHONPATH")  # fmt: skip
"""Variables that decide what is tested here."""


def started(command: list[str] | list[bytes], folder: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    plain = {name: value for name, value in os.environ.items() if name not in NAMES}
    return subprocess.run(command, cwd=folder, env=plain | variables, capture_output=True, preexec_fn=_no_root)


def _no_root() -> None:
    """Root may write everywhere: without that right (CAP_DAC_OVERRIDE) it is as other users are."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP


def copied(folder: Path) -> Path:
    """The packages, as an installation elsewhere, without compiled kernels."""
    for package in ("algorithms", "dataflow", "hwsim", "reports"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_a_read_only_installation_without_a_home_compiles_without_keeping(tmp_path: Path) -> None:
    place = copied(tmp_path / "read only")
    folders = [p for p in (place, *place.rglob("*")) if p.is_dir()]
    for path in folders:
        path.chmod(0o555)
    try:
        done = started([sys.executable, "-m", "hwsim", "sat", "resnet9", "--passes", "FF", "--batch", "1", "--json"],
                       tmp_path, PYTHONPATH=str(place), HOME="/proc/nobody")  # fmt: skip
    finally:
        for path in folders:
            path.chmod(0o755)
    word = done.stderr.decode()
    assert done.returncode == 0, word
    assert b'"cycles"' in done.stdout
    assert word.startswith("hwsim: compiling kernels (")
    assert word.endswith(" in every run: no folder to keep them can be written; name one in NUMBA_CACHE_DIR\n")
    assert word.count("\n") == 1
    assert not list(place.rglob("*.nbi"))


BYTES = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""What Python makes of C by itself is UTF-8; here it does not."""
TERMINALS = [
    {"LC_ALL": "C"},
    {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp437"},
]


@pytest.mark.parametrize("variables", TERMINALS, ids=[str(i) for i in range(len(TERMINALS))])
def test_a_terminal_of_few_characters_is_enough(variables: dict[str, str], tmp_path: Path) -> None:
    name = "名 é netz"
    (tmp_path / f"{name}.csv").write_text("Layer, M, N, K,\nschicht 名, 2, 3, 5,\n", encoding="utf-8")
    home = {"HOME": str(tmp_path)}
    for words in (["networks"], ["networks", f"{name}.csv"], ["networks", f"{name}.csv", "--out", "名"],
                  ["schema", "sat"], ["doctor"], ["--help"]):  # fmt: skip
        done = started([sys.executable, "-m", "hwsim", *words], tmp_path, **variables, **home)
        assert (done.returncode, done.stderr) == (0, b""), (words, done.stderr)
    assert (tmp_path / "名" / f"{name}.yaml").is_file()
    wrong = started([sys.executable, "-m", "hwsim", "networks", "名.yaml"], tmp_path, **variables, **home)
    assert wrong.returncode == 2
    assert wrong.stderr.count(b"\n") == 1
    assert wrong.stderr.startswith(b"hwsim: ")


@pytest.mark.parametrize("variables", [BYTES, {"LC_ALL": "C.UTF-8"}])
def test_names_that_are_no_text_are_refused_in_one_line(variables: dict[str, str], tmp_path: Path) -> None:
    name = "é.csv".encode("latin-1" if variables is not BYTES else "utf-8")
    (tmp_path / "plain.csv").write_text("Layer, M, N, K,\nschicht 名, 2, 3, 5,\n", encoding="utf-8")
    command = [sys.executable.encode(), b"-m", b"hwsim", b"networks"]
    done = started([*command, b"plain.csv"], tmp_path, **variables, HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, b"")
    wrong = started([*command, name], tmp_path, **variables, HOME=str(tmp_path))
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(b"hwsim: \\udc")
    assert wrong.stderr.endswith(b"is no text in this locale; with LC_ALL=C.UTF-8 names may have any UTF-8 character\n")
    assert wrong.stderr.count(b"\n") == 1


def test_a_user_that_the_system_does_not_know_has_a_folder(monkeypatch, tmp_path: Path) -> None:
    from dataflow.files import cache_folder

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert cache_folder("synth").name == "synth"
    assert cache_folder("synth").is_relative_to(Path(os.environ.get("TMPDIR", "/tmp")))


def blank(folder: Path) -> tuple[Path, str, dict[str, str]]:
    """A checkout, a Python and folders of files that come and go, all behind a blank: the first two by links."""
    place = folder / "a b 'c' é"
    for name in ("home", "tmp"):
        (place / name).mkdir(parents=True)
    for name in ("algorithms", "dataflow", "hwsim", "reports", "rtl", "tests"):
        (place / name).symlink_to(ROOT / name)
    (place / "venv").symlink_to(sys.prefix)
    variables = {"HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), "PYTHONPATH": str(place)}
    return place, str(place / "venv" / "bin" / "python"), variables


def test_yosys_runs_behind_blanks(tmp_path: Path) -> None:
    tools.package("pyosys", "synth")
    place, python, variables = blank(tmp_path)
    shutil.copytree(ROOT / "rtl", place / "my rtl")
    rtl = f"Path({str(place / 'my rtl')!r})"
    code = ("from pathlib import Path; from hwsim.silicon.netlist import synthesize;"
            "from hwsim.silicon.asic import GATES;"
            f"print(sum(synthesize('delay', {{'WIDTH': 3}}, GATES, {rtl}).modules['delay'].values()))")  # fmt: skip
    done = started([python, "-c", code], place, **variables)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3
    words = ["-m", "hwsim", "synth", "sat", "--top", "fp16_mul", "--out", "o u t", "--json"]
    done = started([python, *words], place, **variables)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (place / "o u t" / "modules.csv").is_file()
    library = next((p for p in PLACES if p.is_file()), None)
    if library is None:
        tools.lacks("no liberty file: apt-get install qflow-tech-osu018")
    shutil.copy(library, place / "my cells.lib")
    words = [
        "-m",
        "hwsim",
        "synth",
        "sat",
        "--top",
        "fp16_mul",
        "--target",
        "asic",
        "--liberty",
        "my cells.lib",
        "--json",
    ]
    done = started([python, *words], place, **variables)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.rtl
def test_verilator_and_the_rtl_run_behind_blanks(tmp_path: Path) -> None:
    tools.verilator()
    place, python, variables = blank(tmp_path)
    shutil.copytree(ROOT / "rtl", place / "my rtl")
    words = ["-m", "hwsim", "verify", "sat", "--block", "sore", "--cases", "20", "--rtl", "my rtl", "--json"]
    done = started([python, *words], place, **variables)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert list((place / "home" / ".cache" / "hwsim" / "rtl").glob("*/sim"))


def test_a_path_with_a_blank_has_one_link(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hwsim.rtl_tools.plain.temporary", lambda: tmp_path)
    folder = tmp_path / "a b.lib"
    folder.mkdir()
    link = plain_path(folder)
    assert link == plain_path(folder)
    assert link.resolve() == folder
    assert (link.suffix, is_plain(link)) == (".lib", True)
    assert plain_path(tmp_path) == tmp_path
    assert plain_path(tmp_path / "a  b.lib") != link


@pytest.mark.rtl
def test_cocotb_runs_behind_blanks(tmp_path: Path) -> None:
    tools.verilator()
    tools.package("cocotb")
    place, python, variables = blank(tmp_path)
    (place / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    words = ["-m", "pytest", "-p", "no:cacheprovider", "tests/rtl/test_cocotb.py", "-k", "fifo_stream and 1",
             "--basetemp", str(place / "runs")]  # fmt: skip
    done = started([python, *words], place, **variables)
    assert done.returncode == 0, done.stdout.decode()[-3000:]
    assert done.stdout.startswith(b".")
