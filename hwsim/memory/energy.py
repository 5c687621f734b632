# SPDX-License-Identifier: Apache-2.0
"""Energy of a memory's commands: their number times figures, each with its source.

Left out: background and leakage, the controller, DDR4's I/O and termination (they depend on the board).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hwsim.core.energy import Figure

from .config import DramConfig

_OCONNOR = "M. O'Connor et al., Fine-Grained DRAM, MICRO 2017, table 3 (HBM2)"
HBM2_ACTIVATE = Figure("HBM2 activation of a 1 KiB row, with its precharge", 909.0, "pJ", _OCONNOR, "DRAM")
HBM2_MOVE = Figure("HBM2 data, cells to the other side's pins, I/O included", 3.48, "pJ/bit", _OCONNOR, "DRAM")


class Currents(NamedTuple):
    """A DDR device's supply currents, mA, by the standard's names."""

    source: str
    devices: int
    """That make a channel's width."""
    volts: float
    idd0: float
    """Activating and precharging one bank."""
    idd2n: float
    """Idle, precharged."""
    idd3n: float
    """Idle, rows open."""
    idd4r: float
    idd4w: float
    idd5: float
    """Refreshing."""


DDR4 = Currents(
    "Micron MT40A1G8 data sheet (8 Gb DDR4-2400 x8); formulas: Micron technical note TN-40-07",
    devices=8, volts=1.2, idd0=48, idd2n=34, idd3n=43, idd4r=135, idd4w=123, idd5=250,
)  # fmt: skip
REFRESHES = 8192
"""REF commands that refresh every row once (both standards)."""


def command_energy(config: DramConfig) -> dict[str, float]:
    """Picojoules of one activation (its precharge included), read, write and refresh of a channel."""
    if config.standard == "HBM2":
        move = 8 * config.transaction_bytes * HBM2_MOVE.value_pj
        activate = HBM2_ACTIVATE.value_pj * config.row_bytes / 1024
        rows = config.bank_groups * config.banks * config.rows / REFRESHES  # each is opened and closed once
        return {"activate": activate, "read": move, "write": move, "refresh": rows * activate}
    d = DDR4
    unit = d.devices * d.volts * config.clock_ps / 1000  # x mA and cycles: pJ
    over_idle, open_idle = (d.idd0 - d.idd2n) * config.nRC, (d.idd3n - d.idd2n) * config.nRAS
    return {
        "activate": unit * (over_idle - open_idle),
        "read": unit * (d.idd4r - d.idd3n) * config.nBL,
        "write": unit * (d.idd4w - d.idd3n) * config.nBL,
        "refresh": unit * (d.idd5 - d.idd2n) * config.nRFC,
    }


def dram_energy(config: DramConfig, commands: Mapping[str, int]) -> dict[str, float]:
    """Picojoules by kind of command, of a count of each (`controller.COMMANDS`)."""
    each = command_energy(config)
    names = {"activate": "ACT", "read": "RD", "write": "WR", "refresh": "REF"}
    return {kind: each[kind] * commands[name] for kind, name in names.items()}
