# SPDX-License-Identifier: Apache-2.0
"""Where Verilog lies, and which files a module needs."""

from __future__ import annotations

import re
from pathlib import Path

from dataflow.errors import InputError

_BESIDE = Path(__file__).parents[2] / "rtl"
RTL = _BESIDE if _BESIDE.is_dir() else Path(__file__).parents[1] / "rtl"
"""The project's Verilog: ``rtl/`` of a checkout, else the copy inside the installed package."""


def sources(rtl: Path = RTL) -> list[Path]:
    """Every Verilog file under a folder."""
    return sorted(rtl.rglob("*.v"))


def needed(top: str, rtl: Path = RTL) -> list[Path]:
    """The files of a module and of all it instantiates and includes, by name."""
    files = {p.stem: p for p in sources(rtl)}
    headers = {p.name: p for p in rtl.rglob("*.vh")}
    included: set[str] = set()
    if top not in files:
        raise InputError(f"rtl {rtl}: no file {top}.v")
    found: list[str] = []
    wanted = [top]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.append(name)
            text = re.sub(r"//.*", "", files[name].read_text(encoding="utf-8"))
            wanted += sorted(set(re.findall(r"\b(\w+)\s+(?:#\s*\(|\w+\s*\()", text)) & set(files))
            included |= set(re.findall(r'`include "(.+?)"', text))
    return [*(files[n] for n in sorted(found)), *(headers[n] for n in sorted(included))]


def folders(rtl: Path = RTL) -> list[str]:
    """Options that say where modules and headers lie."""
    return [f"-I{p}" for p in sorted({s.parent for s in sources(rtl)})]
