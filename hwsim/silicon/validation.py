# SPDX-License-Identifier: Apache-2.0
"""Second opinions on energy and area: SRAM beside CACTI, adders and multipliers beside Aladdin's table."""

from __future__ import annotations

from pathlib import Path

from dataflow.files import read_yaml
from hwsim.core.energy import FP32_ADD, FP32_MULTIPLY, INT32_ADD, sram_pj_per_byte
from hwsim.core.validation import Check, Part

from .asic import GATES
from .cells import SOURCE as CELLS
from .cells import price
from .netlist import synthesize
from .scaling import EXAMPLE, area_factor, energy_factor, switching
from .scaling import SOURCE as SCALING
from .sram import POINTS, SOURCE

COMMAND = "hwsim validate --part"
OUTSIDE = Path(__file__).with_name("outside.yaml")


def part() -> Part:
    """Access energy of the macros whose figures came from CACTI."""
    checks = tuple(
        Check(f"SRAM of {m.words} x {m.bits} bits, an access", sram_pj_per_byte(m.words * m.bits / 8) * m.bits / 8,
              m.access_pj, "pJ", SOURCE, f"{COMMAND} sram",
              "the table's law goes through 8 KiB at 0.9 V with the wires of a bank; CACTI's are bare macros at 1.1 V")
        for m in POINTS
    )  # fmt: skip
    return Part("Energy of SRAM", "The table that every machine's energy comes from, beside CACTI's macros at 45 nm.",
                checks)  # fmt: skip


def arithmetic() -> Part:
    """Energy of operations by our table, area of the RTL's units in cells, beside another publication's units."""
    outside = read_yaml(OUTSIDE)["aladdin"]
    node, source, units = outside["node_nm"], outside["source"], outside["units"]
    scaled = energy_factor(node)
    checks = []
    for key, figure in (("int32_add", INT32_ADD), ("fp32_add", FP32_ADD), ("fp32_mul", FP32_MULTIPLY)):
        unit = units[key]
        whole = (
            f"; its own energy counts {unit['cycles']} cycles, {unit['energy_pj']:g} pJ" if unit["cycles"] > 1 else ""
        )
        checks.append(Check(
            f"{figure.what}, at {node} nm", figure.value_pj * scaled, unit["power_mw"], "pJ", source,
            f"{COMMAND} arithmetic", f"theirs: a clock of 1 ns at the unit's power{whole}; the voltage and the "
                                     "operands "
            "that it was measured with are not in the table, ours is at 0.9 V",
        ))  # fmt: skip
    start, end, factor = EXAMPLE
    checks.append(Check(
        f"energy at {end[0]} nm, {end[1]} V over that at {start[0]} nm, {start[1]} V",
        switching(*end) / switching(*start), factor, "x", f"{SCALING}, corrigendum of its example",
        f"{COMMAND} arithmetic", "", 0.001,
    ))  # fmt: skip
    for key in ("fp32_add", "fp32_mul"):
        cells = synthesize(key, {}, GATES).total(price)
        checks.append(Check(
            f"area of {key}.v, at {node} "
            "nm", cells["area_um2"] * area_factor(node), units[key]["area_um2"], "um2", source,
            f"{COMMAND} arithmetic", "ours are unplaced cells of minimal drive without a clock to meet; theirs meets "
                                     "1 ns",
        ))  # fmt: skip
    text = (
        f"Our table of energies (45 nm, Horowitz) taken to {node} nm, and the RTL's own units in cells ({CELLS}; "
        "Yosys), beside the units of another simulator's table; the scaling beside its authors' example. Figures "
        "of a further node are not at hand."
    )
    return Part("Adders and multipliers", text, tuple(checks))
