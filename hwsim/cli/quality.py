# SPDX-License-Identifier: Apache-2.0
"""The quality of a sweep's points: what their method and pattern cost in accuracy, from the reference table of training
runs or from runs made now (and stored, by their settings, beside the sweep's results)."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dataflow.errors import InputError

Row = dict[str, Any]


def quality_of(space: Any, folder: Path) -> Callable[[Row, int], Row] | None:
    """(settings, repetition) -> quality columns; None where the sweep does not ask.

    Raises:
        InputError: a machine without a training method; a table or settings that cannot be read.
    """
    wanted = space.spec.quality
    if wanted is None:
        return None
    if wanted.attention is not None:
        if "pruning" not in space.default:
            raise InputError(f"{space.where}: quality: attention: a run of {space.spec.machine} prunes no attention")
        return _pruned(wanted.attention.steps, wanted.attention.prompts, folder / "training")
    if "method" not in space.default:
        raise InputError(f"{space.where}: quality: a run of {space.spec.machine} has no training method")
    if wanted.stored is not None:
        return _stored(wanted.stored, Path(wanted.table) if wanted.table else None, f"{space.where}: quality")
    return _trained(wanted.train, folder / "training", f"{space.where}: quality: train")


def _stored(task: str, table: Path | None, where: str) -> Callable[[Row, int], Row]:
    from dataflow.training import REFERENCE_ACCURACY
    from hwsim.core.study import StudyTables

    stored = StudyTables.read(table or REFERENCE_ACCURACY).tables.get("accuracy", [])
    rows = {(r["method"], r["pattern"]): r for r in stored if r["task"] == task}
    if not rows:
        known = ", ".join(dict.fromkeys(str(r["task"]) for r in stored))
        raise InputError(f"{where}: stored: {task}: no such task in the table: {known}")

    def find(settings: Row, repetition: int) -> Row:
        method, pattern = settings["method"], settings["pattern"]
        if pattern == "dense" or method == "dense":
            method = pattern = "dense"
        row = rows.get((method, pattern))
        if row is None or row["mean"] is None:
            return _columns(task, "", None, None)
        return _columns(task, row["metric"], row["mean"], row["delta"])

    return find


def _trained(settings: Row, folder: Path, where: str) -> Callable[[Row, int], Row]:
    from algorithms.training.config import TrainConfig
    from dataflow.files import validated

    base = validated(TrainConfig, settings, where)
    known: dict[str, Row] = {}

    def find(run: Row, repetition: int) -> Row:
        from algorithms.accuracy.training import METRICS
        from algorithms.training.train import Diverged, use_one_thread

        from .train import run_training

        dense = run["pattern"] == "dense" or run["method"] == "dense"
        mine = {"method": "dense" if dense else run["method"], "pattern": "dense" if dense else run["pattern"]}
        config = base.model_copy(update=mine | {"seed": repetition})
        text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
        metric = METRICS.get(config.task, "accuracy")
        if text not in known:
            use_one_thread()
            try:
                result = run_training(config, folder / hashlib.sha256(text.encode()).hexdigest()[:24])
                known[text] = _columns(config.task, metric, result["test"][metric], None)
            except Diverged:
                known[text] = _columns(config.task, metric, None, None)
        return known[text]

    return find


def _pruned(steps: int, prompts: int, folder: Path) -> Callable[[Row, int], Row]:
    from dataflow.attention.pruning import AttentionPruning
    from dataflow.attention.workload import MODELS, is_made, model_of, usual_pruning

    known: dict[str, float] = {}

    def measured(pruning: AttentionPruning) -> float:
        text = json.dumps([steps, prompts, pruning.model_dump(mode="json")], sort_keys=True)
        path = folder / "attention" / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
        if text not in known and path.exists():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # a damaged file: it is measured again
                known[text] = float(json.loads(path.read_text(encoding="utf-8"))["bits_per_character"])
        if text not in known:
            from algorithms.accuracy.attention import Setting, generation_quality
            from algorithms.training.data import library_text
            from algorithms.training.train import use_one_thread
            from dataflow.files import write_text

            from .attention import trained_char_lm

            use_one_thread()
            model = trained_char_lm(steps, folder / "char-lm")
            wanted = [Setting("point", "", pruning)]
            (row,) = generation_quality(model, library_text().test, count=prompts, wanted=wanted)
            write_text(path, json.dumps({"pruning": pruning.model_dump(mode="json"), **row}) + "\n")
            known[text] = row["bits_per_character"]
        return known[text]

    def find(run: Row, repetition: int) -> Row:
        if not is_made(run["workload"]):  # a file has been pruned before
            return _columns("char-lm", "", None, None)
        given = run["pruning"]
        pruning = AttentionPruning.model_validate(given) if given else usual_pruning(MODELS[model_of(run["workload"])])
        value = measured(pruning)
        return _columns("char-lm", "bits_per_character", value, value - measured(AttentionPruning()))

    return find


def _columns(task: str, metric: str, value: float | None, delta: float | None) -> Row:
    return {"quality_task": task, "quality_metric": metric, "quality": value, "quality_over_dense": delta}
