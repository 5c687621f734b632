# SPDX-License-Identifier: Apache-2.0
"""Switching activity of the RTL in co-simulation, and the energy it makes of synthesized cells.

A record is one run of a design on real data: how often the bits of each module's signals changed, by the block of the
design that the module is in, and what the run did (`events`: multiply-accumulates, updates ...). A module's cells are
taken to change as often as its signals do on average. Left out: glitches (the simulation has none), and that gates
inside an expression may change more or less often than the signals around it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from dataflow.errors import InputError
from dataflow.files import read_json, validated, write_text
from hwsim.rtl_tools.sources import ASSERTIONS, RTL, needed, sources, text

from .cells import price, switching_fj
from .netlist import Cost, Netlist, add, plain

ACTIVITY_FORMAT = "hwsim-activity/2"
OTHER = "rest"
"""Block of the modules that belong to no named block."""


class Enabled(BaseModel):
    """Flip-flops of a module, all its instances together, that stand behind clock enables which at least four share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flipflops: int
    gates: int
    """Different enables."""
    high: float
    """Share of the flip-flops' cycles in which their enable was high. An enable that never was low counts as none."""


class Record(BaseModel):
    """One run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    kind: str
    """Kind of run, where energy differs by it; empty: all runs are of one kind."""
    cycles: int
    events: dict[str, float]
    rates: dict[str, dict[str, float]]
    """Changes of a bit a cycle, by block and module."""
    enables: dict[str, dict[str, Enabled]] = {}
    """Clock enables, by block and module; empty: not recorded."""


class Activity(BaseModel):
    """Runs of one design."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str = ACTIVITY_FORMAT
    top: str
    parameters: dict[str, int]
    rtl: str
    """Digest of the design's files: activity of other RTL is not used."""
    source: str
    """Data that the design ran on, in words."""
    records: tuple[Record, ...]

    def write(self, path: Path) -> None:
        write_text(path, json.dumps(self.model_dump(), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Activity:
        """A stored file.

        Raises:
            InputError: no such file, broken, of another format or of other RTL.
        """
        try:
            data = read_json(path)
        except InputError as error:
            raise InputError(f"{error}; not a record of activity") from None
        if not isinstance(data, dict) or data.get("format") != ACTIVITY_FORMAT:
            raise InputError(f"{path}: field format: not a record of this version ({ACTIVITY_FORMAT})")
        return validated(cls, data, str(path))


def reference_activity(path: Path) -> Activity:
    """A machine's reference activity, the file that is shipped with it.

    Raises:
        InputError: as `Activity.read`; also where the RTL has changed since.
    """
    found = Activity.read(path)
    if found.rtl != rtl_digest(found.top):
        raise InputError(
            f"{path}: the RTL has changed since activity was recorded: `hwsim energy --trace` records it again"
        )
    return found


def rtl_digest(top: str, rtl: Path = RTL) -> str:
    """Digest of all files of a design, without comments and assertions, which change no circuit."""
    digest = hashlib.sha256()
    for path in needed(top, rtl):
        if path.name == ASSERTIONS:
            continue
        code = re.sub(r"//.*|/\*(?s:.*?)\*/", "", text(path))
        code = re.sub(rf'`include "{ASSERTIONS}"|`ASSERT\w*\(.*\)\s*$', "", code, flags=re.MULTILINE)
        digest.update(f"{path.name}\0{' '.join(code.split())}\n".encode())
    return digest.hexdigest()[:16]


@cache
def instances(rtl: Path) -> dict[str, dict[str, str]]:
    """Of each module: the modules in it by the names of their instances."""
    modules = {p.stem: text(p) for p in sources(rtl)}
    found: dict[str, dict[str, str]] = {}
    for name, whole in modules.items():
        code = re.sub(r"//.*", "", whole)
        found[name] = {}
        for match in re.finditer(r"\b([a-z]\w*)\s+(?:#\s*\(|(?=\w+\s*\())", code):
            if match[1] in modules:
                at = _behind(code, match.end()) if match[0].endswith("(") else match.end()
                if instance := re.match(r"\s*(\w+)\s*\(", code[at:]):
                    found[name][instance[1]] = match[1]
    return found


def _behind(code: str, at: int) -> int:
    """The place behind the bracket that closes one opened before ``at``."""
    depth = 1
    while depth and at < len(code):
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    return at


def _walk(parts: Sequence[str], top: str, blocks: Sequence[str], rtl: Path) -> tuple[str, str]:
    """Block and module of a scope."""
    module = block = OTHER
    for part in parts:
        name = re.sub(r"\[.*|__BRA__.*", "", part)
        known = top if module == OTHER else instances(rtl)[module].get(name)
        if known is not None and (module != OTHER or name == top):
            module = known
            block = module if module in blocks else block
    return block, module


def rates(path: Path, top: str, blocks: Sequence[str], rtl: Path = RTL) -> tuple[int, dict[str, dict[str, float]]]:
    """Cycles, and changes of a bit a cycle by block and module, of a file that ``activity.h`` wrote."""
    totals: dict[tuple[str, str], list[int]] = {}
    cycles = 1
    for line in path.read_text(encoding="utf-8").splitlines():
        name, *numbers = line.split()
        bits, changes, steps = map(int, numbers)
        cycles = max(steps // 2, 1)
        key = _walk(name.split(".")[1:], top, blocks, rtl)
        mine = totals.setdefault(key, [0, 0])
        mine[0] += bits
        mine[1] += changes
    found: dict[str, dict[str, float]] = {}
    for (block, module), (all_bits, all_changes) in totals.items():
        if all_bits and module != OTHER:
            found.setdefault(block, {})[module] = all_changes / all_bits / cycles
    return cycles, found


def enables(path: Path, top: str, blocks: Sequence[str], rtl: Path = RTL) -> dict[str, dict[str, Enabled]]:
    """Clock enables by block and module, of a file that ``activity.h`` wrote of a design with counters
    (`hwsim.verification.enables`)."""
    totals: dict[tuple[str, str], list[float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, *numbers = line.split()
        _, changes, steps = map(int, numbers)
        parts = name.split(".")
        match = re.fullmatch(r"hwsim_enable_\d+_b(\d+)", parts[-1])
        if match and changes < steps // 2 - 1:  # one that is never low is none
            mine = totals.setdefault(_walk(parts[1:-1], top, blocks, rtl), [0, 0, 0])
            mine[0] += int(match[1])
            mine[1] += 1
            mine[2] += int(match[1]) * changes / max(steps // 2, 1)
    found: dict[str, dict[str, Enabled]] = {}
    for (block, module), (flipflops, gates, high) in totals.items():
        found.setdefault(block, {})[module] = Enabled(
            flipflops=int(flipflops), gates=int(gates), high=min(high / flipflops, 1.0)
        )
    return found


def costs(netlist: Netlist, blocks: Sequence[str]) -> dict[str, dict[str, Cost]]:
    """Cost (`hwsim.silicon.cells.price`) of a design's modules by block and module, all instances together."""
    own = {name: netlist.own(name, price) for name in netlist.modules}
    found: dict[str, dict[str, Cost]] = {}

    def visit(name: str, times: int, block: str) -> None:
        module = plain(name)
        block = module if module in blocks else block
        add(found.setdefault(block, {}).setdefault(module, {}), own[name], times)
        for cell, n in netlist.modules[name].items():
            if cell in netlist.modules:
                visit(cell, times * n, block)

    visit(next(iter(netlist.modules)), 1, OTHER)
    return found


def dynamic_fj(costs_: Mapping[str, Cost], rates_: Mapping[str, float]) -> float:
    """Femtojoules that a block's data take in a cycle, of its modules' costs and rates.

    A module that was not seen counts with the block's mean rate.
    """
    mean = sum(rates_.values()) / len(rates_) if rates_ else 0.0
    return sum(switching_fj(cost) * rates_.get(module, mean) for module, cost in costs_.items())
