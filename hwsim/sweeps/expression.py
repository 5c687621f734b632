# SPDX-License-Identifier: Apache-2.0
"""Conditions: arithmetic and comparisons over fields and columns, nothing else of Python.

``machine.rows * machine.cols <= 1024 and pattern != 'dense'``; functions: abs, min, max, log2.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

from dataflow.errors import InputError

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max, "log2": math.log2}


def names_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Nested or dotted keys as names with attributes."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        first, dot, rest = key.partition(".")
        if dot:
            inner = found.setdefault(first, SimpleNamespace())
            _put(inner, rest, value)
        else:
            found[key] = SimpleNamespace(**names_of(value)) if isinstance(value, dict) else value
    return found


def _put(place: SimpleNamespace, path: str, value: Any) -> None:
    *parts, last = path.split(".")
    for part in parts:
        if not hasattr(place, part):
            setattr(place, part, SimpleNamespace())
        place = getattr(place, part)
    setattr(place, last, value)


class Expression:
    """A parsed expression."""

    def __init__(self, text: str, where: str, functions: Mapping[str, Callable[..., Any]] = _FUNCTIONS) -> None:
        """
        Args:
            where: what an error names: file and field.
            functions: that it may call.

        Raises:
            InputError: it does not parse.
        """
        self.text, self.where = text, where
        self._eval = SimpleEval(functions=dict(functions))
        try:
            self._parsed = self._eval.parse(text)
        except (InvalidExpression, SyntaxError, ValueError) as error:
            raise InputError(f"{where}: {text!r}: not an expression: {_short(error)}") from None

    @property
    def names(self) -> set[str]:
        """Dotted names it uses."""
        found = set()
        for node in ast.walk(ast.parse(self.text.strip(), mode="eval")):
            if isinstance(node, ast.Name | ast.Attribute):
                found.add(ast.unparse(node))
        return found

    def __call__(self, names: dict[str, Any]) -> Any:
        """Its value over ``names_of`` something.

        Raises:
            InputError: an unknown name, or an operation these values do not have.
        """
        self._eval.names = names
        try:
            return self._eval.eval(self.text, previously_parsed=self._parsed)
        except (InvalidExpression, TypeError, ValueError, ArithmeticError, AttributeError, KeyError) as error:
            raise InputError(f"{self.where}: {self.text!r}: {_short(error)}") from None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
