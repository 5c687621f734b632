# SPDX-License-Identifier: Apache-2.0
"""``hwsim energy``: a run's energy from the table of published figures and from the RTL's cells, and the area."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import ConfigFile, Json, Out, Sets, load, made, print_json, show, si, ticking
from hwsim.core.machine import Machine, find

ACTIVITY = "activity.json"
"""Of recorded switching, in the folder of results; a machine ships a file of that name."""


class From(StrEnum):
    """Where energy comes from."""

    BOTH = "both"
    TABLE = "table"
    RTL = "rtl"


def energy(
    machine: Annotated[str, typer.Argument(help="Name of the machine (`hwsim machines` lists them).")],
    from_: Annotated[
        From, typer.Option("--from", help="table: published figures; rtl: the cells of the synthesized RTL; or both.")
    ] = From.BOTH,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="Record switching activity of this trace now (default: the activity file shipped with the machine)."
        ),
    ] = None,
    node: Annotated[int, typer.Option(help="Technology node, nm; figures of 45 nm are scaled to it.")] = 45,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Energy of a run by kind of operation, and area of its machine. Settings: `hwsim schema MACHINE`.

    Example: hwsim energy MACHINE --from table --node 28
    """
    from hwsim.silicon.scaling import NODES

    if node not in NODES:
        raise InputError(f"--node {node}: one of {', '.join(map(str, NODES))}")
    if from_ is From.TABLE and trace is not None:
        raise InputError("--trace: records switching activity, which --from table does not use")
    facts, tables = measure(find(machine), config, set_, from_, trace, node, out)
    if out is not None:
        from hwsim.core.study import StudyTables

        StudyTables(facts, tables).write(out)
    if json_:
        print_json(facts | tables)
    else:
        _show(facts, tables, from_)
        if out is not None:
            made([*([out / ACTIVITY] if trace is not None else []), *(out / f"{name}.csv" for name in tables)])


def measure(
    machine: type[Machine], config: Path | None, set_: list[str] | None, from_: From, trace: Path | None, node: int,
    out: Path | None = None,
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:  # fmt: skip
    """Facts and the tables ``energy`` and, with the RTL, ``area``. Recorded switching goes to ``out`` at once."""
    from hwsim.silicon.cost import ratio, scaled
    from hwsim.silicon.scaling import SOURCE, energy_factor

    facts: dict[str, Any] = {"title": f"energy of {machine.name}", "node_nm": node, "scaled_by": SOURCE}
    tables: dict[str, list[dict[str, Any]]] = {}
    with ticking("simulate") as tick:
        run = load(machine.Run, config, set_)
        result = machine.simulate(run, tick=tick)
        facts |= {"run": result.workload, "operations": result.operations, "seconds": result.seconds}
        if from_ is From.TABLE:
            energy = result.energy("table")
            tables["energy"] = [{"what": name, "table_j": joules} for name, joules in energy.components.items()]
        else:
            activity = machine.record(trace, lambda text: tick(text, 0, None), run) if trace is not None else None
            if activity is not None and out is not None:
                activity.write(out / ACTIVITY)
            tables["energy"], built = machine.silicon_energy(
                result, activity, lambda n, d, of: tick(f"synthesis: {n}", d, of)
            )
            facts |= {"activity": (activity or machine.reference_activity()).source}
            tables["area"] = built.rows(node)
            facts |= {"area_mm2": built.area_mm2(node), "gated_clock_pj": None if built.gated_clock_j is None else
                      built.gated_clock_j * 1e12 * energy_factor(node)}  # fmt: skip
    tables["energy"] = scaled(tables["energy"], node)
    for name in ("table", "rtl"):
        joules = [row.get(f"{name}_j") or 0.0 for row in tables["energy"]]
        if name == "table" or from_ is not From.TABLE:
            whole = sum(joules)
            facts |= {f"{name}_j": whole, f"{name}_w": ratio(whole, facts["seconds"]),
                      f"{name}_gop_per_j": 1e-9 * ratio(facts["operations"], whole)}  # fmt: skip
    for row in tables["energy"]:
        if row["what"] == "clock" and facts.get("gated_clock_pj") is not None:
            facts |= {"clock_j": row["rtl_j"], "gated_clock_j": row["number"] * facts["gated_clock_pj"] * 1e-12}
            facts |= {"gated_rtl_j": facts["rtl_j"] - facts["clock_j"] + facts["gated_clock_j"]}
    return facts, tables


def _show(facts: dict[str, Any], tables: dict[str, list[dict[str, Any]]], from_: From) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    both = [name for name in ("table", "rtl") if from_ in (From.BOTH, From(name))]
    table = Table(
        title=f"{facts['run']}: energy at {facts['node_nm']} nm",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    per = "unit" in tables["energy"][0]
    unit, scale = next((u for u in (("J", 1.0), ("mJ", 1e3)) if facts[f"{both[0]}_j"] * u[1] >= 1), ("uJ", 1e6))
    columns = [*(f"{n}\npJ" for n in both if per), *(f"{n}\n{unit}" for n in both)]
    columns += ["rtl /\ntable"] if len(both) == 2 else []
    table.add_column("operation" if per else "", no_wrap=True)
    for column in (["number"] if per else []) + columns:
        table.add_column(column, justify="right")

    def cell(value: float | None, scale: float = 1.0) -> str:
        if value is None:
            return "-"
        shown = value * scale
        return si(shown) if shown >= 1e4 else "<0.01" if 0 < shown < 0.01 else f"{shown:.3g}"

    for row in tables["energy"]:
        cells = [f"{row['what']}: {row['unit']}", si(row["number"])] if per else [row["what"]]
        cells += [cell(row[f"{n}_pj"]) for n in both if per] + [cell(row[f"{n}_j"], scale) for n in both]
        if len(both) == 2:
            cells.append(f"{row['rtl_j'] / row['table_j']:.2f}" if row["table_j"] else "-")
        table.add_row(*cells)
    table.add_section()
    totals = [cell(facts[f"{n}_j"], scale) for n in both]
    ratio = [f"{facts['rtl_j'] / facts['table_j']:.2f}"] if len(both) == 2 else []
    table.add_row("total", *[""] * (len(table.columns) - 1 - len(totals) - len(ratio)), *totals, *ratio)
    show(table)
    for name in both:
        rate = f", {facts[f'{name}_gop_per_j']:.3g} GOP/J" if facts["operations"] else ""
        console.print(f"{name}: {facts[f'{name}_w']:.3g} W{rate}")
    if "gated_rtl_j" in facts:
        before, after = (cell(facts[n], scale) for n in ("clock_j", "gated_clock_j"))
        console.print(f"with clock gates where enables hold registers: clock {after} {unit} in place of {before}, "
                      f"in all {cell(facts['gated_rtl_j'], scale)} {unit}", highlight=False)  # fmt: skip
    if "area" in tables:
        shown = Table(
            title=f"area at {facts['node_nm']} nm: {facts['area_mm2']:.3g} mm2, before placement", title_justify="left"
        )
        shown.add_column("block", no_wrap=True)
        for column in ("logic\nmm2", "SRAM\nmm2", "share", "gates", "flip-\nflops", "SRAM\nKiB"):
            shown.add_column(column, justify="right")
        for row in tables["area"]:
            shown.add_row(row["block"], cell(row["logic_mm2"]), cell(row["sram_mm2"]), f"{row['share']:.1%}",
                          si(row["gates"]), si(row["flipflops"]), f"{row['sram_kib']:,.0f}")  # fmt: skip
        show(shown)
