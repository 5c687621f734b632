# SPDX-License-Identifier: Apache-2.0
"""The SpAtten paper's claims, computed; areas and energies of SpAtten's designs and of what they are compared with.

Averages are over the 30 benchmarks, each whole (`benchmarks`); a study of two workloads has the ladder of techniques
and the sweeps. Reasons are counted in the same run, or say that there is none.
"""

from __future__ import annotations

from collections.abc import Callable

from dataflow.attention.benchmarks import benchmark_settings
from hwsim.core.claims import Row, Tables, bound, claim, costed, several
from hwsim.core.devices import DEVICES, Device
from hwsim.silicon import cells, scaling, sram
from hwsim.silicon.activity import reference_activity
from hwsim.silicon.cost import EventEnergy, scaled
from hwsim.silicon.netlist import Tick

from . import silicon as spatten_silicon
from .baselines import DENSE, STYLES
from .benchmarks import (
    OURS,
    PAPER,
    Costs,
    benchmark_rows,
    change_rows,
    family_rows,
    rival_means,
    rival_rows,
)
from .config import SpattenConfig, eighth
from .result import SpattenResult
from .run import SpattenRun

Say = Callable[[str], None]

WORKLOADS = ("bert-base", "gpt2-small-wikitext2")
"""Workloads of the ladder, the sweeps, the energy by block and the changes; both are run whole."""
PAPER_NODE = 40
"""Technology node of the paper's SpAtten, nm."""
GPU_TFLOPS = {"BERT": 0.02, "GPT-2": 0.01}
"""Attention that a TITAN Xp reached, measured by the paper (roofline)."""
DYNAMIC_WATTS = {"titan_xp": 61.0, "xeon": 97.0, "jetson_nano": 3.1, "raspberry_pi": 3.1}
"""Dynamic power (total minus idle) of the general processors: the paper's energy ratio over its speed ratio, times
SpAtten's 8.30 W. Our arithmetic, the paper gives none."""
A3_GOP_PER_S = 128 * 1.73
"""A3 as the paper counts it: 128 operations a cycle at 1 GHz, times the speedup that A3's own paper gives."""
MNNFAST_GOP_PER_S = 120.0
"""MNNFast as the paper counts it: its FPGA's rate, not simulated."""
A3_GOP_PER_J, MNNFAST_GOP_PER_J = 269.0, 120.0
"""The paper's comparison table."""
ASSUMPTIONS = {
    "logic cells": cells.SOURCE,
    "SRAM": sram.SOURCE,
    "other nodes than 45 nm": f"{scaling.SOURCE}; high-performance transistors, supply voltages are ours",
    "dynamic power of processors": "the paper's energy ratio over its speed ratio, times 8.30 W: "
    + ", ".join(f"{d.name} {DYNAMIC_WATTS[d.key]:g} W" for d in DEVICES),
    "30 benchmarks": "length and ratios of each, published or assumed: dataflow/attention/workloads/benchmarks.yaml",
    **{device.name: device.source for device in DEVICES},
}
COMMAND = "hwsim reproduce --machine spatten"


