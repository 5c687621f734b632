# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a command; each imports the rooms it needs when it runs.

Wrong input ends with one line on standard error and exit code 2. Ctrl-C ends with 130.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

from dataflow.errors import InputError
from dataflow.registry import Registry
from hwsim.core.command import fail
from hwsim.core.version import VERSION

from . import (
    attention,
    cache,
    compare,
    demo,
    doctor,
    dram,
    energy,
    explain,
    machines,
    models,
    networks,
    prune,
    pruning,
    report,
    reproduce,
    results,
    schema,
    serve_profile,
    simulate,
    sweep,
    synth,
    train,
    validate,
    verify,
)

app = typer.Typer(
    name="hwsim",
    help="Simulate sparse-training and sparse-attention accelerators, cycle by cycle.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., Any], ...] = (
    demo.demo, machines.machines, simulate.simulate, compare.compare, explain.explain, train.train, models.models,
    prune.methods, prune.prune, pruning.pruning, networks.networks,
    schema.schema, report.report, verify.verify, dram.dram, attention.attention, cache.cache, sweep.sweep, sweep.search,
    results.results, serve_profile.serve_profile, synth.synth, energy.energy, reproduce.reproduce, validate.validate,
    doctor.doctor,
)  # fmt: skip
for command in _COMMANDS:
    app.command()(command)

COMMANDS: Registry[Callable[..., Any]] = Registry("command", "hwsim.commands")
"""Commands that machines bring along: entry points of the group ``hwsim.commands``, a Typer function each."""


def add_commands(wanted: str | None) -> None:
    """Add the commands of installed packages: all of them, or the one that is wanted and not known yet.

    One that cannot be loaded says so when it is called; it must not end the others.
    """
    known = {command.__name__ for command in _COMMANDS}
    for name in COMMANDS.names():
        if name in known or (wanted in known) or (wanted in COMMANDS and wanted != name):
            continue
        try:
            app.command(name)(COMMANDS.get(name))
        except InputError as error:
            app.command(name, help="(cannot be loaded)")(_broken(str(error)))


def _broken(why: str) -> Callable[[], None]:
    def command() -> None:
        raise InputError(why)

    return command


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(VERSION)
        raise typer.Exit


_EXTRAS = {"torch": "train", "sklearn": "train", "matplotlib": "report", "jinja2": "report", "markdown": "report",
           "filelock": "sweep", "optuna": "sweep", "plotly": "sweep", "scipy": "sweep", "simpleeval": "sweep",
           "distributed": "cluster", "cryptography": "cluster", "tokenizers": "hf"}  # fmt: skip
"""Packages that only some commands need, and the extra that brings them."""


_USUAL = warnings.formatwarning


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning of ours as a line, as an error is; others as usual."""
    mine = category is UserWarning
    return f"hwsim: warning: {message}\n" if mine else _USUAL(message, category, filename, lineno, line)


def main() -> None:
    """Entry point of the ``hwsim`` program."""
    warnings.formatwarning = _one_line
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a character gets its number
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.argv[1:] = sys.argv[1:] or ["--help"]
    for word in sys.argv[1:]:
        if any("\ud800" <= c <= "\udfff" for c in word):  # bytes that this locale cannot read
            fail(f"{word}: is no text in this locale; with LC_ALL=C.UTF-8 names may have any UTF-8 character")
    add_commands(next((word for word in sys.argv[1:] if not word.startswith("-")), None))
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        fail(str(error))
    except typer.TyperException as error:  # wrong options: its own one line
        fail(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("hwsim: stopped\n")
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe went away
        sys.stderr.close()
        sys.exit(141)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        fail(f"{error.name} is not installed: pip install 'hwsim[{_EXTRAS[error.name]}]'")
    except OSError as error:  # a full disk, a folder without permission
        fail(f"{error.filename or 'a file'}: {error.strerror}")
    sys.exit(code if isinstance(code, int) else 0)
