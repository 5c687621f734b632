# SPDX-License-Identifier: Apache-2.0
"""The rule of readers of graphs: every operation is a layer, free with a reason, ignored as asked, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import hwsim
from dataflow.errors import InputError
from dataflow.importers import IMPORTERS, find_network, read_network, write_network_yaml
from dataflow.networks.network import Conv, Linear, MatMul, Network, elementwise
from dataflow.networks.operations import Operations, explain
from dataflow.networks.zoo import NETWORKS, network
from tests.support.cli import check_refused, run


def read_toy(path: Path, *, ignore: tuple[str, ...] = (), dims: dict[str, int] | None = None) -> Network:
    """A graph of three operations, of which one is not modelled; ``rows`` is dynamic."""
    found = Operations(str(path), ignore)
    rows = (dims or {}).get("rows", 1)
    found.model("fc", "Gemm", Linear(name="fc", in_features=8, out_features=4, rows=rows))
    found.free("act", "Relu", "done on the way out")
    found.refuse("odd", "Hadamard")
    return found.network("toy")


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Path]:
    IMPORTERS.add("toy", read_toy)
    (tmp_path / "n.toy").write_text("toy")
    yield tmp_path / "n.toy"
    IMPORTERS.remove("toy")


def test_what_is_not_modelled_is_refused_by_name_or_ignored_as_asked(toy: Path) -> None:
    with pytest.raises(InputError, match=r"n.toy: odd: Hadamard is not modelled \(--ignore-op Hadamard counts"):
        read_network(toy)
    for name in ("odd", "Hadamard"):
        net = read_network(toy, ignore=(name,))
        assert net.ignored == ("odd (Hadamard)",)
        assert [(o.name, o.layers, o.free, o.ignored) for o in net.operations] == [
            ("fc", ("fc",), None, False),
            ("act", (), "done on the way out", False),
            ("odd", (), f"--ignore-op {name}", True),
        ]
    with pytest.raises(InputError, match="ignore-op 'Hadamart': did you mean Hadamard"):
        read_network(toy, ignore=("odd", "Hadamart"))


def test_a_network_of_no_graph_takes_no_such_setting(tmp_path: Path, toy: Path) -> None:
    for name in ("resnet9", network("resnet9")):
        with pytest.raises(InputError, match="ignore_op: Conv: network resnet9 is made of layers"):
            find_network(name, ignore=("Conv",))
        with pytest.raises(InputError, match="dims: batch: network resnet9"):
            find_network(name, dims={"batch": 3})
    assert find_network(toy, ignore=["odd"], dims={"rows": 5}).macs == 5 * 32
    assert find_network(toy, ignore=["odd"], dims={"rows": 6}).macs == 6 * 32, "a size is part of what is remembered"


def test_a_yaml_file_keeps_what_was_ignored(tmp_path: Path, toy: Path) -> None:
    net = read_network(toy, ignore=("odd",))
    write_network_yaml(net, tmp_path / "n.yaml")
    assert read_network(tmp_path / "n.yaml").ignored == net.ignored
    assert "ignored" not in (tmp_path / "n.yaml").read_text().replace("ignored: ['odd (Hadamard)']", "", 1)


@pytest.mark.parametrize("machine", ["sat", "tensor24"])
def test_results_show_what_was_ignored(machine: str, toy: Path, tmp_path: Path) -> None:
    design = hwsim.machine(machine)
    for result in (
        hwsim.simulate(design, toy, batch=4, ignore_op=["odd"], pattern="dense"),
        hwsim.simulate(design, hwsim.network(toy, ignore_op=["Hadamard"]), batch=4, pattern="dense"),
    ):
        result.save(tmp_path / "r")
        assert list(hwsim.load(tmp_path / "r").ignored) == ["odd (Hadamard)"]
    assert list(hwsim.simulate(design, "resnet9", batch=1, passes=["FF"], pattern="dense").ignored) == []
    with pytest.raises(InputError, match="ignore_op: belongs where the network is made"):
        hwsim.simulate(design, network("resnet9"), ignore_op=["odd"])


@pytest.mark.parametrize("name", NETWORKS)
def test_explaining_a_network_of_layers_lists_them_with_its_sums(name: str) -> None:
    net = network(name)
    rows = explain(net)
    assert [row.name for row in rows] == [layer.name for layer in net.layers]
    assert sum(row.macs for row in rows) == net.macs
    assert sum(row.weights for row in rows) == net.weights


def test_bytes_moved() -> None:
    layers = (
        Conv(name="c", in_channels=2, out_channels=4, height=6, width=5, kernel=(3, 3), stride=(2, 1), images=3),
        Linear(name="l", in_features=3, out_features=5, rows=2, experts=8, active=2),
        MatMul(name="m", rows=2, reduction=3, cols=4, count=5),
        elementwise("s", "softmax", 7),
    )
    moved = [row.bytes for row in explain(Network(name="n", layers=layers))]
    conv = 2 * 4 * 9 + 3 * (2 * 6 * 5 + 4 * 2 * 3)
    assert moved == [2 * conv, 2 * (4 * 15 + 4 * 8), 2 * 5 * (6 + 12 + 8), 2 * 14]


def test_commands(toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # no cell is folded
    assert run(monkeypatch, "networks", toy, "--ignore-op", "odd", "--dim", "rows=3", "--explain") == 0
    out = capsys.readouterr().out
    assert "free: done on the way out" in out
    assert "1 modelled, 2 free" in out
    assert "counted as nothing, as asked: odd (Hadamard)" in out
    assert run(monkeypatch, "networks", toy, "--ignore-op", "odd", "--explain", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert [o["became"] for o in data["operations"]] == [
        "linear",
        "free: done on the way out",
        "free: --ignore-op odd",
    ]
    assert (data["macs"], data["weights"], data["ignored"]) == (32, 32, ["odd (Hadamard)"])
    for command in (["sat", toy, "--nm", "dense"], ["simulate", "tensor24", toy, "--set", "pattern=dense"]):
        assert run(monkeypatch, *command, "--ignore-op", "Hadamard") == 0
        assert "counted as nothing, as asked: odd (Hadamard)" in capsys.readouterr().out
        assert run(monkeypatch, *command, "--ignore-op", "Hadamard", "--json") == 0
        assert json.loads(capsys.readouterr().out)["ignored"] == ["odd (Hadamard)"]
    for words, why in {
        f"sat {toy}": "odd: Hadamard is not modelled",
        f"sat {toy} --ignore-op odd --dim rows": "--dim rows: write it as name=size",
        f"networks {toy} --ignore-op odd --dim rows=0": "--dim.rows: Input should be greater",
        "sat resnet9 --ignore-op Conv": "ignore_op: Conv: network resnet9 is made of layers",
        "networks --explain": "--explain: name a network",
    }.items():
        check_refused(words, why, toy.parent, monkeypatch, capsys)


def test_what_is_not_refused_cannot_be_ignored(toy: Path) -> None:
    for name in ("fc", "Gemm", "Relu"):
        with pytest.raises(InputError, match=f"ignore-op: {name}: is not refused: there is nothing to ignore"):
            read_network(toy, ignore=("odd", name))
