# SPDX-License-Identifier: Apache-2.0
"""The clock that a module reaches on an FPGA that open tools place and route: Yosys for ECP5, then nextpnr.

The module stands alone, between registers: each input is a bit of one long shift register, each output goes into a
register, and those into a signature of which one bit is a pin. So no path of the module ends at a pin, wide modules
need three pins, and nothing is optimized away; the module keeps its hierarchy until it is mapped, so that it shares no
logic with what stands around it. The critical path is the longest between two registers, those around it included.

Figures are of this device alone: they say which stage is long, not what another FPGA or a standard-cell chip reaches.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dataflow.errors import InputError
from dataflow.files import cache_folder, write_text
from hwsim.rtl_tools import nextpnr
from hwsim.rtl_tools.plain import plain_folder, plain_path
from hwsim.rtl_tools.sources import RTL, folders, needed
from hwsim.rtl_tools.yosys import run, version, whole

from .netlist import Cost, Flow, Tick, add, hierarchy, instances, parameters_of, quiet, synthesize, unknown

PLACE_FORMAT = "hwsim-place/1"
TARGET_MHZ = 200
"""What nextpnr works for. More than it reaches, so that it does not rest."""
CLOCKS = ("clk", "clock", "aclk", "clk_i", "i_clk")
"""Names of a clock."""


class TooLarge(InputError):
    """A module that the device cannot hold."""


class Device(NamedTuple):
    """An FPGA."""

    name: str
    option: str
    """Nextpnr's name of it."""
    grades: tuple[int, ...]
    """Speed grades; the largest is the fastest."""
    resources: Mapping[str, int]


RESOURCES = ("LUT", "FF", "DSP", "BRAM")
DEVICES = {"ecp5": Device("LFE5U-85F", "85k", (6, 7, 8), {"LUT": 83_640, "FF": 83_640, "DSP": 156, "BRAM": 208})}
"""As nextpnr reports them: 4-input LUTs, flip-flops, 18 x 18 multipliers, 18 Kbit memories."""
_CELLS: dict[str, dict[str, float]] = {
    "LUT4": {"LUT": 1}, "CCU2C": {"LUT": 2}, "TRELLIS_DPR16X4": {"LUT": 6}, "TRELLIS_FF": {"FF": 1},
    "MULT18X18D": {"DSP": 1}, "DP16KD": {"BRAM": 1}, "PDPW16KD": {"BRAM": 1}, "PFUMX": {}, "L6MUX21": {},
    "$scopeinfo": {},
}  # fmt: skip
"""Of each cell; wide multiplexers come with their LUTs. A CCU2C is two LUTs with a carry; a memory of 16 x 4 takes four
LUTs and two that hold what is written."""


FLOW = Flow("ecp5", ("synth_ecp5 -top alone -run :check", "blackbox =A:whitebox"))
"""Module by module, to see whether a design is too large."""
MANY = 400
"""Instances from which on that is seen first."""


