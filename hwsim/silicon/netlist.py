# SPDX-License-Identifier: Apache-2.0
"""A synthesized module: cells by type of every module in it, the hierarchy kept; made once for each content of the RTL.

What a cell costs is a question for others (`hwsim.silicon.fpga`, `hwsim.silicon.asic`); here costs are added up over
the hierarchy. A memory that was left whole counts as a cell of the type ``ram WORDSxBITS``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dataflow.errors import InputError
from dataflow.files import cache_folder, write_text
from hwsim.rtl_tools.sources import RTL, folders, needed
from hwsim.rtl_tools.sources import text as verilog

from ..rtl_tools.plain import plain_folder, plain_path
from ..rtl_tools.yosys import run, version, whole

NETLIST_FORMAT = "hwsim-netlist/1"
ALONE = "alone"
Cost = dict[str, float]
Tick = Callable[[str, int, int], None]
"""Called with a module's name, how many modules are done, and of how many."""
Price = Callable[[str], Mapping[str, float]]
"""What one cell of a type costs, by kind of cost."""


def quiet(name: str, done: int, of: int) -> None:
    """A `Tick` that does nothing."""


_LATCH = re.compile(r"LDCE|LDPE|\$_DLATCH.*|\$_SR_.*|\$s?d?latch.*")


class Flow(NamedTuple):
    """How a module is synthesized."""

    name: str
    commands: tuple[str, ...]
    """Yosys commands for the module `ALONE`, in which others are black boxes."""
    content: str = ""
    """Digest of a file that the commands read: a cell library."""
    for_memories: frozenset[str] = frozenset()
    """Those of the commands that a module without a memory does without: they take longer than all others."""


class Row(NamedTuple):
    """A module with its parameters, as often as the design has it."""

    module: str
    instances: int
    own: Cost
    """Cost of one instance, without its submodules."""
    whole: Cost
    """Cost of one instance with its submodules."""


@dataclass
class Netlist:
    """A synthesized module."""

    top: str
    parameters: dict[str, int]
    yosys: str
    modules: dict[str, dict[str, int]]
    """Cells by type of each module, modules in it among them; the top first."""
    delays_ps: dict[str, float]
    """Of modules with logic, where the flow tells: the longest path between their own ports and flip-flops."""

    def instances(self) -> Counter[str]:
        """How often the design has each module."""
        found: Counter[str] = Counter()

        def visit(name: str, times: int) -> None:
            found[name] += times
            for cell, count in self.modules[name].items():
                if cell in self.modules:
                    visit(cell, times * count)

        visit(next(iter(self.modules)), 1)
        return found

    def rows(self, price: Price) -> list[Row]:
        """One a module, the top first, then by what all its instances cost of the first kind.

        Raises:
            InputError: of ``price``, for a cell it does not know.
        """
        instances = self.instances()
        own = {name: self.own(name, price) for name in instances}
        none = dict.fromkeys((kind for cost in own.values() for kind in cost), 0.0)
        own = {name: none | cost for name, cost in own.items()}  # a module of modules alone has cells of no kind
        whole: dict[str, Cost] = {}

        def total(name: str) -> Cost:
            if name not in whole:
                found = dict(own[name])
                for cell, count in self.modules[name].items():
                    if cell in self.modules:
                        add(found, total(cell), count)
                whole[name] = found
            return whole[name]

        rows = [Row(name, instances[name], own[name], total(name)) for name in instances]
        top = next(iter(self.modules))
        return sorted(rows, key=lambda r: (r.module != top, *(-r.instances * v for v in r.own.values())))

    def own(self, module: str, price: Price) -> Cost:
        """Cost of one module, without its submodules."""
        found: Cost = {}
        for cell, count in self.modules[module].items():
            if cell not in self.modules:
                add(found, price(cell), count)
        return found

    def total(self, price: Price) -> Cost:
        """Cost of the whole design."""
        return self.rows(price)[0].whole

    def by_name(self, price: Price) -> list[dict[str, Any]]:
        """Cost of all instances of each module of the RTL, whatever its parameters, without the modules in it."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows(price):
            name = plain(row.module)
            mine = found.setdefault(name, {"module": name, "instances": 0})
            mine["instances"] += row.instances
            add(mine, row.own, row.instances)
        kinds = dict.fromkeys((k for row in found.values() for k in row if k not in ("module", "instances")), 0.0)
        return [{"module": r["module"], "instances": r["instances"], **kinds, **r} for r in found.values()]

    @property
    def latches(self) -> int:
        """Latches in it: there should be none."""
        return sum(n for cells in self.modules.values() for cell, n in cells.items() if _LATCH.fullmatch(cell))


def add(total: dict[str, Any], more: Mapping[str, float], times: float = 1) -> None:
    """Add so many times a cost."""
    for kind, value in more.items():
        total[kind] = total.get(kind, 0.0) + times * value


def plain(module: str) -> str:
    """The RTL's name of a module that Yosys has named by its parameters."""
    name = module.removeprefix("$paramod")
    return re.split(r"\\", name.lstrip("\\"))[-1 if name.startswith("$") else 0]


