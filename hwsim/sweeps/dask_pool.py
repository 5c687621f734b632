# SPDX-License-Identifier: Apache-2.0
"""Workers of a Dask cluster, and who may use them.

A cluster that hwsim makes takes work only from whoever holds its certificate: Dask's workers run any code that they are
sent. The certificate is made for the one cluster, signs itself, and stands for scheduler, workers and clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from dataflow.errors import InputError

from .errors import SweepStopped
from .evaluate import Row, Task, evaluate
from .pool import POLL_SECONDS, ResultLost, WorkerDied, check_interrupted
from .space import code_version

CONNECT_SECONDS = 10.0
"""Time after which a scheduler that does not answer is given up, s."""
CHECK_SECONDS = 2.0
"""Time between checks that the scheduler answers and has workers, s."""
CERTIFICATE, KEY, ADDRESS = "cert.pem", "key.pem", "scheduler.json"


def certificate() -> tuple[str, str]:
    """A new certificate, which signs itself, and its private key (PEM)."""
    import cryptography  # noqa: F401  Dask's own message would not say which extra brings it
    from distributed import Security

    made: Any = Security.temporary()
    return made.tls_ca_file, made.tls_client_key


def security(cert: str, key: str) -> Any:
    """Dask's settings for a cluster of one certificate: texts or paths."""
    from distributed import Security

    roles = ("client", "scheduler", "worker")
    pairs = {f"tls_{role}_{kind}": given for role in roles for kind, given in (("cert", cert), ("key", key))}
    return Security(require_encryption=True, tls_ca_file=cert, **pairs)


