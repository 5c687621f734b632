# SPDX-License-Identifier: Apache-2.0
"""``hwsim synth``: FPGA resources of the RTL at a machine's configuration, by module."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import ConfigFile, Json, Out, Sets, load, made, print_json

if TYPE_CHECKING:
    from hwsim.synth.fpga import Synthesis


class Machine(StrEnum):
    """Machines with RTL."""

    SAT = "sat"
    SPATTEN = "spatten"


def synth(
    machine: Annotated[Machine, typer.Argument(help="Whose RTL.")],
    top: Annotated[
        str | None, typer.Option(help="Module (default: stce of sat, spatten_core of spatten); any of rtl/.")
    ] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Synthesize a module for UltraScale+ with Yosys: LUT, FF, DSP, RAM by module; no clock frequency is claimed."""
    from rich.console import Console

    from hwsim.synth.fpga import DEVICE, DEVICE_RESOURCES, synthesize

    if machine is Machine.SAT:
        from hwsim.sat.run import SatRun

        parameters = load(SatRun, config, set_).machine.verilog_parameters()
    else:
        from hwsim.spatten.run import SpattenRun

        parameters = load(SpattenRun, config, set_).machine.verilog_parameters()
    name = top or ("stce" if machine is Machine.SAT else "spatten_core")
    with Console(stderr=True).status(f"Yosys: {name} (seconds to minutes; kept for the next time)"):
        found = synthesize(name, parameters)
    facts: dict[str, Any] = {
        "top": found.top, "parameters": found.parameters, "yosys": found.yosys, "latches": found.latches,
        "resources": found.resources, "device": DEVICE,
        "share": {r: value / DEVICE_RESOURCES[r] for r, value in found.resources.items()},
    }  # fmt: skip
    if json_:
        print_json(facts | {"modules": found.by_name()})
    else:
        _show(found, facts)
    if out is not None:
        from hwsim.study import StudyTables

        StudyTables({"title": f"synthesis of {name}", **facts}, {"modules": found.by_name()}).write(out)
        if not json_:
            made([out / "modules.csv", out / "meta.json"])


def _show(found: Synthesis, facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from hwsim.synth.fpga import RESOURCES

    shown = [r for r in RESOURCES if found.resources[r]]
    table = Table(title=f"{found.top} on UltraScale+, by module (without the modules in it)", title_justify="left")
    table.add_column("module")
    for name in ("instances", *shown):
        table.add_column(name, justify="right")
    for row in found.by_name():
        table.add_row(row["module"], f"{row['instances']:,}", *(f"{row[r]:,.4g}" if row[r] % 1 else f"{row[r]:,.0f}"
                                                                for r in shown))  # fmt: skip
    table.add_section()
    table.add_row("whole", "", *(f"{found.resources[r]:,.0f}" for r in shown))
    table.add_row(f"of an {facts['device']}", "", *(f"{facts['share'][r]:.2%}" for r in shown))
    Console().print(table)
    if found.latches:
        sys.stdout.write(f"{found.latches} latches\n")
