# SPDX-License-Identifier: Apache-2.0
"""ARMOR, screening and relevance: hand examples, invariants, naive twins; recovery by GPUSQ."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from algorithms.pruning import run as runs
from algorithms.pruning.armor import Armor, Core
from algorithms.pruning.config import PruneConfig
from algorithms.pruning.encoder import Encoder
from algorithms.pruning.gpusq import gpusq, taught
from algorithms.pruning.language import LanguageModel
from algorithms.pruning.magnitude import Magnitude
from algorithms.pruning.method import Classes, Gradients, Inputs, Layer, Pruned, Wrappers
from algorithms.pruning.pitch import PitchModel, tones
from algorithms.pruning.prune import gradients_of, prune
from algorithms.pruning.relevance import Relevance, attention, feed_forward, llama_logits
from algorithms.pruning.screening import Screening
from algorithms.pruning.selection import select
from algorithms.pruning.study import run_cell
from algorithms.pruning.subject import as_matrix, weight_of
from dataflow.errors import InputError
from dataflow.networks.network import Conv, Linear
from dataflow.pattern import NM
from dataflow.pruned import PrunedFolder
from hwsim.cli.pruning_machines import masked_rows
from tests.support.tiny_language import SIZES, Letters, tiny_llama, use_tiny
from tests.support.tools import package

HALF = NM(2, 4)


def known(out: int, width: int, seed: int, tokens: int = 200) -> tuple[Layer, Tensor]:
    """A layer with inputs that are mixed, and them."""
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=rng) / width**0.5 + torch.eye(width)
    x = torch.randn(tokens, width, generator=rng) @ mix * torch.linspace(0.3, 2, width)
    inputs = Inputs(width)
    inputs.add(x)
    return Layer("one", torch.randn(out, width, generator=rng), inputs), x


def language() -> LanguageModel:
    return LanguageModel(tiny_llama(), Letters(), length=32, samples=4, tokens=300)


# --- ARMOR


def proxy(layer: Layer, found: Tensor) -> float:
    """sum d_j (W^ - W)^2 of the normed weights."""
    columns = layer.weight.norm(dim=0)
    rows = (layer.weight / columns).norm(dim=1)
    change = (found - layer.weight) / columns / rows[:, None]
    return float((layer.known.norms**2 * change**2).sum())


@pytest.mark.parametrize("pattern", [HALF, NM(1, 4), NM(4, 8)])
def test_armor_without_steps_is_the_baseline_and_with_steps_never_worse(pattern: NM) -> None:
    layer, _ = known(32, 64, 0)
    start = Armor(steps=0).prune(layer, pattern)
    columns = layer.weight.norm(dim=0)
    rows = (layer.weight / columns).norm(dim=1)
    mask = select(layer.known.norms**2 * (layer.weight / columns / rows[:, None]) ** 2, pattern)
    assert torch.equal(start.mask, mask)
    torch.testing.assert_close(start.effective, layer.weight * mask)
    losses = [proxy(layer, Armor(steps=steps).prune(layer, pattern).effective) for steps in (0, 1, 20)]
    assert losses[2] < losses[1] <= losses[0] * 1.0001
    assert losses[2] < 0.8 * losses[0]
    assert proxy(layer, Armor(steps=3, rate=1e3).prune(layer, pattern).effective) == pytest.approx(losses[0], rel=1e-4)


def test_what_armor_computes_with_is_the_product_and_its_cost_is_counted() -> None:
    layer, _ = known(64, 96, 1)
    found = Armor(steps=5).prune(layer, HALF)
    assert found.wrappers is not None
    left, right = (torch.block_diag(*blocks) for blocks in found.wrappers)
    torch.testing.assert_close(found.effective, left @ found.weight @ right, atol=1e-4, rtol=1e-4)
    assert not found.weight[~found.mask].any()
    assert found.extra == 64 * 32 + 96 * 32
    square = Pruned(torch.zeros(576, 576), torch.zeros(576, 576, dtype=torch.bool),
                    Wrappers(torch.zeros(18, 32, 32), torch.zeros(18, 32, 32)))  # fmt: skip
    assert square.extra * 9 == 576 * 576


def test_a_core_step_takes_the_best_mask_of_a_group_and_no_loss_grows() -> None:
    layer, _ = known(8, 16, 2)
    core = Core(layer.weight, layer.known.norms**2, HALF, 8)
    rng = torch.Generator().manual_seed(3)
    for blocks in (core.left, core.right):
        blocks += 0.3 * torch.randn(blocks.shape, generator=rng)
    before, mask, loss = core.core.clone(), core.mask.clone(), float(core.loss())
    core.choose(rng)
    moved = ((core.core != before) | (core.mask != mask)).nonzero().tolist()
    groups = {(row, column // 4) for row, column in moved}
    assert 1 <= len(groups) <= 2  # at most one of each of the two blocks
    assert float(core.loss()) < loss
    for row, group in groups:
        part = slice(4 * group, 4 * group + 4)
        own = float(core.loss())
        for keep in itertools.combinations(range(4), 2):
            other = Core(layer.weight, layer.known.norms**2, HALF, 8)
            other.left, other.right, other.core, other.mask = (
                core.left,
                core.right,
                core.core.clone(),
                core.mask.clone(),
            )
            other.mask[row, part] = torch.tensor([i in keep for i in range(4)])
            unit = []
            other.core[row, part] = 0
            rest = (other.wanted - other.product()) * other.weights[None, :, None, :].sqrt()
            for i in keep:
                other.core[row, part] = 0
                other.core[row, 4 * group + i] = 1
                one = other.wanted - other.product()
                unit.append(rest - one * other.weights[None, :, None, :].sqrt())
            best = torch.linalg.lstsq(torch.stack([u.flatten() for u in unit], 1), rest.flatten()[:, None]).solution
            left = rest - sum(float(b) * u for b, u in zip(best, unit, strict=True))
            assert own <= float((left**2).sum()) * 1.001
    for _ in range(30):
        loss = float(core.loss())
        core.choose(rng)
        assert float(core.loss()) <= loss * (1 + 1e-5)
    assert (core.mask.unflatten(1, (-1, 4)).sum(2) == 2).all()


@pytest.mark.parametrize(
    ("shape", "pattern", "reason"),
    [((32, 48), HALF, "32 x 48 is not made of blocks of 32"), ((32, 64), NM(8, 16), "at most 70 masks of a group")],
)
def test_armor_refuses_what_it_does_not_fit(shape: tuple[int, int], pattern: NM, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Armor().prune(known(*shape, 0)[0], pattern)


def test_wrapped_layers_go_to_machines_with_their_wrappers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch, tmp_path)
    config = PruneConfig(method="armor", options={"steps": 2, "block": 16}, length=32, samples=4, tokens=300)
    found = runs.run(config)
    assert {r.wrappers for r in found.layers} == {16}
    folder = PrunedFolder.read(found.write(tmp_path / "m")[0])
    network = {layer.name: layer for layer in folder.model.network("prefill", 16).layers}
    up, right, left = (network[f"layers.0.up{part}"] for part in ("", ".right", ".left"))
    assert isinstance(up, Linear)
    assert isinstance(right, Conv)
    assert isinstance(left, Conv)
    assert up.sparsity == "2:4"
    assert (right.macs, left.macs) == (16 * 32 * 16, 16 * 64 * 16)
    assert right.weights + left.weights == 32 * 16 + 64 * 16
    plain = tmp_path / "plain"
    runs.run(config.model_copy(update={"method": "magnitude", "options": {}})).write(plain)
    for row, other in zip(masked_rows(tmp_path / "m"), masked_rows(plain), strict=True):
        assert row["cycles"] > other["cycles"], row["machine"]
    cell = run_cell(config, machines=lambda folder: [{"machine": "m", "phase": "p", "cycles": 1}])
    assert cell.machines
    with pytest.raises(InputError, match="recovery perp: not of method armor"):
        runs.run(config.model_copy(update={"recovery": "perp"}))


# --- screening


def test_f_by_hand_and_as_scikit_learn_has_it() -> None:
    """Classes {1, 2, 3} and {3, 4, 5}: F = 6. A constant scores 0, shift and scale change nothing."""
    of = torch.tensor([0, 0, 0, 1, 1, 1])
    x = torch.tensor([[1.0, 7, 100.1], [2, 7, 100.2], [3, 7, 100.3], [3, 7, 100.3], [4, 7, 100.4], [5, 7, 100.5]])
    found = Classes(3, 2)
    found.add(x[:4], of[:4])
    found.add(x[4:], of[4:])
    found.add(torch.full((1, 3), 9.0), torch.tensor([-1]))
    assert found.f.tolist() == [pytest.approx(6), 0, pytest.approx(6, rel=1e-3)]
    selection = package("sklearn.feature_selection")
    rng = torch.Generator().manual_seed(0)
    x, of = torch.randn(300, 8, generator=rng), torch.randint(0, 5, (300,), generator=rng)
    many = Classes(8, 7)  # two classes have no samples
    many.add(x + of[:, None] * torch.linspace(0, 1, 8), of)
    wanted = selection.f_classif((x + of[:, None] * torch.linspace(0, 1, 8)).double().numpy(), of.numpy())[0]
    np.testing.assert_allclose(many.f.numpy(), wanted, rtol=1e-4)
    with pytest.raises(InputError, match="classes: at least two"):
        Classes(3, 2).f  # noqa: B018


def test_screening_keeps_what_tells_classes_apart() -> None:
    rng = torch.Generator().manual_seed(1)
    of = torch.arange(200) % 2
    x = torch.randn(200, 4, generator=rng)
    x[:, 2] += 3.0 * of
    inputs = Inputs(4, classes=2)
    inputs.add(x, classes=of)
    found = Screening().prune(Layer("one", torch.ones(3, 4), inputs), NM(1, 4))
    assert found.mask.all(0).tolist() == [False, False, True, False]


def test_positions_are_classed_by_the_token_that_follows() -> None:
    subject = language()
    text = subject._calibration_text()
    common = text.bincount().argsort(descending=True, stable=True)
    sample = torch.stack([common[0], common[31], common[32], common[0]])[None]
    assert subject.class_of(sample).tolist() == [[31, -1, 0, -1]]
    masks, results = prune(subject, Screening(), HALF)
    assert len(masks) == len(results) == 14


# --- relevance


def test_relevance_by_hand() -> None:
    """a = (1, 2), w = (3, -1), output 1: R = (3, -2), their sum the output; the second goes first."""
    linear = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, -1.0]]))
    (slope,) = torch.autograd.grad(linear(torch.tensor([1.0, 2.0])).sum(), linear.weight)
    relevance = linear.weight * slope
    assert relevance.tolist() == [[3, -2]]
    stats = Gradients((1, 2))
    stats.add(slope)
    found = Relevance().prune(Layer("one", linear.weight.detach(), relevance=stats), NM(1, 2))
    assert found.mask.tolist() == [[True, False]]


def test_the_rules_change_no_output_and_keep_relevance() -> None:
    """Sum of relevance before a part = behind it: feed-forward, attention's values, and the whole of the head."""
    model, ids = tiny_llama(), torch.randint(0, SIZES.vocabulary, (2, 9))
    torch.testing.assert_close(llama_logits(model, ids), model(ids), atol=1e-4, rtol=1e-4)
    block = model.layers[0]
    assert isinstance(block, nn.Module)
    rng = torch.Generator().manual_seed(2)
    x = torch.randn(1, 7, SIZES.hidden, generator=rng, requires_grad=True)
    for part in (feed_forward, attention):
        out = part(block, x)  # type: ignore[arg-type]
        pull = torch.randn(out.shape, generator=rng)
        (slope,) = torch.autograd.grad(out, x, pull)
        led, had = float((slope * x).detach().sum()), float((out * pull).detach().sum())
        if part is feed_forward:
            assert led == pytest.approx(had, rel=1e-3, abs=1e-4)
        assert led != 0


