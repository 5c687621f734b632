# SPDX-License-Identifier: Apache-2.0
"""Searching a space with Optuna instead of running all of it: several objectives, the same store, the same resume.

The sampler is asked for points in batches, which run, and gets their results in the order in which it was asked. So
a search is a function of its file: it takes the same way on any executor, and one that was ended goes on by asking for
the same points again, whose results the store has. Points that a condition excludes, or that fail, are failed trials.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pyarrow as pa

from dataflow.errors import InputError

from .evaluate import Row, Task
from .executors import Executor
from .space import Axis, Point, Space, code_version
from .store import Store
from .sweep import Progress, QualityOf, Runner, Tick, task_of
from .table import write_table

MAX_EXCLUDED = 100
"""A search ends early after so many points in a row, times the batch, that its conditions exclude."""


def run_search(
    space: Space,
    folder: Path,
    executor: Executor,
    *,
    quality: QualityOf | None = None,
    tick: Tick = lambda progress: None,
) -> Progress:
    """Search, and write ``results.parquet``: the points in the order in which they were first asked for.

    Raises:
        InputError: as `Store.open`; an objective that is no column of the results; conditions that exclude every point.
    """
    spec = space.spec
    space.possible()
    store = Store(folder)
    store.open(spec.machine, code_version(spec.machine), spec.model_dump(mode="json", by_alias=True))
    try:
        progress = Progress(spec.search.trials, damaged=store.damaged)
        known = _stored_objectives(store, spec.objectives)
        plan: dict[str, Point] = {}
        study = _optuna_study(space)
        asked = excluded = 0
        while asked < spec.search.trials:
            trials: list[tuple[Any, str]] = []
            tasks: list[Task] = []
            while len(trials) < min(spec.search.batch, spec.search.trials - asked):
                trial = study.ask()
                point = Point(_values(space.axes, trial))
                if not space.allowed(point.values):
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                    excluded += 1
                    if excluded > MAX_EXCLUDED * spec.search.batch:
                        asked = spec.search.trials
                        break
                    continue
                excluded = 0
                task = task_of(space, point, quality)
                plan.setdefault(task.key, point)
                trials.append((trial, task.key))
                tasks.append(task)
            asked += len(trials)
            runner = Runner(store, executor, spec.objectives[0], progress, tick)
            for row in runner.run(_without_result(tasks, known)):
                known[row["key"]] = _objectives(row, spec.objectives)
            for trial, key in trials:
                values = known[key]
                if values is None:
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                else:
                    study.tell(trial, values)
            progress.done = asked
            tick(progress)
        paper = task_of(space, space.paper(), quality)
        for _ in Runner(store, executor, spec.objectives[0], progress, tick).run(_without_result([paper], known)):
            pass
        progress.done = progress.total
        write_table(store, space, [*plan.items(), (paper.key, space.paper())])
        return progress
    finally:
        store.close()


def _optuna_study(space: Space) -> Any:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = space.spec
    search = spec.search
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of features it calls experimental
        if search.sampler == "nsga2":
            sampler: Any = optuna.samplers.NSGAIISampler(population_size=search.batch, seed=search.seed)
        else:
            sampler = optuna.samplers.TPESampler(seed=search.seed, constant_liar=True)
    directions: Any = ["minimize" if o.startswith("min") else "maximize" for o in spec.objectives]
    return optuna.create_study(sampler=sampler, directions=directions)


def _values(axes: list[Axis], trial: Any) -> Row:
    values: Row = {}
    for axis in axes:
        if axis.values is not None:  # by place: numbers in order, and anything else
            found = axis.values[_place(axis, trial)]
        else:
            assert axis.range is not None
            r = axis.range
            if r.integer:
                found = trial.suggest_int(axis.name, int(r.from_), int(r.to), log=r.log)
            else:
                found = trial.suggest_float(axis.name, float(r.from_), float(r.to), log=r.log)
        values |= axis.assign(found)
    return values


def _place(axis: Axis, trial: Any) -> int:
    assert axis.values is not None
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in axis.values):
        order = sorted(range(len(axis.values)), key=lambda i: axis.values[i])  # type: ignore[index]  # numbers, asked before
        place: int = order[trial.suggest_int(axis.name, 0, len(order) - 1)]
        return place
    return int(trial.suggest_categorical(axis.name, list(range(len(axis.values)))))


def _without_result(tasks: list[Task], known: dict[str, list[float] | None]) -> Iterator[Task]:
    given = set(known)
    for task in tasks:
        if task.key not in given:
            given.add(task.key)
            yield task


def _objectives(row: Row, objectives: tuple[str, ...]) -> list[float] | None:
    """A row's objectives; None where it failed.

    Raises:
        InputError: a column that results do not have.
    """
    if row["status"] != "ok":
        return None
    values = []
    for objective in objectives:
        column = objective.split()[1]
        if not isinstance(row.get(column), int | float):
            numbers = ", ".join(k for k, v in row.items() if isinstance(v, int | float))
            raise InputError(f"objectives: {column}: no such number in the results: {numbers}")
        values.append(float(row[column]))
    return values


def _stored_objectives(store: Store, objectives: tuple[str, ...]) -> dict[str, list[float] | None]:
    table: pa.Table = store.rows()
    names = [n for n in table.column_names if n in ("key", "status", *(o.split()[1] for o in objectives))]
    return {row["key"]: _objectives(row, objectives) for row in table.select(names).to_pylist()}
