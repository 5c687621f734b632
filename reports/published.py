# SPDX-License-Identifier: Apache-2.0
"""Published reference figures, one file a machine: in ``published/`` for hwsim's, else in the machine's own package."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from dataflow.errors import InputError
from dataflow.files import read_yaml, validated
from hwsim.core.machine import every


class Published(BaseModel):
    """One published figure; ``value`` only where it is a single number that a figure can show, ``low`` and ``high`` of
    a range."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    text: str
    source: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    of: str = ""
    """The model that it was measured with, where ours may be of others."""
    machine: str = ""
    """Machine that it is of, by name."""

    @property
    def shown(self) -> str:
        """Text of the figure with the model it is of."""
        return f"{self.text} ({self.of})" if self.of else self.text


def published() -> dict[str, Published]:
    """All published figures by key, in the order of the files.

    Raises:
        InputError: a broken file; a key that two files have.
    """
    found: dict[str, Published] = {}
    files = {path.stem: path for path in sorted(Path(__file__).with_name("published").glob("*.yaml"))}
    files |= {kind.name: path for kind in every() if (path := kind.published()) is not None}
    for machine, path in files.items():
        for key, raw in read_yaml(path).items():
            if key in found:
                raise InputError(f"{path}: {key}: {found[key].machine} has it too")
            row = {**raw, "text": str(raw.get("text", "")), "machine": machine} if isinstance(raw, dict) else raw
            found[key] = validated(Published, row, f"{path}: {key}")
    return found


def published_of(machine: str) -> dict[str, Published]:
    """A machine's published figures by key."""
    return {key: figure for key, figure in published().items() if figure.machine == machine}
