# SPDX-License-Identifier: Apache-2.0
"""The command line: what it prints and writes; wrong input is one line, exit code 2 and nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from algorithms.training.config import TrainConfig
from algorithms.training.train import train
from dataflow.mapping.schedule import Schedule
from dataflow.networks.zoo import NETWORKS
from hwsim.core.machine import load
from tests.support.cli import check_refused, run
from tests.support.plugin import installed

SAMPLES = Path(__file__).parents[1] / "data" / "scalesim"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Files that are wrong in one way each."""
    (tmp_path / "broken.yaml").write_text("network: [resnet9\n")
    (tmp_path / "unknown.yaml").write_text("network: resnet9\nmachine:\n  rowss: 3\n")
    (tmp_path / "zero.yaml").write_text("machine: {rows: 0}\n")
    (tmp_path / "negative.yaml").write_text("machine: {west_buffer_bytes: -4}\n")
    (tmp_path / "list.yaml").write_text("- 3\n")
    (tmp_path / "missing.csv").write_text("Layer, M, N,\nG,1,2,\n")
    (tmp_path / "layer.yaml").write_text(
        "name: n\nlayers:\n- {kind: linear, name: a, in_features: -1, out_features: 2}\n"
    )
    (tmp_path / "schedule.yaml").write_text("format: hwsim-schedule/1\nnetwork: n\n")
    return tmp_path


