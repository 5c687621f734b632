# SPDX-License-Identifier: Apache-2.0
"""A training method from outside, simulated."""

from __future__ import annotations

from dataflow.networks.network import Linear, Network
from dataflow.training.methods import METHODS, Method, Pass
from hwsim.sat.config import SatConfig
from hwsim.sat.run import SatRun
from hwsim.sat.timing.step import simulate

NET = Network(
    name="two",
    layers=(
        Linear(name="a", in_features=64, out_features=32, needs_input_grad=False),
        Linear(name="b", in_features=32, out_features=64),
    ),
)


def test_a_method_of_the_process_is_simulated_and_told_by_its_name() -> None:
    METHODS.add("mine", Method("mine", "prunes output gradients in BP", frozenset({Pass.BP}), bp_operand="gradients"))
    try:
        machine = SatConfig(rows=4, cols=4)
        cycles = {}
        for name in ("mine", "sdgp", "dense"):
            run = SatRun(method=name, batch=4, pattern="2:8", machine=machine)
            result = simulate(machine, run.workload(NET))
            assert result.method == name
            cycles[name] = result.cycles
        assert cycles["mine"] == cycles["sdgp"] != cycles["dense"]
    finally:
        METHODS.remove("mine")
