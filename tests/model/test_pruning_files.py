# SPDX-License-Identifier: Apache-2.0
"""magika to prune: its features, the files it is measured on, its network as machines take it, and the real weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from algorithms.models import magika
from algorithms.pruning import files
from algorithms.pruning import run as runs
from algorithms.pruning.method import pruning_method
from algorithms.pruning.prune import prune
from dataflow.errors import InputError
from dataflow.networks.network import Conv, Linear
from dataflow.pattern import NM
from tests.support.cli import run
from tests.support.models import needed
from tests.support.tools import package


def small() -> files.FileTyper:
    torch.manual_seed(0)
    return files.FileTyper(
        magika.Magika(8).eval(), ["python", "json", "png", "c", "svg", "css", "elf", "csv"], samples=8
    )


def test_features_are_both_ends_without_white_space() -> None:
    found = magika.features(b"  \n" + bytes(range(97, 107)) + b"\n\n").tolist()
    assert found[:11] == [*range(97, 107), 10]  # white space before is left out of the first half alone
    assert found[13:1024] == [256] * 1011
    assert found[-10:] == list(range(97, 107))
    long = bytes(i % 251 for i in range(9000))
    found = magika.features(long).tolist()
    assert bytes(found[:1024]) == long[:4096].lstrip()[:1024]
    assert bytes(found[1024:]) == long[-4096:].rstrip()[-1024:]
    assert set(magika.features(b"").tolist()) == {256}


def test_files_are_apart_known_and_few_of_each_kind() -> None:
    rest, held = files.typed_files()
    assert not {path for path, _ in rest} & {path for path, _ in held}
    for part in (rest, held):
        assert len({end for _, end in part}) > 8
        for end in files.TYPES:
            assert sum(kind == end for _, kind in part) <= files.MOST // 2
    path, _ = next((p, e) for p, e in rest if p.stat().st_size > 3 * magika.READ)
    assert torch.equal(magika.features(files._bytes(path)), magika.features(path.read_bytes()))


def test_no_package_with_files_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PACKAGES", {"not_there_at_all": "nothing"})
    with pytest.raises(InputError, match="magika: no files to measure on: install one of nothing"):
        files.typed_files.__wrapped__()


@pytest.mark.parametrize("name", ["magnitude", "sparsegpt", "screening", "gblm"])
def test_its_layers_are_pruned_and_its_stages_are_the_model(name: str) -> None:
    mine = small()
    x = mine.calibration(0)[0]
    y = x
    for stage in mine.stages:
        y = stage(y)
    assert torch.equal(y, mine.model(x))
    masks, results = prune(mine, pruning_method(name), NM(2, 4))
    assert [r.name for r in results] == ["convolution.conv", "dense"] == list(masks)
    assert (masks["convolution.conv"].movedim(1, -1).reshape(-1, 4).sum(1) == 2).all()
    with pytest.raises(InputError, match="magika: has no rules of relevance"):
        mine.explained(x)


def test_the_command_prunes_it_and_machines_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(runs.SUBJECTS, "magika", lambda config: small())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "typed_files", lambda held=files.typed_files(): (held[0][:20], held[1][:20]))
    assert run(monkeypatch, "prune", "magika", "--pattern", "50%", "--out", tmp_path / "p", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["density"] == pytest.approx(0.5)
    assert 0 <= told["quality"]["accuracy"] <= 1
    layers = small().network().layers
    (conv,) = (layer for layer in layers if isinstance(layer, Conv))
    (dense,) = (layer for layer in layers if isinstance(layer, Linear))
    assert (conv.in_channels, conv.out_channels, conv.out_width * conv.out_height) == (256, 512, 508)
    assert dense.in_features == 512
    assert run(monkeypatch, "simulate", "sat", tmp_path / "p", "--set", "passes=[FF]", "--json") == 0
    assert json.loads(capsys.readouterr().out)["cycles"] > 0


def test_the_real_model_knows_files() -> None:
    needed("magika")
    package("onnx", "onnx")
    subject = files.FileTyper()
    known = {
        b"import os\n\n\ndef main() -> None:\n    print(os.getcwd())\n\n\nmain()\n": "python",
        b'{\n  "name": "a",\n  "version": [1, 2, 3],\n  "nested": {"x": null, "y": true}\n}\n': "json",
        b"<!DOCTYPE html>\n<html><head><title>a</title></head>\n<body><p>text</p></body></html>\n": "html",
    }
    with torch.no_grad():
        said = subject.model(torch.stack([magika.features(data) for data in known])).argmax(1)
    assert [subject.types[i] for i in said.tolist()] == list(known.values())
