# SPDX-License-Identifier: Apache-2.0
"""Energy of a simulated training step: counted operations and bytes times the figures of `hwsim.core.energy`."""

from __future__ import annotations

from hwsim.core.energy import DRAM, EXACT_ADD, FP16_MULTIPLY, FP32_ADD, INT16_ADD, UPDATE_PJ, sram_pj_per_byte

from .result import StepResult

COMPONENTS = ("multiply", "add", "west", "north", "output", "dram", "wuve", "sore")


def add_pj(exact: bool) -> float:
    """Picojoules of an addition in the array."""
    return EXACT_ADD.value_pj if exact else FP32_ADD.value_pj


def step_energy(result: StepResult) -> list[dict[str, float]]:
    """Picojoules of each row of a result by component of `COMPONENTS`.

    A buffer is one bank a lane (row or column of the array), so its capacity over the lanes sets the access energy.
    """
    c = result.config
    west = sram_pj_per_byte(c["west_buffer_bytes"] / c["rows"])
    north = sram_pj_per_byte(c["north_buffer_bytes"] / c["cols"])
    add = add_pj(c.get("accumulate") == "exact")
    output = sram_pj_per_byte(c["output_buffer_bytes"] / c["cols"])
    return [
        {
            "multiply": r.macs_done * FP16_MULTIPLY.value_pj,
            "add": r.macs_done * add,
            "west": (r.west_read_bytes + r.west_write_bytes) * west,
            "north": (r.north_read_bytes + r.north_write_bytes) * north,
            "output": (r.output_read_bytes + r.output_write_bytes) * output,
            "dram": r.dram_bytes * DRAM.value_pj / 8,
            "wuve": r.wuve_updates * UPDATE_PJ,
            "sore": r.sore_comparisons * INT16_ADD.value_pj,
        }
        for r in result.steps
    ]


def total_energy_j(result: StepResult) -> dict[str, float]:
    """Joules of the whole step by component."""
    rows = step_energy(result)
    return {name: sum(row[name] for row in rows) * 1e-12 for name in COMPONENTS}
