# SPDX-License-Identifier: Apache-2.0
"""The machine protocol, results of any machine, studies: registered, written, read, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel, Field

import hwsim
from dataflow.errors import InputError
from hwsim.core.machine import MACHINES, Machine, RunSettings, find, names
from hwsim.core.result import RESULT_FORMAT, SimpleResult
from hwsim.core.study import StudyTables, from_arrow, to_arrow


class AdderConfig(BaseModel, extra="forbid"):
    lanes: int = Field(4, ge=1)


class AdderRun(RunSettings):
    numbers: str = "1000"
    machine: AdderConfig = AdderConfig()


class Adder(Machine):
    """Adds numbers, a lane each; a cycle at the start."""

    title = "an adder"
    Config = AdderConfig
    Run = AdderRun
    workload_field = "numbers"

    @classmethod
    def simulate(cls, run: AdderRun, workload: Any = None, tick: Any = None) -> SimpleResult:
        n = int(run.numbers if workload is None else workload)
        adds = -(-n // run.machine.lanes)
        rows = [{"step": "add", "cycles": adds + 1, "useful": adds, "start": 1, "energy_add_pj": 0.1 * n}]
        causes = {"useful": "additions", "start": "start"}
        return SimpleResult(cls.name, str(n), run.model_dump(mode="json"), 10**9, rows, causes)

    @classmethod
    def bounds(cls, run: AdderRun, result: Any) -> dict[str, float]:
        return {"lanes": int(result.workload) / run.machine.lanes}


@pytest.fixture
def adder():
    hwsim.register_machine("adder")(Adder)
    yield hwsim.machine("adder", lanes=8)
    MACHINES.remove("adder")


def test_a_registered_machine_is_one_like_any_other(adder, tmp_path: Path) -> None:
    assert "adder" in names()
    result = hwsim.simulate(adder, "80")
    assert (result.cycles, result.seconds) == (11, 11e-9)
    assert result.causes == {"useful": 10, "start": 1}
    assert sum(result.causes.values()) == result.cycles
    assert result.rows()["cycles"].sum() == 11
    assert result.energy("table").total == pytest.approx(8e-12)
    result.save(tmp_path / "r")
    assert hwsim.load(tmp_path / "r") == result
    assert hwsim.load(tmp_path / "r") != hwsim.simulate(adder, "81")
    assert hwsim.simulate(adder, 80).cycles == 11  # as an object
    row = find("adder").measure(AdderRun(numbers="80"), detail=True)
    assert (row["cycles"], row["bound"], row["share_of_bound"]) == (21, "lanes", pytest.approx(20 / 21))
    assert row["parts"][0]["step"] == "add"
    assert row["energy_j"] == row["energy_add_j"]


def test_a_sweep_of_a_machine_that_only_this_process_knows(adder, tmp_path: Path) -> None:
    found = hwsim.sweep(adder, "1000", over={"lanes": [1, 10, 100]}, store=tmp_path / "s", workers=0)
    assert found.table["cycles"].tolist() == [1001, 101, 11]
    assert found.pareto("cycles")["machine.lanes"].tolist() == [100]
    with pytest.raises(InputError, match="did you mean cycles"):
        found.pareto("cycle")


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda m: hwsim.machine("addr"), "machine 'addr': did you mean adder"),
        (lambda m: hwsim.machine("adder", lane=2), "lane: unknown key; did you mean lanes?"),
        (lambda m: hwsim.machine("adder", lanes=0), "lanes: Input should be greater than or equal to 1"),
        (lambda m: hwsim.simulate(m, "5", numbrs=2), "numbrs: unknown key; did you mean numbers?"),
        (lambda m: hwsim.simulate(m, "5", lanes=2), "lanes: unknown key; did you mean machine.lanes?"),
        (
            lambda m: hwsim.load("nothing/there"),
            "result.parquet: not a readable result file: No such file or directory",
        ),
        (lambda m: hwsim.verify(m), "adder: has no blocks of RTL"),
        (lambda m: hwsim.simulate(m, "5").energy("rtl"), "adder: has no RTL"),
        (lambda m: hwsim.simulate(m, "5").energy("guess"), "energy source 'guess': table or rtl"),
        (lambda m: hwsim.compare({"a": hwsim.simulate(m, "5")}), "at least two"),
        (lambda m: hwsim.network(5), "a name, a file or a torch module"),
    ],
)
def test_wrong_calls_are_one_line(adder, call, what) -> None:
    with pytest.raises(InputError, match="^[^\n]*$") as error:
        call(adder)
    assert what in str(error.value)


def test_half_a_machine_is_refused() -> None:
    for body, why in (
        ({}, "has no Config"),
        ({"Config": AdderConfig, "Run": AdderRun}, "no field network"),
        ({"Config": AdderConfig, "Run": AdderRun, "workload_field": "numbers"}, "does not define simulate"),
    ):
        hwsim.register_machine("half")(type("Half", (Machine,), body))
        with pytest.raises(InputError, match=why):  # at its first use: a package may be half imported before
            find("half")
        MACHINES.remove("half")


def test_what_is_no_result_is_refused(adder, tmp_path: Path) -> None:
    file = hwsim.simulate(adder, "80").save(tmp_path)[0]
    facts = json.loads(pq.read_schema(file).metadata[b"hwsim"])
    assert facts["format"] == RESULT_FORMAT

    def store(changed: dict[str, Any]) -> None:
        pq.write_table(pq.read_table(file).replace_schema_metadata({"hwsim": json.dumps(changed)}), file)

    for changed, why in (
        (facts | {"format": "hwsim-result/1"}, "was written by hwsim 0.1: run the same command again"),
        (facts | {"format": "other"}, "not a result of this version"),
        (facts | {"machine": "gone"}, "machine 'gone'"),
        ({k: v for k, v in facts.items() if k != "settings"}, "settings"),
    ):
        store(changed)
        with pytest.raises(InputError, match=why):
            hwsim.load(tmp_path)
    (tmp_path / "text.parquet").write_text("no")
    for path in (tmp_path / "text.parquet", tmp_path / "nothing"):
        with pytest.raises(InputError, match="not a readable result"):
            hwsim.load(path)


def test_studies_keep_types(tmp_path: Path) -> None:
    """A network that is called 7_1 stays text, a layer that is called nan too; numbers of two kinds are floats."""
    rows = [
        {"network": "7_1", "layer": "nan", "n": 1, "x": 1, "mixed": 1, "many": [1, 2], "none": None, "yes": True},
        {"network": "1e3", "layer": "", "n": 2, "x": 0.5, "mixed": "1", "many": [], "none": None, "yes": False},
    ]
    StudyTables({"title": "t"}, {"rows": rows, "empty": []}).write(tmp_path)
    again = StudyTables.read(tmp_path)
    assert again.tables == {"rows": rows, "empty": []}
    assert [type(r["mixed"]) for r in again.tables["rows"]] == [int, str]
    assert from_arrow(to_arrow(rows)) == rows
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"rows\.parquet: cannot be read"):
        StudyTables.read(tmp_path)


def test_studies_of_the_first_format_are_read(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text('{"format": "hwsim-study/1", "tables": ["a"], "title": "t"}')
    (tmp_path / "a.csv").write_text("n,text\n1,x\n,y\n")
    assert StudyTables.read(tmp_path).tables == {"a": [{"n": 1, "text": "x"}, {"n": None, "text": "y"}]}
    (tmp_path / "meta.json").write_text('{"format": "hwsim-study/1"}')
    with pytest.raises(InputError, match="field tables"):
        StudyTables.read(tmp_path)
