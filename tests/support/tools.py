# SPDX-License-Identifier: Apache-2.0
"""Tools that a test needs: one that is missing skips the test, but fails it in continuous integration."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import NoReturn

import pytest

from dataflow.errors import InputError
from hwsim.rtl_tools.verilator import environment


def lacks(reason: str) -> NoReturn:
    """Skip what is running (a test, a fixture or a whole file); where all tools must be there, fail it: with the
    environment variable ``CI`` or ``HWSIM_REQUIRE_TOOLS``."""
    if os.environ.get("CI") or os.environ.get("HWSIM_REQUIRE_TOOLS"):
        pytest.fail(f"missing: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def package(name: str, extra: str = "dev") -> ModuleType:
    """A Python module of an optional package, which comes with that extra."""
    try:
        return importlib.import_module(name)
    except ImportError:
        lacks(f"{name} is not installed: pip install 'hwsim[{extra}]'")


def verilator() -> None:
    """Verilator, perl, make and a C++ compiler."""
    try:
        environment()
    except InputError as error:
        lacks(str(error))
