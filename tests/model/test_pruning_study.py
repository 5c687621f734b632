# SPDX-License-Identifier: Apache-2.0
"""A study of pruning: its cells by a file, a store that resumes, what is repeated, and what is wrong in one line."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import reports
from algorithms.models.crepe import Crepe
from algorithms.pruning import run as runs
from algorithms.pruning import study
from algorithms.pruning.config import PruneConfig
from algorithms.pruning.pitch import PitchModel
from dataflow.errors import InputError
from dataflow.networks.hf_config import language_model
from hwsim.cli import pruning as command
from hwsim.cli.pruning_machines import OTHERS, SETTINGS, Job, _hungrier, cause, machine_rows
from hwsim.core.machine import find
from hwsim.core.study import StudyTables
from reports.pruning_page import _best, _front, beside_uniform, not_paying, ordered, pays, verdict
from tests.support.cli import run
from tests.support.plugin import installed
from tests.support.tiny_language import SIZES, use_tiny

CELLS = """
- {method: [magnitude, wanda], pattern: ["2:4", "50%"], samples: 2, tokens: 200, length: 32}
- {method: wanda, pattern: "2:4", samples: 2, tokens: 200, length: 32}
- {method: magnitude, pattern: "2:4", allocation: rd, levels: [dense, "1:4"], samples: 2, tokens: 200, length: 32}
"""


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_tiny(monkeypatch, tmp_path)
    monkeypatch.setitem(runs.SUBJECTS, "crepe-tiny", lambda config: PitchModel(Crepe((8,) * 6).eval(), frames=30))
    (tmp_path / "cells.yaml").write_text(CELLS)
    return tmp_path / "cells.yaml"


def told(capsys: pytest.CaptureFixture) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_a_store_is_filled_once_and_what_is_repeated_is_the_same(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    store = ["--store", tmp_path / "store", "--json"]
    assert run(monkeypatch, "pruning", cells, *store) == 0
    first = told(capsys)
    assert len(first["cells"]) == 5
    assert first["missing"] == first["again"] == []
    assert {r["density"] for r in first["cells"]} == {0.5}
    files = {path: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    names = [path.stem for path in files]

    def refuse(*_: Any) -> None:
        raise AssertionError("a cell that is there was run")

    with monkeypatch.context() as patch:
        patch.setattr(study, "run_cell", refuse)
        assert run(patch, "pruning", cells, *store) == 0
    assert told(capsys) == first
    gone = names[0]
    (tmp_path / "store" / f"{gone}.json").unlink()
    assert run(monkeypatch, "pruning", cells, "--draw", *store) == 0
    assert told(capsys)["missing"] == [gone]
    assert run(monkeypatch, "pruning", cells, "--draw", "--again", names[1], *store) == 0
    (again,) = told(capsys)["again"]
    assert again["now"] == again["before"]
    assert run(monkeypatch, "pruning", cells, *store) == 0
    assert [r["nll"] for r in told(capsys)["cells"]] == [r["nll"] for r in first["cells"]]
    assert {path.stem for path in (tmp_path / "store").iterdir()} == set(names)


def test_a_cell_keeps_the_patterns_that_are_not_its_own(cells: Path, tmp_path: Path) -> None:
    wanted = study.read_cells(cells)
    found = study.fill(tmp_path / "store", wanted)
    uniform, chosen = found[study.cell_name(wanted[0])], found[study.cell_name(wanted[-1])]
    assert uniform.patterns == {}
    assert set(chosen.patterns.values()) <= {"dense", "1:4"}
    assert len(chosen.patterns) == 14
    assert chosen.allocation["spent"] <= chosen.allocation["budget"]
    assert study.row("x", chosen)["measured_loss"] > 0


def test_the_page_shows_what_was_run_and_what_machines_make_of_it(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("algorithms.models.smollm2.config", SIZES.config)
    monkeypatch.setattr("hwsim.cli.pruning_machines.SETTINGS", SETTINGS[:2])
    cells.write_text(CELLS + '- {model: crepe-tiny, method: magnitude, pattern: "2:4"}\n')
    out = tmp_path / "page"
    assert run(monkeypatch, "pruning", cells, "--store", tmp_path / "store", "--out", out) == 0
    assert "report.html" in capsys.readouterr().out
    table = StudyTables.read(out / "study").tables
    machines, rows = table["machines"], {r["cell"]: r for r in table["cells"]}
    assert len(rows) == 5
    phases = [what for what, _ in SETTINGS[:2]]
    every = itertools.product(rows, ("sat", "systolic", "tensor24"), phases)
    assert sorted((r["cell"], r["machine"], r["phase"]) for r in machines) == sorted(every)
    for row in machines:
        assert row["speedup"] == row["dense_cycles"] / row["cycles"]
        pattern = rows[row["cell"]]["pattern"]
        if pattern == "50%":
            if row["machine"] == "tensor24":
                assert row["speedup"] == 1
                assert row["why"].startswith("runs as the dense model")
            assert row["cycles"] <= row["dense_cycles"]
            assert row["by_tile"] or row["speedup"] == 1
        elif rows[row["cell"]]["allocation"] == "uniform" and row["machine"] == "tensor24":
            kind = find("tensor24")
            settings = {"phase": "prefill", "context": 512, "batch": 1, "passes": ["FF"]}
            network = language_model(SIZES.config(), "tiny", "tiny").network("prefill", 512)
            layers = [
                n.model_copy(update={"sparsity": "2:4"}) if n.kind == "linear" and n.name != "head" else n
                for n in network.layers
            ]
            pruned = network.model_copy(update={"layers": tuple(layers)})
            if row["phase"] == "prefill":
                work = kind.settings({**settings, "method": "masked", "pattern": "1:4", "skip": ["head"]})
                assert kind.simulate(work, workload=pruned).cycles == row["cycles"]
    text = (out / "report.md").read_text()
    assert "| crepe-tiny | magnitude | 2:4 |" in text
    for row in table["elsewhere"]:
        assert (row["model"], row["pattern"]) == ("crepe-tiny", "2:4")
        assert row["speedup"] > 0
        assert row["cycles"] > 0
    assert {(row["machine"], row["phase"]) for row in table["elsewhere"]} == {
        (machine, phase) for machine in ("sat", "systolic", "tensor24") for phase, _ in OTHERS
    }
    assert "* `tensor24`: an ideal array of tensor cores" in text
    assert "## Integers" in text
    for heading in (
        "## Other models",
        "## Quality by method and pattern",
        "## Where it pays",
        "## Where it does not pay",
        "## All cells",
    ):
        assert heading in text
    assert {p.name for p in (out / "figures").glob("*.svg")} == {
        "quality.svg", "front-sat.svg", "front-tensor24.svg"
    }  # fmt: skip


MINE = """
from dataclasses import dataclass
from typing import ClassVar
from algorithms.pruning.method import Layer, Pruned, PruningMethod, masked
from algorithms.pruning.selection import select

