# SPDX-License-Identifier: Apache-2.0
"""Dask clusters: only who holds the certificate may use one that hwsim made; a cluster that fails ends a sweep soon, in
one line, with what was finished kept."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataflow.errors import InputError
from hwsim.sweeps.cluster import _access_folder
from hwsim.sweeps.errors import SweepStopped
from hwsim.sweeps.executors import dask
from hwsim.sweeps.store import Store
from hwsim.sweeps.sweep import run_sweep
from tests.support import tools
from tests.support.sweeps import space

distributed = tools.package("distributed")
from hwsim.sweeps import dask_pool  # noqa: E402


@contextlib.contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """The address of a server that says ``reply`` to whoever connects, and nothing more."""
    server = socket.create_server(("127.0.0.1", 0))
    open_: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                open_.append(connection)
                connection.sendall(reply)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        for one in (server, *open_):
            one.close()


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n" * 9])
def test_what_is_no_scheduler_is_said_in_time(reply: bytes, network: str, tmp_path: Path) -> None:
    with answering(reply) as address:
        began = time.monotonic()
        with pytest.raises(InputError, match=f"--scheduler {address}: no Dask scheduler is there: "):
            run_sweep(space(network), tmp_path, dask(address, 1, timeout=1))
        assert time.monotonic() - began < 6  # its second, and what a busy machine adds


def test_certificates_are_for_their_owner_and_end_with_the_cluster(tmp_path: Path) -> None:
    with _access_folder(tmp_path / "new") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {
            "cert.pem": 0o600,
            "key.pem": 0o600,
        }
        with pytest.raises(InputError, match="cannot be made: File exists"), _access_folder(folder):
            pass
    assert not folder.exists()
    with pytest.raises(InputError, match="go into a job script"), _access_folder(tmp_path / "with space"):
        pass


def test_only_the_certificate_opens_a_cluster_and_no_workers_end_the_sweep(network: str, tmp_path: Path) -> None:
    cluster = dask_pool._local_cluster(1)
    try:
        address = cluster.scheduler_address
        assert address.startswith("tls://127.0.0.1:")
        other = dask_pool.security(*dask_pool.certificate())
        for where, access in ((address, other), (address.replace("tls", "tcp"), distributed.Security())):
            assert dask_pool._kind_at(where, access, 2) not in ("Scheduler", "")
            with pytest.raises(OSError, match="Timed out|tls|SSL|closed"):
                distributed.Client(where, security=access, timeout=1, set_as_default=False)
        with pytest.raises(InputError, match="no Dask scheduler is there"):
            run_sweep(space(network), tmp_path / "out", dask(address.replace("tls", "tcp"), 1, timeout=1))
        pages = f"http://127.0.0.1:{cluster.scheduler.http_server.port}"
        for page in ("/status", "/health", "/metrics", "/json/counts.json", "/info/main/workers.html"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(pages + page, timeout=5)

        folder = tmp_path / "cluster"
        with _access_folder(folder):  # as hwsim.sweeps.cluster leaves it
            (folder / "scheduler.json").write_text(json.dumps({"address": address}))
            for name, text in (
                ("cert.pem", cluster.security.tls_ca_file),
                ("key.pem", cluster.security.tls_client_key),
            ):
                (folder / name).write_text(text)

            def stop_workers(progress: Any) -> None:
                if progress.ran:
                    cluster.scale(0)

            axes = {"batch": {"from": 1, "to": 5000, "step": 1}}
            run = space(network, axes=axes, where=[])
            with pytest.raises(SweepStopped, match="the scheduler has had no workers for 1 s"):
                run_sweep(run, tmp_path / "out", dask(str(folder), 1, timeout=1), tick=stop_workers)
        assert 0 < len(Store(tmp_path / "out").finished()) < 5000
    finally:
        cluster.close(timeout=5)


def test_a_cluster_of_jobs_and_its_end_in_the_middle(network: str, tmp_path: Path) -> None:
    """``python -m hwsim.sweeps.cluster``: a sweep runs there, and ends soon when the scheduler is gone."""
    folder = tmp_path / "cluster"
    words = [sys.executable, "-m", "hwsim.sweeps.cluster", "local", "--cores", "1", "--memory", "1GB",
             "--folder", str(folder)]  # fmt: skip
    cluster = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert cluster.stdout is not None
        line = cluster.stdout.readline()
        assert line.startswith("tls://127.0.0.1:")
        assert line.endswith(f"  hwsim sweep SPEC --scheduler {folder}\n")

        ended: list[bool] = []

        def end_cluster(progress: Any) -> None:
            if progress.ran and not ended:
                ended.append(True)
                cluster.send_signal(signal.SIGTERM)

        run = space(network, axes={"batch": {"from": 1, "to": 5000, "step": 1}}, where=[])
        with pytest.raises(SweepStopped, match="the scheduler (does not answer for 2 s|is gone)") as stopped:
            run_sweep(run, tmp_path / "out", dask(str(folder), 1, timeout=2), tick=end_cluster)
        assert stopped.value.stored
        assert 0 < len(Store(tmp_path / "out").finished()) < 5000
        assert cluster.wait(timeout=30) == 130
        assert not folder.exists()
    finally:
        cluster.kill()
        cluster.wait()


def test_the_old_name_says_the_new_one() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "hwsim.sweep.cluster", "local"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert "hwsim.sweep is now hwsim.sweeps" in found.stderr