def test_relevance_is_summed_before_its_magnitude_and_models_without_rules_are_told() -> None:
    subject = language()
    states = subject.calibration(0)
    found = gradients_of(subject, states, subject.explained)
    weight = weight_of(subject.layers()["layers.1.down"])
    scores = (as_matrix(weight) * found["layers.1.down"].mean).abs()
    masks, _ = prune(subject, Relevance(), HALF)
    assert torch.equal(masks["layers.1.down"], select(scores, HALF))
    assert all(float(g.mean.abs().max()) > 0 for g in found.values())
    encoder = object.__new__(Encoder)
    with pytest.raises(InputError, match="minilm: has no rules of relevance"):
        encoder.explained(torch.zeros(1))
    with pytest.raises(InputError, match="minilm: its data has no classes"):
        encoder.class_of(torch.zeros(1))


def test_a_pitch_models_output_is_the_sum_of_relevance_but_for_biases() -> None:
    from algorithms.models.crepe import Crepe

    torch.manual_seed(0)
    model = Crepe((8, 4, 4, 4, 4, 4)).eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    subject = PitchModel.__new__(PitchModel)
    subject.model, subject.samples, subject.frames = model, 4, 4
    frames = tones(4, 0)[0]
    for name, found in gradients_of(subject, [frames], subject.explained).items():
        total = float((as_matrix(weight_of(subject.layers()[name])) * found.mean).detach().sum()) * 4
        assert total == pytest.approx(float(subject.explained(frames).detach()), rel=1e-3), name
    classes = subject.class_of(frames)
    assert classes.shape == (4,)
    assert int(classes.max()) < subject.classes


