# SPDX-License-Identifier: Apache-2.0
"""MiniLM pruned: texts found by their first sentence, and the dense model beside it, which stays."""

from __future__ import annotations

import pytest
import torch

from algorithms.attention import minilm
from algorithms.pruning.encoder import Encoder, pairs
from algorithms.pruning.method import pruning_method
from algorithms.pruning.prune import prune
from dataflow.errors import InputError
from dataflow.pattern import NM
from tests.support.models import needed
from tests.support.tiny_language import Letters


class Words(Letters):
    """Characters as tokens, with the words that `minilm.tokens_of` asks for."""

    def encode(self, text: str) -> object:
        found = super().encode(text[:200])
        found.tokens = []
        return found


def small() -> Encoder:
    torch.manual_seed(0)
    return Encoder(minilm.MiniLM(300, 256).eval(), Words(), samples=4, texts=20)


def test_pairs_are_apart_and_whole() -> None:
    rest, held = pairs()
    assert len(rest) > 100
    assert len(held) > 100
    assert not set(rest) & set(held)
    assert all(len(first) >= 20 and len(text) >= 100 for first, text in held)


def test_stages_are_the_model_and_the_dense_one_stays() -> None:
    mine = small()
    x = mine.calibration(1)[0]
    y = x
    with torch.no_grad():
        for stage in mine.stages:
            y = stage(y)
        torch.testing.assert_close(y, mine.model(x))
    assert mine.quality()["cosine"] == pytest.approx(1)
    before = mine._dense.layers[0].fc1.weight.clone()
    masks, results = prune(mine, pruning_method("sparsegpt", {"damping": 0.1}), NM(2, 8))
    assert len(results) == 6 * 6
    assert masks.off(mine.model) == 0
    assert torch.equal(mine._dense.layers[0].fc1.weight, before)
    assert mine.quality()["cosine"] < 0.999
    names = {layer.name for layer in mine.network().layers}
    assert set(masks) <= names
    with pytest.raises(InputError, match="minilm: was trained on pairs"):
        prune(small(), pruning_method("gblm"), NM(2, 4))


def test_the_real_model_finds_texts() -> None:
    needed("minilm")
    found = Encoder(texts=60).quality()
    assert found["recall"] > 0.3  # by chance 1 in 60
    assert found["cosine"] == pytest.approx(1)
