# SPDX-License-Identifier: Apache-2.0
"""FPGA resources of a module: UltraScale+ primitives by Yosys, counted by module, without flattening.

Left out: placement and routing, so also any clock frequency; the packing of LUT pairs and of registers into DSP blocks
(Yosys leaves the DSP48E2's own registers unused), so a vendor's tool needs somewhat fewer LUTs and flip-flops.
Inverters count nothing: they become part of a LUT.
"""

from __future__ import annotations

from .netlist import Cost, Flow, unknown

RESOURCES = ("LUT", "FF", "CARRY", "DSP", "BRAM36", "URAM")

DEVICE = "XCVU9P"
DEVICE_RESOURCES = {"LUT": 1_182_240, "FF": 2_364_480, "CARRY": 147_780, "DSP": 6_840, "BRAM36": 2_160, "URAM": 960}
"""Of the VCU1525 board's device: UltraScale+ FPGAs Product Selection Guide (XMP103), Virtex UltraScale+ VU9P; a CARRY8
for each eight LUTs (UG574)."""

_XILINX = "synth_xilinx -family xcup -uram -noiopad -noclkbuf -run"
_XTRA, _MEMORY = "read_verilog -lib +/xilinx/cells_xtra.v", f"{_XILINX} map_memory:map_ffram"
FLOW = Flow("xcup", (
    "read_verilog -lib -specify +/xilinx/cells_sim.v", _XTRA, f"{_XILINX} prepare:map_memory", _MEMORY,
    f"{_XILINX} map_ffram:map_luts", "opt_expr -mux_undef -noclkinv", "abc -luts 2:2,3,6:5,10,20", "clean",
    "xilinx_srl -fixed -minlen 3", "techmap -map +/xilinx/lut_map.v -map +/xilinx/cells_map.v -D LUT_WIDTH=6",
    "xilinx_dffopt", "opt_lut_ins -tech xilinx", f"{_XILINX} finalize:check",
), for_memories=frozenset({_XTRA, _MEMORY}))  # fmt: skip
"""Its own LUT mapping (abc9) takes minutes to sort the wires of a module that is nothing but a thousand others."""

CARRY4 = 0.5
"""Yosys makes CARRY4; a CARRY8 is two of them."""
_PRIMITIVES: dict[str, dict[str, float]] = {
    **{f"LUT{i}": {"LUT": 1} for i in range(1, 7)},
    **{name: {"FF": 1} for name in ("FDRE", "FDSE", "FDCE", "FDPE", "LDCE", "LDPE")},
    **{f"MUXF{i}": {} for i in (7, 8, 9)},  # of the LUTs' own slice
    "INV": {}, "BUF": {}, "VCC": {}, "GND": {},
    "CARRY4": {"CARRY": CARRY4}, "CARRY8": {"CARRY": 1},
    "SRL16E": {"LUT": 1}, "SRLC32E": {"LUT": 1},
    "RAM32M": {"LUT": 4}, "RAM64M": {"LUT": 4}, "RAM32M16": {"LUT": 8}, "RAM64M8": {"LUT": 8},
    "RAM32X1D": {"LUT": 2}, "RAM64X1D": {"LUT": 2}, "RAM32X1S": {"LUT": 1}, "RAM64X1S": {"LUT": 1},
    "RAM128X1D": {"LUT": 4}, "RAM128X1S": {"LUT": 2}, "RAM256X1S": {"LUT": 4}, "RAM512X1S": {"LUT": 8},
    "RAM256X1D": {"LUT": 8}, "RAM64X8SW": {"LUT": 8},
    "DSP48E2": {"DSP": 1},
    "RAMB18E2": {"BRAM36": 0.5}, "RAMB36E2": {"BRAM36": 1}, "URAM288": {"URAM": 1},
}  # fmt: skip
"""Of each primitive: UltraScale Architecture CLB User Guide (UG574), Memory Resources (UG573)."""


def price(cell: str) -> Cost:
    """Resources of a primitive.

    Raises:
        InputError: a primitive that the table does not have.
    """
    if cell not in _PRIMITIVES:
        raise unknown(cell)
    return dict.fromkeys(RESOURCES, 0.0) | _PRIMITIVES[cell]
