# SPDX-License-Identifier: Apache-2.0
"""``hwsim schema``: the JSON schema of a file that people write."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from .common import ConfigFile, Json, Out, Sets, load, made, print_json


class SchemaName(StrEnum):
    """Files with a schema."""

    SAT = "sat"
    STUDY = "study"
    SPATTEN = "spatten"
    SPATTEN_STUDY = "spatten-study"
    SWEEP = "sweep"
    TRAIN = "train"
    NETWORK = "network"
    SCHEDULE = "schedule"


def schema(
    what: Annotated[SchemaName, typer.Argument(help="Which file.")] = SchemaName.SAT,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Print the JSON schema of a settings, network or schedule file; with --config, check that file against it."""
    model = _model(what)
    if config is not None or set_:
        print_json(load(model, config, set_).model_dump(mode="json"))
        return
    data = model.model_json_schema()
    if out is None or json_:
        print_json(data)
    if out is not None:
        import json

        from dataflow.files import write_text

        path = out / f"{what.value}.schema.json"
        write_text(path, json.dumps(data, indent=2) + "\n")
        made([path])


def _model(what: SchemaName) -> Any:
    if what is SchemaName.SAT:
        from hwsim.sat.run import SatRun

        return SatRun
    if what is SchemaName.STUDY:
        from hwsim.sat.run import SatStudy

        return SatStudy
    if what is SchemaName.SPATTEN:
        from hwsim.spatten.run import SpattenRun

        return SpattenRun
    if what is SchemaName.SPATTEN_STUDY:
        from hwsim.spatten.run import SpattenStudy

        return SpattenStudy
    if what is SchemaName.SWEEP:
        from hwsim.sweeps.spec import Spec

        return Spec
    if what is SchemaName.TRAIN:
        from algorithms.training.config import TrainConfig

        return TrainConfig
    if what is SchemaName.NETWORK:
        from dataflow.networks.network import Network

        return Network
    from dataflow.mapping.schedule import Schedule

    return Schedule
