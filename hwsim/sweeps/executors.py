# SPDX-License-Identifier: Apache-2.0
"""Where points run: in this process, in processes of this machine, on a Dask cluster. The same rows on all of them.

An executor takes batches of tasks as it has room and gives their rows back in any order. A batch whose worker died runs
again, alone; a single point that kills its worker twice while it is alone is recorded as failed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from .errors import SweepStopped
from .evaluate import Row, Task, evaluate, failed
from .pool import Pool, ResultLost, WorkerDied, check_interrupted
from .space import code_version

Batches = Iterator[list[Task]]
Executor = Callable[[Batches], Iterator[list[Row]]]
BATCHES_PER_WORKER = 2
"""Batches under way a worker: one runs, one waits."""
MAX_DEATHS = 2
"""A point is given up when so many workers died while they had it alone."""
SCHEDULER_SECONDS = 60.0
"""Time after which a run on Dask without any worker ends, s."""


def serial(batches: Batches) -> Iterator[list[Row]]:
    """In this process."""
    for batch in batches:
        check_interrupted()
        yield evaluate(code_version(), batch)


def processes(workers: int) -> Executor:
    """In processes of this machine, which end with this one."""
    from .process_pool import ProcessPool

    return lambda batches: _stream(batches, lambda: ProcessPool(workers))


def dask(scheduler: str, workers: int, timeout: float = SCHEDULER_SECONDS) -> Executor:
    """On a Dask cluster.

    Args:
        scheduler: its address; the folder that ``python -m hwsim.sweeps.cluster`` made; ``local``: a cluster of
            ``workers`` is made here.
        timeout: seconds without any worker, or without an answer of the scheduler, after which the run ends.

    Raises (when it begins):
        InputError: no scheduler answers there, or it has no workers.
    """
    from .dask_pool import DaskPool

    return lambda batches: _stream(batches, lambda: DaskPool(scheduler, workers, timeout))


def _stream(batches: Batches, start: Callable[[], Pool]) -> Iterator[list[Row]]:
    """Keep the workers of a pool busy.

    Args:
        start: makes the pool, where there is anything to run.

    Raises:
        SweepStopped: no worker can run anything.
    """
    first = next(batches, None)
    if first is None:
        return
    batches = itertools.chain([first], batches)
    pool = start()
    pending: dict[Any, list[Task]] = {}
    lost: list[list[Task]] = []
    suspects: list[list[Task]] = []  # batches whose worker died
    try:
        while True:
            while not suspects and len(pending) < BATCHES_PER_WORKER * pool.workers:
                batch = lost.pop() if lost else next(batches, None)
                if batch is None:
                    break
                pending[pool.submit(batch)] = batch
            if not pending and not suspects:
                return
            check_interrupted()
            for handle in pool.wait(list(pending)) if pending else ():
                batch = pending.pop(handle)
                try:
                    yield pool.result(handle)
                except WorkerDied:
                    suspects.append(batch)
                except ResultLost:
                    lost.append(batch)
            while suspects and not pending:  # alone, so that it is known which point it is
                yield from _alone(pool, suspects.pop(0))
    finally:
        pool.close()


def _alone(pool: Pool, batch: list[Task]) -> Iterator[list[Row]]:
    """Run a batch with nothing beside it; if its worker dies, its points one by one."""
    for _ in range(1 if len(batch) > 1 else MAX_DEATHS):
        if (rows := _rows_or_death(pool, batch)) is not None:
            yield rows
            return
    if len(batch) > 1:
        for task in batch:
            yield from _alone(pool, [task])
        return
    if _rows_or_death(pool, []) is None:
        raise SweepStopped("the workers die as soon as they begin: is hwsim installed where they run?")
    yield [failed(batch[0], "its worker died: out of memory, or killed")]


def _rows_or_death(pool: Pool, batch: list[Task]) -> list[Row] | None:
    """The rows of a batch; None: its worker died."""
    while True:
        handle = pool.submit(batch)
        while handle not in pool.wait([handle]):
            check_interrupted()
        try:
            return pool.result(handle)
        except WorkerDied:
            return None
        except ResultLost:
            continue
