# SPDX-License-Identifier: Apache-2.0
"""Torch models by file and by name: archives of `torch.export`, and ``package.module:factory``."""

from __future__ import annotations

import json
import pickle
import random
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import hwsim
from algorithms.shapes import network_of
from dataflow.errors import InputError
from dataflow.importers import find_network, read_network
from dataflow.networks.network import Network
from hwsim.core.training import TrainingRun
from tests.support.cli import check_refused, run

BATCH = torch.export.Dim("batch", max=64)


class Mixed(nn.Module):
    """Tied and shared weights, attention, an LSTM, slices of a parameter, a buffer, blocks without gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Linear(8, 8), nn.Linear(8, 8)
        self.again.weight = self.first.weight
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.lstm = nn.LSTM(8, 4, batch_first=True, bidirectional=True)
        self.fused = nn.Parameter(torch.zeros(16, 8))
        self.norm = nn.BatchNorm1d(8)
        self.register_buffer("table", torch.zeros(8, 6))

    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            y = self.again(self.first(x))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = self.first(x)
        y = y + z.float() + self.attention(x, x, x, need_weights=False)[0]
        y = self.norm(self.lstm(y)[0].transpose(1, 2)).transpose(1, 2)
        a, b = F.linear(y, self.fused[:8]), F.linear(y, self.fused[8:])
        return torch.einsum("bti,bsi->bts", a, b), y @ self.table, x.shape[0] * 2


def export(model: nn.Module, example: Any, path: Path, shapes: Any = None) -> Path:
    args = example if isinstance(example, tuple) else (example,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(model.eval(), args, dynamic_shapes=shapes), path)
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(Mixed(), torch.zeros(2, 3, 8), tmp_path_factory.mktemp("pt2") / "mixed.pt2", ({0: BATCH},))


def facts(net: Network) -> list[dict[str, Any]]:
    return [layer.model_dump(exclude={"name"}) for layer in net.layers]


def test_an_archive_is_the_module_that_it_was_made_of(archive: Path) -> None:
    net = read_network(archive)
    module = network_of(Mixed().eval(), torch.zeros(2, 3, 8), "m")
    assert (net.name, net.macs, net.weights) == ("mixed", module.macs, module.weights)
    assert [x for x in facts(net) if x["kind"] != "elementwise"] == [
        x for x in facts(module) if x["kind"] != "elementwise"
    ]
    assert net.weights == 64 + 4 * 64 + 2 * 16 * (8 + 4) + 128
    assert {x.name for x in net.layers} >= {"first", "again", "lstm.l0.hidden", "lstm.l0.reverse.input"}


def test_a_fixed_batch_is_one_sample_or_refused(tmp_path: Path) -> None:
    one = read_network(export(nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8), tmp_path / "one.pt2"))
    assert (one.macs, one.weights) == (36 * 108, 108)
    with pytest.raises(InputError, match=r"two.pt2: its batch is 2 and cannot be another"):
        read_network(export(nn.Conv2d(3, 4, 3), torch.zeros(2, 3, 8, 8), tmp_path / "two.pt2"))


def test_dynamic_dimensions_are_asked_for(tmp_path: Path) -> None:
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    sequence = {0: BATCH, 1: 2 * torch.export.Dim("half", min=2, max=50)}
    path = export(model, torch.zeros(2, 6, 8), tmp_path / "seq.pt2", (sequence,))
    for wrong, why in (
        ({}, r"dims: (\w+)\.1: is dynamic, and no batch: --dim \1\.1=SIZE"),
        ({"src.1": 9}, "dims: src.1: 9: must be a multiple of 2"),
        ({"src.1": 200}, "=100: must be 2 to 50"),
        ({"src.0": 4}, "dims: src.0: is the batch"),
        ({"src.2": 4}, "dims 'src.2': did you mean src.1"),
    ):
        with pytest.raises(InputError, match=why) as error:
            read_network(path, dims=wrong)
        assert "\n" not in str(error.value)
    assert read_network(path, dims={"src.1": 10}).macs == network_of(model.eval(), torch.zeros(2, 10, 8), "m").macs
    assert find_network(path, dims={"src.1": 8}).macs == network_of(model.eval(), torch.zeros(2, 8, 8), "m").macs


def rewritten(path: Path, to: Path, change: Callable[[str, bytes], bytes]) -> Path:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return to


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_in_an_archive_is_run(archive: Path, tmp_path: Path) -> None:
    """Weights and example inputs that are pickles are not opened; sizes and operations are not evaluated."""
    trap = tmp_path / "trap"
    bad = rewritten(
        archive, tmp_path / "bad.pt2",
        lambda name, data: data if name.endswith((".json", "version", "format")) else pickle.dumps(Evil(trap)),
    )  # fmt: skip
    assert read_network(bad).macs == read_network(archive).macs
    for old, new, why in (
        ("Symbol('s", f"__import__('pathlib').Path('{trap}').touch() or Symbol('s", "is not understood"),
        ("torch.ops.aten.einsum.default", "os.system", "os.system is no operation"),
        ("torch.ops.aten.einsum.default", "torch.ops.aten.from_file.default", "is not modelled"),
        ("torch.ops.aten.einsum.default", "torch.ops.mine.odd.default", "the package that brings it is not loaded"),
        ("wrap_with_autocast", "cond", "cond is not modelled"),
    ):
        changed = rewritten(
            archive, tmp_path / "c.pt2", lambda name, data, a=old, b=new: data.replace(a.encode(), b.encode())
        )
        with pytest.raises(InputError, match=why):
            read_network(changed)
    assert not trap.exists()


def test_broken_archives_are_one_line(archive: Path, tmp_path: Path) -> None:
    """Text of the graph changed at random places, and files cut short."""
    rng = random.Random(7)
    whole = archive.read_bytes()
    lines = []
    for i in range(60):
        to = tmp_path / "b.pt2"
        if i % 6 == 0:
            to.write_bytes(whole[: rng.randrange(len(whole))])
        else:

            def change(name: str, data: bytes) -> bytes:
                if not name.endswith(".json"):
                    return data
                text = json.loads(data)
                for _ in range(3):
                    at = text
                    while isinstance(at, dict | list) and at:
                        key = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
                        if not isinstance(at[key], dict | list) or rng.random() < 0.05:
                            at[key] = rng.choice([None, -1, "x", [], {}, 1 << 40, at[key], True])
                            break
                        at = at[key]
                return json.dumps(text).encode()

            rewritten(archive, to, change)
        try:
            read_network(to)
        except InputError as error:
            lines.append(str(error))
    assert len(lines) > 10
    assert all("\n" not in line and line.startswith(str(tmp_path)) for line in lines)


FACTORIES = """
import torch
from torch import nn

