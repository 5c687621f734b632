# SPDX-License-Identifier: Apache-2.0
"""Pruning: hand examples, invariants, naive twins of the methods, and a small model pruned stage by stage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from algorithms.pruning.dpruner import DPruner
from algorithms.pruning.dsnot import DSnoT
from algorithms.pruning.gblm import GBLM
from algorithms.pruning.icbs import ICBS
from algorithms.pruning.magnitude import Magnitude
from algorithms.pruning.mask import Masks
from algorithms.pruning.method import (
    PRUNING_METHODS,
    Filters,
    Gradients,
    Inputs,
    Layer,
    Pruned,
    PruningMethod,
    pruning_method,
)
from algorithms.pruning.obert import OBert
from algorithms.pruning.patterns import Unstructured, parse_pattern
from algorithms.pruning.prune import gradients_of, prune
from algorithms.pruning.reconstruct import Reconstruct
from algorithms.pruning.selection import select
from algorithms.pruning.sparsegpt import SparseGPT
from algorithms.pruning.subject import Row, Subject, as_matrix, as_rows, as_weight
from algorithms.pruning.wanda import Wanda
from dataflow.errors import InputError
from dataflow.networks.network import Linear, Network, Phase
from dataflow.pattern import NM
from tests.support.plugin import installed

HALF = parse_pattern("50%")


def layer(weight: Tensor, x: Tensor, slopes: Tensor | None = None) -> Layer:
    """A layer with its inputs, and gradients [samples, out, in] (none given: the weights themselves, one sample)."""
    inputs, gradients = Inputs(weight.shape[1], classes=2), Gradients(tuple(weight.shape))
    inputs.add(x, classes=torch.arange(len(x)) % 2)
    each = weight[None] if slopes is None else slopes
    for gradient in each:
        gradients.add(gradient)
    block = math.gcd(weight.shape[1], 32)
    g = each.unflatten(2, (-1, block)).movedim(0, 2)  # [out, blocks, samples, block]
    filters = Filters(x.T, x.mean(0))
    return Layer("one", weight, inputs, gradients, gradients, g.transpose(2, 3) @ g / len(each), gradients, filters)


def loss(before: Tensor, after: Tensor, x: Tensor) -> float:
    return float(((after - before) @ x.T).double().pow(2).sum())


# --- selection


@pytest.mark.parametrize("scope", ["row", "layer"])
@pytest.mark.parametrize("sparsity", ["0%", "50%", "33.3%", "70%", "99%"])
def test_exactly_so_many_are_removed_and_ties_stay_by_lower_index(scope: str, sparsity: str) -> None:
    rng = torch.Generator().manual_seed(0)
    for rows, cols in ((1, 1), (3, 7), (8, 40)):
        scores = torch.randint(-3, 3, (rows, cols), generator=rng).float()  # many ties
        pattern = parse_pattern(sparsity)
        mask = select(scores, pattern, scope)  # type: ignore[arg-type]  # a Scope
        lines = scores.reshape(1, -1) if scope == "layer" else scores
        for line, kept in zip(lines.tolist(), mask.reshape(lines.shape).tolist(), strict=True):
            order = sorted(range(len(line)), key=lambda i: (-line[i], i))
            stay = set(order[: len(line) - int(pattern.sparsity * len(line))])  # type: ignore[union-attr]
            assert [i in stay for i in range(len(line))] == kept


@pytest.mark.parametrize("low", [-3, 0])
def test_groups_keep_their_highest_of_any_sign(low: int) -> None:
    scores = torch.randint(low, 3, (5, 24), generator=torch.Generator().manual_seed(1)).float()
    mask = select(scores, NM(2, 8))
    for row, kept in zip(scores.tolist(), mask.tolist(), strict=True):
        for start in range(0, 24, 8):
            order = sorted(range(start, start + 8), key=lambda i: (-row[i], i))
            assert [i for i in range(start, start + 8) if kept[i]] == sorted(order[:2])


def test_blocks_stay_or_go_whole() -> None:
    scores = torch.tensor([[1.0, 1, 0, 3, 1, 0, 0, 0], [5, 0, 0, 0, 9, 9, 9, 9]])
    mask = select(scores, parse_pattern("block4-50%"), "layer")
    assert mask.tolist() == [[True] * 4 + [False] * 4, [False] * 4 + [True] * 4]


@pytest.mark.parametrize("text", ["2:4", "50%", "70%", "12.5%", "block4-50%", "dense"])
def test_patterns_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_pattern(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [("0.5", "write N:M"), ("5:4", "N must be at most M"), ("block0-50%", "at least 1 weight"), ("150%", "write N:M")],
)
def test_other_patterns_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_pattern(text)


def test_a_pattern_that_does_not_fit_or_a_score_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="6 input channels, no multiple of 4"):
        select(torch.ones(2, 6), NM(2, 4))
    with pytest.raises(InputError, match="a score is NaN"):
        select(torch.tensor([[1.0, float("nan")]]), HALF)


# --- methods


def test_magnitude_keeps_the_largest() -> None:
    weight = torch.tensor([[3.0, -4, 1, 2, 0, 0, -1, 1]])
    found = Magnitude().prune(Layer("one", weight), NM(2, 4))
    assert found.weight.tolist() == [[3, -4, 0, 0, 0, 0, -1, 1]]
    assert Magnitude().prune(Layer("one", weight), NM(1, 4)).mask.nonzero()[:, 1].tolist() == [1, 6]


def test_wanda_by_hand() -> None:
    weight = torch.tensor([[4.0, 0, 1, -1], [3, -2, -1, -3], [-3, 1, 0, 2]])
    found = Wanda().prune(layer(weight, torch.diag(torch.tensor([1.0, 2, 8, 3]))), HALF)
    assert [row.nonzero().flatten().tolist() for row in found.mask] == [[0, 2], [2, 3], [0, 3]]
    assert torch.equal(found.weight, weight * found.mask)


@pytest.mark.parametrize("pattern", [NM(2, 4), HALF])
def test_wanda_is_magnitude_of_equal_inputs_and_does_not_see_scales(pattern: NM | Unstructured) -> None:
    rng = torch.Generator().manual_seed(0)
    weight, x = torch.randn(6, 16, generator=rng), torch.randn(50, 16, generator=rng)
    equal = Wanda().prune(layer(weight, torch.eye(16)), pattern).mask
    assert torch.equal(equal, select(weight.abs(), pattern, "row"))
    scale = 2.0 ** torch.arange(-8, 8)
    assert torch.equal(
        Wanda().prune(layer(weight, x), pattern).mask, Wanda().prune(layer(weight / scale, x * scale), pattern).mask
    )


def test_sparsegpt_by_hand() -> None:
    """H = [[1, rho], [rho, 1]], w = (2, 1), the first removed: w1 := 1 + 2 rho; the loss is w0^2 / [H^-1]_00 = 3."""
    rho = 0.5
    root = torch.linalg.cholesky(torch.tensor([[1.0, rho], [rho, 1.0]]))
    x = root.T  # X^T X = H up to the factor 2 / n
    for weight, kept in (((2.0, 1.0), 1), ((0.2, 3.0), 1)):
        w = torch.tensor([weight])
        found = SparseGPT(damping=0.0).prune(layer(w, x), NM(1, 2))
        score = [w[0, 0] ** 2 * (1 - rho**2), w[0, 1] ** 2]  # w^2 over the inverse's diagonal, of what remains
        assert found.mask[0].tolist() == [score[0] >= score[1], score[0] < score[1]]
        if not found.mask[0, 0]:
            assert found.weight[0, kept] == pytest.approx(weight[1] + rho * weight[0])
            assert loss(w, found.weight, x) == pytest.approx(weight[0] ** 2 * (1 - rho**2))


def obs(weight: Tensor, hessian: Tensor, pattern: NM) -> tuple[Tensor, Tensor]:
    """SparseGPT without a factorization: the inverse of what remains is computed anew for each column."""
    w, mask = weight.double().clone(), torch.ones_like(weight, dtype=torch.bool)
    n = w.shape[1]
    for j in range(n):
        if j % pattern.m_group == 0:
            part = range(j, j + pattern.m_group)
            diagonal = torch.stack([torch.linalg.inv(hessian[i:, i:])[0, 0] for i in part])
            mask[:, j : j + pattern.m_group] = select((w[:, j : j + pattern.m_group] ** 2 / diagonal), pattern)
        inverse = torch.linalg.inv(hessian[j:, j:])
        for row in range(len(w)):
            if not mask[row, j]:
                w[row, j:] -= w[row, j] / inverse[0, 0] * inverse[0]
    return w * mask, mask


@pytest.mark.parametrize(("pattern", "block"), [(NM(2, 4), 128), (NM(2, 4), 8), (NM(1, 8), 4), (NM(2, 8), 16)])
def test_sparsegpt_is_the_optimal_brain_surgeon_column_by_column(pattern: NM, block: int) -> None:
    rng = torch.Generator().manual_seed(2)
    mix = torch.randn(24, 24, generator=rng) / 5 + torch.eye(24)
    weight, x = torch.randn(7, 24, generator=rng), torch.randn(200, 24, generator=rng) @ mix
    found = SparseGPT(damping=0.02, block=block).prune(layer(weight, x), pattern)
    hessian = 2 / len(x) * (x.T @ x).double()
    hessian += 0.02 * hessian.diagonal().mean() * torch.eye(24)
    wanted, mask = obs(weight, hessian, pattern)
    assert torch.equal(found.mask, mask)
    torch.testing.assert_close(found.weight, wanted.float(), atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("pattern", [NM(2, 4), NM(2, 8), HALF, parse_pattern("block4-50%")])
def test_sparsegpt_updates_for_the_better_and_not_at_all_where_inputs_are_independent(
    pattern: NM | Unstructured,
) -> None:
    rng = torch.Generator().manual_seed(3)
    weight, mix = torch.randn(16, 32, generator=rng), torch.randn(32, 32, generator=rng)
    x = torch.randn(300, 32, generator=rng) @ mix
    found = SparseGPT().prune(layer(weight, x), pattern)
    assert loss(weight, found.weight, x) < loss(weight, weight * found.mask, x)
    assert loss(weight, found.weight, x) < loss(weight, Wanda().prune(layer(weight, x), pattern).weight, x)
    alone = SparseGPT().prune(layer(weight, torch.eye(32)), pattern)
    assert torch.equal(alone.weight, weight * select(weight**2, pattern, "layer"))


def test_an_input_that_is_always_0_loses_its_weights_and_too_few_tokens_are_said() -> None:
    rng = torch.Generator().manual_seed(4)
    weight, x = torch.randn(4, 8, generator=rng), torch.randn(40, 8, generator=rng)
    x[:, 2] = 0
    assert not SparseGPT().prune(layer(weight, x), NM(2, 4)).weight[:, 2].any()
    with pytest.raises(InputError, match="layer one: the inputs' Hessian is singular: more calibration tokens"):
        SparseGPT(damping=0.0).prune(layer(weight, x[:3] + 1.0), NM(2, 4))


def test_gblm_by_hand_and_without_gradients_it_is_wanda() -> None:
    """W = (1, 1), norms (1, 1), G = (0, 0.01), alpha 100: S = (1, 2)."""
    weight, x = torch.ones(1, 2), torch.eye(2)
    slopes = torch.tensor([[[0.0, 0.01]]])
    assert GBLM().prune(layer(weight, x, slopes), NM(1, 2)).mask.tolist() == [[False, True]]
    assert GBLM(alpha=1e-4).prune(layer(torch.tensor([[1.1, 1.0]]), x, slopes), NM(1, 2)).mask.tolist() == [
        [True, False]
    ]
    rng = torch.Generator().manual_seed(7)
    weight, x = torch.randn(6, 16, generator=rng), torch.randn(50, 16, generator=rng)
    none = layer(weight, x, torch.zeros(3, 6, 16))
    assert torch.equal(GBLM().prune(none, NM(2, 4)).mask, Wanda().prune(none, NM(2, 4)).mask)
    slopes = torch.randn(4, 6, 16, generator=rng)
    for norm, value in (("l1", slopes.abs().mean(0)), ("l2", slopes.pow(2).mean(0).sqrt())):
        scores = weight.abs() * (x.norm(dim=0) + 3.0 * value)
        found = GBLM(alpha=3.0, norm=norm).prune(layer(weight, x, slopes), NM(2, 8)).mask
        assert torch.equal(found, select(scores, NM(2, 8)))
    twice = layer(weight, x, slopes.repeat(2, 1, 1))  # the same samples again: the same mask
    twice.known.add(x)
    assert torch.equal(GBLM().prune(twice, NM(2, 4)).mask, GBLM().prune(layer(weight, x, slopes), NM(2, 4)).mask)
    with pytest.raises(InputError, match="option norm: l1 or l2"):
        GBLM(norm="l3").prune(none, NM(2, 4))


def swaps(weight: Tensor, x: Tensor, mask: Tensor, group: int, threshold: float = 0.1, cycles: int = 50) -> Tensor:
    """DSnoT with loops over rows and weights."""
    mask, mean, variance, norm = mask.clone(), x.mean(0), x.var(0, unbiased=False), x.norm(dim=0)
    for r, w in enumerate(weight):
        effect = w * mean
        for _ in range(cycles):
            error = float(effect[~mask[r]].sum())
            if abs(error) <= threshold:
                break
            sign, choices = 1 if error > 0 else -1, []
            for j in range(len(w)):
                start = j // group * group
                out = [k for k in range(start, start + group) if mask[r, k] and effect[k] * sign < 0]
                if not mask[r, j] and out and effect[j] * sign > 0:
                    choices.append(
                        (float(sign * effect[j] / variance[j]), -j, min(out, key=lambda k: float(abs(w[k]) * norm[k])))
                    )
            if not choices:
                break
            _, j, k = max(choices)
            after = error - float(effect[-j]) + float(effect[k])
            if after * sign < 0 or abs(after) >= abs(error):
                break
            mask[r, -j], mask[r, k] = True, False
    return mask


@pytest.mark.parametrize("pattern", [NM(2, 4), NM(2, 8), HALF])
def test_dsnot_is_its_loops_and_the_mean_error_never_grows(pattern: NM | Unstructured) -> None:
    rng = torch.Generator().manual_seed(8)
    weight, x = torch.randn(20, 32, generator=rng), torch.randn(60, 32, generator=rng) + 0.7
    start = Wanda().prune(layer(weight, x), pattern).mask
    group = pattern.m_group if isinstance(pattern, NM) else 32
    found = DSnoT().prune(layer(weight, x), pattern)
    assert torch.equal(found.mask, swaps(weight, x, start, group))
    assert not torch.equal(found.mask, start)
    assert torch.equal(found.weight, weight * found.mask)
    before, after = ((weight * x.mean(0) * ~m).sum(1).abs() for m in (start, found.mask))
    assert (after <= before + 1e-6).all()
    assert float(after.sum()) < 0.8 * float(before.sum())
    assert torch.equal(found.mask.unflatten(1, (-1, group)).sum(2), start.unflatten(1, (-1, group)).sum(2))


def test_dsnot_by_hand_and_where_inputs_have_no_mean_nothing_moves() -> None:
    """w = (1, 2, 3, -4), means and variances 1, {0, 1} removed: e = 3. Weight 1 back: e = 1; without -4: -3, turned:
    the row stays. With -1 in its place e = 3 - 2 - 1 = 0."""
    x = torch.tensor([[0.0] * 4, [2.0] * 4])
    for last, wanted in ((-4.0, [False, False, True, True]), (-1.0, [False, True, True, False])):
        weight = torch.tensor([[1.0, 2.0, 3.0, last]])
        start = torch.tensor([[False, False, True, True]])
        assert DSnoT().swapped(layer(weight, x), start, 4).tolist() == [wanted]
    rng = torch.Generator().manual_seed(9)
    weight, x = torch.randn(20, 32, generator=rng), torch.randn(40, 32, generator=rng)
    still = torch.cat([x, -x])
    assert torch.equal(
        DSnoT().prune(layer(weight, still), NM(2, 4)).mask, Wanda().prune(layer(weight, still), NM(2, 4)).mask
    )
    skipped = layer(weight, x + 1)
    skipped.name = "layers.0.up"
    assert torch.equal(DSnoT(skip="gate, up").prune(skipped, NM(2, 4)).mask, Wanda().prune(skipped, NM(2, 4)).mask)
    assert not torch.equal(DSnoT().prune(skipped, NM(2, 4)).mask, Wanda().prune(skipped, NM(2, 4)).mask)
    with pytest.raises(InputError, match="option start: a method that gives a mask"):
        DSnoT(start="dsnot").prune(skipped, NM(2, 4))


@pytest.mark.parametrize("pattern", [NM(2, 4), NM(1, 8), HALF, parse_pattern("block4-50%")])
def test_reconstruction_is_least_squares_row_by_row(pattern: NM | Unstructured) -> None:
    rng = torch.Generator().manual_seed(10)
    mix = torch.randn(32, 32, generator=rng) / 4 + torch.eye(32)
    weight, x = torch.randn(9, 32, generator=rng), torch.randn(200, 32, generator=rng) @ mix
    found = Reconstruct(damping=0.0, steps=100).prune(layer(weight, x), pattern)
    start = Wanda().prune(layer(weight, x), pattern)
    assert torch.equal(found.mask, start.mask)
    for row, kept, mine in zip(weight, found.mask, found.weight, strict=True):
        best = torch.linalg.lstsq(x[:, kept].double(), (x @ row).double()[:, None]).solution[:, 0]
        torch.testing.assert_close(mine[kept].double(), best, atol=2e-3, rtol=2e-3)
    losses = [loss(weight, start.weight, x)]
    for steps in (1, 3, 10, 30):
        losses.append(loss(weight, Reconstruct(steps=steps).prune(layer(weight, x), pattern).weight, x))
    assert losses == sorted(losses, reverse=True)
    gpt = SparseGPT().prune(layer(weight, x), pattern)
    mine = Reconstruct(start="sparsegpt").prune(layer(weight, x), pattern)
    assert loss(weight, mine.weight, x) < loss(weight, gpt.weight, x)
    with pytest.raises(InputError, match="option start: a method that gives a mask"):
        Reconstruct(start="reconstruct").prune(layer(weight, x), pattern)


def woodbury(gradients: Tensor, damping: float) -> Tensor:
    """F^-1 by one gradient after the other, as oBERT's paper has it."""
    inverse = torch.eye(gradients.shape[1], dtype=torch.float64) / damping
    for g in gradients.double():
        turned = inverse @ g
        inverse -= torch.outer(turned, turned) / (len(gradients) + g @ turned)
    return inverse


