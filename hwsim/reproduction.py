# SPDX-License-Identifier: Apache-2.0
"""The claims of both papers, computed: ours, the command that makes the number, and what stands behind it.

A claim's row has the key of the published figure (`reports/published/`), which only the report sets beside it. What
is not a claim: areas, energies and FPGA resources of both machines and of what they are compared with, and bounds that
nothing may beat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dataflow.networks.zoo import PAPER_NETWORKS, network
from dataflow.pattern import DENSE, NM
from dataflow.training.methods import Method
from hwsim.core.devices import DEVICES, Device
from hwsim.core.result import StepResult
from hwsim.sat import silicon as sat_silicon
from hwsim.sat.config import SatConfig
from hwsim.sat.study import compare, step
from hwsim.silicon import cells, fpga, scaling, sram
from hwsim.silicon.activity import kept
from hwsim.silicon.cost import EventEnergy, Silicon, scaled
from hwsim.silicon.netlist import Tick, synthesize
from hwsim.spatten import silicon as spatten_silicon
from hwsim.spatten.baselines import STYLES
from hwsim.spatten.config import SpattenConfig, eighth
from hwsim.spatten.run import SpattenRun
from hwsim.spatten.timing.simulate import SpattenResult

Row = dict[str, Any]
Tables = dict[str, list[Row]]
Say = Callable[[str], None]

BATCH = 512
PATTERN = NM(2, 8)
WORKLOADS = ("bert-base", "bert-large", "gpt2-small-wikitext2", "gpt2-medium")
"""Those of the paper's models that come along; of a decoder's tokens one of `EVERY`."""
EVERY = 8
STUDIED = ("gpt2-small-wikitext2", "bert-base")
"""Those with A3, MNNFast and the ladder of techniques."""
PAPER_NODE = 40
"""SpAtten's, nm."""
FPGA_NODE = 16
"""The XCVU9P's, nm."""
FPGA_LOGIC = 14.0
"""Dynamic power of logic in an FPGA over that in standard cells of the same node. An assumption: I. Kuon, J. Rose,
Measuring the Gap Between FPGAs and ASICs, IEEE TCAD 26(2), 2007 (mean of their circuits without hard blocks, 90 nm)."""
ARRAYS = (4, 8, 16, 32)
LARGEST = 8
"""Modules of the FPGA's list."""
ASSUMPTIONS = {
    "logic cells": cells.SOURCE,
    "SRAM": sram.SOURCE,
    "other nodes than 45 nm": f"{scaling.SOURCE}; supply voltages are ours",
    "FPGA power": f"energy at {FPGA_NODE} nm, logic times {FPGA_LOGIC:g}: I. Kuon, J. Rose, Measuring the Gap Between "
    "FPGAs and ASICs, IEEE TCAD 26(2), 2007",
    **{device.name: device.source for device in DEVICES},
}
DENSE_ARRAY = SatConfig(group_max=1, weight_registers=4)
SPARSE_ARRAY = SatConfig(group_max=4, weight_registers=4)


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
    _claim(tables, "sat_speedup_mean", mean, f"{mean:.2f}x", command,
           f"below {ideal:.1f}x by " + ", ".join(f"{name} {value:+.2f}" for name, value in largest))  # fmt: skip
    _claim(tables, "sat_speedup_ideal", ideal, f"{ideal:.1f}x", command, "arithmetic: three passes, two at a quarter")
    for r in rows:
        _bound(tables, f"speedup of {r['network']}: dense over sparse multiplies", r["speedup"], ideal, "x")
    return found


def accuracy_claim(tables: Tables, rows: Sequence[Row]) -> None:
    """Accuracy lost by BDWP at 2:8, mean of the tasks; ``rows``: the kept table of ``hwsim train --full``."""
    mine = [r for r in rows if r["method"] == "bdwp" and r["pattern"] == str(PATTERN) and r["metric"] == "accuracy"]
    if not mine:
        return
    loss = -100 * sum(r["delta"] for r in mine) / len(mine)
    text = "; ".join(f"{r['task']} {-100 * r['delta']:+.2f} (std {100 * r['delta_std']:.2f})" for r in mine)
    _claim(tables, "bdwp_accuracy_loss_mean", loss, f"{loss:.2f} ({text})", "hwsim train --full (over an hour; kept)",
           "small networks on small data, three seeds: not the paper's ImageNet models")  # fmt: skip


