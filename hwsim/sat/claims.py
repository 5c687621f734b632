# SPDX-License-Identifier: Apache-2.0
"""The SAT paper's claims, computed; areas, energies and FPGA resources of SAT and of arrays costed alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dataflow.networks.zoo import PAPER_NETWORKS, network
from dataflow.pattern import DENSE, NM
from dataflow.training import REFERENCE_ACCURACY
from dataflow.training.methods import Method
from hwsim.core.claims import Tables, bound, claim, costed
from hwsim.core.study import StudyTables
from hwsim.silicon import cells, fpga, scaling, sram
from hwsim.silicon.activity import reference_activity
from hwsim.silicon.cost import EventEnergy, Silicon
from hwsim.silicon.netlist import Tick, synthesize

from . import silicon as sat_silicon
from .config import SatConfig
from .result import StepResult
from .study import compare, step

Say = Callable[[str], None]

BATCH = 512
PATTERN = NM(2, 8)
ARRAYS = (4, 8, 16, 32)
LARGEST = 8
"""Modules in the table of FPGA resources: the largest ones."""
ASSUMPTIONS = {
    "logic cells": cells.SOURCE,
    "SRAM": sram.SOURCE,
    "other nodes than 45 nm": f"{scaling.SOURCE}; high-performance transistors, supply voltages are ours",
}
DENSE_ARRAY = SatConfig(group_max=1, weight_registers=4)
SPARSE_ARRAY = SatConfig(group_max=4, weight_registers=4)
"""SAT cut down to what 2:4 needs, so that its area comes from the same RTL; how a GPU does 2:4 is another machine."""
EXACT_SAT = SatConfig(accumulate="exact", interleave_max=1)
"""SAT with exact sums: the mode that fits the VCU1525."""


def sat_claims(tables: Tables, say: Say) -> list[StepResult]:
    """Speedup over dense of the five models, from the ideal to the mean; the sparse steps."""
    found = []
    for name in PAPER_NETWORKS:
        say(f"SAT: {name}")
        dense = step(SatConfig(), network(name), BATCH, Method.DENSE, DENSE)
        sparse = step(SatConfig(), network(name), BATCH, Method.BDWP, PATTERN)
        for table, rows in compare(dense, sparse, Method.BDWP, PATTERN).items():
            if table != "where_not":
                tables.setdefault(table, []).extend(rows)
        found.append(sparse)
    rows = tables["speedup"]
    mean = sum(r["speedup"] for r in rows) / len(rows)
    falls: dict[str, float] = {}
    for r in tables.pop("waterfall"):
        if r["step"] not in ("ideal", "reached"):
            falls[r["step"]] = falls.get(r["step"], 0.0) + r["delta"] / len(rows)
    largest = sorted(falls.items(), key=lambda item: item[1])[:3]
    command = f"hwsim report --networks {','.join(PAPER_NETWORKS)} --nm {PATTERN}"
    ideal = rows[0]["ideal_speedup"]
    claim(tables, "sat_speedup_mean", mean, f"{mean:.2f}x", command,
           f"below {ideal:.1f}x by " + ", ".join(f"{name} {value:+.2f}" for name, value in largest))  # fmt: skip
    claim(tables, "sat_speedup_ideal", ideal, f"{ideal:.1f}x", command, "arithmetic: three passes, two at a quarter")
    for r in rows:
        bound(tables, f"speedup of {r['network']}: dense over sparse multiplies", r["speedup"], ideal, "x")
    return found


def accuracy_claim(tables: Tables) -> None:
    """Accuracy lost by BDWP at 2:8, mean of the tasks of the reference table of ``hwsim train --full``."""
    rows = StudyTables.read(REFERENCE_ACCURACY).tables["accuracy"]
    mine = [r for r in rows if r["method"] == "bdwp" and r["pattern"] == str(PATTERN) and r["metric"] == "accuracy"]
    if not mine:
        return
    loss = -100 * sum(r["delta"] for r in mine) / len(mine)
    text = "; ".join(f"{r['task']} {-100 * r['delta']:+.2f} (std {100 * r['delta_std']:.2f})" for r in mine)
    claim(tables, "bdwp_accuracy_loss_mean", loss, f"{loss:.2f} ({text})", "hwsim train --full (over an hour; kept)",
           "small networks on small data, three seeds: not the paper's ImageNet models")  # fmt: skip


def sat_costs(tables: Tables, steps: Sequence[StepResult], say: Say, tick: Tick) -> None:
    """Area, energy and FPGA resources of SAT, of a dense array and of SAT's array built for 2:4 alone."""
    config = SatConfig()
    built = sat_silicon.machine_silicon(config, tick)
    tables["sat_area"] = built.rows()
    events = EventEnergy(reference_activity(sat_silicon.REFERENCE_ACTIVITY["binary32"]), sat_silicon.BLOCKS, tick)
    by_step = [sat_silicon.step_energy_rtl(s, events, built) for s in steps]
    first = steps[0]
    tables["sat_energy"] = [{"run": f"{first.network}, {first.pattern}", **row} for row in by_step[0]]
    _fpga(tables, config, tick)
    speed = sum(map(_gops, steps)) / len(steps)
    claim(tables, "sat_throughput_over_fpgas", speed, f"{speed:.0f} GFLOP/s", "hwsim reproduce --machine sat",
           "operations of the dense step over our time at 200 MHz, mean of five; beside the one rival found in print",
           against="ef_train_gflops")  # fmt: skip
    say("SAT: dense and 2:4 arrays")
    name = PAPER_NETWORKS[0]
    for label, machine, method, pattern in (
        ("SAT, BDWP 2:8", config, Method.BDWP, PATTERN),
        ("SAT's array built for 2:4 alone", SPARSE_ARRAY, Method.BDWP, NM(2, 4)),
        ("dense systolic array", DENSE_ARRAY, Method.DENSE, DENSE),
    ):
        result = step(machine, network(name), BATCH, method, pattern)
        mine = sat_silicon.machine_silicon(machine, tick)
        if method is Method.DENSE:
            mine = Silicon({n: c for n, c in mine.blocks.items() if n not in ("SORE", "weight block")})
        rows = sat_silicon.step_energy_rtl(result, events, mine)
        gop = _gops(result) * result.seconds
        costed(tables, "sat_machines", (label, name), gop, result.seconds, mine.area_mm2(), rows)


