# SPDX-License-Identifier: Apache-2.0
"""The house's rules: no room knows a machine by name; importing everything hides no public name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import hwsim
from hwsim.core.machine import names

ROOT = Path(hwsim.__file__).parents[1]
ROOMS = ("core", "memory", "rtl_tools", "silicon", "verification", "sweeps", "cli")
CODE = {".py", ".j2", ".js", ".css", ".html", ".cpp", ".h", ".yaml", ".json"}
BLOCKS = ("stce", "sore", "wuve")
SHORT = ("sat", "sore")
"""Names that stand inside English words too: only whole words count, however they are joined."""


def words(text: str) -> set[str]:
    """The words of a text in lower case: parts of names such as ``sat_run``, ``SatRun``, ``SATRun``, ``sat2`` too."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])", " ", text)
    return {word.lower() for word in re.findall(r"[A-Za-z]+", text)}


def told(text: str, machines: tuple[str, ...]) -> set[str]:
    """Machines' and blocks' names in a text."""
    found = {name for name in (*machines, *BLOCKS) if name not in SHORT and name in text.lower()}
    return found | (words(text) & set(SHORT))


@pytest.mark.parametrize("room", [*(f"hwsim/{room}" for room in ROOMS), "reports"])
def test_no_room_knows_a_machine_by_name(room: str) -> None:
    assert {"sat", "spatten", "tensor24"} <= set(names())
    folder = ROOT / room
    files = [p for p in folder.rglob("*") if p.suffix in CODE and "lz4" not in p.parts]
    if room == "reports":  # published figures and kept results are about machines
        files = [p for p in files if p.parent == folder or p.parent.name == "templates"]
    assert len(files) > 3
    found = []
    for path in files:
        lines = [path.relative_to(ROOT).as_posix(), *path.read_text(encoding="utf-8").splitlines()]
        for number, line in enumerate(lines):
            found += [(lines[0], number, name, line) for name in sorted(told(line, names()))]
    assert found == []


@pytest.mark.parametrize(
    ("text", "found"),
    [("from hwsim.sat.run import SatRun", {"sat"}), ("_sat_cycles", {"sat"}), ("SATRun", {"sat"}), ("a sat2x", {"sat"}),
     ("for SpAtten's rows", {"spatten"}), ("STCELike", {"stce"}), ("to_tensor24", {"tensor24"}), ("in SORE", {"sore"}),
     ("saturates, satisfied, isatty, hasattr, Satellite, resort, sensor, -nosat", set())],
)  # fmt: skip
def test_names_are_found_in_parts_of_words_but_not_in_english_ones(text: str, found: set[str]) -> None:
    assert told(text, ("sat", "spatten", "tensor24")) == found


EVERYTHING = """
import importlib, pkgutil, sys
from pathlib import Path

import algorithms, dataflow, hwsim, reports

OURS = {"algorithms", "dataflow", "hwsim", "reports"}
found = 0
for package in (dataflow, algorithms, hwsim, reports):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=lambda name: None):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
                found += 1
            except ModuleNotFoundError as error:  # of an extra that is not installed
                assert error.name.partition(".")[0] not in OURS, error
assert found > 100, found

folder = Path(sys.argv[1])
design = hwsim.machine("sat", rows=4, cols=4)
result = hwsim.simulate(design, "resnet9", batch=1, passes=("FF",))
result.save(folder / "result")


def refused(call, *arguments, **more):
    try:
        call(*arguments, **more)
    except hwsim.InputError as error:
        return str(error)
    raise AssertionError(call)


@hwsim.register_machine("mine")
class Mine(hwsim.Machine):
    Config, Run = type(design).Config, type(design).Run

    @classmethod
    def simulate(cls, run, workload=None, tick=None):
        return result


tried = {
    "InputError": lambda: hwsim.InputError("wrong"),
    "Machine": lambda: hwsim.Machine,
    "__version__": lambda: hwsim.__version__.split("."),
    "compare": lambda: hwsim.compare({"a": result, "b": result}).rows(),
    "load": lambda: hwsim.load(folder / "result") == result,
    "machine": lambda: hwsim.machine("mine"),
    "network": lambda: hwsim.network("resnet9").layers,
    "register_machine": lambda: hwsim.register_machine("mine")(Mine),
    "simulate": lambda: hwsim.simulate(hwsim.machine("mine"), "resnet9").cycles,
    "sweep": lambda: hwsim.sweep(
        design, "resnet9", over={"rows": [4, 8]}, store=folder / "sweep", workers=0, batch=1, passes=["FF"]
    ).pareto("cycles"),
    "verify": lambda: refused(hwsim.verify, design, blocks=["nothing"]),
    "workload": lambda: hwsim.workload("gpt2-small-wikitext2").rows,
}
assert set(tried) == set(hwsim.__all__), set(tried) ^ set(hwsim.__all__)
for name, call in tried.items():
    value = call()
    assert value is not None and (not hasattr(value, "__len__") or len(value)), name
"""


def test_everything_is_imported_and_then_every_public_name_works(tmp_path: Path) -> None:
    command = [sys.executable, "-c", EVERYTHING, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_library_from_a_network_to_a_front(tmp_path: Path) -> None:
    """The README's code at small sizes, without what needs RTL tools."""
    sat = hwsim.machine("sat", rows=8, cols=8)
    net = hwsim.network("resnet9")
    bdwp = hwsim.simulate(sat, net, batch=4, method="bdwp", pattern="2:8")
    dense = hwsim.simulate(sat, net, batch=4, method="dense")
    assert dense.cycles / bdwp.cycles > 1
    assert sum(bdwp.causes.values()) == bdwp.cycles
    largest = bdwp.rows().nlargest(5, "cycles")
    assert len(largest) == 5
    assert largest["cycles"].iloc[0] == bdwp.rows()["cycles"].max()
    assert 0 < bdwp.energy("table").total < dense.energy("table").total
    bdwp.save(tmp_path / "b")
    assert hwsim.load(tmp_path / "b") == bdwp
    gpu = hwsim.simulate(hwsim.machine("tensor24"), net, batch=4, method="bdwp", pattern="2:4")
    table = hwsim.compare({"dense": dense, "bdwp": bdwp, "gpu": gpu}).rows()
    assert table["speedup"].tolist() == [1.0, dense.seconds / bdwp.seconds, dense.seconds / gpu.seconds]
    front = hwsim.sweep(sat, net, over={"rows": [4, 8]}, store=tmp_path / "s", workers=0, batch=1).pareto("seconds")
    assert front["machine.rows"].tolist() == [8]
