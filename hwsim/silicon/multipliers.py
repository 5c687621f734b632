# SPDX-License-Identifier: Apache-2.0
"""What a multiplier costs in standard cells: FP16 beside 8-bit integers."""

from __future__ import annotations

from typing import Any

from .asic import GATES
from .cells import price
from .netlist import synthesize

MULTIPLIERS = (("fp16_mul", "FP16, exact product in FP32"), ("int8_mul", "int8, exact product in 16 bits"))
LATENCY = 3
"""Pipeline registers of each."""


def multipliers() -> list[dict[str, Any]]:
    """A row each: cells, area (um^2, 45 nm, before placement) and flip-flops, and its area over the first one's.

    Raises:
        InputError: Yosys is not installed (extra ``synth``).
    """
    rows: list[dict[str, Any]] = []
    for module, what in MULTIPLIERS:
        cost = synthesize(module, {"LATENCY": LATENCY}, GATES).total(price)
        rows.append({"module": module, "what": what, "latency": LATENCY, "area_um2": cost["area_um2"],
                     "gates": round(cost["gates"]), "flipflops": round(cost["flipflops"])})  # fmt: skip
    return [{**row, "share": row["area_um2"] / rows[0]["area_um2"]} for row in rows]