def test_obert_by_hand() -> None:
    """g = (1, 0), lambda 1: F^-1 = diag(1/2, 1), so w = (1, 1) has the scores 1 and 1/2."""
    weight, slopes = torch.ones(1, 2), torch.tensor([[[1.0, 0.0]]])
    torch.testing.assert_close(woodbury(slopes[:, 0], 1.0), torch.diag(torch.tensor([0.5, 1.0], dtype=torch.float64)))
    method = OBert(damping=1.0)
    known = layer(weight, torch.eye(2), slopes)
    inverse = torch.linalg.inv(known.curvature + torch.eye(2))
    assert method.scores(weight, inverse, 1).tolist() == [[1.0, 0.5]]
    assert method.prune(known, NM(1, 2)).mask.tolist() == [[True, False]]
    assert method.prune(known, HALF).mask.tolist() == [[True, False]]


@pytest.mark.parametrize("pattern", [NM(2, 4), NM(2, 8), HALF, parse_pattern("block4-50%")])
def test_obert_is_its_formulas_with_loops(pattern: NM | Unstructured) -> None:
    """Scores, N:M groups weight by weight, and the update, each from an inverse that is made for it."""
    rng = torch.Generator().manual_seed(11)
    weight, slopes = torch.randn(3, 64, generator=rng), torch.randn(12, 3, 64, generator=rng)
    method = OBert(damping=0.05)
    found = method.prune(layer(weight, torch.eye(64), slopes), pattern)
    inverses = [[woodbury(slopes[:, r, c : c + 32], 0.05) for c in (0, 32)] for r in range(3)]
    if isinstance(pattern, NM):
        mask = torch.ones(3, 64, dtype=torch.bool)
        for r, start in itertools.product(range(3), range(0, 64, pattern.m_group)):
            at = start % 32
            inverse = inverses[r][start // 32][at : at + pattern.m_group, at : at + pattern.m_group].clone()
            w, here = weight[r, start : start + pattern.m_group].double().clone(), list(range(pattern.m_group))
            for _ in range(pattern.m_group - pattern.n_keep):
                gone = min(here, key=lambda i: (float(w[i] ** 2 / inverse[i, i]), -i))
                w -= inverse[:, gone] * w[gone] / inverse[gone, gone]
                inverse -= torch.outer(inverse[:, gone], inverse[gone]) / inverse[gone, gone]
                here.remove(gone)
            mask[r, [start + i for i in range(pattern.m_group) if i not in here]] = False
    else:
        size = pattern.block
        scores = torch.zeros(3, 64 // size)
        for r, k in itertools.product(range(3), range(64 // size)):
            at = k * size % 32
            part = inverses[r][k * size // 32][at : at + size, at : at + size]
            w = weight[r, k * size : (k + 1) * size].double()
            scores[r, k] = 0.5 * w @ torch.linalg.inv(part) @ w
        mask = select(scores, parse_pattern("50%"), "layer").repeat_interleave(size, 1)
    assert torch.equal(found.mask, mask)
    for r, c in itertools.product(range(3), (0, 1)):
        inverse, w = inverses[r][c], weight[r, 32 * c : 32 * c + 32].double()
        gone = (~mask[r, 32 * c : 32 * c + 32]).nonzero().flatten()
        moved = w - inverse[:, gone] @ torch.linalg.inv(inverse[gone][:, gone]) @ w[gone]
        torch.testing.assert_close(found.weight[r, 32 * c : 32 * c + 32].double(), moved, atol=2e-3, rtol=2e-3)


def test_obert_without_gradients_is_magnitude_and_wrong_sizes_are_told() -> None:
    weight = torch.randn(4, 32, generator=torch.Generator().manual_seed(12))
    still = layer(weight, torch.eye(32), torch.zeros(2, 4, 32))
    assert torch.equal(OBert().prune(still, NM(2, 4)).weight, Magnitude().prune(still, NM(2, 4)).weight)
    with pytest.raises(InputError, match="method obert: layer one: groups of 16 in Fisher blocks of 8"):
        OBert().prune(layer(torch.randn(2, 40), torch.eye(40)), NM(2, 16))


def test_dpruner_mixes_two_importances_and_its_ends_are_each_alone() -> None:
    rng = torch.Generator().manual_seed(13)
    weight, slopes = torch.randn(6, 16, generator=rng), torch.randn(2, 5, 6, 16, generator=rng)
    known = layer(weight, torch.eye(16), slopes[0])
    known.general = Gradients((6, 16))
    for gradient in slopes[1]:
        known.general.add(gradient)
    alone = []
    for each in slopes:
        taylor = (each.mean(0) * weight - 0.5 * each.pow(2).mean(0) * weight**2).abs()
        alone.append(taylor / taylor.mean())
    for share, scores in ((0.0, alone[0]), (1e9, alone[1]), (2.0, (alone[0] + 2 * alone[1]) / 3)):
        assert torch.equal(DPruner(weight=share).prune(known, NM(2, 4)).mask, select(scores, NM(2, 4)))
    with pytest.raises(InputError, match="option weight: at least 0"):
        DPruner(weight=-1.0).prune(known, NM(2, 4))


def test_a_model_with_one_domain_is_told() -> None:
    with pytest.raises(InputError, match="small: its data has one domain"):
        prune(Small(), DPruner(), NM(2, 4))


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_sparsegpt_rounds_in_the_same_pass_for_the_better(bits: int) -> None:
    rng = torch.Generator().manual_seed(14)
    weight, mix = torch.randn(16, 32, generator=rng), torch.randn(32, 32, generator=rng)
    x = torch.randn(300, 32, generator=rng) @ mix
    found = SparseGPT(bits=bits).prune(layer(weight, x), NM(2, 4))
    scale = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    steps = found.weight / scale
    torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
    assert steps.abs().max() <= 2 ** (bits - 1) - 1 + 1e-3
    assert not found.weight[~found.mask].any()
    plain = SparseGPT().prune(layer(weight, x), NM(2, 4))
    after = (plain.weight / scale).round().clamp(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1) * scale
    assert loss(weight, found.weight, x) < loss(weight, after, x)
    if bits == 8:
        assert loss(weight, found.weight, x) < 1.05 * loss(weight, plain.weight, x)
    with pytest.raises(InputError, match="option bits: 0, or 2 to 16"):
        SparseGPT(bits=1).prune(layer(weight, x), NM(2, 4))


def cost(weight: Tensor, mask: Tensor, x: Tensor) -> Tensor:
    """Half the squared change of each row's outputs."""
    return 0.5 * ((weight * ~mask) @ x.T).square().sum(1)


def test_icbs_sees_that_two_weights_cancel() -> None:
    """w = (1, -1), H all ones: both cost 0, one alone 1/2; of (1, -1, 0.9, 0.9) the pair goes, not the smallest two."""
    x = torch.ones(1, 2)
    assert cost(torch.tensor([[1.0, -1.0]]), torch.tensor([[False, False]]), x).item() == 0
    assert cost(torch.tensor([[1.0, -1.0]]), torch.tensor([[False, True]]), x).item() == 0.5
    weight = torch.tensor([[1.0, -1.0, 0.9, 0.9]])
    known = layer(weight, torch.ones(1, 4))
    assert Wanda().prune(known, NM(2, 4)).mask.tolist() == [[True, True, False, False]]
    assert ICBS().prune(known, NM(2, 4)).mask.tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("pattern", [NM(2, 4), NM(3, 8), HALF])
def test_icbs_never_makes_a_row_worse_and_ends_where_no_block_can_be_better(pattern: NM | Unstructured) -> None:
    rng = torch.Generator().manual_seed(15)
    weight, mix = torch.randn(6, 16, generator=rng), torch.randn(16, 16, generator=rng)
    x = torch.randn(100, 16, generator=rng) @ mix
    start = Wanda().prune(layer(weight, x), pattern).mask
    found = [start, *(ICBS(sweeps=n).prune(layer(weight, x), pattern).mask for n in (1, 2, 20))]
    costs = [cost(weight, mask, x) for mask in found]
    for before, after in itertools.pairwise(costs):
        assert (after <= before + 1e-3).all()
    assert costs[-1].sum() < 0.8 * costs[0].sum()
    size = pattern.m_group if isinstance(pattern, NM) else 8
    assert torch.equal(found[-1].unflatten(1, (-1, size)).sum(2), start.unflatten(1, (-1, size)).sum(2))
    for row, begin in itertools.product(range(6), range(0, 16, size)):
        kept = int(found[-1][row, begin : begin + size].sum())
        for choice in itertools.combinations(range(size), kept):
            other = found[-1].clone()
            other[row, begin : begin + size] = False
            other[row, [begin + i for i in choice]] = True
            assert float(cost(weight, other, x)[row]) >= float(costs[-1][row]) - 1e-2
    if isinstance(pattern, NM) and size == 4:  # one group: the best of all masks
        one = ICBS().prune(layer(weight[:, :4], x[:, :4]), pattern).mask
        for row in range(6):
            best = min(
                float(cost(weight[row : row + 1, :4], torch.tensor([[i in keep for i in range(4)]]), x[:, :4]))
                for keep in itertools.combinations(range(4), 2)
            )
            assert float(cost(weight[:, :4], one, x[:, :4])[row]) == pytest.approx(best, rel=1e-4)
    with pytest.raises(InputError, match="blocks of 16; 2 to 8"):
        ICBS().prune(layer(weight, x), NM(2, 16))


ALL = sorted(PRUNING_METHODS)
SINGLE = {"dsnot", "icbs"}
"""Methods that choose single weights alone: no blocks."""


@pytest.mark.parametrize("pattern", ["2:4", "1:4", "2:8", "50%", "70%", "block4-50%"])
@pytest.mark.parametrize("name", ALL)
def test_every_method_keeps_what_the_pattern_says(name: str, pattern: str) -> None:
    rng = torch.Generator().manual_seed(5)
    weight, x = torch.randn(32, 64, generator=rng), torch.randn(200, 64, generator=rng)
    before, wanted = weight.clone(), parse_pattern(pattern)
    if (name in SINGLE and "block" in pattern) or (name == "armor" and ":" not in pattern):
        with pytest.raises(InputError, match=f"method {name}: pattern {pattern}"):
            pruning_method(name).prune(layer(weight, x), wanted)
        return
    found = pruning_method(name).prune(layer(weight, x), wanted)
    assert torch.equal(weight, before)
    assert not found.weight[~found.mask].any()
    assert found.mask.dtype is torch.bool
    if isinstance(wanted, NM):
        assert (found.mask.unflatten(1, (-1, wanted.m_group)).sum(2) == wanted.n_keep).all()
    else:
        blocks = found.mask.unflatten(1, (-1, wanted.block)).sum(2)
        assert ((blocks == 0) | (blocks == wanted.block)).all()
        assert float(found.mask.float().mean()) == pytest.approx(float(wanted.density), abs=1 / 32)


# --- masks


@pytest.mark.parametrize(
    ("kind", "options"), [("SGD", {"momentum": 0.9, "weight_decay": 1e-3}), ("Adam", {}), ("AdamW", {})]
)
def test_a_mask_is_kept_through_500_steps(kind: str, options: dict[str, float]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
    masks = Masks({"0": select(model[0].weight.abs(), NM(2, 8)), "2": select(model[2].weight.abs(), HALF)})
    with torch.no_grad():
        model[0].weight[masks["0"].nonzero()[0].unbind()[0], masks["0"].nonzero()[0].unbind()[1]] = 0.0  # kept, and 0
    start = int(masks["0"].nonzero()[0, 1])
    optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.01, **options)
    x, y = torch.randn(64, 16), torch.randn(64, 8)
    with masks.held(model, optimizer):
        assert masks.off(model) == 0
        for _ in range(500):
            optimizer.zero_grad()
            (model(x) - y).pow(2).mean().backward()
            optimizer.step()
            assert masks.off(model) == 0
    assert model[0].weight[0, start] != 0
    assert masks.density == pytest.approx((32 * 4 + 128) / (512 + 256))
    for name in ("0", "2"):
        weight = model.get_submodule(name).weight
        assert torch.equal(weight != 0, masks[name])
        for value in optimizer.state[weight].values():
            if value.shape == weight.shape:
                assert not value[~masks[name]].any()
    optimizer.zero_grad()
    (model(x) - y).pow(2).mean().backward()
    optimizer.step()
    assert masks.off(model) > 0  # no longer held


def test_masks_of_another_model_are_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(InputError, match="no layer '1' with weights"):
        Masks({"1": torch.ones(4, 4, dtype=torch.bool)}).apply(model)
    with pytest.raises(InputError, match=r"layer '0': weights \[4, 4\], mask \[2, 4\]"):
        Masks({"0": torch.ones(2, 4, dtype=torch.bool)}).apply(model)


# --- a model


class Small(Subject):
    """Two convolutions and two linear layers."""

    name: ClassVar[str] = "small"
    metric: ClassVar[str] = "loss"

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, stride=2), nn.ReLU()),
            nn.Sequential(nn.Conv2d(8, 8, (1, 3)), nn.ReLU(), nn.Flatten()),
            nn.Sequential(nn.Linear(8 * 4 * 2, 24), nn.ReLU()), nn.Linear(24, 6),
        )  # fmt: skip

    @property
    def stages(self) -> Sequence[nn.Module]:
        return list(self.model)

    def calibration(self, seed: int) -> list[Tensor]:
        return [torch.randn(5, 4, 8, 8, generator=torch.Generator().manual_seed(seed + i)) for i in range(3)]

    def loss_of(self, output: Tensor, inputs: Tensor) -> Tensor:
        return output.pow(2).mean()

    def quality(self) -> Row:
        return {"loss": float(self.loss(torch.ones(1, 4, 8, 8)))}

    def network(self, phase: Phase = "prefill") -> Network:
        return Network(name="small", layers=(Linear(name="3", in_features=24, out_features=6),))


@pytest.mark.parametrize(
    "module", [nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0)), nn.Conv1d(4, 6, 3, padding=1)]
)
def test_a_convolution_is_rows_times_a_matrix(module: nn.Conv2d) -> None:
    x = torch.randn(2, 4, 7, 5) if isinstance(module, nn.Conv2d) else torch.randn(2, 4, 9)
    out = (as_rows(module, x) @ as_matrix(module.weight).T + module.bias).unflatten(0, (2, -1)).transpose(1, 2)
    torch.testing.assert_close(out.flatten(), module(x).flatten())
    assert torch.equal(as_weight(as_matrix(module.weight), module.weight), module.weight)
    channels = as_matrix(torch.arange(4.0).reshape(1, 4, *[1] * (module.weight.dim() - 2)).expand_as(module.weight))
    assert channels[0, :4].tolist() == [0, 1, 2, 3]  # a group of 4 is of one tap


