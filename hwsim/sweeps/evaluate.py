# SPDX-License-Identifier: Apache-2.0
"""Running points: what a worker does, on any machine, with a failure as a result like any other."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from dataflow.errors import InputError
from hwsim.core.machine import find

from .space import code_version

Row = dict[str, Any]
FRONT = ("key", "status", "error", "point")
"""Columns that every row has: name, ``ok`` or ``failed``, why, and the point's fields as JSON. A result's own columns
follow."""


class Task(NamedTuple):
    """A point to run."""

    key: str
    machine: str
    settings: Row
    values: Row
    """The fields of the space, for people."""
    quality: Row
    """Columns of the point's quality, which are known before it runs."""
    error: str = ""
    """Why it cannot be run."""
    detail: bool = False


def evaluate(code: str, tasks: list[Task]) -> list[Row]:
    """Run tasks: a row each, in their order.

    Raises:
        InputError: this is not the code that asks.
    """
    if code != code_version():
        raise InputError("a worker has another version of hwsim: install the same on every worker")
    return [_row(task) for task in tasks]


def _row(task: Task) -> Row:
    if task.error:
        return failed(task, task.error)
    try:
        machine = find(task.machine)
        found = machine.measure(machine.settings(task.settings), detail=task.detail)
    except InputError as error:
        return failed(task, str(error))
    except Exception as error:  # a fault of ours in one point must not end the others
        return failed(task, f"{type(error).__name__}: {error}")
    return {**_front(task), "status": "ok", "error": "", **task.quality, **found}


def failed(task: Task, why: str) -> Row:
    """The row of a point that could not be run."""
    return {**_front(task), "status": "failed", "error": " ".join(why.split())[:500]}


def _front(task: Task) -> Row:
    return {"key": task.key, "point": json.dumps(task.values, default=str)}


def describe(values: Row) -> str:
    """A point in words: its fields and their values."""
    return ", ".join(f"{k}={v}" for k, v in values.items()) or "the paper's design"
