# SPDX-License-Identifier: Apache-2.0
"""``hwsim reproduce``: every claim of both papers beside ours, on one page."""

from __future__ import annotations

from pathlib import Path

from .common import Json, Out, made, print_json


def reproduce(out: Out = None, json_: Json = False) -> None:
    """Compute every headline claim of both papers, areas, energies and FPGA resources; one page (about 16 minutes)."""
    from hwsim import reproduction
    from hwsim.core.study import StudyTables
    from hwsim.spatten.run import SpattenStudy
    from reports.claims import write_reproduction

    from .studies import facts, kept_accuracy, progress, run_spatten_study

    target = out or Path("out/reproduction")
    tables: reproduction.Tables = {}
    with progress() as bar:
        task = bar.add_task("SAT", total=None)

        def say(text: str) -> None:
            bar.update(task, description=text, completed=0, total=None)

        def tick(name: str, done: int, of: int) -> None:
            bar.update(task, description=f"synthesis: {name}", completed=done, total=of)

        steps = reproduction.sat_claims(tables, say)
        reproduction.accuracy_claim(tables, StudyTables.read(kept_accuracy()).tables["accuracy"])
        reproduction.sat_costs(tables, steps, say, tick)
        reproduction.spatten_costs(tables, say, tick)
    study = run_spatten_study(SpattenStudy(workloads=reproduction.WORKLOADS, every=reproduction.EVERY))
    reproduction.spatten_claims(tables, study.tables)
    tables["torch"] = study.tables["attention_torch"]
    assumptions = reproduction.ASSUMPTIONS
    meta = {"title": "Both papers, claim by claim", "command": "hwsim reproduce", "assumptions": assumptions, **facts()}
    paths = write_reproduction(StudyTables(meta, tables), target)
    if json_:
        print_json([str(p) for p in paths])
    else:
        made([p for p in paths if p.suffix in (".html", ".md")])
