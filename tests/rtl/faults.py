# SPDX-License-Identifier: Apache-2.0
"""Plants one-line faults in copies of the RTL and shows how many the comparison catches.

python tests/rtl/faults.py [CASES]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from hwsim.verify.blocks import verify
from hwsim.verify.case import Job
from hwsim.verify.verilator import RTL


class Fault(NamedTuple):
    """``old`` becomes ``new`` in one place of a file; ``block`` is the one that must notice."""

    file: str
    old: str
    new: str
    block: str


FAULTS = [
    Fault("common/fp16_mul.v", "a[15] ^ b[15]", "a[15] | b[15]", "fp16_mul"),
    Fault("common/fp16_mul.v", "8'd98", "8'd97", "fp16_mul"),
    Fault("common/fp16_mul.v", "a[10] | ~|a[14:10]", "a[10]", "fp16_mul"),
    Fault("common/fp16_mul.v", "(a_special && b_zero)", "(a_special && a_zero)", "fp16_mul"),
    Fault("common/fp16_mul.v", "i > 0", "i > 1", "fp16_mul"),
    Fault("common/fp32_add.v", "shifted[27] | |shifted[26:0]", "shifted[27]", "fp32_add"),
    Fault("common/fp32_add.v", "norm[2] && (norm[1] || norm[0] || norm[3])", "norm[2]", "fp32_add"),
    Fault("common/fp32_add.v", "total[1] | total[0]", "total[1]", "fp32_add"),
    Fault("common/fp32_add.v", "a[31] & b[31]", "a[31] | b[31]", "fp32_add"),
    Fault("common/fp32_add.v", "exponent > i[8:0]", "exponent >= i[8:0]", "fp32_add"),
    Fault("common/fp32_add.v", "b[30:0] > a[30:0]", "b[30:23] > a[30:23]", "fp32_add"),
    Fault("common/fp32_mul.v", "guard && (sticky || kept[0])", "guard && sticky", "fp32_mul"),
    Fault("common/fp32_mul.v", "11'sd126", "11'sd127", "fp32_mul"),
    Fault("common/fp32_mul.v", "11'sd1 - exponent", "11'sd0 - exponent", "fp32_mul"),
    Fault("common/fp32_mul.v", "|moved[71:0]", "|moved[71:49]", "fp32_mul"),
    Fault("common/fp32_mul.v", "rounded[32:23] >= 10'd255", "rounded[32:23] > 10'd255", "fp32_mul"),
    Fault("common/fp16_to_fp32.v", "8'd113 - {4'd0, zeros}", "8'd112 - {4'd0, zeros}", "fp16_to_fp32"),
    Fault("common/fp32_to_fp16.v", "|moved[36:0] || kept[0]", "|moved[36:0]", "fp32_to_fp16"),
    Fault("common/fp32_to_fp16.v", "rounded[17:10] >= 8'd31", "rounded[17:10] >= 8'd32", "fp32_to_fp16"),
    Fault(
        "common/delay.v",
        "if (ce) begin\n                    data_reg <= {",
        "if (1'b1) begin\n data_reg <= {",
        "fp32_add",
    ),
    Fault("sat/sore_lane.v", "15] < bits[14:0]", "15] <= bits[14:0]", "sore"),
    Fault("sat/sore_lane.v", "+: 15] < bits[14:0]", "+: 16] < bits[15:0]", "sore"),
    Fault("sat/sore_lane.v", "j[COUNT_WIDTH-1:0] < n &&\n", "j[COUNT_WIDTH-1:0] <= n &&\n", "sore"),
    Fault("sat/sore_lane.v", "first || !held_reg[e]", "!held_reg[e]", "sore"),
    Fault("sat/sore.v", "(!last_index || free)", "1'b1", "sore"),
    Fault("sat/sore.v", "take_next  = round_reg != 32'd1", "take_next  = 1'b1", "sore"),
    Fault("sat/sore.v", "            take_reg  <= 1'b0;\n", "", "sore"),
    Fault("sat/wuve.v", "!valid_reg[STAGES-1] || m_axis_tready", "1'b1", "wuve"),
    Fault("sat/wuve.v", "localparam STAGES = 2", "localparam STAGES = 3", "wuve"),
    Fault("sat/wuve.v", "            valid_reg <= {STAGES{1'b0}};\n", "", "wuve"),
    Fault("sat/wuve_lane.v", ".DEPTH(MUL_LATENCY)) g_inst", ".DEPTH(MUL_LATENCY + 1)) g_inst", "wuve"),
    Fault("sat/wuve_lane.v", ".a(beta), .b(v)", ".a(beta), .b(w)", "wuve"),
]


def caught(fault: Fault, cases: int) -> bool:
    """Whether the comparison of the fault's block finds it."""
    with tempfile.TemporaryDirectory() as folder:
        rtl = Path(folder) / "rtl"
        shutil.copytree(RTL, rtl)
        path = rtl / fault.file
        text = path.read_text(encoding="utf-8")
        assert text.count(fault.old) >= 1, f"{fault.file} no longer has {fault.old!r}"
        path.write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")
        (row,) = verify([fault.block], cases, 1, Job(rtl))  # a fault that does not compile is none
        return not row.agrees


def main() -> int:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    missed = []
    for i, fault in enumerate(FAULTS, 1):
        found = caught(fault, cases)
        missed += [] if found else [fault]
        print(f"{i:2}/{len(FAULTS)} {'caught' if found else 'MISSED'}  {fault.file}: {fault.old!r} -> {fault.new!r}")
    print(f"{len(FAULTS) - len(missed)} of {len(FAULTS)} caught")
    return len(missed) > 1


if __name__ == "__main__":
    sys.exit(main())