def benchmark_claims(tables: Tables, say: Say) -> None:
    """Claims that are averages over the 30 benchmarks; bounds that no design may beat."""
    rows = tables["spatten_benchmarks"]
    families = tables["spatten_families"]
    mean = {(r["design"], r["family"]): r for r in families}
    all_, bert, gpt2 = (mean[PAPER, name] for name in ("all", "BERT", "GPT-2"))
    claim(tables, "spatten_dram_reduction", all_["dram_reduction"],
          f"{all_['dram_reduction']:.1f}x (BERT {bert['dram_reduction']:.1f}x, GPT-2 {gpt2['dram_reduction']:.1f}x)",
          COMMAND, "ratios of single tasks were not published, ours are derived from the published averages: packed to "
          f"their bits operands give {all_['packed_reduction']:.1f}x, by construction; the rest are transactions of 32 "
          f"bytes that are fetched in part (BERT {bert['packed_reduction']:.1f}x packed, "
          f"{bert['dram_reduction']:.1f}x simulated)")  # fmt: skip
    claim(tables, "spatten_compute_reduction", all_["multiply_reduction"], f"{all_['multiply_reduction']:.2f}x",
          COMMAND, "by construction, as above")  # fmt: skip
    lengths: dict[int, list[float]] = {}
    for r in rows:
        if r["design"] == PAPER and r["family"] == "BERT":
            lengths.setdefault(r["length"], []).append(r["tflops"])
    curve = ", ".join(f"{sum(v) / len(v):.2f} at {n} tokens" for n, v in sorted(lengths.items()))
    claim(tables, "spatten_tflops_bert", bert["tflops"], f"{bert['tflops']:.2f}, mean of 22 tasks", COMMAND,
          f"lengths by task were not published, and throughput depends on them: {curve}")  # fmt: skip
    own = next(r for r in rows if r["design"] == PAPER and r["benchmark"] == "gpt2-small-wikitext2")
    claim(tables, "spatten_tflops_gpt2", own["tflops_once"],
          f"{own['tflops_once']:.2f} on the authors' file ({own['tflops']:.2f} with keys that are multiplied again); "
          f"{gpt2['tflops_once']:.2f} mean of eight", COMMAND, _waits(tables, "gpt2-small-wikitext2"))  # fmt: skip
    medium = [r for r in rows if r["design"] == PAPER and r["benchmark"].startswith("gpt2-medium")]
    ms, gop, dense = (sum(r[k] for r in medium) / len(medium) for k in ("ms", "gop", "dense_gop"))
    ratio = benchmark_settings("gpt2").values
    claim(tables, "spatten_gpt2_medium_ms", ms, f"{ms:.2f} ms", COMMAND,
          f"{gop:.2f} GFLOP at {gop / ms:.2f} TFLOPS here; ratios of the task were not published (ours keep "
          f"{1 - ratio:.2f} of the values)")  # fmt: skip
    claim(tables, "spatten_gpt2_medium_gflop", gop, f"{gop:.2f} GFLOP ({dense:.2f} without)", COMMAND,
          "32 tokens behind 992; with the keys that are multiplied again")  # fmt: skip
    for family in ("BERT", "GPT-2"):
        for design in (PAPER, OURS):
            mine = [r for r in rows if r["family"] == family and r["design"] == design]
            bound(tables, f"{family} on {design}: bound at the peak over cycles, largest of {len(mine)}",
                  max(r["of_peak_bound"] for r in mine), 1.0, "share")  # fmt: skip
    ours = [r for r in rows if r["design"] == OURS]
    bound(tables, f"{OURS}: dense machine's cycles over its own, least of {len(ours)}",
          min(r["over_dense"] for r in ours), 1.0, "x", least=True)  # fmt: skip
    _processors(tables, [r for r in rows if r["design"] == PAPER])
    say("benchmarks: done")


def _waits(tables: Tables, workload: str) -> str:
    """The two causes that most of a workload's cycles without multiplies go to, of the study in the same run."""
    causes = [c for c in tables["spatten_causes"] if c["workload"] == workload and c["cause"] != "qk"]
    worst = sorted(causes, key=lambda c: -float(c["share"]))[:2]
    return "cycles of Q x K: " + ", ".join(f"{c['text']} {c['share']:.0%}" for c in worst)


