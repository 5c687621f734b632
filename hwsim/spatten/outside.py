# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on the paper's table of FC and attention: what its figures say of each other and of the baselines here."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from dataflow.attention.benchmarks import benchmarks
from dataflow.files import read_text
from hwsim.core.validation import Check, Part, Table

from .benchmarks import simulated
from .claims import GPU_TFLOPS
from .config import SpattenConfig

TABLE = "arXiv 2012.09852, table of FC and attention"
FC_GFLOP, FC_MS, GPU_MS, DENSE_GFLOP = 19.3, 25.75, 366.7, 3.3
"""GPT-2 medium's FC on SpAtten-e2e; its attention on a TITAN Xp, and without pruning; 32 tokens."""
LAYERS, WIDTH, TOKENS = 24, 1024, 32
DRAM_BYTES_PER_S = 512e9
"""SpAtten's HBM2: 16 channels of 32 GB/s."""
COMMAND = "hwsim validate --part attention"


MEASURED = Path(__file__).with_name("measured") / "h200.csv"


def gpu_rows() -> list[dict[str, Any]]:
    """Attention of the benchmarks' sizes on an H200, nothing pruned, beside SpAtten with all that it prunes, in
    milliseconds: of a generative model a token."""
    micros: dict[tuple[str, int], dict[str, float]] = {}
    for row in csv.DictReader(read_text(MEASURED).splitlines()):
        found = micros.setdefault((row["model"], int(row["keys"])), {})
        for way in ("us_call", "us_graph"):
            found[f"{row['number']}_{way}"] = int(row["layers"]) * float(row[way]) / 1e3
    rows = []
    for name, b in benchmarks().items():
        size = (b.model, b.length if b.model.startswith("bert") else b.length + 16)
        if size not in micros or name.endswith("wikitext2"):  # one benchmark a size; no published file
            continue
        gpu = micros.pop(size)
        result, whole = simulated(name, SpattenConfig(), length=b.length)
        tokens = whole.rows["iteration_id"].nunique()
        ours = 1e3 * result.seconds / tokens
        over = {f"over_{way}": gpu[f"float16_us_{way}"] / ours for way in ("call", "graph")}
        rows.append({"benchmark": name, "keys": size[1], "ours_ms": ours, **gpu, **over})
    return rows


def _table() -> Table:
    ms = [(f"{number}_{way}", f"{text}, {how}", ".3f") for number, text in (("float32", "fp32"), ("float16", "fp16"))
          for way, how in (("us_call", "call by call"), ("us_graph", "graph"))]  # fmt: skip
    return Table(
        "attention_gpu",
        "Attention of a sentence, or of a generated token, in milliseconds: SpAtten at 1 GHz with all that it prunes, "
        "beside torch's attention on one NVIDIA H200, nothing pruned, batch 1, measured for this project "
        "(hwsim/spatten/measured says how; python -m algorithms.attention.measure FILE.csv). The paper's GPU was a "
        "TITAN Xp; this one draws up to 700 W. Call by call most of its time is starting a kernel.",
        [("benchmark", "benchmark", "s"), ("keys", "keys", "d"), ("ours_ms", "SpAtten", ".3f"), *ms,
         ("over_call", "fp16, call by call, over SpAtten", ".2f"), ("over_graph", "fp16, graph, over SpAtten", ".2f")],
        gpu_rows(),
    )  # fmt: skip


def part() -> Part:
    """GPT-2 medium's FC on SpAtten-e2e; the GPU's published rate beside its published time."""
    weights = LAYERS * 12 * WIDTH**2
    gflop = 2 * weights * TOKENS / 1e9
    eight, twelve = (weights * bits / 8 * TOKENS / DRAM_BYTES_PER_S * 1e3 for bits in (8, 12))
    checks = (
        Check("GPT-2 medium, FC of 32 tokens: its shapes' operations", gflop, FC_GFLOP, "GFLOP", TABLE, COMMAND),
        Check("GPT-2 medium, FC of 32 tokens: 8-bit weights from DRAM at the peak (a bound)", eight, FC_MS, "ms", TABLE,
              COMMAND, "no machine of ours is SpAtten-e2e: the time that its weights take at 512 GB/s; at 12 bits they "
              f"would take {twelve:.1f} ms, more than the published time"),
        Check("GPT-2 medium, attention on a TITAN Xp at the rate that baselines here use",
              DENSE_GFLOP / GPU_TFLOPS["GPT-2"], GPU_MS, "ms", TABLE, COMMAND,
              "the paper's roofline says 0.01 TFLOPS, one digit"),
    )  # fmt: skip
    return Part("FC of GPT-2 medium, GPU baselines", "SpAtten's published milliseconds beside arithmetic; its "
                                                     "attention is "
                "among the times of the papers. GPU baselines of the attention page are the rates that the paper "
                "measured on "
                f"a TITAN Xp ({GPU_TFLOPS['BERT']:g} TFLOPS on BERT, {GPU_TFLOPS['GPT-2']:g} on GPT-2); other "
                "processors "
                "there are bounds by their makers' peaks, and said to be.", checks, (_table(),))  # fmt: skip
