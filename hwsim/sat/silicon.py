# SPDX-License-Identifier: Apache-2.0
"""SAT in silicon: area by block at 45 nm of a machine that `sat_core` can be, and the energy of a step from the RTL.

`sat_core` is synthesized whole, each module of it once; its lanes of SORE and WUVE are one a column. Buffers are SRAM
macros (`hwsim.silicon.sram`), DRAM is counted by DDR4 command.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dataflow.errors import InputError
from hwsim.core.energy import FP16_MULTIPLY, INT16_ADD, UPDATE_PJ
from hwsim.memory.config import ddr4_2400
from hwsim.memory.energy import command_energy
from hwsim.sat.energy import add_pj, total_energy_j
from hwsim.silicon.activity import OTHER, Activity, reference_activity
from hwsim.silicon.cost import EventEnergy, Silicon, columns, energy_row, silicon
from hwsim.silicon.netlist import Tick, quiet
from hwsim.silicon.sram import macro

from .config import Accumulate, SatConfig
from .program import check_core
from .result import StepResult

BLOCKS = ("stce", "sore", "wuve", "weight_block", "ram")
NAMES = {"stce": "array (STCE)", "sore": "SORE", "wuve": "WUVE", "weight_block": "weight block", "ram": "buffers",
         OTHER: "control, ports"}  # fmt: skip
REFERENCE_ACTIVITY: dict[Accumulate, Path] = {
    "binary32": Path(__file__).with_name("activity.json"),
}
"""Records of the digits CNN's second convolution: a traced BDWP 2:8 step, by kind of sums."""


def machine_silicon(config: SatConfig, tick: Tick = quiet, activity: Activity | None = None) -> Silicon:
    """Blocks of a machine at 45 nm: `sat_core`, synthesized whole; ``activity``: whose clock enables are used.

    Raises:
        InputError: no Yosys; the RTL cannot be this machine.
    """
    check_core(config.model_copy(update={"sore_lanes": config.cols, "wuve_lanes": config.cols}))
    found = silicon("sat_core", config.verilog_parameters(), BLOCKS, tick, activity)
    return Silicon({NAMES.get(n, n): cost for n, cost in found.blocks.items()}, found.gated_clock_j)


def priced(
    result: StepResult, activity: Activity | None = None, tick: Tick = quiet
) -> tuple[list[dict[str, Any]], Silicon]:
    """Energy of a step by what is done, and the silicon it is of; ``activity``: None takes the reference activity."""
    config = SatConfig.model_validate(result.config)
    if activity is None and config.accumulate not in REFERENCE_ACTIVITY:
        raise InputError(
            f"machine.accumulate: {config.accumulate}: no switching of it is kept: `hwsim energy sat --trace TRACE` "
            "with this setting records it; `--from table` needs none"
        )
    activity = activity or reference_activity(REFERENCE_ACTIVITY[config.accumulate])
    built = machine_silicon(config, tick, activity)
    events = EventEnergy(activity, BLOCKS, tick)
    return step_energy_rtl(result, events, built), built


def silicon_columns(result: StepResult) -> dict[str, float]:
    """Columns of a step's result: area, and energy from the RTL's cells and the reference activity."""
    rows, built = priced(result)
    return columns(rows, built, 2 * result.total("macs"), result.seconds)


def step_energy_rtl(result: StepResult, events: EventEnergy, built: Silicon) -> list[dict[str, Any]]:
    """Energy of a step by what is done: how often, picojoules by the table and by the RTL, joules by both.

    The RTL's: data of the array's cells a multiply-accumulate (sparse passes and WU apart), of SORE's an element, of
    WUVE's a weight, of the rest a byte of DRAM traffic, from the co-simulated record; the clock of every flip-flop in
    every cycle; leakage. The table has no clock, control or leakage.
    """
    c = SatConfig.model_validate(result.config)
    table = total_energy_j(result)
    sparse = result.total("macs_done", lambda r: ":" in r.pattern)
    dense = result.total("macs_done") - sparse
    mac = FP16_MULTIPLY.value_pj + add_pj(c.exact)
    traffic = result.total("dram_read_bytes") + result.total("dram_write_bytes")
    rows: list[dict[str, Any]] = []

    def row(what: str, unit: str, number: float, table_pj: float | None, rtl_pj: float) -> None:
        rows.append(energy_row(what, unit, number, table_pj, rtl_pj))

    row("multiply-add, sparse", "MAC", sparse, mac, events.pj("macs", ["stce"], "sparse"))
    row("multiply-add, dense", "MAC", dense, mac, events.pj("macs", ["stce"], "dense"))
    elements = result.total("sore_elements")
    compared = result.total("sore_comparisons") / elements if elements else 1.0
    row("SORE", "element", elements, compared * INT16_ADD.value_pj,
        events.pj("elements", ["sore"]))  # fmt: skip
    row("WUVE", "weight", result.total("wuve_updates"), UPDATE_PJ,
        events.pj("updates", ["wuve", "weight_block"]))  # fmt: skip
    for name in ("west", "north", "output"):
        moved = result.total(f"{name}_read_bytes") + result.total(f"{name}_write_bytes")
        row(f"{name} buffer", "byte", moved, table[name] * 1e12 / moved if moved else 0.0, _buffer_pj(c, name))
    row("DRAM", "byte", traffic, table["dram"] * 1e12 / traffic if traffic else 0.0, _dram_pj(c))
    row("control, ports", "byte", traffic, None, events.pj("bytes", [OTHER, "ram"]))
    row("clock", "cycle", result.cycles, None, built.clock_j * 1e12)
    row("leakage", "second", result.seconds, None, built.leakage_w * 1e12)
    return rows


def _buffer_pj(c: SatConfig, name: str) -> float:
    p = c.verilog_parameters()
    bits = {"west": 16 * c.word_elements, "north": 24, "output": 32}[name]
    return 8 * macro(1 << p[f"{name.upper()}_WIDTH"], bits).access_pj / bits


def _dram_pj(c: SatConfig) -> float:
    """A byte of a stream: reads as writes, a row opened once for all of it, refresh over the bytes of its time."""
    memory = ddr4_2400(c.dram_channels)
    each = command_energy(memory)
    size = memory.transaction_bytes
    refreshed = memory.peak_bytes_per_cycle / memory.channels * memory.nREFI * c.dram_efficiency
    return (each["read"] + each["write"]) / 2 / size + each["activate"] / memory.row_bytes + each["refresh"] / refreshed
