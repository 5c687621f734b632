# SPDX-License-Identifier: Apache-2.0
"""UDFC, which needs no data, and PASER, which chooses the data of a recovery: hand examples, invariants, commands."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from algorithms.pruning.language import LanguageModel
from algorithms.pruning.method import Filters, Layer, pruning_method
from algorithms.pruning.paser import DRAWS, chosen, clusters, divergence, pick, shares
from algorithms.pruning.patterns import parse_pattern
from algorithms.pruning.prune import prune
from algorithms.pruning.subject import Row, Subject, as_matrix, filters_of
from algorithms.pruning.udfc import UDFC, coefficients
from dataflow.errors import InputError
from dataflow.networks.network import Linear, Network, Phase
from dataflow.pattern import NM
from tests.support.cli import run
from tests.support.tiny_language import Letters, tiny_llama, use_tiny

# --- UDFC


class Convolutions(Subject):
    """Convolution, batch normalization, ReLU, convolution; filter 2 c + 1 is twice filter 2 c."""

    name: ClassVar[str] = "convolutions"
    metric: ClassVar[str] = "loss"

    def __init__(self) -> None:
        torch.manual_seed(1)
        first, norm, second = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 6, 3)
        with torch.no_grad():
            first.weight[1::2] = 2 * first.weight[::2]
            first.bias[1::2] = 2 * first.bias[::2]
            norm.weight.uniform_(0.5, 2)
            norm.running_var.uniform_(0.5, 2)
            norm.weight[1::2], norm.running_var[1::2] = norm.weight[::2].clone(), norm.running_var[::2].clone()
        self.model = nn.Sequential(nn.Sequential(first, norm, nn.ReLU()), second).eval()

    @property
    def stages(self) -> Sequence[nn.Module]:
        return list(self.model)

    def filters(self) -> dict[str, tuple[nn.Conv2d, nn.Module | None]]:
        return {"1": (self.model[0][0], self.model[0][1])}

    def calibration(self, seed: int) -> list[Tensor]:
        return [torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))]

    def loss_of(self, output: Tensor, inputs: Tensor) -> Tensor:
        return output.pow(2).mean()

    def quality(self) -> Row:
        return {"loss": 0.0}

    def network(self, phase: Phase = "prefill") -> Network:
        return Network(name="two", layers=(Linear(name="1", in_features=8, out_features=6),))


def test_a_channel_that_is_twice_another_is_taken_over_exactly() -> None:
    """The hand example: s = 2, and what the network says does not change although half of its channels are gone."""
    mine = Convolutions()
    x = mine.calibration(9)[0]
    before = mine.model(x)
    filters = filters_of(*mine.filters()["1"])
    kept = torch.tensor([True, False] * 4)
    s = coefficients(filters, kept, 0.01, 0.0)
    torch.testing.assert_close(s, 2 * torch.eye(4), atol=1e-4, rtol=0)
    masks, results = prune(mine, UDFC(alpha2=0.0), NM(1, 2))  # of each pair one
    assert list(masks) == ["1"]
    assert masks["1"].float().mean() == 0.5
    assert [r.dense_cause is None for r in results] == [False, True]
    torch.testing.assert_close(mine.model(x), before, atol=1e-4, rtol=1e-4)
    whole = as_matrix(masks["1"]).unflatten(1, (-1, 8))
    assert (whole == whole[0, 0]).all()  # channels, whole ones
    plain = Convolutions()
    with torch.no_grad():
        plain.model[1].weight.masked_fill_(~masks["1"], 0.0)
    assert float((plain.model(x) - before).detach().abs().max()) > 0.05


def test_folded_filters_are_what_the_layers_say() -> None:
    mine = Convolutions()
    conv, norm = mine.model[0][0], mine.model[0][1]
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.bias.normal_()
    folded = filters_of(conv, norm)
    patch = torch.randn(5, 3, 3, 3)
    torch.testing.assert_close(patch.flatten(1) @ folded.weight.T + folded.shift, norm(conv(patch)).flatten(1))


@pytest.mark.parametrize("pattern", ["2:4", "50%", "block2-50%"])
def test_udfc_is_its_least_squares(pattern: str) -> None:
    """Every removed channel's coefficients by one dense problem each, with the two penalties as rows."""
    torch.manual_seed(4)
    filters, weight = Filters(torch.randn(8, 5), torch.randn(8)), torch.randn(3, 16)
    found = UDFC(alpha1=0.3, alpha2=0.2).prune(Layer("one", weight, filters=filters), parse_pattern(pattern))
    kept = found.mask[0, :8]
    assert (found.mask == kept.repeat(2)).all()
    rows = torch.cat([filters.weight, 0.3**0.5 * filters.shift[:, None]], 1)
    stay = torch.cat([rows[kept], 0.2**0.5 * torch.eye(int(kept.sum()))], 1)
    wanted = weight.clone()
    for j in (~kept).nonzero().flatten().tolist():
        goal = torch.cat([rows[j], torch.zeros(int(kept.sum()))])
        s = torch.linalg.lstsq(stay.T, goal[:, None]).solution[:, 0]
        for tap in (0, 8):
            wanted[:, tap : tap + 8][:, kept] += weight[:, tap + j, None] * s
    torch.testing.assert_close(found.weight, wanted * found.mask, atol=1e-4, rtol=1e-4)


