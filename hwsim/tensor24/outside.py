# SPDX-License-Identifier: Apache-2.0
"""The ideal array beside another model of 2:4 tensor cores: what sparsity brings a layer in cycles and in energy."""

from __future__ import annotations

from dataflow.networks.network import Conv, Network
from hwsim.core.validation import Check, Part

from .machine import Tensor24, TensorRun

SOURCE = "Sparseloop (MICRO 2022), Accelergy-Project/micro22-sparseloop-artifact, reference outputs of figure 15"
CYCLES = (147_456, 73_728)
"""Of a layer on their structured-sparse tensor cores, dense and 2:4."""
MICROJOULES = (276.6, 173.4)
BATCH = 64
COMMAND = "hwsim validate --part array24"


def part() -> Part:
    """A 3 x 3 convolution of 128 channels, dense and 2:4."""
    layer = Conv(name="c", in_channels=128, out_channels=128, height=28, width=28, kernel=(3, 3), padding=(1, 1))
    dense, sparse = (
        Tensor24.simulate(
            TensorRun.model_validate({"batch": BATCH, "method": method, "pattern": "2:4", "passes": ["FF"]}),
            Network(name="layer", layers=(layer,)),
        )
        for method in ("dense", "bdwp")
    )
    lost = sorted(((n, c) for c, n in sparse.causes.items() if n and c != "useful"), reverse=True)
    why = "counted in the 2:4 run: " + ", ".join(
        f"{sparse.CAUSES[c]} {n / sparse.cycles:.0%} of the cycles" for n, c in lost
    )
    one, two = dense.energy("table").components, sparse.energy("table").components
    kept = [c for c in one if one[c] and two[c] / one[c] > CYCLES[1] / CYCLES[0]]
    same = "more than half remains of: " + ", ".join(f"{c} {two[c] / one[c]:.0%}" for c in kept)
    checks = (
        Check("2:4 over dense, speed of a layer", dense.cycles / sparse.cycles, CYCLES[0] / CYCLES[1], "x", SOURCE,
              COMMAND, why),
        Check("2:4 over dense, energy of a layer", sparse.energy("table").total / dense.energy("table").total,
              MICROJOULES[1] / MICROJOULES[0], "x", SOURCE, COMMAND, same),
    )  # fmt: skip
    return Part(
        "2:4 on an array", f"The ideal array of tensor cores beside Sparseloop's. Which layer theirs is, is not in "
                           "their "
        f"outputs: a 3 x 3 convolution of 128 channels, 28 x 28, batch {BATCH}, is assumed, so ratios alone are "
        "compared "
        f"({CYCLES[0]:,} and {CYCLES[1]:,} cycles, {MICROJOULES[0]} and {MICROJOULES[1]} uJ there).", checks,
    )  # fmt: skip