@pytest.mark.parametrize("order", ["pruned", "dense"])
def test_stages_see_what_the_order_says_and_errors_are_those_of_the_outputs(order: str) -> None:
    """Each layer's error, computed from the outputs on the very inputs that it saw."""
    subject, whole, done = Small(), Small().model, Small().model
    masks, results = prune(subject, SparseGPT(), NM(2, 4), seed=3, order=order)  # type: ignore[arg-type]
    assert [r.name for r in results] == ["0.0", "1.0", "2.0", "3"] == list(masks)
    assert masks.off(subject.model) == 0
    for (name, after), result in zip(subject.layers().items(), results, strict=True):
        before = whole.get_submodule(name)
        path = done if order == "pruned" else whole
        stage = int(name[0])
        x = torch.cat(subject.calibration(3))
        with torch.no_grad():
            for i in range(stage):
                x = path[i](x)
            wanted, found = (m(x) - (0 if m.bias is None else m.bias.reshape(1, -1, *[1] * (x.dim() - 2)))
                             for m in (before, after))  # fmt: skip
            done.get_submodule(name).weight.copy_(after.weight)
        assert result.error == pytest.approx(float((found - wanted).norm() / wanted.norm()), rel=1e-3)
        assert result.density == 0.5
        assert result.dense_cause is None


