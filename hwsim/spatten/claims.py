# SPDX-License-Identifier: Apache-2.0
"""The SpAtten paper's claims, computed; areas and energies of SpAtten and of what it is compared with."""

from __future__ import annotations

from collections.abc import Callable

from hwsim.core.claims import Row, Tables, bound, claim, costed, several
from hwsim.core.devices import DEVICES, Device
from hwsim.silicon import cells, scaling, sram
from hwsim.silicon.activity import reference_activity
from hwsim.silicon.cost import EventEnergy, scaled
from hwsim.silicon.netlist import Tick

from . import silicon as spatten_silicon
from .baselines import STYLES
from .config import SpattenConfig, eighth
from .result import SpattenResult
from .run import SpattenRun

Say = Callable[[str], None]

WORKLOADS = ("bert-base", "bert-large", "gpt2-small-wikitext2", "gpt2-medium")
"""The paper's models whose workloads are shipped; of a decoder's tokens every `STRIDE`-th is run."""
STRIDE = 8
STUDIED = ("gpt2-small-wikitext2", "bert-base")
"""Workloads that are compared with A3 and MNNFast and have the ablation."""
PAPER_NODE = 40
"""Technology node of the paper's SpAtten, nm."""
ASSUMPTIONS = {
    "logic cells": cells.SOURCE,
    "SRAM": sram.SOURCE,
    "other nodes than 45 nm": f"{scaling.SOURCE}; supply voltages are ours",
    **{device.name: device.source for device in DEVICES},
}

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
"""Reasons for claims of which the study counts no cause."""


def spatten_claims(tables: Tables, study: Tables) -> None:
    """Claims out of SpAtten's study; general processors at their roofs; bounds."""
    command = f"hwsim report --machine spatten --workloads {','.join(WORKLOADS)}"
    for row in study["attention_headlines"]:
        claim(tables, row["key"], row["value"], row["ours"], command, WHY.get(row["key"], str(row["why"])))
    dense = {r["workload"]: r for r in study["ladder"] if r["technique"] == "dense datapath"}
    for device in DEVICES:
        least = {name: _roof_seconds(device, row) for name, row in dense.items()}
        faster = {r["workload"]: 1e6 * least[r["workload"]] / r["microseconds"] for r in study["attention"]}
        less = {r["workload"]: 1e6 * least[r["workload"]] * device.watts / r["energy_uj"] for r in study["attention"]}
        for key, found, what in (("over", faster, "time"), ("energy_over", less, "energy")):
            why = (
                f"a bound: least {what} of {device.name} in 32 bits ({device.tflops:g} TFLOPS, {device.gb_per_s:g} "
                f"GB/s, {device.watts:g} W); what is missing to the paper's is how far it was from that"
            )
            several(tables, f"spatten_{key}_{device.key}", found, "hwsim reproduce", why)
    decoders = {
        r["workload"]: _roof_seconds(DEVICES[0], dense[r["workload"]]) * SpattenConfig().frequency_hz
        / dense[r["workload"]]["cycles"] for r in study["attention"] if not r["encoder"]
    }  # fmt: skip
    why = "a bound: our dense datapath against the GPU at its roof, which the paper's measured one is far from"
    several(tables, "spatten_ladder_datapath", decoders, command, why)
    machine = SpattenConfig()
    for row in study["attention"]:
        name = row["workload"]
        bound(tables, f"{name}: DRAM or multiplier bound over cycles", row["share_of_bound"], 1.0, "share")
        last = [r for r in study["ladder"] if r["workload"] == name][-1]
        roof = min(machine.peak_tflops, last["flop_per_byte"] * machine.peak_bytes_per_s / 1e12)
        bound(tables, f"{name}: TFLOPS under the roofline", last["tflops"], roof, "TFLOPS")


def _roof_seconds(device: Device, dense: Row) -> float:
    """Least time of a dense workload in 32 bits, of a row of the ladder."""
    traffic = dense["dram_mb"] * 1e6
    return device.seconds(dense["flop_per_byte"] * traffic, traffic * 32 / SpattenConfig().operand_bits)


def _spatten_run(workload: str, style: str, machine: SpattenConfig) -> SpattenResult:
    decoder = workload.startswith("gpt2")
    run = SpattenRun(workload=workload, style=style, iteration_stride=STRIDE if decoder else 1, machine=machine)
    return run.run(run.open())


def spatten_costs(tables: Tables, say: Say, tick: Tick) -> None:
    """Area, power and energy of SpAtten by block, and of SpAtten-1/8, A3 and MNNFast."""
    config = SpattenConfig()
    built = spatten_silicon.machine_silicon(config, tick)
    tables["spatten_area"] = built.rows(PAPER_NODE)
    events = EventEnergy(reference_activity(spatten_silicon.REFERENCE_ACTIVITY), spatten_silicon.BLOCKS, tick)
    area = built.area_mm2(PAPER_NODE)
    command = f"hwsim energy spatten --node {PAPER_NODE}"
    sram_mm2 = sum(r["sram_mm2"] for r in tables["spatten_area"])
    claim(
        tables,
        "spatten_area",
        area,
        f"{area:.2f} mm2 ({sram_mm2:.2f} of it SRAM)",
        command,
        "cells and macros alone: no placement (usually 70 to 80% full), wires, clock tree, pads or memory interface",
    )
    share = {r["block"]: r["share"] for r in tables["spatten_area"]}
    topk = spatten_silicon.NAMES["value_select"]
    claim(tables, "spatten_topk_area", 100 * share[topk], f"{100 * share[topk]:.1f}%", command,
           "one engine; the choice of tokens and heads at a layer's end is the host's")  # fmt: skip
    watts, shares = [], []
    for workload in STUDIED:
        say(f"SpAtten: power, {workload}")
        result = _spatten_run(workload, "SpAtten", config)
        rows = scaled(spatten_silicon.energy_rtl(config, result.steps, events, built), PAPER_NODE)
        tables.setdefault("spatten_energy", []).extend({"run": workload, **row} for row in rows)
        total = sum(r["rtl_j"] for r in rows)
        dram = sum(r["rtl_j"] for r in rows if r["what"] == "DRAM")
        watts.append((workload, total / result.seconds, dram / result.seconds))
        shares.append(sum(r["rtl_j"] for r in rows if r["what"] == topk) / total)
    claim(
        tables,
        "spatten_power",
        sum(w for _, w, _ in watts) / len(watts),
        "; ".join(f"{w:.2f} W, {d:.2f} of it DRAM ({n})" for n, w, d in watts),
        command,
        "no wires, glitches or clock tree, but every flip-flop is clocked in every cycle; ours is less busy",
    )
    mean = sum(shares) / len(shares)
    claim(tables, "spatten_topk_power", 100 * mean, "; ".join(f"{s:.1%}" for s in shares), command,
           "data of its cells alone; its clock is counted with all others'")  # fmt: skip
    machine = eighth()
    for workload in STUDIED:
        gop = 2e-9 * _spatten_run(workload, "dense", machine).macs
        for name in STYLES:
            say(f"SpAtten-1/8 and others: {workload}, {name}")
            result = _spatten_run(workload, name, machine)
            mine = spatten_silicon.machine_silicon(machine, tick, name)
            rows = spatten_silicon.energy_rtl(machine, result.steps, events, mine)
            label = {"SpAtten": "SpAtten-1/8", "dense": "dense datapath"}.get(name, name)
            costed(tables, "spatten_machines", (label, workload), gop, result.seconds, mine.area_mm2(), rows)
