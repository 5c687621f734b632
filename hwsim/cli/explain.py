# SPDX-License-Identifier: Apache-2.0
"""``hwsim explain``: why a stored run takes its cycles, and what more of each resource would bring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import Json, Out, made, print_json, quick_numba, show, ticking

if TYPE_CHECKING:
    from hwsim.core.explain import Explanation
    from hwsim.core.result import Result


def explain(
    results: Annotated[
        list[Path], typer.Argument(help="Folder of a stored result (--out of a run); of two, the second is explained.")
    ],
    factor: Annotated[int, typer.Option(help="How much of a resource there is then, of what there was.")] = 2,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Say why a run takes its cycles, and what more of each resource would bring: the run is simulated again with it.

    Two runs of one machine: also why the second is not as much faster as it is larger.

    Example: hwsim explain out/small
    """
    from hwsim.core.explain import differences
    from hwsim.core.explain import explain as explained
    from hwsim.core.machine import load

    if len(results) > 2:
        raise InputError(f"explain: one stored result or two, found {len(results)}")
    loaded = [load(path) for path in results]
    changed = differences(*loaded) if len(loaded) == 2 else {}
    with quick_numba(), ticking("explain") as tick:
        found = explained(loaded[-1], factor=factor, tick=tick)
    if json_:
        beside = _beside(loaded[0], loaded[-1], changed) if len(loaded) == 2 else {}
        print_json(found.as_dict() | ({"first": beside} if beside else {}))
    else:
        if len(loaded) == 2:
            _show_beside(loaded[0], loaded[-1], changed, [str(p) for p in results])
        _show(found)
    if out is not None:
        from reports.explain import write_explanation

        paths = write_explanation(found, out)
        if not json_:
            made([p for p in paths if p.suffix in (".html", ".md")])


def _show(found: Explanation) -> None:
    from rich.table import Table

    from hwsim.core.explain import in_words, trial_rows

    result = found.result
    table = Table(title=f"{result.name}: {result.cycles:,} cycles", title_justify="left")
    table.add_column("cycles go to")
    table.add_column("cycles", justify="right")
    table.add_column("share", justify="right")
    for cause, cycles in sorted(in_words(result).items(), key=lambda c: -c[1]):
        table.add_row(cause, f"{cycles:,}", f"{cycles / result.cycles:.1%}")
    for what, least in found.bounds.items():
        table.add_row(f"[dim]lower bound set by {what}[/dim]", f"{least:,.0f}", f"{least / max(result.cycles, 1):.1%}")
    show(table)
    table = Table(title=f"{found.heading}, simulated", title_justify="left")
    table.add_column("resource" if found.together else "machine")
    table.add_column("change")
    for name in ("cycles", "speed"):
        table.add_column(name, justify="right")
    table.add_column("fewer cycles, mostly (+: more)")
    for row in trial_rows(found.all_trials):
        if found.together is not None and row["resource"] == found.together.resource:
            table.add_section()
        if row["cycles"] is None:
            table.add_row(row["resource"], row["change"], "-", "-", f"cannot be: {row['why_not']}")
        else:
            moved = f"{row['moved']} ({row['cycles_moved']:+,})" if row["moved"] else "-"
            change = row["why_not"] or row["change"]  # of the fewest: which they are
            table.add_row(row["resource"], change, f"{row['cycles']:,}", f"{row['speedup']:.3f}x", moved)
    show(table)
    for sentence in found.conclusion():
        typer.echo(sentence)


def _beside(first: Result, second: Result, changed: dict[str, Any]) -> dict[str, Any]:
    from hwsim.core.explain import in_words

    return {"cycles": first.cycles, "seconds": first.seconds, "cycles_by_cause": in_words(first),
            "changed": {k: list(v) for k, v in changed.items()},
            "speedup": first.seconds / second.seconds if second.seconds else None}  # fmt: skip


def _show_beside(first: Result, second: Result, changed: dict[str, Any], names: list[str]) -> None:
    from rich.table import Table

    from hwsim.core.explain import in_words

    speed = first.seconds / second.seconds if second.seconds else 1.0
    table = Table(title=f"{names[1]} is {speed:.3f}x as fast as {names[0]}", title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("of the first", justify="right")
    for field, (before, after) in changed.items():
        both = all(isinstance(v, int | float) and not isinstance(v, bool) and v for v in (before, after))
        table.add_row(field, str(before), str(after), f"{after / before:.3g}x" if both else "")
    table.add_section()
    one, two = in_words(first), in_words(second)
    for cause in sorted(one | two, key=lambda c: -two.get(c, 0)):
        ratio = f"{two.get(cause, 0) / one[cause]:.3f}x" if one.get(cause) else "new"
        table.add_row(cause, f"{one.get(cause, 0):,}", f"{two.get(cause, 0):,}", ratio)
    table.add_row("cycles", f"{first.cycles:,}", f"{second.cycles:,}", f"{second.cycles / max(first.cycles, 1):.3f}x")
    show(table)
