# SPDX-License-Identifier: Apache-2.0
"""The array beside its own clocked self, SCALE-Sim's cycles, and whole networks on others' arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np

from dataflow.files import read_json, read_yaml
from dataflow.importers.scalesim import Row
from dataflow.networks.network import Conv, Network
from dataflow.networks.zoo import network
from hwsim.core.validation import Check, Part, Table

from . import stepped, tables
from .config import Dataflow, SystolicConfig
from .folds import Folds
from .machine import Systolic, SystolicRun
from .scalesim import ScaleSimConfig, folds_of

OUTSIDE = Path(__file__).with_name("outside.yaml")
PEERS = Path(__file__).with_name("peers.json")
"""What ``make peers`` measured."""
FASTER = 10_000
"""Target: SCALE-Sim's seconds over ours, of the same cycles, in process."""
COMMAND = "hwsim validate --part"
FILLED = "kernels compiled before"
HELD = 1 << 40
FREE = 1e9
"""Bytes a cycle where a publication does not say its memory: none waits for it."""
RESNET18 = (
    (224, 7, 3, 64, 2), *[(56, 3, 64, 64, 1)] * 4, (56, 3, 64, 128, 2), (28, 3, 128, 128, 1), (56, 1, 64, 128, 2),
    *[(28, 3, 128, 128, 1)] * 2, (28, 3, 128, 256, 2), (14, 3, 256, 256, 1), (28, 1, 128, 256, 2),
    *[(14, 3, 256, 256, 1)] * 2, (14, 3, 256, 512, 2), (7, 3, 512, 512, 1), (14, 1, 256, 512, 2),
    *[(7, 3, 512, 512, 1)] * 2, (1, 1, 512, 1000, 1),
)  # fmt: skip
"""SCALE-Sim's ResNet-18 (MIT): size of the image, of the filter, channels, filters, stride; no padding."""
MORE = ((56, 64, 1), (28, 128, 2), (14, 256, 4), (7, 512, 1))
"""Residual blocks that ResNet-34 has and ResNet-18 has not: size, channels, how many; two 3 x 3 convolutions each."""


def arrays() -> Part:
    """Closed forms against the clocked array, and against SCALE-Sim's run."""
    rng = np.random.default_rng(0)
    checks = []
    for dataflow in get_args(Dataflow):
        formula = clocked = 0
        for _ in range(200):
            rows, cols = (int(v) for v in rng.integers(1, 12, 2))
            p, k, f = (int(v) for v in rng.integers(1, 40, 3))
            left, right = rng.integers(-128, 128, (p, k)), rng.integers(-128, 128, (k, f))
            found = stepped.run(dataflow, left, right, rows, cols)
            same = bool((found.product == left @ right).all())
            clocked += found.cycles if same else 0
            formula += Folds(rows, cols, dataflow, p, k, f).cycles
        checks.append(Check(f"{dataflow}: closed form beside the clocked array, 200 random products", formula, clocked,
                            "cycles", "stepped.py: registers, no formula", f"{COMMAND} arrays", "", 0.0))  # fmt: skip
    outside = read_yaml(OUTSIDE)["scalesim"]
    config = ScaleSimConfig("r", 32, 32, 64, 64, 64, "ws", ())
    for i, ((size, kernel, c, f, s), theirs) in enumerate(zip(RESNET18, outside["cycles"], strict=True)):
        row = Row(f"layer {i}", size, size, kernel, kernel, c, f, (s, s), 1, None, False)
        checks.append(Check(f"ResNet-18, layer {i}, 32 x 32 ws", folds_of(config, row).cycles, theirs, "cycles",
                            outside["source"], f"{COMMAND} arrays", "", 0.0))  # fmt: skip
    checks += _llmcompass()
    text = (
        "Closed forms beside the array clocked PE by PE, beside SCALE-Sim's own run and beside LLMCompass's tables; "
        "the count of its whole tables is kept, not of this run. Targets: equal."
    )
    return Part("Systolic arrays", text, tuple(checks))


