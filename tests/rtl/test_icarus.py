# SPDX-License-Identifier: Apache-2.0
"""Icarus Verilog, a third front end: elaborates every module as Verilog-2005, without a word."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hwsim.rtl_tools.sources import RTL, folders, needed, sources
from tests.support import tools

SMALL = {"sat_core": {"ROWS": 2, "COLS": 2}, "stce": {"ROWS": 2, "COLS": 2}, "softmax": {"SLOTS": 2, "SIZE": 64}}
"""Sizes of modules whose default Icarus needs minutes for."""


def elaborate(top: str, rtl: Path = RTL) -> str:
    """What Icarus says of a module."""
    if shutil.which("iverilog") is None:
        tools.lacks("iverilog is not installed: apt-get install iverilog")
    parameters = [f"-P{top}.{name}={value}" for name, value in SMALL.get(top, {}).items()]
    files = [str(p) for p in needed(top, rtl) if p.suffix == ".v"]
    command = ["iverilog", "-g2005", "-t", "null", *folders(rtl), "-s", top, *parameters, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


@pytest.mark.rtl
@pytest.mark.parametrize("path", [p for p in sources(RTL) if p.suffix == ".v"], ids=lambda p: p.stem)
def test_every_module(path: Path) -> None:
    assert elaborate(path.stem) == ""


def test_a_fault_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.v").write_text("module bad (input wire a, output wire b);\nassign b = a & missing;\nendmodule\n")
    assert elaborate("fp32_add") == ""
    assert "missing" in elaborate("bad", tmp_path)