def read_access(folder: Path) -> tuple[str, Any]:
    """Address and security settings of a cluster, from the folder that it made.

    Raises:
        InputError: a file is missing or broken.
    """
    path = folder / ADDRESS
    try:
        address = json.loads(path.read_text(encoding="utf-8"))["address"]
        for name in (CERTIFICATE, KEY):
            path = folder / name
            path.read_bytes()
    except OSError as error:
        raise InputError(f"--scheduler: {path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"--scheduler: {path}: not the address of a cluster") from None
    return str(address), security(str(folder / CERTIFICATE), str(folder / KEY))


def _cluster_at(scheduler: str, where: str, timeout: float) -> tuple[str, Any]:
    """Address and security settings of a cluster that is there.

    Raises:
        InputError: what answers at the address, if anything does, is no Dask scheduler.
    """
    from distributed import Security

    access: Any
    if scheduler and Path(scheduler).is_dir():
        address, access = read_access(Path(scheduler))
    else:
        address = scheduler
        access = Security()
        if address.startswith("tls://") and not access.tls_ca_file:
            raise InputError(
                f"{where}: needs a certificate: give the folder that hwsim.sweeps.cluster made instead of the address "
                "(or set Dask's distributed.comm.tls)"
            )
    found: list[str] = []
    # in a thread that can be left behind: Dask's own limits do not hold where something else answers
    asking = threading.Thread(target=lambda: found.append(_kind_at(address, access, timeout)), daemon=True)
    asking.start()
    asking.join(timeout + 1)
    if found != ["Scheduler"]:
        reason = found[0][:150] if found and found[0] else f"no answer within {timeout:g} s"
        raise InputError(f"{where}: no Dask scheduler is there: {reason}")
    return address, access


def _kind_at(address: str, access: Any, timeout: float) -> str:
    """``Scheduler``, or what else is at an address."""
    from distributed.core import rpc

    async def identity() -> str:
        async with rpc(address, timeout=timeout, connection_args=access.get_connection_args("client")) as there:
            kind: str = (await there.identity())["type"]
            return kind

    try:
        kind = asyncio.run(asyncio.wait_for(identity(), timeout))
        return kind if kind == "Scheduler" else f"it is a {kind}"
    except Exception as error:  # anything may lie there
        return _one_line(error)


class DaskPool:
    """A `Pool` on a cluster: one that is there, or ``local``, one that is made here and ends with this process."""

    def __init__(self, scheduler: str, workers: int, timeout: float) -> None:
        from distributed import Client

        quiet_logs()
        self._where, self._timeout = f"--scheduler {scheduler}", timeout
        self._cluster: Any = None
        self._client: Any = None
        try:
            if scheduler == "local":
                self._cluster = _local_cluster(workers)
                address, access = self._cluster, self._cluster.security
            else:
                address, access = _cluster_at(scheduler, self._where, min(CONNECT_SECONDS, timeout))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of other versions; the code's digest is compared where it matters
                self._client = Client(address, timeout=CONNECT_SECONDS, security=access, set_as_default=False)
            self._client.wait_for_workers(1, timeout=timeout)
        except InputError:
            self.close()
            raise
        except TimeoutError:
            self.close()
            raise InputError(f"{self._where}: the scheduler has no workers after {timeout:g} s") from None
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            raise InputError(f"{self._where}: cannot be used: {_one_line(error)[:150]}") from None
        self.workers = 1
        self._checked = self._alive = time.monotonic()
        self._check(at_once=True)

    def submit(self, batch: list[Task]) -> Any:
        while self._client.status != "running":  # the scheduler may come back
            check_interrupted()
            self._check()
            time.sleep(POLL_SECONDS / 5)
        return self._client.submit(evaluate, code_version(), batch, pure=False)

    def wait(self, pending: Sequence[Any]) -> Collection[Any]:
        from distributed.client import _wait

        self._check()
        try:
            done = self._client.sync(_wait, pending, timeout=POLL_SECONDS, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            return ()
        except Exception:  # the connection broke: each handle knows what became of it
            return [handle for handle in pending if handle.done()]
        return set(done)

    def result(self, handle: Any) -> list[Row]:
        from distributed import CancelledError
        from distributed.scheduler import KilledWorker

        while True:
            try:
                rows: list[Row] = handle.result(timeout=POLL_SECONDS)
                return rows
            except TimeoutError:  # its worker died after it was done: it runs again
                check_interrupted()
                self._check()
            except KilledWorker:
                raise WorkerDied from None
            except (CancelledError, OSError):
                raise ResultLost from None
            except InputError as error:
                raise SweepStopped(str(error)) from None
            except Exception as error:
                raise SweepStopped(
                    f"{self._where}: a worker cannot run points: {type(error).__name__}: {_one_line(error)[:150]}: "
                    "is the same hwsim installed where it runs?"
                ) from None

    def _check(self, at_once: bool = False) -> None:
        """Whether there are workers; counts them.

        Raises:
            SweepStopped: none for too long, or no scheduler.
        """
        now = time.monotonic()
        if self._client.status == "closed":  # it tried to reconnect
            raise SweepStopped(f"{self._where}: the scheduler is gone (no answer for {CONNECT_SECONDS:g} s)")
        if now - self._checked < CHECK_SECONDS and not at_once:
            return
        self._checked = now
        threads = None
        if self._client.status == "running":
            with contextlib.suppress(Exception):  # that is no answer
                threads = sum(self._client.nthreads(callback_timeout=CHECK_SECONDS).values())
        if threads:
            self._alive, self.workers = time.monotonic(), threads
        elif time.monotonic() - self._alive >= self._timeout:
            what = "the scheduler does not answer" if threads is None else "the scheduler has had no workers"
            raise SweepStopped(f"{self._where}: {what} for {self._timeout:g} s")

    def close(self) -> None:
        with contextlib.suppress(Exception):
            if self._client is not None:
                self._client.close(timeout=1)
        with contextlib.suppress(Exception):
            if self._cluster is not None:
                self._cluster.close(timeout=1)


def quiet_logs() -> None:
    """Silence Dask and what it stands on: what happens to workers is said in rows and in errors of one line."""
    import distributed.client
    import distributed.worker  # noqa: F401  with its loggers

    for name in ("asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _local_cluster(workers: int) -> Any:
    """A cluster of this machine: on its loopback interface, behind a certificate (other users share the interface)."""
    import dask
    from distributed import LocalCluster

    # where Ctrl-C ends it at once, it is no fault that semaphores are left to the tracker of them
    os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker:UserWarning"
    access = security(*certificate())
    # no pages that tell of the work
    quiet: dict[str, Any] = {f"distributed.{role}.http.routes": [] for role in ("scheduler", "worker")}
    with _interrupts_ignored(), dask.config.set(quiet):  # by the workers: they inherit it
        return LocalCluster(
            n_workers=workers, threads_per_worker=1, host="127.0.0.1", security=access, silence_logs=logging.CRITICAL,
            dashboard_address=None, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        )  # fmt: skip


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