def networks() -> Part:
    """VTA, Gemmini, NVDLA: as far as a plain array can be set to be them."""
    outside, command = read_yaml(OUTSIDE), f"{COMMAND} networks"
    vta, gemmini, nvdla = outside["vta"], outside["gemmini"], outside["nvdla"]
    sixteen = {"rows": 16, "cols": 16, "dram_bytes_per_cycle": FREE, "frequency_hz": 100_000_000}
    blocks = tuple(
        Conv(name=f"{c}_{i}", in_channels=c, out_channels=c, height=size, width=size, kernel=(3, 3), padding=(1, 1))
        for size, c, count in MORE for i in range(2 * count)
    )  # fmt: skip
    more, filled = (
        _cycles(Network(name="more", layers=blocks), sixteen),
        _cycles(Network(name="more", layers=blocks), sixteen, cause="fill"),
    )
    loads = (f"ours loads, fills and drains for each fold of weights, {filled / more:.0%} of its cycles in the "
             "sixteen; VTA's "
             "memory is not said")  # fmt: skip
    cpu = f"{loads}; which layers stay on the CPU is not said, the first convolution usually"
    waits = "ours never waits for memory or the host; batch and array are assumed"
    less = vta["resnet34_v1"] - vta["resnet18_v1"]
    checks = [
        Check("VTA: ResNet-34 less ResNet-18, sixteen 3 x 3 convolutions", more, less, "cycles", vta["source"], command,
              loads),
        Check("VTA: ResNet-18 without its first convolution", _cycles(_without_first("resnet18"), sixteen),
              vta["resnet18_v1"], "cycles", vta["source"], command, cpu),
        Check("VTA: ResNet-50 (v1 here, v2 there) without its first convolution",
              _cycles(_without_first("resnet50"), sixteen), vta["resnet50_v2"], "cycles", vta["source"], command, cpu),
        Check("Gemmini: ResNet-50, batch 4", _cycles(network("resnet50"), sixteen, 4), gemmini["resnet50"], "cycles",
              gemmini["source"], command, waits),
    ]  # fmt: skip
    checks.append(_tpu(outside["tpu_v1"]))
    uses = []
    for point in nvdla["points"]:
        half = point["buffer_kib"] << 9
        machine = {"rows": point["rows"], "cols": point["cols"], "ifmap_bytes": half, "filter_bytes": half,
                   "ofmap_bytes": 1 << 20, "dram_bytes_per_cycle": point["dram"]}  # fmt: skip
        frames, held, free = (
            1e9 / _cycles(network("resnet50"), machine | more)
            for more in ({}, dict.fromkeys(("ifmap_bytes", "filter_bytes", "ofmap_bytes"), HELD),
                         {"dram_bytes_per_cycle": FREE})
        )  # fmt: skip
        uses.append(frames / point["macs"])
        why = (f"a plain array fetches again what its memories do not hold: {held:.3g} with memories that hold every "
               "layer, "
               f"{free:.3g} with a DRAM that never waits (both simulated)")  # fmt: skip
        checks.append(Check(f"NVDLA, {point['macs']} multipliers", frames, point["frames"], "frames/s", nvdla["source"],
                            command, why))  # fmt: skip
    theirs = [p["frames"] / p["macs"] for p in nvdla["points"]]
    at, peak = uses.index(max(uses)), theirs.index(max(theirs))
    text = ("Published cycles beside a plain weight-stationary array set to the same size; what a publication does not "
            f"say is assumed and said. NVDLA's use is highest at {nvdla['points'][peak]['macs']} multipliers in its "
            f"authors' table, at {nvdla['points'][at]['macs']} in ours. Eyeriss's machine this array cannot be "
            "set to; of TPU v1 the peak alone is compared: the table of its applications is not at hand.")  # fmt: skip
    return Part("Whole networks on others' arrays", text, tuple(checks))