def _processors(tables: Tables, rows: list[Row]) -> None:
    """Ours over general processors: over the published rate of the GPU, over the roofs of the others."""
    gpu = DEVICES[0]
    faster = [r["dense_gop"] / 1e3 / GPU_TFLOPS[r["family"]] / (r["ms"] * 1e-3) for r in rows]
    joules = [f * r["ms"] * 1e-3 * DYNAMIC_WATTS[gpu.key] / (r["energy_uj"] * 1e-6)
              for f, r in zip(faster, rows, strict=True)]  # fmt: skip
    mean, least = sum(faster) / len(faster), sum(joules) / len(joules)
    why = (f"the GPU at the rate that the paper measured ({GPU_TFLOPS['BERT']:g} TFLOPS on BERT, "
           f"{GPU_TFLOPS['GPT-2']:g} on GPT-2), ours simulated")  # fmt: skip
    claim(tables, f"spatten_over_{gpu.key}", mean, f"{mean:.0f}x", COMMAND, why)
    claim(tables, f"spatten_energy_over_{gpu.key}", least, f"{least:.0f}x", COMMAND,
          f"{why}; the GPU's {DYNAMIC_WATTS[gpu.key]:g} W follow from the paper's own two ratios; ours by the table of "
          "energies, without clock and leakage")  # fmt: skip
    for device in DEVICES[1:]:
        times = [_roof_seconds(device, r) / (r["ms"] * 1e-3) for r in rows]
        less = [t * r["ms"] * 1e-3 * DYNAMIC_WATTS[device.key] / (r["energy_uj"] * 1e-6)
                for t, r in zip(times, rows, strict=True)]  # fmt: skip
        for key, found in (("over", times), ("energy_over", less)):
            value = sum(found) / len(found)
            why = (f"a bound: {device.name} at its roof in 32 bits ({device.tflops:g} TFLOPS, {device.gb_per_s:g} GB/s"
                   + (f"; {DYNAMIC_WATTS[device.key]:g} W)" if key == "energy_over" else ")")
                   + ", never measured here")  # fmt: skip
            claim(tables, f"spatten_{key}_{device.key}", value, f"{value:.1f}x", COMMAND, why)


def _roof_seconds(device: Device, row: Row) -> float:
    """Least time of a benchmark without any technique, in 32 bits."""
    return device.seconds(row["dense_gop"] * 1e9, row["dram_mb"] * 1e6 * row["dram_reduction"])


def study_claims(tables: Tables, study: Tables) -> None:
    """Claims out of the study: the ladder of techniques, the sweeps; the roofline's bound."""
    command = f"hwsim report --machine spatten --workloads {','.join(WORKLOADS)}"
    taken = ("spatten_ladder", "spatten_parallel", "spatten_quantization", "spatten_topk_s", "spatten_sram_s")
    for row in study["attention_headlines"]:
        if row["key"].startswith(taken):
            claim(tables, row["key"], row["value"], row["ours"], command, str(row["why"]))
    machine = SpattenConfig()
    dense = next(r for r in study["ladder"] if r["technique"] == DENSE and r["workload"] == WORKLOADS[1])
    gop = dense["flop_per_byte"] * dense["dram_mb"] * 1e6 * 1e-9
    seconds = dense["cycles"] / machine.frequency_hz
    several(tables, "spatten_ladder_datapath", {WORKLOADS[1]: gop / 1e3 / GPU_TFLOPS["GPT-2"] / seconds}, command,
            f"our dense datapath (operands of 32 bits in the memory) against the GPU at the paper's measured "
            f"{GPU_TFLOPS['GPT-2']:g} TFLOPS")  # fmt: skip
    for row in study["attention"]:
        last = [r for r in study["ladder"] if r["workload"] == row["workload"]][-1]
        roof = min(machine.peak_tflops, last["flop_per_byte"] * machine.peak_bytes_per_s / 1e12)
        bound(tables, f"{row['workload']}: TFLOPS under the roofline", last["tflops"], roof, "TFLOPS")


