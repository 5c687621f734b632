# SPDX-License-Identifier: Apache-2.0
"""FPGA resources of a module: UltraScale+ primitives by Yosys, counted by module over the kept hierarchy.

Left out: placement and routing, so also any clock frequency; the packing of LUT pairs and of registers into DSP blocks
(Yosys leaves the DSP48E2's own registers unused), so a vendor's tool needs somewhat fewer LUTs and flip-flops.
Inverters count nothing: they become part of a LUT.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dataflow.errors import InputError
from dataflow.files import cache_folder, write_text
from hwsim.verify.verilator import RTL, folders, needed

from .yosys import run, version

SYNTHESIS_FORMAT = "hwsim-synthesis/1"
RESOURCES = ("LUT", "FF", "CARRY", "DSP", "BRAM36", "URAM")

DEVICE = "XCVU9P"
DEVICE_RESOURCES = {"LUT": 1_182_240, "FF": 2_364_480, "CARRY": 147_780, "DSP": 6_840, "BRAM36": 2_160, "URAM": 960}
"""Of the VCU1525 board's device: UltraScale+ FPGAs Product Selection Guide (XMP103), Virtex UltraScale+ VU9P; a CARRY8
for each eight LUTs (UG574)."""

CARRY4 = 0.5
"""Yosys makes CARRY4; a CARRY8 is two of them."""
_PRIMITIVES: dict[str, dict[str, float]] = {
    **{f"LUT{i}": {"LUT": 1} for i in range(1, 7)},
    **{name: {"FF": 1} for name in ("FDRE", "FDSE", "FDCE", "FDPE", "LDCE", "LDPE")},
    **{f"MUXF{i}": {} for i in (7, 8, 9)},  # of the LUTs' own slice
    "INV": {}, "BUF": {}, "VCC": {}, "GND": {},
    "CARRY4": {"CARRY": CARRY4}, "CARRY8": {"CARRY": 1},
    "SRL16E": {"LUT": 1}, "SRLC32E": {"LUT": 1},
    "RAM32M": {"LUT": 4}, "RAM64M": {"LUT": 4}, "RAM32M16": {"LUT": 8}, "RAM64M8": {"LUT": 8},
    "RAM32X1D": {"LUT": 2}, "RAM64X1D": {"LUT": 2}, "RAM32X1S": {"LUT": 1}, "RAM64X1S": {"LUT": 1},
    "RAM128X1D": {"LUT": 4}, "RAM128X1S": {"LUT": 2}, "RAM256X1S": {"LUT": 4}, "RAM512X1S": {"LUT": 8},
    "RAM256X1D": {"LUT": 8}, "RAM64X8SW": {"LUT": 8},
    "DSP48E2": {"DSP": 1},
    "RAMB18E2": {"BRAM36": 0.5}, "RAMB36E2": {"BRAM36": 1}, "URAM288": {"URAM": 1},
}  # fmt: skip
"""Of each primitive: UltraScale Architecture CLB User Guide (UG574), Memory Resources (UG573)."""
LATCHES = ("LDCE", "LDPE")


class Row(NamedTuple):
    """A module with its parameters, as often as the design has it."""

    module: str
    instances: int
    own: dict[str, float]
    """Resources of one instance, without the modules in it."""
    whole: dict[str, float]
    """With them."""


@dataclass
class Synthesis:
    """A synthesized module."""

    top: str
    parameters: dict[str, int]
    yosys: str
    modules: dict[str, dict[str, int]]
    """Cells by type of each module, modules in it among them."""

    def rows(self) -> list[Row]:
        """One a module, the top first, then by what all its instances hold themselves.

        Raises:
            InputError: a primitive that nobody has counted before.
        """
        instances: Counter[str] = Counter()

        def visit(name: str, times: int) -> None:
            instances[name] += times
            for cell, count in self.modules[name].items():
                if cell in self.modules:
                    visit(cell, times * count)

        top = next(iter(self.modules))
        visit(top, 1)
        own = {name: _own({c: n for c, n in self.modules[name].items() if c not in self.modules}) for name in instances}
        whole: dict[str, dict[str, float]] = {}

        def total(name: str) -> dict[str, float]:
            if name not in whole:
                found = dict(own[name])
                for cell, count in self.modules[name].items():
                    if cell in self.modules:
                        for resource, value in total(cell).items():
                            found[resource] += count * value
                whole[name] = found
            return whole[name]

        rows = [Row(name, instances[name], own[name], total(name)) for name in instances]
        return sorted(rows, key=lambda r: (r.module != top, -r.instances * r.own["LUT"], -r.instances * r.own["FF"]))

    @property
    def resources(self) -> dict[str, float]:
        """Of the whole design."""
        return self.rows()[0].whole

    @property
    def latches(self) -> int:
        """Latches in it: there should be none."""
        return sum(count for cells in self.modules.values() for cell, count in cells.items() if cell in LATCHES)

    def by_name(self) -> list[dict[str, Any]]:
        """Resources of all instances of each module of the RTL, whatever its parameters, without the modules in it."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows():
            name = plain(row.module)
            mine = found.setdefault(name, {"module": name, "instances": 0, **dict.fromkeys(RESOURCES, 0.0)})
            mine["instances"] += row.instances
            for resource, value in row.own.items():
                mine[resource] += row.instances * value
        return list(found.values())


