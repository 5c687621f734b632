# SPDX-License-Identifier: Apache-2.0
"""``hwsim energy``: a run's energy from the table of published figures and from the RTL's cells, and the area."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflow.errors import InputError

from .common import ConfigFile, Json, Out, Sets, load, made, print_json, si
from .synth import Machine

if TYPE_CHECKING:
    from hwsim.silicon.activity import Activity


class From(StrEnum):
    """Where energy comes from."""

    BOTH = "both"
    TABLE = "table"
    RTL = "rtl"


def energy(
    machine: Annotated[Machine, typer.Argument(help="Which machine.")],
    from_: Annotated[From, typer.Option("--from", help="Published figures, the RTL's cells, or both.")] = From.BOTH,
    trace: Annotated[
        Path | None,
        typer.Option(help="Record switching activity of this trace now (none: the record that comes along)."),
    ] = None,
    node: Annotated[int, typer.Option(help="Technology node, nm; figures are of 45 nm and scaled.")] = 45,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Energy of a run (settings as of hwsim sat or hwsim spatten) and area of its machine, by what is done."""
    from hwsim.silicon.scaling import NODES

    if node not in NODES:
        raise InputError(f"--node {node}: one of {', '.join(map(str, NODES))}")
    if from_ is From.TABLE and trace is not None:
        raise InputError("--trace: records activity, which --from table has no use for")
    facts, tables = measure(machine, config, set_, from_, trace, node)
    if out is not None:
        from hwsim.core.study import StudyTables

        StudyTables(facts, tables).write(out)
    if json_:
        print_json(facts | tables)
    else:
        _show(facts, tables, from_)
        if out is not None:
            made([out / f"{name}.csv" for name in tables])


def measure(
    machine: Machine, config: Path | None, set_: list[str] | None, from_: From, trace: Path | None, node: int
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Facts and the tables ``energy`` and, with the RTL, ``area``."""
    from hwsim.sat import silicon as sat
    from hwsim.silicon.cost import EventEnergy, ratio, scaled
    from hwsim.silicon.scaling import SOURCE
    from hwsim.spatten import silicon as spatten

    from .studies import progress

    table_only = from_ is From.TABLE
    facts: dict[str, Any] = {"title": f"energy of {machine.value}", "node_nm": node, "scaled_by": SOURCE}
    tables: dict[str, list[dict[str, Any]]] = {}
    with progress() as bar:
        task = bar.add_task("simulate", total=None)

        def say(text: str) -> None:
            bar.update(task, description=text)

        def tick(name: str, done: int, of: int) -> None:
            bar.update(task, description=f"synthesis: {name}", completed=done, total=of)

        if machine is Machine.SAT:
            from hwsim.sat.energy import total_energy_j
            from hwsim.sat.run import SatRun
            from hwsim.sat.timing.step import simulate

            run = load(SatRun, config, set_)
            result = simulate(run.machine, run.workload(run.read_network()))
            facts |= {"run": f"{result.network}, batch {result.batch}, {result.method} {result.pattern}",
                      "operations": 2 * result.total("macs"), "seconds": result.seconds}  # fmt: skip
            table = total_energy_j(result)
        else:
            from hwsim.spatten.energy import total_energy_j as spatten_energy_j
            from hwsim.spatten.run import SpattenRun

            work = load(SpattenRun, config, set_)
            done = work.run(work.open())
            facts |= {"run": done.workload, "operations": 2 * done.macs, "seconds": done.seconds}
            table = spatten_energy_j(work.machine, done.rows)
        if table_only:
            tables["energy"] = [{"what": name, "table_j": joules} for name, joules in table.items()]
        else:
            activity = _activity(machine, trace, say)
            facts |= {"activity": activity.source}
            if machine is Machine.SAT:
                built = sat.machine_silicon(run.machine, tick)
                events = EventEnergy(activity, sat.BLOCKS, tick)
                tables["energy"] = sat.step_energy_rtl(result, events, built)
            else:
                built = spatten.machine_silicon(work.machine, tick, work.style)
                events = EventEnergy(activity, spatten.BLOCKS, tick)
                tables["energy"] = spatten.energy_rtl(work.machine, done.rows, events, built)
            tables["area"] = built.rows(node)
            facts |= {"area_mm2": built.area_mm2(node)}
    tables["energy"] = scaled(tables["energy"], node)
    for name in ("table", "rtl"):
        joules = [row.get(f"{name}_j") or 0.0 for row in tables["energy"]]
        if name == "table" or not table_only:
            whole = sum(joules)
            facts |= {f"{name}_j": whole, f"{name}_w": ratio(whole, facts["seconds"]),
                      f"{name}_gop_per_j": 1e-9 * ratio(facts["operations"], whole)}  # fmt: skip
    return facts, tables


def _activity(machine: Machine, trace: Path | None, say: Any) -> Activity:
    """A trace's, recorded now, or the one that comes along, if the RTL is still that."""
    from hwsim.sat.silicon import KEPT as SAT_KEPT
    from hwsim.silicon.activity import kept
    from hwsim.spatten.silicon import KEPT as SPATTEN_KEPT

    if trace is not None:
        from hwsim.verification.record import record_sat, record_spatten

        return (record_sat if machine is Machine.SAT else record_spatten)(trace, say)
    return kept(SAT_KEPT if machine is Machine.SAT else SPATTEN_KEPT)


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
    table.add_column("each" if per else "", no_wrap=True)
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
    table.add_row("whole", *[""] * (len(table.columns) - 1 - len(totals) - len(ratio)), *totals, *ratio)
    console.print(table)
    for name in both:
        console.print(f"{name}: {facts[f'{name}_w']:.3g} W, {facts[f'{name}_gop_per_j']:.3g} GOP/J")
    if "area" in tables:
        shown = Table(
            title=f"area at {facts['node_nm']} nm: {facts['area_mm2']:.3g} mm2, unplaced", title_justify="left"
        )
        shown.add_column("block", no_wrap=True)
        for column in ("logic\nmm2", "SRAM\nmm2", "share", "gates", "flip-\nflops", "SRAM\nKiB"):
            shown.add_column(column, justify="right")
        for row in tables["area"]:
            shown.add_row(row["block"], cell(row["logic_mm2"]), cell(row["sram_mm2"]), f"{row['share']:.1%}",
                          si(row["gates"]), si(row["flipflops"]), f"{row['sram_kib']:,.0f}")  # fmt: skip
        console.print(shown)
