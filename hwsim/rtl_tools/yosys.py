# SPDX-License-Identifier: Apache-2.0
"""Finding Yosys, and running its commands in a process of its own: the Python wheel's, else one on the PATH."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from dataflow.errors import InputError

from .plain import room, temporary

LEAST = (0, 60)
"""Oldest version that is taken: that of the extra ``synth``. Older ones lack options of the flows, or map worse."""
_RUN = "import sys; from pyosys import libyosys as y; d = y.Design(); [y.run_pass(c, d) for c in sys.argv[1:]]"


@cache
def program() -> tuple[str, ...]:
    """The command to which Yosys commands are added as arguments.

    Raises:
        InputError: there is none, or it is too old.
    """
    if importlib.util.find_spec("pyosys") is not None:
        _new_enough("the Python package pyosys", importlib.metadata.version("pyosys"))
        return (sys.executable, "-c", _RUN)
    if (found := shutil.which("yosys")) is not None:
        done = subprocess.run([found, "-V"], capture_output=True, encoding="utf-8", errors="replace", check=False)
        _new_enough(found, done.stdout.removeprefix("Yosys "))
        return (found, "-Q")
    raise InputError("yosys is not installed: pip install 'hwsim[synth]', or put a yosys on the PATH")


def _new_enough(what: str, version: str) -> None:
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < LEAST:
        found = match[0] if match else " ".join(version.split())[:40] or "unknown"
        raise InputError(
            f"yosys: {what} is version {found}, at least {LEAST[0]}.{LEAST[1]} is needed: pip install 'hwsim[synth]'"
        )


@cache
def version() -> str:
    """Version of Yosys, as it prints it."""
    if len(program()) == 3:
        return f"pyosys {importlib.metadata.version('pyosys')}"
    done = _process(["version"])
    lines = [line for line in done.stdout.splitlines() if line.startswith("Yosys ")]
    return lines[-1] if lines else "Yosys"


def run(commands: list[str]) -> str:
    """Run commands; what they print.

    Raises:
        InputError: a command failed; its first error. Or no room for temporary files: neither Yosys nor abc notices
            that what it writes is cut off.
    """
    room(64)
    done = _process(commands)
    room(1)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise InputError(f"yosys: {lines[0] if lines else 'ended with exit code ' + str(done.returncode)}")
    return done.stdout


def whole(path: Path, last: str) -> str:
    """A file that Yosys wrote.

    Args:
        last: what it ends with.

    Raises:
        InputError: it does not: it was cut off.
    """
    text = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
    if not text.rstrip().endswith(last):
        raise InputError(
            f"yosys: {path}: was not written whole: no room for temporary files? TMPDIR names their folder"
        )
    return text


def _process(commands: list[str]) -> subprocess.CompletedProcess[str]:
    command = [*program()]
    for text in commands:
        command += [text] if len(program()) == 3 else ["-p", text]
    place = os.environ | {"TMPDIR": str(temporary())}  # abc's
    return subprocess.run(command, env=place, capture_output=True, encoding="utf-8", errors="replace", check=False)
