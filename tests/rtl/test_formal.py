# SPDX-License-Identifier: Apache-2.0
"""Bounded proofs with Yosys, each beside faults that it must find; and that Yosys reads all of the RTL.

A proof holds for every input of the first ``steps`` cycles from reset, for the stated parameters. What it claims stands
at the head of its file in ``formal/``; its ``cover_`` wires are what must happen in these cycles: each state, wait and
antecedent, so that no claim is about nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hwsim.rtl_tools.sources import RTL, folders, needed, sources
from hwsim.sat.bench.core import bench_of, core_config
from hwsim.spatten.bench import attention
from tests.support import tools

tools.package("pyosys", "synth")

FORMAL = Path(__file__).parent / "formal"
RUN = "import sys; from pyosys import libyosys as y; d = y.Design(); [y.run_pass(c, d) for c in sys.argv[1:]]"


def yosys(*commands: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", RUN, *commands], capture_output=True, text=True, check=False, timeout=900
    )


@dataclass(frozen=True)
class Proof:
    top: str
    """The module that it is about; its claim is in formal/<top>_proof.v."""
    steps: int
    """Cycles unrolled; 0 for a module without registers."""
    parameters: dict[str, int] = field(default_factory=dict)
    faults: tuple[tuple[str, str], ...] = ()
    """(text in <top>.v, what is put there instead): each must make the proof fail."""

    def _yosys(self, rtl: Path, *asked: str) -> subprocess.CompletedProcess:
        """The proof's files read, then these commands."""
        top = f"{self.top}_proof"
        chparam = " ".join(f"-set {k} {v}" for k, v in self.parameters.items())
        return yosys(
            f"read_verilog -formal {FORMAL / top}.v",
            " ".join(["read_verilog", *folders(rtl), *map(str, needed(self.top, rtl))]),
            f"chparam {chparam} {top}" if chparam else "hierarchy -check", f"prep -flatten -top {top}", "memory_map",
            "opt", "chformal -lower", *asked,
        )  # fmt: skip

    @property
    def bound(self) -> str:
        return f"-tempinduct-baseonly -maxsteps {self.steps}" if self.steps else ""

    def holds(self, rtl: Path) -> bool:
        """Every claim, for every input that is assumed."""
        done = self._yosys(rtl, f"sat -verify -prove-asserts -set-assumes {self.bound}")
        assert "SUCCESS!" in done.stdout or "FAIL!" in done.stdout, done.stderr[-500:]
        assert (done.returncode == 0) == ("SUCCESS!" in done.stdout)
        return done.returncode == 0

    def never(self, rtl: Path) -> list[str]:
        """What should happen under the assumptions within these cycles, and does not: a claim about it is empty."""
        names = re.findall(r"wire (cover_\w+)", (FORMAL / f"{self.top}_proof.v").read_text(encoding="utf-8"))
        asked = [
            command for n in names for command in (f"log HAPPENS {n}", f"sat -set-assumes -prove {n} 0 {self.bound}")
        ]
        done = self._yosys(rtl, *asked)
        assert done.returncode == 0, done.stderr[-500:]
        told = {part.split()[0]: part for part in done.stdout.split("HAPPENS ")[1:]}
        found = {n: "FAIL!" in told[n] for n in names}
        assert all(("SUCCESS!" in told[n]) != found[n] for n in names), done.stdout[-2000:]
        return [n for n in names if not found[n]]


