# SPDX-License-Identifier: Apache-2.0
"""Settings of a training step of a network, for any machine that runs one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from dataflow.importers import find_network
from dataflow.mapping.lowering import Workload, lower, nothing_sparse
from dataflow.networks.network import Network
from dataflow.pattern import NM, PatternText
from dataflow.training.methods import METHOD_HELP, Method, MethodName, Pass

from .machine import RunSettings

Batch = Annotated[int, Field(ge=1, le=2**20, description="samples in a step")]
CsvPadding = Annotated[
    Literal["valid", "same"],
    Field(description="padding of a SCALE-Sim CSV's convolutions; see dataflow/importers/scalesim.py"),
]


class TrainingRun(RunSettings):
    """A training step (or some of its passes) of a network; a machine's subclass adds ``machine``."""

    network: str = Field(
        "resnet18", description="a name from `hwsim networks`, a .yaml, .csv or .onnx file, or a trace folder"
    )
    batch: Batch = 512
    method: MethodName = Field("bdwp", description=METHOD_HELP)
    pattern: PatternText = Field("2:8", description="N:M (N kept of M) or dense")
    passes: tuple[Pass, ...] = Field((Pass.FF, Pass.BP, Pass.WU), min_length=1, description="which passes to run")
    skip: tuple[str, ...] = Field((), description="layers left dense, by name")
    csv_padding: CsvPadding = "valid"

    def read_network(self) -> Network:
        """The network by name or file, or a trace's."""
        return find_network(self.network, csv_padding=self.csv_padding)

    def workload(self, network: Network, *, dense: bool = False) -> Workload:
        """The work of a step; ``dense``: of the dense method instead."""
        return lower(
            network,
            batch=self.batch,
            method=Method.DENSE if dense else Method.parse(self.method),
            pattern=NM.parse("dense" if dense else self.pattern),
            passes=self.passes,
            skip=() if dense else self.skip,
        )

    def nothing_sparse(self, network: Network) -> str:
        """A warning where the method and pattern fit no layer, with what fits; empty where all is well."""
        return nothing_sparse(network, method=Method.parse(self.method), pattern=NM.parse(self.pattern), skip=self.skip)

    def inputs(self) -> list[Path]:
        """Files and folders whose contents the result depends on."""
        return [Path(self.network)] if Path(self.network).suffix or Path(self.network).is_dir() else []
