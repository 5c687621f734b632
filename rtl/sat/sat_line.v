// SPDX-License-Identifier: Apache-2.0
// Beats in memory of a buffer word of all lanes. Combinational.
//
// West: a beat a row. North and output: 4 bytes a column; state: 8; `half`, binary16: 2; filled up to whole beats.

`resetall
`default_nettype none

module sat_line #(
    parameter ROWS = 32,
    parameter COLS = 32,
    // bytes of a beat
    parameter BYTES = 32
) (
    input  wire [1:0]  buffer,   // 0 west, 1 north, 2 output, 3 state
    input  wire        half,
    output wire [15:0] beats
);

    localparam HALF = (2*COLS + BYTES - 1) / BYTES;
    localparam FULL = (4*COLS + BYTES - 1) / BYTES;
    localparam PAIR = (8*COLS + BYTES - 1) / BYTES;

    assign beats = half ? HALF[15:0] : buffer == 2'd0 ? ROWS[15:0] : buffer == 2'd3 ? PAIR[15:0] : FULL[15:0];

endmodule

`resetall
