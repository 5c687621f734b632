# SPDX-License-Identifier: Apache-2.0
"""Training runs: a function of their configuration, stoppable, traced; and data that is what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from algorithms.accuracy.training import full_runs, summary
from algorithms.training.config import TrainConfig
from algorithms.training.data import digits, library_text
from algorithms.training.train import train
from dataflow.errors import InputError
from dataflow.training.trace import Trace
from tests.support.plugin import installed

SHORT = {"steps": 12, "batch": 16}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("task", ["digits-cnn", "digits-mlp", "digits-vit", "char-lm"])
def test_a_run_is_a_function_of_its_configuration(task: str) -> None:
    small = {"dim": 32, "depth": 1, "context": 16} if task == "char-lm" else {}
    config = TrainConfig(task=task, **SHORT, **small)
    first, second = train(config), train(config)
    assert first["loss"] == second["loss"]
    assert first["test"] == second["test"]
    assert first["loss"] != train(config.model_copy(update={"seed": 1}))["loss"]


def test_it_learns() -> None:
    result = train(TrainConfig(steps=60, batch=64))
    assert result["test"]["accuracy"] > 0.8
    assert result["loss"][-1] < 0.5 * result["loss"][0]


def test_a_stopped_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    config = TrainConfig(**SHORT, checkpoint_every=5, trace_steps=(3, 11))
    whole = train(config, tmp_path / "whole")

    class Stop(Exception):
        pass

    def tick(step: int, _: float) -> None:
        if step == 8:
            raise Stop

    with pytest.raises(Stop):
        train(config, tmp_path / "stopped", tick)
    assert not (tmp_path / "stopped" / "training.json").exists()
    steps: list[int] = []
    again = train(config, tmp_path / "stopped", lambda s, _: steps.append(s))
    assert steps[0] == 6  # from the checkpoint after five steps
    assert again["loss"] == whole["loss"]
    assert again["test"] == whole["test"]
    a, b = (Trace.read(tmp_path / n / "trace") for n in ("whole", "stopped"))
    assert [r.crc32 for r in a.records] == [r.crc32 for r in b.records]
    assert not (tmp_path / "stopped" / "checkpoint.npz").exists()
    # and a finished run is not run again
    steps.clear()
    train(config, tmp_path / "stopped", lambda s, _: steps.append(s))
    assert steps == [12]


def test_foreign_and_broken_files_are_refused(tmp_path: Path) -> None:
    for text, match in (
        (b"PK\x03\x04 cut off", "checkpoint.npz: broken; .*remove it to start over$"),
        (b"", "checkpoint.npz: broken; .*remove it to start over$"),
    ):
        (tmp_path / "checkpoint.npz").write_bytes(text)
        with pytest.raises(InputError, match=match):
            train(TrainConfig(**SHORT), tmp_path)
    np.savez(tmp_path / "checkpoint.npz", other=np.zeros(3))
    with pytest.raises(InputError, match="checkpoint.npz: truncated or no checkpoint"):
        train(TrainConfig(**SHORT), tmp_path)
    (tmp_path / "checkpoint.npz").unlink()
    (tmp_path / "checkpoint.pt").write_bytes(b"of an earlier version")
    with pytest.raises(InputError, match="checkpoint.pt: of an earlier version, .* remove it to start over$"):
        train(TrainConfig(**SHORT), tmp_path)
    (tmp_path / "checkpoint.pt").unlink()

    def stop(step: int, _: float) -> None:
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TrainConfig(**SHORT, checkpoint_every=5), tmp_path, stop)
    with pytest.raises(InputError, match="other settings"):
        train(TrainConfig(**SHORT, checkpoint_every=5, seed=7), tmp_path)
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(InputError, match="training.json: broken"):
        train(TrainConfig(**SHORT), tmp_path)


def test_wrong_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trace_steps: 12 is not within"):
        train(TrainConfig(**SHORT, trace_steps=(12,)), tmp_path)
    with pytest.raises(InputError, match="needs --out"):
        train(TrainConfig(**SHORT, trace_steps=(1,)))
    with pytest.raises(InputError, match="trace_layers: 'nope'"):
        train(TrainConfig(**SHORT, trace_steps=(1,), trace_layers=("nope",)), tmp_path)
    with pytest.raises(InputError, match="the loss is"):
        train(TrainConfig(**SHORT, rate=100.0, momentum=0.99, task="digits-mlp", fp16=False))


def test_tracing_does_not_disturb_training(tmp_path: Path) -> None:
    config = TrainConfig(**SHORT)
    traced = train(config.model_copy(update={"trace_steps": (0, 5)}), tmp_path)
    assert traced["loss"] == train(config)["loss"]


def test_data_is_real_split_and_stable() -> None:
    data = digits()
    assert len(data.train_y) == 1437
    assert len(data.test_y) == 360
    assert set(data.test_y.tolist()) == set(range(10))
    text = library_text()
    assert len(text.train) > 1_000_000
    assert 0.02 < len(text.test) / len(text.train) < 0.2
    assert int(text.train.max()) <= 96
    # not one repeated character: the entropy of single characters is that of source text
    p = np.bincount(text.train.numpy(), minlength=97) / len(text.train)
    entropy = -(p[p > 0] * np.log2(p[p > 0])).sum()
    assert 4 < entropy < 5.5


def test_the_full_study_pairs_runs_with_dense() -> None:
    runs = list(full_runs())
    assert len(runs) == 3 * 3 * 13
    assert len({c.model_dump_json() for c in runs}) == len(runs)
    results = []
    for c in runs:
        if c.task == "digits-cnn" and c.pattern in ("dense", "2:8"):
            value = 0.9 + 0.01 * c.seed - (0.02 if c.method == "bdwp" else 0)
            entry = {"config": json.loads(c.model_dump_json()), "test": {"accuracy": value}, "seconds": 1.0}
            results.append(entry)
    rows = {r["method"]: r for r in summary(results)}
    assert rows["dense"]["delta"] == 0
    assert rows["bdwp"]["delta"] == pytest.approx(-0.02)
    assert rows["bdwp"]["delta_std"] == pytest.approx(0, abs=1e-12)
    assert rows["bdwp"]["std"] == pytest.approx(0.01)
    assert rows["bdwp"]["seeds"] == 3


def test_a_method_of_an_installed_package_trains_and_is_traced(tmp_path: Path) -> None:
    source = (
        "from dataflow.training.methods import Method, Pass\n"
        "MINE = Method('mine', 'weights pruned in FF, pulled to 0', frozenset({Pass.FF}), pruned_weight_decay=0.01)\n"
    )
    points = {"hwsim.training_methods": {"mine": "my_methods:MINE"}}
    with installed(tmp_path, "my-methods", {"my_methods": source}, points):
        config = TrainConfig(**SHORT, task="digits-mlp", method="mine", trace_steps=(3,))
        result = train(config, tmp_path / "out")
        dense = train(config.model_copy(update={"method": "dense", "pattern": "dense", "trace_steps": ()}))
        assert result["loss"] != dense["loss"]
        trace = Trace.read(tmp_path / "out" / "trace")
        trace.check()
        assert trace.method.title.startswith("weights pruned in FF")
        layer = trace.layers(3)[0]
        tensors = trace.tensors(3, layer)
        assert tensors["ff_mask"].mean() == 0.25
        assert tensors["bp_mask"].all()
    with pytest.raises(InputError, match=r"meta.json: field method: method 'mine': Known: dense"):
        Trace.read(tmp_path / "out" / "trace")
