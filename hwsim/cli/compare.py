# SPDX-License-Identifier: Apache-2.0
"""``hwsim compare``: stored results side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dataflow.errors import InputError
from hwsim.core.command import Json, Out, made, print_json


def compare(
    results: Annotated[
        list[Path], typer.Argument(help="Folders of stored results (--out of a run); speeds are relative to the first.")
    ],
    out: Out = None,
    json_: Json = False,
) -> None:
    """Show stored runs side by side: cycles by cause, time, energy; with --out also as a page.

    Example: hwsim compare out/dense out/sparse
    """
    from hwsim.core.machine import load

    from .simulate import show_results, summary

    if len(results) < 2:
        raise InputError("compare: give at least two stored results")
    found = {path.name or str(path): load(path) for path in results}
    if len(found) < len(results):
        found = {str(path): load(path) for path in results}
    if json_:
        print_json({name: summary(result) for name, result in found.items()})
    else:
        show_results(found)
    if out is not None:
        from reports.compare import write_comparison

        paths = write_comparison(found, out)
        if not json_:
            made([p for p in paths if p.suffix in (".html", ".md")])
