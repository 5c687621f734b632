# SPDX-License-Identifier: Apache-2.0
"""The cards' stored predictions as a part of the validation: pooled errors on tables that nothing was fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.core.report import Draw
from hwsim.core.validation import Check, Part, Table

from .validation import COMMAND, SOURCE, TARGETS, VIT_SOURCE, array_rows, figures, rows, vit_mlp

if TYPE_CHECKING:
    from matplotlib.figure import Figure


NAMED = {"tested_on": "no, its other tables", "left_out": "no, and no table of the card",
         "by_a_like_one": "no: the H100 PCIe's numbers, the H200's data sheet"}  # fmt: skip
"""What the numbers of a row were fitted to, by the kind of its tables."""


def part() -> Part:
    """What was said before of times that were measured later, and what an array says of a GPU's speedup."""
    array = array_rows()[0]
    checks = [
        Check(f"{r['what']} of a ViT-L MLP", r["ours"], r["published"], "", VIT_SOURCE, "hwsim validate --part gpu",
              "gradients were not measured tables; which A100 is not said")
        for r in vit_mlp()
    ]  # fmt: skip
    checks.append(Check(
        "mean speedup of 2:4 on an A100, by the ideal array", array["array_mean"], array["measured_mean"], "x", SOURCE,
        "hwsim validate --part gpu", "an array is no GPU: no launches, wave or issue limits, power",
    ))  # fmt: skip
    errors = [
        {"split": r["split"], "card": r["card"], "latency": r["latency"], "speedup": r["speedup"],
         "spearman": r["spearman"], "target": "" if r["target_met"] is None else "yes" if r["target_met"] else "NO"}
        for r in rows() if r["tables"] in NAMED
    ]  # fmt: skip
    for error, r in zip(errors, (r for r in rows() if r["tables"] in NAMED), strict=True):
        error["fitted"] = NAMED[r["tables"]]
    table = Table(
        "gpu_errors", "Mean errors of times and speedups, and rank correlation of the speedups, on tables that "
                      "nothing was "
        f"fitted to. Parameters are fitted to the other half of the tables ({COMMAND}; source: {SOURCE}). Targets, "
        "of all "
        f"cards together: times within {TARGETS['latency']:.0%}, speedup within {TARGETS['speedup']:.0%}, "
        "correlation at "
        f"least {TARGETS['spearman']}. The H200 was measured for this project, after the model was fixed "
        "(hwsim/tensor24/gpu/measured_here): it is in no pooled figure.",
        [("split", "split", "s"), ("card", "card", "s"), ("fitted", "fitted to", "s"), ("latency", "times", ".1%"),
         ("speedup", "speedup", ".1%"), ("spearman", "rank correlation", ".2f"), ("target", "target met", "s")],
        errors,
    )  # fmt: skip
    return Part("2:4 on GPUs", "What the model of a library's kernels says of cards that others "
                               "measured.", tuple(checks),
                (table,), _figures)  # fmt: skip


def _figures(draw: Draw) -> list[tuple[str, str, Figure]]:
    said = {"gpu-speedup": "Speedup of 2:4 by the model against the measured one, five cards, on tables not fitted to",
            "gpu-error": "Mean error of the speedup by card: fitted, card left out, data sheet alone"}  # fmt: skip
    return [(key, said[key], figure) for key, figure in figures(draw)]
