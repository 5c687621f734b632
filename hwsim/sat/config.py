# SPDX-License-Identifier: Apache-2.0
"""Every parameter of a SAT machine, with unit, default, range and source.

"paper" is arXiv 2309.13015 (SAT / BDWP), section 4 and its FPGA prototype; "choice" is ours where the paper is silent.
Derived latencies of an array job live in `hwsim.sat.timing.job`, nowhere else.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dataflow.mapping.interleave_mapping import interleave_choices

Dataflow = Literal["WS", "OS"]
Accumulate = Literal["binary32", "exact"]

EXACT_CARRY_BITS = 24
"""An exact accumulator of the RTL holds 2^24 products of two binary16 numbers, whatever they are (`exact_add.v`)."""

TRANSFERS_PER_S = 2_400_000_000
"""DDR4-2400: transfers a second on one channel (JEDEC JESD79-4)."""
CHANNEL_BYTES = 8
"""A DDR4 channel is 64 bits wide."""


class SatConfig(BaseModel):
    """A SAT machine. Frozen; unknown keys are errors; ``SatConfig()`` is the paper's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(32, ge=1, le=256, description="rows of the STCE array (paper: 32)")
    cols: int = Field(32, ge=1, le=256, description="columns of the STCE array (paper: 32)")
    group_max: int = Field(16, ge=1, le=64, description="largest M a PE's activation select handles (choice)")
    weight_registers: int = Field(
        8, ge=1, le=64, description="weights a PE holds in WS: largest N, and the depth of dense WS (choice)"
    )
    mul_latency: int = Field(3, ge=1, le=16, description="multiplier pipeline stages, cycles (choice)")
    add_latency: int = Field(4, ge=1, le=16, description="FP32 adder pipeline stages, cycles (choice)")
    accumulate: Accumulate = Field(
        "binary32",
        description="binary32: sums are rounded at each addition, in order; exact: integer sums of whole products, "
        "rounded once where they leave the array; an addition takes one cycle, whatever add_latency is (choice)",
    )
    round_latency: int = Field(
        4,
        ge=1,
        le=16,
        description="pipeline stages of that one rounding below each column, cycles; exact only (choice)",
    )
    interleave_max: int = Field(16, ge=1, le=64, description="accumulators a PE can interleave (choice)")
    frequency_hz: int = Field(200_000_000, ge=1_000_000, le=5_000_000_000, description="clock, hertz (paper: 200 MHz)")

    west_buffer_bytes: int = Field(4 << 20, ge=1024, description="activation buffer, both halves, bytes (choice)")
    north_buffer_bytes: int = Field(2 << 20, ge=1024, description="weight buffer, both halves, bytes (choice)")
    output_buffer_bytes: int = Field(2 << 20, ge=1024, description="output buffer, both halves, bytes (choice)")
    state_buffer_bytes: int = Field(
        64 << 10, ge=64, description="the RTL's buffer of weights and momenta under update, bytes (choice)"
    )
    west_lane_bytes: int = Field(32, ge=2, le=256, description="bytes a row's west port gives a cycle (choice)")
    north_lane_bytes: int = Field(4, ge=1, le=64, description="bytes a column's north port gives a cycle (choice)")
    output_lane_bytes: int = Field(4, ge=1, le=64, description="bytes a column's output port takes a cycle (choice)")

    sore_lanes: int = Field(32, ge=1, le=1024, description="top-N sorters in SORE (paper: 32)")
    wuve_lanes: int = Field(32, ge=1, le=1024, description="lanes of WUVE (paper: 32)")

    dram_channels: int = Field(4, ge=1, le=64, description="DDR4-2400 64-bit channels (VCU1525 board: 4)")
    dram_efficiency: float = Field(
        0.8,
        gt=0.0,
        le=1.0,
        description="share of the DRAM's peak bandwidth that is usable (assumption; hwsim.memory: 0.9 for its streams)",
    )

    interleave_mapping: bool = Field(True, description="optimization 1: interleave independent accumulations")
    pregeneration: bool = Field(True, description="optimization 2: SORE makes N:M weights behind WUVE")
    offline_scheduling: bool = Field(True, description="optimization 3: choose dataflow and tiles per layer and pass")
    fixed_dataflow: Dataflow = Field("WS", description="the dataflow of every product with offline_scheduling off")

    @property
    def dram_bytes_per_cycle(self) -> float:
        """Usable DRAM bytes a clock cycle."""
        peak = self.dram_channels * CHANNEL_BYTES * TRANSFERS_PER_S
        return peak * self.dram_efficiency / self.frequency_hz

    @property
    def peak_macs_per_cycle(self) -> int:
        """Multiply slots of the array a cycle."""
        return self.rows * self.cols

    @property
    def exact(self) -> bool:
        """Whether the array's sums are exact."""
        return self.accumulate == "exact"

    @property
    def sum_latency(self) -> int:
        """Cycles of the array's adder: an exact one adds integers, in one."""
        return 1 if self.exact else self.add_latency

    @property
    def interleaves(self) -> tuple[int, ...]:
        """Interleave factors a schedule may use."""
        return interleave_choices(self.sum_latency, self.interleave_max, enabled=self.interleave_mapping)

    def verilog_parameters(self) -> dict[str, int]:
        """Parameters of the RTL, by their Verilog names."""
        return {
            "ROWS": self.rows,
            "COLS": self.cols,
            "GROUP_MAX": self.group_max,
            "WEIGHT_REGS": self.weight_registers,
            "MUL_LATENCY": self.mul_latency,
            "ADD_LATENCY": self.add_latency,
            "EXACT": int(self.exact),
            "ROUND_LATENCY": self.round_latency,
            "INTERLEAVE_MAX": self.interleave_max,
            "SORE_LANES": self.sore_lanes,
            "WUVE_LANES": self.wuve_lanes,
            "WORD": self.word_elements,
            "WEST_WIDTH": _bits(self.west_buffer_bytes, 2 * self.word_elements * self.rows),
            "NORTH_WIDTH": _bits(self.north_buffer_bytes, 4 * self.cols),
            "OUTPUT_WIDTH": _bits(self.output_buffer_bytes, 4 * self.cols),
            "STATE_WIDTH": _bits(self.state_buffer_bytes, 8 * self.cols),
        }

    @property
    def word_elements(self) -> int:
        """Activations of a west buffer word, and halves of a beat: a group of any kind must fit; a power of two, 4 at
        least."""
        return 1 << max(max(self.group_max, self.weight_registers) - 1, 3).bit_length()


def _bits(size: int, line: int) -> int:
    """Address bits of a buffer of ``size`` bytes with ``line`` bytes a word of all lanes; a power of two of words."""
    return max((size // line).bit_length() - 1, 1)
