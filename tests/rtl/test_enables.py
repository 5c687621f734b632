# SPDX-License-Identifier: Apache-2.0
"""Clock enables: counted in co-simulation, against enables that are known; what gates of the clock save."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.silicon.activity import Activity, Enabled, Record, enables
from hwsim.silicon.cells import clock_fj, gate_fj, price
from hwsim.silicon.cost import _saved_fj, gated_clock_j
from hwsim.verification.case import Bench
from hwsim.verification.enables import counted
from tests.support import tools

tools.package("pyosys", "synth")

HELD = """module held (input wire clk, input wire take, input wire [7:0] d, output reg [7:0] q, output reg [2:0] few);
always @(posedge clk) begin
    if (take) q <= d;
    if (take && d[0]) few <= d[2:0];
end
endmodule
"""


def test_a_counter_an_enable(tmp_path: Path) -> None:
    """Eight flip-flops get one; three are too few."""
    (tmp_path / "held.v").write_text(HELD)
    text = counted(Bench("held", "none", {}, {}), tmp_path, tmp_path)
    assert "_b8 (" in text
    assert text.count("  hwsim_enable ") == 1


def test_shares_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "activity.txt"
    path.write_text("TOP 1 0 200\nTOP.sat_core.stce_inst.hwsim_enable_0_b8 1 25 200\n"
                    "TOP.sat_core.stce_inst.hwsim_enable_1_b24 1 50 200\n"
                    "TOP.sat_core.stce_inst.hwsim_enable_2_b5 1 100 200\n")  # fmt: skip
    found = enables(path, "sat_core", ("stce",))  # the last one never is low
    assert found == {"stce": {"stce": Enabled(flipflops=32, gates=2, high=(8 * 0.25 + 24 * 0.5) / 32)}}


def test_a_gate_saves_what_it_holds() -> None:
    never = Enabled(flipflops=32, gates=1, high=0.0)
    assert _saved_fj([(100, never)], 32) == pytest.approx(clock_fj() - gate_fj(0) / 32)
    assert _saved_fj([(100, never), (300, None)], 32) == pytest.approx(clock_fj() / 4 - gate_fj(0.75) / 32)
    always = Enabled(flipflops=4, gates=1, high=1.0)
    assert _saved_fj([(100, always)], 4) < 0
    assert price("$_DFFE_PP_")["enabled"] == price("$_SDFFE_PP0P_")["enabled"] == 1
    assert price("$_DFF_P_")["enabled"] == price("$_MUX_")["enabled"] == 0


def test_the_clock_of_a_design() -> None:
    def activity(**enables_: Enabled) -> Activity:
        record = Record(
            label="", kind="", cycles=100, events={}, rates={}, enables={"rest": enables_} if enables_ else {}
        )
        return Activity(top="delay", parameters={"WIDTH": 5, "DEPTH": 4}, rtl="", source="", records=(record,))

    priced = {"rest": {"delay": {"flipflops": 200.0, "enabled": 200.0}, "fifo": {"flipflops": 10.0, "enabled": 0.0}}}
    assert gated_clock_j(priced, activity()) is None
    open_ = activity(delay=Enabled(flipflops=20, gates=1, high=1.0))
    assert gated_clock_j(priced, open_) == pytest.approx(210 * clock_fj() * 1e-15)  # gates that would only take
    shut = activity(delay=Enabled(flipflops=20, gates=1, high=0.0))
    assert gated_clock_j(priced, shut) == pytest.approx((10 * clock_fj() + 10 * gate_fj(0)) * 1e-15)
