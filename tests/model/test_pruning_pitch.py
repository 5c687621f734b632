# SPDX-License-Identifier: Apache-2.0
"""CREPE pruned: exact tones, convolutions with groups along channels, and its folder on machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from algorithms.models import crepe
from algorithms.pruning import run as runs
from algorithms.pruning.method import pruning_method
from algorithms.pruning.pitch import HELD_OUT, PitchModel, tones
from algorithms.pruning.prune import prune
from dataflow.pattern import NM
from dataflow.pruned import PrunedFolder
from tests.support.cli import run
from tests.support.models import needed


def small() -> PitchModel:
    torch.manual_seed(0)
    return PitchModel(crepe.Crepe((8,) * 6).eval(), samples=32, frames=60)


def test_tones_are_what_they_say() -> None:
    frames, hertz, level = tones(30, 5)
    assert frames.shape == (30, 1024)
    torch.testing.assert_close(frames.mean(1), torch.zeros(30), atol=1e-5, rtol=0)
    torch.testing.assert_close(frames.std(1), torch.ones(30))
    assert set(level.tolist()) == {0, 10, 20}
    again, other = tones(30, 5), tones(30, HELD_OUT)
    assert torch.equal(again[0], frames)
    assert not torch.equal(other[0], frames)
    for frame, pitch, db in zip(frames, hertz, level, strict=True):
        if db == 20 and pitch > 200:  # the strongest line of the spectrum is a harmonic of the pitch
            spectrum = torch.fft.rfft(frame * torch.hann_window(1024), 16384).abs()
            line = float(spectrum.argmax()) * crepe.RATE / 16384
            assert abs(line / pitch - round(float(line / pitch))) < 0.05


def test_a_pitch_is_read_from_its_bins() -> None:
    bins = torch.tensor([8.0, 100.3, 340.0])
    logits = 8 - 4 * (torch.arange(crepe.BINS) - bins[:, None]).abs()
    found = crepe.pitch(logits)
    assert float(crepe.bin_hertz(torch.tensor(0.0))) == pytest.approx(31.7, abs=0.1)
    assert ((1200 * (found / crepe.bin_hertz(bins)).log2()).abs() < 10).all()


@pytest.mark.parametrize("name", ["magnitude", "wanda", "sparsegpt", "gblm"])
def test_groups_of_convolutions_run_along_channels(name: str) -> None:
    mine = small()
    masks, results = prune(mine, pruning_method(name), NM(2, 4))
    causes = {r.name: r.dense_cause for r in results}
    assert causes["convs.0.conv"] == "1 input channels, no multiple of 4"
    assert [n for n, cause in causes.items() if cause is None] == list(masks)
    assert len(masks) == 6
    for mask in masks.values():
        groups = mask.movedim(1, -1).reshape(-1, 4).sum(1)
        assert (groups == 2).all()
    assert masks.off(mine.model) == 0


def test_the_command_prunes_it_and_machines_read_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(runs.SUBJECTS, "crepe-tiny", lambda config: small())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run(monkeypatch, "prune", "crepe-tiny", "--out", tmp_path / "p") == 0
    assert "pitches right within 50 cents" in capsys.readouterr().out
    folder = PrunedFolder.read(tmp_path / "p")
    assert all(folder.mask(name).mean() == 0.5 for name in folder.model.layers)
    for machine in ("sat", "tensor24"):
        assert run(monkeypatch, "simulate", machine, tmp_path / "p", "--set", "passes=[FF]", "--json") == 0
        assert json.loads(capsys.readouterr().out)["cycles"] > 0


def test_settings_of_a_language_model_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run(monkeypatch, "prune", "crepe-tiny", "--tokens", "5") == 2
    assert "tokens: of a language model; crepe-tiny is none" in capsys.readouterr().err


def test_the_real_model_hears_pitches() -> None:
    needed("crepe-tiny")
    found = PitchModel(frames=120).quality()
    assert found["accuracy"] > 0.9
    assert found["error"] == pytest.approx(1 - found["accuracy"])
