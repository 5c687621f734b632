# SPDX-License-Identifier: Apache-2.0
"""English text without a network: the help topics that every Python has, and NumPy's docstrings as a second domain.

Topics are held out whole, by a hash of their name; calibration text has no paragraph that a held-out topic has too. The
texts differ between versions of Python and NumPy: their SHA-256 is kept with every figure.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from dataflow.errors import InputError


@cache
def help_topics() -> tuple[dict[str, str], dict[str, str]]:
    """Texts for calibration and held-out ones, by topic."""
    from pydoc_data.topics import topics

    held = {name: text for name, text in topics.items() if hashlib.sha256(name.encode()).digest()[0] % 4 == 0}
    known = {paragraph for text in held.values() for paragraph in text.split("\n\n")}
    rest = {}
    for name, text in topics.items():
        if name not in held:
            rest[name] = "\n\n".join(p for p in text.split("\n\n") if p not in known)
    return rest, held


@cache
def numpy_docstrings(least: int = 600) -> list[str]:
    """Docstrings of NumPy's Python files, in the order of their paths; only parsed, never run.

    Args:
        least: characters of one that counts.

    Raises:
        InputError: NumPy's files are not there.
    """
    spec = find_spec("numpy")
    if spec is None or spec.origin is None:
        raise InputError("second domain: numpy is not installed")
    found = []
    for path in sorted(Path(spec.origin).parent.rglob("*.py")):
        if "tests" in path.parts:
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, OSError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                text = ast.get_docstring(node) or ""
                if len(text) >= least:
                    found.append(text)
    return list(dict.fromkeys(found))


def digest(texts: list[str]) -> str:
    """SHA-256 of texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