def test_patterns_by_layer_and_layers_that_a_pattern_does_not_fit() -> None:
    subject = Small()
    masks, results = prune(subject, Magnitude(), {"0.0": NM(1, 4), "2.0": HALF})
    assert list(masks) == ["0.0", "2.0"]
    assert [(r.pattern, r.dense_cause) for r in results] == [
        ("1:4", None), ("dense", "dense by allocation"), ("50%", None), ("dense", "dense by allocation")
    ]  # fmt: skip
    _, results = prune(Small(), Magnitude(), NM(2, 16))
    assert [r.dense_cause for r in results] == [
        "4 input channels, no multiple of 16", "8 input channels, no multiple of 16", None,
        "24 input channels, no multiple of 16",
    ]  # fmt: skip
    with pytest.raises(InputError, match="pattern 2:7 fits no layer of small: 4 input channels, no multiple of 7"):
        prune(Small(), Magnitude(), NM(2, 7))


def test_gradients_are_those_of_each_sample() -> None:
    subject = Small()
    batches = subject.calibration(1)
    found = gradients_of(subject, batches)
    samples = [b[i : i + 1] for b in batches for i in range(len(b))]
    for name, module in subject.layers().items():
        mine = []
        for sample in samples:
            subject.model.zero_grad()
            subject.loss(sample).backward()
            mine.append(as_matrix(module.weight.grad))
        each = torch.stack(mine)
        assert found[name].samples == 15
        torch.testing.assert_close(found[name].mean, each.mean(0))
        torch.testing.assert_close(found[name].absolute, each.abs().mean(0))
        torch.testing.assert_close(found[name].root_mean_square, each.pow(2).mean(0).sqrt())
    subject.model.requires_grad_(False)
    prune(subject, GBLM(), NM(2, 4))
    assert not any(p.requires_grad for p in subject.model.parameters())


