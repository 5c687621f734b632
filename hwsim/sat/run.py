# SPDX-License-Identifier: Apache-2.0
"""What a user asks SAT to run: a network, a batch, a method and a machine, as one checked object."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from dataflow.lowering import Workload, lower
from dataflow.methods import Method, MethodName, Pass
from dataflow.network import Network
from dataflow.pattern import NM, PatternText

from .config import SatConfig


class SatRun(BaseModel):
    """One simulation of a training step (or of some of its passes) on a SAT machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str = Field(
        "resnet18", description="a name from `hwsim networks`, a .yaml, .csv or .onnx file, or a trace folder"
    )
    batch: int = Field(512, ge=1, le=2**20, description="samples in a step")
    method: MethodName = Field("bdwp", description="dense, srste, sdgp, sdwp or bdwp")
    pattern: PatternText = Field("2:8", description="N:M (N kept of M) or dense")
    passes: tuple[Pass, ...] = Field((Pass.FF, Pass.BP, Pass.WU), min_length=1, description="which passes to run")
    skip: tuple[str, ...] = Field((), description="layers left dense, by name")
    csv_padding: str = Field("valid", pattern="^(valid|same)$", description="padding of a SCALE-Sim CSV's convolutions")
    machine: SatConfig = SatConfig()

    def read_network(self) -> Network:
        """The network by name or file, or a trace's."""
        if (Path(self.network) / "meta.json").exists():
            from dataflow.trace import Trace

            return Trace.read(Path(self.network)).meta.network
        if Path(self.network).suffix:
            from dataflow.network_files import read_network

            return read_network(Path(self.network), scalesim_padding=self.csv_padding)
        from dataflow.zoo import network

        return network(self.network)

    def workload(self, network: Network, *, dense: bool = False) -> Workload:
        """The work of a step; ``dense``: of the dense method instead."""
        return lower(
            network,
            batch=self.batch,
            method=Method.DENSE if dense else Method(self.method),
            pattern=NM.parse("dense" if dense else self.pattern),
            passes=self.passes,
            skip=() if dense else self.skip,
        )
