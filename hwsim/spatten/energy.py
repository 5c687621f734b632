# SPDX-License-Identifier: Apache-2.0
"""Energy of a simulated workload: counted operations, SRAM bytes and memory commands times figures with their sources.

45 nm, 0.9 V for logic and SRAM (`hwsim.core.energy`), HBM2 or DDR4 by command (`hwsim.memory.energy`). Refresh is a
component of its own: the SpAtten paper counts activations, reads and writes (section 5A), and so does what stands
beside its figures (`counted_energy_j`). Left out: leakage and clock tree, crossbars and wires, pipeline registers,
control.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.core.energy import FP32_ADD, FP32_MULTIPLY, HOROWITZ, SRAM_8K, Figure, sram_pj_per_byte
from hwsim.memory.config import hbm2
from hwsim.memory.controller import COMMANDS
from hwsim.memory.energy import dram_energy, figures

from .config import SpattenConfig

INT8_MULTIPLY = Figure(
    "8-bit integer multiply; other widths: by the square of the width", 0.2, "pJ/operation", HOROWITZ
)
INT32_ADD = Figure("32-bit integer add (sum of products, comparison of keys)", 0.1, "pJ/operation", HOROWITZ)
TABLE = (INT8_MULTIPLY, INT32_ADD, FP32_MULTIPLY, FP32_ADD, SRAM_8K, *figures(hbm2()))

COMPONENTS = (
    "dram", "dram_refresh", "qk", "pv", "key_sram", "value_sram", "softmax", "topk", "candidates", "projections",
)  # fmt: skip
DIVIDE_MULTIPLIES = 4
"""Multiplies that a division counts as (two Newton steps; our assumption)."""
SOFTMAX_MULTIPLIES = 1 + 8 + DIVIDE_MULTIPLIES + 1
"""Of an element: dequantize, exponential (`functional.exponential`), divide, quantize."""
SOFTMAX_ADDS = 7 + 1
TOPK_BYTES = 8
"""Bytes a comparison moves: a key out of a top-k engine's FIFO and into one."""


SOFTMAX_PJ = SOFTMAX_MULTIPLIES * FP32_MULTIPLY.value_pj + SOFTMAX_ADDS * FP32_ADD.value_pj
"""Energy of a softmax element, pJ."""
COMPARE_PJ = INT32_ADD.value_pj + TOPK_BYTES * SRAM_8K.value_pj / 8
"""Energy of a comparison in a top-k engine, pJ."""


def multiply_pj(config: SpattenConfig) -> float:
    """Energy of a multiply and an add at the machine's width, pJ."""
    return INT8_MULTIPLY.value_pj * (config.operand_bits / 8) ** 2 + INT32_ADD.value_pj


def row_energy(config: SpattenConfig, row: Mapping[str, Any]) -> dict[str, float]:
    """Picojoules of a row of a result by component of `COMPONENTS`."""
    multiply = multiply_pj(config)
    element = config.operand_bits / 8

    def sram(total: int, multipliers: int) -> float:
        """A byte: banks are 64 bits wide, as many as feed the multipliers."""
        return sram_pj_per_byte(total / max(multipliers * config.operand_bits / 64, 1))

    keys = sram(config.key_sram_bytes, config.qk_multipliers)
    values = sram(config.value_sram_bytes, config.pv_multipliers)
    memory = dram_energy(config.memory, {name: int(row[f"dram_{name}"]) for name in COMMANDS})
    return {
        "dram": sum(v for kind, v in memory.items() if kind != "refresh"),
        "dram_refresh": memory["refresh"],
        "qk": row["qk_macs"] * multiply,
        "pv": row["pv_macs"] * multiply,
        "key_sram": (row["key_elements_written"] + row["qk_macs"]) * element * keys,
        "value_sram": (row["value_elements_written"] + row["pv_macs"]) * element * values,
        "softmax": row["softmax_elements"] * SOFTMAX_PJ,
        "topk": row["compared"] * COMPARE_PJ,
        "candidates": row["selected"] * multiply,
        "projections": row["projection_macs"] * multiply,
    }


def total_energy_j(config: SpattenConfig, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Joules of a workload by component."""
    found = [row_energy(config, row) for row in rows]
    return {name: sum(row[name] for row in found) * 1e-12 for name in COMPONENTS}


def counted_energy_j(config: SpattenConfig, rows: list[dict[str, Any]]) -> float:
    """Joules of a workload without refresh, as the paper counts."""
    return sum(value for name, value in total_energy_j(config, rows).items() if name != "dram_refresh")