PROOFS = [
    Proof("sore_lane", 7, {"ENTRIES": 2, "GROUP": 4}, (
        ("15] < bits[14:0]", "15] <= bits[14:0]"),
        ("index_next[INDEX_WIDTH*j +: INDEX_WIDTH] <", "index_next[INDEX_WIDTH*j +: INDEX_WIDTH] >"),
        ("held_next[e] = first ? 1'b0 :", "held_next[e] ="),
        ("value_next[16*r +: 16] = bits_next[16*k +: 16]", "value_next[16*r +: 16] = bits_next[16*r +: 16]"),
    )),
    Proof("sore_lane", 11, {"ENTRIES": 2, "GROUP": 8}),
    Proof("sore_lane", 10, {"ENTRIES": 3, "GROUP": 6}),
    Proof("sore", 15, {"GROUP_MAX": 3}, (
        ("take_reg && (!last_index || free)", "take_reg"),
        ("(!last_index || free)", "(!last_index || !send_reg || sent)"),
        ("final_next = round_reg == 32'd1", "final_next = round_reg <= 32'd2"),
        ("take_next  = round_reg != 32'd1", "take_next  = 1'b1"),
    )),
    Proof("weight_block", 14, {"LANES": 2, "GROUP_MAX": 2}, (
        ("s_axis_tready = !full_reg[fill_reg]", "s_axis_tready = 1'b1"),
        ("second_next = direct && across && !second_reg", "second_next = direct && across"),
        ("if (turn || !across) begin", "if (turn) begin"),
    )),
    Proof("weight_block", 9, {"LANES": 4, "GROUP_MAX": 4}, (
        ("localparam FIRST = (l % (LANES / g)) * g", "localparam FIRST = l % (LANES / g)"),
    )),
    Proof("axi_burst", 0, {"BYTES": 8}, (
        ("beats < room ? beats : room", "room"),
        ("> 32'd256 ? 32'd256", "> 32'd128 ? 32'd128"),
        ("- {1'b0, address[11:SIZE]}", "- {1'b0, address[11:SIZE]} + 1'b1"),
    )),
    Proof("axi_write", 13, {}, (
        ("m_axi_wlast   = left_reg == 8'd0", "m_axi_wlast   = left_reg <= 8'd1"),
        ("error_next = error_reg || m_axi_bresp", "error_next = m_axi_bresp"),
        ("s_axis_tready = state_reg == STATE_DATA && m_axi_wready", "s_axis_tready = state_reg == STATE_DATA"),
        ("done_next  = beats_reg == 32'd0", "done_next  = 1'b1"),
        ("m_axi_awvalid = state_reg == STATE_ADDRESS", "m_axi_awvalid = state_reg == STATE_ADDRESS && m_axi_awready"),
    )),
    Proof("axi_read", 14, {}, (
        ("error_next   = error_reg || m_axi_rresp", "error_next   = m_axi_rresp"),
        ("done_next  = beats_reg == 32'd1", "done_next  = 1'b0"),
        ("address_next = address_reg + {32'd0, BYTES[31:0]}", "address_next = address_reg"),
        ("m_axi_arvalid = state_reg == STATE_ADDRESS", "m_axi_arvalid = state_reg == STATE_ADDRESS && m_axi_arready"),
    )),
    Proof("zero_eliminator", 4, {"LANES": 8}, (
        ("keep[i] && !moves", "keep[i] || !moves"),
        ("!keep[i]};", "keep[i]};"),
        ("!valid_reg || m_axis_tready", "1'b1"),
    )),
    Proof("zero_eliminator", 4, {"LANES": 16, "WIDTH": 1}),
    Proof("fifo", 12, {"DEPTH": 3}, (
        ("count_reg != DEPTH[COUNT-1:0]", "1'b1"),
        ("next_reg == LAST", "1'b0"),
        ("{{COUNT-1{1'b0}}, put} - ", "{{COUNT-1{1'b0}}, s_valid} - "),
        ("m_data  = entries[first_reg]", "m_data  = entries[next_reg]"),
    )),
    Proof("fifo", 8, {"DEPTH": 1}),
    Proof("fifo", 12, {"DEPTH": 4}),
    Proof("window_fifo", 8, {"DEPTH": 3, "WINDOW": 2}, (
        ("s_ready = !valid_reg[DEPTH-1]", "s_ready = 1'b1"),
        ("m_take[p] && valid_reg[p]", "m_take[p]"),
        ("p = WINDOW - 1; p >= 0; p = p - 1", "p = 0; p < WINDOW; p = p + 1"),
        ("i = p; i < DEPTH - 1", "i = 0; i < DEPTH - 1"),
        ("                valid_next[DEPTH-1] = 1'b0;\n", ""),
        ("{DEPTH{s_valid}} & ~valid_reg", "~valid_reg"),
        ("valid_next   = valid_reg | put", "valid_next   = valid_reg"),
    )),
    Proof("window_fifo", 8, {"DEPTH": 1, "WINDOW": 1}),
    Proof("window_fifo", 10, {"DEPTH": 4, "WINDOW": 1}),
    Proof("window_fifo", 8, {"DEPTH": 4, "WINDOW": 4}),
    Proof("window_fifo", 8, {"DEPTH": 5, "WINDOW": 2}),
    Proof("select_queue", 10, {"SLOTS": 4, "ENGINES": 2}, (
        ("free[e] && waits[next]", "free[e] && waits[next] && next == 0"),
        ("w[COUNT-1:0] < next", "w[COUNT-1:0] <= next"),
        ("done_reg <= done;", "done_reg <= {SLOTS{1'b0}};"),
        ("done_reg[oldest] <= 1'b0;", "done_reg[oldest] <= done[oldest];"),
        ("oldest_valid && done[oldest]", "oldest_valid && done_reg[oldest]"),
    )),
    Proof("select_queue", 8, {"SLOTS": 3, "ENGINES": 1}),
    Proof("select_queue", 9, {"SLOTS": 4, "ENGINES": 3}),
    Proof("crossbar", 0, {"SOURCES": 4, "TARGETS": 2}, (
        ("&& s_target[TARGET_WIDTH*i +: TARGET_WIDTH] == t", "&& s_target[TARGET_WIDTH*i +: TARGET_WIDTH] <= t"),
        ("first & {SOURCES{m_ready[t]}}", "first"),
        ("|later ? later : wants", "later"),
        ("|later ? later : wants", "wants"),
        ("some & (~some + 1'b1)", "some"),
        ("{WIDTH{first[n]}}", "{WIDTH{some[n]}}"),
    )),
    Proof("crossbar", 0, {"SOURCES": 4, "TARGETS": 4, "WIDTH": 2}),
    Proof("crossbar", 0, {"SOURCES": 8, "TARGETS": 1, "WIDTH": 2}),
    Proof("crossbar", 0, {"SOURCES": 1, "TARGETS": 2}),
    Proof("crossbar", 0, {"SOURCES": 16, "TARGETS": 8}),
]  # fmt: skip


