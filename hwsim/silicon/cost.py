# SPDX-License-Identifier: Apache-2.0
"""A design in standard cells at 45 nm: area, leakage and flip-flops by block; energy of its clock, data and leakage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .activity import Activity, Enabled, Record, costs, dynamic_fj
from .asic import GATES
from .cells import clock_fj, gate_fj
from .netlist import Cost, Tick, add, quiet, synthesize
from .scaling import area_factor, energy_factor

KINDS = ("area_um2", "sram_um2", "sram_bits", "gates", "flipflops", "leakage_uw", "sram_leakage_uw")
"""Costs of a block (`hwsim.silicon.cells.price`)."""


@dataclass(frozen=True)
class Silicon:
    """Blocks of a design and their costs."""

    blocks: Mapping[str, Cost]
    gated_clock_j: float | None = None
    """Joules of the clock in a cycle if clock gates stood before what an enable holds, of the enables of the reference
    activity; None: those were not recorded."""

    @property
    def total(self) -> Cost:
        """Sum over all blocks."""
        found = dict.fromkeys(KINDS, 0.0)
        for cost in self.blocks.values():
            add(found, {k: v for k, v in cost.items() if k in KINDS})
        return found

    def area_mm2(self, node: int = 45) -> float:
        """Area of cells and SRAM before placement, mm^2."""
        total = self.total
        return (total["area_um2"] + total["sram_um2"]) * 1e-6 * area_factor(node)

    @property
    def clock_j(self) -> float:
        """Joules of the flip-flops' clocks in a cycle."""
        return self.total["flipflops"] * clock_fj() * 1e-15

    @property
    def leakage_w(self) -> float:
        """Watts of cells and SRAM."""
        return (self.total["leakage_uw"] + self.total["sram_leakage_uw"]) * 1e-6

    def rows(self, node: int = 45) -> list[dict[str, Any]]:
        """One a block, the largest first."""
        whole = self.area_mm2(node)
        found = []
        for name, cost in self.blocks.items():
            logic, sram = (cost.get(k, 0.0) * 1e-6 * area_factor(node) for k in ("area_um2", "sram_um2"))
            found.append({
                "block": name, "node_nm": node, "logic_mm2": logic, "sram_mm2": sram, "area_mm2": logic + sram,
                "share": (logic + sram) / whole, "gates": round(cost.get("gates", 0.0)),
                "flipflops": round(cost.get("flipflops", 0.0)), "sram_kib": cost.get("sram_bits", 0.0) / 8192,
                "leakage_mw": (cost.get("leakage_uw", 0.0) + cost.get("sram_leakage_uw", 0.0)) / 1000,
            })  # fmt: skip
        return sorted(found, key=lambda row: -row["area_mm2"])


def energy_row(what: str, unit: str, number: float, table_pj: float | None, rtl_pj: float) -> dict[str, Any]:
    """What is done, how often, and its energy by the table (None: it has none) and by the RTL."""
    joules = None if table_pj is None else number * table_pj * 1e-12
    return {"what": what, "unit": unit, "number": number, "table_pj": table_pj, "rtl_pj": rtl_pj,
            "table_j": joules, "rtl_j": number * rtl_pj * 1e-12}  # fmt: skip


def scaled(rows: Sequence[Mapping[str, Any]], node: int) -> list[dict[str, Any]]:
    """Rows of energy by what is done at another node; DRAM stays as it is."""
    factor = energy_factor(node)
    names = ("table_pj", "rtl_pj", "table_j", "rtl_j")
    return [
        row if row["what"].lower().startswith("dram") else {
            **row, **{n: row[n] * factor for n in names if row.get(n) is not None}
        }
        for row in map(dict, rows)
    ]  # fmt: skip


def ratio(a: float, b: float) -> float:
    """``a / b``; 0 where ``b`` is 0."""
    return a / b if b else 0.0


