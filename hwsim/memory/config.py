# SPDX-License-Identifier: Apache-2.0
"""A DRAM device and its controller: organisation and timing, in the standards' names, cycles of the command clock.

What a configuration does not say is as its standard has it (`hwsim.memory.standards`, one data file a standard). Left
out: ranks that share a data bus, power-down and self refresh, on-die error correction, the command bus's parity,
write forwarding to reads.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from .standards import STANDARDS, Standard

Mapping = Literal["row-bank-column", "row-column-bank"]


class Timing(NamedTuple):
    """Parameters of the kernels, as integers: counts, and cycles between the issue of two commands."""

    pseudo_channels: int
    rank_bits: int
    """Bits of a bank's number within its pseudo-channel."""
    bank_bits: int
    """Bits of a bank's number within its bank group."""
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
    """Cycles between two activations of one bank."""
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
    """Cycles from a read to the end of its data."""
    write_read_short: int
    write_read_long: int
    write_pre: int
    refresh_act: int
    refresh_interval: int
    column_bus: int
    """Cycles that a read or write takes on the column-command bus."""
    pre_pre: int
    write_long: int
    """Between writes to one bank group."""
    stacks: int
    column_stack: int
    """Between reads from two stacks of dies."""
    half_clocks: int
    second_act: int
    """From an activation to the deadline of its second command; 0: it has none."""
    clock_runs: int
    """From a read until the data clock stops; 0: it never does."""
    clock_runs_write: int


FORMER_NAMES = {"ddr4": "ddr4-2400"}
"""Names of standards in older stored configurations -> their names now."""


def find_standard(name: str) -> Standard:
    """A standard by name.

    Raises:
        InputError: no such standard; lists those there are.
    """
    return STANDARDS.get(FORMER_NAMES.get(name.lower(), name))


StandardName = Annotated[str, AfterValidator(lambda name: find_standard(name).name)]


def _as_standard(field: str, low: int | None, high: int | None, description: str) -> Any:
    """A field whose default is what the standard (the first field to be checked) has."""
    return Field(
        default_factory=lambda data: find_standard(data["standard"]).defaults[field],
        ge=low, le=high, description=f"{description}; default: the standard's",
    )  # fmt: skip


