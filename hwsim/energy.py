# SPDX-License-Identifier: Apache-2.0
"""Energy of a simulated step: counted operations and bytes times a table of figures, each with its source.

Technology: 45 nm, 0.9 V throughout (Horowitz). Left out: leakage and clock tree, pipeline registers and the array's
wires, control; DRAM refresh. So totals compare designs that differ in work and traffic; they are no power prediction
for an FPGA.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .result import StepResult

HOROWITZ = "M. Horowitz, Computing's Energy Problem, ISSCC 2014, section 1.1, figure 1.1.9 (45 nm, 0.9 V)"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the table."""

    what: str
    value_pj: float
    unit: str
    source: str
    technology: str = "45 nm"


FP16_MULTIPLY = Figure("FP16 multiply", 1.1, "pJ/operation", HOROWITZ)
FP32_MULTIPLY = Figure("FP32 multiply", 3.7, "pJ/operation", HOROWITZ)
FP32_ADD = Figure("FP32 add", 0.9, "pJ/operation", HOROWITZ)
INT16_ADD = Figure(
    "16-bit integer add (a comparison in SORE)", 0.05, "pJ/operation", HOROWITZ + ", mean of 8 and 32 bit"
)
SRAM_8K = Figure("8 KiB SRAM bank, 64-bit access", 10.0, "pJ/access", HOROWITZ)
DRAM = Figure("DRAM, 64-bit access, lower end of 1.3 to 2.6 nJ", 1300.0, "pJ/access", HOROWITZ)

TABLE = (FP16_MULTIPLY, FP32_MULTIPLY, FP32_ADD, INT16_ADD, SRAM_8K, DRAM)

UPDATE_PJ = 3 * FP32_MULTIPLY.value_pj + 3 * FP32_ADD.value_pj
"""Of a weight's update: decay w, beta v, rate v; and their sums."""

COMPONENTS = ("multiply", "add", "west", "north", "output", "dram", "wuve", "sore")


def sram_pj_per_byte(bank_bytes: float) -> float:
    """SRAM access energy of a bank, pJ a byte: the table's 8 KiB figure times the square root of the size.

    The source's other two points are 20 pJ at 32 KiB (20 here) and 100 pJ at 1 MiB (113 here), 64 bits each.
    """
    return SRAM_8K.value_pj * math.sqrt(max(bank_bytes, 1.0) / 8192) / 8


def step_energy(result: StepResult) -> list[dict[str, float]]:
    """Picojoules of each row of a result by component of `COMPONENTS`.

    A buffer is one bank a lane (row or column of the array), so its capacity over the lanes sets the access energy.
    """
    c = result.config
    west = sram_pj_per_byte(c["west_buffer_bytes"] / c["rows"])
    north = sram_pj_per_byte(c["north_buffer_bytes"] / c["cols"])
    output = sram_pj_per_byte(c["output_buffer_bytes"] / c["cols"])
    keep = int(result.pattern.split(":")[0]) if ":" in result.pattern else 1
    return [
        {
            "multiply": r.macs_done * FP16_MULTIPLY.value_pj,
            "add": r.macs_done * FP32_ADD.value_pj,
            "west": (r.west_read_bytes + r.west_write_bytes) * west,
            "north": (r.north_read_bytes + r.north_write_bytes) * north,
            "output": (r.output_read_bytes + r.output_write_bytes) * output,
            "dram": r.dram_bytes * DRAM.value_pj / 8,
            "wuve": r.wuve_updates * UPDATE_PJ,
            "sore": r.sore_elements * keep * INT16_ADD.value_pj,
        }
        for r in result.rows
    ]


def total_energy_j(result: StepResult) -> dict[str, float]:
    """Joules of the whole step by component."""
    rows = step_energy(result)
    return {name: sum(row[name] for row in rows) * 1e-12 for name in COMPONENTS}
