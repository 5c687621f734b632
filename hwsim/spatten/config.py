# SPDX-License-Identifier: Apache-2.0
"""Every parameter of a SpAtten machine, with unit, default, range and source.

"paper" is SpAtten, HPCA 2021 (arXiv 2012.09852); "release" is the authors' public RTL; "choice"
is ours where both are silent.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dataflow.attention.workload import OPERAND_BITS
from dataflow.errors import InputError
from hwsim.memory.config import DramConfig


class SpattenConfig(BaseModel):
    """A SpAtten machine. Frozen; unknown keys are errors; ``SpattenConfig()`` is the paper's full size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    frequency_hz: int = Field(1_000_000_000, ge=1_000_000, le=5_000_000_000, description="clock, hertz (paper: 1 GHz)")
    qk_multipliers: int = Field(512, ge=32, le=8192, description="multipliers of Q x K (paper: 512)")
    pv_multipliers: int = Field(512, ge=32, le=8192, description="multipliers of prob x V (paper: 512)")
    operand_bits: int = Field(OPERAND_BITS, ge=4, le=16, description="bits of a multiplier's operands (paper: 12)")
    probability_bits: int = Field(12, ge=4, le=16, description="bits of a requantized probability, unsigned (choice)")
    softmax_lanes: int = Field(8, ge=1, le=64, description="lanes of the softmax; a power of two (paper: 8)")
    adder_cycles: int = Field(
        4, ge=1, le=16, description="FP32 adder of a softmax lane: as many partial sums each; a power of two (choice)"
    )
    topk_parallel: int = Field(16, ge=1, le=256, description="comparators of a top-k engine (paper: 16)")
    value_topk_engines: int = Field(1, ge=1, le=16, description="engines of the local value top-k (choice)")
    key_sram_bytes: int = Field(196_608, ge=1024, le=1 << 26, description="key SRAM, both halves (paper: 196 KB)")
    value_sram_bytes: int = Field(196_608, ge=1024, le=1 << 26, description="value SRAM, both halves (paper: 196 KB)")
    queries_in_flight: int = Field(
        8, ge=1, le=64, description="queries between the fetch of q and the output, each with a score buffer (choice)"
    )
    heads_in_flight: int = Field(
        16, ge=1, le=64, description="heads between the fetch of their keys and their last output (choice)"
    )
    crossbar_inputs: int = Field(
        32, ge=2, le=32, description="lanes of the crossbars; one half fetches keys, the other values (paper: 32)"
    )
    buffer_keys: int = Field(
        1024, ge=8, le=65536, description="keys of a head that the RTL's buffers hold; the simulator takes any (choice)"
    )
    lane_depth: int = Field(
        4, ge=1, le=64, description="requests a lane's FIFO in front of the crossbar holds (choice)"
    )
    memory: DramConfig = Field(
        DramConfig(), description="HBM2 (paper: 16 channels x 32 GB/s; ours have 32 GB/s each, see `hwsim.memory`)"
    )
    layers_overlap: bool = Field(
        False, description="a layer's queries do not wait for the layer before: other sequences fill the machine"
    )
    projections: bool = Field(
        False, description="QKV, output and FFN products between the layers, on the same multipliers (end-to-end)"
    )

    dot_cycles: int = Field(11, ge=1, le=64, description="Q x K: SRAM, multiplier, adder tree (release: 1 + 1 + 9)")
    dequantize_cycles: int = Field(7, ge=1, le=64, description="score to binary32, maximum (release: 7)")
    exponential_cycles: int = Field(21, ge=1, le=64, description="exponential (release: 21)")
    accumulate_cycles: int = Field(23, ge=1, le=64, description="sum of a row behind its last element (release: 23)")
    divide_cycles: int = Field(29, ge=1, le=64, description="divider (release: 29)")
    quantize_cycles: int = Field(7, ge=1, le=64, description="probability to integer (release: 7)")
    output_cycles: int = Field(3, ge=1, le=64, description="prob x V: SRAM, multiplier, sum (release: 1 + 1 + 1)")

    @model_validator(mode="after")
    def _powers(self) -> SpattenConfig:
        for name in ("qk_multipliers", "pv_multipliers", "softmax_lanes", "adder_cycles", "topk_parallel",
                     "crossbar_inputs", "buffer_keys"):  # fmt: skip
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"{name}={value}: must be a power of two")
        for name, row in (("key_sram_bytes", self.key_row_bytes), ("value_sram_bytes", self.value_row_bytes)):
            if getattr(self, name) < 2 * row:
                raise ValueError(f"{name}={getattr(self, name)}: must hold two rows of {row} bytes")
        if self.memory.channels > 32:
            raise ValueError(f"memory.channels={self.memory.channels}: the crossbars have at most 32")
        if self.memory.clock_ps * self.frequency_hz != 10**12:
            raise ValueError(
                f"frequency_hz={self.frequency_hz}: the memory's clock of {self.memory.clock_ps} ps must be the same"
            )
        return self

    @property
    def peak_tflops(self) -> float:
        """Peak of both arrays, TFLOP/s: two operations of each multiplier in a cycle."""
        return 2e-12 * (self.qk_multipliers + self.pv_multipliers) * self.frequency_hz

    @property
    def peak_bytes_per_s(self) -> float:
        """Peak of the memory's data buses, bytes a second."""
        return float(self.memory.peak_bytes_per_cycle * self.frequency_hz)

    @property
    def score_latency(self) -> int:
        """Cycles from a key row's read to its scores in binary32."""
        return self.dot_cycles + self.dequantize_cycles

    @property
    def sum_latency(self) -> int:
        """Cycles from a score into the exponential to the row's sum, behind its last element."""
        return self.exponential_cycles + self.accumulate_cycles

    @property
    def divide_latency(self) -> int:
        """Cycles from an exponential into the divider to its integer probability."""
        return self.divide_cycles + self.quantize_cycles

    @property
    def partial_sums(self) -> int:
        """Partial sums of a softmax row."""
        return self.softmax_lanes * self.adder_cycles

    def _row_bytes(self, multipliers: int) -> int:
        """Bytes of an SRAM row: a bank for each lane that writes; enough for all multipliers at 16 bits, so also at 12
        where vectors begin within a transaction; at least a vector of 128 elements."""
        return max(self.crossbar_inputs // 2 * self.memory.transaction_bytes, 2 * multipliers, 256)

    @property
    def key_row_bytes(self) -> int:
        """Bytes of a row of the key SRAM."""
        return self._row_bytes(self.qk_multipliers)

    @property
    def value_row_bytes(self) -> int:
        """Bytes of a row of the value SRAM."""
        return self._row_bytes(self.pv_multipliers)

    @property
    def key_rows(self) -> int:
        """Rows of the key SRAM."""
        return self.key_sram_bytes // self.key_row_bytes

    @property
    def value_rows(self) -> int:
        """Rows of the value SRAM."""
        return self.value_sram_bytes // self.value_row_bytes

    @property
    def list_row(self) -> int:
        """Tokens of a row of the RTL's lists: what the widest of its readers takes in a cycle."""
        lanes = self.crossbar_inputs // 2
        return max(2 * lanes, self.topk_parallel, self.softmax_lanes, self.pv_multipliers // 32)

    def verilog_parameters(self) -> dict[str, int]:
        """Parameters of the RTL, by their Verilog names.

        Raises:
            InputError: the simulator can model this machine, the RTL cannot be built so.
        """
        lanes, m = self.crossbar_inputs // 2, self.memory
        tree = 2 * (self.partial_sums.bit_length() - 1)
        for name, allowed, what in (
            ("value_topk_engines", self.value_topk_engines == 1, "1"),
            ("topk_parallel", self.topk_parallel >= 2, "2 or more"),
            ("output_cycles", self.output_cycles == 3, "3"),
            ("dot_cycles", self.score_latency >= 13, "13 or more with dequantize_cycles"),
            ("accumulate_cycles", self.sum_latency >= 24 + self.adder_cycles + tree,
             f"{24 + self.adder_cycles + tree} or more with exponential_cycles"),
            ("divide_cycles", self.divide_latency >= 34, "34 or more with quantize_cycles"),
            ("buffer_keys", self.buffer_keys >= 2 * self.list_row, f"{2 * self.list_row} or more"),
            ("memory.transaction_bytes", m.transaction_bytes == 32, "32"),
            ("memory.interleave_bytes", m.interleave_bytes >= 32, "32 or more"),
            ("qk_multipliers", self.qk_multipliers <= 1024, "1024 or less"),
            ("pv_multipliers", self.pv_multipliers <= 1024, "1024 or less"),
        ):  # fmt: skip
            if not allowed:
                raise InputError(f"{name}={_field(self, name)}: must be {what} for the RTL")
        return {
            "QK_MULTIPLIERS": self.qk_multipliers,
            "PV_MULTIPLIERS": self.pv_multipliers,
            "SOFTMAX_LANES": self.softmax_lanes,
            "ADDER_CYCLES": self.adder_cycles,
            "TOPK_PARALLEL": self.topk_parallel,
            "OPERAND_BITS": self.operand_bits,
            "PROBABILITY_BITS": self.probability_bits,
            "SIZE": self.buffer_keys,
            "SLOTS": self.queries_in_flight,
            "HEADS": self.heads_in_flight,
            "FETCH_LANES": lanes,
            "LANE_DEPTH": self.lane_depth,
            "CHANNELS": m.channels,
            "INTERLEAVE": m.interleave_bytes.bit_length() - 1,
            "KEY_ROWS": self.key_rows,
            "VALUE_ROWS": self.value_rows,
            "DOT_CYCLES": self.score_latency,
            "SUM_CYCLES": self.sum_latency,
            "DIVIDE_CYCLES": self.divide_latency,
        }


def _field(config: BaseModel, path: str) -> object:
    found: object = config
    for name in path.split("."):
        found = getattr(found, name)
    return found


def eighth() -> SpattenConfig:
    """SpAtten-1/8: 128 multipliers and 64 GB/s, the one compared with A3 and MNNFast."""
    return SpattenConfig(qk_multipliers=64, pv_multipliers=64, memory=DramConfig(channels=2))
