# SPDX-License-Identifier: Apache-2.0
"""``hwsim report``: the page, Markdown, figures and tables of a stored study, or of a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataflow.errors import InputError

from .common import ConfigFile, Json, Out, Sets, load, made, print_json

if TYPE_CHECKING:
    from hwsim.study import StudyTables


def report(
    study: Annotated[
        Path | None, typer.Argument(help="Folder of a stored study (DIR/study of an earlier run); none: run a new one.")
    ] = None,
    networks: Annotated[
        str, typer.Option(help="Networks of a new study, separated by commas; paper: its five.")
    ] = "paper",
    nm: Annotated[str, typer.Option(help="Patterns of a new study, separated by commas.")] = "2:4,2:8,2:16",
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Write a report (HTML, Markdown, CSV, PNG, SVG); settings are `hwsim sat`'s."""
    from hwsim.study import StudyTables
    from reports.report import write_report

    target = out or Path("out/report")
    if study is not None:
        tables = StudyTables.read(study)
    else:
        tables = _run(networks, nm, config, set_)
    paths = write_report(tables, target)
    if json_:
        print_json([str(p) for p in paths])
    else:
        made([p for p in paths if p.suffix in (".html", ".md")])


def _run(networks: str, nm: str, config: Path | None, sets: list[str] | None) -> StudyTables:
    from dataflow.pattern import NM
    from dataflow.zoo import PAPER_NETWORKS
    from hwsim.sat.run import SatRun

    from .studies import run_study

    names = PAPER_NETWORKS if networks == "paper" else tuple(n.strip() for n in networks.split(",") if n.strip())
    if not names:
        raise InputError("--networks: name at least one network")
    patterns = [NM.parse(p) for p in nm.split(",")]
    runs = [load(SatRun, config, sets, network=name) for name in names]
    command = f"hwsim report --networks {networks} --nm {nm}"
    return run_study(runs, patterns, command)
