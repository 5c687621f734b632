# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster from a batch system's jobs, for ``hwsim sweep --scheduler``; a thin front of dask-jobqueue.

    python -m hwsim.sweeps.cluster slurm --jobs 8 --cores 16 --memory 32GB --walltime 04:00:00 --queue short

prints the scheduler's address and holds the jobs until it is ended. Each core is a worker process of one thread. The
file system must be shared where sweep files name networks or workloads; the same hwsim must be installed on the nodes.
"""

from __future__ import annotations

import sys
import threading
from enum import StrEnum
from typing import Annotated, Any

import typer


class System(StrEnum):
    """Batch systems; ``local`` runs the same job script here."""

    SLURM = "slurm"
    LSF = "lsf"
    PBS = "pbs"
    LOCAL = "local"


def main(
    system: Annotated[System, typer.Argument(help="Batch system.")],
    jobs: Annotated[int, typer.Option(min=1, help="Jobs to submit.")] = 1,
    cores: Annotated[int, typer.Option(min=1, help="Cores of a job, a worker each.")] = 8,
    memory: Annotated[str, typer.Option(help="Memory of a job.")] = "16GB",
    walltime: Annotated[str, typer.Option(help="Time limit of a job, as the system writes it.")] = "01:00:00",
    queue: Annotated[str | None, typer.Option(help="Queue or partition.")] = None,
    account: Annotated[str | None, typer.Option(help="Account or project that pays.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Only print the job script.")] = False,
) -> None:
    """Submit jobs that are Dask workers; print the scheduler's address; hold them until ended (Ctrl-C)."""
    import dask_jobqueue
    from dask_jobqueue.local import LocalCluster

    kinds: dict[System, Any] = {
        System.SLURM: dask_jobqueue.SLURMCluster,
        System.LSF: dask_jobqueue.LSFCluster,
        System.PBS: dask_jobqueue.PBSCluster,
        System.LOCAL: LocalCluster,
    }
    options: dict[str, Any] = {"cores": cores, "processes": cores, "memory": memory, "queue": queue}
    if system is System.LOCAL:
        del options["queue"]
    else:
        options["walltime"] = walltime
        options["project" if system is System.LSF else "account"] = account
    options["scheduler_options"] = {"dashboard": False}
    with kinds[system](**options) as cluster:
        if show:
            sys.stdout.write(cluster.job_script())
            return
        cluster.scale(jobs=jobs)
        sys.stdout.write(f"{cluster.scheduler_address}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    typer.run(main)
