# SPDX-License-Identifier: Apache-2.0
"""Help texts: every option with a value says its default, every command has an example that its parser takes."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any

import pytest
import typer

from hwsim.cli import add_commands, app
from hwsim.core.machine import find, names

add_commands(None)
GROUP: Any = typer.main.get_command(app)
ALL = sorted(GROUP.commands)


def default_texts(command: Any) -> dict[str, str]:
    """Help texts of options with a value that say no default, by option."""
    options = [p for p in command.params if p.param_type_name == "option" and not p.is_flag and p.name != "help"]
    return {
        p.opts[0]: p.help or ""
        for p in options
        if not p.required and "default" not in (p.help or "") and (p.default is None or not p.show_default)
    }


@pytest.mark.parametrize("name", ALL)
def test_every_option_says_its_default(name: str) -> None:
    assert default_texts(GROUP.commands[name]) == {}


def test_an_option_without_a_default_is_found() -> None:
    mine = typer.Typer(add_completion=False)

    @mine.command()
    def one(
        size: Annotated[int | None, typer.Option(help="Rows.")] = None,
        rows: Annotated[int | None, typer.Option(help="Rows (default: 3).")] = None,
        cols: Annotated[int, typer.Option(help="Columns.")] = 3,
    ) -> None:
        raise AssertionError(f"{size}, {rows}, {cols}: is not to run")

    found = default_texts(typer.main.get_command(mine))
    assert found == {"--size": "Rows."}


@pytest.mark.parametrize("name", ALL)
def test_the_example_of_a_command_is_one(name: str) -> None:
    command = GROUP.commands[name]
    found = re.search(r"Example: hwsim (.+)", command.help or "")
    assert found, f"{name}: no example"
    first, *rest = shlex.split(found[1].replace("MACHINE", names()[0]))
    assert first == name
    command.make_context(name, rest)  # exits on what it does not take


def test_defaults_in_words_are_those_of_the_settings() -> None:
    """A default that a help text names, for an option whose default is in a settings model."""
    from algorithms.training.config import TrainConfig
    from hwsim.verification.run import VerifyRun

    sat, spatten = find("sat"), find("spatten")
    models: dict[str, tuple[Any, dict[str, str]]] = {
        "sat": (sat.Run, {"network": "network", "nm": "pattern", "method": "method", "batch": "batch"}),
        "spatten": (spatten.Run, {"seed": "seed"}),
        "train": (TrainConfig, {"nm": "pattern", "method": "method", "steps": "steps", "seed": "seed"}),
        "verify": (VerifyRun, {"seed": "seed", "failures": "failures"}),
        "report": (sat.Study, {"nm": "patterns", "batch": "batch"}),
    }
    for name, (model, fields) in models.items():
        params = {p.name: p for p in GROUP.commands[name].params}
        for option, field in fields.items():
            default = model.model_fields[field].default
            text = ",".join(default) if isinstance(default, tuple) else str(default)
            help_text = getattr(params[option], "help", "")
            assert re.search(rf"\(default: {re.escape(text)}[;)]", help_text), (name, option, text, help_text)