def plain(module: str) -> str:
    """The RTL's name of a module that Yosys has named by its parameters."""
    name = module.removeprefix("$paramod")
    return re.split(r"\\", name.lstrip("\\"))[-1 if name.startswith("$") else 0]


def _own(cells: Mapping[str, int]) -> dict[str, float]:
    found = dict.fromkeys(RESOURCES, 0.0)
    for cell, count in cells.items():
        if cell not in _PRIMITIVES:
            raise InputError(f"synthesis: primitive {cell}: is not in the table of primitives")
        for resource, value in _PRIMITIVES[cell].items():
            found[resource] += count * value
    return found


def parameters_of(top: str, machine: Mapping[str, int], rtl: Path = RTL) -> dict[str, int]:
    """Those of a machine's Verilog parameters that a module has.

    Raises:
        InputError: no such module.
    """
    text = next(p for p in needed(top, rtl) if p.stem == top).read_text(encoding="utf-8")
    names = set(re.findall(r"^\s*parameter\s+(?:\[[^]]*\]\s*)?(\w+)\s*=", text, re.MULTILINE))
    return {name: value for name, value in machine.items() if name in names}


def synthesize(top: str, machine: Mapping[str, int], rtl: Path = RTL) -> Synthesis:
    """A module at a machine's parameters, from the user's cache where the same RTL was synthesized before.

    Raises:
        InputError: no Yosys, no such module, RTL that it does not take.
    """
    parameters = parameters_of(top, machine, rtl)
    files = needed(top, rtl)
    digest = hashlib.sha256(repr((SYNTHESIS_FORMAT, top, sorted(parameters.items()), version())).encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    cached = cache_folder("synth") / f"{digest.hexdigest()[:24]}.json"
    if not cached.exists():
        with tempfile.TemporaryDirectory() as folder:
            stat = Path(folder) / "stat.json"
            names = " ".join(str(p) for p in files if p.suffix == ".v")
            chparam = "".join(f" -chparam {k} {v}" for k, v in parameters.items())
            run([
                f"read_verilog {' '.join(folders(rtl))} {names}",
                f"hierarchy -check -top {top}{chparam}",
                f"synth_xilinx -family xcup -noiopad -noclkbuf -top {top}",
                f"tee -q -o {stat} stat -json -top {top}",
            ])  # fmt: skip
            write_text(cached, json.dumps(_modules(json.loads(stat.read_text(encoding="utf-8")), top)) + "\n")
    return Synthesis(top, parameters, version(), json.loads(cached.read_text(encoding="utf-8")))


def _modules(stat: Mapping[str, Any], top: str) -> dict[str, dict[str, int]]:
    """Cells by type of each module, the top first."""
    found = {name.removeprefix("\\"): facts["num_cells_by_type"] for name, facts in stat["modules"].items()}
    found = {name: {cell.removeprefix("\\"): int(n) for cell, n in cells.items()} for name, cells in found.items()}
    first = next(name for name in found if plain(name) == top)
    return {first: found.pop(first), **found}