@dataclass(frozen=True)
class First(PruningMethod):
    title: ClassVar[str] = "the first of each group"
    source: ClassVar[str] = "none"

    def prune(self, layer: Layer, pattern) -> Pruned:
        return masked(layer.weight, select(-layer.weight.new_ones(layer.weight.shape).cumsum(1), pattern))
"""


def test_a_method_of_ones_own_is_in_the_list_the_study_and_the_page(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("algorithms.models.smollm2.config", SIZES.config)
    monkeypatch.setattr("hwsim.cli.pruning_machines.SETTINGS", SETTINGS[:1])
    short = "samples: 2, tokens: 200, length: 32"
    cells.write_text(
        f'- {{method: [first, magnitude], pattern: "2:4", {short}}}\n'
        f'- {{method: wanda, pattern: "2:4", {short}, seed: 5}}\n'
    )
    points = {"hwsim.pruning_methods": {"first": "my_first:First"}}
    with installed(tmp_path, "my-first", {"my_first": MINE}, points):
        assert run(monkeypatch, "methods", "--json") == 0
        (mine,) = [row for row in told(capsys)["pruning"] if row["name"] == "first"]
        assert (mine["title"], mine["offered_by"]) == ("the first of each group", "my-first 1.0")
        store = ["--store", tmp_path / "store", "--out", tmp_path / "page"]
        assert run(monkeypatch, "pruning", cells, *store) == 0
        (tmp_path / "store" / f"{study.cell_name(study.read_cells(cells)[2])}.json").unlink()
        assert run(monkeypatch, "pruning", cells, "--draw", *store) == 0
        pruned = ["--samples", "2", "--tokens", "200", "--set", "length=32", "--out", tmp_path / "mine"]
        assert run(monkeypatch, "prune", "--method", "first", *pruned) == 0
    (tmp_path / "sweep.yaml").write_text(
        "machine: tensor24\naxes: {batch: [1, 4]}\nobjectives: [cycles]\n"
        f"base: {{network: {tmp_path / 'mine'}, passes: [FF], phase: prefill, context: 32, batch: 1}}\n"
    )
    swept = ["--out", tmp_path / "swept", "--workers", "0", "--no-page"]
    assert run(monkeypatch, "sweep", tmp_path / "sweep.yaml", *swept) == 0
    points = {r["batch"]: r["cycles"] for r in pq.read_table(tmp_path / "swept/results.parquet").to_pylist()}
    kind, base = find("tensor24"), {"network": str(tmp_path / "mine"), "passes": ["FF"], "phase": "prefill",
                                    "context": 32, "batch": 1}  # fmt: skip
    mine, dense = (
        kind.simulate(kind.settings({**base, **more})) for more in ({}, {"method": "dense", "pattern": "dense"})
    )
    assert points[1] == mine.cycles < points[4]
    assert sum(r["macs_done"] for r in mine.records) < sum(r["macs_done"] for r in dense.records)
    text = (tmp_path / "page/report.md").read_text()
    assert "Methods that ran on the whole of smollm2-135m, 2:" in text
    assert "* scores: first, magnitude\n" in text
    small = text.partition("Tested on small tensors only: ")[2].partition("\n")[0]
    assert "wanda" in small
    assert "recovery paser" in small
    assert "allocation rd" in small
    assert "uniform" not in small
    assert "first" not in small
    assert "| first | 2:4 |" in text
    assert "Cells of the study that were not run" in text
    assert "| smollm2-135m | 2:4 | 1 |" in text


def test_names_tell_cells_apart() -> None:
    configs = [PruneConfig(), PruneConfig(seed=1), PruneConfig(pattern="50%"), PruneConfig(options={"damping": 0.1}),
               PruneConfig(allocation="rd"), PruneConfig(allocation="rd", budget="sat:cycles")]  # fmt: skip
    names = [study.cell_name(c) for c in configs]
    assert len(set(names)) == len(names)
    assert all("/" not in name and ":" not in name and " " not in name for name in names)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("method: wanda", "expected a list of settings"),
        ("[]", "expected a list of settings"),
        ("- wanda", "entry 1: expected settings of hwsim prune, found str"),
        ("- {methods: [wanda]}", "entry 1: methods: unknown key; did you mean method?"),
        ('- {}\n- {pattern: ["2:4", half]}', "entry 2: pattern: 'half': write N:M"),
    ],
)
def test_a_wrong_list_is_one_line(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=reason):
        study.read_cells(tmp_path / "c.yaml")


def test_a_wrong_store_is_one_line(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    store = tmp_path / "store"
    assert run(monkeypatch, "pruning", cells, "--draw", "--store", store) == 2
    assert "has none of the 5 cells" in capsys.readouterr().err
    assert run(monkeypatch, "pruning", cells, "--again", "nothing", "--store", store) == 2
    assert "cell 'nothing': Known: " in capsys.readouterr().err
    store.mkdir()
    name = study.cell_name(study.read_cells(cells)[0])
    (store / f"{name}.json").write_text("{}")
    assert run(monkeypatch, "pruning", cells, "--draw", "--store", store) == 2
    assert "field format: not a cell of this version (hwsim-pruning-cell/1); remove it" in capsys.readouterr().err


@pytest.mark.parametrize("pattern", ["2:4", "2:8"])
def test_the_kept_cells_errors_fall_in_every_kind_of_layer(pattern: str) -> None:
    """SmolLM2, all 210 layers: relative output error of magnitude > Wanda > SparseGPT."""
    store = Path(reports.__file__).parent / "pruning" / "cells"
    names = [study.cell_name(PruneConfig(method=m, pattern=pattern)) for m in ("magnitude", "wanda", "sparsegpt")]
    found = [study.read_cell(store / f"{name}.json").kinds for name in names]
    assert set(found[0]) == {"q", "k", "v", "o", "gate", "up", "down"}
    for kind in found[0]:
        first, second, third = (kinds[kind] for kinds in found)
        assert first > second > third, kind
    (row,) = ordered([{"method": m, "pattern": pattern, **kinds}
                      for m, kinds in zip(("magnitude", "wanda", "sparsegpt"), found, strict=True)])  # fmt: skip
    assert row["kinds"] == row["falling"] == 7
    assert row["first"] == min(found[0][k] / found[1][k] for k in found[0])
    (worse,) = ordered([{"method": m, "pattern": pattern, **kinds}
                        for m, kinds in zip(("wanda", "magnitude", "sparsegpt"), found, strict=True)])  # fmt: skip
    assert worse["falling"] == 0


def test_cells_chosen_for_a_cost_stand_beside_those_of_one_pattern() -> None:
    cell = {"method": "sparsegpt", "pattern": "4:8", "seed": 1, "recovery": "", "allocation": "uniform", "nll": 3.0,
            "nll_second": 3.5}  # fmt: skip
    chosen = {**cell, "allocation": "rd", "nll": 2.75, "nll_second": 3.25, "spent": 90.0, "allowed": 100.0}
    (row,) = beside_uniform([cell, chosen, {**chosen, "seed": 2}, {**cell, "method": "wanda"}])
    assert (row["uniform_nll"], row["nll"], row["less"], row["share"]) == (3.0, 2.75, 0.25, 0.9)


def a_row(**more: Any) -> dict[str, Any]:
    """A row of the table of cells."""
    row = {"cell": "a", "model": "m", "method": "wanda", "name": "wanda", "part": "score", "pattern": "2:4", "bits": 0,
           "seed": 0, "allocation": "uniform", "budget": "", "recovery": "", "nll": 4.0, "dense_nll": 3.0,
           "nll_second": 4.5, "seconds": 60.0, "cpu_seconds": 90.0}  # fmt: skip
    return row | more


def test_no_point_of_a_front_lies_outside_its_axes() -> None:
    """A pruned model that is slower than the dense one is drawn too, right of it."""
    row = {"cell": "a", "machine": "m", "phase": "decode", "cycles": 160, "dense_cycles": 100}
    trained = a_row(cell="b", recovery="perp, 50 steps", nll=3.5)
    tables = {"cells": [a_row(), trained], "machines": [row, {**row, "cell": "b"}]}
    figure = _front(StudyTables({}, tables), "m")
    axes = figure.axes[0]
    by_label = {line.get_label(): line for line in axes.lines}
    assert axes.get_xlim()[0] <= by_label["2:4"].get_xdata()[0] == 1.6 <= axes.get_xlim()[1]
    assert by_label["2:4"].get_fillstyle() == "full"
    assert by_label["2:4, perp"].get_fillstyle() == "none"


def test_like_stands_beside_like() -> None:
    """A cell that was trained, of other data, of integers or a control never stands for those that were not."""
    cells = [
        a_row(cell="plain", nll=4.0), a_row(cell="worse", nll=5.0),
        a_row(cell="trained", recovery="perp, 50 steps", nll=3.0),
        a_row(cell="anew", name="reconstruct", part="recovery", nll=3.2), a_row(cell="seed", seed=1, nll=1.0),
        a_row(cell="integers", bits=8, nll=1.0), a_row(cell="chance", part="control", nll=1.0),
    ]  # fmt: skip
    best = _best(StudyTables({}, {"cells": cells, "machines": []}))
    assert [c["cell"] for c in best.values()] == ["plain", "trained", "anew"]


def test_each_row_pays_or_is_among_those_that_do_not() -> None:
    at = {"machine": "x", "phase": "prefill", "why": "w"}
    machines = [
        {**at, "cell": "a", "speedup": 1.01, "energy_ratio": 1.01},
        {**at, "cell": "a", "phase": "training", "speedup": 1.5, "energy_ratio": 0.9},
        {**at, "cell": "a", "phase": "decode", "speedup": 0.9, "energy_ratio": 2.0},
        {**at, "cell": "a", "machine": "y", "speedup": 1.2, "energy_ratio": None},
    ]  # fmt: skip
    other = {**at, "model": "o", "pattern": "70%", "allocation": "uniform", "speedup": 1.16, "energy_ratio": 0.78}
    study_ = StudyTables({"model": "m"}, {"cells": [a_row()], "machines": machines, "elsewhere": [other]})
    assert [(r["machine"], r["phase"]) for r in pays(study_)] == [("x", "prefill"), ("y", "prefill")]
    assert [(r["model"], r["phase"]) for r in not_paying(study_)] == [
        ("m", "training"),
        ("m", "decode"),
        ("o", "prefill"),
    ]


def test_a_cause_is_what_simulations_say() -> None:
    """Decoding one token N:M waits on the array's shape; a format that a machine lacks runs as the dense model."""
    settings = {"phase": "decode", "context": 64, "batch": 1, "passes": ["FF"]}
    network = language_model(SIZES.config(), "tiny", "tiny").network("decode", 64)

    def job(kind: Any, pattern: str | None) -> Job:
        layers = tuple(
            n.model_copy(update={"sparsity": pattern}) if n.kind == "linear" and n.name != "head" else n
            for n in network.layers
        )
        method = (
            {"method": "masked", "pattern": "1:2", "skip": ["head"]}
            if pattern
            else {"method": "dense", "pattern": "dense"}
        )
        return Job(kind, kind.settings({**settings, **method}), network.model_copy(update={"layers": layers}))

    kind = find("tensor24")
    assert (
        cause(job(kind, "2:8"), job(kind, None))
        == "runs as the dense model: 2:8 runs dense: the weights' one format is 2:4"
    )
    pruned, dense = job(find("sat"), "2:4"), job(find("sat"), None)
    assert pruned.result().cycles >= dense.result().cycles
    said = cause(pruned, dense)
    assert said.startswith("cycles: ")
    named = next(name for name in find("sat").growing(pruned.run) if name in said)
    ratio = dense.result(named).seconds / pruned.result(named).seconds
    assert f"speed {ratio:.2f}" in said
    assert all(
        dense.result(name).seconds / pruned.result(name).seconds <= ratio
        for name in ("array rows", "array columns", "ports of the array", "DRAM channels")
    )


