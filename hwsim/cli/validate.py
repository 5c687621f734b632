# SPDX-License-Identifier: Apache-2.0
"""``hwsim validate``: figures of others beside ours, misses first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.core.command import Json, made, print_json, show, ticking


def validate(
    part: Annotated[
        list[str] | None,
        typer.Option(help="Only this part; may be repeated; an unknown name lists all (default: all)."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Write results into this folder.")] = Path(
        "out/validation"
    ),
    json_: Json = False,
) -> None:
    """Compute what others measured or published, and set it beside theirs: one page, misses first (under a minute).

    Example: hwsim validate --part dram
    """  # fmt: skip
    from rich.table import Table

    from hwsim.core.validation import VALIDATION
    from reports.validation_page import write_validation

    found = {}
    with ticking("validate") as tick:
        for name in part or VALIDATION.names():
            tick(name, 0, None)
            found[name] = VALIDATION.get(name)()
    paths = write_validation(found, out)
    if json_:
        print_json([
            {"part": name, "what": c.what, "ours": c.ours, "theirs": c.theirs, "unit": c.unit, "ratio": c.ratio,
             "met": c.met, "source": c.source} for name, p in found.items() for c in p.checks
        ])  # fmt: skip
        return
    table = Table(title="Ours beside others' figures", title_justify="left")
    for column in ("part", "figures", "with a target", "met", "furthest away", "ours / theirs"):
        table.add_column(column, justify="left" if column in ("part", "furthest away") else "right")
    for p in found.values():
        worst = max(p.checks, key=lambda c: c.miss, default=None)
        aimed = [c for c in p.checks if c.met is not None]
        table.add_row(p.title, str(len(p.checks)), str(len(aimed)), str(sum(bool(c.met) for c in aimed)),
                      *((worst.what, f"{worst.ratio:.3f}") if worst else ("", "")))  # fmt: skip
    show(table)
    made([p for p in paths if p.suffix in (".html", ".md")])
