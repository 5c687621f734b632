# SPDX-License-Identifier: Apache-2.0
"""Measurements on this computer, which a machine's study shows beside its own figures.

They need packages that the simulators do not (torch), so they are found by entry point (group ``hwsim.measurements``)
and are missing where those packages are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataflow.errors import InputError
from dataflow.registry import Registry

MEASUREMENTS: Registry[Callable[..., Any]] = Registry("measurement", "hwsim.measurements")


def measurement(name: str) -> Callable[..., Any] | None:
    """A measurement by name; None where the packages that it needs are not installed."""
    try:
        return MEASUREMENTS.get(name)
    except InputError as error:
        if name in MEASUREMENTS and not isinstance(error.__cause__, ImportError):
            raise
        return None
