# SPDX-License-Identifier: Apache-2.0
"""``hwsim machines``: which machines there are, who offers them, and what each can do."""

from __future__ import annotations

from typing import Any

from dataflow.errors import InputError
from hwsim.core.command import Json, print_json, show


def machines(json_: Json = False) -> None:
    """List the machines: those of hwsim and those of other installed packages.

    Example: hwsim machines
    """
    from rich.table import Table

    from hwsim.core.machine import MACHINES, find, names

    rows: list[dict[str, Any]] = []
    for name in names():
        row: dict[str, Any] = {"name": name, "offered_by": MACHINES.source(name)}
        try:
            kind = find(name)
            row |= {"title": kind.title, "can": kind.can(), "error": ""}
        except InputError as error:  # one broken package must not hide the others
            row |= {"title": "", "can": [], "error": str(error)}
        rows.append(row)
    if json_:
        print_json(rows)
        return
    table = Table(title="Machines", title_justify="left")
    table.add_column("name", no_wrap=True)
    for column in ("description", "commands besides simulate and sweep", "package"):
        table.add_column(column)
    for row in rows:
        table.add_row(row["name"], row["title"] or row["error"], ", ".join(row["can"]), row["offered_by"])
    show(table)
