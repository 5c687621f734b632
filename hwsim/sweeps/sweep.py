# SPDX-License-Identifier: Apache-2.0
"""Running a sweep: what is not yet in the store runs, finished points are stored as they come, the table is made at the
end. The table does not depend on the executor, on the number of workers, or on how often the run was ended."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .evaluate import Row, Task
from .executors import Batches, Executor
from .space import Point, Space, code_version, content_key
from .store import Store
from .table import write_table

BATCH_SECONDS = 0.25
"""Duration of a batch: short enough to be lost, long enough to be worth sending."""
MAX_BATCH = 256
"""Points of a batch, at most."""
KEEP_SECONDS, KEEP_SHARE = 1.0, 0.02
"""A part is written when so many seconds, and this share of the run so far, have passed since the last one."""
MAX_HELD_TASKS = 10_000
"""Tasks that are kept in memory between counting and running; those beyond are made a second time."""
QualityOf = Callable[[Row, int], Row]
"""(settings, repetition) -> the columns of a point's quality."""


@dataclass
class Progress:
    """How far a run is."""

    total: int
    done: int = 0
    """Finished points, those of earlier runs included."""
    failed: int = 0
    ran: int = 0
    """Points that this run finished."""
    seconds: float = 0.0
    best: Row = field(default_factory=dict)
    """The best row so far by the first objective."""
    damaged: list[Path] = field(default_factory=list)
    """Parts that were found damaged: where they are now."""

    @property
    def rate(self) -> float:
        """Points a second of this run."""
        return self.ran / self.seconds if self.seconds else 0.0


Tick = Callable[[Progress], None]


def task_of(space: Space, point: Point, quality: QualityOf | None) -> Task:
    """A point as work, with its name."""
    run, error = space.settings(point)
    settings = run if error else run.model_dump(mode="json")
    inputs = [] if error else run.inputs()
    known = quality(settings, point.repetition) if quality is not None and not error else {}
    spec = space.spec
    values = dict(point.values)
    if spec.repeat > 1:
        values["repetition"] = point.repetition
    key = content_key(spec.machine, code_version(spec.machine), settings, [known, spec.detail], inputs)
    return Task(key, spec.machine, settings, values, known, error, spec.detail)


class Runner:
    """Runs tasks that are not finished yet, and keeps what comes."""

    def __init__(self, store: Store, executor: Executor, objective: str, progress: Progress, tick: Tick) -> None:
        self.store, self.executor, self.progress, self.tick = store, executor, progress, tick
        self.direction, self.column = objective.split()
        self.seconds_per_point = 0.0
        """Mean of this run so far; 0 before its first point."""

    def run(self, tasks: Iterator[Task]) -> Iterator[Row]:
        """Rows as they come. Finished points are stored, also when this ends early."""
        waiting: list[Row] = []
        began = stored_at = time.monotonic()
        before = self.progress.seconds
        rows = self.executor(self._batches(tasks))
        try:
            for found in rows:
                now = time.monotonic()
                waiting += found
                self._count(found, before + now - began)
                if now - stored_at >= max(KEEP_SECONDS, KEEP_SHARE * (now - began)):
                    self.store.append(waiting)
                    waiting, stored_at = [], time.monotonic()
                yield from found
        finally:
            with contextlib.suppress(AttributeError):  # an executor may be any iterator
                rows.close()  # type: ignore[attr-defined]  # a generator
            self.store.append(waiting)

    def _batches(self, tasks: Iterator[Task]) -> Batches:
        batch: list[Task] = []
        for task in tasks:
            batch.append(task)
            wanted = (
                1 if not self.seconds_per_point else min(max(int(BATCH_SECONDS / self.seconds_per_point), 1), MAX_BATCH)
            )
            if len(batch) >= wanted:
                yield batch
                batch = []
        if batch:
            yield batch

    def _count(self, rows: list[Row], seconds: float) -> None:
        p = self.progress
        p.ran += len(rows)
        p.done += len(rows)
        p.seconds = seconds
        self.seconds_per_point = seconds / p.ran
        for row in rows:
            p.failed += row["status"] == "failed"
            value = row.get(self.column)
            if value is not None and (not p.best or (value < p.best[self.column]) == (self.direction == "min")):
                p.best = row
        self.tick(p)


def run_sweep(
    space: Space,
    folder: Path,
    executor: Executor,
    *,
    quality: QualityOf | None = None,
    again: bool = False,
    tick: Tick = lambda progress: None,
) -> Progress:
    """Run a sweep's points that are not in ``folder`` yet, and write ``results.parquet`` there.

    Args:
        quality: the columns of a point's quality, where the sweep asks for it.
        again: run failed points again.

    Raises:
        InputError: as `Store.open`; the conditions exclude every point.
    """
    points = space.points()
    points = itertools.chain([next(points)], points)  # where there is none, nothing is written
    store = Store(folder)
    store.open(space.spec.machine, code_version(space.spec.machine), space.spec.model_dump(mode="json", by_alias=True))
    try:
        progress = Progress(0, damaged=store.damaged)
        finished = store.finished(failed=not again)
        plan: list[tuple[str, Point]] = []
        tasks: dict[str, Task] = {}
        seen: set[str] = set()
        for point in points:  # names first: conditions and settings are checked before anything runs
            task = task_of(space, point, quality)
            plan.append((task.key, point))
            seen.add(task.key)
            if len(tasks) < MAX_HELD_TASKS and task.key not in finished:
                tasks[task.key] = task
        progress.total, progress.done = len(seen), len(seen & finished)
        tick(progress)

        def missing() -> Iterator[Task]:
            given = set(finished)
            for key, point in plan:
                if key not in given:
                    given.add(key)
                    yield tasks.pop(key) if key in tasks else task_of(space, point, quality)

        for _ in Runner(store, executor, space.spec.objectives[0], progress, tick).run(missing()):
            pass
        write_table(store, space, plan)
        return progress
    finally:
        store.close()
