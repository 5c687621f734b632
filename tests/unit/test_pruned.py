# SPDX-License-Identifier: Apache-2.0
"""Pruned models in a folder: written, read, refused, and taken by machines as any network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataflow.errors import InputError
from dataflow.importers import find_network
from dataflow.networks.network import Linear, Network
from dataflow.pruned import PrunedFolder, PrunedLayer, PrunedModel, pruned_file, write_pruned
from hwsim.core.machine import find
from hwsim.core.training import TrainingRun
from tests.support.cli import run

CONFIG = {
    "model_type": "llama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip


def mask_of(shape: tuple[int, ...], pattern: str) -> np.ndarray:
    """A mask of a pattern along dimension 1; ``50%``: every other weight of the whole."""
    mask = np.zeros(shape, bool)
    if ":" in pattern:
        n, m = map(int, pattern.split(":"))
        groups = np.moveaxis(mask, 1, -1).reshape(-1, m)
        groups[:, :n] = True
        return np.moveaxis(groups.reshape(shape[0], *shape[2:], shape[1]), -1, 1).copy()
    mask.reshape(-1)[::2] = True
    return mask


def write(folder: Path, layers: dict[str, tuple[tuple[int, ...], str]], **fields: Any) -> PrunedFolder:
    masks = {name: mask_of(*of) for name, of in layers.items()}
    known = {
        name: PrunedLayer(pattern=pattern, shape=shape, density=float(masks[name].mean()))
        for name, (shape, pattern) in layers.items()
    }
    fields = {"config": CONFIG, **fields}
    return write_pruned(folder, PrunedModel(model="tiny", settings={}, layers=known, **fields), masks)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    layers = {"layers.0.q": ((32, 32), "2:4"), "layers.0.down": ((32, 64), "1:4"), "layers.0.up": ((64, 32), "50%")}
    write(tmp_path / "p", layers)
    return tmp_path / "p"


def test_masks_come_back_as_they_were(folder: Path) -> None:
    found = PrunedFolder.read(folder)
    assert found.model.layers["layers.0.up"].nm is None
    for name, layer in found.model.layers.items():
        np.testing.assert_array_equal(found.mask(name), mask_of(layer.shape, layer.pattern))
    convolution = write(folder.parent / "c", {"a": ((6, 8, 3, 2), "2:8")}, config=None, shapes=Network(
        name="c", layers=(Linear(name="a", in_features=48, out_features=6),)
    ))  # fmt: skip
    np.testing.assert_array_equal(convolution.mask("a"), mask_of((6, 8, 3, 2), "2:8"))


@pytest.mark.parametrize("phase", ["training", "prefill", "decode"])
def test_layers_carry_their_patterns_in_every_phase(folder: Path, phase: str) -> None:
    network = find_network(folder / "pruned.json", phase=phase, context=16)
    own = {layer.name: layer.sparsity for layer in network.layers if getattr(layer, "sparsity", None)}
    assert own == {"layers.0.q": "2:4", "layers.0.down": "1:4"}  # machines know N:M alone: the other is dense
    assert (network.phase, network.context) == (phase, 16)


@pytest.mark.parametrize("machine", ["sat", "tensor24"])
@pytest.mark.parametrize(("phase", "passes"), [("prefill", {"FF"}), ("training", {"FF", "BP", "WU"})])
def test_a_machine_takes_the_folder_as_a_network(folder: Path, machine: str, phase: str, passes: set[str]) -> None:
    kind = find(machine)
    run = kind.settings({"network": str(folder), "phase": phase, "context": 16, "batch": 2})
    assert isinstance(run, TrainingRun)
    assert (run.method, run.pattern) == ("masked", "dense")
    work = run.workload(run.read_network())
    patterns = {p.layer: str(p.pattern) for p in work.products if p.pass_.value == "FF"}
    assert {p.pass_.value for p in work.products} == passes
    assert (patterns["layers.0.q"], patterns["layers.0.down"], patterns["layers.0.up"]) == ("2:4", "1:4", "dense")
    assert all(p.pattern.is_dense for p in work.products if p.pass_.value != "FF")  # BP: as FF pruned, no N:M product
    assert run.inputs() == [folder / "pruned.json"]
    dense = run.model_copy(update={"method": "dense"})
    assert kind.simulate(run).cycles != kind.simulate(dense).cycles
    again = kind.settings(run.model_dump(mode="json"))  # as a result stores it
    assert again == run


def test_commands_take_it(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert run(monkeypatch, "sat", folder, "--phase", "prefill", "--context", "16", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["method"] == "masked"
    assert facts["macs_done"] < facts["dense"]["macs_done"]
    assert run(monkeypatch, "networks", folder) == 0
    assert "sparsity=1:4" in capsys.readouterr().out


def test_other_folders_and_files_are_none(folder: Path, tmp_path: Path) -> None:
    assert pruned_file(folder) == pruned_file(str(folder / "pruned.json")) == folder / "pruned.json"
    assert pruned_file(tmp_path) is pruned_file("resnet18") is pruned_file("") is pruned_file(None) is None


def _changed(folder: Path, change: Any) -> Path:
    data = json.loads((folder / "pruned.json").read_text())
    change(data)
    (folder / "pruned.json").write_text(json.dumps(data))
    return folder


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.update(format="hwsim-pruned/2"), "field format: not a pruned model of this version"),
        (lambda d: d.pop("layers"), "layers: Field required"),
        (lambda d: d.update(layer={}), "layer: unknown key; did you mean layers"),
        (lambda d: d.pop("config"), "give one of: config, shapes"),
        (lambda d: d["layers"]["layers.0.q"].update(pattern="5:4"), r"field layers\.layers\.0\.q\.pattern: 5:4: N"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line(folder: Path, change: Any, reason: str) -> None:
    with pytest.raises(InputError, match=rf"pruned\.json: {reason}"):
        PrunedFolder.read(_changed(folder, change))


def test_a_layer_that_the_model_does_not_have_is_named(folder: Path) -> None:
    broken = _changed(folder, lambda d: d["layers"].update(x=d["layers"]["layers.0.q"]))
    with pytest.raises(InputError, match="tiny: field layers: 'x' is no layer with weights of the model"):
        find_network(broken / "pruned.json")


def test_wrong_masks_are_one_line(folder: Path) -> None:
    found = PrunedFolder.read(folder)
    with pytest.raises(InputError, match=r"masks\.npz: layer layers\.0\.v: is missing"):
        found.mask("layers.0.v")
    shape = _changed(folder, lambda d: d["layers"]["layers.0.q"].update(shape=[32, 33]))
    with pytest.raises(InputError, match=r"uint8\[128\], expected the bits of \[32, 33\]"):
        PrunedFolder.read(shape).mask("layers.0.q")
    more = _changed(folder, lambda d: d["layers"]["layers.0.q"].update(shape=[32, 32], pattern="1:4"))
    with pytest.raises(InputError, match=r"layer layers\.0\.q: a group keeps 2, its pattern is 1:4"):
        PrunedFolder.read(more).mask("layers.0.q")
    odd = _changed(folder, lambda d: d["layers"]["layers.0.q"].update(pattern="2:7"))
    with pytest.raises(InputError, match=r"32 channels, no multiple of M=7"):
        PrunedFolder.read(odd).mask("layers.0.q")
    (folder / "masks.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"masks\.npz: broken; expected a \.npz of plain arrays"):
        PrunedFolder.read(folder).mask("layers.0.q")