def columns(rows: Sequence[Mapping[str, Any]], built: Silicon, operations: float, seconds: float) -> dict[str, float]:
    """Columns of a result: area and what a run takes by the RTL at 45 nm; ``rows``: by what is done, with ``rtl_j``."""
    joules = sum(row["rtl_j"] for row in rows)
    area = built.area_mm2()
    return {"area_mm2": area, "rtl_energy_j": joules, "rtl_power_w": ratio(joules, seconds),
            "gop_per_s_mm2": 1e-9 * ratio(operations, seconds * area),
            "gop_per_j": 1e-9 * ratio(operations, joules)}  # fmt: skip


def silicon(
    top: str, parameters: Mapping[str, int], blocks: Sequence[str], tick: Tick, activity: Activity | None = None
) -> Silicon:
    """A design's blocks, synthesized whole; ``activity``: a record of it, whose clock enables are used."""
    priced = costs(synthesize(top, parameters, GATES, tick=tick), blocks)
    gated = None if activity is None else gated_clock_j(priced, activity)
    return Silicon({name: _sum(modules) for name, modules in priced.items()}, gated)


def gated_clock_j(priced: Mapping[str, Mapping[str, Cost]], activity: Activity) -> float | None:
    """Joules of a gated clock in a cycle; None: no record of enables.

    Of a module's flip-flops with an enable so many stand behind gates, for so many cycles, and so many to a gate, as in
    the record (its runs by their cycles); a module in which gates would take more than they save has none. That the
    multiplexers in front of the flip-flops would go is left out.

    Args:
        priced: cost of the design's modules by block and module.
    """
    if not any(record.enables for record in activity.records):
        return None
    small = costs(synthesize(activity.top, activity.parameters, GATES), tuple(priced))
    total = 0.0
    for block, modules in priced.items():
        for module, cost in modules.items():
            total += cost.get("flipflops", 0.0) * clock_fj()
            recorded = small.get(block, {}).get(module, {}).get("enabled", 0.0)
            seen = [(r.cycles, r.enables.get(block, {}).get(module)) for r in activity.records]
            if recorded and any(e is not None for _, e in seen):
                total -= cost.get("enabled", 0.0) * max(_saved_fj(seen, recorded), 0.0)
    return total * 1e-15


def _saved_fj(seen: Sequence[tuple[int, Enabled | None]], enabled: float) -> float:
    """Femtojoules a cycle that gates save of each flip-flop with an enable.

    Args:
        seen: cycles of each run and the module's enables in it; None: they never were low.
        enabled: flip-flops with an enable in the recorded design.
    """
    cycles = sum(n for n, _ in seen)
    low = sum(n * min(e.flipflops, enabled) * (1 - e.high) for n, e in seen if e) / cycles / enabled
    gates = max(e.gates for _, e in seen if e) / enabled
    return low * clock_fj() - gates * gate_fj(1 - low)


def _sum(modules: Mapping[str, Cost]) -> Cost:
    found: Cost = {}
    for cost in modules.values():
        add(found, cost)
    return found


class EventEnergy:
    """What the data of a co-simulated design's cells take for each event."""

    def __init__(self, activity: Activity, blocks: Sequence[str], tick: Tick = quiet) -> None:
        self.activity = activity
        self.priced = costs(synthesize(activity.top, activity.parameters, GATES, tick=tick), blocks)

    def pj(self, event: str, of: Sequence[str], kind: str = "") -> float:
        """Picojoules of an event: those of blocks over the runs in which it happens, over its number.

        Args:
            of: the blocks whose energy is counted.
            kind: only runs of this kind; empty: all.
        """
        energy = number = 0.0
        for record in self.activity.records:
            if record.events.get(event) and kind in ("", record.kind):
                number += record.events[event]
                energy += record.cycles * sum(self._block_fj(record, block) for block in of)
        return energy / number / 1000 if number else 0.0

    def _block_fj(self, record: Record, block: str) -> float:
        return dynamic_fj(self.priced.get(block, {}), record.rates.get(block, {}))
