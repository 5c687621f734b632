# SPDX-License-Identifier: Apache-2.0
"""The file-type classifiers that are trained here: their samples, training, the control, the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from algorithms.models.block_types import BLOCK, Convolutions, Transformer
from algorithms.pruning import blocks as module
from algorithms.pruning import run as runs
from algorithms.pruning.blocks import (
    TYPES,
    Blocks,
    ConvolutionalTyper,
    TransformerTyper,
    _level,
    blocks,
    fit,
    measure,
    trained,
)
from algorithms.pruning.config import PruneConfig
from algorithms.pruning.study import run_cell
from algorithms.pruning.subject import as_matrix
from dataflow.errors import InputError
from dataflow.pruned import PrunedFolder
from tests.support.cli import run


@pytest.fixture
def easy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Types that a first look tells apart, few of them; networks that are trained are kept apart."""
    rng = torch.Generator().manual_seed(0)
    types = torch.arange(768) % len(TYPES)
    data = (torch.randint(0, 12, (768, BLOCK), generator=rng) + 12 * types[:, None]).to(torch.uint8)
    parts = Blocks(data[:640], types[:640]), Blocks(data[640:], types[640:])
    monkeypatch.setattr(module, "blocks", lambda: parts)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Convolutions, "WIDTH", 24)
    monkeypatch.setattr(Transformer, "WIDTH", 64)


@pytest.mark.parametrize(
    ("sizes", "most", "wanted"),
    [
        ([5, 1, 9], 100, [5, 1, 9]),
        ([5, 1, 9], 7, [3, 1, 3]),
        ([5, 1, 9], 8, [4, 1, 3]),
        ([2, 2], 1, [1, 0]),
        ([], 3, []),
    ],
)
def test_every_file_gives_some_before_one_gives_many(sizes: list[int], most: int, wanted: list[int]) -> None:
    assert _level(sizes, most) == wanted


def test_samples_are_of_every_type_and_files_are_held_out() -> None:
    """At least 50,000 blocks of 15 types or more, 10,000 held out; no block is on both sides."""
    train, held = blocks()
    assert len(TYPES) >= 15
    assert set(train.types.tolist()) == set(held.types.tolist()) == set(range(len(TYPES)))
    assert len(train.data) >= 50_000
    assert len(held.data) >= 10_000
    assert train.data.shape[1] == held.data.shape[1] == BLOCK
    known = {bytes(b) for b in train.data.numpy()}
    assert not any(bytes(b) in known for b in held.data.numpy())


def test_a_package_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="blocks of files: not installed: numpy, torch"):
        blocks.__wrapped__()


@pytest.mark.parametrize("kind", [Convolutions, Transformer])
def test_a_network_learns_and_is_kept(easy: None, kind: type, tmp_path: Path) -> None:
    train, held = module.blocks()
    first = trained(kind, kind.WIDTH)
    assert not first.training
    (kept,) = (tmp_path / "cache/hwsim/block-types").iterdir()
    stamp = kept.read_bytes()
    again = trained(kind, kind.WIDTH)
    assert kept.read_bytes() == stamp
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    fit(again, train, epochs=12)
    assert measure(again, held)["accuracy"] > max(0.5, measure(kind(len(TYPES), kind.WIDTH).eval(), held)["accuracy"])


@pytest.mark.parametrize("name", ["blocks-cnn", "blocks-transformer"])
def test_the_command_prunes_it_and_its_control_is_as_small(
    easy: None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run(monkeypatch, "prune", name, "--pattern", "2:4", "--samples", "4", "--json", "--out", tmp_path / "p") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["density"] == 0.5
    folder = PrunedFolder.read(tmp_path / "p")
    assert len(folder.model.layers) == (5 if name == "blocks-cnn" else 1 + 2 * 6 + 1)
    assert run(monkeypatch, "simulate", "sat", tmp_path / "p", "--set", "passes=[FF]", "--set", "batch=1") == 0
    cell = run_cell(PruneConfig(model=name, method="magnitude", pattern="1:4", samples=4))
    assert cell.density == 0.25
    assert cell.control["density"] == pytest.approx(0.25, abs=0.12)
    assert set(cell.control) == {*cell.quality, "width", "density"}


def test_udfc_takes_its_channels(easy: None) -> None:
    found = runs.run(PruneConfig(model="blocks-cnn", method="udfc", pattern="2:4"))
    assert set(found.masks) == {"convs.1.conv", "convs.2.conv", "convs.3.conv", "head.linear"}
    mask = as_matrix(found.masks["convs.2.conv"])
    assert (mask == mask[0]).all()
    assert float(mask.float().mean()) == 0.5
    with pytest.raises(InputError, match="blocks-transformer: no convolution with ReLU before it"):
        runs.run(PruneConfig(model="blocks-transformer", method="udfc", pattern="2:4"))


def test_the_stages_are_the_model() -> None:
    x = torch.randint(0, 256, (3, BLOCK))
    for subject in (
        ConvolutionalTyper(Convolutions(len(TYPES), 24).eval()),
        TransformerTyper(Transformer(len(TYPES), 32).eval()),
    ):
        y = x
        for stage in subject.stages:
            y = stage(y)
        assert torch.equal(y, subject.model(x))
        assert y.shape == (3, len(TYPES))
        weighted = {layer.name for layer in subject.network().layers if hasattr(layer, "sparsity")}
        assert set(subject.layers()) <= weighted
