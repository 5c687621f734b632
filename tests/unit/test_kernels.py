# SPDX-License-Identifier: Apache-2.0
"""Kernels: compiled once a type of arguments, kept on disk, and a word on stderr where they must be compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dataflow.kernels import kernel

PROGRAM = """
import numpy as np
from dataflow.kernels import kernel
from hwsim.core.kernels import without_refcount

TWO, THREE = 2, 3

@kernel
def power(base, exponent):
    found = 1
    for _ in range(exponent):
        found *= base
    return found

@kernel(inline="always")
def plus(a, b):
    return a + b

@kernel
def total(x):
    x = without_refcount(x)
    return plus(x[0], x[1]) + power(TWO, THREE) + power(2, 4)

print(total(np.array([10, 20])), len(getattr(power, "signatures", [1])))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def run(program: Path, **variables: str) -> tuple[str, str]:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(program.parent / "cache")} | variables
    done = subprocess.run([sys.executable, str(program)], env=environment, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_first_use_says_that_it_compiles_and_the_second_nothing(program: Path) -> None:
    """Once for three kernels; and constants, told apart by their values alone, share one compiled function."""
    first, word = run(program)
    assert first == "54 1\n"
    assert word.startswith("hwsim: compiling kernels (total, ...)")
    assert word.count("\n") == 1
    assert run(program) == ("54 0\n", "")  # loaded with what calls it


def test_without_jit_nothing_is_compiled(program: Path) -> None:
    assert run(program, NUMBA_DISABLE_JIT="1") == ("54 1\n", "")


def test_a_kernel_keeps_its_signature() -> None:
    @kernel
    def half(x: np.ndarray, at: int) -> float:
        """Of an element."""
        return float(x[at]) / 2

    assert half(np.array([1.0, 3.0]), at=1) == 1.5
    assert half.__doc__ == "Of an element."


def test_an_index_that_cannot_be_read_is_made_anew(tmp_path: Path) -> None:
    """A class of the arguments gets another name: Numba's index then names one that nobody has."""
    shape = "from typing import NamedTuple\nclass {0}(NamedTuple):\n    rows: int\nShape = {0}\n"
    program = tmp_path / "rows.py"
    program.write_text("from dataflow.kernels import kernel\nfrom shape import Shape\n\n@kernel\ndef rows(shape):\n"
                       "    return shape.rows\n\nprint(rows(Shape(3)))\n")  # fmt: skip
    for name in ("Before", "After", "After"):
        (tmp_path / "shape.py").write_text(shape.format(name))
        assert run(program)[0] == "3\n"
    assert run(program)[1] == ""


def test_a_kernel_of_another_file_that_changed_is_not_called_as_it_was(tmp_path: Path) -> None:
    """The code of what a kernel calls, and of what that calls, is on disk as part of its own."""
    use = "from dataflow.kernels import kernel\nfrom {0} import {1}\n\n@kernel\ndef {2}(x):\n    return {1}(x) + 1\n"
    (tmp_path / "middle.py").write_text(use.format("low", "add", "again"))
    program = tmp_path / "top.py"
    program.write_text(use.format("middle", "again", "total") + "\nprint(total(3))\n")
    for number in (10, 200):
        (tmp_path / "low.py").write_text(
            f"from dataflow.kernels import kernel\n\n@kernel\ndef add(x):\n    return x + {number}\n"
        )
        assert run(program)[0] == f"{number + 5}\n"
    assert run(program) == ("205\n", "")
