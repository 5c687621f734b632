# SPDX-License-Identifier: Apache-2.0
"""Sweeps: which points, the same table on every executor, nothing lost by kills, Ctrl-C, damage or a full disk."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dataflow.errors import InputError
from hwsim.sweeps import process_pool
from hwsim.sweeps.errors import SweepStopped
from hwsim.sweeps.executors import dask, processes, serial
from hwsim.sweeps.space import Space
from hwsim.sweeps.spec import Spec
from hwsim.sweeps.store import Store
from hwsim.sweeps.sweep import run_sweep
from tests.support import tools
from tests.support.cli import check_refused
from tests.support.cli import run as hwsim
from tests.support.sweep_kill import aborting, command, deadly, killed_and_whole
from tests.support.sweeps import SMALL, space


def points(**more: Any) -> list[dict[str, Any]]:
    return [p.values for p in Space(Spec.model_validate({"machine": "sat"} | more)).points() if not p.paper]


def test_grid_is_every_combination() -> None:
    axes = {"machine.rows": [4, 2], "pattern": ["dense", "2:4"], "batch": {"from": 1, "to": 2.0, "count": 2}}
    found = points(axes=axes)
    want = itertools.product([4, 2], ["dense", "2:4"], [1, 2])
    assert [tuple(v.values()) for v in found] == list(want)


@pytest.mark.parametrize(
    ("range_", "values"),
    [
        ({"from": 1, "to": 9, "step": 4}, (1, 5, 9)),
        ({"from": 1, "to": 8, "step": 4}, (1, 5)),
        ({"from": 3, "to": 40, "powers_of": 2}, (3, 6, 12, 24)),
        ({"from": 1, "to": 1, "powers_of": 2}, (1,)),
        ({"from": 1, "to": 100, "count": 3, "log": True}, (1, 10, 100)),
        ({"from": 0.0, "to": 1.0, "count": 3}, (0.0, 0.5, 1.0)),
        ({"from": 1, "to": 3, "count": 9}, (1, 2, 3)),
        ({"from": 0.1, "to": 0.5, "step": 0.1}, (0.1, 0.2, 0.30000000000000004, 0.4, 0.5)),
    ],
)
def test_ranges(range_: dict, values: tuple) -> None:
    found = Spec.model_validate({"machine": "sat", "axes": {"batch": range_}}).axes["batch"]
    assert found.values() == pytest.approx(values)  # type: ignore[union-attr]


def test_fields_that_move_together_and_conditions() -> None:
    axes = {"machine.rows, machine.cols": [[2, 8], 4], "batch": [1, 2]}
    found = points(axes=axes, where=["machine.rows < batch * 4", "log2(machine.cols) > 1 or pattern == 'x'"])
    assert [(v["machine.rows"], v["machine.cols"], v["batch"]) for v in found] == [(2, 8, 1), (2, 8, 2), (4, 4, 2)]


def test_latin_hypercube_covers_every_axis() -> None:
    axes = {"batch": {"from": 1, "to": 1000}, "machine.dram_efficiency": {"from": 0.1, "to": 0.9}}
    found = points(axes=axes, sample={"count": 50, "seed": 3})
    assert len(found) == 50
    for name, low, high in (("batch", 0.5, 1000.5), ("machine.dram_efficiency", 0.1, 0.9)):
        strata = np.floor((np.array([v[name] for v in found]) - low) / (high - low) * 50)
        assert len(set(strata.astype(int))) >= 48  # one each, but for integers rounded over an edge
    assert found == points(axes=axes, sample={"count": 50, "seed": 3})
    assert found != points(axes=axes, sample={"count": 50, "seed": 4})


def test_random_points_differ_and_meet_conditions() -> None:
    axes = {
        "machine.rows": {"from": 1, "to": 9},
        "pattern": ["dense", "2:4"],
        "batch": {"from": 1, "to": 64, "log": True},
    }
    drawn = points(axes=axes, where=["machine.rows != 5"], sample={"method": "random", "count": 40})
    assert len({json.dumps(v) for v in drawn}) == len(drawn) == 40
    assert all(v["machine.rows"] != 5 for v in drawn)
    few = points(axes={"batch": [1, 2, 3]}, sample={"method": "random", "count": 40})
    assert sorted(v["batch"] for v in few) == [1, 2, 3]  # there are no more


def test_repeats_have_seeds_of_their_own() -> None:
    axes = {"machine.topk_parallel": [8, 16]}
    spatten = Space(Spec.model_validate({"machine": "spatten", "base": {"seed": 5}, "axes": axes, "repeat": 3}))
    seeds = [spatten.settings(p)[0].seed for p in spatten.points() if not p.paper]
    assert seeds == [5, 6, 7, 5, 6, 7]


@pytest.fixture(scope="session")
def table(network: str, tmp_path_factory) -> bytes:
    """The table of `SMALL`, from this process."""
    folder = tmp_path_factory.mktemp("serial")
    found = run_sweep(space(network), folder, serial)
    assert (found.total, found.ran, found.failed) == (53, 53, 13)
    return (folder / "results.parquet").read_bytes()


def test_table_is_what_the_simulator_says(network: str, tmp_path: Path, table: bytes) -> None:
    from hwsim.sat.run import SatRun

    (tmp_path / "t.parquet").write_bytes(table)
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert [r["design"] for r in rows] == [""] * 52 + ["paper, not swept"]
    for row in rows:
        machine = {"rows": row["machine.rows"], "cols": row["machine.cols"]}
        run = SatRun(network=network, batch=4, pattern=row["pattern"], machine=machine)
        if row["status"] == "failed":
            assert row["error"].startswith("pattern 1:64: the machine takes M <=")
            assert row["cycles"] is None
        else:
            assert {k: row[k] for k in run.measure()} == run.measure()


@pytest.mark.parametrize(("kind", "workers"), [("processes", 1), ("processes", 2), ("processes", 4), ("dask", 2)])
def test_executors_agree(kind: str, workers: int, network: str, tmp_path: Path, table: bytes) -> None:
    if kind == "dask":
        tools.package("distributed")
    run_sweep(space(network), tmp_path, processes(workers) if kind == "processes" else dask("local", workers))
    assert (tmp_path / "results.parquet").read_bytes() == table


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_a_worker_is_killed(kind: str, network: str, tmp_path: Path, table: bytes) -> None:
    if kind == "dask":
        tools.package("distributed")
    before = {p.pid for p in multiprocessing.active_children()}
    killed = []

    def kill(progress: Any) -> None:
        mine = [p for p in multiprocessing.active_children() if p.pid not in before]
        if progress.ran and not killed and mine:
            os.kill(mine[0].pid or 0, signal.SIGKILL)
            killed.append(mine[0].pid)

    executor = processes(2) if kind == "processes" else dask("local", 2)
    found = run_sweep(space(network), tmp_path, executor, tick=kill)
    assert killed
    assert found.ran == found.total
    assert (tmp_path / "results.parquet").read_bytes() == table


def test_a_point_that_kills_its_worker_fails_alone(network: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(process_pool, "evaluate", deadly)
    found = run_sweep(space(network), tmp_path, processes(2))
    rows = pq.read_table(tmp_path / "results.parquet").to_pylist()
    died = [r for r in rows if r["error"].startswith("its worker died")]
    assert [(r["machine.rows"], r["machine.cols"], r["pattern"]) for r in died] == [(4, 8, "2:4")]
    assert found.failed == 14


def test_workers_that_cannot_begin_are_no_failed_points(network: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(process_pool, "evaluate", aborting)
    with pytest.raises(InputError, match="workers die as soon as they begin"):
        run_sweep(space(network), tmp_path, processes(1))
    assert not Store(tmp_path).names()


@pytest.mark.parametrize(("points", "kills"), [(60, 2), pytest.param(2000, 50, marks=pytest.mark.nightly)])
def test_kills(points: int, kills: int, tmp_path: Path) -> None:
    whole, broken, met = killed_and_whole(points, kills, tmp_path)
    assert met >= 1
    assert whole.read_bytes() == broken.read_bytes()


def test_finished_points_never_run_again(network: str, tmp_path: Path, table: bytes) -> None:
    first = space(network, axes=SMALL["axes"] | {"pattern": ["dense", "1:64"]})
    assert run_sweep(first, tmp_path, serial).ran == 27
    assert run_sweep(first, tmp_path, serial).ran == 0
    assert run_sweep(space(network), tmp_path, serial).ran == 26  # the file has grown
    assert (tmp_path / "results.parquet").read_bytes() == table
    assert run_sweep(space(network), tmp_path, serial, again=True).ran == 13  # those that failed
    assert (tmp_path / "results.parquet").read_bytes() == table
    text = Path(network).read_text()
    try:  # another network under the same name is other work
        Path(network).write_text(text.replace("64", "128"))
        assert run_sweep(space(network), tmp_path, serial).ran == 53
    finally:
        Path(network).write_text(text)


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "gone"])
def test_a_broken_part_is_put_aside_and_runs_again(harm: str, network: str, tmp_path: Path, table: bytes) -> None:
    run_sweep(space(network), tmp_path, serial)
    (part,) = Store(tmp_path).names()
    data = part.read_bytes()
    if harm == "gone":
        part.unlink()
    else:
        part.write_bytes(
            {"flip": data[:999] + bytes([data[999] ^ 1]) + data[1000:], "cut": data[:-9], "empty": b""}[harm]
        )
    found = run_sweep(space(network), tmp_path, serial)
    assert found.ran == 53
    assert [p.name for p in found.damaged] == ([part.name] if harm != "gone" else [])
    assert (tmp_path / "results.parquet").read_bytes() == table


@pytest.mark.parametrize(
    "executor", [("--workers", "0"), ("--workers", "2"), ("--scheduler", "local", "--workers", "2")]
)
def test_ctrl_c_ends_soon_and_says_how_to_go_on(executor: tuple[str, ...], network: str, tmp_path: Path) -> None:
    if "--scheduler" in executor:
        tools.package("distributed")
    path = tmp_path / "s.yaml"
    axes = {"batch": {"from": 1, "to": 20_000, "step": 1}}
    path.write_text(json.dumps({"machine": "sat", "base": {"network": network}, "axes": axes}))
    words = command(path, tmp_path / "out", *executor)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list((tmp_path / "out").glob("parts/part-*")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    began = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 6  # two seconds, on a machine that does other things beside
    assert process.returncode == 130
    assert err.count("\n") == 1
    assert "finished points are stored in" in err
    assert Store(tmp_path / "out").finished()
    time.sleep(1)
    listed = subprocess.run(["ps", "-o", "stat=", "-g", str(process.pid)], capture_output=True, text=True, check=False)
    assert [state for state in listed.stdout.split() if not state.startswith("Z")] == [], "workers are left over"


def test_a_full_disk_is_one_line(network: str, tmp_path: Path, table: bytes) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(SMALL | {"base": {"network": network, "batch": 4}}))
    full = subprocess.run(
        command(path, tmp_path / "out", "--workers", "0"), capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)),
    )  # fmt: skip
    assert full.returncode == 2, full.stderr
    assert full.stderr.count("\n") == 1
    assert "cannot be written: File too large; finished points are stored in" in full.stderr
    assert f"to go on: hwsim sweep {path}" in full.stderr
    assert not list((tmp_path / "out").glob("parts/*"))
    subprocess.run(command(path, tmp_path / "out"), check=True, capture_output=True)
    assert (tmp_path / "out" / "results.parquet").read_bytes() == table


@pytest.mark.parametrize("table_there", [True, False])
def test_results_of_a_damaged_folder(table_there: bool, network: str, tmp_path: Path, monkeypatch, capsys) -> None:
    """A part of a run that was ended, and the table of a whole one: set aside, said, and made again."""
    run_sweep(space(network, axes={"batch": [1, 2]}, where=[]), tmp_path, serial)
    run_sweep(space(network, axes={"batch": [1, 2, 3]}, where=[]), tmp_path, serial)
    want = (tmp_path / "results.parquet").read_bytes()
    damaged = tmp_path / "results.parquet" if table_there else Store(tmp_path).names()[0]
    data = damaged.read_bytes()
    damaged.write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    if not table_there:
        (tmp_path / "results.parquet").unlink()
    assert hwsim(monkeypatch, "results", tmp_path, "--json") == 0
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert f"{tmp_path / 'aside' / damaged.name}: damaged and set aside" in err
    rows = json.loads(out)
    assert 1 <= len(rows) <= 4
    assert len(rows) == 4 or not table_there
    assert hwsim(monkeypatch, "results", tmp_path, "--json") == 0
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == (rows, "")
    run_sweep(space(network, axes={"batch": [1, 2, 3]}, where=[]), tmp_path, serial)
    assert (tmp_path / "results.parquet").read_bytes() == want


def test_names_like_numbers_stay_text(tmp_path: Path, monkeypatch, capsys) -> None:
    """In the store, in JSON and (in quotes) in CSV; whole numbers stay whole beside points that failed."""
    names = ["7_1", "nan", "1e3", "007"]
    for name in names:
        layer = f"{{kind: linear, name: '{name}', in_features: 64, out_features: 64}}"
        (tmp_path / f"{name}.yaml").write_text(f"name: '{name}'\nlayers: [{layer}]\n")
    monkeypatch.chdir(tmp_path)
    axes = {"network": [f"{n}.yaml" for n in names], "pattern": ["2:4", "1:64"]}
    run_sweep(Space(Spec.model_validate({"machine": "sat", "axes": axes, "detail": True})), tmp_path / "s", serial)
    table = pq.read_table("s/results.parquet")
    rows = [r for r in table.to_pylist() if r["status"] == "ok" and not r["design"]]
    assert [r["parts"][0]["layer"] for r in rows] == names
    assert hwsim(monkeypatch, "results", "s", "--json", "--csv", "s.csv", "--columns", "network,cycles,design") == 0
    shown = json.loads(capsys.readouterr().out)
    assert all(isinstance(r["cycles"], int) for r in shown)
    assert Path("s.csv").read_text().splitlines()[1].startswith('"7_1.yaml",')


@pytest.mark.parametrize("gone", ["folder", "replaced", "manifest", "part"])
def test_a_folder_that_is_removed_while_the_sweep_runs(gone: str, network: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hwsim.sweeps.sweep.KEEP_SECONDS", 0.0)
    monkeypatch.setattr("hwsim.sweeps.sweep.KEEP_SHARE", 0.0)
    folder = tmp_path / "out"
    done = []

    def remove(progress: Any) -> None:
        if progress.ran < 9 or done:
            return
        done.append(True)
        if gone == "part":
            Store(folder).names()[0].unlink()
        elif gone == "manifest":
            (folder / "manifest.json").unlink()
        else:
            shutil.rmtree(folder)
        if gone == "replaced":
            (folder / "parts").mkdir(parents=True)
            (folder / "manifest.json").touch()

    text = "of 53 points are missing" if gone == "part" else "was removed, moved or emptied while the sweep ran"
    with pytest.raises(SweepStopped, match=text) as stopped:
        run_sweep(space(network), folder, serial, tick=remove)
    assert stopped.value.stored == (gone == "part")
    assert not (folder / "results.parquet").exists()
    if gone == "part":  # what is missing runs again
        assert 0 < run_sweep(space(network), folder, serial).ran < 53


def test_two_runs_do_not_write_in_one_folder(network: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.open("sat", "x", {})
    found: list[str] = []

    def other() -> None:
        try:
            run_sweep(space(network), tmp_path, serial)
        except InputError as error:
            found.append(str(error))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert "another run writes here" in found[0]


BAD = {
    "machine: none\naxes: {batch: [1]}": "machine 'none': Known: sat, spatten",
    "machine: sat": "axes: Field required",
    "machine: sat\naxes: {}": "axes",
    "machine: sat\naxes: {machine.row: [1]}": "axes: machine.row: unknown key",
    "machine: sat\naxes: {batch.x: [1]}": "axes: batch: Input should be a valid integer",
    "machine: sat\naxes: {batch: []}": "axes: batch: empty",
    "machine: sat\naxes: {batch: [1, 1]}": "is given twice",
    "machine: sat\naxes: {batch: [1], 'batch, pattern': [[1, dense]]}": "batch: is given twice",
    "machine: sat\naxes: {'machine.rows, machine.cols': [[1, 2, 3]]}": "3 values for 2 fields",
    "machine: sat\naxes: {batch: {from: 8, to: 4, step: 1}}": "empty range: from 8 is above to 4",
    "machine: sat\naxes: {batch: {from: 1, to: 4, step: 0}}": "step: Input should be greater than 0",
    "machine: sat\naxes: {batch: {from: 1, to: 4, step: 1, count: 2}}": "give one of step, count, powers_of",
    "machine: sat\naxes: {batch: {from: 0, to: 4, powers_of: 2}}": "begin above 0",
    "machine: sat\naxes: {batch: {from: 1, to: 4}}": "a grid needs step, count or powers_of",
    "machine: sat\naxes: {machine.rows: [4, 1000]}": "machine.rows: Input should be less than or equal to 256",
    "machine: sat\naxes: {pattern: ['8:2']}": "axes: pattern: ",
    "machine: sat\naxes: {batch: {from: 1, to: 1000000, step: 1}}\nrepeat: 99": "nothing in a run of sat is drawn",
    "machine: spatten\naxes: {seed: {from: 1, to: 1000000, step: 1}}\nrepeat: 99": "99,000,000 points: at most",
    "machine: sat\naxes: {batch: [1]}\nwhere: ['batch >']": "where[0]: 'batch >': not an expression",
    "machine: sat\naxes: {batch: [1]}\nwhere: ['batches > 1']": "where[0]",
    "machine: sat\naxes: {batch: [1]}\nwhere: ['batch < \"x\"']": "not supported",
    "machine: sat\naxes: {batch: [1, 2]}\nwhere: ['batch > 1', 'batch < 2']": "the conditions exclude every point",
    "machine: sat\naxes: {batch: [1]}\nrepeat: 2": "nothing in a run of sat is drawn at random",
    "machine: sat\naxes: {batch: [1]}\nbase: {batc: 1}": "base: batc: unknown key; did you mean batch?",
    "machine: sat\naxes: {batch: [1]}\nobjectives: ['less cycles']": "write a column, min COLUMN or max COLUMN",
    "machine: sat\naxes: {batch: [1]}\nquality: {}": "give one of stored, train, attention",
    "machine: sat\naxes: {batch: [1]}\nquality: {stored: nope}": "no such task in the table: digits-cnn",
    "machine: sat\naxes: {batch: [1]}\nquality: {train: {seed: 1}}": "train.seed: comes from the point",
    "machine: spatten\naxes: {seed: [1]}\nquality: {stored: char-lm}": "has no training method",
    "machine: sat\naxes: {batch: [1]}\nsweep: 1": "sweep: unknown key",
    "machine: sat\naxes: {network: [7_1, resnet18]}": "text that reads as a number, a date or true",
    "machine: [": "broken YAML",
    "[]": "expected fields of Spec",
}


@pytest.mark.parametrize("text", BAD)
def test_wrong_sweep_files_are_one_line(text: str, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "s.yaml").write_text(text)
    only_grids = "grid needs" in BAD[text] or "points: at most" in BAD[text]
    for word in ("sweep",) if only_grids else ("sweep", "search"):
        check_refused(f"{word} s.yaml --workers 0", BAD[text], tmp_path, monkeypatch, capsys)


def test_wrong_commands_are_one_line(network: str, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "s.yaml").write_text(json.dumps(SMALL | {"base": {"network": network, "batch": 4}}))
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    run_sweep(space(network), tmp_path / "done", serial)
    manifest = json.loads((tmp_path / "done" / "manifest.json").read_text())
    for name, change in (("format", "hwsim-sweep/0"), ("code", "0"), ("machine", "spatten")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest | {name: change}))
        (tmp_path / name / "parts").mkdir()
        (tmp_path / name / "lock").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    for words, reason in {
        "sweep nope": "nor a shipped study: ",
        "sweep nope.yaml": "cannot be read",
        "sweep s.yaml --out file/x": "file is a file",
        "sweep s.yaml --out link": "link is a link to nowhere, which does not exist",
        "sweep s.yaml --out format": "'hwsim-sweep/0' is not this version's",
        "sweep s.yaml --out code": "of code version 0",
        "sweep s.yaml --out machine": "of the machine spatten",
        "sweep s.yaml --set axes.batch=3 --out x": "axes.batch",
        "sweep s.yaml --set x --out x": "write it as key.path=value",
        "sweep s.yaml --scheduler tcp://127.0.0.1:9 --scheduler-timeout 1 --out new": "no Dask scheduler is there",
        "sweep s.yaml --scheduler nonsense --out new": "no Dask scheduler is there: missing port",
        "sweep s.yaml --scheduler tls://127.0.0.1:9 --out new": "needs a certificate",
        "sweep s.yaml --scheduler broken --out new": "scheduler.json: cannot be read: No such file",
        "search s.yaml --set objectives=[nothing] --set search.trials=1 --workers 0 --out done": "no such number",
        "results nope": "not a folder of results",
        "results broken": "broken JSON",
        "results done --sort x": "--sort x: no such column",
        "results done --columns cycles,x": "--columns x: no such column",
        "results done --pareto x": "--pareto x: no such column",
        "results done --where x>1": "--where",
    }.items():
        monkeypatch.chdir(tmp_path)
        assert hwsim(monkeypatch, *words.split()) == 2, words
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1), err
        assert reason in err


def test_commands(network: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(json.dumps(SMALL | {"base": {"network": network, "batch": 4}}))
    assert hwsim(monkeypatch, "sweep", "s.yaml", "--dry-run") == 0
    assert "53 points, 0 of them done" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert hwsim(monkeypatch, "sweep", "s.yaml", "--workers", 0) == 0
    out = capsys.readouterr().out
    assert "53 points: 53 run now" in out
    assert "13 failed" in out
    assert {p.name for p in (tmp_path / "out" / "s").iterdir()} >= {"results.parquet", "report.html", "report.md"}
    assert hwsim(monkeypatch, "sweep", "s.yaml", "--workers", 0, "--no-page", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"points": 53, "ran": 0, "failed": 0, "out": "out/s"}
    words = ("results", "out/s", "--where", "pattern == '2:8'", "--sort", "-cycles", "--top", 2, "--json")
    assert hwsim(monkeypatch, *words) == 0
    rows = json.loads(capsys.readouterr().out)
    table = pq.read_table(tmp_path / "out" / "s" / "results.parquet").to_pandas()
    best = table[(table["pattern"] == "2:8") & (table["status"] == "ok")]["cycles"].nlargest(2).tolist()
    assert [r["cycles"] for r in rows] == best
    assert hwsim(monkeypatch, "results", "out/s", "--failed", "--csv", "f.csv") == 0
    assert len(pd.read_csv("f.csv")) == 13
    capsys.readouterr()


def test_results_of_a_run_that_was_ended(network: str, tmp_path: Path, monkeypatch, capsys) -> None:
    class Stop(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.ran:
            raise Stop

    run_sweep(space(network, axes={"batch": [1, 2]}, where=[]), tmp_path, serial)
    with pytest.raises(Stop):
        run_sweep(space(network), tmp_path, serial, tick=stop)
    assert hwsim(monkeypatch, "results", tmp_path, "--where", "pattern == '2:4'", "--json") == 0
    assert all(row["pattern"] == "2:4" for row in json.loads(capsys.readouterr().out))
    assert hwsim(monkeypatch, "results", tmp_path, "--page") == 0
    capsys.readouterr()


def test_a_combination_that_cannot_be_fails_alone(tmp_path: Path) -> None:
    """Each value is possible with some value of the other field."""
    axes = {"machine.answer_depth": [2, 4], "machine.crossbar_window": [1, 4]}
    spec = {"machine": "spatten", "base": {"workload": "bert-base", "iteration_stride": 64}, "axes": axes}
    settings = [Space(Spec.model_validate(spec)).settings(p) for p in Space(Spec.model_validate(spec)).points()]
    assert [bool(error) for _, error in settings] == [False, True, False, False, False]
    assert "more than answer_depth=2" in settings[1][1]


def test_duckdb_reads_the_parts(network: str, tmp_path: Path) -> None:
    duckdb = tools.package("duckdb")
    run_sweep(space(network), tmp_path, serial)
    query = f"select count(*), min(cycles) from '{tmp_path}/parts/*.parquet' where status = 'ok'"
    found = duckdb.execute(query).fetchone()
    table = pq.read_table(tmp_path / "results.parquet").to_pandas()
    assert found == (40, table["cycles"].min())


def test_detail_keeps_the_steps(network: str, tmp_path: Path) -> None:
    run_sweep(space(network, axes={"batch": [1, 2]}, where=[], detail=True), tmp_path, serial)
    for row in pq.read_table(tmp_path / "results.parquet").to_pylist():
        assert sum(part["cycles"] for part in row["parts"]) == row["cycles"]
        assert [part["step"] for part in row["parts"]] == ["a.FF", "a.WU", "a.BP", "a.UP"]
