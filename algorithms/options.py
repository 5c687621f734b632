# SPDX-License-Identifier: Apache-2.0
"""Methods by name whose options are the fields of their class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from dataflow.errors import InputError, unknown

T = TypeVar("T")


def with_options(kind: type[T], where: str, options: Mapping[str, Any] | None = None) -> T:
    """A dataclass with options by the names of its fields, each of its default's type.

    Args:
        where: how an error begins.

    Raises:
        InputError: no such option, or one of another type.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]  # a dataclass
    for option, value in (options or {}).items():
        if option not in fields:
            raise unknown(f"{where}: option", option, fields)
        wanted = type(fields[option].default)
        if not (isinstance(value, wanted) or (wanted is float and isinstance(value, int))) or (
            isinstance(value, bool) and wanted is not bool
        ):
            raise InputError(f"{where}: option {option}: expected {wanted.__name__} (got {value!r:.60})")
    return kind(**(options or {}))
