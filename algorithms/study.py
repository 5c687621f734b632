# SPDX-License-Identifier: Apache-2.0
"""The honest run: every method at three patterns and three seeds on three tasks, mean and spread, paired with dense.

Runs of one task and seed share initial weights and batches, so a difference to dense is the method's. Each run is kept
in a folder of its own: a stopped study goes on where it was.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dataflow.methods import Method

from .config import TrainConfig
from .train import train

SEEDS = (0, 1, 2)
PATTERNS = ("2:4", "2:8", "2:16")
SETTINGS: dict[str, dict[str, Any]] = {
    "digits-cnn": {"steps": 230, "batch": 64, "rate": 0.05},
    "digits-vit": {"steps": 500, "batch": 64, "rate": 0.03},
    "char-lm": {"steps": 600, "batch": 16, "rate": 0.3, "weight_decay": 0.0},
}
METRICS = {"digits-cnn": "accuracy", "digits-vit": "accuracy", "char-lm": "bits_per_character"}


def full_runs() -> Iterator[TrainConfig]:
    """All runs, seed by seed."""
    for seed in SEEDS:
        for task, settings in SETTINGS.items():
            yield TrainConfig(task=task, method="dense", pattern="dense", seed=seed, **settings)  # type: ignore[arg-type]
            for method in Method:
                if method is not Method.DENSE:
                    for pattern in PATTERNS:
                        yield TrainConfig(task=task, method=method.value, pattern=pattern, seed=seed, **settings)  # type: ignore[arg-type]


def full_study(out: Path, tick: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """Train what is not yet in ``out/runs`` and return the table of `summary`."""
    results = []
    for config in full_runs():
        name = f"{config.task}-{config.method}-{config.pattern.replace(':', '-')}-seed{config.seed}"
        results.append(train(config, out / "runs" / name))
        tick(name)
    return summary(results)


def summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each task, method and pattern: mean and sample standard deviation over the seeds, of the held-out
    metric and of its paired difference to dense (positive is better for accuracy, worse for bits per character)."""
    groups: dict[tuple[str, str, str], dict[int, float]] = {}
    seconds: dict[tuple[str, str, str], float] = {}
    for r in results:
        c = r["config"]
        key = (c["task"], c["method"], c["pattern"])
        groups.setdefault(key, {})[c["seed"]] = r["test"][METRICS[c["task"]]]
        seconds[key] = seconds.get(key, 0.0) + r["seconds"]
    rows = []
    for (task, method, pattern), values in groups.items():
        dense = groups[task, "dense", "dense"]
        deltas = [values[s] - dense[s] for s in values]
        rows.append(
            {
                "task": task,
                "method": method,
                "pattern": pattern,
                "metric": METRICS[task],
                "seeds": len(values),
                "mean": statistics.mean(values.values()),
                "std": statistics.stdev(values.values()) if len(values) > 1 else None,
                "delta": statistics.mean(deltas),
                "delta_std": statistics.stdev(deltas) if len(deltas) > 1 else None,
                "train_seconds": round(seconds[task, method, pattern], 1),
            }
        )
    return rows
