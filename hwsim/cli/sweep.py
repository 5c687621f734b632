# SPDX-License-Identifier: Apache-2.0
"""``hwsim sweep`` and ``hwsim search``: a space of designs, run on any number of workers; ended, it goes on."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import Json, change, made, print_json

if TYPE_CHECKING:
    from hwsim.sweeps.executors import Executor
    from hwsim.sweeps.space import Space
    from hwsim.sweeps.sweep import Progress, Tick

SpecFile = Annotated[str, typer.Argument(metavar="SPEC", help="Sweep file (YAML), or the name of a shipped study.")]
Folder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder of the results (default: out/NAME, of the file NAME.yaml)."),
]
Workers = Annotated[
    int | None,
    typer.Option(min=0, max=4096, help="Worker processes (default: one for each core); 0: run in this process."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Dask scheduler: tcp://host:8786, the folder that `python -m hwsim.sweeps.cluster` made, or local "
        "(default: none, worker processes).",
    ),
]
SchedulerTimeout = Annotated[
    float,
    typer.Option(
        min=1,
        metavar="SECONDS",
        help="With Dask: the run ends with exit code 2 after this time without a worker, or without an answer of the "
        "scheduler (10 s at most); finished points are stored.",
        show_default=True,
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY.PATH=VALUE", help="Change one entry of the file, as in sample.count=50 (default: none)."
    ),
]
Page = Annotated[bool, typer.Option(help="Write report.html and figures at the end.")]


def sweep(
    spec: SpecFile,
    out: Folder = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    scheduler_timeout: SchedulerTimeout = 60,
    set_: Changes = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the number of points and the expected time.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed points again.")] = False,
    page: Page = True,
    json_: Json = False,
) -> None:
    """Run every point of a sweep file that is not finished yet; each result is stored at once.

    Example: hwsim sweep examples/array.yaml --workers 4
    """
    from hwsim.sweeps.sweep import run_sweep

    space, out = open_space(spec, set_, out)
    if dry_run:
        _dry_run(space, out, workers, json_)
        return
    executor = _executor(workers, scheduler, scheduler_timeout)
    with _going_on(out), _shown(space) as tick:
        found = run_sweep(space, out, executor, quality=_quality(space, out), again=retry_failed, tick=tick)
    _end(space, out, found, page, json_)


def search(
    spec: SpecFile,
    out: Folder = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    scheduler_timeout: SchedulerTimeout = 60,
    set_: Changes = None,
    page: Page = True,
    json_: Json = False,
) -> None:
    """Search the best points of a sweep file with Optuna (its `search` section), for all its objectives at once.

    Example: hwsim search examples/array.yaml --workers 4
    """
    from hwsim.sweeps.search import run_search

    space, out = open_space(spec, set_, out)
    executor = _executor(workers, scheduler, scheduler_timeout)
    with _going_on(out), _shown(space) as tick:
        found = run_search(space, out, executor, quality=_quality(space, out), tick=tick)
    _end(space, out, found, page, json_)


def open_space(name: str, changes: list[str] | None, out: Path | None) -> tuple[Space, Path]:
    """The space of a sweep file, and where its results go.

    Raises:
        InputError: no such file or study, or anything wrong in it.
    """
    from dataflow.files import read_yaml, validated
    from hwsim.sweeps.space import Space
    from hwsim.sweeps.spec import Spec

    path = Path(name)
    if not path.suffix and not path.exists():
        known = sorted(p.parent.name for p in studies_folder().glob("*/spec.yaml"))
        if name not in known:
            raise InputError(f"{name}: no such file, nor a shipped study: {', '.join(known)}")
        path = studies_folder() / name / "spec.yaml"
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected fields of Spec, found {type(data).__name__}")
    change(data, changes)
    _found_beside(data, path.parent)
    stem = path.parent.name if path.name == "spec.yaml" else path.stem
    return Space(validated(Spec, data, str(path)), str(path)), out or Path("out") / stem


def _found_beside(data: dict[str, Any], folder: Path) -> None:
    """A base's file that is named from the sweep file's folder, by its full path."""
    base = data.get("base")
    if not isinstance(base, dict):
        return
    for name in ("network", "workload"):
        found = base.get(name)
        if isinstance(found, str) and not Path(found).exists() and (folder / found).exists():
            base[name] = str((folder / found).resolve())


def studies_folder() -> Path:
    """Folder of the shipped studies."""
    import reports

    return Path(reports.__file__).parent / "studies"


def _executor(workers: int | None, scheduler: str | None, timeout: float) -> Executor:
    from hwsim.sweeps.executors import dask, processes, serial

    count = os.cpu_count() or 1 if workers is None else workers
    if scheduler is not None:
        return dask(scheduler, max(count, 1), timeout)
    return processes(count) if count else serial


def _quality(space: Space, out: Path) -> Callable[[dict[str, Any], int], dict[str, Any]] | None:
    from .quality import quality_of

    return quality_of(space, out)


@contextmanager
def _going_on(out: Path) -> Iterator[None]:
    """Say how to go on, where Ctrl-C or a fault outside the points ends it."""
    from hwsim.sweeps.errors import SweepStopped
    from hwsim.sweeps.pool import INTERRUPTED

    def interrupt(number: int, frame: object) -> None:
        INTERRUPTED.set()  # should the exception be lost in code that swallows what it is given
        raise KeyboardInterrupt

    command = shlex.join(["hwsim", *sys.argv[1:]])
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except SweepStopped as error:
        go_on = f"finished points are stored in {out}; to go on" if error.stored else "to run it again"
        raise InputError(f"{error}; {go_on}: {command}") from None
    except KeyboardInterrupt:
        sys.stderr.write(f"hwsim: stopped; finished points are stored in {out}; to go on: {command}\n")
        sys.stderr.flush()
        if "distributed" in sys.modules:  # it would wait for what its workers do; they end with this process
            os._exit(130)
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _shown(space: Space) -> Iterator[Tick]:
    """A line of progress on standard error: done, failed, rate, time left, best so far."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from hwsim.sweeps.evaluate import describe

    from .results import tell_damaged

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    reported = 0
    column = space.spec.objectives[0].split()[1]
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        line = bar.add_task(space.spec.title, total=None)

        def tick(p: Progress) -> None:
            nonlocal reported
            tell_damaged(p.damaged[reported:], "its points run again")
            reported = len(p.damaged)
            text = f"{p.failed} failed, {p.rate * 60:,.0f} a minute"
            if p.best:
                text += f", best {column} {p.best[column]:.4g} ({describe(json.loads(p.best['point']))})"
            bar.update(line, total=p.total, completed=p.done, description=text[: max(console.width - 60, 30)])

        yield tick


