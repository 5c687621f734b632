# SPDX-License-Identifier: Apache-2.0
"""Energy of a memory's commands: their number times figures, from the standard's file, each with its source.

Left out: background and leakage, the controller, a DDR device's I/O and termination (they depend on the board).
"""

from __future__ import annotations

from collections.abc import Mapping

from dataflow.errors import InputError
from hwsim.core.energy import Figure

from .config import DramConfig, find_standard
from .standards import Currents, EnergyFigures


def without_figures(config: DramConfig) -> str:
    """Why the energy of a memory's commands is not known, or nothing."""
    standard = find_standard(config.standard)
    return "" if standard.energy else f"DRAM standard {standard.name}: its file has no energy figures (section energy)"


def command_energy(config: DramConfig) -> dict[str, float]:
    """Picojoules of one activation (its precharge included), read, write and refresh of a channel.

    Raises:
        InputError: the standard's file has no energy figures.
    """
    d = _energy_of(config)
    if isinstance(d, EnergyFigures):
        move = 8 * config.transaction_bytes * d.move_pj_per_bit
        activate = d.activate_pj * config.row_bytes / d.activate_row_bytes
        rows = config.bank_groups * config.banks * config.rows / d.refreshes  # each is opened and closed once
        return {"activate": activate, "read": move, "write": move, "refresh": rows * activate}
    unit = d.devices * d.volts * config.clock_ps / 1000  # x mA and cycles: pJ
    over_idle, open_idle = (d.idd0 - d.idd2n) * config.nRC, (d.idd3n - d.idd2n) * config.nRAS
    return {
        "activate": unit * (over_idle - open_idle),
        "read": unit * (d.idd4r - d.idd3n) * config.nBL,
        "write": unit * (d.idd4w - d.idd3n) * config.nBL,
        "refresh": unit * (d.idd5 - d.idd2n) * config.nRFC,
    }


def figures(config: DramConfig) -> tuple[Figure, ...]:
    """The figures behind a memory's energy, for a table with sources.

    Raises:
        InputError: the standard's file has no energy figures.
    """
    d = _energy_of(config)
    name = find_standard(config.standard).name
    if isinstance(d, EnergyFigures):
        row = f"{d.activate_row_bytes / 1024:g} KiB"
        what = f"{name} activation of a {row} row, with its precharge"
        return (
            Figure(what, d.activate_pj, "pJ", d.source, "DRAM"),
            Figure(f"{name} data, cells to the other side's pins, I/O included", d.move_pj_per_bit, "pJ/bit", d.source,
                   "DRAM"),
        )  # fmt: skip
    each = command_energy(config)
    return tuple(Figure(f"{name} {kind}, a channel", value, "pJ", d.source, "DRAM") for kind, value in each.items())


def _energy_of(config: DramConfig) -> EnergyFigures | Currents:
    standard = find_standard(config.standard)
    if standard.energy is None:
        raise InputError(without_figures(config))
    return standard.energy


def dram_energy(config: DramConfig, commands: Mapping[str, int]) -> dict[str, float]:
    """Picojoules by kind of command, of a count of each (`controller.COMMANDS`)."""
    each = command_energy(config)
    names = {"activate": "ACT", "read": "RD", "write": "WR", "refresh": "REF"}
    return {kind: each[kind] * commands[name] for kind, name in names.items()}
