# SPDX-License-Identifier: Apache-2.0
"""Recovery of a pruned model: nothing changes at the start, nothing comes back, the loss falls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from algorithms.pruning.language import LanguageModel
from algorithms.pruning.mask import Masks
from algorithms.pruning.method import pruning_method
from algorithms.pruning.perp import MaskLoRA, perp, small_parameters
from algorithms.pruning.prune import prune
from algorithms.pruning.subject import weight_of
from dataflow.errors import InputError
from dataflow.pattern import NM
from dataflow.pruned import PrunedFolder
from tests.support.cli import run
from tests.support.tiny_language import Letters, tiny_llama, use_tiny


def pruned() -> tuple[LanguageModel, Masks]:
    mine = LanguageModel(tiny_llama(), Letters(), length=32, samples=4, tokens=300)
    return mine, prune(mine, pruning_method("wanda"), NM(2, 8))[0]


@pytest.mark.parametrize("shape", [(8, 16), (8, 4, 3, 3)])
def test_at_the_start_a_weight_is_what_it_was_and_a_removed_one_never_moves(shape: tuple[int, ...]) -> None:
    rng = torch.Generator().manual_seed(0)
    mask = torch.rand(shape, generator=rng) < 0.5
    weight = torch.randn(shape, generator=rng) * mask
    lora = MaskLoRA(mask, 4, 32.0, rng)
    assert torch.equal(lora(weight), weight)
    with torch.no_grad():
        lora.b.normal_(generator=rng)
    changed = lora(weight)
    assert torch.equal(changed != weight, mask)
    if len(shape) == 2:
        torch.testing.assert_close(changed, weight + 8.0 * (lora.b @ lora.a) * mask)


def test_masks_are_bit_for_bit_what_they_were_and_the_loss_falls() -> None:
    mine, masks = pruned()
    kept = {name: mask.clone() for name, mask in masks.items()}
    frozen = mine.model.embedding.weight.clone()
    norms = mine.model.layers[0].norm1.weight.clone()
    done = perp(mine, masks, steps=40, rank=4, rate=5e-3)
    assert all(torch.equal(masks[name], kept[name]) for name in kept)
    for name, module in mine.layers().items():
        assert torch.equal(weight_of(module) != 0, kept[name])
        assert not parametrize.is_parametrized(module)
        assert isinstance(weight_of(module), nn.Parameter)
    assert torch.equal(mine.model.embedding.weight, frozen)
    assert not torch.equal(mine.model.layers[0].norm1.weight, norms)
    assert sum(done.losses[-8:]) < 0.9 * sum(done.losses[:8])
    ranks = sum(4 * sum(mask.shape) for mask in masks.values())
    assert done.trained == ranks + sum(p.numel() for p in small_parameters(mine.model))
    assert not any(p.requires_grad for p in mine.model.parameters())


def test_the_same_seed_recovers_the_same_and_a_loss_that_is_none_is_told() -> None:
    first, second = pruned(), pruned()
    for mine, masks in (first, second):
        perp(mine, masks, steps=3, seed=5)
    for a, b in zip(first[0].model.parameters(), second[0].model.parameters(), strict=True):
        assert torch.equal(a, b)
    mine, masks = pruned()
    with torch.no_grad():
        mine.model.head.norm.weight[0] = float("nan")
    with pytest.raises(InputError, match="recovery: step 0: the loss is no number"):
        perp(mine, masks, steps=3)
    assert not any(parametrize.is_parametrized(m) for m in mine.model.modules())


def test_the_command_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    use_tiny(monkeypatch, tmp_path)
    short = ["--samples", "4", "--tokens", "300", "--set", "length=32", "--pattern", "2:8", "--json"]
    found = []
    for more in ([], ["--recovery", "perp", "--set", "recovery_steps=20", "--out", tmp_path / "p"]):
        assert run(monkeypatch, "prune", *short, *more) == 0
        found.append(json.loads(capsys.readouterr().out))
    plain, recovered = found
    assert plain["density"] == recovered["density"] == 0.25
    assert recovered["quality"]["nll"] < plain["quality"]["nll"]
    assert len(recovered["allocation"]["recovery_losses"]) == 20
    folder = PrunedFolder.read(tmp_path / "p")
    assert all(folder.mask(name).mean() == 0.25 for name in folder.model.layers)
    assert run(monkeypatch, "prune", *short, "--recovery", "pepr") == 2
    assert (
        "--recovery: Input should be 'none', 'perp', 'paser' or 'gpusq'; did you mean perp?" in capsys.readouterr().err
    )