def rival_claims(tables: Tables) -> None:
    """SpAtten-1/8 over A3 and MNNFast, as the paper counts them and simulated alike."""
    mean = next(r for r in tables["spatten_rival_means"] if r["family"] == "all")
    gops = mean["dense_gop_per_s"]
    claim(tables, "spatten_eighth_gops", gops, f"{gops:.0f} GOP/s", COMMAND,
          "operations of dense attention over our time, mean of 30; the paper does not say of which")  # fmt: skip
    claim(tables, "spatten_eighth_gopj", mean["gop_per_j"], f"{mean['gop_per_j']:.0f} GOP/J", COMMAND,
          "by the table of energies, memory without refresh; no clock, control, leakage")  # fmt: skip
    for name, key, rate, joules in (
        ("A3", "a3", A3_GOP_PER_S, A3_GOP_PER_J), ("MNNFast", "mnnfast", MNNFAST_GOP_PER_S, MNNFAST_GOP_PER_J),
    ):  # fmt: skip
        alike, energy = mean[f"{key}_slower"], mean[f"{key}_energy"]
        counted, counted_energy = mean["dense_gop_per_s"] / rate, mean["gop_per_j"] / joules
        claim(tables, f"spatten_over_{key}", counted,
              f"{counted:.2f}x as the paper counts; {alike:.2f}x simulated alike", COMMAND,
              f"as the paper counts: our GOP/s over {rate:.0f}, which it takes for {name}; alike: {name}'s rule on the "
              "same multipliers, SRAMs and memory, with operands of 12 bits")  # fmt: skip
        claim(tables, f"spatten_energy_over_{key}", counted_energy,
              f"{counted_energy:.2f}x as the paper counts; {energy:.2f}x simulated alike", COMMAND,
              f"as the paper counts: our GOP/J over {joules:.0f}; alike: energies of the same table")  # fmt: skip


def _spatten_run(workload: str, style: str, machine: SpattenConfig) -> SpattenResult:
    run = SpattenRun(workload=workload, style=style, machine=machine)
    return run.run(run.open())


def design_costs(say: Say, tick: Tick) -> dict[str, Costs]:
    """Silicon of the designs that run the benchmarks."""
    events = EventEnergy(reference_activity(spatten_silicon.REFERENCE_ACTIVITY), spatten_silicon.BLOCKS, tick)
    found = {}
    for design in (PAPER, OURS):
        say(f"SpAtten: area of {design}")
        found[design] = Costs(spatten_silicon.machine_silicon(SpattenConfig(design=design), tick), events)
    return found


