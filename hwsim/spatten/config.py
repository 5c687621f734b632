# SPDX-License-Identifier: Apache-2.0
"""Every parameter of a SpAtten machine, with unit, default, range and source.

"paper" is SpAtten, HPCA 2021 (arXiv 2012.09852); "release" is the authors' public RTL; "choice" is ours where both are
silent. `DESIGNS` are machines to start from: a field that is not given is as its design has it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

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

from dataflow.attention.workload import OPERAND_BITS
from dataflow.errors import InputError, unknown
from hwsim.memory.config import DramConfig

_FULL: dict[str, Any] = {
    "qk_multipliers": 512, "pv_multipliers": 512, "softmax_lanes": 8, "topk_engine": "quick-select",
    "topk_parallel": 16, "key_sram_bytes": 196_608, "value_sram_bytes": 196_608, "queries_in_flight": 64,
    "score_tokens": 4096, "heads_in_flight": 16, "crossbar_inputs": 32, "crossbar_window": 1, "layout": "heads",
    "stagger_bytes": 0, "leave_off": False, "memory": {},
}  # fmt: skip
DESIGNS: dict[str, dict[str, Any]] = {
    "paper": _FULL,
    "eighth": _FULL | {
        "qk_multipliers": 64, "pv_multipliers": 64, "softmax_lanes": 1, "topk_parallel": 2, "key_sram_bytes": 24_576,
        "value_sram_bytes": 24_576, "crossbar_inputs": 4, "memory": {"channels": 2},
    },
    "streaming": _FULL | {
        "topk_engine": "histogram", "queries_in_flight": 128, "score_tokens": 8192,
        "heads_in_flight": 32, "crossbar_window": 4, "layout": "planes", "stagger_bytes": 32,
        "leave_off": True,
        "memory": {"piece_bytes": 64, "turning_banks": 8, "xor_banks": True, "queue": 64},
    },
}  # fmt: skip
"""Machines to start from. "paper": SpAtten. "eighth": SpAtten-1/8, the one that the paper compares with A3 and MNNFast:
128 multipliers, 64 GB/s; lanes, comparators, crossbars and SRAMs are an eighth too (release), the ring of scores is
not, since it must hold a sequence. "streaming": ours, with the same multipliers, SRAMs of keys and values, memory."""


def _known(name: str) -> str:
    if name not in DESIGNS:
        raise unknown("design", name, list(DESIGNS))
    return name


def _by_design(field: str, description: str, low: int | None = None, high: int | None = None) -> Any:
    """A field whose default is what the design (the first field to be checked) has."""
    usual = "; ".join(f"{name}: {design[field]}" for name, design in DESIGNS.items())
    return Field(
        default_factory=lambda data: DESIGNS[data["design"]][field], ge=low, le=high,
        description=f"{description}; default by design ({usual})",
    )  # fmt: skip


def _usual_lsb_bytes(key_sram_bytes: int, qk_multipliers: int) -> int:
    """A sixth of the key SRAM, and a row at least."""
    return max(key_sram_bytes // 6, 2 * qk_multipliers, 512)


CLOCK_RATIO = 1_000_000
"""Bound of the clocks' ratio, so that times times it are still exact in 64 bits."""


