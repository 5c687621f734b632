# SPDX-License-Identifier: Apache-2.0
"""RTL blocks against the simulator, bit for bit and cycle for cycle; and that planted faults are noticed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dataflow.errors import InputError
from hwsim.rtl_tools.sources import RTL, sources
from hwsim.rtl_tools.verilator import lint
from hwsim.sat.bench import core
from hwsim.sat.config import SatConfig
from hwsim.sat.program import Program, bursts
from hwsim.spatten.bench import attention
from hwsim.verification.case import VerifyOptions, rerun
from hwsim.verification.coverage import by_module, read_points
from tests.support import tools
from tests.support.blocks import BLOCKS, verify
from tests.support.counts import CASES, SEED
from tests.support.faults import FAULTS, Fault, caught

tools.verilator()


SMALLEST = [name for name in BLOCKS if name not in ("stce_32x32", "spatten_full")]
UNTIMED = ("prob_histogram", "sat_check", "head_check", "query_check")
"""Of the first each result has its cycle; the others have no clock."""
FULL = [pytest.param(name, marks=pytest.mark.nightly if name == "spatten_full" else pytest.mark.rtl) for name in BLOCKS]


@pytest.mark.parametrize("block", SMALLEST)
def test_smallest_machine(block: str, tmp_path: Path) -> None:
    """One build of each block, and few cases."""
    (row,) = verify([block], 40, seed=3, options=VerifyOptions(failures=tmp_path, smallest=True))
    assert row.agrees, row.first


@pytest.mark.parametrize("block", FULL)
def test_rtl_is_the_simulator(block: str, tmp_path: Path) -> None:
    """A million random operands of each arithmetic unit and all pairs of special values; 3,000 commands of the array
    and the engines, 600 programs of the core; 5,000 of SpAtten's zero eliminator and of each top-k engine, 1,000 of
    what is around these, 1,000 softmax rows, 240 scenes of its core with 1,000 queries and more, 4 on its full size;
    16,000 commands of SAT's check, 10,000 descriptors of each of SpAtten's."""
    (row,) = verify([block], CASES.get(block, 400), SEED, options=VerifyOptions(failures=tmp_path))
    assert row.wrong_values == 0, row.first
    assert row.wrong_cycles == 0, row.first
    assert row.cases >= CASES.get(block, 65536)
    assert row.cycles > 1000 or block not in CASES or block in UNTIMED


def test_lint_of_small_cores_is_clean(tmp_path: Path) -> None:
    """Every module, as small cores hold it; and a signal that nobody uses is seen."""
    several = next(m for m in attention.MACHINES if m.value_topk_engines > 1)
    assert lint(machines={"spatten_core": attention.bench_of(several).parameters}) == []
    benches = (core.bench_of(core.MACHINES[1]), attention.bench_of(attention.MACHINES[0]))
    machines = {bench.top: bench.parameters for bench in benches}
    assert lint(machines=machines) == []
    shutil.copytree(RTL, tmp_path / "rtl")
    path = tmp_path / "rtl" / "common" / "fifo.v"
    path.write_text(path.read_text().replace("endmodule", "wire [3:0] forgotten = 5;\nendmodule"))
    assert any("forgotten" in line for line in lint(tmp_path / "rtl", machines))


@pytest.mark.rtl
def test_lint_of_every_module_is_clean() -> None:
    assert lint() == []


@pytest.mark.parametrize(
    ("top", "parameters"),
    [
        ("window_fifo", {"DEPTH": 2, "WINDOW": 3}),
        ("crossbar", {"SOURCES": 6}),
        ("crossbar", {"TARGETS": 3}),
        ("fetch", {"CROSSBAR_WINDOW": 1, "ANSWER_DEPTH": 1}),
        ("fetch", {"CROSSBAR_WINDOW": 4, "LANE_DEPTH": 2}),
        ("fetch", {"CROSSBAR_WINDOW": 4, "ANSWER_DEPTH": 3}),
        ("fetch", {"CROSSBAR_WINDOW": 16, "LANE_DEPTH": 16, "ANSWER_DEPTH": 16}),
        ("fetch", {"CROSSBAR_WINDOW": 3}),
        ("importance_topk", {"COMPARATORS": 64}),
        ("importance_topk", {"ROW_WIDTH": 4}),
    ],
)
def test_illegal_parameters_do_not_build(top: str, parameters: dict[str, int]) -> None:
    assert any("illegal_parameter_of_" in line for line in lint(machines={top: parameters}))


def test_files_are_as_the_house_wants_them() -> None:
    for path in sources():
        text = path.read_text(encoding="utf-8")
        assert text.startswith("// SPDX-License-Identifier: Apache-2.0\n"), path
        assert "`default_nettype none" in text, path
        assert text.count("\nmodule ") == 1, path
        assert f"\nmodule {path.stem} " in text, path
        assert len(text.splitlines()) <= 300, path


ASSERTED = (
    ("beat_stays", Fault("sat/sore.v", "wire sent       = send_reg && m_axis_tready", "wire sent = send_reg", "sore")),
    ("room", Fault("spatten/score_ring.v", "fits = used_reg + taken <= ALL", "fits = 1'b1", "spatten_core")),
    ("some", Fault("spatten/value_queue.v", "        valid = 1'b0;", "        valid = 1'b1;", "spatten_core")),
    ("beat_stays", Fault("sat/wuve.v", "            valid_reg <= {STAGES{1'b0}};\n", "", "wuve")),
    ("state_known", Fault("spatten/topk.v", "FILTER = 2'd2", "FILTER = 2'd3", "topk")),
)
"""Faults of several kinds, and the module's own assertion that must tell them: a change while it waits, into what is
full, not idle behind a reset, a state that is none."""


@pytest.mark.rtl
@pytest.mark.parametrize(("name", "fault"), ASSERTED, ids=[fault.file for _, fault in ASSERTED])
def test_a_module_tells_its_own_fault(name: str, fault: Fault, tmp_path: Path) -> None:
    shutil.copytree(RTL, tmp_path / "rtl")
    path = tmp_path / "rtl" / fault.file
    assert fault.old in path.read_text()
    path.write_text(path.read_text().replace(fault.old, fault.new, 1))
    options = VerifyOptions(tmp_path / "rtl", tmp_path / "left", smallest=True)
    (row,) = verify([fault.block], 60, 1, options)
    assert not row.agrees
    assert f"assertion {name} of " in row.first, row.first


@pytest.mark.rtl
@pytest.mark.parametrize("fault", [FAULTS[5], FAULTS[20], FAULTS[28]], ids=lambda f: f.file)
def test_a_planted_fault_is_noticed(fault) -> None:
    """Three of the list; all of them: python -m tests.support.faults."""
    assert caught(fault, 300)


def test_every_fault_still_has_its_place() -> None:
    for fault in FAULTS:
        assert fault.old in (RTL / fault.file).read_text(encoding="utf-8"), fault


def test_rtl_that_does_not_compile_is_one_line(tmp_path: Path) -> None:
    shutil.copytree(RTL, tmp_path / "rtl")
    path = tmp_path / "rtl" / "sat" / "wuve_lane.v"
    path.write_text(path.read_text().replace("endmodule", ""))
    with pytest.raises(InputError, match="wuve does not compile") as error:
        list(verify(["wuve"], 1, 0, VerifyOptions(tmp_path / "rtl")))
    assert "\n" not in str(error.value)


def test_a_mismatch_leaves_a_case_that_runs_again(tmp_path: Path) -> None:
    """The first difference in words, the case as a file, a waveform; the file shows it again, and not on good RTL."""
    shutil.copytree(RTL, tmp_path / "rtl")
    path = tmp_path / "rtl" / "sat" / "sore_lane.v"
    path.write_text(path.read_text().replace("15] < bits[14:0]", "15] <= bits[14:0]"))
    options = VerifyOptions(tmp_path / "rtl", tmp_path / "left", stop=True)
    (row,) = verify(["sore"], 80, 1, options)
    assert not row.agrees
    assert "must be 0x" in row.first
    case, wave = (tmp_path / "left" / name for name in ("sore.case.npz", "sore.fst"))
    assert wave.stat().st_size > 1000
    again = rerun(case, options)
    assert not again.agrees
    assert again.first.split(": ")[-1] in row.first
    assert rerun(case, VerifyOptions()).agrees
    case.write_bytes(case.read_bytes()[:100])
    with pytest.raises(InputError, match=r"sore\.case\.npz: not a file of a failing case"):
        rerun(case, VerifyOptions())


def test_coverage_is_merged_by_module(tmp_path: Path) -> None:
    """Instances and files are summed; what nobody reached is named."""
    line = "C '\x01f\x02rtl/sat/{}.v\x01l\x02{}\x01n\x020\x01page\x02v_{}/{}\x01o\x02{}\x01h\x02{}' {}\n"
    points = (("line", 12, "block", (0, 3)), ("line", 14, "block", (0, 0)), ("toggle", 5, "a[0]:0->1", (0, 1)),
              ("toggle", 5, "a[1]:0->1", (0, 0)))  # fmt: skip
    for i in (0, 1):
        text = "".join(line.format("sore", at, kind, "sore", what, f"top.i{i}", n[i]) for kind, at, what, n in points)
        (tmp_path / f"{i}.dat").write_text("# SystemC::Coverage-3\n" + text)
    (row,) = by_module(read_points(sorted(tmp_path.glob("*.dat"))))
    assert (row.lines, row.lines_covered, row.toggles, row.toggles_covered) == (2, 1, 2, 1)
    assert row.missed == ["line 14", "a 1/2"]


@pytest.mark.rtl
def test_coverage_of_a_small_unit(tmp_path: Path) -> None:
    (row,) = verify(["fp16_to_fp32"], 1, 0, VerifyOptions(coverage=tmp_path))
    assert row.agrees
    modules = {m.module: m for m in by_module(read_points(tmp_path.glob("*.dat")))}
    assert modules["fp16_to_fp32"].lines_covered == modules["fp16_to_fp32"].lines > 0
    assert "y 26/64" in modules["fp16_to_fp32"].missed  # a binary16 number has no lower 13 bits


COVERED = ["spatten_core", "sat_core", "stce", "sore", "wuve", "int8_mul", "fp32_div", "fp32_exp", "int_to_fp32",
           "fp32_to_int", "zero_eliminator", "topk", "topk_histogram", "prob_histogram", "value_select",
           "importance_topk", "softmax"]  # fmt: skip


@pytest.mark.nightly
@pytest.mark.parametrize("block", COVERED)
def test_coverage_of_the_design(block: str, tmp_path_factory, testrun_uid: str) -> None:
    """Of every module, reached by 120 cases a block on one machine: whichever block is the last looks at all."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"coverage-{testrun_uid}"
    (row,) = verify([block], 120, 0, VerifyOptions(coverage=shared / block))
    assert row.agrees, row.first
    (shared / block / "done").touch()
    if {path.parent.name for path in shared.glob("*/done")} != set(COVERED):
        return
    modules = by_module(read_points(sorted(shared.rglob("*.dat"))))
    assert {m.module for m in modules} == {p.stem for p in sources()}
    assert sum(m.lines_covered for m in modules) >= 0.98 * sum(m.lines for m in modules)
    assert sum(m.toggles_covered for m in modules) >= 0.90 * sum(m.toggles for m in modules)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"sore_lanes": 4}, "sore_lanes=4"), ({"weight_registers": 33}, "is 33: at most 32"),
     ({"interleave_max": 64, "west_buffer_bytes": 1024, "north_buffer_bytes": 1024,
      "output_buffer_bytes": 1024, "state_buffer_bytes": 64}, "must be 256 or more with interleave_max=64")],
)  # fmt: skip
def test_machines_the_core_cannot_be(changes: dict, field: str) -> None:
    base = {"rows": 2, "cols": 2, "sore_lanes": 2, "wuve_lanes": 2}
    with pytest.raises(InputError, match=field):
        Program(SatConfig(**(base | changes)))


@pytest.mark.parametrize("largest", [(1, 1), (2, 1), (3, 2), (12, 3), (5, 7), (17, 32)])
def test_any_largest_group_has_a_word(largest: tuple[int, int]) -> None:
    config = SatConfig(rows=2, cols=2, sore_lanes=2, wuve_lanes=2, group_max=largest[0], weight_registers=largest[1])
    Program(config)
    word = config.verilog_parameters()["WORD"]
    assert word in (4, 8, 16, 32)
    assert max(4, *largest) <= word < 2 * max(4, *largest)


def test_bursts_end_at_pages_and_at_256_beats() -> None:
    assert bursts(0, 300, 8) == [256, 44]
    assert bursts(4096 - 64, 5, 32) == [2, 3]
    assert bursts(0, 256, 32) == [128, 128]
    assert bursts(128, 1, 128) == [1]
