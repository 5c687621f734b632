# SPDX-License-Identifier: Apache-2.0
"""``hwsim cache`` on a small model in the real one's place: tables, a trace that a machine runs, errors of one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from algorithms.kv_cache.method import CACHE_METHODS
from algorithms.models import smollm2
from algorithms.models.llama import Llama, LlamaSizes
from tests.support.cli import run
from tests.support.tiny_language import Letters

SHORT = ("--context", "48", "--tokens", "3", "--windows", "2")
SIZES = LlamaSizes(300, hidden=64, width=64, blocks=2, heads=2, kv_heads=1, base=1e4, epsilon=1e-5, longest=512)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = Llama(SIZES).eval()
    monkeypatch.setattr(smollm2, "load", lambda: (model, Letters()))


def test_every_method_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert not run(monkeypatch, "cache", *SHORT, "--budget", "40", "--json", "--needles", "1", "--context", "180")
    told = json.loads(capsys.readouterr().out)
    assert {r["method"] for r in told["cache"]} == set(CACHE_METHODS)
    assert [r["method"] for r in told["cache"] if "nll" not in r] == ["dsa"]
    assert len(told["needles"]) == len(told["cache"]) - 1
    assert not run(monkeypatch, "cache", *SHORT, "--budget", "20,40", "--method", "tova", "--out", str(tmp_path))
    text = capsys.readouterr().out
    assert text.count("tova") == 2
    assert (tmp_path / "study" / "cache.csv").read_text().count("\n") == 4


def test_a_store_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """What is stored is not measured again, and gives the same figures; other questions are measured."""
    store = tmp_path / "cells"
    words = ("--context", "48,180", "--tokens", "3", "--windows", "3", "--needles", "2", "--seeds", "2", "--method",
             "tova,recent", "--budget", "20,40", "--store", str(store))  # fmt: skip
    assert run(monkeypatch, "cache", *words, "--json") == 2  # a number and its question are longer than 48 tokens
    assert "too short" in capsys.readouterr().err
    words = tuple("180,200" if w == "48,180" else w for w in words)
    assert not run(monkeypatch, "cache", *words, "--json")
    first = json.loads(capsys.readouterr().out)
    kept = {p.name: p.read_bytes() for p in store.iterdir()}
    assert sum(name.startswith("loss-180") for name in kept) == 2 * 2
    assert sum(name.startswith("needle-200") for name in kept) == 2 * 2
    assert [r["context"] for r in first["needles"]] == [180] * 5 + [200] * 5
    assert all(r["windows"] == 6 and r["lowest"] <= r["delta"] <= r["highest"] for r in first["cache"])
    monkeypatch.setattr("algorithms.kv_cache.run.measured", lambda *a, **k: pytest.fail("measured again"))
    monkeypatch.setattr("algorithms.kv_cache.run.found_by", lambda *a, **k: pytest.fail("asked again"))
    out = tmp_path / "out"
    assert not run(monkeypatch, "cache", *words, "--json", "--out", str(out))
    assert json.loads(capsys.readouterr().out) == first
    assert {p.name: p.read_bytes() for p in store.iterdir()} == kept
    page = (out / "report.md").read_text()
    assert "hwsim cache --method tova,recent --budget 20,40 --context 180,200 --tokens 3 --seeds 2 --windows 3" in page
    assert page.count("| tova |") == 4
    assert (out / "figures" / "quality.svg").exists()
    broken = next(store.glob("loss-180-*"))
    broken.write_text("{}")
    assert run(monkeypatch, "cache", *words) == 2
    err = capsys.readouterr().err
    assert str(broken) in err
    assert err.count("\n") == 1


def test_a_trace_goes_to_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    folder = str(tmp_path / "t")
    assert not run(monkeypatch, "cache", "--method", "h2o", "--budget", "20", "--context", "48", "--trace", folder)
    assert not run(monkeypatch, "spatten", folder, "--json")
    told = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert told


@pytest.mark.parametrize(
    ("words", "says"),
    [(("--context", "20", "--needles", "1", "--tokens", "1", "--method", "full"), "too short"),
     (("--method", "qest"), "quest"), (("--method", "quest", "--budget", "8"), "budget=8: must be at least 16"),
     (("--budget", "0"), "--budget"), (("--budget", "many"), "--budget"), (("--model", "minilm"), "smollm2-135m"),
     (("--method", "quest", "--set", "options.sharing=mx"), "max"), (("--set", "options.page=4"), "of one method"),
     (("--method", "tova,h2o", "--trace", "t"), "one method"), (("--context", "9999"), "--context"),
     (("--method", "think", "--trace", "t"), "think"), (("--windows", "4000"), "too short")],
)  # fmt: skip
def test_wrong_options_are_one_line(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "cache", *words) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not list(tmp_path.rglob("*.json"))