@pytest.mark.parametrize("limit", [1, 400, 10**9])
def test_fisher_blocks_are_those_of_each_samples_gradients(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fits into memory at once; each stage's are of the model as its stages before are by then."""
    monkeypatch.setattr("algorithms.pruning.prune.FISHER_WEIGHTS", limit)
    monkeypatch.setattr("algorithms.pruning.prune.FISHER_SAMPLES", 4)
    subject, twin, seen = Small(), Small(), {}

    class Watch(OBert):
        def prune(self, layer: Layer, pattern: NM | Unstructured) -> Pruned:
            seen[layer.name] = layer.curvature.clone()
            return super().prune(layer, pattern)

    prune(subject, Watch(block=8), NM(2, 4), seed=1)
    assert list(seen) == list(subject.layers())
    samples = subject.pieces(1)
    assert len(samples) == 15
    for name in ("0.0", "3") if limit == 1 else ("0.0",):
        module = twin.layers()[name]
        if name == "3":  # the stages before are pruned by then
            for other in ("0.0", "1.0", "2.0"):
                with torch.no_grad():
                    twin.layers()[other].weight.copy_(subject.layers()[other].weight)
        wanted = 0
        for sample in samples:
            twin.model.zero_grad()
            twin.loss(sample).backward()
            g = as_matrix(module.weight.grad)
            size = math.gcd(g.shape[1], 8)
            g = g.unflatten(1, (-1, size))
            wanted = wanted + g[:, :, :, None] * g[:, :, None, :] / 15
        torch.testing.assert_close(seen[name], wanted)


def test_weights_that_are_no_numbers_are_refused() -> None:
    subject = Small()
    with torch.no_grad():
        subject.model[1][0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match=r"small: layer 1\.0: a weight is NaN or infinite"):
        prune(subject, Magnitude(), NM(2, 4))


# --- methods from elsewhere

MINE = """
from dataclasses import dataclass
from typing import ClassVar
from algorithms.pruning.method import Layer, Pruned, PruningMethod, masked
from algorithms.pruning.selection import select

@dataclass(frozen=True)
class First(PruningMethod):
    share: float = 1.0
    title: ClassVar[str] = "the first of each group"
    source: ClassVar[str] = "none"

    def prune(self, layer: Layer, pattern) -> Pruned:
        return masked(layer.weight, select(-layer.weight.new_ones(layer.weight.shape).cumsum(1), pattern))
"""


def test_a_method_of_ones_own_is_one_file(tmp_path: Path) -> None:
    points = {"hwsim.pruning_methods": {"first": "my_first:First", "none": "my_first:dataclass"}}
    with installed(tmp_path, "my-first", {"my_first": MINE}, points):
        assert "first" in PRUNING_METHODS
        masks, _ = prune(Small(), pruning_method("first", {"share": 1}), NM(1, 4))
        assert masks["3"].nonzero()[:, 1].unique().tolist() == list(range(0, 24, 4))
        with pytest.raises(InputError, match=r"'none': package my-first .* is none: a pruning method is a subclass"):
            pruning_method("none")
        with pytest.raises(InputError, match="method first: option 'shar': did you mean share"):
            pruning_method("first", {"shar": 1.0})
        with pytest.raises(InputError, match="method first: option share: expected float"):
            pruning_method("first", {"share": "much"})


def test_an_unfinished_method_is_refused() -> None:
    class Half(PruningMethod):
        title: ClassVar[str] = ""
        source: ClassVar[str] = ""

    PRUNING_METHODS.add("half", Half)
    try:
        with pytest.raises(InputError, match="Half does not define prune"):
            pruning_method("half")
    finally:
        PRUNING_METHODS.remove("half")


def test_all_pairs_of_small_masks_are_found_by_the_naive_twin() -> None:
    """Exhaustively: of all 2:4 masks of a row, Wanda's has the least sum of removed scores."""
    rng = torch.Generator().manual_seed(6)
    weight, x = torch.randn(5, 4, generator=rng), torch.randn(9, 4, generator=rng)
    mask = Wanda().prune(layer(weight, x), NM(2, 4)).mask
    scores = weight.abs() * x.norm(dim=0)
    for row, kept in zip(scores, mask, strict=True):
        best = max(itertools.combinations(range(4), 2), key=lambda pair: float(row[list(pair)].sum()))
        assert kept.nonzero().flatten().tolist() == list(best)
