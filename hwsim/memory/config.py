# SPDX-License-Identifier: Apache-2.0
"""A DRAM device and its controller: organisation and timing, in the standards' names, cycles of the command clock.

`PRESETS` are one HBM2 stack (JEDEC JESD235, 2 Gb/s a pin, 8 Gb a channel) and DDR4-2400 (JEDEC JESD79-4, 8 Gb x8).
Left out: ranks that share a data bus, power-down and self refresh, on-die error correction, the command bus's parity,
write forwarding to reads.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

Mapping = Literal["row-bank-column", "row-column-bank"]


class Timing(NamedTuple):
    """What the kernels need, as integers: counts, and cycles between the issue of two commands."""

    pseudo_channels: int
    rank_bits: int
    """Bits of a bank's number that tell the banks of a pseudo-channel apart."""
    bank_bits: int
    """Those that tell the banks of a group apart."""
    queue: int
    high: int
    """Writes waiting above which they are drained."""
    low: int
    """Writes waiting below which reads go on."""
    two_buses: int
    act_bus: int
    """Cycles that an activation takes on the row-command bus."""
    act_read: int
    act_write: int
    act_pre: int
    act_act: int
    """Of one bank."""
    act_act_short: int
    act_act_long: int
    four_acts: int
    act_refresh: int
    pre_act: int
    pre_refresh: int
    column_short: int
    column_long: int
    read_write: int
    read_pre: int
    read_data: int
    """To the end of a read's data."""
    write_read_short: int
    write_read_long: int
    write_pre: int
    refresh_act: int
    refresh_interval: int