def faulty(proof: Proof, fault: tuple[str, str], folder: Path) -> Path:
    """A copy of the module's files with a fault in it."""
    for path in needed(proof.top):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    path = folder / f"{proof.top}.v"
    old, new = fault
    assert path.read_text().count(old) >= 1
    path.write_text(path.read_text().replace(old, new))
    return folder


SHORT = [next(p for p in PROOFS if p.top == top) for top in ("axi_burst", "zero_eliminator", "crossbar")]


@pytest.mark.parametrize("proof", SHORT, ids=lambda p: p.top)
def test_short_proof(proof: Proof, tmp_path: Path) -> None:
    """It holds, of what does happen, and fails with its first fault."""
    assert proof.holds(RTL)
    assert proof.never(RTL) == []
    assert not proof.holds(faulty(proof, proof.faults[0], tmp_path))


@pytest.mark.rtl
@pytest.mark.parametrize("proof", PROOFS, ids=lambda p: "-".join([p.top, *map(str, p.parameters.values())]))
def test_proved(proof: Proof) -> None:
    assert proof.holds(RTL)
    assert proof.never(RTL) == []


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("proof", "fault"),
    [(p, f) for p in PROOFS for f in p.faults],
    ids=[f"{p.top}-{p.steps}-{i}" for p in PROOFS for i in range(len(p.faults))],
)
def test_a_fault_is_found(proof: Proof, fault: tuple[str, str], tmp_path: Path) -> None:
    rtl = faulty(proof, fault, tmp_path)
    assert not proof.holds(rtl) or proof.never(rtl)


def test_every_proof_has_faults() -> None:
    files = list(FORMAL.glob("*.v"))
    assert {p.stem.removesuffix("_proof") for p in files} == {p.top for p in PROOFS if p.faults}
    assert all(" wire cover_" in p.read_text(encoding="utf-8") for p in files)


@pytest.mark.rtl
@pytest.mark.parametrize(
    "top", ["sat_core", "topk", "topk_histogram", "prob_histogram", "fp32_div", "fp32_exp", "spatten_core"]
)
def test_yosys_reads_all_of_it(top: str) -> None:
    """No latch (Verilator's lint does not see those of loop variables), no combinational loop, nothing undriven."""
    machines = {"topk": {"LANES": 4, "SIZE": 64}, "fp32_div": {"LATENCY": 30}, "fp32_exp": {"ADD_LATENCY": 3}}
    machines |= {"topk_histogram": {"LANES": 4, "SIZE": 64}, "prob_histogram": {"LANES": 2, "SIZE": 64}}
    machines |= {"spatten_core": attention.bench_of(attention.MACHINES[1]).parameters}
    parameters = machines.get(top) or bench_of(core_config(3, 2)).parameters
    done = yosys(
        " ".join(["read_verilog", *folders(), *map(str, sources())]), "hierarchy -check",
        "chparam " + " ".join(f"-set {k} {v}" for k, v in parameters.items()) + f" {top}",
        f"hierarchy -check -top {top}", "proc", "check -assert",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert "Latch inferred" not in done.stdout + done.stderr