WRONG = {
    "sat --config {}/nope.yaml": "nope.yaml: cannot be read",
    "sat --config {}/broken.yaml": "broken.yaml: line 2 broken YAML",
    "sat --config {}/unknown.yaml": "unknown.yaml: machine.rowss: unknown key",
    "sat --config {}/zero.yaml": "zero.yaml: machine.rows: Input should be greater than or equal to 1 (got 0)",
    "sat --config {}/negative.yaml": "negative.yaml: machine.west_buffer_bytes: Input should be greater",
    "sat --config {}/list.yaml": "list.yaml: expected fields of SatRun",
    "sat --set machine.rows=0": "machine.rows",
    "sat --set machine": "--set machine: write it as key.path=value",
    "sat --set batch=1 --set batch.x=2": "batch is a value, not a section",
    "sat --nm 8:2": "--nm: 8:2: N must be at most M (N is the number kept of M)\n",
    "sat --nm 2:32 resnet9": "M <= group_max=16",
    "sat --nm two": "--nm: 'two': write N:M",
    "sat --method magic": "method 'magic'",
    "sat --batch 0": "batch",
    "sat --batch -3": "batch",
    "sat --passes FF,XX": "passes[1]",
    "sat resnet5": "did you mean resnet",
    "sat {}/nope.csv": "nope.csv: cannot be read",
    "sat {}/missing.csv": "missing.csv: line 1: column K is missing",
    "sat {}/layer.yaml": "layer.yaml: layers[0].linear.in_features",
    "sat --topology {}/layer.yaml": "is a .csv file",
    "sat resnet9 --topology {}/missing.csv": "give one of",
    "sat --trace {}/nope": "nope/meta.json: not a finished trace",
    "sat resnet9 --schedule {}/schedule.yaml": "schedule.yaml: batch: Field required",
    "sat resnet9 --set skip=[nope]": "no layer 'nope'",
    "sat resnet9 --set machine.west_buffer_bytes=1024 --set machine.interleave_max=1 --nm 1:4 --bogus": "--bogus",
    "train digits-cnn --trace 5000 --out {}/t": "trace_steps",
    "train --set depth=0": "depth",
    "train --full --seed 3": "--full",
    "train nope": "task",
    "networks nope": "'nope'",
    "schema nope": "nope",
    "report {}/nope": "nope/meta.json: not a study",
    "report --networks ,": "networks",
    "report --nm 2:4,dense": "without dense",
    "report --networks resnet9,resnet9": "appears twice",
    "report --set passes=[FF]": "passes: unknown key",
    "report {}/nope --nm 2:4": "a stored study",
    "demo --nm dense": "--nm dense",
    "nope": "nope",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_input_is_one_line(words: str, files: Path, monkeypatch, capsys) -> None:
    check_refused(words.format(files), WRONG[words], files, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [("train digits-mlp", "torch", "train"), ("report", "matplotlib", "report"), ("sat x.onnx", "onnx", "onnx")],
)
def test_a_missing_package_is_named_with_its_extra(words: str, package: str, extra: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; sys.argv = ['hwsim', *{words.split()!r}]\n"
    code += "from hwsim.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"hwsim[{extra}]" in done.stderr


def test_damaged_trace_is_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    torch.set_num_threads(1)
    train(TrainConfig(task="digits-mlp", steps=2, batch=4, trace_steps=(1,), trace_batch=2), tmp_path)
    assert run(monkeypatch, "sat", "--trace", tmp_path / "trace", "--out", tmp_path / "o") == 0
    assert "cycles off" in capsys.readouterr().out
    assert (tmp_path / "o" / "replay" / "replay.csv").exists()
    path = tmp_path / "trace" / "step-000001.npz"
    path.write_bytes(path.read_bytes()[:2000])
    assert run(monkeypatch, "sat", "--trace", tmp_path / "trace", "--out", tmp_path / "o2") == 2
    err = capsys.readouterr().err
    assert "step-000001.npz" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "o2").exists()


def test_sat_writes_what_it_shows(tmp_path: Path, monkeypatch, capsys) -> None:
    words = ("sat", "digits.yaml", "--nm", "2:4", "--batch", 8, "--set", "machine.rows=4", "--set", "machine.cols=4")
    monkeypatch.chdir(tmp_path)
    text = "name: digits\nlayers:\n- {kind: linear, name: a, in_features: 64, out_features: 32}\n"
    (tmp_path / "digits.yaml").write_text(text)
    assert run(monkeypatch, *words, "--json", "--out", "o") == 0
    shown = json.loads(capsys.readouterr().out)
    result, dense = (load(tmp_path / "o" / name) for name in ("", "dense"))
    assert result.cycles == shown["cycles"] == sum(shown["cycles_by_cause"].values())
    assert shown["speedup"] == dense.cycles / result.cycles
    assert shown["macs"] == 3 * 8 * 64 * 32
    slices = [e for e in json.loads((tmp_path / "o" / "timeline.json").read_text())["traceEvents"] if e["ph"] == "X"]
    assert [e["name"] for e in slices] == [r.step for r in result.steps]
    ends = [e["ts"] + e["dur"] for e in slices]
    assert [e["ts"] for e in slices[1:]] == pytest.approx(ends[:-1])
    assert ends[-1] == pytest.approx(result.seconds * 1e6)
    # the schedule it wrote, replayed, gives the same result; on another network it is refused
    assert run(monkeypatch, *words, "--json", "--schedule", "o/schedule.yaml") == 0
    assert json.loads(capsys.readouterr().out)["cycles"] == result.cycles
    assert Schedule.read(tmp_path / "o" / "schedule.yaml").batch == 8
    assert run(monkeypatch, *words[:4], "--batch", 9, "--schedule", "o/schedule.yaml") == 2
    assert "does not match" in capsys.readouterr().err


def test_topology_is_one_dense_forward_pass(monkeypatch, capsys) -> None:
    assert run(monkeypatch, "sat", "--topology", SAMPLES / "resnet18_conv.csv", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["batch"] == 1
    assert shown["macs"] == shown["macs_done"]
    assert run(monkeypatch, "sat", "--topology", SAMPLES / "sparsity_gemm.csv", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["macs"] == 3 * 5 * 16 + 5 * 16
    assert shown["macs_done"] == 3 * 5 * 12 + 5 * 4


def test_config_file_set_and_flags_in_that_order(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "c.yaml").write_text("network: resnet9\nbatch: 2\npattern: 2:4\nmachine: {dram_channels: 1}\n")
    words = ("sat", "--config", tmp_path / "c.yaml", "--json", "--set", "batch=3", "--set", "machine.dram_channels=2")
    assert run(monkeypatch, *words, "--passes", "FF", "--nm", "2:8") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["batch"], shown["pattern"], shown["config"]["dram_channels"]) == (3, "2:8", 2)


def test_networks_lists_and_writes(tmp_path: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "networks", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == set(NETWORKS)
    assert run(monkeypatch, "networks", "resnet9", "--out", tmp_path) == 0
    capsys.readouterr()
    assert run(monkeypatch, "networks", tmp_path / "resnet9.yaml", "--json") == 0
    assert json.loads(capsys.readouterr().out) == NETWORKS.get("resnet9")().model_dump(mode="json")


@pytest.mark.parametrize("what", ["sat", "sat-study", "train", "network", "schedule"])
def test_schema(what: str, monkeypatch, capsys, tmp_path: Path) -> None:
    assert run(monkeypatch, "schema", what) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert run(monkeypatch, "schema", what, "--out", tmp_path) == 0
    assert json.loads((tmp_path / f"{what}.schema.json").read_text()) == schema


def test_train_writes_result_and_trace(tmp_path: Path, monkeypatch, capsys) -> None:
    words = ("train", "digits-mlp", "--steps", 3, "--nm", "2:4", "--trace", "0,2", "--out", tmp_path, "--json")
    assert run(monkeypatch, *words) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["config"]["pattern"] == "2:4"
    assert (tmp_path / "trace" / "meta.json").exists()


def test_help_is_light() -> None:
    """The command line starts without the libraries that take long to load."""
    code = (
        "import sys; sys.argv=['hwsim','--help']\nfrom hwsim.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch','numba','numpy','pandas','pyarrow','matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "sat" in done.stdout


def test_an_edited_network_file_is_not_overwritten(tmp_path: Path, monkeypatch, capsys) -> None:
    words = ("networks", "resnet9", "--out", tmp_path)
    file = tmp_path / "resnet9.yaml"
    assert run(monkeypatch, *words) == 0
    own = file.read_text()
    assert run(monkeypatch, *words) == 0  # nothing of the user's is lost
    file.write_text(own + "# mine\n")
    capsys.readouterr()
    assert run(monkeypatch, *words) == 2
    told = f"hwsim: {file}: exists and is not what would be written; --force overwrites it\n"
    assert capsys.readouterr().err == told
    assert file.read_text() == own + "# mine\n"
    assert run(monkeypatch, *words, "--force") == 0
    assert file.read_text() == own


def test_a_pattern_that_fits_no_layer_is_told(tmp_path: Path, monkeypatch, capsys) -> None:
    told = "2:7 fits no layer of resnet9: channels must be a multiple of M. M = 4, 8, 16, 32 or 64 fits 7 of 9 layers"
    told += "; every layer runs dense"
    assert run(monkeypatch, "sat", "resnet9", "--batch", 1, "--nm", "2:7", "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["warning"] in told
    assert err == f"hwsim: warning: {told}\n"
    assert run(monkeypatch, "sat", "resnet9", "--batch", 1, "--nm", "2:8", "--json") == 0
    out, err = capsys.readouterr()
    assert "warning" not in json.loads(out)
    assert err == ""


def test_a_network_that_cannot_be_loaded_hides_no_other(tmp_path: Path, monkeypatch, capsys) -> None:
    points = {"hwsim.networks": {"broken": "broken_networks:net"}}
    with installed(tmp_path, "broken-networks", {"broken_networks": "1 / 0"}, points):
        assert run(monkeypatch, "networks", "--json") == 0
    out, err = capsys.readouterr()
    assert set(json.loads(out)) == set(NETWORKS) - {"broken"}
    assert err.startswith("hwsim: warning: network 'broken': package broken-networks 1.0 (broken_networks:net) cannot")