def test_a_model_without_such_layers_and_wrong_options_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    use_tiny(monkeypatch, tmp_path)
    assert run(monkeypatch, "prune", "--method", "udfc", "--tokens", "100", "--set", "length=32") == 2
    said = capsys.readouterr().err
    assert "smollm2-135m: no convolution with ReLU before it, in any layer; the method does not apply" in said
    assert said.count("\n") == 1
    with pytest.raises(InputError, match="options alpha1 and alpha2: at least 0"):
        UDFC(alpha1=-1).prune(Layer("one", torch.ones(2, 4)), NM(2, 4))


# --- PASER


def test_the_divergence_by_hand() -> None:
    """0 of equal ones, ln 2 of what has nothing in common, no NaN of zeros."""
    never = -math.inf
    a, b = torch.tensor([0.0, never, never]), torch.tensor([never, 0.0, never])
    assert float(divergence(a, b)) == pytest.approx(math.log(2))
    assert float(divergence(a, a)) == 0
    x, y = torch.randn(2, 7), torch.randn(2, 7)
    torch.testing.assert_close(divergence(x, y), divergence(y, x))
    p, q = x.softmax(-1).double(), y.softmax(-1).double()
    m = (p + q) / 2
    wanted = 0.5 * ((p * (p / m).log()).sum(-1) + (q * (q / m).log()).sum(-1))
    torch.testing.assert_close(divergence(x, y).double(), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 5, 12, 23, 30])
def test_shares_sum_to_the_budget_and_follow_the_weights(count: int) -> None:
    sizes = {0: 10, 1: 3, 2: 17}
    found = shares({0: 1.0, 1: 2.0, 2: 0.5}, sizes, count)
    assert sum(found.values()) == count
    assert all(0 <= found[c] <= sizes[c] for c in sizes)
    if count == 5:
        assert found[1] >= found[0] >= found[2]
    with pytest.raises(InputError, match="31 samples of 30"):
        shares(dict.fromkeys(sizes, 1.0), sizes, 31)
    assert shares(dict.fromkeys(sizes, 0.0), sizes, 6) == {0: 2, 1: 2, 2: 2}


def test_blobs_are_clusters_and_the_worst_come_first() -> None:
    rng = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    of = torch.arange(30) % 3
    found = clusters(centres[of] + 0.3 * torch.randn(30, 2, generator=rng), 3)
    for c in range(3):
        assert len(found[of == c].unique()) == 1
    assert len(found.unique()) == 3
    degraded = torch.linspace(0.1, 1.0, 30)
    degraded[of == 2] += 5
    taken = pick(degraded, torch.full((30,), 64), of, 12)
    assert len(set(taken)) == 12
    assert sum(int(of[i] == 2) for i in taken) > 6
    for c in range(3):  # the worst of a cluster
        inside = sorted((i for i in range(30) if of[i] == c), key=lambda i: -float(degraded[i]))
        mine = [i for i in taken if of[i] == c]
        assert set(mine) == set(inside[: len(mine)])
    short = torch.full((30,), 64)
    short[0] = 4
    assert pick(torch.ones(30), short, torch.zeros(30, dtype=torch.int64), 1) == [0]  # the cheapest of equal ones


def test_chosen_samples_are_those_that_pruning_hurt() -> None:
    mine = LanguageModel(tiny_llama(), Letters(), length=32, samples=4, tokens=300)
    dense = copy.deepcopy(list(mine.stages))
    prune(mine, pruning_method("magnitude"), NM(1, 4))
    found = chosen(mine, dense)
    assert len(found) == 4
    assert all(s.shape == (1, 32) for s in found)
    again = chosen(mine, dense)
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    assert len(chosen(mine, dense, count=16)) == 16 == 4 * DRAWS
    with pytest.raises(InputError, match=r"recovery paser: 1 to 16 samples \(got 17\)"):
        chosen(mine, dense, count=17)


def test_the_command_recovers_on_chosen_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    use_tiny(monkeypatch, tmp_path)
    short = ["--samples", "4", "--tokens", "300", "--set", "length=32", "--pattern", "2:8", "--json"]
    found = []
    for more in ([], ["--recovery", "paser", "--set", "recovery_steps=20"]):
        assert run(monkeypatch, "prune", *short, *more) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["density"] == found[1]["density"] == 0.25
    assert found[1]["quality"]["nll"] < found[0]["quality"]["nll"]
