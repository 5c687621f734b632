# SPDX-License-Identifier: Apache-2.0
"""``hwsim simulate``: one run of any machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

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
    quick_numba,
    show,
    show_ignored,
    ticking,
)


def simulate(
    machine: Annotated[str, typer.Argument(help="Name of the machine (`hwsim machines` lists them).")],
    workload: Annotated[
        str | None,
        typer.Argument(help="Name or file of the workload (default: that of the settings, `hwsim schema MACHINE`)."),
    ] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    ignore_op: IgnoreOp = None,
    dim: Dim = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Simulate one run of a machine: cycles by cause, energy, lower bounds. Settings: `hwsim schema MACHINE`.

    Example: hwsim simulate MACHINE resnet9 --set batch=64
    """
    from hwsim.core.machine import find

    kind = find(machine)
    flags: dict[str, Any] = {kind.workload_field: workload, **graph_flags(ignore_op, dim)}
    run = load(kind.Run, config, set_, options={"dims": "--dim"}, **flags)
    with quick_numba(), ticking(machine) as tick:
        result = kind.run(run, tick)
    if json_:
        print_json(summary(result, kind.bounds(run, result)))
    else:
        show_results({result.name: result}, {result.name: kind.bounds(run, result)})
    if out is not None:
        paths = result.save(out)
        if not json_:
            made(paths)


def summary(result: Any, bounds: dict[str, float] | None = None) -> dict[str, Any]:
    """A result's facts and totals."""
    counted = result.table_energy()
    energy = counted.components if counted else {}
    return {
        "machine": result.machine, **result.facts(), "cycles": result.cycles, "seconds": result.seconds,
        "cycles_by_cause": result.causes, "energy_j": dict(energy), **({"bounds_cycles": bounds} if bounds else {}),
        **({"ignored": list(result.ignored)} if result.ignored else {}),
    }  # fmt: skip


def show_results(results: dict[str, Any], bounds: dict[str, dict[str, float]] | None = None) -> None:
    """A table of results side by side; speeds are relative to the first."""
    from rich.table import Table

    from hwsim.core.units import energy_text, time_text

    table = Table(title="cycles, time, energy", title_justify="left")
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right")
    found = list(results.values())
    table.add_row("cycles", *(f"{r.cycles:,}" for r in found))
    table.add_row("time at clock", *(time_text(r.seconds) for r in found))
    if len(found) > 1:
        table.add_row(f"speed, of {next(iter(results))}", *(_ratio(found[0].seconds, r.seconds) for r in found))
    table.add_section()
    texts = {cause: text for r in found for cause, text in r.CAUSES.items()}
    for cause, text in texts.items():
        if any(r.causes.get(cause) for r in found):
            table.add_row(text, *(f"{r.causes.get(cause, 0) / max(r.cycles, 1):.2%}" for r in found))
    for name, each in (bounds or {}).items():
        if each and results[name].cycles:
            table.add_section()
            for what, cycles in each.items():
                table.add_row(f"lower bound set by {what}, of cycles", f"{cycles / results[name].cycles:.1%}")
    energies = [r.table_energy() for r in found]
    if any(energies):
        table.add_section()
        table.add_row("energy (published figures)", *("-" if e is None else energy_text(e.total) for e in energies))
        for part in dict.fromkeys(name for e in energies if e for name in e.components):
            cells = [f"{e.components.get(part, 0.0) / e.total:.1%}" if e and e.total else "-" for e in energies]
            table.add_row(f"  {part}", *cells)
    show(table)
    show_ignored(list(dict.fromkeys(name for r in found for name in r.ignored)))


def _ratio(first: float, other: float) -> str:
    return f"{first / other:.3f}x" if other else "-"
