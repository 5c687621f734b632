# SPDX-License-Identifier: Apache-2.0
"""Where points run: in this process, in processes of this machine, on a Dask cluster. The same rows on all of them.

An engine takes batches of tasks as it has room and gives their rows back in any order. A batch whose worker died runs
again, alone; a single point that kills its worker twice while it is alone is recorded as failed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any

from dataflow.errors import InputError

from .evaluate import Row, Task, evaluate, failed
from .space import code_version

Batches = Iterator[list[Task]]
Engine = Callable[[Batches], Iterator[list[Row]]]
AHEAD = 2
"""Batches a worker that are under way: one runs, one waits."""
DEATHS = 2


def serial(batches: Batches) -> Iterator[list[Row]]:
    """In this process."""
    for batch in batches:
        yield evaluate(code_version(), batch)


def processes(workers: int) -> Engine:
    """In processes of this machine, which end with this one."""

    def run(batches: Batches) -> Iterator[list[Row]]:
        return _stream(batches, workers, lambda: _Pool(workers), BrokenProcessPool)

    return run


class _Pool:
    """A pool of processes that can be ended at once."""

    dies_as_one = True

    def __init__(self, workers: int) -> None:
        # a fresh interpreter each: a fork would take over threads and locks half-way
        context = multiprocessing.get_context("spawn")
        self._others = set(multiprocessing.active_children())
        self._pool = ProcessPoolExecutor(workers, context, initializer=_begin)

    def submit(self, batch: list[Task]) -> Future[list[Row]]:
        return self._pool.submit(evaluate, code_version(), batch)

    def wait(self, pending: list[Future[list[Row]]]) -> Any:
        return wait(pending, return_when=FIRST_COMPLETED).done

    def close(self) -> None:
        mine = set(multiprocessing.active_children()) - self._others
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in mine:
            process.kill()


def _begin() -> None:
    """A worker: Ctrl-C is its parent's affair, and it ends when its parent is gone, however that ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def dask(address: str, workers: int) -> Engine:
    """On a Dask cluster: the scheduler at ``address``, or a cluster of ``workers`` made here for ``local``.

    Raises (when it begins):
        InputError: nobody answers at the address, or it has no workers.
    """

    def run(batches: Batches) -> Iterator[list[Row]]:
        from distributed.scheduler import KilledWorker

        cluster = _Cluster(address, workers)
        return _stream(batches, cluster.workers, lambda: cluster, KilledWorker)

    return run


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say so
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Cluster:
    dies_as_one = False

    def __init__(self, address: str, workers: int) -> None:
        import logging

        from distributed import Client, LocalCluster

        for name in ("distributed", "tornado", "asyncio"):  # what happens to workers is told by the rows
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._cluster: Any = None
        try:
            if address == "local":
                with _interrupts_ignored():  # by the workers: they inherit it
                    self._cluster = LocalCluster(
                        n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
                    )
            self._client = Client(self._cluster or address, timeout="10s", set_as_default=False)
            self._client.wait_for_workers(1, timeout=60)
        except (OSError, ValueError, TimeoutError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"--scheduler {address}: no Dask scheduler with workers answers: {reason[:150]}") from None
        self.workers = max(sum(self._client.nthreads().values()), 1)

    def submit(self, batch: list[Task]) -> Any:
        return self._client.submit(evaluate, code_version(), batch, pure=False)

    def wait(self, pending: list[Any]) -> Any:
        from distributed.client import _wait

        return self._client.sync(_wait, pending, return_when="FIRST_COMPLETED").done

    def close(self) -> None:
        with contextlib.suppress(TimeoutError, OSError):
            self._client.close(timeout=1)
            if self._cluster is not None:
                self._cluster.close(timeout=1)


class _Crew:
    """Workers that are replaced when they die."""

    def __init__(self, start: Callable[[], Any], death: type[Exception]) -> None:
        self._start, self._death = start, death
        self.pool = start()

    def submit(self, batch: list[Task]) -> Any:
        """A batch's future; None: the workers have died."""
        try:
            return self.pool.submit(batch)
        except self._death:
            return None

    def rows(self, future: Any) -> list[Row] | None:
        """What a batch gave; None: its worker died."""
        try:
            found: list[Row] = future.result()
        except self._death:
            return None
        return found

    def replace(self) -> None:
        """New workers, where one's death takes the others along."""
        if self.pool.dies_as_one:
            self.pool.close()
            self.pool = self._start()

    def alone(self, batch: list[Task]) -> Iterator[list[Row]]:
        """Run a batch with nothing beside it; if its worker dies, its points one by one.

        Raises:
            InputError: workers die without any work.
        """
        for _ in range(1 if len(batch) > 1 else DEATHS):
            if (rows := self._try(batch)) is not None:
                yield rows
                return
        if len(batch) > 1:
            for task in batch:
                yield from self.alone([task])
            return
        if self._try([]) is None:
            raise InputError("the workers die as soon as they begin: is hwsim installed where they run?")
        yield [failed(batch[0], "its worker died: out of memory, or killed")]

    def _try(self, batch: list[Task]) -> list[Row] | None:
        future = self.submit(batch)
        if future is not None:
            self.pool.wait([future])
        rows = None if future is None else self.rows(future)
        if rows is None:
            self.replace()
        return rows


def _stream(batches: Batches, workers: int, start: Callable[[], Any], death: type[Exception]) -> Iterator[list[Row]]:
    """Keep ``workers`` busy.

    Args:
        start: a pool of workers; called again when one is broken.
        death: what a batch's result raises when its worker died.
    """
    crew = _Crew(start, death)
    pending: dict[Any, list[Task]] = {}
    again: list[list[Task]] = []  # batches whose worker died
    try:
        while True:
            while not again and len(pending) < AHEAD * workers and (batch := next(batches, None)) is not None:
                future = crew.submit(batch)
                if future is None:
                    again.append(batch)
                else:
                    pending[future] = batch
            if not pending and not again:
                return
            for future in crew.pool.wait(list(pending)) if pending else ():
                batch = pending.pop(future)
                rows = crew.rows(future)
                if rows is None:
                    again.append(batch)
                else:
                    yield rows
            if again and crew.pool.dies_as_one:
                again += pending.values()
                pending.clear()
            if again and not pending:  # nobody knows whose fault it was
                crew.replace()
                while again:
                    yield from crew.alone(again.pop(0))
    finally:
        crew.pool.close()
