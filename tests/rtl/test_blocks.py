# SPDX-License-Identifier: Apache-2.0
"""RTL blocks against the simulator, bit for bit and cycle for cycle; and that planted faults are noticed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from dataflow.errors import InputError
from hwsim.verify.blocks import BLOCKS, verify
from hwsim.verify.case import Job
from hwsim.verify.verilator import RTL, environment, lint, sources

try:
    environment()
except InputError as error:
    pytest.skip(str(error), allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parent))
from faults import FAULTS, caught

CASES = {"sore": 1200, "wuve": 1200}


@pytest.mark.parametrize("block", BLOCKS)
def test_rtl_is_the_simulator(block: str, tmp_path: Path) -> None:
    """A million random operands of each arithmetic unit and all pairs of special values; 2,400 engine commands."""
    (row,) = verify([block], CASES.get(block, 400), seed=2, job=Job(failures=tmp_path))
    assert row.wrong_values == 0, row.first
    assert row.wrong_cycles == 0, row.first
    assert row.cases >= CASES.get(block, 65536)
    assert row.cycles > 1000 or block not in CASES


def test_lint_is_clean() -> None:
    assert lint() == []


def test_files_are_as_the_house_wants_them() -> None:
    for path in sources():
        text = path.read_text(encoding="utf-8")
        assert text.startswith("// SPDX-License-Identifier: Apache-2.0\n"), path
        assert "`default_nettype none" in text, path
        assert text.count("\nmodule ") == 1, path
        assert f"\nmodule {path.stem} " in text, path
        assert len(text.splitlines()) <= 300, path


@pytest.mark.parametrize("fault", [FAULTS[5], FAULTS[20], FAULTS[28]], ids=lambda f: f.file)
def test_a_planted_fault_is_noticed(fault) -> None:
    """Three of the list; all of them: python tests/rtl/faults.py."""
    assert caught(fault, 300)


def test_every_fault_still_has_its_place() -> None:
    for fault in FAULTS:
        assert fault.old in (RTL / fault.file).read_text(encoding="utf-8"), fault


def test_rtl_that_does_not_compile_is_one_line(tmp_path: Path) -> None:
    shutil.copytree(RTL, tmp_path / "rtl")
    path = tmp_path / "rtl" / "sat" / "wuve_lane.v"
    path.write_text(path.read_text().replace("endmodule", ""))
    with pytest.raises(InputError, match="wuve does not compile") as error:
        list(verify(["wuve"], 1, 0, Job(tmp_path / "rtl")))
    assert "\n" not in str(error.value)
