# SPDX-License-Identifier: Apache-2.0
"""A machine of one's own: random configurations that the RTL can be agree in every bit and cycle, others are refused by
name; registers begin with random bits, so that one that no reset reaches is noticed."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from dataflow.errors import InputError
from hwsim.__main__ import main
from hwsim.core.machine import find
from hwsim.rtl_tools.sources import RTL
from hwsim.sat.config import SatConfig
from hwsim.sat.program import check_core
from hwsim.spatten.config import SpattenConfig
from hwsim.verification.case import VerifyOptions
from hwsim.verification.runner import verify
from tests.support import tools

tools.verilator()


def random_sat(rng: np.random.Generator) -> SatConfig:
    """A machine that `sat_core` can be, of at most 70 elements."""

    def one(*values: int) -> int:
        return int(rng.choice(values))

    while True:
        cols = one(1, 2, 3, 5, 8)
        config = SatConfig(
            rows=one(1, 2, 3, 4, 7, 8), cols=cols, sore_lanes=cols, wuve_lanes=cols,
            group_max=one(1, 2, 3, 4, 8, 12, 16, 32),
            weight_registers=one(1, 2, 3, 4, 6, 8, 16), mul_latency=one(1, 2, 5), add_latency=one(1, 2, 4, 6),
            interleave_max=one(1, 2, 4, 8, 16), west_buffer_bytes=one(1024, 4096, 65536),
            north_buffer_bytes=one(1024, 8192, 65536), output_buffer_bytes=one(1024, 8192, 65536),
            state_buffer_bytes=one(1024, 65536),
        )  # fmt: skip
        try:
            check_core(config)
        except InputError:
            continue
        return config


def random_spatten(rng: np.random.Generator) -> SpattenConfig:
    """A machine that `spatten_core` can be, small enough to build in a minute."""

    def one(*values: int) -> int:
        return int(rng.choice(values))

    while True:
        fields: dict[str, Any] = {
            "design": str(rng.choice(["paper", "eighth", "streaming"])), "qk_multipliers": one(32, 64),
            "pv_multipliers": one(32, 64), "softmax_lanes": one(1, 2, 8), "adder_cycles": one(1, 2, 4),
            "topk_parallel": one(2, 8, 16), "value_topk_engines": one(1, 2, 5), "operand_bits": one(4, 8, 12, 16),
            "probability_bits": one(4, 9, 12, 16), "key_sram_bytes": one(8192, 24576), "crossbar_inputs": one(2, 4, 16),
            "value_sram_bytes": one(8192, 24576), "queries_in_flight": one(1, 2, 7), "score_tokens": one(64, 200),
            "heads_in_flight": one(2, 9), "crossbar_window": one(1, 2, 4), "lane_depth": one(4, 8),
            "answer_depth": one(4, 16), "buffer_keys": one(16, 64),
            "memory": {"channels": one(1, 2, 8), "interleave_bytes": one(32, 64, 256)},
        }  # fmt: skip
        try:
            config = SpattenConfig.model_validate(fields)
            config.verilog_parameters()
        except (InputError, ValidationError):
            continue
        return config


RANDOM = {"sat": random_sat, "spatten": random_spatten}


def agrees(machine: str, seed: int, cases: int = 12) -> None:
    kind, config = find(machine), RANDOM[machine](np.random.default_rng(seed))
    options = VerifyOptions(machine=config, smallest=True)
    (row,) = verify(kind.blocks(), kind.machine_blocks[:1], cases, seed, options)
    assert row.agrees, (config, row.first)
    assert row.cases == cases


@pytest.mark.rtl
@pytest.mark.parametrize("machine", RANDOM)
def test_a_random_machine(machine: str) -> None:
    agrees(machine, 11)


@pytest.mark.nightly
@pytest.mark.parametrize("machine", RANDOM)
@pytest.mark.parametrize("seed", range(100, 130))
def test_thirty_random_machines(machine: str, seed: int) -> None:
    agrees(machine, seed)


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["hwsim", *map(str, words)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


REFUSED = {
    "verify sat --set machine.rowz=4": "unknown key",
    "verify sat --set machine.sore_lanes=4": "sore_lanes=4 and wuve_lanes=32 must be cols=32",
    "verify sat --set machine.rows=4 --rows 3": "rows, cols: give them in machine",
    "verify sat --set machine.rows=4 --block sore": "at a configuration: sat_core, stce, sat_check",
    "verify sat --block sat_core --set machine.rows=16 --set machine.cols=16 --set machine.sore_lanes=16 "
    "--set machine.wuve_lanes=16 --set machine.west_buffer_bytes=1024 --set machine.north_buffer_bytes=1024 "
    "--set machine.output_buffer_bytes=1024 --set machine.state_buffer_bytes=1024":
        "the largest buffer has 16 words of all lanes: must be 64 or more",
    "verify spatten --set machine.topk_parallel=1": "topk_parallel=1: must be 2 or more for the RTL",
    "verify spatten --set machine.topk_parallel=3": "topk_parallel=3: must be a power of two",
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_a_machine_that_cannot_be_is_refused_by_name(words: str, monkeypatch, capsys) -> None:
    assert run(monkeypatch, *words.split()) == 2
    told = re.sub(r"\s+", " ", capsys.readouterr().err.replace("│", " "))
    for part in REFUSED[words].split("; "):
        assert part in told


def test_the_command_takes_a_machine(monkeypatch, capsys, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("cases: 4\nmachine: {rows: 2, cols: 2, sore_lanes: 2, wuve_lanes: 2}\n")
    assert run(monkeypatch, "verify", "sat", "--config", tmp_path / "mine.yaml", "--block", "stce") == 0
    assert "stce" in capsys.readouterr().out


@pytest.mark.rtl
@pytest.mark.parametrize("seed", [2, 3])
def test_other_initial_bits(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_INITIAL_SEED", str(seed))
    for machine, blocks in (
        ("sat", ("sore", "wuve", "stce")),
        ("spatten", ("zero_eliminator", "topk", "value_select")),
    ):
        for row in verify(find(machine).blocks(), blocks, 30, seed, VerifyOptions(smallest=True)):
            assert row.agrees, row.first


@pytest.mark.rtl
@pytest.mark.parametrize(("machine", "block", "file"), [
    ("sat", "sore", "sat/sore.v"), ("sat", "wuve", "sat/wuve.v"), ("spatten", "topk", "spatten/topk.v"),
])  # fmt: skip
def test_a_register_that_no_reset_reaches_is_noticed(machine: str, block: str, file: str, tmp_path: Path) -> None:
    shutil.copytree(RTL, tmp_path / "rtl")
    path = tmp_path / "rtl" / file
    text = path.read_text()
    assert "if (rst)" in text
    path.write_text(text.replace("if (rst)", "if (rst && 1'b0)"))
    options = VerifyOptions(tmp_path / "rtl", smallest=True)
    (row,) = verify(find(machine).blocks(), (block,), 20, 1, options)
    assert not row.agrees
