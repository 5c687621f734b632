# SPDX-License-Identifier: Apache-2.0
"""Finding Yosys, and running its commands in a process of its own: the Python wheel's, else one on the PATH."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from functools import cache

from dataflow.errors import InputError

from .plain import temporary

_RUN = "import sys; from pyosys import libyosys as y; d = y.Design(); [y.run_pass(c, d) for c in sys.argv[1:]]"


@cache
def program() -> tuple[str, ...]:
    """The command to which Yosys commands are added as arguments.

    Raises:
        InputError: there is none.
    """
    if importlib.util.find_spec("pyosys") is not None:
        return (sys.executable, "-c", _RUN)
    if (found := shutil.which("yosys")) is not None:
        return (found, "-Q")
    raise InputError("yosys is not installed: pip install 'hwsim[synth]', or put a yosys on the PATH")


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
        InputError: a command failed; its first error.
    """
    done = _process(commands)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise InputError(f"yosys: {lines[0] if lines else 'ended with exit code ' + str(done.returncode)}")
    return done.stdout


def _process(commands: list[str]) -> subprocess.CompletedProcess[str]:
    command = [*program()]
    for text in commands:
        command += [text] if len(program()) == 3 else ["-p", text]
    place = os.environ | {"TMPDIR": str(temporary())}  # abc's
    return subprocess.run(command, env=place, capture_output=True, encoding="utf-8", errors="replace", check=False)
