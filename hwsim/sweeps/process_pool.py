# SPDX-License-Identifier: Apache-2.0
"""Worker processes of this machine, each with a pipe.

Not `concurrent.futures`: its pool hangs where a worker is killed, or Ctrl-C comes, while one of its threads or the
caller holds one of its locks (seen in a test of kills).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait as wait_for
from types import ModuleType
from typing import Any

from dataflow.errors import InputError

from .errors import SweepStopped
from .evaluate import Row, Task, evaluate
from .pool import POLL_SECONDS, WorkerDied
from .space import code_version


class _Future:
    """A batch and what became of it: rows, an exception, or nothing yet."""

    def __init__(self, batch: list[Task]) -> None:
        self.batch = batch
        self.outcome: list[Row] | Exception | None = None


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
        self.pipe, other_end = context.Pipe()
        self.process = context.Process(target=_work, args=(other_end, evaluate, code_version()), daemon=True)
        try:
            with _main_not_run_again():
                self.process.start()
        finally:
            other_end.close()  # the worker's alone, so that its death is an end of the pipe
        self.future: _Future | None = None


class ProcessPool:
    """A `Pool` of processes that end with this one."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._workers: list[_Worker] = []
        self._queue: deque[_Future] = deque()
        try:
            for _ in range(workers):
                self._workers.append(_Worker())
        except OSError as error:
            self.close()
            raise _no_process(error, len(self._workers)) from None

    def submit(self, batch: list[Task]) -> _Future:
        future = _Future(batch)
        self._queue.append(future)
        self._dispatch()
        return future

    def wait(self, pending: Sequence[_Future]) -> list[_Future]:
        self._dispatch()
        busy = {w.pipe: i for i, w in enumerate(self._workers) if w.future is not None}
        done = []
        for pipe in wait_for(list(busy), POLL_SECONDS):
            place = busy[pipe]  # type: ignore[index]
            worker = self._workers[place]
            future = worker.future
            assert future is not None
            try:
                future.outcome = worker.pipe.recv()
                worker.future = None
            except (EOFError, OSError):
                self._replace(place)
            done.append(future)
        return done + [f for f in pending if f.outcome is not None and f not in done]

    def result(self, handle: _Future) -> list[Row]:
        assert handle.outcome is not None
        if isinstance(handle.outcome, Exception):
            raise handle.outcome
        return handle.outcome

    def _dispatch(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.future is None and self._queue:
                worker.future = self._queue.popleft()
                try:
                    worker.pipe.send(worker.future.batch)
                except OSError:
                    self._replace(place)

    def _replace(self, place: int) -> None:
        """Another worker for one that died."""
        dead = self._workers[place]
        assert dead.future is not None
        dead.future.outcome = WorkerDied()
        dead.pipe.close()
        dead.process.join()
        try:
            self._workers[place] = _Worker()
        except OSError as error:
            raise _no_process(error, len(self._workers) - 1) from None

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()


def _no_process(error: OSError, count: int) -> SweepStopped:
    return SweepStopped(f"no more than {count} worker processes can be started: {error.strerror}: give --workers fewer")


def _work(pipe: Any, run: Callable[[str, list[Task]], list[Row]], code: str) -> None:
    """A worker: Ctrl-C is its parent's affair, and it ends when its parent is gone, however that ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    while True:
        try:
            batch = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            outcome: list[Row] | Exception = run(code, batch)
        except InputError as error:
            outcome = error
        pipe.send(outcome)
