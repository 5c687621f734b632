# SPDX-License-Identifier: Apache-2.0
"""The cards that were measured: their data sheets (`cards.yaml`) and the numbers fitted to the measurements
(`fitted.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dataflow.errors import InputError, unknown
from dataflow.files import read_yaml, validated

SHARED = ("dram_share", "overlap", "l2_speed", "l2_share", "power_onset_us")
"""Of both modes: usable share of the DRAM's peak; exponent of the overlap of multiplies and memory (2: half, large:
whole); speed of the L2 in DRAMs; share of the L2 that holds operands; duration at which the clock begins to fall."""
MODE = ("launch_us", "rate", "step_us", "small_tile", "raster", "split_us", "power_drop")
"""Of a mode: launch and prologue; sustained rate (1: the data sheet's dense peak); latency of a step of 64; what small
tiles cost; row bands that a wave holds at least; the kernel that adds up a split; share of the speed lost to power."""
SHEET = ("sms", "peak_flops", "dram_bytes_per_s", "l2_bytes")
"""A card's data sheet as the kernel takes it: rates are per microsecond."""

HERE = Path(__file__).parent
FITTED = HERE / "fitted.yaml"
FORMAT = "hwsim-gpu-fitted/1"
USED = "A"
"""The split whose fitted numbers a simulation takes: their errors on files that they were not fitted to are known."""


class Sheet(BaseModel):
    """A card's data sheet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    sms: int = Field(ge=1, description="streaming multiprocessors")
    peak_flops: float = Field(gt=0, description="peak of dense bf16 with FP32 sums, operations a second")
    dram_bytes_per_s: float = Field(gt=0, description="DRAM peak, bytes a second")
    l2_bytes: int = Field(ge=1, description="L2 cache, bytes")
    clock_hz: int = Field(ge=1, description="boost clock, hertz: what a cycle of a result is")
    board_watts: int = Field(ge=1, description="power of the board")
    measured_as: str
    """The card's name in the measured tables."""
    measured_here: bool = False
    """Its tables were measured for this project, not published; no figure of the published cards has it in it."""
    like: str = ""
    """The published card of the same generation, whose numbers are tried on it."""

    @property
    def vector(self) -> np.ndarray:
        """As the kernel takes it (`SHEET`): rates are per microsecond."""
        return np.array([self.sms, self.peak_flops * 1e-6, self.dram_bytes_per_s * 1e-6, self.l2_bytes])


@cache
def sheets() -> dict[str, Sheet]:
    """Every card's data sheet by name."""
    where = HERE / "cards.yaml"
    return {name: validated(Sheet, card, f"{where.name}: {name}") for name, card in read_yaml(where)["cards"].items()}


def published() -> dict[str, Sheet]:
    """The cards that others measured."""
    return {name: card for name, card in sheets().items() if not card.measured_here}


def sheet(name: str) -> Sheet:
    """A card's data sheet.

    Raises:
        InputError: no card of that name.
    """
    if name not in sheets():
        raise unknown("gpu", name, sheets())
    return sheets()[name]


@cache
def stored(path: Path = FITTED) -> dict[str, Any]:
    """The file of fitted numbers: how they were fitted, the numbers and their errors by split.

    Raises:
        InputError: missing, or of another format.
    """
    found = read_yaml(path)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{path}: format: expected {FORMAT}; make gpu-fit makes it anew")
    return found


def fitted(name: str, split: str = USED) -> np.ndarray:
    """The fitted numbers of a card as the kernel takes them (`SHARED`, then `MODE` dense and 2:4)."""
    return vector(stored()["splits"][split]["cards"][name]["fitted"])


def vector(numbers: dict[str, dict[str, float]]) -> np.ndarray:
    """Named numbers in the kernel's order."""
    return np.array([numbers["shared"][n] for n in SHARED] + [numbers[m][n] for m in ("dense", "2:4") for n in MODE])


def named(numbers: np.ndarray) -> dict[str, dict[str, float]]:
    """Numbers in the kernel's order by their names, with six digits."""
    values = [float(f"{v:.6g}") for v in numbers]
    at, each = len(SHARED), len(MODE)
    parts = {"shared": values[:at], "dense": values[at : at + each], "2:4": values[at + each :]}
    return {part: dict(zip(SHARED if part == "shared" else MODE, v, strict=True)) for part, v in parts.items()}