def parameters_of(top: str, machine: Mapping[str, int], rtl: Path = RTL) -> dict[str, int]:
    """Those of a machine's Verilog parameters that a module has.

    Raises:
        InputError: no such module.
    """
    text = verilog(next(p for p in needed(top, rtl) if p.stem == top))
    names = set(re.findall(r"^\s*parameter\s+(?:\[[^]]*\]\s*)?(\w+)\s*=", text, re.MULTILINE))
    return {name: value for name, value in machine.items() if name in names}


def synthesize(top: str, machine: Mapping[str, int], flow: Flow, rtl: Path = RTL, tick: Tick = quiet) -> Netlist:
    """A module at a machine's parameters. Every module in it is synthesized alone, once for each content and parameters
    in the user's cache: another size of the same design makes only what is new.

    Args:
        tick: called whenever a module is done.

    Raises:
        InputError: no Yosys, no such module, RTL that it does not take.
    """
    parameters = parameters_of(top, machine, rtl)
    folder = cache_folder("synth")
    settings = (NETLIST_FORMAT, version(), top, sorted(parameters.items()), flow.commands, flow.content)
    digest = hashlib.sha256(repr(settings).encode())
    for path in needed(top, rtl):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    index = folder / f"{digest.hexdigest()[:24]}.index.json"
    files = _read(index) or {}
    found = {name: _read(folder / path) for name, path in files.items()}
    if not files or not all(found.values()):
        files = _make(hierarchy(top, parameters, rtl), flow, folder, tick)
        write_text(index, json.dumps(files) + "\n")
        found = {name: _read(folder / path) for name, path in files.items()}
    modules = {name: facts["cells"] for name, facts in found.items()}
    return Netlist(top, parameters, version(), modules, {n: f["delay_ps"] for n, f in found.items() if f["delay_ps"]})