class DramConfig(BaseModel):
    """A memory of equal channels. Frozen; unknown keys are errors; ``DramConfig()`` is an HBM2 stack of 16 channels.

    A field that is not given is as the standard's file has it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    standard: StandardName = Field("HBM2", description="gives the other fields' defaults and the energy figures")
    channels: int = _as_standard("channels", 1, 256, "channels; a power of two")
    clock_ps: int = _as_standard("clock_ps", 100, 100_000, "period of the command clock, picoseconds")
    transaction_bytes: int = _as_standard("transaction_bytes", 8, 256, "bytes of a burst; a power of two")
    half_clocks: bool = _as_standard(
        "half_clocks", None, None, "times are half clocks: a precharge may go on both edges of the clock (HBM3)"
    )
    pseudo_channels: int = _as_standard(
        "pseudo_channels", 1, 8, "pseudo-channels that share a channel's commands (HBM)"
    )
    bank_groups: int = _as_standard("bank_groups", 1, 16, "bank groups of a pseudo-channel")
    banks: int = _as_standard("banks", 1, 16, "banks of a group")
    stacks: int = _as_standard(
        "stacks", 1, 4, "stacks of dies of a pseudo-channel (SID), which take its bank groups in turns (HBM3)"
    )
    rows: int = _as_standard("rows", 1, 1 << 24, "rows of a bank")
    row_bytes: int = _as_standard("row_bytes", 64, 1 << 16, "bytes of an open row; a power of two")
    mapping: Mapping = Field("row-column-bank", description="fields of an address in a channel, highest first")
    piece_bytes: int = Field(
        128, ge=8, le=1 << 16, description="row-column-bank: bytes of a channel in one row before the next bank's"
    )
    turning_banks: int = Field(
        default_factory=lambda data: data["pseudo_channels"] * data["bank_groups"] * data["banks"],
        ge=1,
        le=4096,
        description="row-column-bank: banks that take such pieces in turns until their rows are full; default: all",
    )
    xor_banks: bool = Field(False, description="banks exchanged by the row's low bits, against power-of-two strides")
    interleave_bytes: int = _as_standard(
        "interleave_bytes", 8, 1 << 16, "consecutive bytes in one channel; a power of two"
    )

    queue: int = Field(32, ge=1, le=128, description="entries of the read queue, and of the write queue, of a channel")
    write_high: float = Field(0.8, ge=0, le=1, description="share of the write queue above which writes are drained")
    write_low: float = Field(0.2, ge=0, le=1, description="share of the write queue below which reads go on")
    two_command_buses: bool = _as_standard(
        "two_command_buses", None, None, "row and column commands in the same cycle (HBM)"
    )

    act_bus: int = _as_standard("act_bus", 1, 4, "cycles of an ACT on the command bus (HBM: 2)")
    column_bus: int = _as_standard("column_bus", 1, 4, "cycles of a RD or WR on the command bus (DDR5: 2)")
    nBL: int = _as_standard("nBL", 1, 64, "burst length, cycles of the data bus")
    nCL: int = _as_standard("nCL", 1, 256, "read latency")
    nCWL: int = _as_standard("nCWL", 1, 256, "write latency")
    nRCDRD: int = _as_standard("nRCDRD", 1, 256, "ACT to RD")
    nRCDWR: int = _as_standard("nRCDWR", 1, 256, "ACT to WR")
    nRP: int = _as_standard("nRP", 1, 256, "PRE to ACT")
    nRAS: int = _as_standard("nRAS", 1, 512, "ACT to PRE")
    nRC: int = _as_standard("nRC", 1, 512, "ACT to ACT of one bank")
    nCCDS: int = _as_standard("nCCDS", 1, 64, "column to column command, other bank group")
    nCCDL: int = _as_standard("nCCDL", 1, 64, "column to column command, same bank group")
    nCCDL_WR: int = _as_standard("nCCDL_WR", 1, 256, "WR to WR, same bank group")
    nCCDR: int = _as_standard("nCCDR", 1, 64, "RD to RD, other stack of dies")
    nRRDS: int = _as_standard("nRRDS", 1, 64, "ACT to ACT, other bank group")
    nRRDL: int = _as_standard("nRRDL", 1, 64, "ACT to ACT, same bank group")
    nFAW: int = _as_standard("nFAW", 1, 256, "window of four ACTs")
    nWR: int = _as_standard("nWR", 1, 256, "end of write data to PRE")
    nRTP: int = _as_standard("nRTP", 1, 256, "RD to PRE")
    nWTRS: int = _as_standard("nWTRS", 1, 256, "end of write data to RD, other bank group")
    nWTRL: int = _as_standard("nWTRL", 1, 256, "end of write data to RD, same bank group")
    nRTW: int = _as_standard("nRTW", 0, 64, "bus turnaround from read to write data, cycles")
    nPPD: int = _as_standard("nPPD", 1, 64, "PRE to PRE, any bank")
    nAAD: int = _as_standard("nAAD", 0, 64, "ACT-1 to ACT-2 at most (LPDDR5); 0: an ACT is one command")
    nWCKPST: int = _as_standard(
        "nWCKPST", -1, 64, "end of data to when the data clock stops (LPDDR5); -1: it never does"
    )
    nRFC: int = _as_standard("nRFC", 1, 10_000, "refresh of all banks")
    nREFI: int = _as_standard("nREFI", 1, 1_000_000, "from one refresh to the next")

    @model_serializer(mode="wrap")
    def _as_data(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Defaults that are left out are the standard's, so that another standard brings its own."""
        data: dict[str, Any] = handler(self)
        if not info.exclude_defaults:
            return data
        usual = find_standard(self.standard).defaults | {"turning_banks": self.bank_count}
        return {k: v for k, v in data.items() if k not in usual or usual[k] != v}

    @model_validator(mode="after")
    def _consistent(self) -> DramConfig:
        for name in ("channels", "transaction_bytes", "pseudo_channels", "bank_groups", "banks", "rows", "row_bytes",
                     "interleave_bytes", "piece_bytes", "turning_banks", "stacks"):  # fmt: skip
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
        if self.turning_banks > self.bank_count:
            raise ValueError(f"turning_banks={self.turning_banks}: 1 to the channel's {self.bank_count} banks")
        if self.write_low > self.write_high:
            raise ValueError(f"write_low={self.write_low}: above write_high={self.write_high}")
        standard = find_standard(self.standard)
        for name in standard.fixed:
            if getattr(self, name) != standard.defaults[name]:
                raise ValueError(f"{name}={getattr(self, name)}: {standard.name} has {standard.defaults[name]}")
        if self.nCCDS < self.nBL or self.nCCDL < self.nCCDS:
            raise ValueError(f"nCCDS={self.nCCDS}: nBL={self.nBL} (bursts would overlap) to nCCDL={self.nCCDL}")
        if self.nCCDL_WR < self.nCCDS:
            raise ValueError(f"nCCDL_WR={self.nCCDL_WR}: below nCCDS={self.nCCDS}")
        if self.stacks > self.bank_groups:
            raise ValueError(f"stacks={self.stacks}: above bank_groups={self.bank_groups}, which they share")
        if self.nAAD and self.two_command_buses:
            raise ValueError(f"nAAD={self.nAAD}: an ACT of two commands goes with one command bus")
        if self.nAAD and self.nAAD < self.act_bus:
            raise ValueError(f"nAAD={self.nAAD}: below act_bus={self.act_bus}, the first command")
        if self.nAAD >= min(self.nRCDRD, self.nRCDWR):
            raise ValueError(f"nAAD={self.nAAD}: must end before a RD or WR may go, nRCDRD={self.nRCDRD}, "
                             f"nRCDWR={self.nRCDWR}")  # fmt: skip
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
        """Peak of all channels together, bytes a clock: every data bus is always busy."""
        return self.channels * self.pseudo_channels * self.transaction_bytes * self.steps / self.nBL

    @property
    def steps(self) -> int:
        """Steps of simulated time in a clock."""
        return 2 if self.half_clocks else 1

    def timing(self) -> Timing:
        """The kernels' numbers. A command counts from its last cycle on the bus, and from its first where it waits for
        another of its kind."""
        late, column = self.act_bus - 1, self.column_bus - 1
        data_end = self.nWCKPST + self.nBL
        return Timing(
            pseudo_channels=self.pseudo_channels, rank_bits=(self.bank_groups * self.banks).bit_length() - 1,
            bank_bits=self.banks.bit_length() - 1, queue=self.queue,
            high=int(self.write_high * self.queue), low=-int(-self.write_low * self.queue // 1),
            two_buses=int(self.two_command_buses), act_bus=self.act_bus,
            act_read=self.nRCDRD + late - column, act_write=self.nRCDWR + late - column,
            act_pre=self.nRAS + late, act_act=self.nRC,
            act_act_short=self.nRRDS, act_act_long=self.nRRDL, four_acts=self.nFAW, act_refresh=self.nRC + late,
            pre_act=self.nRP - late, pre_refresh=self.nRP,
            column_short=self.nCCDS, column_long=self.nCCDL,
            read_write=self.nCL + self.nBL + self.nRTW - self.nCWL, read_pre=self.nRTP + column,
            read_data=self.nCL + self.nBL,
            write_read_short=self.nCWL + self.nBL + self.nWTRS, write_read_long=self.nCWL + self.nBL + self.nWTRL,
            write_pre=self.nCWL + self.nBL + self.nWR + column,
            refresh_act=self.nRFC - late, refresh_interval=self.nREFI,
            column_bus=self.column_bus, pre_pre=self.nPPD, write_long=self.nCCDL_WR, stacks=self.stacks,
            column_stack=self.nCCDR, half_clocks=int(self.half_clocks), second_act=self.nAAD,
            clock_runs=0 if self.nWCKPST < 0 else self.nCL + data_end,
            clock_runs_write=0 if self.nWCKPST < 0 else self.nCWL + data_end,
        )  # fmt: skip


def hbm2(channels: int = 16) -> DramConfig:
    """HBM2: channels of two 64-bit pseudo-channels at 1 GHz, 32 bytes a cycle a channel at most."""
    return DramConfig(standard="HBM2", channels=channels)


def ddr4_2400(channels: int = 1) -> DramConfig:
    """DDR4-2400R, one rank of 8 Gb x8 devices a channel, 64 bits wide."""
    return DramConfig(standard="DDR4-2400", channels=channels)