def test_energy_is_laid_to_the_fewest_parts_that_grew() -> None:
    words = {"a": "port", "b": "memory", "c": "adder"}
    before = {"a": 1.0, "b": 4.0, "c": 5.0}
    assert _hungrier(words, {"a": 3.0, "b": 4.5, "c": 4.0}, before) == (
        "energy: port 3.00 times (without that growth 0.950 of the dense model's)"
    )
    assert "port 2.50 times, memory 1.25 times" in _hungrier(words, {"a": 2.5, "b": 5.0, "c": 4.8}, before)


def test_masks_that_were_not_kept_have_no_costs_rather_than_the_dense_ones(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwsim.cli.pruning_machines.SETTINGS", SETTINGS[:1])
    wanted = study.read_cells(cells)
    found = study.fill(tmp_path / "store", wanted[:2])
    rows = machine_rows(found, SIZES.config())
    assert {r["cell"] for r in rows} == {study.cell_name(c) for c in wanted[:2] if ":" in c.pattern}


def fake(model: str, method: str, error: float, machines: int, **more: Any) -> study.Cell:
    row = {
        "machine": "x",
        "phase": "p",
        "cycles": 1,
        "energy_j": 1.0,
        "dense_cycles": 2,
        "dense_energy_j": 3.0,
        "most": "",
    }
    config = PruneConfig(model=model, method=method, **more)
    return study.Cell(config=config, dense={"error": 0.0}, quality={"error": error}, density=0.5, kinds={},
                      machines=[row] * machines, seconds=1, cpu_seconds=1, facts={})  # fmt: skip


def test_the_cell_of_lowest_error_is_chosen_before_its_machines() -> None:
    found = {
        "a": fake("o", "magnitude", 0.07, 1),
        "b": fake("o", "sparsegpt", 0.03, 0),
        "c": fake("p", "wanda", 0.1, 1),
    }
    first, second = command._other_machines(found, "m")
    assert (first["method"], first["machine"], first["error"]) == ("sparsegpt", "", 0.03)
    assert (second["method"], second["machine"], second["speedup"], second["energy_ratio"]) == ("wanda", "x", 2, 3)


def test_methods_are_counted_by_name_and_a_control_is_none() -> None:
    rows = [a_row(), a_row(bits=8), a_row(name="random", part="control"),
            a_row(allocation="rd", recovery="perp, 50 steps"), a_row(name="reconstruct", part="recovery")]  # fmt: skip
    parts = {p["part"]: (p["names"], p["counted"]) for p in command.whole(rows)}
    assert parts == {
        "scores": (["wanda"], True), "allocation": (["rd"], True), "recovery": (["perp", "reconstruct"], True),
        "controls, not counted": (["random"], False),
    }  # fmt: skip


def test_what_was_not_run_is_told_by_where_it_was() -> None:
    found = {
        "a": fake("m", "wanda", 0, 0),
        "b": fake("o", "magnitude", 0, 0),
        "c": fake("m", "wanda", 0, 0, recovery="perp"),
    }
    left = command.tested_less(found, "m")
    assert left["other_models"] == ["magnitude (o)"]
    assert {"sparsegpt", "allocation rd", "recovery paser"} <= set(left["small"])
    assert not {"wanda", "magnitude", "recovery perp", "allocation uniform"} & set(left["small"])
    assert left["unknown"] == []
    wanted = {"a": PruneConfig(), "b": PruneConfig(pattern="50%"), "c": PruneConfig(pattern="50%", seed=1)}
    assert command.missing_cells(wanted, {"a": None}) == [{"model": "smollm2-135m", "pattern": "50%", "cells": 2}]


def test_what_the_page_calls_tested_is_in_tests() -> None:
    text = "".join(p.read_text() for p in Path(__file__).parent.glob("test_pruning*.py") if p != Path(__file__))
    for name in command.tested_less({}, "m")["small"]:
        assert name.rpartition(" ")[2] in text.lower(), name


def test_the_verdict_follows_the_figures() -> None:
    cells = [a_row(cell=f"{m}{s}", method=m, name=m, seed=s, nll=loss + s / 100)
             for m, loss in (("magnitude", 7.0), ("wanda", 4.0), ("sparsegpt", 3.0)) for s in range(3)]  # fmt: skip
    even = [a_row(cell=f"u{s}", method="sparsegpt", pattern="4:8", seed=s, nll=3.3) for s in range(3)]
    chosen = [{**u, "cell": f"r{s}", "allocation": "rd", "budget": "x:cycles", "nll": 3.2, "spent": 9.0,
               "allowed": 10.0} for s, u in enumerate(even)]  # fmt: skip
    meta = {"dense_nll": 2.8, "tokens": 20_000, "whole": [{"names": ["a"] * 12, "counted": True}]}

    def met(cells: list[dict[str, Any]], **more: Any) -> dict[str, str]:
        rows = verdict(StudyTables(meta | more, {"cells": cells, "errors": []}))
        return {r["what"].partition(":")[0] + r["what"][-10:]: r["met"] for r in rows}

    good = met(cells + even + chosen)
    worse = met(cells[:-1] + even + [*chosen[:2], {**chosen[2], "nll": 3.4}], tokens=100, whole=[])
    changed = {key for key in good if good[key] != worse[key]}
    assert {good[key] for key in changed} == {"met"}
    assert {worse[key] for key in changed} == {"not met"}
    assert len(changed) == 3


def test_the_shipped_list_is_one() -> None:
    cells = study.read_cells(Path(reports.__file__).parent / "pruning" / "cells.yaml")
    assert len(cells) > 40
    assert len({study.cell_name(c) for c in cells}) == len(cells)