def _read(path: Path) -> Any:
    """A stored netlist; None where there is no file, or a broken one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _make(texts: Mapping[str, str], flow: Flow, folder: Path, tick: Tick) -> dict[str, str]:
    """Synthesize what is not there yet: the file of each module."""
    files, missing = {}, {}
    for name, text in texts.items():
        digest = hashlib.sha256(repr((NETLIST_FORMAT, version(), flow.commands, flow.content)).encode() + text.encode())
        files[name] = f"{digest.hexdigest()[:24]}.json"
        if not _read(folder / files[name]):
            missing[files[name]] = (name, text)

    def make(job: tuple[str, tuple[str, str]]) -> str:
        path, (name, text) = job
        _one(folder / path, text, flow, name)
        return name

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(make, job) for job in sorted(missing.items(), key=lambda job: -len(job[1][1]))]
        try:
            for i, job in enumerate(as_completed(jobs)):
                tick(plain(job.result()), i + 1, len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return files


def hierarchy(top: str, parameters: Mapping[str, int], rtl: Path) -> dict[str, str]:
    """Of each module with its parameters, the top first: its text, behind the ports of the modules in it."""
    rtl = plain_path(rtl)
    paths = needed(top, rtl)
    with plain_folder() as folder:
        il = folder / "all.il"
        names = " ".join(str(p) for p in paths if p.suffix == ".v")
        chparam = "".join(f" -chparam {k} {v}" for k, v in parameters.items())
        run([
            f"read_verilog {' '.join(folders(rtl))} {names}", f"hierarchy -check -top {top}{chparam}",
            "setattr -mod -unset src", "setattr -unset src", f"write_rtlil {il}",
        ])  # fmt: skip
        texts = _split(whole(il, "end"))
    first = next(name for name in texts if plain(name) == top)
    ports = {name: _stub(name, text) for name, text in texts.items()}
    found = {}
    for name in (first, *(n for n in texts if n != first)):
        inside = {_strip(c) for c in re.findall(r"^  cell (\S+) ", texts[name], re.MULTILINE)} & set(texts)
        found[name] = "".join(ports[c] for c in sorted(inside)) + _renamed(texts[name])
    return found


def instances(texts: Mapping[str, str]) -> Counter[str]:
    """How often a design has each module, of what `hierarchy` gives."""
    cells = {
        name: Counter(_strip(c) for c in re.findall(r"^  cell (\S+) ", text, re.MULTILINE))
        for name, text in texts.items()
    }
    found: Counter[str] = Counter()

    def visit(name: str, times: int) -> None:
        found[name] += times
        for cell, count in cells[name].items():
            if cell in texts:
                visit(cell, times * count)

    visit(next(iter(texts)), 1)
    return found


def _strip(name: str) -> str:
    return name.removeprefix("\\")


def _split(il: str) -> dict[str, str]:
    """Text of each module of an RTLIL file, its own attributes left out."""
    found = {}
    for match in re.finditer(r"^module (\S+)\n.*?^end\n", il, re.MULTILINE | re.DOTALL):
        found[_strip(match[1])] = match[0]
    return found


def _stub(name: str, text: str) -> str:
    """A module's ports alone."""
    ports = re.findall(r"^  wire .*(?:input|output|inout) \d+ .*\n", text, re.MULTILINE)
    escaped = name if name.startswith("$") else "\\" + name
    return f"attribute \\blackbox 1\nmodule {escaped}\n{''.join(ports)}end\n"


def _renamed(text: str) -> str:
    return re.sub(r"^module \S+\n", f"module \\\\{ALONE}\n", text, count=1)


def _one(cached: Path, text: str, flow: Flow, name: str) -> None:
    """Synthesize one module and keep its cells."""
    with plain_folder() as folder:
        il, stat, memories = (folder / n for n in ("module.il", "stat.json", "memories.txt"))
        il.write_text(text, encoding="utf-8")
        try:
            commands = [c for c in flow.commands if c not in flow.for_memories or re.search(r"^  memory ", text, re.M)]
            log = run([f"read_rtlil {il}", *commands, f"tee -q -o {stat} stat -json -top {ALONE}",
                       f"tee -q -o {memories} dump -m t:$mem_v2"])  # fmt: skip
        except InputError as error:
            raise InputError(f"synthesis of {plain(name)}: {error}") from None
        facts = json.loads(whole(stat, "}"))["modules"]["\\" + ALONE]
        cells = {_strip(cell): int(n) for cell, n in facts["num_cells_by_type"].items()}
        _name_memories(cells, memories.read_text(encoding="utf-8"))
    delays = re.findall(r"Delay = *([\d.]+) ps", log)
    write_text(cached, json.dumps({"cells": cells, "delay_ps": max(map(float, delays), default=0.0)}) + "\n")


def _name_memories(cells: dict[str, int], dump: str) -> None:
    """Replace memories that were left whole by ``ram WORDSxBITS``."""
    width = 0
    cells.pop("$mem_v2", None)
    for line in dump.splitlines():
        words = line.split()
        if words[:2] == ["parameter", r"\WIDTH"]:
            width = int(words[2])
        elif words[:2] == ["parameter", r"\SIZE"]:
            name = f"ram {int(words[2])}x{width}"
            cells[name] = cells.get(name, 0) + 1


def ram_size(cell: str) -> tuple[int, int] | None:
    """Words and bits of a word of a memory cell; None: another cell."""
    match = re.fullmatch(r"ram (\d+)x(\d+)", cell)
    return (int(match[1]), int(match[2])) if match else None


def unknown(cell: str) -> InputError:
    """The error for a cell that no table has."""
    return InputError(f"synthesis: cell {cell}: is not in the table of cells")
