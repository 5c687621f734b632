# SPDX-License-Identifier: Apache-2.0
"""``hwsim schema``: the JSON schema of a file that people write."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from dataflow.errors import InputError, unknown
from hwsim.core.command import ConfigFile, Json, Out, Sets, load, made, print_json

FILES = {
    "sweep": "hwsim.sweeps.spec:Spec",
    "cache": "algorithms.kv_cache.config:CacheConfig",
    "train": "algorithms.training.config:TrainConfig",
    "network": "dataflow.networks.network:Network",
    "schedule": "dataflow.mapping.schedule:Schedule",
    "verify": "hwsim.verification.run:VerifyRun",
    "dram": "hwsim.memory.config:DramConfig",
    "serve-profile": "hwsim.serving.settings:ServeProfile",
}
"""Files that belong to no machine."""


def schema(
    what: Annotated[
        str, typer.Argument(help="MACHINE (settings of a run), MACHINE-study, or " + ", ".join(FILES) + ".")
    ],
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Print the JSON schema of a settings, network or schedule file; with --config, check that file against it.

    Example: hwsim schema sweep
    """
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

        path = out / f"{what}.schema.json"
        write_text(path, json.dumps(data, indent=2) + "\n")
        made([path])


def _model(what: str) -> Any:
    from hwsim.core.machine import find, names

    if what in FILES:
        module, _, name = FILES[what].partition(":")
        return getattr(import_module(module), name)
    machine = what.removesuffix("-study")
    if machine in names():
        kind = find(machine)
        if machine == what:
            return kind.Run
        if kind.Study is not None:
            return kind.Study
        raise kind.without("study")
    if what == "study":
        raise InputError(f"schema study: is now MACHINE-study, as in {names()[0]}-study")
    raise unknown("schema", what, (*names(), *(f"{n}-study" for n in names()), *FILES))
