# SPDX-License-Identifier: Apache-2.0
"""``hwsim synth``: what the RTL takes at a machine's configuration, by module: FPGA resources or standard cells; and
the clock that modules reach, placed and routed on an FPGA of open tools."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import ConfigFile, Json, Out, Sets, load, made, print_json, show, ticking
from hwsim.core.machine import find
from hwsim.rtl_tools.sources import RTL, sources

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
    rtl: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of Verilog files (default: the machine's own).")
    ] = None,
    target: Annotated[
        Target, typer.Option(help="fpga: UltraScale+ primitives; asic: standard cells of a liberty file.")
    ] = Target.FPGA,
    liberty: Annotated[
        Path | None,
        typer.Option(help="Liberty file of standard cells (default: that of the package qflow-tech-osu018)."),
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(
            metavar="FPGA",
            help="Place and route the module instead, and say what clock it reaches: ecp5 (LFE5U-85F) (default: no).",
        ),
    ] = None,
    grade: Annotated[int | None, typer.Option(help="Speed grade of the placed FPGA, 6 to 8 (default: 8).")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, max=99, help="Placements that are tried; the median counts (default: 1).")
    ] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Synthesize a module with Yosys: LUT, FF, DSP and RAM, or gate equivalents and paths, by module. With --place: the
    clock it reaches on a small FPGA.

    Example: hwsim synth MACHINE --target asic
    """
    kind = find(machine)
    run: Any = load(kind.Run, config, set_)
    parameters = kind.verilog_parameters(run.machine)
    if rtl is not None and not sources(rtl):
        raise InputError(f"--rtl {rtl}: no Verilog files there")
    rtl = rtl or kind.rtl or RTL
    if place is not None:
        if target is not Target.FPGA or liberty is not None:
            raise InputError("--place: maps to the FPGA that is placed: without --target and --liberty")
        tops = (top,) if top else kind.placed or (kind.synth_top or kind.top,)
        _place(tops, parameters, (place, 8 if grade is None else grade, seeds or 1), rtl, out, json_)
        return
    if grade is not None or seeds is not None:
        raise InputError(f"--{'grade' if seeds is None else 'seeds'}: goes with --place")
    name = top or kind.synth_top or kind.top
    if target is Target.FPGA and liberty is not None:
        raise InputError("--liberty: goes with --target asic")
    made_ = _fpga if target is Target.FPGA else _asic
    found, rows, totals, facts = made_(name, parameters, liberty, rtl)
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


def _place(
    tops: Sequence[str], parameters: dict[str, int], how: tuple[str, int, int], rtl: Path, out: Path | None, json_: bool
) -> None:
    """Place modules and show what clocks they reach; ``how``: FPGA, speed grade, seeds."""
    from hwsim.silicon.place import DEVICES, Placed, TooLarge, place

    family, grade, seeds = how
    if family not in DEVICES:
        known = ", ".join(f"{name} ({device.name})" for name, device in DEVICES.items())
        hint = "; UltraScale+ (XCVU9P): none of the open tools here" if family.lower().startswith("xc") else ""
        raise InputError(f"--place {family}: can be placed: {known}{hint}")
    device = DEVICES[family]
    if grade not in device.grades:
        raise InputError(f"--grade {grade}: one of {', '.join(map(str, device.grades))}")
    found: list[Placed] = []
    without: dict[str, str] = {}
    with ticking("place and route") as tick:
        for name in tops:
            try:
                found.append(place(name, parameters, seeds, grade, family, rtl, tick))
            except TooLarge as error:
                if len(tops) == 1:
                    raise
                without[name] = str(error)
    facts = {"device": device.name, "grade": grade, "seeds": seeds, "yosys": found[0].yosys if found else "",
             "nextpnr": found[0].nextpnr if found else "", "parameters": {p.module: p.parameters for p in found},
             "not_placed": without}  # fmt: skip
    rows = [p.row() for p in found]
    if json_:
        print_json(facts | {"clocks": rows})
    else:
        _show_clocks(f"{device.name}, speed grade {grade}, each module alone between registers", rows, seeds)
        sys.stdout.write("".join(f"{text}\n" for text in without.values()))
    if out is not None:
        from hwsim.core.study import StudyTables

        StudyTables({"title": f"clocks on an {device.name}", **facts}, {"clocks": rows}).write(out)
        if not json_:
            made([out / "clocks.csv", out / "meta.json"])


def _show_clocks(title: str, rows: Rows, seeds: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("module", no_wrap=True)
    kinds = [k for k in ("LUT", "FF", "DSP", "BRAM") if any(row[k] for row in rows)]
    both = ["lowest, highest\nof the seeds"] if seeds > 1 else []
    for name in ("fmax\nMHz", *both, "logic\nns", "routing\nns", *kinds):
        table.add_column(name, justify="right")
    for row in rows:
        spread = [f"{row['lowest_mhz']:.1f}, {row['highest_mhz']:.1f}"] if seeds > 1 else []
        table.add_row(row["module"], f"{row['fmax_mhz']:.1f}", *spread, f"{row['logic_ns']:.2f}",
                      f"{row['routing_ns']:.2f}", *(f"{row[k]:,}" for k in kinds))  # fmt: skip
    show(table)
    for row in rows:
        through = f" through {row['through']}" if row["through"] else ""
        sys.stdout.write(f"{row['module']}: {row['from']} to {row['to']}{through}\n")


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