def spatten_costs(tables: Tables, costs: dict[str, Costs], say: Say, tick: Tick) -> None:
    """Area, power and energy of SpAtten by block, and of SpAtten-1/8, A3 and MNNFast."""
    config = SpattenConfig()
    built, events = costs[PAPER]
    tables["spatten_area"] = [{"design": PAPER, **row} for row in built.rows(PAPER_NODE)]
    tables["spatten_area_ours"] = [{"design": OURS, **row} for row in costs[OURS].built.rows(PAPER_NODE)]
    area = built.area_mm2(PAPER_NODE)
    command = f"hwsim energy spatten --node {PAPER_NODE}"
    sram_mm2 = sum(r["sram_mm2"] for r in tables["spatten_area"])
    claim(tables, "spatten_area", area, f"{area:.2f} mm2 ({sram_mm2:.2f} of it SRAM)", command,
          "both by synthesis; not explained: the paper gives no area by block but the top-k's. Ours has one engine of "
          "values, none for tokens and heads, and FIFOs 4 deep in place of 64")  # fmt: skip
    share = {r["block"]: r["share"] for r in tables["spatten_area"]}
    topk = spatten_silicon.NAMES["value_select"]
    claim(tables, "spatten_topk_area", 100 * share[topk], f"{100 * share[topk]:.1f}%", command,
          "ours: one engine, of values; the paper's: two")  # fmt: skip
    parts: dict[str, list[float]] = {"logic": [], "sram": [], "dram": []}
    shares, shown = [], []
    for workload in WORKLOADS:
        say(f"SpAtten: power, {workload}")
        result = _spatten_run(workload, "SpAtten", config)
        rows = scaled(spatten_silicon.energy_rtl(config, result.steps, events, built), PAPER_NODE)
        tables.setdefault("spatten_energy", []).extend({"run": workload, **row} for row in rows)
        rows = [r for r in rows if r["what"] != spatten_silicon.REFRESH]
        dram = sum(r["rtl_j"] for r in rows if r["what"] == "DRAM") / result.seconds
        memories = sum(r["rtl_j"] for r in rows if r["what"].endswith("SRAM")) / result.seconds
        total = sum(r["rtl_j"] for r in rows)
        for name, watts in (("dram", dram), ("sram", memories), ("logic", total / result.seconds - dram - memories)):
            parts[name].append(watts)
        shown.append(f"{total / result.seconds:.2f} W ({workload})")
        shares.append(sum(r["rtl_j"] for r in rows if r["what"] == topk) / total)
    mean = {name: sum(watts) / len(watts) for name, watts in parts.items()}
    claim(tables, "spatten_power", sum(mean.values()), "; ".join(shown), command,
          "mean of both; the paper does not say of which workload. Logic without wires and glitches, every flip-flop "
          "clocked in every cycle; memory without refresh")  # fmt: skip
    for name, what in (("logic", "its clock and leakage are in it"), ("sram", "keys' and values' accesses alone"),
                       ("dram", "activations, reads and writes")):  # fmt: skip
        each = ", ".join(f"{w:.2f} W ({n})" for w, n in zip(parts[name], WORKLOADS, strict=True))
        claim(tables, f"spatten_power_{name}", mean[name], f"{mean[name]:.2f} W", command, f"{what}; {each}")
    topk_share = sum(shares) / len(shares)
    claim(tables, "spatten_topk_power", 100 * topk_share, "; ".join(f"{s:.1%}" for s in shares), command,
          "data of its cells alone; its clock is counted with all others'")  # fmt: skip
    machine = eighth()
    for workload in WORKLOADS:
        gop = 2e-9 * _spatten_run(workload, "dense", machine).macs
        for name in STYLES:
            say(f"SpAtten-1/8 and others: {workload}, {name}")
            result = _spatten_run(workload, name, machine)
            mine = spatten_silicon.machine_silicon(machine, tick, name)
            rows = spatten_silicon.energy_rtl(machine, result.steps, events, mine)
            label = {"SpAtten": "SpAtten-1/8", "dense": "dense datapath"}.get(name, name)
            costed(tables, "spatten_machines", (label, workload), gop, result.seconds, mine.area_mm2(), rows)
            if workload == WORKLOADS[0] and name in ("SpAtten", "A3"):
                key = {"SpAtten": "spatten_eighth_mm2", "A3": "spatten_a3_mm2"}[name]
                at = mine.area_mm2(PAPER_NODE)
                claim(tables, key, at, f"{at:.2f} mm2", COMMAND, "as SpAtten's area; A3: its search built of our blocks"
                      if name == "A3" else "as SpAtten's area")  # fmt: skip


def spatten_claims(tables: Tables, study: Tables, say: Say, tick: Tick) -> None:
    """All of it.

    Args:
        study: of `WORKLOADS`.
    """
    costs = design_costs(say, tick)
    tables["spatten_causes"] = study["attention_causes"]
    tables["spatten_benchmarks"] = benchmark_rows(say, costs)
    tables["spatten_families"] = family_rows(tables["spatten_benchmarks"])
    tables["spatten_changes"] = change_rows(say, WORKLOADS)
    tables["spatten_rivals"] = rival_rows(say)
    tables["spatten_rival_means"] = rival_means(tables["spatten_rivals"])
    benchmark_claims(tables, say)
    study_claims(tables, study)
    rival_claims(tables)
    spatten_costs(tables, costs, say, tick)
    tables["torch"] = study["attention_torch"]
