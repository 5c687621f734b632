# SPDX-License-Identifier: Apache-2.0
"""Standard cells of a 45 nm library: area, leakage and switching energy of the gates that Yosys maps to.

Areas and leakage are those of the NanGate FreePDK45 open cell library (typical corner, 1.1 V, 25 C). Energy follows
from two of its figures, a NAND2's internal energy and input capacitance, by three rules of ours:

- a cell's internal energy a change of its output is the NAND2's times its area over the NAND2's;
- a net has as many loads as there are inputs for an output, on average over the module; wires are left out;
- at each of the clock's edges a flip-flop's clock pin and two inverters behind it change, whatever its data do.

A clock enable is a multiplexer in front of a flip-flop, a synchronous reset an AND or an OR. Left out, too: buffers,
drive strengths, the clock's tree, glitches, scan. So energies are low, and areas those of the cells alone, unplaced.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .netlist import Cost, ram_size, unknown
from .sram import macro

SOURCE = "NanGate FreePDK45 Open Cell Library, NangateOpenCellLibrary_typical.lib (1.1 V, 25 C)"
VOLTS = 1.1


class Cell(NamedTuple):
    """One cell."""

    name: str
    area_um2: float
    leakage_nw: float
    inputs: int
    """Data inputs."""


INV = Cell("INV_X1", 0.532, 14.353185, 1)
NAND2 = Cell("NAND2_X1", 0.798, 17.39336, 2)
AND2 = Cell("AND2_X1", 1.064, 25.066064, 2)
OR2 = Cell("OR2_X1", 1.064, 22.694975, 2)
MUX2 = Cell("MUX2_X1", 1.862, 35.92839, 3)
DFF = Cell("DFF_X1", 4.522, 79.112308, 1)
GATES = {
    "$_NOT_": INV, "$_BUF_": Cell("BUF_X1", 0.798, 21.438247, 1), "$_AND_": AND2, "$_NAND_": NAND2, "$_OR_": OR2,
    "$_NOR_": Cell("NOR2_X1", 0.798, 21.199545, 2), "$_XOR_": Cell("XOR2_X1", 1.596, 36.163718, 2),
    "$_XNOR_": Cell("XNOR2_X1", 1.596, 36.441009, 2), "$_MUX_": MUX2,
    "$_AOI3_": Cell("AOI21_X1", 1.064, 27.858395, 3), "$_OAI3_": Cell("OAI21_X1", 1.064, 22.619394, 3),
}  # fmt: skip

NAND2_INTERNAL_FJ = (0.174115 + 2.183357 + 0.137653 + 2.872034) / 4
"""Mean of a NAND2_X1's fall and rise over both inputs, at 17 ps slew and 3.7 fF."""
INPUT_FF = (1.599032 + 1.664199) / 2
"""Mean of a NAND2_X1's two inputs."""
_FLIP_FLOP = re.compile(r"\$_(S?)DFF(C?E)?_[PN]([01]?)[PN01]*_")


def parts(cell: str) -> tuple[Cell, ...]:
    """What a generic cell of Yosys is made of.

    Raises:
        InputError: a cell that the table does not have.
    """
    if cell in GATES:
        return (GATES[cell],)
    match = _FLIP_FLOP.fullmatch(cell)
    if match is None:
        raise unknown(cell)
    reset, enable = match[1], match[2]
    return (DFF, *((MUX2,) if enable else ()), *((AND2,) if reset else ()))


def toggle_fj(cell: Cell, fanout: float) -> float:
    """Femtojoules of one change of a cell's output that drives so many inputs."""
    internal = NAND2_INTERNAL_FJ * cell.area_um2 / NAND2.area_um2
    return internal + fanout * INPUT_FF * VOLTS**2 / 2


def clock_fj() -> float:
    """Femtojoules of a flip-flop's clock in a cycle."""
    return 2 * (INPUT_FF * VOLTS**2 / 2 + 2 * NAND2_INTERNAL_FJ * INV.area_um2 / NAND2.area_um2)


def gate_fj(high: float) -> float:
    """Femtojoules of a clock gate in a cycle: a latch and an AND.

    The latch's clock counts as a flip-flop's; the AND's output changes twice in a cycle in which the enable is high.
    What it drives is in `clock_fj` of the flip-flops behind it.

    Args:
        high: share of the cycles in which the enable is high.
    """
    return clock_fj() + 2 * high * toggle_fj(AND2, 0)


def price(cell: str) -> Cost:
    """Of a cell: area and gate equivalents (NAND2), leakage, and what switching energies are made from.

    ``outputs`` and ``inputs`` count pins, ``internal_fj`` is what all its outputs' changes take inside, without load.
    """
    size = ram_size(cell)
    if size is not None:
        m = macro(*size)
        return {"area_um2": 0.0, "sram_um2": m.area_um2, "sram_bits": m.words * m.bits, "leakage_uw": 0.0,
                "sram_leakage_uw": m.leakage_uw}  # fmt: skip
    made = parts(cell)
    area = sum(p.area_um2 for p in made)
    return {
        "area_um2": area,
        "gates": area / NAND2.area_um2,
        "flipflops": sum(p is DFF for p in made),
        "enabled": sum(p is DFF for p in made) if MUX2 in made and DFF in made else 0,
        "leakage_uw": sum(p.leakage_nw for p in made) / 1000,
        "outputs": len(made),
        "inputs": sum(p.inputs for p in made),
        "internal_fj": sum(toggle_fj(p, 0) for p in made),
    }


def switching_fj(cost: Cost) -> float:
    """Femtojoules if every output of a module's cells changes once (activity 1); ``cost``: by `price`, of the module.

    Every input is the load of some output: all outputs that change once drive every input once.
    """
    return cost.get("internal_fj", 0.0) + cost.get("inputs", 0.0) * INPUT_FF * VOLTS**2 / 2
