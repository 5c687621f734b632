# SPDX-License-Identifier: Apache-2.0
"""SpAtten in silicon: area by block at 45 nm of a machine that the RTL can be, and a workload's energy from the RTL.

`spatten_core` is synthesized whole, each module of it once. Key and value SRAM are macros a bank
(`hwsim.silicon.sram`), DRAM is counted by command as in `hwsim.spatten.energy`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwsim.silicon.activity import OTHER, Activity, reference_activity
from hwsim.silicon.cells import price
from hwsim.silicon.cost import EventEnergy, Silicon, columns, energy_row, silicon
from hwsim.silicon.netlist import Tick, add, quiet
from hwsim.silicon.sram import macro

from .config import SpattenConfig
from .energy import COMPARE_PJ, SOFTMAX_PJ, multiply_pj, total_energy_j
from .result import SpattenResult

NAMES = {
    "query_key": "Q x K", "softmax": "softmax", "value_select": "top-k", "prob_value": "prob x V",
    "token_importance": "token importance", "head_importance": "head importance", "fetch": "fetch and crossbars",
    "vector_store": "key, value and query SRAM", "head_table": "table of heads", "fetch_schedule": "fetch schedule",
    "query_schedule": "query schedule", "token_store": "token lists", OTHER: "the rest",
}  # fmt: skip
BLOCKS = tuple(name for name in NAMES if name != OTHER)
REFERENCE_ACTIVITY = Path(__file__).with_name("activity.json")
"""Record of queries of a character model (`hwsim energy spatten --trace`)."""


PRUNING = ("value_select", "token_importance", "head_importance", "token_store")
"""Blocks that the other styles (`baselines`) do without."""
SEARCH = "candidate search"
REFRESH = "DRAM refresh"


def machine_silicon(
    config: SpattenConfig, tick: Tick = quiet, style: str = "SpAtten", activity: Activity | None = None
) -> Silicon:
    """Blocks of a machine at 45 nm; of another style: what it would have of SpAtten's blocks. ``activity``: whose clock
    enables are used, of SpAtten itself.

    A3 has a search for every 64 multipliers of Q x K beside that: of each dimension the largest and smallest product,
    and the extremes over the dimensions, taken as four `dot_group`s (32 multipliers and a tree each), and sorted keys
    with their places in an SRAM of their own. MNNFast's comparison with a threshold counts nothing.

    Raises:
        InputError: no Yosys, or a machine that the RTL cannot be.
    """
    parameters = config.verilog_parameters()
    found = silicon("spatten_core", parameters, BLOCKS, tick, activity if style == "SpAtten" else None)
    blocks = dict(found.blocks)
    if style != "SpAtten":
        for name in PRUNING:
            blocks.pop(name, None)
    if style == "A3":
        cost = blocks.setdefault(SEARCH, {})
        for part in silicon("dot_group", {"BITS": config.operand_bits}, (), tick).blocks.values():
            add(cost, part, 4 * max(config.qk_multipliers // 64, 1))
        place_bits = (config.buffer_keys - 1).bit_length()
        bits = 8 * config.key_sram_bytes * (config.operand_bits + place_bits) // config.operand_bits
        add(cost, price(f"ram {config.key_rows}x{bits // config.key_rows}"))
    return Silicon({NAMES.get(n, n): cost for n, cost in blocks.items()}, found.gated_clock_j)


def priced(
    result: SpattenResult, activity: Activity | None = None, tick: Tick = quiet
) -> tuple[list[dict[str, Any]], Silicon]:
    """Energy of a workload by what is done, and the silicon it is of; ``activity``: None takes the reference
    activity."""
    config = result.settings
    activity = activity or reference_activity(REFERENCE_ACTIVITY)
    built = machine_silicon(config, tick, result.style, activity)
    events = EventEnergy(activity, BLOCKS, tick)
    return energy_rtl(config, result.steps, events, built), built


def silicon_columns(result: SpattenResult) -> dict[str, float]:
    """Columns of a result: area, and energy from the RTL's cells and the reference activity."""
    rows, built = priced(result)
    return columns(rows, built, 2 * result.macs, result.seconds)


def energy_rtl(
    config: SpattenConfig, rows_: list[dict[str, Any]], events: EventEnergy, built: Silicon
) -> list[dict[str, Any]]:
    """Energy of a workload by what is done: how often, picojoules by the table and by the RTL, joules by both.

    The RTL's: data of a block's cells for each event, from the co-simulated record; the clock of every flip-flop in
    every cycle; leakage. The table has no clock, fetch, control or leakage.
    """
    counted = (
        "qk_macs",
        "pv_macs",
        "softmax_elements",
        "compared",
        "cycles",
        "key_elements_written",
        "value_elements_written",
    )
    total = {name: float(sum(row[name] for row in rows_)) for name in counted}
    table = total_energy_j(config, rows_)
    multiply = multiply_pj(config)
    found: list[dict[str, Any]] = []

    def row(what: str, unit: str, number: float, table_pj: float | None, rtl_pj: float) -> None:
        found.append(energy_row(what, unit, number, table_pj, rtl_pj))

    def event(name: str, *of: str) -> float:
        return events.pj(name, of)

    row("Q x K", "MAC", total["qk_macs"], multiply, event("qk_macs", "query_key"))
    row("prob x V", "MAC", total["pv_macs"], multiply, event("pv_macs", "prob_value"))
    row("softmax", "element", total["softmax_elements"], SOFTMAX_PJ, event("softmax_elements", "softmax"))
    row("top-k", "comparison", total["compared"], COMPARE_PJ, event("compared", "value_select"))
    row(
        "importance",
        "element",
        total["softmax_elements"],
        None,
        event("softmax_elements", "token_importance", "head_importance"),
    )
    element = config.operand_bits / 8
    for name, macs in (("key", "qk_macs"), ("value", "pv_macs")):
        moved = (total[f"{name}_elements_written"] + total[macs]) * element
        depth = config.key_rows if name == "key" else config.value_rows
        pj = 8 * macro(depth, 256).access_pj / 256
        row(f"{name} SRAM", "byte", moved, table[f"{name}_sram"] * 1e12 / moved if moved else 0.0, pj)
    bytes_ = float(sum(row_["dram_bytes"] for row_ in rows_))
    refreshes = float(sum(row_["dram_REF"] for row_ in rows_))
    dram = table["dram"] * 1e12 / bytes_ if bytes_ else 0.0
    row("DRAM", "byte", bytes_, dram, dram)
    refresh = table["dram_refresh"] * 1e12 / refreshes if refreshes else 0.0
    row(REFRESH, "command", refreshes, refresh, refresh)
    rest = ("fetch", "vector_store", "head_table", "fetch_schedule", "query_schedule", "token_store", OTHER)
    row("fetch, control", "byte", bytes_, None, event("bytes", *rest))
    row("clock", "cycle", total["cycles"], None, built.clock_j * 1e12)
    row("leakage", "second", total["cycles"] / config.frequency_hz, None, built.leakage_w * 1e12)
    # A3's search: two products and their extremes an iteration; projections: products like the others
    for what, column, products in (("candidates", "selected", 2), ("projections", "projection_macs", 1)):
        if number := float(sum(row_[column] for row_ in rows_)):
            row(what, "MAC", number, multiply, products * event("qk_macs", "query_key"))
    return found
