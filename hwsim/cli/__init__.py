# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a command; each imports the rooms it needs when it runs.

Wrong input ends with one line on standard error and exit code 2. Ctrl-C ends with 130.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim import __version__

from . import (
    attention,
    demo,
    dram,
    energy,
    networks,
    report,
    reproduce,
    results,
    sat,
    schema,
    spatten,
    sweep,
    synth,
    train,
    verify,
)
from .common import fail

app = typer.Typer(
    name="hwsim",
    help="Simulate sparse-training and sparse-attention accelerators, cycle by cycle.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., Any], ...] = (
    demo.demo, train.train, sat.sat, networks.networks, schema.schema, report.report, verify.verify,
    dram.dram, attention.attention, spatten.spatten, sweep.sweep, sweep.search, results.results,
    synth.synth, energy.energy, reproduce.reproduce,
)  # fmt: skip
for command in _COMMANDS:
    app.command()(command)


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


_EXTRAS = {"torch": "train", "sklearn": "train", "matplotlib": "report", "jinja2": "report", "markdown": "report",
           "filelock": "sweep", "optuna": "sweep", "plotly": "sweep", "scipy": "sweep", "simpleeval": "sweep",
           "distributed": "cluster"}  # fmt: skip
"""Packages that only some commands need, and the extra that brings them."""


def main() -> None:
    """Entry point of the ``hwsim`` program."""
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