# --- GPUSQ


def test_gpusq_keeps_masks_rounds_and_learns() -> None:
    subject = language()
    dense = copy.deepcopy(list(subject.stages))
    masks, _ = prune(subject, Magnitude(), HALF)
    before = {name: mask.clone() for name, mask in masks.items()}
    done = gpusq(subject, dense, masks, steps=60, bits=4, rate=3e-3, seed=1)
    assert len(done.losses) == 60
    assert sum(done.losses[20:30]) < 0.9 * sum(done.losses[:10])
    for name, module in subject.layers().items():
        weight = as_matrix(weight_of(module)).detach()
        assert torch.equal(before[name], masks[name])
        assert not weight[~as_matrix(masks[name])].any()
        steps = weight / weight.abs().amax(1, keepdim=True) * 7
        torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
    assert not any(p.requires_grad for p in subject.model.parameters())
    with pytest.raises(InputError, match="recovery_bits: 0, or 2 to 16"):
        gpusq(subject, dense, masks, steps=1, bits=1)


def test_a_model_that_is_its_teacher_has_the_datas_loss_alone() -> None:
    subject = language()
    sample = subject.calibration(0)[0][:1]
    loss, apart = taught(subject, list(subject.stages), sample, range(1, 3), torch.ones(2))
    assert not apart.any()
    assert float(loss) == pytest.approx(float(subject.loss(sample)), rel=1e-5)


def test_the_command_recovers_with_integers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch, tmp_path)
    settings: dict[str, Any] = {"method": "magnitude", "length": 32, "samples": 4, "tokens": 300}
    found = runs.run(PruneConfig(**settings, recovery="gpusq", recovery_steps=4))
    assert len(found.allocation["recovery_losses"]) == 4
    assert found.masks.off(found.subject.model) == 0
