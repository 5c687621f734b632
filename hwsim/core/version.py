# SPDX-License-Identifier: Apache-2.0
"""The version, and the facts of a run that every stored file has."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import sys
from typing import Any

VERSION = "0.2.0"


def facts() -> dict[str, Any]:
    """Date, version and machine of this run."""
    cpu = platform.processor() or platform.machine()
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": VERSION,
        "machine": f"{platform.system()} {cpu}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


def command() -> str:
    """The command line that runs now; of a program that uses the library, its name."""
    return shlex.join(["hwsim" if sys.argv[0].endswith("hwsim") else sys.argv[0], *sys.argv[1:]])
