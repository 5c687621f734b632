# SPDX-License-Identifier: Apache-2.0
"""``hwsim report``: the page, Markdown, figures and tables of a stored study, or of a new one."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dataflow.errors import InputError

from .common import ConfigFile, Json, Out, Sets, load, made, print_json


class Machine(StrEnum):
    """Machines with a study."""

    SAT = "sat"
    SPATTEN = "spatten"


def report(
    study: Annotated[
        Path | None, typer.Argument(help="Folder of a stored study (DIR/study of an earlier run); none: run a new one.")
    ] = None,
    networks: Annotated[
        str | None, typer.Option(help="Networks of a new study, separated by commas; none: the paper's five.")
    ] = None,
    nm: Annotated[str | None, typer.Option(help="Patterns of a new study, separated by commas.")] = None,
    batch: Annotated[int | None, typer.Option(help="Samples in a step of a new study.")] = None,
    machine: Annotated[Machine, typer.Option(help="Machine of a new study.")] = Machine.SAT,
    workloads: Annotated[
        str | None, typer.Option(help="SpAtten: sizes by name, CSV files or trace folders, separated by commas.")
    ] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Write a report: HTML, Markdown, CSV, PNG, SVG."""
    from hwsim.core.study import StudyTables
    from hwsim.sat.run import SatStudy
    from hwsim.spatten.run import SpattenStudy
    from reports.report import write_report

    target = out or Path("out/report")
    if study is not None:
        if set_ or any(v is not None for v in (networks, nm, batch, workloads, config)):
            raise InputError(
                "a stored study has its settings: leave out --networks, --nm, --batch, --workloads, --config, --set"
            )
        tables = StudyTables.read(study)
    elif machine is Machine.SPATTEN:
        from .studies import run_spatten_study

        if any(v is not None for v in (networks, nm, batch)):
            raise InputError("--networks, --nm and --batch are SAT's: --machine spatten has --workloads")
        tables = run_spatten_study(load(SpattenStudy, config, set_, workloads=_words(workloads)))
    else:
        from .studies import run_study

        if workloads is not None:
            raise InputError("--workloads is SpAtten's: give --machine spatten, or --networks")

        flags: dict[str, Any] = {"networks": _words(networks), "patterns": _words(nm), "batch": batch}
        tables = run_study(load(SatStudy, config, set_, **flags))
    paths = write_report(tables, target)
    if json_:
        print_json([str(p) for p in paths])
    else:
        made([p for p in paths if p.suffix in (".html", ".md")])


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [w.strip() for w in text.split(",") if w.strip()]
