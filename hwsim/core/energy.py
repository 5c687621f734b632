# SPDX-License-Identifier: Apache-2.0
"""Energy figures of operations and memories, each with its source; a machine multiplies them by what it counted.

Technology: 45 nm, 0.9 V throughout (Horowitz). Left out: leakage and clock tree, pipeline registers and the array's
wires, control; DRAM refresh. So totals compare designs that differ in work and traffic; they are no power prediction
for an FPGA.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

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
INT16_ADD = Figure("16-bit integer add (a comparison)", 0.05, "pJ/operation", HOROWITZ + ", mean of 8 and 32 bit")
INT8_MULTIPLY = Figure("8-bit integer multiply", 0.2, "pJ/operation", HOROWITZ)
INT32_ADD = Figure("32-bit integer add", 0.1, "pJ/operation", HOROWITZ)
SRAM_8K = Figure("8 KiB SRAM bank, 64-bit access", 10.0, "pJ/access", HOROWITZ)
DRAM = Figure("DRAM, 64-bit access, lower end of 1.3 to 2.6 nJ", 1300.0, "pJ/access", HOROWITZ)

UPDATE_PJ = 3 * FP32_MULTIPLY.value_pj + 3 * FP32_ADD.value_pj
"""Energy of a weight's update by momentum SGD, pJ: decay w, beta v, rate v; and their sums."""

EXACT_ADD = Figure(
    "105-bit integer add (an exact sum)", INT32_ADD.value_pj * 105 / 32, "pJ/operation", HOROWITZ + ", 32 bit by width"
)
"""The shift that brings a product to its place is not in the table: it counts nothing."""

TABLE = (FP16_MULTIPLY, FP32_MULTIPLY, FP32_ADD, INT16_ADD, SRAM_8K, DRAM, EXACT_ADD)


def sram_pj_per_byte(bank_bytes: float) -> float:
    """SRAM access energy of a bank, pJ a byte: the table's 8 KiB figure times the square root of the size.

    The source's other two points are 20 pJ at 32 KiB (20 here) and 100 pJ at 1 MiB (113 here), 64 bits each.
    """
    return SRAM_8K.value_pj * math.sqrt(max(bank_bytes, 1.0) / 8192) / 8


@dataclass(frozen=True)
class Energy:
    """Energy of a run by component or by what is done."""

    source: str
    """``table`` or ``rtl``."""
    components: Mapping[str, float]
    """Energy of each component, J."""

    @property
    def total(self) -> float:
        """Joules of the whole run."""
        return sum(self.components.values())
