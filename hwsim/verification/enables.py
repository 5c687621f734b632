# SPDX-License-Identifier: Apache-2.0
"""How often the clock enables of a design's flip-flops are high, in co-simulation.

Yosys finds the enables, as for synthesis; each that `SMALLEST` flip-flops of a module or more share gets a counter, and
the design so written is compared with the expected answers as the RTL is. A flip-flop behind an enable that is
low needs no clock. The clock's own gates stand in each module: an enable that many modules share counts in each.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from dataflow.errors import InputError
from hwsim.rtl_tools import yosys
from hwsim.rtl_tools.plain import plain_folder, plain_path
from hwsim.rtl_tools.sources import RTL, folders, needed
from hwsim.rtl_tools.verilator import build, run
from hwsim.silicon.activity import Enabled, enables
from hwsim.silicon.asic import WORDS

from .case import Bench, Case, differing

SMALLEST = 4
"""Flip-flops that a gate of the clock is worth."""
_ON, _OFF = "/* verilator tracing_on */\n", "/* verilator tracing_off */\n"
_COUNTER = f"""
module hwsim_enable (input wire CLK, input wire EN);
{_ON}reg ticks;
{_OFF}always @(posedge CLK) if (EN) ticks <= ~ticks;
endmodule
"""
_NOISE = "WIDTH UNOPTFLAT UNSIGNED CMPCONST CASEINCOMPLETE PINMISSING LATCH SELRANGE COMBDLY CASEOVERLAP"
"""Verilator's warnings of what Yosys writes."""


def record_enables(bench: Bench, cases: Sequence[Case], blocks: Sequence[str]) -> dict[str, dict[str, Enabled]]:
    """Of each block and module: flip-flops behind enables, and how often those are high.

    Raises:
        InputError: no Yosys, no Verilator, or a design that answers otherwise than the RTL.
    """
    with plain_folder() as folder:
        (folder / f"{bench.top}.v").write_text(counted(bench, folder), encoding="utf-8")
        program = build(bench.top, bench.main, {}, bench.defines, folder, trace=True, activity=True)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "activity.txt"
        answer = run(program, b"".join(c.stdin for c in cases), [str(path)])
        if wrong := differing(cases, answer):
            raise InputError(f"rtl: {bench.top} with counted enables: {wrong}")
        return enables(path, bench.top, blocks)


def counted(bench: Bench, folder: Path, rtl: Path = RTL) -> str:
    """Verilog of a design in which each enable has a counter, by Yosys.

    Args:
        folder: a folder for temporary files.
    """
    rtl = plain_path(rtl)
    il, again, out = folder / "design.il", folder / "counted.il", folder / "counted.v"
    names = " ".join(str(p) for p in needed(bench.top, rtl) if p.suffix == ".v")
    chparam = "".join(f" -chparam {k} {v}" for k, v in bench.parameters.items())
    yosys.run([f"read_verilog {' '.join(folders(rtl))} {names}", f"hierarchy -check -top {bench.top}{chparam}",
               f"rename -top {bench.top}", *WORDS, "opt_clean", f"write_rtlil {il}"])  # fmt: skip
    text = yosys.whole(il, "end")
    again.write_text(re.sub(r"^(module .*?)^end\n", _module, text, flags=re.M | re.S), encoding="utf-8")
    yosys.run([f"read_rtlil {again}", f"write_verilog -noattr {out}"])
    quiet = "".join(f"/* verilator lint_off {name} */\n" for name in _NOISE.split())
    code = re.sub(r"^  \S+ +\S+ +\(\n(?:    .*\n)*  \);\n", _traced, yosys.whole(out, "endmodule"), flags=re.M)
    return f"{_OFF}{quiet}{code}{_COUNTER}"


def _traced(instance: re.Match[str]) -> str:
    """An instance whose scope is traced, where its surroundings' signals are not."""
    return f"{_ON}{instance[0]}{_OFF}"


def _module(match: re.Match[str]) -> str:
    """A module's RTLIL with its counters."""
    groups: dict[tuple[str, str], int] = defaultdict(int)
    for cell in re.findall(r"^  cell \$s?dffc?e .*?^  end\n", match[1], re.M | re.S):
        facts = dict(re.findall(r"^    (?:parameter|connect) \\(\w+) (.*)$", cell, re.M))
        if facts["EN_POLARITY"] in ("1'1", "1") and facts["CLK_POLARITY"] in ("1'1", "1"):
            groups[facts["CLK"], facts["EN"]] += int(facts["WIDTH"])
    counters = [
        f"  cell \\hwsim_enable \\hwsim_enable_{i}_b{bits}\n"
        f"    connect \\CLK {clock}\n    connect \\EN {enable}\n  end\n"
        for i, ((clock, enable), bits) in enumerate(groups.items())
        if bits >= SMALLEST
    ]
    return f"{match[1]}{''.join(counters)}end\n"