class DramConfig(BaseModel):
    """A memory of equal channels. Frozen; unknown keys are errors; ``DramConfig()`` is an HBM2 stack of 16 channels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    standard: Literal["HBM2", "DDR4"] = Field("HBM2", description="names the energy figures")
    channels: int = Field(16, ge=1, le=256, description="channels; a power of two (SpAtten: 16)")
    clock_ps: int = Field(1000, ge=100, le=100_000, description="period of the command clock, picoseconds")
    transaction_bytes: int = Field(32, ge=8, le=256, description="bytes of a burst; a power of two")
    pseudo_channels: int = Field(
        2, ge=1, le=8, description="pseudo-channels that share a channel's commands (HBM); 1 for DDR4"
    )
    bank_groups: int = Field(4, ge=1, le=16, description="bank groups of a pseudo-channel")
    banks: int = Field(4, ge=1, le=16, description="banks of a group")
    rows: int = Field(65536, ge=1, le=1 << 24, description="rows of a bank")
    row_bytes: int = Field(1024, ge=64, le=1 << 16, description="bytes of an open row; a power of two")
    mapping: Mapping = Field("row-column-bank", description="fields of an address in a channel, highest first")
    piece_bytes: int = Field(
        128, ge=8, le=1 << 16, description="row-column-bank: bytes of a channel in one row before the next bank's"
    )
    xor_banks: bool = Field(False, description="banks exchanged by the row's low bits, against power-of-two strides")
    interleave_bytes: int = Field(32, ge=8, le=1 << 16, description="consecutive bytes in one channel; a power of two")

    queue: int = Field(32, ge=1, le=128, description="entries of the read queue, and of the write queue, of a channel")
    write_high: float = Field(0.8, ge=0, le=1, description="share of the write queue above which writes are drained")
    write_low: float = Field(0.2, ge=0, le=1, description="share of the write queue below which reads go on")
    two_command_buses: bool = Field(True, description="row and column commands in the same cycle (HBM)")

    act_bus: int = Field(2, ge=1, le=4, description="cycles of an ACT on the command bus (HBM: 2)")
    nBL: int = Field(2, ge=1, le=64, description="burst length, cycles of the data bus")
    nCL: int = Field(14, ge=1, le=256, description="read latency")
    nCWL: int = Field(5, ge=1, le=256, description="write latency")
    nRCDRD: int = Field(14, ge=1, le=256, description="ACT to RD")
    nRCDWR: int = Field(12, ge=1, le=256, description="ACT to WR")
    nRP: int = Field(14, ge=1, le=256, description="PRE to ACT")
    nRAS: int = Field(34, ge=1, le=512, description="ACT to PRE")
    nRC: int = Field(48, ge=1, le=512, description="ACT to ACT of one bank")
    nCCDS: int = Field(2, ge=1, le=64, description="column to column command, other bank group")
    nCCDL: int = Field(4, ge=1, le=64, description="column to column command, same bank group")
    nRRDS: int = Field(4, ge=1, le=64, description="ACT to ACT, other bank group")
    nRRDL: int = Field(4, ge=1, le=64, description="ACT to ACT, same bank group")
    nFAW: int = Field(15, ge=1, le=256, description="window of four ACTs")
    nWR: int = Field(16, ge=1, le=256, description="end of write data to PRE")
    nRTP: int = Field(5, ge=1, le=256, description="RD to PRE")
    nWTRS: int = Field(6, ge=1, le=256, description="end of write data to RD, other bank group")
    nWTRL: int = Field(8, ge=1, le=256, description="end of write data to RD, same bank group")
    nRTW: int = Field(2, ge=0, le=64, description="bus turnaround from read to write data, cycles")
    nRFC: int = Field(350, ge=1, le=10_000, description="refresh of all banks")
    nREFI: int = Field(3900, ge=1, le=1_000_000, description="from one refresh to the next")

    @model_validator(mode="after")
    def _consistent(self) -> DramConfig:
        for name in ("channels", "transaction_bytes", "pseudo_channels", "bank_groups", "banks", "rows", "row_bytes",
                     "interleave_bytes", "piece_bytes"):  # fmt: skip
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"{name}={value}: must be a power of two")
        if self.bank_count > 64:
            raise ValueError(f"pseudo_channels x bank_groups x banks is {self.bank_count}: at most 64")
        if self.transaction_bytes > self.row_bytes:
            raise ValueError(f"transaction_bytes={self.transaction_bytes}: above row_bytes={self.row_bytes}")
        if self.interleave_bytes < self.transaction_bytes:
            raise ValueError(
                f"interleave_bytes={self.interleave_bytes}: below transaction_bytes={self.transaction_bytes}"
            )
        if not self.transaction_bytes <= self.piece_bytes <= self.row_bytes:
            raise ValueError(f"piece_bytes={self.piece_bytes}: {self.transaction_bytes} to row_bytes={self.row_bytes}")
        if self.write_low > self.write_high:
            raise ValueError(f"write_low={self.write_low}: above write_high={self.write_high}")
        if self.standard == "DDR4" and self.pseudo_channels > 1:
            raise ValueError(f"pseudo_channels={self.pseudo_channels}: DDR4 has 1 (ranks on one data bus are left out)")
        if self.nCCDS < self.nBL or self.nCCDL < self.nCCDS:
            raise ValueError(f"nCCDS={self.nCCDS}: nBL={self.nBL} (bursts would overlap) to nCCDL={self.nCCDL}")
        if self.nREFI <= self.nRFC + self.nRC + self.nRP:
            raise ValueError(f"nREFI={self.nREFI}: no time between refreshes of nRFC={self.nRFC}")
        return self

    @property
    def bank_count(self) -> int:
        """Banks of a channel, all pseudo-channels together."""
        return self.pseudo_channels * self.bank_groups * self.banks

    @property
    def capacity_bytes(self) -> int:
        return self.channels * self.bank_count * self.rows * self.row_bytes

    @property
    def peak_bytes_per_cycle(self) -> float:
        """Of all channels together, with every data bus always busy."""
        return self.channels * self.pseudo_channels * self.transaction_bytes / self.nBL

    def timing(self) -> Timing:
        """The kernels' numbers. An ACT counts from its last cycle on the bus where it opens a row, from its first where
        it waits for another ACT."""
        late = self.act_bus - 1
        return Timing(
            pseudo_channels=self.pseudo_channels, rank_bits=(self.bank_groups * self.banks).bit_length() - 1,
            bank_bits=self.banks.bit_length() - 1, queue=self.queue,
            high=int(self.write_high * self.queue), low=-int(-self.write_low * self.queue // 1),
            two_buses=int(self.two_command_buses), act_bus=self.act_bus,
            act_read=self.nRCDRD + late, act_write=self.nRCDWR + late, act_pre=self.nRAS + late, act_act=self.nRC,
            act_act_short=self.nRRDS, act_act_long=self.nRRDL, four_acts=self.nFAW, act_refresh=self.nRC + late,
            pre_act=self.nRP - late, pre_refresh=self.nRP,
            column_short=self.nCCDS, column_long=self.nCCDL,
            read_write=self.nCL + self.nBL + self.nRTW - self.nCWL, read_pre=self.nRTP,
            read_data=self.nCL + self.nBL,
            write_read_short=self.nCWL + self.nBL + self.nWTRS, write_read_long=self.nCWL + self.nBL + self.nWTRL,
            write_pre=self.nCWL + self.nBL + self.nWR,
            refresh_act=self.nRFC - late, refresh_interval=self.nREFI,
        )  # fmt: skip


def hbm2(channels: int = 16) -> DramConfig:
    """HBM2: channels of two 64-bit pseudo-channels at 1 GHz, 32 bytes a cycle a channel at most."""
    return DramConfig(channels=channels)


def ddr4_2400(channels: int = 1) -> DramConfig:
    """DDR4-2400R, one rank of 8 Gb x8 devices a channel, 64 bits wide."""
    return DramConfig(
        standard="DDR4", channels=channels, clock_ps=833, transaction_bytes=64, interleave_bytes=64, pseudo_channels=1,
        row_bytes=8192, two_command_buses=False, act_bus=1, nBL=4, nCL=16, nCWL=12, nRCDRD=16, nRCDWR=16, nRP=16,
        nRAS=39, nRC=55, nCCDS=4, nCCDL=6, nRRDS=4, nRRDL=6, nFAW=26, nWR=18, nRTP=9, nWTRS=3, nWTRL=9, nRFC=433,
        nREFI=9364,
    )  # fmt: skip


PRESETS = {"hbm2": hbm2, "ddr4-2400": ddr4_2400}
