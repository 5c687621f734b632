# SPDX-License-Identifier: Apache-2.0
"""What executors ask of a pool of workers; processes of this machine and Dask clusters have the same face."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Any, Protocol

from .evaluate import Row, Task

POLL_SECONDS = 0.5
"""Time between checks for Ctrl-C while waiting for a result, s."""
INTERRUPTED = threading.Event()
"""Set by the handler of Ctrl-C: the exception that it raises may be lost in a library that swallows exceptions."""


class WorkerDied(Exception):
    """A worker ended while it had the batch."""


class ResultLost(Exception):
    """The batch is gone through no fault of its own: the connection to the scheduler broke."""


class Pool(Protocol):
    """Workers that run batches of tasks. A worker that dies is replaced."""

    workers: int
    """Batches that run at a time."""

    def submit(self, batch: list[Task]) -> Any:
        """Hand over a batch; a handle for its result."""

    def wait(self, pending: Sequence[Any]) -> Collection[Any]:
        """Those of ``pending`` that have a result, after at most `POLL_SECONDS`; maybe none.

        Raises:
            SweepStopped: there will be no results.
        """

    def result(self, handle: Any) -> list[Row]:
        """The rows of a batch that has a result.

        Raises:
            WorkerDied, ResultLost: it must run again.
            SweepStopped: no worker can run it.
        """

    def close(self) -> None:
        """End the workers that belong to the pool, whatever they do."""


def check_interrupted() -> None:
    """Raises:
    KeyboardInterrupt: Ctrl-C was pressed.
    """
    if INTERRUPTED.is_set():
        raise KeyboardInterrupt
