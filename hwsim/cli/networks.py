# SPDX-License-Identifier: Apache-2.0
"""``hwsim networks``: the networks that are built in, or the layers of one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import (
    ConfigFile,
    Dim,
    IgnoreOp,
    Json,
    Out,
    Sets,
    graph_flags,
    load,
    made,
    print_json,
    show,
    show_ignored,
    si,
)

if TYPE_CHECKING:
    from rich.table import Table

    from dataflow.networks.network import Network


def networks(
    name: Annotated[
        str | None,
        typer.Argument(help="Show the layers of this network, a name or a file (default: list all networks)."),
    ] = None,
    phase: Annotated[
        str | None, typer.Option(help="Of a language model: training, prefill or decode (default: training).")
    ] = None,
    context: Annotated[
        int | None, typer.Option(help="Tokens of a language model's sequence (default: 2048, or the model's most).")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show every operation of its graph: what it became, or why it is free.")
    ] = False,
    ignore_op: IgnoreOp = None,
    dim: Dim = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that was changed.")] = False,
    json_: Json = False,
) -> None:
    """List networks, or show the layers of one; --out writes it as a YAML file to edit.

    Example: hwsim networks resnet9 --out out
    """
    given: dict[str, Any] = {"network": name, "phase": phase, "context": context, **graph_flags(ignore_op, dim)}
    if explain and name is None and config is None and not set_:
        raise InputError("--explain: name a network or a file")
    if config is None and not set_ and all(value is None for value in given.values()):
        _list(json_)
        return
    from pydantic import Field

    from hwsim.core.training import TrainingRun

    class Settings(TrainingRun):
        """Settings of a run; those of the machine are not used."""

        machine: dict[str, Any] = Field({})

    net = load(Settings, config, set_, options={"dims": "--dim"}, **given).read_network()
    if json_:
        print_json(_explained_json(net) if explain else net.model_dump(mode="json"))
    else:
        show(_explained(net) if explain else _layers(net))
        show_ignored(net.ignored)
    if out is not None:
        from dataflow.files import file_name, read_text
        from dataflow.importers.network_files import network_yaml, write_network_yaml

        path = out / f"{file_name(net.name)}.yaml"
        if not force and path.exists() and read_text(path) != network_yaml(net):
            raise InputError(f"{path}: exists and is not what would be written; --force overwrites it")
        write_network_yaml(net, path)
        if not json_:
            made([path])


def _layers(net: Network) -> Table:
    from rich.table import Table

    title = net.title + (f": {net.parameters:,} parameters" if net.parameters is not None else "")
    table = Table("layer", "kind", "sizes", "MACs of a sample's forward pass", title=title, title_justify="left")
    for layer in net.layers:
        sizes = layer.model_dump(exclude={"name", "kind", "needs_input_grad"}, exclude_defaults=True)
        table.add_row(layer.name, layer.kind, ", ".join(f"{k}={v}" for k, v in sizes.items()), si(layer.macs))
    return table


def _explained(net: Network) -> Table:
    """Every operation; numbers are of a sample's forward pass."""
    from rich.table import Table

    from dataflow.networks.operations import explain

    table = Table("operation", "kind", "became", title=f"{net.title}: a sample's forward pass", title_justify="left")
    for column in ("MACs", "weights", "bytes moved"):
        table.add_column(column, justify="right")
    rows = explain(net)
    for row in rows:
        numbers = [f"{n:,}" if n else "" for n in (row.macs, row.weights, row.bytes)]
        table.add_row(row.name, row.op, row.became, *numbers)
    table.add_section()
    free = sum(row.free for row in rows)
    counts = f"{len(rows) - free} modelled, {free} free" if net.operations else f"{len(rows)} layers, of no graph"
    table.add_row("all", "", counts, f"{net.macs:,}", f"{net.weights:,}", f"{sum(row.bytes for row in rows):,}")
    return table


def _explained_json(net: Network) -> dict[str, Any]:
    from dataclasses import asdict

    from dataflow.networks.operations import explain

    return {"network": net.name, "macs": net.macs, "weights": net.weights, "ignored": list(net.ignored),
            "operations": [asdict(row) for row in explain(net)]}  # fmt: skip


def _list(json_: bool) -> None:
    """Every network by name; one that cannot be loaded is a warning, and the others are listed."""
    from rich.table import Table

    from dataflow.networks.zoo import NETWORKS, network

    found = {}
    for key in NETWORKS:
        try:
            found[key] = network(key)
        except InputError as error:
            sys.stderr.write(f"hwsim: warning: {error}\n")
    if json_:
        print_json({k: {"layers": len(n.layers), "macs": n.macs, "weights": n.weights, "context": n.context,
                        "parameters": n.parameters} for k, n in found.items()})  # fmt: skip
        return
    table = Table("network", "layers", "MACs of a sample's forward pass", "weights", "parameters", "tokens")
    for key, net in found.items():
        known = "" if net.parameters is None else f"{net.parameters:,}"
        tokens = "" if net.context is None else f"{net.context:,}"
        table.add_row(key, str(len(net.layers)), si(net.macs), si(net.weights), known, tokens)
    show(table)
