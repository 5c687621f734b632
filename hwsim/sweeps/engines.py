# SPDX-License-Identifier: Apache-2.0
"""Where points run: in this process, in processes of this machine, on a Dask cluster. The same rows on all of them.

An engine takes batches of tasks as it has room and gives their rows back in any order. A batch whose worker died runs
again, alone; a single point that kills its worker twice while it is alone is recorded as failed.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait as wait_for
from types import ModuleType
from typing import Any

from dataflow.errors import InputError

from .evaluate import Row, Task, evaluate, failed
from .space import code_version

Batches = Iterator[list[Task]]
Engine = Callable[[Batches], Iterator[list[Row]]]
AHEAD = 2
"""Batches a worker that are under way: one runs, one waits."""
DEATHS = 2


INTERRUPTED = threading.Event()
"""Set by who handles Ctrl-C: the exception that it raises may be lost in code that swallows what it is given."""
LOOK_SECONDS = 0.5
"""How often an engine that waits looks whether it is interrupted."""


def _look() -> None:
    if INTERRUPTED.is_set():
        raise KeyboardInterrupt


def serial(batches: Batches) -> Iterator[list[Row]]:
    """In this process."""
    for batch in batches:
        _look()
        yield evaluate(code_version(), batch)


def processes(workers: int) -> Engine:
    """In processes of this machine, which end with this one."""

    return lambda batches: _stream(batches, lambda: _Pool(workers), WorkerDied)


class WorkerDied(Exception):
    """A process ended while it had work."""


class _Answer:
    """What a batch will give."""

    def __init__(self, batch: list[Task]) -> None:
        self.batch = batch
        self.found: Any = None

    def result(self) -> list[Row]:
        if isinstance(self.found, Exception):
            raise self.found
        rows: list[Row] = self.found
        return rows


@contextlib.contextmanager
def _main_not_run_again() -> Iterator[None]:
    """Let a spawned process begin without the caller's script: nothing a worker needs is in it, and a script without
    ``if __name__ == "__main__"`` would sweep again in every worker."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class _Worker:
    """A process and its pipe."""

    def __init__(self) -> None:
        # a fresh interpreter: a fork would take over threads and locks half-way
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, evaluate, code_version()), daemon=True)
        with _main_not_run_again():
            self.process.start()
        theirs.close()  # so that its end is an end of the pipe
        self.answer: _Answer | None = None


class _Pool:
    """Processes with a pipe each.

    Not `concurrent.futures`: its pool hangs where a worker is killed, or Ctrl-C comes, while one of its threads or the
    caller holds one of its locks (seen in a test of kills).
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._workers = [_Worker() for _ in range(workers)]
        self._queue: deque[_Answer] = deque()

    def submit(self, batch: list[Task]) -> _Answer:
        answer = _Answer(batch)
        self._queue.append(answer)
        self._hand_out()
        return answer

    def wait(self, pending: list[_Answer]) -> list[_Answer]:
        """Those that are done, after at most `LOOK_SECONDS`."""
        self._hand_out()
        busy = {w.pipe: i for i, w in enumerate(self._workers) if w.answer is not None}
        done = []
        for pipe in wait_for(list(busy), LOOK_SECONDS):
            worker = self._workers[busy[pipe]]  # type: ignore[index]
            answer = worker.answer
            assert answer is not None
            try:
                answer.found = worker.pipe.recv()
                worker.answer = None
            except (EOFError, OSError):
                self._bury(busy[pipe])  # type: ignore[index]
            done.append(answer)
        return done + [a for a in pending if a.found is not None and a not in done]

    def _hand_out(self) -> None:
        for i, worker in enumerate(self._workers):
            if worker.answer is None and self._queue:
                worker.answer = self._queue.popleft()
                try:
                    worker.pipe.send(worker.answer.batch)
                except OSError:
                    self._bury(i)

    def _bury(self, place: int) -> None:
        """Another worker for one that died."""
        dead = self._workers[place]
        assert dead.answer is not None
        dead.answer.found = WorkerDied()
        dead.pipe.close()
        dead.process.join()
        self._workers[place] = _Worker()

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()


def _serve(pipe: Any, work: Callable[[str, list[Task]], list[Row]], code: str) -> None:
    """A worker: Ctrl-C is its parent's affair, and it ends when its parent is gone, however that ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    while True:
        try:
            batch = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            found: Any = work(code, batch)
        except InputError as error:
            found = error
        pipe.send(found)


def dask(address: str, workers: int) -> Engine:
    """On a Dask cluster: the scheduler at ``address``, or a cluster of ``workers`` made here for ``local``.

    Raises (when it begins):
        InputError: nobody answers at the address, or it has no workers.
    """
    from distributed.scheduler import KilledWorker

    return lambda batches: _stream(batches, lambda: _Cluster(address, workers), KilledWorker)


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
    def __init__(self, address: str, workers: int) -> None:
        import logging

        from distributed import Client, LocalCluster

        for name in ("distributed", "tornado", "asyncio"):  # what happens to workers is told by the rows
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._cluster: Any = None
        try:
            if address == "local":
                # where Ctrl-C ends it at once, it is no fault that semaphores are left to the tracker of them
                os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker:UserWarning"
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

        try:
            return self._client.sync(_wait, pending, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            return ()

    def close(self) -> None:
        with contextlib.suppress(TimeoutError, OSError):
            self._client.close(timeout=1)
            if self._cluster is not None:
                self._cluster.close(timeout=1)


def _stream(batches: Batches, start: Callable[[], Any], death: type[Exception]) -> Iterator[list[Row]]:
    """Keep the workers of a pool busy; it replaces those that die.

    Args:
        start: makes the pool, where there is anything to run.
        death: what a batch's result raises when its worker died.

    Raises:
        InputError: workers die without any work.
    """
    first = next(batches, None)
    if first is None:
        return
    batches = itertools.chain([first], batches)
    pool = start()
    pending: dict[Any, list[Task]] = {}
    again: list[list[Task]] = []  # batches whose worker died
    try:
        while True:
            while not again and len(pending) < AHEAD * pool.workers and (batch := next(batches, None)) is not None:
                pending[pool.submit(batch)] = batch
            if not pending and not again:
                return
            _look()
            for future in pool.wait(list(pending)) if pending else ():
                batch = pending.pop(future)
                try:
                    yield future.result()
                except death:
                    again.append(batch)
            while again and not pending:  # alone, so that it is known whose fault it is
                yield from _alone(pool, again.pop(0), death)
    finally:
        pool.close()


def _alone(pool: Any, batch: list[Task], death: type[Exception]) -> Iterator[list[Row]]:
    """Run a batch with nothing beside it; if its worker dies, its points one by one."""
    for _ in range(1 if len(batch) > 1 else DEATHS):
        if (rows := _try(pool, batch, death)) is not None:
            yield rows
            return
    if len(batch) > 1:
        for task in batch:
            yield from _alone(pool, [task], death)
        return
    if _try(pool, [], death) is None:
        raise InputError("the workers die as soon as they begin: is hwsim installed where they run?")
    yield [failed(batch[0], "its worker died: out of memory, or killed")]


def _try(pool: Any, batch: list[Task], death: type[Exception]) -> list[Row] | None:
    """What a batch gives; None: its worker died."""
    future = pool.submit(batch)
    while not pool.wait([future]):
        _look()
    try:
        found: list[Row] = future.result()
    except death:
        return None
    return found