class SpattenConfig(BaseModel):
    """A SpAtten machine. Frozen; unknown keys are errors; ``SpattenConfig()`` is the paper's full size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    design: Annotated[str, AfterValidator(_known)] = Field(
        "paper", description=f"machine to start from: {', '.join(DESIGNS)}"
    )
    frequency_hz: int = Field(1_000_000_000, ge=1_000_000, le=5_000_000_000, description="clock, hertz (paper: 1 GHz)")
    qk_multipliers: int = _by_design("qk_multipliers", "multipliers of Q x K (paper: 512)", 32, 8192)
    pv_multipliers: int = _by_design("pv_multipliers", "multipliers of prob x V (paper: 512)", 32, 8192)
    operand_bits: int = Field(OPERAND_BITS, ge=4, le=16, description="bits of a multiplier's operands (paper: 12)")
    probability_bits: int = Field(12, ge=4, le=16, description="bits of a requantized probability, unsigned (choice)")
    softmax_lanes: int = _by_design("softmax_lanes", "lanes of the softmax; a power of two (paper: 8)", 1, 64)
    adder_cycles: int = Field(
        4, ge=1, le=16, description="FP32 adder of a softmax lane: as many partial sums each; a power of two (choice)"
    )
    topk_engine: Literal["quick-select", "histogram"] = _by_design(
        "topk_engine", "engine of the local value top-k (paper: quick-select)"
    )
    topk_parallel: int = _by_design(
        "topk_parallel", "comparators of a top-k engine, which takes as many keys a cycle (paper: 16)", 1, 256
    )
    value_topk_engines: int = Field(1, ge=1, le=16, description="engines of the local value top-k (choice)")
    key_sram_bytes: int = _by_design("key_sram_bytes", "key SRAM, both halves (paper: 196 KB)", 1024, 1 << 26)
    lsb_sram_bytes: int = Field(
        default_factory=lambda data: _usual_lsb_bytes(data["key_sram_bytes"], data["qk_multipliers"]),
        ge=128,
        le=1 << 26,
        description="part of the key SRAM that is for LSBs (choice: a sixth, LSBs of 1024 keys; a row at least)",
    )
    value_sram_bytes: int = _by_design("value_sram_bytes", "value SRAM, both halves (paper: 196 KB)", 1024, 1 << 26)
    queries_in_flight: int = _by_design(
        "queries_in_flight", "queries between the fetch of q and the output (choice)", 1, 256
    )
    score_tokens: int = _by_design(
        "score_tokens",
        "scores that the ring between Q x K and prob x V holds (paper: a FIFO of 128 rows of 8 lanes; here "
        "four, in front of exp, divide, top-k and prob x V)",
        8,
        1 << 20,
    )
    heads_in_flight: int = _by_design(
        "heads_in_flight", "heads between the fetch of their keys and their last output (choice)", 1, 64
    )
    crossbar_inputs: int = _by_design(
        "crossbar_inputs", "lanes of the crossbars; one half fetches keys, the other values (paper: 32)", 2, 32
    )
    buffer_keys: int = Field(
        1024, ge=8, le=65536, description="keys of a head that the RTL's buffers hold; the simulator takes any (choice)"
    )
    crossbar_window: int = _by_design(
        "crossbar_window", "entries of a FIFO that a crossbar chooses from; 1: the oldest alone (paper)", 1, 8
    )
    answer_depth: int = Field(
        4, ge=2, le=64, description="beats that a channel's FIFO behind the memory holds (choice)"
    )
    lane_depth: int = Field(
        4, ge=1, le=64, description="requests a lane's FIFO in front of the crossbar holds (choice)"
    )
    memory: DramConfig = Field(
        default_factory=lambda data: DramConfig(**DESIGNS[data["design"]]["memory"]),
        description="HBM2 (paper: 16 channels x 32 GB/s; ours have 32 GB/s each, see `hwsim.memory`); what is not "
        "given is the design's",
    )
    layout: Literal["heads", "planes", "pages"] = _by_design(
        "layout",
        "what lies together in the memory: all of a head (release); the keys of all heads, and so on (planes); a page "
        "of tokens, as in a server's cache (pages)",
    )
    page_tokens: int = Field(16, ge=1, le=4096, description="pages: tokens of one (vLLM: 16)")
    page_order: Literal["HND", "NHD"] = Field(
        "HND", description="pages: what follows what in one: head by head (HND), or token by token (NHD)"
    )
    stagger_bytes: int = _by_design(
        "stagger_bytes", "planes: from the end of a head's vectors to the next one's; turns the channels", 0, 1 << 16
    )
    leave_off: bool = _by_design(
        "leave_off", "techniques are left off where they do not pay, by shapes alone (`hwsim.spatten.timing.plan`)"
    )
    layers_overlap: bool = Field(
        True, description="rows stream back to back (release); off: a layer begins when the one before is done"
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

    @model_validator(mode="before")
    @classmethod
    def _memory_of_design(cls, data: Any) -> Any:
        """A memory that is given in part: the rest is the design's."""
        if isinstance(data, dict) and isinstance(data.get("memory"), dict):
            usual = DESIGNS.get(data.get("design", "paper"), _FULL)["memory"]
            if "standard" not in data["memory"] or data["memory"]["standard"] == "HBM2":
                return data | {"memory": usual | data["memory"]}
        return data

    @model_serializer(mode="wrap")
    def _as_data(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Defaults that are left out are the design's, so that another design brings its own."""
        data: dict[str, Any] = handler(self)
        if not info.exclude_defaults:
            return data
        usual = SpattenConfig(design=self.design)
        kept = {k: v for k, v in data.items() if getattr(self, k) != getattr(usual, k)}
        if self.lsb_sram_bytes == _usual_lsb_bytes(
            self.key_sram_bytes, self.qk_multipliers
        ):  # it follows from another field
            kept.pop("lsb_sram_bytes", None)
        if "memory" in kept:
            mine, theirs = (m.model_dump(mode=info.mode) for m in (self.memory, usual.memory))
            kept["memory"] = {k: v for k, v in mine.items() if v != theirs[k]}
        return ({} if self.design == "paper" else {"design": self.design}) | kept

    @model_validator(mode="after")
    def _powers(self) -> SpattenConfig:
        for name in ("qk_multipliers", "pv_multipliers", "softmax_lanes", "adder_cycles", "topk_parallel",
                     "crossbar_inputs", "buffer_keys", "crossbar_window"):  # fmt: skip
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"{name}={value}: must be a power of two")
        for name, row, rows in (
            ("lsb_sram_bytes", self.key_row_bytes, 1),
            ("key_sram_bytes", self.key_row_bytes, 2 + self.lsb_rows),
            ("value_sram_bytes", self.value_row_bytes, 2),
        ):
            if getattr(self, name) < rows * row:
                raise ValueError(f"{name}={getattr(self, name)}: must hold {rows} rows of {row} bytes")
        for name in ("lane_depth", "answer_depth"):
            if getattr(self, name) < self.crossbar_window:
                raise ValueError(f"crossbar_window={self.crossbar_window}: more than {name}={getattr(self, name)}")
        if self.score_rows < 1:
            raise ValueError(f"score_tokens={self.score_tokens}: must be {self.list_row} or more, a row of the ring")
        if self.layout != "pages":
            for name in ("page_tokens", "page_order"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name}={getattr(self, name)}: has no effect without layout=pages")
        if self.memory.channels > 32:
            raise ValueError(f"memory.channels={self.memory.channels}: the crossbars have at most 32")
        if max(self.memory_steps.as_integer_ratio()) > CLOCK_RATIO:
            raise ValueError(
                f"frequency_hz={self.frequency_hz}: {self.memory_steps} steps of the memory "
                f"({self.memory.clock_ps} ps a clock) in a cycle; numerator and denominator are at most {CLOCK_RATIO:,}"
            )
        return self

    def changed(self, **fields: Any) -> SpattenConfig:
        """Checked, with other fields; those that follow from them by default do so again."""
        return SpattenConfig.model_validate(self.model_dump(exclude_defaults=True) | fields)

    @property
    def peak_tflops(self) -> float:
        """Peak of both arrays, TFLOP/s: two operations of each multiplier in a cycle."""
        return 2e-12 * (self.qk_multipliers + self.pv_multipliers) * self.frequency_hz

    @property
    def peak_bytes_per_s(self) -> float:
        """Peak of the memory's data buses, bytes a second."""
        return self.memory.peak_bytes_per_cycle * 1e12 / self.memory.clock_ps

    @property
    def peak_bytes_per_cycle(self) -> float:
        """Peak of the memory's data buses, bytes a cycle of the machine."""
        return self.memory.peak_bytes_per_cycle / self.memory.steps * float(self.memory_steps)

    @property
    def memory_steps(self) -> Fraction:
        """Steps of the memory's time in a cycle of the machine (`DramConfig.steps` to a clock of the memory)."""
        return Fraction(10**12 * self.memory.steps, self.frequency_hz * self.memory.clock_ps)

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
    def select_latency(self) -> int:
        """Cycles from a query's last row of probabilities to the search of its top-k."""
        from .timing.topk import stream_cycles  # Numba, which a configuration does not need

        return int(stream_cycles(self.probability_bits)) if self.topk_engine == "histogram" else 0

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
        """Rows of the key SRAM that keys fill in turns."""
        return self.key_sram_bytes // self.key_row_bytes - self.lsb_rows

    @property
    def lsb_rows(self) -> int:
        """Rows of the key SRAM that LSBs fill in turns."""
        return self.lsb_sram_bytes // self.key_row_bytes

    @property
    def value_rows(self) -> int:
        """Rows of the value SRAM."""
        return self.value_sram_bytes // self.value_row_bytes

    @property
    def score_rows(self) -> int:
        """Rows of the ring of scores, each as wide as a row of the lists."""
        return self.score_tokens // self.list_row

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
            ("topk_parallel", self.topk_parallel >= 2, "2 or more"),
            ("heads_in_flight", self.heads_in_flight >= 2, "2 or more"),
            ("output_cycles", self.output_cycles == 3, "3"),
            ("dot_cycles", self.score_latency >= 13, "13 or more with dequantize_cycles"),
            ("accumulate_cycles", self.sum_latency >= 24 + self.adder_cycles + tree,
             f"{24 + self.adder_cycles + tree} or more with exponential_cycles"),
            ("divide_cycles", self.divide_latency >= 34, "34 or more with quantize_cycles"),
            ("buffer_keys", self.buffer_keys >= 2 * self.list_row, f"{2 * self.list_row} or more"),
            ("memory.transaction_bytes", m.transaction_bytes == 32, "32"),
            ("memory.interleave_bytes", m.interleave_bytes >= 32, "32 or more"),
            ("score_tokens", self.score_rows * self.list_row >= self.buffer_keys and self.score_rows % 2 == 0,
             f"an even number of rows of {self.list_row}, and buffer_keys={self.buffer_keys} or more"),
            ("lane_depth", self.lane_depth >= self.crossbar_window, f"{self.crossbar_window} or more"),
            ("answer_depth", self.answer_depth >= self.crossbar_window, f"{self.crossbar_window} or more"),
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
            "TOPK_ENGINES": self.value_topk_engines,
            "OPERAND_BITS": self.operand_bits,
            "PROBABILITY_BITS": self.probability_bits,
            "SIZE": self.buffer_keys,
            "SLOTS": self.queries_in_flight,
            "SCORE_ROWS": self.score_rows,
            "HEADS": self.heads_in_flight,
            "FETCH_LANES": lanes,
            "LANE_DEPTH": self.lane_depth,
            "ANSWER_DEPTH": self.answer_depth,
            "CROSSBAR_WINDOW": self.crossbar_window,
            "CHANNELS": m.channels,
            "INTERLEAVE": m.interleave_bytes.bit_length() - 1,
            "KEY_ROWS": self.key_rows,
            "LSB_ROWS": self.lsb_rows,
            "VALUE_ROWS": self.value_rows,
            "DOT_CYCLES": self.score_latency,
            "SUM_CYCLES": self.sum_latency,
            "DIVIDE_CYCLES": self.divide_latency,
            "ENGINE": int(self.topk_engine == "histogram"),
            "SELECT_CYCLES": self.select_latency,
        }


def _field(config: BaseModel, path: str) -> object:
    found: object = config
    for name in path.split("."):
        found = getattr(found, name)
    return found


def eighth() -> SpattenConfig:
    """SpAtten-1/8: 128 multipliers and 64 GB/s, the one compared with A3 and MNNFast."""
    return SpattenConfig(design="eighth")