@dataclass(frozen=True)
class Placed:
    """A module placed and routed with several seeds."""

    module: str
    parameters: dict[str, int]
    device: str
    grade: int
    seeds: dict[int, float]
    """Frequency of each seed, MHz."""
    resources: dict[str, int]
    """Of the module alone, before packing."""
    logic_ns: float
    """Of the critical path of the median seed: cells with what is in front of the last register."""
    routing_ns: float
    start: str
    """Register at which it starts."""
    end: str
    lines: tuple[str, ...]
    """Lines of the Verilog that it goes through, as far as mapping left them known."""
    yosys: str
    nextpnr: str

    @property
    def mhz(self) -> float:
        """Median frequency of the seeds (of two, the lower)."""
        return sorted(self.seeds.values())[(len(self.seeds) - 1) // 2]

    def row(self) -> dict[str, Any]:
        """A row of a table."""
        low, high = min(self.seeds.values()), max(self.seeds.values())
        return {"module": self.module, "fmax_mhz": self.mhz, "lowest_mhz": low, "highest_mhz": high,
                "path_ns": self.logic_ns + self.routing_ns, "logic_ns": self.logic_ns, "routing_ns": self.routing_ns,
                **self.resources, "from": self.start, "to": self.end, "through": " ".join(self.lines)}  # fmt: skip


def place(
    top: str,
    machine: Mapping[str, int],
    seeds: int = 1,
    grade: int = 8,
    family: str = "ecp5",
    rtl: Path = RTL,
    tick: Tick = quiet,
) -> Placed:
    """A module at a machine's parameters on a device; kept in the user's cache by content.

    Args:
        seeds: how many placements are tried, with seeds 1, 2, ...

    Raises:
        InputError: a tool is missing, no such module, more than the device holds, or a tool's own error.
    """
    device = DEVICES[family]
    parameters = parameters_of(top, machine, rtl)
    if instances(hierarchy(top, parameters, rtl)).total() > MANY:  # flattened it would be mapped for hours
        _fits(top, device, _count(synthesize(top, machine, FLOW, rtl, tick).total(_price)))
    mapped = _mapped(top, parameters, rtl, tick)
    resources: dict[str, int] = json.loads((mapped / "resources.json").read_text(encoding="utf-8"))
    _fits(top, device, resources)
    found: dict[int, _Path] = {}
    for seed in range(1, seeds + 1):
        tick(f"{top}, place and route {seed}", seed, seeds + 1)
        found[seed] = _routed(top, mapped, device, grade, seed, {p.name for p in needed(top, rtl)})
    middle = sorted(found.values(), key=lambda path: path.mhz)[(seeds - 1) // 2]
    return Placed(
        top, parameters, device.name, grade, {seed: path.mhz for seed, path in found.items()}, resources,
        middle.logic_ns, middle.routing_ns, middle.start, middle.end, middle.lines, version(), nextpnr.version(),
    )  # fmt: skip


def _fits(top: str, device: Device, resources: Mapping[str, int]) -> None:
    over = [r for r in RESOURCES if resources[r] > device.resources[r]]
    if over:
        needs = ", ".join(f"{resources[r]:,} {r} needed, {device.resources[r]:,} there" for r in over)
        raise TooLarge(f"{top}: does not fit an {device.name}: {needs}")


def _price(cell: str) -> Mapping[str, float]:
    if cell not in _CELLS:
        raise unknown(cell)
    return dict.fromkeys(RESOURCES, 0.0) | _CELLS[cell]


def _count(cost: Mapping[str, float]) -> dict[str, int]:
    return {r: round(cost.get(r, 0)) for r in RESOURCES}


def _mapped(top: str, parameters: Mapping[str, int], rtl: Path, tick: Tick) -> Path:
    """A folder of the user's cache with ``netlist.json`` and ``resources.json``; made if it is not there for this
    content of the Verilog."""
    digest = hashlib.sha256(repr((PLACE_FORMAT, version(), top, sorted(parameters.items()))).encode())
    for path in needed(top, rtl):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    kept = cache_folder("place") / digest.hexdigest()[:24]
    if not (kept / "resources.json").is_file():
        tick(top, 0, 1)
        kept.mkdir(parents=True, exist_ok=True)
        with plain_folder() as folder:
            resources = _map(top, parameters, rtl, folder)
            write_text(kept / "netlist.json", whole(folder / "netlist.json", "}"))
            write_text(kept / "resources.json", json.dumps(resources) + "\n")  # last: it says that all is there
    return kept


class _Path(NamedTuple):
    """The critical path of one placement."""

    mhz: float
    logic_ns: float
    routing_ns: float
    start: str
    end: str
    lines: tuple[str, ...]


def _routed(top: str, mapped: Path, device: Device, grade: int, seed: int, files: set[str]) -> _Path:
    """Place and route with one seed; kept beside the netlist."""
    settings = (nextpnr.version(), device.name, grade, seed, TARGET_MHZ)
    kept = mapped / f"{hashlib.sha256(repr(settings).encode()).hexdigest()[:16]}.json"
    if kept.is_file():
        facts = json.loads(kept.read_text(encoding="utf-8"))
        return _Path(**{**facts, "lines": tuple(facts["lines"])})
    with plain_folder() as folder:
        shutil.copyfile(mapped / "netlist.json", folder / "netlist.json")
        report = nextpnr.place_and_route(folder, "netlist.json", device.option, grade, seed, TARGET_MHZ)
    names = _registers(mapped / "netlist.json")
    mhz = _frequency(top, report)
    path = next(p["path"] for p in report["critical_paths"] if "async" not in p["from"] + p["to"])
    routing = sum(step["delay"] for step in path if step["type"] == "routing")
    found = _Path(
        mhz, sum(step["delay"] for step in path) - routing, routing,
        names.get(path[0]["from"]["cell"], "a cell"), names.get(path[-1]["to"]["cell"], "a cell"), _lines(path, files),
    )  # fmt: skip
    write_text(kept, json.dumps(found._asdict()) + "\n")
    return found


def _map(top: str, parameters: Mapping[str, int], rtl: Path, folder: Path) -> dict[str, int]:
    """Write ``netlist.json``; the module's resources."""
    rtl = plain_path(rtl)
    design, stat = folder / "design.il", folder / "stat.json"
    names = " ".join(str(p) for p in needed(top, rtl) if p.suffix == ".v")
    chparam = "".join(f" -chparam {k} {v}" for k, v in parameters.items())
    run([f"read_verilog {' '.join(folders(rtl))} {names}", f"hierarchy -check -top {top}{chparam}", "rename -top alone",
         "setattr -mod -set keep_hierarchy 1 alone", f"write_rtlil {design}"])  # fmt: skip
    text = whole(design, "end")
    (folder / "placed.v").write_text(wrapper(_ports(top, text)), encoding="utf-8")
    run([
        f"read_rtlil {design}", f"read_verilog {folder / 'placed.v'}", "synth_ecp5 -top placed -run :check",
        "blackbox =A:whitebox",
        f"tee -q -o {stat} stat -json", "setattr -mod -unset keep_hierarchy alone", "flatten", "clean",
        f"write_json {folder / 'netlist.json'}",
    ])  # fmt: skip
    total: Cost = {}
    for cell, count in json.loads(whole(stat, "}"))["modules"]["\\alone"]["num_cells_by_type"].items():
        add(total, _price(cell.lstrip("\\")), count)
    return _count(total)


def _ports(top: str, design: str) -> list[tuple[str, str, int]]:
    """Name, direction and bits of a module's ports, of its RTLIL."""
    body = re.search(r"^module \\alone\n(.*?)^end\n", design, re.MULTILINE | re.DOTALL)
    found = []
    for options, name in re.findall(r"^  wire (.*?)\\(\S+)\n", body[1] if body else "", re.MULTILINE):
        direction = re.search(r"\b(input|output|inout) \d+", options)
        if direction:
            width = re.search(r"\bwidth (\d+)", options)
            found.append((name, direction[1], int(width[1]) if width else 1))
    if any(direction == "inout" for _, direction, _ in found) or not any(d == "output" for _, d, _ in found):
        raise InputError(f"{top}: only modules with outputs and without inout ports can be placed alone")
    return found


def wrapper(ports: Sequence[tuple[str, str, int]]) -> str:
    """Verilog of the registers around the module ``alone``: name, direction and bits of its ports."""
    inputs = [(n, w) for n, d, w in ports if d == "input" and n not in CLOCKS]
    outputs = [(n, w) for n, d, w in ports if d == "output"]
    clocks = [n for n, d, _ in ports if d == "input" and n in CLOCKS]
    wide, result = 1 + sum(w for _, w in inputs), sum(w for _, w in outputs)
    links = [f".{n}(clk)" for n in clocks]
    at = 1
    for name, width in inputs:
        links.append(f".{name}(shift_reg[{at + width - 1}:{at}])")
        at += width
    at = 0
    for name, width in outputs:
        links.append(f".{name}(y[{at + width - 1}:{at}])")
        at += width
    shift = f"{{shift_reg[{wide - 2}:0], d}}" if wide > 1 else "d"
    return "\n".join((
        "module placed (input wire clk, input wire d, output wire q);",
        f"    reg [{wide - 1}:0] shift_reg;",
        f"    reg [{result - 1}:0] result_reg;",
        f"    reg [{result}:0] signature_reg;",
        f"    wire [{result - 1}:0] y;",
        "    always @(posedge clk) begin",
        f"        shift_reg <= {shift};",
        "        result_reg <= y;",
        f"        signature_reg <= {{signature_reg[{result - 1}:0], 1'b0}} ^ {{1'b0, result_reg}};",
        "    end",
        f"    assign q = signature_reg[{result}];",
        f"    alone module_inst ({', '.join(links)});",
        "endmodule", "",
    ))  # fmt: skip


def _registers(netlist: Path) -> dict[str, str]:
    """What the cells of a netlist drive, by their names: a signal of the Verilog and its bit."""
    module = json.loads(whole(netlist, "}"))["modules"]["placed"]
    names: dict[int, str] = {}
    for name, net in module["netnames"].items():
        if name.startswith("$") or net.get("hide_name"):
            continue
        for i, bit in enumerate(net["bits"]):
            shown = _short(name) + (f"[{i}]" if len(net["bits"]) > 1 else "")
            # of several names that of the register itself
            if isinstance(bit, int) and (bit not in names or ("_reg" in shown and "_reg" not in names[bit])):
                names[bit] = shown
    found = {}
    for cell, facts in module["cells"].items():
        outputs = [b for port, bits in facts["connections"].items() for b in bits
                   if facts.get("port_directions", {}).get(port) == "output"]  # fmt: skip
        found[cell] = next((names[b] for b in outputs if b in names), facts["type"])
    return found


def _short(name: str) -> str:
    """A signal's name without the blocks that are there only to choose by a parameter."""
    return re.sub(r"^module_inst\.|\bgenblk\d+\.", "", name)


def _frequency(top: str, report: Mapping[str, Any]) -> float:
    clocks = report["fmax"]
    if len(clocks) != 1:
        raise InputError(f"{top}: {len(clocks)} clocks with paths between registers: one, called clk, is needed")
    return float(next(iter(clocks.values()))["achieved"])


def _lines(path: Sequence[Mapping[str, Any]], files: set[str]) -> tuple[str, ...]:
    """Lines of the Verilog along a path, in order."""
    found: dict[str, None] = {}
    for step in path:
        for source in step.get("sources", ()):
            name, _, place_ = os.path.basename(source).partition(":")
            if name in files:
                found[f"{name}:{place_.split('.')[0]}"] = None
    return tuple(found)
