# SPDX-License-Identifier: Apache-2.0
"""What a memory did, and its energy: commands times figures, each with its source.

Left out: background and leakage, the controller, DDR4's I/O and termination (they depend on the board).
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.energy import Figure

from .config import DramConfig

_OCONNOR = "M. O'Connor et al., Fine-Grained DRAM, MICRO 2017, table 3 (HBM2)"
HBM2_ACTIVATE = Figure("HBM2 activation of a 1 KiB row, with its precharge", 909.0, "pJ", _OCONNOR, "DRAM")
HBM2_ARRAY = Figure("HBM2 data, cells to global sense amplifiers", 1.51, "pJ/bit", _OCONNOR, "DRAM")
HBM2_CHIP = Figure("HBM2 data, from there to the pins", 1.17, "pJ/bit", _OCONNOR, "DRAM")
HBM2_IO = Figure("HBM2 input and output", 0.80, "pJ/bit", _OCONNOR, "DRAM")

_MICRON = "Micron MT40A1G8 data sheet (8 Gb DDR4-2400 x8), used as in technical note TN-40-07"
DDR4_VDD = Figure("DDR4 supply", 1.2, "V", _MICRON, "DRAM")
DDR4_IDD0 = Figure("DDR4 activate and precharge", 48.0, "mA", _MICRON, "DRAM")
DDR4_IDD2N = Figure("DDR4 precharged, idle", 34.0, "mA", _MICRON, "DRAM")
DDR4_IDD3N = Figure("DDR4 active, idle", 43.0, "mA", _MICRON, "DRAM")
DDR4_IDD4R = Figure("DDR4 reading", 135.0, "mA", _MICRON, "DRAM")
DDR4_IDD4W = Figure("DDR4 writing", 123.0, "mA", _MICRON, "DRAM")
DDR4_IDD5 = Figure("DDR4 refreshing", 250.0, "mA", _MICRON, "DRAM")
DDR4_DEVICES = 8
"""x8 devices that make 64 bits."""

TABLE = (HBM2_ACTIVATE, HBM2_ARRAY, HBM2_CHIP, HBM2_IO, DDR4_VDD, DDR4_IDD0, DDR4_IDD2N, DDR4_IDD3N, DDR4_IDD4R,
         DDR4_IDD4W, DDR4_IDD5)  # fmt: skip
REFRESHES = 8192
"""REF commands that refresh every row once (both standards)."""


@dataclass(frozen=True, slots=True)
class DramRun:
    """What a list of transactions took."""

    config: DramConfig
    transactions: int
    cycles: int
    """From the first transaction offered to the last read's data, or the last write's command."""
    commands: dict[str, int]

    @property
    def bytes(self) -> int:
        return self.transactions * self.config.transaction_bytes

    @property
    def bytes_per_cycle(self) -> float:
        return self.bytes / max(self.cycles, 1)

    @property
    def share_of_peak(self) -> float:
        return self.bytes_per_cycle / self.config.peak_bytes_per_cycle

    @property
    def row_hits(self) -> float:
        """Share of transactions that needed no activation of their own."""
        return 1 - self.commands["ACT"] / max(self.transactions, 1)


def command_energy(config: DramConfig) -> dict[str, float]:
    """Picojoules of one activation (its precharge included), read, write and refresh of a channel."""
    if config.standard == "HBM2":
        move = 8 * config.transaction_bytes * (HBM2_ARRAY.value_pj + HBM2_CHIP.value_pj + HBM2_IO.value_pj)
        activate = HBM2_ACTIVATE.value_pj * config.row_bytes / 1024
        rows = config.bank_groups * config.banks * config.rows / REFRESHES  # each is opened and closed once
        return {"activate": activate, "read": move, "write": move, "refresh": rows * activate}
    # mA x V x ns = pJ
    unit = DDR4_DEVICES * DDR4_VDD.value_pj * config.clock_ps / 1000
    over_idle = (DDR4_IDD0.value_pj - DDR4_IDD2N.value_pj) * config.nRC
    open_idle = (DDR4_IDD3N.value_pj - DDR4_IDD2N.value_pj) * config.nRAS
    return {
        "activate": unit * (over_idle - open_idle),
        "read": unit * (DDR4_IDD4R.value_pj - DDR4_IDD3N.value_pj) * config.nBL,
        "write": unit * (DDR4_IDD4W.value_pj - DDR4_IDD3N.value_pj) * config.nBL,
        "refresh": unit * (DDR4_IDD5.value_pj - DDR4_IDD2N.value_pj) * config.nRFC,
    }


def dram_energy(run: DramRun) -> dict[str, float]:
    """Picojoules of a run by kind of command."""
    each = command_energy(run.config)
    names = {"activate": "ACT", "read": "RD", "write": "WR", "refresh": "REF"}
    return {kind: each[kind] * run.commands[name] for kind, name in names.items()}