def pair():
    return nn.Linear(4, 8), torch.zeros(2, 4)

def by_name():
    return nn.Bilinear(2, 3, 4), {"input1": torch.zeros(2, 2), "input2": torch.zeros(2, 3)}

def bare():
    return nn.Linear(4, 8)

def fails():
    raise ValueError("no such\\nthing")

def number():
    return 3

def fourier():
    return nn.Sequential(nn.Linear(4, 8), Fourier()), torch.zeros(2, 4)

class Fourier(nn.Module):
    def forward(self, x):
        return torch.fft.rfft(x)

class Own(nn.Linear):
    example_input_array = torch.zeros(1, 4)

    def __init__(self):
        super().__init__(4, 8)

made = Own()
"""


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "their_models.py").write_text(FACTORIES)
    (tmp_path / "broken_models.py").write_text("import no_such_package\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("their_models", "broken_models"):
        sys.modules.pop(name, None)


def test_a_factory_gives_a_network(factories: Path) -> None:
    assert find_network("their_models:pair").macs == 32
    assert find_network("their_models:by_name").weights == 24
    assert find_network("their_models:Own").macs == find_network("their_models:made").macs == 32
    assert hwsim.network("their_models:fourier", ignore_op=["aten._fft_r2c"]).ignored == ("1 (aten._fft_r2c)",)
    result = hwsim.simulate(hwsim.machine("sat"), "their_models:pair", batch=8, pattern="2:4")
    assert "their_models:pair" in result.workload
    assert TrainingRun(network="their_models:pair").inputs() == [factories / "their_models.py"]


def test_wrong_factories_and_archives_at_the_command_line(
    factories: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (factories / "text.pt2").write_text("no archive")
    with zipfile.ZipFile(factories / "empty.pt2", "w") as file:
        file.writestr("a/b", "c")
    for words, why in {
        "sat their_models:bare": "their_models:bare: gave a module without example inputs",
        "sat their_models:fails": "their_models:fails: raised ValueError: no such thing",
        "sat their_models:number": "gave a int, no torch module",
        "sat their_models:pears": "name 'pears': did you mean pair?",
        "sat their_models:fourier": "1: aten._fft_r2c is not modelled (--ignore-op aten._fft_r2c counts",
        "networks no_models:pair": "no_models cannot be imported: ModuleNotFoundError",
        "networks broken_models:pair": "broken_models cannot be imported: ModuleNotFoundError: No module named 'no",
        "networks their_models:pair --dim a=2": "dims: a: their_models:pair has the sizes of its example",
        "networks their_models:pair --ignore-op aten.mn": "ignore-op 'aten.mn': did you mean aten",
        "networks their_models:pair --phase decode": "phase: decode: network their_models:pair is run in",
        "sat text.pt2": "text.pt2: not an archive of torch.export.save",
        "sat empty.pt2": "empty.pt2: holds 0 graphs",
        "sat gone.pt2": "gone.pt2: cannot be read: No such file",
    }.items():
        check_refused(words, why, factories, monkeypatch, capsys)
    assert run(monkeypatch, "sat", "their_models:fourier", "--nm", "2:4", "--ignore-op", "1", "--batch", "4") == 0
    assert "counted as nothing, as asked: 1 (aten._fft_r2c)" in capsys.readouterr().out


def test_without_torch_one_line_says_so(factories: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for network in (str(archive), "their_models:pair"):
        find_network.__globals__["_read_once"].cache_clear()
        find_network.__globals__["_made_once"].cache_clear()
        with pytest.raises(InputError, match=r"reading it needs torch: pip install 'hwsim\[train\]'"):
            find_network(network)
