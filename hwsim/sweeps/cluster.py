# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster from a batch system's jobs, for ``hwsim sweep --scheduler``; a thin front of dask-jobqueue.

    python -m hwsim.sweeps.cluster slurm --jobs 8 --cores 16 --memory 32GB --walltime 04:00:00 --queue short

prints the scheduler's address and how a sweep uses it, and holds the jobs until it is ended. Each core is a worker
process of one thread. The file system must be shared where sweep files name networks or workloads, and where the folder
lies that holds the cluster's certificate: without it nobody can send work to the scheduler or the workers. The same
hwsim must be installed on the nodes.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dataflow.errors import InputError

from .dask_pool import ADDRESS, CERTIFICATE, KEY, certificate, quiet_logs, security


class System(StrEnum):
    """Batch systems; ``local`` runs the same job script here."""

    SLURM = "slurm"
    LSF = "lsf"
    PBS = "pbs"
    LOCAL = "local"


def hold_cluster(
    system: Annotated[System, typer.Argument(help="Batch system; local: the same job script, run here.")],
    jobs: Annotated[int, typer.Option(min=1, help="Jobs to submit.")] = 1,
    cores: Annotated[int, typer.Option(min=1, help="Cores of a job, a worker each.")] = 8,
    memory: Annotated[str, typer.Option(help="Memory of a job.")] = "16GB",
    walltime: Annotated[str, typer.Option(help="Time limit of a job, as the system writes it.")] = "01:00:00",
    queue: Annotated[str | None, typer.Option(help="Queue or partition.")] = None,
    account: Annotated[str | None, typer.Option(help="Account or project that pays.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="New folder for the cluster's address and certificate, on a file system that the nodes share "
            "(default: ./hwsim-cluster-...). It is removed at the end.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Only print the job script.")] = False,
) -> None:
    """Submit jobs that are Dask workers; print the scheduler's address; hold them until ended (Ctrl-C)."""
    from dask_jobqueue.local import LocalCluster
    from dask_jobqueue.lsf import LSFCluster
    from dask_jobqueue.pbs import PBSCluster
    from dask_jobqueue.slurm import SLURMCluster

    quiet_logs()
    kinds: dict[System, Any] = {
        System.SLURM: SLURMCluster,
        System.LSF: LSFCluster,
        System.PBS: PBSCluster,
        System.LOCAL: LocalCluster,
    }
    options: dict[str, Any] = {"cores": cores, "processes": cores, "memory": memory, "queue": queue}
    if system is System.LOCAL:
        del options["queue"]
    else:
        options["walltime"] = walltime
        options["project" if system is System.LSF else "account"] = account
    # no pages that tell of the work: they ask nobody for a certificate
    options["scheduler_options"] = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    options["worker_extra_args"] = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    if system is System.LOCAL:
        options["scheduler_options"]["host"] = "127.0.0.1"
    with _access_folder(folder) as made:
        access = security(str(made / CERTIFICATE), str(made / KEY))
        cluster = kinds[system](**options, protocol="tls://", security=access)
        try:
            if show:
                sys.stdout.write(cluster.job_script())
                return
            for _ in range(jobs):
                cluster.worker_spec.update(cluster.new_worker_spec())
            cluster.sync(cluster._correct_state)  # as cluster.scale(), which tells nobody of a job that is refused
            (made / ADDRESS).write_text(json.dumps({"address": cluster.scheduler_address}) + "\n")
            sys.stdout.write(f"{cluster.scheduler_address}  hwsim sweep SPEC --scheduler {made}\n")
            sys.stdout.flush()
            threading.Event().wait()
        finally:
            with suppress(Exception):  # as of a job that was never there
                cluster.close()


@contextmanager
def _access_folder(folder: Path | None) -> Iterator[Path]:
    """A new folder with a new certificate, which nobody else may read; it is removed at the end.

    Raises:
        InputError: it is there already, cannot be made, or its path does not fit into a job script.
    """
    try:
        if folder is None:
            made = Path(tempfile.mkdtemp(prefix="hwsim-cluster-", dir=Path.cwd()))
        else:
            made = folder.absolute()
            made.parent.mkdir(parents=True, exist_ok=True)
            made.mkdir(mode=0o700)
    except OSError as error:
        raise InputError(f"--folder {folder or Path.cwd()}: cannot be made: {error.strerror}") from None
    try:
        if shlex.quote(str(made)) != str(made):
            raise InputError(f"--folder {made}: only letters, digits and @%+=:,./-_ go into a job script")
        for name, text in zip((CERTIFICATE, KEY), certificate(), strict=True):
            with os.fdopen(os.open(made / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def main() -> None:
    """Entry point: one line for what is wrong, exit code 2; jobs end with it, however it is asked to end."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(hold_cluster)
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except typer.TyperException as error:
        _fail(error.format_message())
    except ModuleNotFoundError as error:
        _fail(f"{error.name} is not installed: pip install 'hwsim[cluster]'")
    except FileNotFoundError as error:  # a command of the batch system
        _fail(f"{error.filename}: not found: is this machine part of the batch system?")
    except (InputError, OSError, ValueError, RuntimeError) as error:  # the batch system's, in many lines
        _fail(str(error) or type(error).__name__)


def _fail(message: str) -> None:
    sys.stderr.write("hwsim.sweeps.cluster: " + " ".join(message.split())[:500] + "\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
