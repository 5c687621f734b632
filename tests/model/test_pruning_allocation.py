# SPDX-License-Identifier: Apache-2.0
"""Allocation over layers: hand examples, budgets, and dynamic programming against exhaustive search."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from algorithms.pruning.allocation import dynamic_program, erk, global_magnitude, lamp, weights_kept
from algorithms.pruning.config import PruneConfig
from algorithms.pruning.distortion import distortions, features
from algorithms.pruning.ecoflap import keep, scores
from algorithms.pruning.farms import farms, sparsities, tail_exponent, window_eigenvalues
from algorithms.pruning.language import LanguageModel
from algorithms.pruning.method import pruning_method
from algorithms.pruning.patterns import parse_pattern
from algorithms.pruning.pqi import needed, pq_index, sap
from algorithms.pruning.prune import prune
from algorithms.pruning.run import allocate
from algorithms.pruning.subject import weight_of
from dataflow.errors import InputError
from dataflow.pattern import NM
from hwsim.cli.prune import machine_costs
from hwsim.core.machine import find
from tests.support.cli import run
from tests.support.tiny_language import Letters, tiny_llama, use_tiny


def test_one_threshold_may_empty_a_layer_and_a_least_share_does_not() -> None:
    layers = {"a": torch.tensor([10.0, -9, 8, 7]), "b": torch.tensor([1.0, 2, -3, 4])}
    assert global_magnitude(layers, Fraction(1, 4), 0.0) == {"a": Fraction(1, 2), "b": 0}
    assert global_magnitude(layers, Fraction(1, 4), 0.25) == {"a": Fraction(1, 4), "b": Fraction(1, 4)}
    with pytest.raises(InputError, match=r"60\.00% of each layer is more than a density of 25\.00%"):
        global_magnitude(layers, Fraction(1, 4), 0.6)


@pytest.mark.parametrize("density", [Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)])
def test_global_shares_sum_to_the_budget_and_are_one_threshold(density: Fraction) -> None:
    rng = torch.Generator().manual_seed(0)
    layers = {str(i): torch.randint(-9, 9, (3, 5 + i), generator=rng).float() * (i + 1) for i in range(4)}
    total = sum(w.numel() for w in layers.values())
    for shares, magnitudes in ((global_magnitude(layers, density, 0.0), layers), (lamp(layers, density), None)):
        assert sum(shares[name] * layers[name].numel() for name in layers) == round(density * total)
        if magnitudes is not None:
            kept = [sorted(w.abs().flatten().tolist(), reverse=True) for w in layers.values()]
            counts = [int(shares[name] * layers[name].numel()) for name in layers]
            lowest = min(k[n - 1] for k, n in zip(kept, counts, strict=True) if n)
            assert all(k[n] <= lowest for k, n in zip(kept, counts, strict=True) if n < len(k))


def test_lamp_is_its_definition() -> None:
    """Scores by loops: w^2 over the sum of squares of all that are not smaller."""
    rng = torch.Generator().manual_seed(1)
    layers = {str(i): torch.randn(4, 6, generator=rng) * (i + 1) for i in range(3)}
    scored = []
    for name, weight in layers.items():
        squares = sorted(float(w) ** 2 for w in weight.flatten())
        scored += [(square / sum(squares[i:]), name) for i, square in enumerate(squares)]
    best = sorted(scored, reverse=True)[:36]
    wanted = {name: Fraction(sum(n == name for _, n in best), 24) for name in layers}
    assert lamp(layers, Fraction(1, 2)) == wanted
    large = {name: weight * 1000 if name == "0" else weight for name, weight in layers.items()}
    assert lamp(large, Fraction(1, 2)) == wanted  # a layer's scale does not matter


def test_erk_by_hand_and_full_layers_give_the_rest_to_others() -> None:
    assert erk({"a": (4, 4), "b": (8, 8)}, Fraction(3, 10)) == {"a": Fraction(1, 2), "b": Fraction(1, 4)}
    found = erk({"a": (2, 2), "b": (64, 64), "c": (32, 128)}, Fraction(1, 2))
    assert found["a"] == 1
    assert 4 * found["a"] + 4096 * (found["b"] + found["c"]) == Fraction(1, 2) * 8196
    assert found["b"] / found["c"] == Fraction(128, 160)


def test_pq_index_by_hand() -> None:
    one = torch.tensor([1.0, 0, 0, 0])
    assert (pq_index(one), needed(one)) == (pytest.approx(0.75), pytest.approx(1))
    assert pq_index(torch.ones(5)) == pytest.approx(0)
    assert needed(torch.ones(5)) == pytest.approx(5)
    rng = torch.Generator().manual_seed(2)
    w = torch.randn(60, generator=rng)
    assert pq_index(w) == pytest.approx(pq_index(-7 * w.flip(0)))  # neither scale, sign nor order
    layers = {"a": torch.randn(20, 10, generator=rng), "b": torch.randn(20, 10, generator=rng).pow(5)}
    for density in (Fraction(1, 2), Fraction(1, 5)):
        found = sap(layers, density)
        assert float(found["a"] + found["b"]) / 2 == pytest.approx(float(density))
        assert found["b"] < found["a"]  # sparser already: more goes
    with pytest.raises(InputError, match="at most 90% are removed"):
        sap(layers, Fraction(1, 20))


def test_farms_by_hand() -> None:
    assert tail_exponent(torch.tensor([1.0, math.e, math.e**2]), 1.0) == pytest.approx(2)
    found = sparsities({"a": 2.0, "b": 3.0, "c": 4.0}, dict.fromkeys("abc", 10), 0.7)
    assert [found[k] for k in "abc"] == pytest.approx([0.56, 0.70, 0.84])
    most = sparsities({"a": 2.0, "b": 3.0, "c": 4.0}, {"a": 10, "b": 10, "c": 10}, 0.9)
    assert most["c"] == 0.998
    assert sum(most.values()) / 3 == pytest.approx(0.9)
    weight = torch.randn(40, 48, generator=torch.Generator().manual_seed(3))
    whole = window_eigenvalues(weight[:4, :8], rows=4, steps=3)  # one window: the matrix itself
    torch.testing.assert_close(whole.sort().values, torch.linalg.eigvalsh(weight[:4, :8] @ weight[:4, :8].T))
    assert len(window_eigenvalues(weight, rows=8, steps=3)) == 9 * 8
    layers = {"0.q": weight, "0.k": weight.pow(3), "1.q": weight.pow(5), "1.k": weight}
    shares = farms(layers, Fraction(3, 10))
    assert shares["0.q"] == shares["0.k"] != shares["1.q"]
    assert float(sum(shares.values())) / 4 == pytest.approx(0.3)


def test_ecoflap_by_hand() -> None:
    assert keep({"a": 3.0, "b": 1.0}, {"a": 100, "b": 100}, 100, 0.8) == {"a": 65, "b": 35}
    assert keep({"a": 1.0, "b": 1.0}, {"a": 100, "b": 100}, 100, 0.8) == {"a": 50, "b": 50}
    assert keep({"a": 99.0, "b": 1.0}, {"a": 50, "b": 100}, 100, 0.8) == {"a": 50, "b": 50}  # a is whole


@pytest.mark.parametrize("seed", range(10))
def test_ecoflap_meets_its_budget_within_its_limits(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    sizes = {str(i): int(torch.randint(1, 60, (1,), generator=rng)) for i in range(6)}
    values = {n: float(torch.rand(1, generator=rng)) for n in sizes}
    total = sum(sizes.values())
    for budget in (total, total // 2, -(-4 * total // 10) + 6):
        kept = keep(values, sizes, min(budget, total), 0.6)
        assert sum(kept.values()) == min(budget, total)
        assert all(0 <= kept[n] <= sizes[n] for n in sizes)
        assert all(kept[n] >= math.floor(0.4 * sizes[n]) for n in sizes)


def test_ecoflap_scores_are_slopes_along_the_draws_and_the_model_stays() -> None:
    mine = subject()
    blocks = {"layers.0": ["layers.0.q", "layers.0.up"], "layers.1": ["layers.1.down"]}
    before = {n: weight_of(m).clone() for n, m in mine.layers().items()}
    found = scores(mine, blocks, seed=2, draws=1, epsilon=1e-3)
    assert all(torch.equal(weight_of(m), before[n]) for n, m in mine.layers().items())
    sample = torch.cat(mine.calibration(2))[:1]
    for number, (block, names) in enumerate(blocks.items()):
        weights = [weight_of(mine.layers()[n]) for n in names]
        rng = torch.Generator().manual_seed(1_000_003 * 2 + 1009 * number)
        noise = [torch.randn(w.shape, generator=rng) for w in weights]
        for w in weights:
            w.requires_grad_(True)
        slopes = torch.autograd.grad(mine.loss(sample), weights)
        along = sum(float((g * z).sum()) for g, z in zip(slopes, noise, strict=True))
        assert found[block] == pytest.approx(abs(along) * sum(float(z.abs().sum()) for z in noise), rel=0.05)


def test_the_papers_example() -> None:
    losses = {"1": {str(k): float(v) for k, v in enumerate((16, 9, 4, 1, 0))},
              "2": {str(k): float(v) for k, v in enumerate((5, 1, 0, 0, 0))}}  # fmt: skip
    costs = {name: {str(k): float(k) for k in range(5)} for name in losses}
    for budget, wanted, loss in ((6, {"1": "4", "2": "2"}, 0), (4, {"1": "3", "2": "1"}, 2)):
        found = dynamic_program(losses, costs, budget)
        assert sum(losses[name][level] for name, level in found.items()) == loss
        assert found == wanted
    with pytest.raises(InputError, match="a budget of 1: the cheapest patterns cost 2 already"):
        dynamic_program(losses, {name: {k: v + 1 for k, v in by.items()} for name, by in costs.items()}, 1)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_dynamic_programming_is_exhaustive_search(seed: int, whole: bool) -> None:
    """Exactly of integers; of other costs never above the budget, and as good within a bucket a layer."""
    rng = torch.Generator().manual_seed(seed)
    names, levels = "abcd", [str(i) for i in range(4)]

    def draw(scale: float) -> float:
        value = float(torch.rand(1, generator=rng)) * scale
        return float(round(value)) if whole else value

    losses = {n: {k: draw(100) for k in levels} for n in names}
    costs = {n: {k: draw(30) for k in levels} for n in names}
    every = [dict(zip(names, choice, strict=True)) for choice in itertools.product(levels, repeat=4)]
    spent = [sum(costs[n][k] for n, k in choice.items()) for choice in every]
    budget = sorted(spent)[len(spent) // 3]
    found = dynamic_program(losses, costs, budget, buckets=200 if whole else 100_000)
    loss = sum(losses[n][k] for n, k in found.items())
    assert sum(costs[n][k] for n, k in found.items()) <= budget + 1e-9
    slack = 0 if whole else 4 * budget / 100_000
    best = min(
        sum(losses[n][k] for n, k in choice.items())
        for choice, cost in zip(every, spent, strict=True)
        if cost <= budget - slack
    )
    assert loss <= best + 1e-9
    if whole:
        assert loss == pytest.approx(best)


def subject(samples: int = 4) -> LanguageModel:
    return LanguageModel(tiny_llama(), Letters(), length=32, samples=samples, tokens=500)


def test_losses_are_those_of_one_layer_alone() -> None:
    levels = [NM(1, 1), NM(2, 4), NM(1, 8), NM(2, 7)]
    mine = subject()
    before = {name: weight_of(m).clone() for name, m in mine.layers().items()}
    found = distortions(mine, pruning_method("wanda"), levels)
    assert all(torch.equal(weight_of(m), before[name]) for name, m in mine.layers().items())
    assert {tuple(by) for by in found.values()} == {("dense", "2:4", "1:8")}  # 2:7 fits none
    x = list(torch.cat(mine.calibration(0))[:2].split(1))
    with torch.no_grad():
        wanted = features(mine, x)
        for name in ("layers.0.k", "layers.1.down"):
            other = subject()
            prune(other, pruning_method("wanda"), {name: NM(2, 4)}, order="dense")
            lost = sum(float((a - b).square().sum()) for a, b in zip(features(other, x), wanted, strict=True))
            assert found[name]["2:4"] == pytest.approx(lost / sum(float(b.square().sum()) for b in wanted), rel=1e-3)
            assert 0 < found[name]["2:4"] < found[name]["1:8"]


def test_an_allocation_by_loss_spends_its_budget_and_loses_less_than_the_uniform_one() -> None:
    config = PruneConfig(allocation="rd", pattern="2:8", method="sparsegpt", levels=("dense", "4:8", "2:8", "1:8"))
    method = pruning_method("sparsegpt")
    mine = subject()
    patterns, facts = allocate(mine, method, NM(2, 8), config)
    assert isinstance(patterns, dict)
    assert facts["unit"] == "parameters"
    assert 0.9 * facts["budget"] < facts["spent"] <= facts["budget"]
    losses = distortions(mine, method, [NM(4, 8), NM(2, 8), NM(1, 8)])
    assert facts["expected_loss"] == pytest.approx(sum(losses[n][str(p)] for n, p in patterns.items()))
    assert facts["expected_loss"] < sum(by["2:8"] for by in losses.values())
    assert len({str(p) for p in patterns.values()}) > 1
    _, results = prune(mine, method, patterns)
    assert sum(r.kept for r in results) == facts["spent"]
    assert all(r.pattern == str(patterns[r.name]) for r in results)


@pytest.mark.parametrize("what", ["cycles", "energy"])
def test_a_machines_budget_is_what_it_takes(what: str) -> None:
    """The costs of layers at one level are those of the whole network's run; the chosen patterns take no more."""
    mine = subject()
    network = mine.network("decode")
    names = list(mine.layers())
    costs = machine_costs(f"tensor24:{what}")(network, names, ["dense", "2:4"])
    kind = find("tensor24")
    run = kind.settings({"phase": "decode", "context": 32, "passes": ["FF"], "batch": 1})
    result = kind.simulate(run, workload=network)
    energies = result.energy_rows()
    for number, row in enumerate(result.records):
        if row["layer"] in names:
            assert costs[row["layer"]]["dense"] == (
                sum(energies[number].values()) if what == "energy" else row["cycles"]
            )
    assert all(by["2:4"] != by["dense"] for by in costs.values())
    config = PruneConfig(allocation="rd", pattern="2:4", levels=("dense", "2:4"), budget=f"tensor24:{what}")
    _, facts = allocate(mine, pruning_method("wanda"), NM(2, 4), config, costs=machine_costs(config.budget))
    assert facts["spent"] <= facts["budget"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"allocation": "erk", "pattern": "2:4"}, "allocation erk: of a share removed, as 50%; for pattern 2:4: rd"),
        ({"allocation": "rd", "pattern": "50%"}, "allocation rd: chooses N:M patterns"),
        ({"allocation": "rd", "levels": ["50%"]}, "levels: 50%: rd chooses among N:M patterns and dense"),
        ({"allocation": "rd", "budget": "sat:cycles"}, "budget: sat:cycles: parameters, or"),
        ({"allocation": "rd", "method": "gblm"}, "allocation rd: not with a method that needs gradients"),
    ],
)
def test_what_does_not_go_together_is_one_line(fields: dict, reason: str) -> None:
    config = PruneConfig(**fields)
    with pytest.raises(InputError, match=reason):
        allocate(subject(), pruning_method(config.method), parse_pattern(config.pattern), config)


def test_shares_by_layer_reach_the_budget_through_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    use_tiny(monkeypatch, tmp_path)
    short = ["--samples", "2", "--tokens", "300", "--set", "length=32", "--json"]
    for name in ("global", "erk", "lamp", "pqi", "farms", "ecoflap"):
        assert run(monkeypatch, "prune", "--method", "magnitude", "--pattern", "70%", "--allocation", name, *short) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["density"] == pytest.approx(0.3, abs=2e-3)
        assert len({layer["pattern"] for layer in told["layers"]}) > 1
    assert run(monkeypatch, "prune", "--allocation", "rd", "--budget", "sat:cycles", "--pattern", "4:8", *short) == 0
    assert json.loads(capsys.readouterr().out)["allocation"]["unit"] == "sat:cycles"
    assert run(monkeypatch, "prune", "--allocation", "rd", "--budget", "sat:cycle", *short) == 2
    assert "budget sat: of it 'cycle': did you mean cycles?" in capsys.readouterr().err


def test_weights_kept_are_counted() -> None:
    assert weights_kept({"a": (4, 8)}, {"2:8": Fraction(1, 4), "dense": 1}) == {"a": {"2:8": 8.0, "dense": 32.0}}