def _dry_run(space: Space, out: Path, workers: int | None, json_: bool) -> None:
    """Count the points, and time a few that are spread over them."""
    import time

    from hwsim.sweeps.executors import serial
    from hwsim.sweeps.space import code_version
    from hwsim.sweeps.store import Store
    from hwsim.sweeps.sweep import task_of

    points = list(space.points())
    quality = None  # may train for minutes: is not part of what is timed
    keys = [task_of(space, p, quality).key for p in points]
    done = 0
    store = Store(out)
    if (out / "manifest.json").exists() and store.manifest().get("code") == code_version(space.spec.machine):
        done = len(set(keys) & store.finished())
    chosen = [points[i] for i in sorted({0, len(points) // 4, len(points) // 2, 3 * len(points) // 4})]
    next(serial(iter([[task_of(space, chosen[0], quality)]])))  # compiles
    began = time.perf_counter()
    for point in chosen:
        next(serial(iter([[task_of(space, point, quality)]])))
    each = (time.perf_counter() - began) / len(chosen)
    count = (os.cpu_count() or 1 if workers is None else workers) or 1
    total = len(set(keys))
    left = each * (total - done) / count
    if json_:
        print_json({"points": total, "done": done, "seconds_a_point": each, "workers": count, "seconds": left})
        return
    sys.stdout.write(
        f"{total:,} points, {done:,} of them done; {1e3 * each:.0f} ms a point: about {_duration(left)} with {count} "
        f"worker{'s' if count > 1 else ''}\n"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _end(space: Space, out: Path, found: Progress, page: bool, json_: bool) -> None:
    paths = [out / "results.parquet"]
    if page:
        from .results import write_page

        paths += write_page(out)
    if json_:
        print_json({"points": found.total, "ran": found.ran, "failed": found.failed, "out": str(out)})
        return
    sys.stdout.write(
        f"{found.total:,} points: {found.ran:,} run now ({found.seconds:.1f} s), "
        f"{found.total - found.ran:,} finished before"
        + (f"; {found.failed:,} failed (hwsim results {out} --failed)" if found.failed else "")
        + "\n"
    )
    made(paths)
