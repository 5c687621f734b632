# SPDX-License-Identifier: Apache-2.0
"""What all commands share: options, configuration from file, ``--set`` and flags, and how they print."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from dataflow.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.table import Table

    from .machine import Tick

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="YAML file of settings, as `hwsim schema` describes (default: none)."
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY.PATH=VALUE",
        help="Change one setting (default: none); may be repeated; wins over --config.",
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write results into this folder (default: none is written).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

IgnoreOp = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore-op",
        metavar="NAME",
        help="Count a graph's operations of this kind or name as nothing (default: what is not modelled is refused); "
        "may be repeated.",
    ),
]
Dim = Annotated[
    list[str] | None,
    typer.Option(
        "--dim", metavar="NAME=SIZE", help="Size of a graph's dynamic dimension (default: none); may be repeated."
    ),
]

T = TypeVar("T", bound="BaseModel")


def fail(message: str) -> NoReturn:
    """End with one line and exit code 2."""
    sys.stderr.write("hwsim: " + " ".join(message.split()) + "\n")
    sys.exit(2)


def load(
    model: type[T],
    config: Path | None,
    sets: list[str] | None,
    base: dict[str, Any] | None = None,
    /,
    *,
    options: Mapping[str, str] | None = None,
    **flags: Any,
) -> T:
    """Settings of a command: ``base``, then the file's, then ``--set``, then flags that are not None.

    Args:
        flags: options of the command by the field that they set.
        options: names of those options that are not called as their field.

    Raises:
        InputError: one line naming file or option, field and what is allowed.
    """
    from dataflow.files import read_yaml, validated

    data: Any = dict(base or {})
    where = "settings"
    if config is not None:
        where = str(config)
        found = read_yaml(config)
        data = data | found if isinstance(found, dict) else data if found is None else found
        if sets or any(v is not None for v in flags.values()):
            validated(model, data, where)  # an error of the file names the file, not an option
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected fields of {model.__name__}, found {type(data).__name__}")
    change(data, sets)
    given = {k: v for k, v in flags.items() if v is not None}
    try:
        return validated(model, data | given, where)
    except InputError as error:
        text = str(error).removeprefix(f"{where}: ")
        field = next((f for f in given if text.startswith((f"{f}:", f"{f}[", f"{f}."))), None)
        if field is None:
            raise
        name = (options or {}).get(field, f"--{field.replace('_', '-')}")
        raise InputError(name + text.removeprefix(field)) from None


def change(data: dict[str, Any], sets: list[str] | None) -> None:
    """Carry out ``--set KEY.PATH=VALUE`` options.

    Raises:
        InputError: one that is written otherwise, or goes through a value.
    """
    from dataflow.files import put

    for text in sets or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"--set {text}: write it as key.path=value")
        try:
            put(data, key, _scalar(value))
        except InputError as error:
            raise InputError(f"--set {text}: {error}") from None


def graph_flags(ignore_op: list[str] | None, dim: list[str] | None) -> dict[str, Any]:
    """The options of a network that is read from a graph, by the field that they set.

    Raises:
        InputError: a dimension that is written otherwise than NAME=SIZE.
    """
    dims = {}
    for text in dim or []:
        name, equals, size = text.partition("=")
        if not (name and equals and size.isascii() and size.isdigit()):
            raise InputError(f"--dim {text}: write it as name=size")
        dims[name] = int(size)
    return {"ignore_op": ignore_op or None, "dims": dims or None}


def show_ignored(ignored: Sequence[str]) -> None:
    """Say which operations were counted as nothing because the user said so."""
    if ignored:
        sys.stdout.write(f"counted as nothing, as asked: {', '.join(ignored)}\n")


def _scalar(text: str) -> Any:
    """A YAML scalar or flow list; N:M stays text (YAML 1.1 would read 2:8 as a number)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text) if ":" not in text else text
    except YAMLError:
        return text


@contextmanager
def quick_numba() -> Iterator[None]:
    """Start Numba faster, for a command that is over in a second.

    Numba's first kernel imports SciPy where it is installed, for BLAS that no kernel here calls: a fifth of the time.
    It is hidden meanwhile. The garbage collector, which would walk all modules again and again, rests, and leaves them
    alone afterwards.
    """
    blas = "scipy.linalg.cython_blas"
    hidden = blas not in sys.modules
    if hidden:
        sys.modules[blas] = None  # type: ignore[assignment]  # as sys documents
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if hidden:
            del sys.modules[blas]


def show(*tables: Table) -> None:
    """Print tables; where the terminal is narrower than a table's words and numbers, lines are longer than it, and no
    number is cut."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 120  # a file's or a pipe's lines need no folding
    free = console.options.update(width=10_000, max_width=10_000)
    for table in tables:
        width = max(console.width, Measurement.get(console, free, table).minimum)
        Console(width=width).print(table)


def words(text: str | None) -> list[str] | None:
    """The parts of a list that is separated by commas."""
    return None if text is None else [w.strip() for w in text.split(",") if w.strip()]


def print_json(data: Any) -> None:
    sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")


def made(paths: list[Path]) -> None:
    """Say which files a command wrote, each on one line: a path that is folded cannot be copied."""
    from rich.console import Console
    from rich.markup import escape

    for path in paths:
        Console().print(f"[dim]wrote[/dim] {escape(str(path))}", soft_wrap=True)


def si(value: float, unit: str = "") -> str:
    """A number with three digits and a prefix: 6.36 G."""
    for limit, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def progress() -> Any:
    """A progress bar on standard error, where that is a terminal: text, bar, count, time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())


@contextmanager
def ticking(text: str) -> Iterator[Tick]:
    """A `hwsim.core.machine.Tick` that moves a progress bar."""
    with progress() as bar:
        task = bar.add_task(text, total=None)

        def tick(text: str, done: int = 0, total: int | None = None) -> None:
            bar.update(task, description=text, completed=done, total=total)

        yield tick
