# SPDX-License-Identifier: Apache-2.0
"""``hwsim report``: the page, Markdown, figures and tables of a stored study, or of a new one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import ConfigFile, Json, Sets, load, made, print_json, ticking, words
from hwsim.core.machine import Machine, every, find
from hwsim.core.machine import load as load_result
from hwsim.core.result import Result


def report(
    study: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of a stored study (DIR/study of an earlier run) or stored result (default: run a new study)."
        ),
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option(help="Machine of a new study, by name (default: the first in `hwsim machines` with a study)."),
    ] = None,
    workloads: Annotated[
        str | None,
        typer.Option(
            "--workloads",
            "--networks",
            help="Workloads of a new study, by name or file, separated by commas (default: those of the study).",
        ),
    ] = None,
    nm: Annotated[
        str | None, typer.Option(help="N:M patterns of a new study, separated by commas (default: 2:4,2:8,2:16).")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Samples in a training step of a new study (default: 512).")] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Write results into this folder.")] = Path(
        "out/report"
    ),
    json_: Json = False,
) -> None:
    """Write a report: HTML, Markdown, CSV, PNG, SVG.

    Example: hwsim report --networks resnet9 --nm 2:4,2:8
    """
    from hwsim.core.result import result_file
    from hwsim.core.study import StudyTables
    from reports.compare import write_comparison
    from reports.report import write_report

    if study is not None and result_file(study).exists():
        _say(write_comparison({study.name: load_result(study)}, out), json_)
        return
    if study is not None:
        if set_ or any(v is not None for v in (workloads, nm, batch, config, machine)):
            raise InputError(
                "a stored study has its settings: leave out --machine, --workloads, --nm, --batch, --config, --set"
            )
        tables = StudyTables.read(study)
    else:
        kind = find(machine) if machine is not None else next(m for m in every() if m.Study is not None)
        if kind.Study is None:
            if nm is not None or batch is not None:
                raise InputError(f"machine {kind.name}: --nm, --batch: it has no study; give its settings with --set")
            paths = write_comparison(_runs(kind, words(workloads) or [None], config, set_), out, kind.title)
            _say(paths, json_)
            return
        flags: dict[str, Any] = {}
        given = (("--workloads", kind.study_field, words(workloads)), ("--nm", "patterns", words(nm)),
                 ("--batch", "batch", batch))  # fmt: skip
        for option, name, value in given:
            if value is not None and name not in kind.Study.model_fields:
                raise InputError(f"{option}: a study of {kind.name} has no {name} (hwsim schema {kind.name}-study)")
            flags[name] = value
        settings = load(kind.Study, config, set_, **flags)
        with ticking(kind.name) as tick:
            tables = kind.study(settings, tick)
    _say(write_report(tables, out), json_)


def _runs(
    kind: type[Machine], workloads: Sequence[str | None], config: Path | None, set_: list[str] | None
) -> dict[str, Result]:
    """A run of each workload (None: the one of the settings), of a machine without a study."""
    found: dict[str, Result] = {}
    for workload in workloads:
        flags: dict[str, Any] = {kind.workload_field: workload}
        run = load(kind.Run, config, set_, **flags)
        with ticking(kind.name) as tick:
            result = kind.simulate(run, tick=tick)
        found[result.workload] = result
    return found


def _say(paths: list[Path], json_: bool) -> None:
    if json_:
        print_json([str(p) for p in paths])
    else:
        made([p for p in paths if p.suffix in (".html", ".md")])