def sat_costs(tables: Tables, steps: Sequence[StepResult], say: Say, tick: Tick) -> None:
    """Area, energy and FPGA resources of SAT, of a dense array and of one for 2:4 alone."""
    config = SatConfig()
    built = sat_silicon.machine_silicon(config, tick)
    tables["sat_area"] = built.rows()
    events = EventEnergy(kept(sat_silicon.KEPT), sat_silicon.BLOCKS, tick)
    by_step = [sat_silicon.step_energy_rtl(s, events, built) for s in steps]
    first = steps[0]
    tables["sat_energy"] = [{"run": f"{first.network}, {first.pattern}", **row} for row in by_step[0]]
    _fpga(tables, config, tick)
    watts = [_fpga_watts(s, rows) for s, rows in zip(steps, by_step, strict=True)]
    tables["fpga_power"] = [{"network": s.network, "watts": w, "gop_per_s": _gops(s), "gop_per_j": _gops(s) / w}
                            for s, w in zip(steps, watts, strict=True)]  # fmt: skip
    rows = tables["fpga_power"]
    speed = sum(r["gop_per_s"] for r in rows) / len(rows)
    each = sum(r["gop_per_j"] for r in rows) / len(rows)
    _claim(tables, "sat_throughput_over_fpgas", speed, f"{speed:.0f} GFLOP/s", "hwsim reproduce (fpga_power)",
           "operations of the dense step over our time at 200 MHz, mean of five; beside the one rival found in print",
           against="ef_train_gflops")  # fmt: skip
    _claim(tables, "sat_efficiency_over_fpgas", each, f"{each:.1f} GFLOP/J", "hwsim reproduce (fpga_power)",
           f"our power is an estimate: RTL energy at {FPGA_NODE} nm, logic x {FPGA_LOGIC:g}, no static power or board",
           against="ef_train_gflops_per_w")  # fmt: skip
    say("SAT: dense and 2:4 arrays")
    name = PAPER_NETWORKS[0]
    for label, machine, method, pattern in (
        ("SAT, BDWP 2:8", config, Method.BDWP, PATTERN),
        ("array for 2:4 alone", SPARSE_ARRAY, Method.BDWP, NM(2, 4)),
        ("dense systolic array", DENSE_ARRAY, Method.DENSE, DENSE),
    ):
        result = step(machine, network(name), BATCH, method, pattern)
        mine = sat_silicon.machine_silicon(machine, tick)
        if method is Method.DENSE:
            mine = Silicon({n: c for n, c in mine.blocks.items() if n not in ("SORE", "weight block")})
        rows = sat_silicon.step_energy_rtl(result, events, mine)
        gop = _gops(result) * result.seconds
        _machine(tables, "sat_machines", (label, name), gop, result.seconds, mine.area_mm2(), rows)


def _fpga(tables: Tables, config: SatConfig, tick: Tick) -> None:
    for n in ARRAYS:
        found = synthesize("stce", SatConfig(rows=n, cols=n).verilog_parameters(), fpga.FLOW, tick=tick)
        _resources(tables, f"stce {n} x {n}", found.total(fpga.price))
    found = synthesize("sat_core", config.verilog_parameters(), fpga.FLOW, tick=tick)
    _resources(tables, "sat_core, all of SAT", found.total(fpga.price))
    modules = sorted(found.by_name(fpga.price), key=lambda row: -row["LUT"])[:LARGEST]
    luts = fpga.DEVICE_RESOURCES["LUT"]
    tables["fpga_modules"] = [{**row, "LUT_each": row["LUT"] / row["instances"], "LUT_share": row["LUT"] / luts}
                              for row in modules]  # fmt: skip


def _resources(tables: Tables, what: str, resources: dict[str, float]) -> None:
    share = {f"{r}_share": resources[r] / fpga.DEVICE_RESOURCES[r] for r in fpga.RESOURCES}
    worst = max(share, key=lambda r: share[r])
    verdict = "yes" if share[worst] <= 1 else f"no: {worst.removesuffix('_share')}"
    tables.setdefault("fpga", []).append({"what": what, **resources, **share, "fits": verdict})


def _fpga_watts(result: StepResult, rows: Sequence[Row]) -> float:
    """Watts of a step in the FPGA: logic and clock by the gap to standard cells, RAM as it is, no static power."""
    joules = 0.0
    for row in scaled(rows, FPGA_NODE):
        hard = "buffer" in row["what"] or row["what"] == "DRAM"
        joules += 0.0 if row["what"] == "leakage" else row["rtl_j"] * (1.0 if hard else FPGA_LOGIC)
    return joules / result.seconds


