# SPDX-License-Identifier: Apache-2.0
"""Settings of a training step of a network, or of an inference phase of a language model, for any machine that runs
one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializationInfo, SerializerFunctionWrapHandler, model_serializer, model_validator

from dataflow.importers import FACTORY, factory_file, find_network
from dataflow.mapping.lowering import Workload, lower, nothing_sparse
from dataflow.networks.network import Network, Phase
from dataflow.networks.zoo import NETWORKS
from dataflow.pattern import NM, PatternText
from dataflow.pruned import pruned_file
from dataflow.training.methods import METHOD_HELP, Method, MethodName, Pass

from .machine import RunSettings

Batch = Annotated[int, Field(ge=1, le=2**20, description="samples in a step")]
CsvPadding = Annotated[
    Literal["valid", "same"],
    Field(description="padding of a SCALE-Sim CSV's convolutions; see dataflow/importers/scalesim.py"),
]


INFERENCE = {"passes": ("FF",), "batch": 1}
"""Settings of an inference phase where nobody gives others; without a pattern it is dense."""


class TrainingRun(RunSettings):
    """A training step (or some of its passes) of a network, or a phase of a language model's inference; a machine's
    subclass adds ``machine``."""

    network: str = Field(
        "resnet18",
        description="a name from `hwsim networks`, a .yaml, .csv, .onnx or .pt2 file, a language model's config.json, "
        "the folder of a trace or of a pruned model, whose layers keep their patterns, or package.module:factory, "
        "which gives a torch module",
    )
    phase: Phase = Field(
        "training",
        description="training step, or inference of a language model: prefill of a prompt, decode of one token; those "
        "are FF alone, batch 1 and dense unless said otherwise",
    )
    context: int | None = Field(
        None,
        ge=1,
        le=2**20,
        description="tokens of a language model's sequence; in decode those attended to, with the new one (default: "
        "2048, or what the model is made for)",
    )
    batch: Batch = 512
    method: MethodName = Field("bdwp", description=METHOD_HELP)
    pattern: PatternText = Field("2:8", description="N:M (N kept of M) or dense")
    passes: tuple[Pass, ...] = Field((Pass.FF, Pass.BP, Pass.WU), min_length=1, description="which passes to run")
    skip: tuple[str, ...] = Field((), description="layers left dense, by name")
    csv_padding: CsvPadding = "valid"
    ignore_op: tuple[str, ...] = Field(
        (), description="operations of a graph that cost nothing, by kind or name, though none models them"
    )
    dims: dict[str, Annotated[int, Field(ge=1, le=2**24)]] = Field(
        {}, description="sizes of a graph's dynamic dimensions, by name"
    )

    @model_validator(mode="before")
    @classmethod
    def _inference(cls, data: Any) -> Any:
        if isinstance(data, dict) and (file := pruned_file(data.get("network"))) is not None:
            data = {"method": "masked", "pattern": "dense", **data, "network": str(file)}
        if isinstance(data, dict) and data.get("phase") in ("prefill", "decode"):
            dense = {} if "pattern" in data else {"pattern": "dense", "method": "dense"}
            return {**INFERENCE, **dense, **data}
        return data

    @model_serializer(mode="wrap")
    def _as_data(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Where defaults are left out: those that another phase or a pruned model would not take are kept."""
        data: dict[str, Any] = handler(self)
        own = pruned_file(self.network) is not None
        if info.exclude_defaults and (self.phase != "training" or own):
            data |= {"pattern": self.pattern, "batch": self.batch}
            if own or self.pattern != "dense" or Method.parse(self.method).is_dense:
                data["method"] = self.method
        return data

    @model_validator(mode="after")
    def _has_effect(self) -> Self:
        """Refuse what an inference phase has no use for."""
        if self.phase == "training":
            return self
        if self.passes != (Pass.FF,):
            raise ValueError(f"passes: {self.phase} is the forward pass alone: FF")
        method = Method.parse(self.method)
        own = pruned_file(self.network) is not None
        if "method" in self.model_fields_set and self.pattern == "dense" and not (method.is_dense or own):
            raise ValueError(f"method: {self.method} has no effect without a pattern")
        if self.pattern != "dense" and Pass.FF not in method.sparse_passes:
            raise ValueError(f"pattern: {self.pattern} has no effect: method {self.method} prunes nothing in FF")
        if self.skip and self.pattern == "dense":
            raise ValueError("skip: has no effect without a pattern")
        return self

    def read_network(self) -> Network:
        """The network by name or file, or a trace's, in the phase that is asked for."""
        return find_network(
            self.network, csv_padding=self.csv_padding, phase=self.phase, context=self.context, ignore=self.ignore_op,
            dims=self.dims,
        )  # fmt: skip

    def workload(self, network: Network, *, dense: bool = False) -> Workload:
        """The work of a step; ``dense``: of the dense method instead.

        Raises:
            InputError: the network is of another phase, or `lower` cannot take it.
        """
        find_network(network, phase=self.phase, context=self.context)
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
        if FACTORY.fullmatch(self.network):
            file = factory_file(self.network)
            return [file] if file is not None else []
        path = Path(self.network)
        return [path] if path.is_dir() or (path.suffix and self.network not in NETWORKS) else []
