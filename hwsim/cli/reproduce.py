# SPDX-License-Identifier: Apache-2.0
"""``hwsim reproduce``: every published claim of the machines beside ours, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hwsim.core.command import Json, made, print_json, ticking


def reproduce(
    machine: Annotated[
        list[str] | None, typer.Option(help="Only the claims of this machine; may be repeated (default: all).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Write results into this folder.")] = Path(
        "out/reproduction"
    ),
    json_: Json = False,
) -> None:
    """Compute every published claim of the machines: speed, energy, area, FPGA resources; one page (about 16 minutes).

    Example: hwsim reproduce --machine MACHINE
    """
    from hwsim.core.claims import Tables
    from hwsim.core.machine import every, find
    from hwsim.core.study import StudyTables
    from hwsim.core.version import facts
    from reports.claims import write_reproduction

    kinds = [find(name) for name in machine or ()] or [kind for kind in every() if "claims" in kind.can()]
    tables: Tables = {}
    assumptions: dict[str, str] = {}
    with ticking("claims") as tick:
        for kind in kinds:
            before = len(tables.get("claims", []))
            assumptions |= kind.claims(tables, tick)
            for row in tables.get("claims", [])[before:]:
                row["machine"] = kind.name
    meta: dict[str, Any] = {"title": "Published claims, one by one", "command": "hwsim reproduce"}
    paths = write_reproduction(StudyTables({**meta, "assumptions": assumptions, **facts()}, tables), out)
    if json_:
        print_json([str(p) for p in paths])
    else:
        made([p for p in paths if p.suffix in (".html", ".md")])