def _gops(result: StepResult) -> float:
    """Billions of the dense step's operations a second."""
    return 2e-9 * result.total("macs") / result.seconds


WHY: dict[str, str] = {
    "spatten_compute_reduction": "one pruning schedule a model here, tuned task by task in the paper",
    "spatten_energy_over_a3": "by the table; a decoder's keys come again for every token, so memory decides; "
    "an encoder's few fetches leave A3's fewer multiplies",
    "spatten_energy_over_mnnfast": "by the table of figures; MNNFast fetches all K and V, felt most by a decoder",
    "spatten_ladder_tokens": "time falls with the tokens; one comparator limits from value pruning on",
    "spatten_ladder_heads": "few heads leave by the usual schedule, and a decoder waits for the memory, not for heads",
    "spatten_parallel_topk": "every query has a top-k of its values here: with one comparator the slowest stage",
    "spatten_topk_saturates": "every query has a top-k of its values here: 16 comparators are slower than multipliers",
    "spatten_sram_saturates": "keys that wait for the quantization check must stay in the SRAM: longest in a decoder",
}
"""What stands behind claims for which the study counts no cause."""


def spatten_claims(tables: Tables, study: Tables) -> None:
    """Claims out of SpAtten's study; general processors at their roofs; bounds."""
    command = f"hwsim report --machine spatten --workloads {','.join(WORKLOADS)}"
    for row in study["attention_headlines"]:
        _claim(tables, row["key"], row["value"], row["ours"], command, WHY.get(row["key"], str(row["why"])))
    dense = {r["workload"]: r for r in study["ladder"] if r["rung"] == "dense datapath"}
    for device in DEVICES:
        least = {name: _roof_seconds(device, row) for name, row in dense.items()}
        faster = {r["workload"]: 1e6 * least[r["workload"]] / r["microseconds"] for r in study["attention"]}
        less = {r["workload"]: 1e6 * least[r["workload"]] * device.watts / r["energy_uj"] for r in study["attention"]}
        for key, found, what in (("over", faster, "time"), ("energy_over", less, "energy")):
            why = (
                f"a bound: least {what} of {device.name} in 32 bits ({device.tflops:g} TFLOPS, {device.gb_per_s:g} "
                f"GB/s, {device.watts:g} W); what is missing to the paper's is how far it was from that"
            )
            _several(tables, f"spatten_{key}_{device.key}", found, "hwsim reproduce", why)
    decoders = {
        r["workload"]: _roof_seconds(DEVICES[0], dense[r["workload"]]) * SpattenConfig().frequency_hz
        / dense[r["workload"]]["cycles"] for r in study["attention"] if not r["encoder"]
    }  # fmt: skip
    why = "a bound: our dense datapath against the GPU at its roof, which the paper's measured one is far from"
    _several(tables, "spatten_ladder_datapath", decoders, command, why)
    machine = SpattenConfig()
    for row in study["attention"]:
        name = row["workload"]
        _bound(tables, f"{name}: DRAM or multiplier bound over cycles", row["share_of_bound"], 1.0, "share")
        last = [r for r in study["ladder"] if r["workload"] == name][-1]
        roof = min(machine.peak_tflops, last["flop_per_byte"] * machine.peak_bytes_per_s / 1e12)
        _bound(tables, f"{name}: TFLOPS under the roofline", last["tflops"], roof, "TFLOPS")


def _roof_seconds(device: Device, dense: Row) -> float:
    """Least time of a dense workload in 32 bits, of a row of the ladder."""
    traffic = dense["dram_mb"] * 1e6
    return device.seconds(dense["flop_per_byte"] * traffic, traffic * 32 / SpattenConfig().operand_bits)


def _several(tables: Tables, key: str, found: dict[str, float], command: str, why: str) -> None:
    """A claim of several workloads: the mean."""
    if found:
        text = "; ".join(f"{value:.2f}x ({name})" for name, value in found.items())
        _claim(tables, key, sum(found.values()) / len(found), text, command, why)


def _spatten_run(workload: str, style: str, machine: SpattenConfig) -> SpattenResult:
    decoder = workload.startswith("gpt2")
    run = SpattenRun(workload=workload, style=style, every=EVERY if decoder else 1, machine=machine)
    return run.run(run.open())


