# SPDX-License-Identifier: Apache-2.0
"""The shipped sweeps: each file is sound, and what is kept of it says what its results say."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

import reports
from dataflow.files import read_yaml
from hwsim.cli.sweep import open_space, studies_folder
from hwsim.sweeps.analysis import study_of
from hwsim.sweeps.spec import Spec

NAMES = sorted(p.parent.name for p in studies_folder().glob("*/spec.yaml"))


def test_there_are_all() -> None:
    wanted = {
        "sat-array",
        "sat-dataflow",
        "spatten-pipeline",
        "nm-front",
        "sat-bound",
        "spatten-bound",
        "kv-granularity",
    }
    assert wanted <= set(NAMES)
    assert studies_folder() == Path(reports.__file__).parent / "studies"


@pytest.mark.parametrize("name", NAMES)
def test_kept_results_are_of_this_file(name: str) -> None:
    space, _ = open_space(name, None, None)
    folder = studies_folder() / name
    kept = pq.read_table(folder / "results.parquet").to_pandas()
    points = [p for p in space.points() if not p.paper]
    swept = kept[kept["design"] != "paper, not swept"]
    assert (kept["status"] == "ok").all()
    for field in space.fields:
        assert [str(v) for v in swept[field]] == [str(p.values[field]) for p in points]


@pytest.mark.parametrize("name", NAMES)
def test_kept_page_says_what_the_results_say(name: str) -> None:
    folder = studies_folder() / name
    spec = Spec.model_validate(read_yaml(folder / "spec.yaml"))
    fields = [f.strip() for axis in spec.axes for f in axis.split(",")]
    study = study_of(pq.read_table(folder / "results.parquet").to_pandas(), spec, fields)
    page = (folder / "README.md").read_text()
    assert len(study.meta["learnt"]) == 3
    for sentence in study.meta["learnt"]:
        assert sentence in page
    for figure in ("pareto", "heat", "tornado"):
        assert (folder / "figures" / f"{figure}.png").exists()
