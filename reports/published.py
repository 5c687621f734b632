# SPDX-License-Identifier: Apache-2.0
"""Published reference figures, from the one file that holds them (``published.yaml``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from dataflow.files import read_yaml, validated


class Published(BaseModel):
    """One published figure; ``value`` only where it is a single number that a figure can show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    text: str
    source: str
    value: float | None = None


@cache
def published() -> dict[str, Published]:
    """All published figures by key."""
    path = Path(__file__).with_name("published.yaml")
    return {
        key: validated(Published, {**v, "text": str(v["text"])}, f"{path}: {key}") for key, v in read_yaml(path).items()
    }