def spatten_costs(tables: Tables, say: Say, tick: Tick) -> None:
    """Area, power and energy of SpAtten by block, and of SpAtten-1/8, A3 and MNNFast."""
    config = SpattenConfig()
    built = spatten_silicon.machine_silicon(config, tick)
    tables["spatten_area"] = built.rows(PAPER_NODE)
    events = EventEnergy(kept(spatten_silicon.KEPT), spatten_silicon.BLOCKS, tick)
    area = built.area_mm2(PAPER_NODE)
    command = f"hwsim energy spatten --node {PAPER_NODE}"
    sram = sum(r["sram_mm2"] for r in tables["spatten_area"])
    _claim(
        tables,
        "spatten_area",
        area,
        f"{area:.2f} mm2 ({sram:.2f} of it SRAM)",
        command,
        "cells and macros alone: no placement (usually 70 to 80% full), wires, clock tree, pads or memory interface",
    )
    share = {r["block"]: r["share"] for r in tables["spatten_area"]}
    topk = spatten_silicon.NAMES["value_select"]
    _claim(tables, "spatten_topk_area", 100 * share[topk], f"{100 * share[topk]:.1f}%", command,
           "one engine; the choice of tokens and heads at a layer's end is the host's")  # fmt: skip
    watts, shares = [], []
    for workload in STUDIED:
        say(f"SpAtten: power, {workload}")
        result = _spatten_run(workload, "SpAtten", config)
        rows = scaled(spatten_silicon.energy_rtl(config, result.rows, events, built), PAPER_NODE)
        tables.setdefault("spatten_energy", []).extend({"run": workload, **row} for row in rows)
        total = sum(r["rtl_j"] for r in rows)
        dram = sum(r["rtl_j"] for r in rows if r["what"] == "DRAM")
        watts.append((workload, total / result.seconds, dram / result.seconds))
        shares.append(sum(r["rtl_j"] for r in rows if r["what"] == topk) / total)
    _claim(
        tables,
        "spatten_power",
        sum(w for _, w, _ in watts) / len(watts),
        "; ".join(f"{w:.2f} W, {d:.2f} of it DRAM ({n})" for n, w, d in watts),
        command,
        "no wires, glitches or clock tree, but every flip-flop is clocked in every cycle; ours is less busy",
    )
    mean = sum(shares) / len(shares)
    _claim(tables, "spatten_topk_power", 100 * mean, "; ".join(f"{s:.1%}" for s in shares), command,
           "data of its cells alone; its clock is counted with all others'")  # fmt: skip
    machine = eighth()
    for workload in STUDIED:
        gop = 2e-9 * _spatten_run(workload, "dense", machine).macs
        for name in STYLES:
            say(f"SpAtten-1/8 and others: {workload}, {name}")
            result = _spatten_run(workload, name, machine)
            mine = spatten_silicon.machine_silicon(machine, tick, name)
            rows = spatten_silicon.energy_rtl(machine, result.rows, events, mine)
            label = {"SpAtten": "SpAtten-1/8", "dense": "dense datapath"}.get(name, name)
            _machine(tables, "spatten_machines", (label, workload), gop, result.seconds, mine.area_mm2(), rows)


def _claim(tables: Tables, key: str, value: float | None, ours: str, command: str, why: str, against: str = "") -> None:
    tables.setdefault("claims", []).append(
        {"key": key, "value": value, "ours": ours, "command": command, "why": why, "against": against or key}
    )


def _bound(tables: Tables, what: str, ours: float, bound: float, unit: str, least: bool = False) -> None:
    holds = ours >= bound * (1 - 1e-9) if least else ours <= bound * (1 + 1e-9)
    tables.setdefault("bounds", []).append(
        {"what": what, "ours": ours, "side": "at least" if least else "at most", "bound": bound, "unit": unit,
         "holds": "yes" if holds else "NO"}
    )  # fmt: skip


def _machine(
    tables: Tables, table: str, names: tuple[str, str], gop: float, seconds: float, area: float, rows: Sequence[Row]
) -> None:
    """Speed and efficiency of a machine (its name and the run's); ``gop``: the task's operations, the same for all."""
    table_j, rtl_j = (sum(r[f"{kind}_j"] or 0.0 for r in rows) for kind in ("table", "rtl"))
    tables.setdefault(table, []).append({
        "machine": names[0], "run": names[1], "ms": 1e3 * seconds, "area_mm2": area, "gop_per_s": gop / seconds,
        "gop_per_s_mm2": gop / seconds / area, "gop_per_j_table": gop / table_j, "gop_per_j_rtl": gop / rtl_j,
        "watts_rtl": rtl_j / seconds,
    })  # fmt: skip
