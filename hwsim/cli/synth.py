# SPDX-License-Identifier: Apache-2.0
"""``hwsim synth``: what the RTL takes at a machine's configuration, by module: FPGA resources or standard cells."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import ConfigFile, Json, Out, Sets, load, made, print_json, show
from hwsim.core.machine import find
from hwsim.rtl_tools.sources import RTL

if TYPE_CHECKING:
    from hwsim.silicon.netlist import Netlist

Rows = list[dict[str, Any]]


class Target(StrEnum):
    """What the RTL is mapped to."""

    FPGA = "fpga"
    ASIC = "asic"


def synth(
    machine: Annotated[str, typer.Argument(help="Name of the machine (`hwsim machines` lists them).")],
    top: Annotated[
        str | None, typer.Option(help="Verilog module to synthesize (default: one that the machine names).")
    ] = None,
    target: Annotated[
        Target, typer.Option(help="fpga: UltraScale+ primitives; asic: standard cells of a liberty file.")
    ] = Target.FPGA,
    liberty: Annotated[
        Path | None,
        typer.Option(help="Liberty file of standard cells (default: that of the package qflow-tech-osu018)."),
    ] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Synthesize a module with Yosys: LUT, FF, DSP and RAM, or gate equivalents and paths, by module; no frequency.

    Example: hwsim synth MACHINE --target asic
    """
    kind = find(machine)
    run: Any = load(kind.Run, config, set_)
    parameters = kind.verilog_parameters(run.machine)
    name = top or kind.synth_top or kind.top
    if target is Target.FPGA and liberty is not None:
        raise InputError("--liberty: goes with --target asic")
    made_ = _fpga if target is Target.FPGA else _asic
    found, rows, totals, facts = made_(name, parameters, liberty, kind.rtl or RTL)
    facts = {"top": found.top, "target": target.value, "parameters": found.parameters, "yosys": found.yosys,
             "latches": found.latches, **facts}  # fmt: skip
    if json_:
        print_json(facts | {"modules": rows})
    else:
        _show(f"{found.top}, {facts['library']}: by module, each without its submodules", rows, totals)
        if found.latches:
            sys.stdout.write(f"{found.latches} latches\n")
    if out is not None:
        from hwsim.core.study import StudyTables

        StudyTables({"title": f"synthesis of {name}", **facts}, {"modules": rows}).write(out)
        if not json_:
            made([out / "modules.csv", out / "meta.json"])


Found = tuple["Netlist", Rows, list[dict[str, Any]], dict[str, Any]]


def _fpga(name: str, parameters: dict[str, int], liberty: Path | None, rtl: Path) -> Found:
    from hwsim.silicon.fpga import DEVICE, DEVICE_RESOURCES, FLOW, RESOURCES, price

    found = _synthesize(name, parameters, FLOW, rtl)
    resources = found.total(price)
    share = {r: resources[r] / DEVICE_RESOURCES[r] for r in RESOURCES}
    used = [r for r in RESOURCES if resources[r]]
    rows = found.by_name(price)
    shown: Rows = [{"module": "total", **{r: resources[r] for r in used}},
             {"module": f"share of an {DEVICE}", **{r: f"{share[r]:.2%}" for r in used}}]  # fmt: skip
    facts = {"library": f"UltraScale+ ({DEVICE})", "resources": resources, "device": DEVICE, "share": share}
    return found, rows, shown, facts


def _asic(name: str, parameters: dict[str, int], liberty: Path | None, rtl: Path) -> Found:
    from hwsim.silicon.asic import Library, find_library
    from hwsim.silicon.netlist import plain

    library = Library(find_library(liberty))
    found = _synthesize(name, parameters, library.flow(), rtl)
    total = found.total(library.price())
    slowest: dict[str, float] = {}
    for module, ps in found.delays_ps.items():
        slowest[plain(module)] = max(slowest.get(plain(module), 0.0), ps)
    longest = max(slowest.values(), default=0.0)
    rows = found.by_name(library.price())
    for row in rows:
        ps = slowest.get(row["module"], 0.0)
        row |= {"path_ps": ps, "path_relative": ps / longest if longest else 0.0}
    facts = {"library": library.path.stem, "total": total}
    return found, rows, [{"module": "total", **total}], facts


def _synthesize(name: str, parameters: dict[str, int], flow: Any, rtl: Path) -> Netlist:
    from hwsim.core.command import progress
    from hwsim.silicon.netlist import synthesize

    with progress() as bar:
        task = bar.add_task(f"synthesis: {name}", total=None)

        def tick(module: str, done: int, of: int) -> None:
            bar.update(task, description=f"synthesis: {module}", completed=done, total=of)

        return synthesize(name, parameters, flow, rtl, tick=tick)


def _show(title: str, rows: Rows, totals: Rows) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    kinds = [k for k in rows[0] if k not in ("module", "instances") and any(row[k] for row in rows)]
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("module", no_wrap=True)
    for name in ("instances", *kinds):
        table.add_column(name, justify="right")

    def cell(value: Any) -> str:
        if isinstance(value, int | float):
            return f"{value:,.0f}" if value >= 100 or value % 1 == 0 else f"{value:,.3g}"
        return "" if value is None else str(value)

    for row in rows:
        table.add_row(row["module"], f"{row['instances']:,}", *(cell(row[k]) for k in kinds))
    table.add_section()
    for row in totals:
        table.add_row(row["module"], "", *(cell(row.get(k)) for k in kinds))
    show(table)
