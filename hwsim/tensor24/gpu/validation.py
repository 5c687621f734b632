# SPDX-License-Identifier: Apache-2.0
"""The cards beside their measurements, for a page: rows and pictures of the stored numbers, nothing is fitted here."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from dataflow.mapping.lowering import Operand, Product
from dataflow.networks.network import Elementwise, Linear, Network
from dataflow.pattern import DENSE
from dataflow.training.methods import Pass
from hwsim.core.report import Draw

from ..config import TensorConfig
from ..timing import TWO_OF_FOUR, product_cost
from .cards import sheets
from .fit import SPLITS, all_errors, of_split, speedup_errors, tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMMAND = "python -m hwsim.tensor24.gpu.fit --stored"
SOURCE = "bcacdwk/vllmbench, BF16 latency tables; arXiv 2603.05232"
TARGETS = {"latency": 0.10, "speedup": 0.12, "spearman": 0.80}
"""Set before the test tables were looked at, for all cards together: at most, at most, at least."""
VIT_TOKENS = 44_160
VIT_PUBLISHED = {"dense": 11_534.0, "2:4": 9_205.0}
"""Microseconds of a ViT-L MLP's forward and backward pass in fp16 on an A100 (which one is not said)."""
VIT_SOURCE = "pytorch/ao, pull request 184"


def rows() -> list[dict[str, Any]]:
    """Errors by split, tables and card; within a split those of largest speedup error first.

    Columns: ``split``, ``tables`` (tested_on: not fitted to; left_out: the card itself was not; by_a_like_one: numbers
    of another card; fitted_on; data_sheet: its roof alone; baselines), ``card``, the columns of `fit.errors`,
    ``target_met`` of what targets are for.
    """
    found = []
    for split in SPLITS:
        for what, each in all_errors(split).items():
            named = [
                {"split": split, "tables": what, "card": name, **e, "target_met": _met(what, name, e),
                 "command": COMMAND, "source": SOURCE}
                for name, e in each.items()
            ]  # fmt: skip
            found += sorted(named, key=lambda row: -row["speedup"])
    return found


def _met(what: str, name: str, e: dict[str, Any]) -> bool | None:
    if (what, name) != ("tested_on", "pooled"):
        return None
    near = all(e[key] <= TARGETS[key] for key in ("latency", "speedup"))
    return bool(near and e["spearman"] >= TARGETS["spearman"])


def array_rows() -> list[dict[str, Any]]:
    """What the ideal array says of the speedups that were measured on the A100, in split A's test tables: why it is no
    GPU. Its balance is the card's; the L2 and the clock are those of its defaults, an A100's."""
    card = sheets()["a100-pcie"]
    table = tables(card, SPLITS["A"][1])
    array = TensorConfig(dram_bytes_per_s=card.dram_bytes_per_s)
    said = []
    for m, n, k in table.sizes.tolist():
        cycles = [
            product_cost(array, Product("", Pass.FF, 0, m, k, n, 1, m * k * n, pattern, Operand("activation"),
                                        Operand("weight")))["cycles"]
            for pattern in (DENSE, TWO_OF_FOUR)
        ]  # fmt: skip
        said.append(cycles[0] / cycles[1])
    true = table.micros[:, 0] / table.micros[:, 1]
    return [{"card": "a100-pcie", "rows": len(said), "measured_mean": float(true.mean()),
             "array_mean": float(np.mean(said)), **speedup_errors(table.micros, np.array(said))}]  # fmt: skip


def vit_mlp() -> list[dict[str, Any]]:
    """A ViT-L MLP's forward and backward pass with dense and with 2:4 weights on the A100 PCIe, beside a published
    measurement. Not fitted to, and unlike what was: gradients, another A100 perhaps, sparsification not counted."""
    from ..machine import Tensor24, TensorRun

    wide = 4096
    network = Network(name="ViT-L MLP", layers=(
        Linear(name="up", in_features=1024, out_features=wide),
        Elementwise(name="gelu", op="gelu", ff_read=wide, ff_write=wide, bp_read=2 * wide, bp_write=wide),
        Linear(name="down", in_features=wide, out_features=1024),
    ))  # fmt: skip
    micros = {}
    for what, method in (("dense", "dense"), ("2:4", "bdwp")):
        run = TensorRun.model_validate(
            {"batch": VIT_TOKENS, "method": method, "pattern": "2:4", "machine": {"gpu": "a100-pcie"}}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is unlike the measured is said above
            result = Tensor24.simulate(run, network)
        micros[what] = sum(r["microseconds"] for r in result.records if r["phase"] != "UP")
    found = [{"what": f"{what} weights, us", "published": VIT_PUBLISHED[what], "ours": micros[what]} for what in micros]
    ratios = [m["dense"] / m["2:4"] for m in (VIT_PUBLISHED, micros)]
    found.append({"what": "speedup", "published": ratios[0], "ours": ratios[1]})
    return [{**row, "ratio": row["ours"] / row["published"], "source": VIT_SOURCE} for row in found]


def figures(draw: Draw) -> list[tuple[str, Figure]]:
    """Speedups said over speedups measured, on split A's test tables; the error of each card and guess."""
    figure, axes_of = draw.figure(5.2, rows=2, columns=3, sharex=True, sharey=True)
    found = of_split("A")
    for axes, (name, (measured, said)), colour in zip(axes_of, found.items(), draw.palette, strict=False):
        true, ours = (x[:, 0] / x[:, 1] for x in (measured, said))
        axes.plot([0.4, 4], [0.4, 4], color=draw.muted, linewidth=1)
        axes.scatter(true, ours, s=10, alpha=0.7, linewidths=0, color=colour)
        axes.set_title(sheets()[name].title, fontsize=9)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
    for axes in axes_of[len(found) :]:
        axes.set_visible(False)
    for i, axes in enumerate(axes_of[: len(found)]):
        if i >= 2:
            axes.set_xlabel("measured speedup of 2:4")
        if i % 3 == 0:
            axes.set_ylabel("speedup by the model")
    errors = all_errors("A")
    cards = [*sheets(), "pooled"]
    bars = {what: [100 * errors[key][name]["speedup"] for name in cards]
            for what, key in (("fitted, on unseen tables", "tested_on"), ("card left out", "left_out"),
                              ("data sheet alone", "data_sheet"))}  # fmt: skip
    return [("gpu-speedup", figure), ("gpu-error", draw.bars(cards, bars, "mean error of the speedup, %", digits=0))]
