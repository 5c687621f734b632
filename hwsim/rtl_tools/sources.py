# SPDX-License-Identifier: Apache-2.0
"""Where Verilog lies, and which files a module needs."""

from __future__ import annotations

import re
from pathlib import Path

from dataflow.errors import InputError
from dataflow.files import read_text

_BESIDE = Path(__file__).parents[2] / "rtl"
RTL = _BESIDE if _BESIDE.is_dir() else Path(__file__).parents[1] / "rtl"
"""The project's Verilog: ``rtl/`` of a checkout, else the copy inside the installed package."""
ASSERTIONS = "assertions.vh"
"""The header with the modules' assertions about themselves; an assertion is a line of its own."""


def sources(rtl: Path = RTL) -> list[Path]:
    """Every Verilog file under a folder."""
    return sorted(rtl.rglob("*.v"))


def text(path: Path) -> str:
    """A Verilog file; comments may be in Latin-1.

    Raises:
        InputError: it cannot be read.
    """
    return read_text(path, otherwise="latin-1")


def needed(top: str, rtl: Path = RTL) -> list[Path]:
    """The files of a module and of all it instantiates and includes, by name.

    Raises:
        InputError: no such module, or an included file that is nowhere to be found.
    """
    files = {p.stem: p for p in sources(rtl)}
    places = sorted({p.parent for p in files.values()})
    included: dict[str, Path] = {}
    if top not in files:
        raise InputError(f"rtl {rtl}: no file {top}.v")
    found: list[str] = []
    wanted = [top]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.append(name)
            code = _code(files[name])
            wanted += sorted(set(re.findall(r"\b(\w+)\s+(?:#\s*\(|\w+\s*\()", code)) & set(files))
            _include(files[name], code, places, included)
    return [*(files[n] for n in sorted(found)), *(included[n] for n in sorted(included))]


def _code(path: Path) -> str:
    return re.sub(r"//.*", "", text(path))


def _include(path: Path, code: str, places: list[Path], included: dict[str, Path]) -> None:
    """Add the files that a file includes, and those that they include, from where Verilator and Yosys look for them."""
    for name in re.findall(r'`include\s+"(.+?)"', code):
        if name in included:
            continue
        file = next((p / name for p in places if (p / name).is_file()), None)
        if file is None:
            raise InputError(f'{path}: `include "{name}": no such file in the folders of the Verilog: put it there')
        included[name] = file
        _include(file, _code(file), places, included)


def folders(rtl: Path = RTL) -> list[str]:
    """Options that say where modules and headers lie."""
    return [f"-I{p}" for p in sorted({s.parent for s in sources(rtl)})]
