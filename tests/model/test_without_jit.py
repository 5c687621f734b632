# SPDX-License-Identifier: Apache-2.0
"""The kernels as plain Python: the same bits and cycles as compiled, on small random jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.jit_digest import PARTS


@pytest.mark.parametrize("part", PARTS)
def test_same_bits_and_cycles_without_the_compiler(part: str) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.jit_digest", part]
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == PARTS[part]()