def speed() -> Part:
    """Seconds and memory beside the peers', as they were measured in one run."""
    if not PEERS.is_file():
        return Part("Speed beside the peers", "Not measured: make peers measures it and keeps it.", ())
    kept = read_json(PEERS)
    rows = kept["rows"]
    found = {(r["tool"].split()[0], r["work"], r["start"]): r for r in rows}
    shown = []
    for r in rows:
        mine = found.get(("hwsim", r["work"], r["start"])) or found.get(("hwsim", r["work"], f"{r['start']}, {FILLED}"))
        over = r["cpu_seconds"] / mine["cpu_seconds"] if mine and r["tool"] != "hwsim" else None
        shown.append({"peak_mib": None, **r, "over": over})
    alone = [found.get((tool, "cycles alone", "in process")) for tool in ("hwsim", "SCALE-Sim")]
    ours, theirs = (r["cpu_seconds"] if r else None for r in alone)
    checks = () if ours is None or theirs is None else (
        Check("SCALE-Sim's CPU seconds over ours, ResNet-18, 32 x 32 ws, cycles alone, in process; theirs: at least",
              theirs / ours, FASTER, "x", "measured: make peers", "make peers", "", 0.0, at_least=True),
    )  # fmt: skip
    left = "".join(f" Left out: {name}, {why}." for name, why in kept["left_out"].items())
    left += "".join(f" {tool}'s cycles alone in process are missing, and with them the speed's target."
                    for tool, r in zip(("hwsim", "SCALE-Sim"), alone, strict=True) if r is None)  # fmt: skip
    low, high = kept["load_before_after"]
    text = (
        f"Measured in one run by make peers, {kept['date']}, on {kept['machine']}, with {low} and {high} processes "
        "waiting "
        "for a core before and after: wall seconds are then longer than CPU seconds. Cycles alone: what a tool does "
        "at the "
        "least to say a layer's cycles (SCALE-Sim: the demand matrices of its array, without memories; ours: closed "
        "forms "
        "that equal them). Three reports: the same letters of all three files; SCALE-Sim without its traces. ZigZag "
        "searches mappings, which ours does not: no equal work. A tile is 256 x 256 x 64, 2:8, on SAT's array."
        f"{left} Ramulator's published rates are of another machine and are not shown."
    )  # fmt: skip
    table = Table("speed", "CPU seconds of a peer over ours where the work and the start are the same.",
                  [("tool", "tool", "s"), ("work", "work", "s"), ("start", "start", "s"),
                   ("seconds", "wall, s", ",.3g"), ("cpu_seconds", "CPU, s", ",.3g"),
                   ("peak_mib", "peak memory, MiB", ",.0f"), ("cycles", "cycles", ",.0f"),
                   ("over", "over ours", ",.3g")], shown)  # fmt: skip
    return Part("Speed beside the peers", text, checks, (table,))


def _llmcompass() -> list[Check]:
    """Rows of LLMCompass's tables that are equal: the shipped ones now, the whole tables as they were counted."""
    rows, different = tables.compare(tables.SAMPLE)
    what = "os: rows of LLMCompass's tables with the same cycles, "
    kept = read_json(tables.COUNTED)
    whole, wrong = (sum(count[i] for count in kept["tables"].values()) for i in (0, 1))
    return [
        Check(f"{what}a sample, compared in this run", rows - different, rows, "rows", tables.SOURCE,
              f"{COMMAND} arrays", "", 0.0),
        Check(f"{what}all five tables, compared on {kept['date']} and kept", whole - wrong, whole, "rows",
              kept["source"], "python -m hwsim.systolic.tables FOLDER", "", 0.0),
    ]  # fmt: skip


def _tpu(tpu: dict[str, Any]) -> Check:
    """TPU v1's peak: products of 256 channels and 256 filters, so many rows that fill and drain are small."""
    rows, cols, hertz = tpu["rows"], tpu["cols"], tpu["frequency_hz"]
    machine = {"rows": rows, "cols": cols, "frequency_hz": hertz, "dram_bytes_per_cycle": FREE}
    long, batch = (
        2 * pixels * rows * cols * hertz / 1e12 / _cycles(Network(name="tpu", layers=(Conv(
            name="product", in_channels=rows, out_channels=cols, height=pixels, width=1, kernel=(1, 1)),)), machine)
        for pixels in (1 << 14, 200)
    )  # fmt: skip
    why = (
        f"loads of weights, fill and drain are in ours ({batch:.3g} TOPS for 200 rows); TPU v1 loads the next weights "
        "under the product; a DRAM that never waits here"
    )
    return Check(f"TPU v1's peak: {1 << 14:,} rows by {rows} by {cols}", long, tpu["tops"], "TOPS", tpu["source"],
                 f"{COMMAND} networks", why)  # fmt: skip


def _without_first(name: str) -> Network:
    whole = network(name)
    first = next(i for i, layer in enumerate(whole.layers) if isinstance(layer, Conv))
    return whole.model_copy(update={"layers": whole.layers[:first] + whole.layers[first + 1 :]})


def _cycles(net: Network, machine: dict[str, Any], batch: int = 1, cause: str = "cycles") -> int:
    """Cycles of the products, all or of a cause; element-wise layers are fused in all of these machines."""
    run = SystolicRun(batch=batch, network=net.name, machine=SystolicConfig(**machine))
    return int(sum(r[cause] for r in Systolic.simulate(run, net).records if r["pattern"]))