def _fpga(tables: Tables, config: SatConfig, tick: Tick) -> None:
    for n in ARRAYS:
        found = synthesize("stce", SatConfig(rows=n, cols=n).verilog_parameters(), fpga.FLOW, tick=tick)
        _resources(tables, f"stce {n} x {n}", found.total(fpga.price))
    found = synthesize("sat_core", config.verilog_parameters(), fpga.FLOW, tick=tick)
    _resources(tables, "sat_core, all of SAT", found.total(fpga.price))
    exact = synthesize("sat_core", EXACT_SAT.verilog_parameters(), fpga.FLOW, tick=tick)
    _resources(tables, "sat_core with exact sums", exact.total(fpga.price))
    modules = sorted(found.by_name(fpga.price), key=lambda row: -row["LUT"])[:LARGEST]
    luts = fpga.DEVICE_RESOURCES["LUT"]
    tables["fpga_modules"] = [{**row, "LUT_each": row["LUT"] / row["instances"], "LUT_share": row["LUT"] / luts}
                              for row in modules]  # fmt: skip


def _resources(tables: Tables, what: str, resources: dict[str, float]) -> None:
    share = {f"{r}_share": resources[r] / fpga.DEVICE_RESOURCES[r] for r in fpga.RESOURCES}
    worst = max(share, key=lambda r: share[r])
    verdict = "yes" if share[worst] <= 1 else f"no: {worst.removesuffix('_share')}"
    tables.setdefault("fpga", []).append({"what": what, **resources, **share, "fits": verdict})


def _gops(result: StepResult) -> float:
    """Operations of the dense step a second, GOP/s."""
    return 2e-9 * result.total("macs") / result.seconds
