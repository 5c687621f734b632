# SPDX-License-Identifier: Apache-2.0
"""Accuracy: every method at three patterns and three seeds on three tasks, mean and spread, paired with dense.

Runs of one task and seed share initial weights and batches, so a difference to dense is the method's. Each run is kept
in a folder of its own: a stopped study goes on where it was. The rates were chosen on the dense runs and are the same
for all methods.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dataflow.files import write_text
from dataflow.training.methods import PAPER_METHODS

from ..training.config import TrainConfig
from ..training.train import Diverged, train

SEEDS = (0, 1, 2)
PATTERNS = ("2:4", "2:8", "2:16")
SETTINGS: dict[str, dict[str, Any]] = {
    "digits-cnn": {"steps": 230, "batch": 64, "rate": 0.05},
    "digits-vit": {"steps": 500, "batch": 64, "rate": 0.03},
    "char-lm": {"steps": 400, "batch": 16, "rate": 0.1, "weight_decay": 0.0},
}
METRICS = {"digits-cnn": "accuracy", "digits-vit": "accuracy", "char-lm": "bits_per_character"}


def full_runs() -> Iterator[TrainConfig]:
    """All runs, seed by seed."""
    for seed in SEEDS:
        for task, settings in SETTINGS.items():
            yield TrainConfig(task=task, method="dense", pattern="dense", seed=seed, **settings)
            for method in PAPER_METHODS:
                if not method.is_dense:
                    for pattern in PATTERNS:
                        yield TrainConfig(task=task, method=method.name, pattern=pattern, seed=seed, **settings)


def full_study(out: Path, tick: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """Train what is not yet in ``out/runs`` and return the table of `summary`."""
    results = []
    for config in full_runs():
        name = f"{config.task}-{config.method}-{config.pattern.replace(':', '-')}-seed{config.seed}"
        results.append(_run(config, out / "runs" / name))
        tick(name)
    return summary(results)


def _run(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """A run's result; a run that diverged is stored as a result, too."""
    path = folder / "diverged.json"
    facts = {"config": config.model_dump(mode="json"), "test": None, "seconds": 0.0}
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) == facts:
        return facts
    try:
        return train(config, folder)
    except Diverged:
        write_text(path, json.dumps(facts, indent=1) + "\n")
        return facts


def summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each task, method and pattern: mean and sample standard deviation over the seeds, of the held-out
    metric and of its paired difference to dense (positive is better for accuracy, worse for bits per character), over
    the runs that did not diverge."""
    diverged: dict[tuple[str, str, str], int] = {}
    groups: dict[tuple[str, str, str], dict[int, float]] = {}
    seconds: dict[tuple[str, str, str], float] = {}
    for r in results:
        c = r["config"]
        key = (c["task"], c["method"], c["pattern"])
        values = groups.setdefault(key, {})
        if r["test"] is None:
            diverged[key] = diverged.get(key, 0) + 1
        else:
            values[c["seed"]] = r["test"][METRICS[c["task"]]]
        seconds[key] = seconds.get(key, 0.0) + r["seconds"]
    rows = []
    for (task, method, pattern), values in groups.items():
        dense = groups[task, "dense", "dense"]
        deltas = [values[s] - dense[s] for s in values if s in dense]
        rows.append(
            {
                "task": task,
                "method": method,
                "pattern": pattern,
                "metric": METRICS[task],
                "seeds": len(values),
                "diverged": diverged.get((task, method, pattern), 0),
                "mean": statistics.mean(values.values()) if values else None,
                "std": statistics.stdev(values.values()) if len(values) > 1 else None,
                "delta": statistics.mean(deltas) if deltas else None,
                "delta_std": statistics.stdev(deltas) if len(deltas) > 1 else None,
                "train_seconds": round(seconds[task, method, pattern], 1),
            }
        )
    return rows
