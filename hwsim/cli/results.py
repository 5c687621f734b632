# SPDX-License-Identifier: Apache-2.0
"""``hwsim results``: the table of a sweep: which points, in which order, which are on the Pareto front; its page."""

from __future__ import annotations

import sys
from csv import QUOTE_NONNUMERIC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import Json, made, print_json, show

if TYPE_CHECKING:
    import pandas as pd

    from hwsim.sweeps.table import Results


def results(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a sweep's results.")],
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Condition, as in 'machine.rows <= 32 and cycles < 1e9'; may be repeated (default: all points)."
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(help="Column to sort by; -COLUMN: the largest first (default: the order of the sweep)."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Rows to print.")] = 20,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns, separated by commas; all: every one (default: what the sweep changes, and its objectives)."
        ),
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option(
            help="Only the Pareto front of each workload, of these objectives, as in 'cycles,max quality'; yes: of the "
            "sweep's own (default: all points)."
        ),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Show the points that failed, and why.")] = False,
    csv: Annotated[
        Path | None,
        typer.Option(help="Also write all chosen rows into this CSV file (default: none); results.parquet has types."),
    ] = None,
    page: Annotated[bool, typer.Option("--page", help="Only write report.html and the figures again.")] = False,
    json_: Json = False,
) -> None:
    """Show a sweep's results: filter, sort, Pareto front.

    Example: hwsim results out/array --pareto yes --sort cycles
    """
    import pyarrow.compute as pc

    from hwsim.sweeps.analysis import fronts, select

    if page:
        made(write_page(folder))
        return
    found, spec, fields, _ = _read(folder)
    objectives = list(spec.objectives)
    # rows first, types after: whole numbers stay whole only in a column without gaps, and failed points have gaps
    table = found.filter(pc.field("status") == ("failed" if failed else "ok")).to_pandas()
    table = select(table, where or [])
    if pareto is not None:
        objectives = list(spec.objectives) if pareto == "yes" else _objectives(pareto)
        for objective in objectives:
            _check_column(table, objective.split()[1], "--pareto")
        table = table[fronts(table, objectives, fields)]
    if sort is not None:
        _check_column(table, sort.removeprefix("-"), "--sort")
        table = table.sort_values(sort.removeprefix("-"), ascending=not sort.startswith("-"), kind="stable")
    names = [*fields, *(["error"] if failed else [o.split()[1] for o in objectives])]
    if table["design"].any():
        names.insert(0, "design")
    if columns == "all":
        names = [c for c in table.columns if c != "parts"]
    elif columns is not None:
        names = [c.strip() for c in columns.split(",")]
    for name in names:
        _check_column(table, name, "--columns")
    chosen = table[list(dict.fromkeys(names))]
    if csv is not None:
        from dataflow.files import write_text

        write_text(csv, chosen.to_csv(index=False, quoting=QUOTE_NONNUMERIC))
    if json_:
        rows = chosen.head(top).to_dict(orient="records")
        print_json([{k: None if isinstance(v, float) and v != v else v for k, v in row.items()} for row in rows])
    else:
        _show(chosen, top)


def _read(folder: Path) -> Results:
    """A folder's results; damaged files are named on standard error."""
    from hwsim.sweeps.table import read_results

    found = read_results(folder)
    tell_damaged(found.damaged)
    return found


def tell_damaged(paths: list[Path], then: str = "the next `hwsim sweep` into its folder makes it again") -> None:
    """Say on standard error which files are damaged, and what becomes of their points."""
    for path in paths:
        where = "damaged and set aside" if path.parent.name == "aside" else "damaged"
        sys.stderr.write(f"hwsim: {path}: {where}; {then}\n")


def write_page(folder: Path) -> list[Path]:
    """``report.html``, ``figures/`` and ``report.md`` of a sweep's results."""
    from reports.explore import write_sweep

    paths, damaged = write_sweep(folder)
    tell_damaged(damaged)
    return paths


def _objectives(text: str) -> list[str]:
    from hwsim.sweeps.spec import objective

    try:
        return [objective(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"--pareto {text}: {error}") from None


def _check_column(table: pd.DataFrame, name: str, option: str) -> None:
    if name not in table.columns:
        raise InputError(f"{option} {name}: no such column: {', '.join(c for c in table.columns if c != 'parts')}")


def _show(table: pd.DataFrame, top: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table(title_justify="left")
    for name in table.columns:
        shown.add_column(escape(name), justify="left" if table[name].dtype == object else "right")
    for row in table.head(top).itertuples(index=False, name=None):
        shown.add_row(*(escape(_cell(v)) for v in row))
    console = Console()
    if not console.is_terminal:
        console.width = 200
    show(shown)
    if len(table) > top:
        sys.stdout.write(f"{top} of {len(table):,} rows\n")


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "–"
    return f"{value:.5g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
