// SPDX-License-Identifier: Apache-2.0
// 32 elements out of a row of SRAM words, widened: those that begin at an 8-byte piece; behind the last word comes the first.

`resetall
`default_nettype none

module row_elements #(
    // bits of an element, at most 16; words of a row
    parameter BITS = 12,
    parameter BANKS = 32,
    // derived: of a piece's number, counted over the row and once more over it
    parameter UNIT_WIDTH = $clog2(BANKS) + 3
) (
    input  wire [BANKS*256-1:0]  row,
    input  wire [UNIT_WIDTH-1:0] at,
    input  wire [2:0]            code,      // as of `widen`
    input  wire                  plain,
    output wire [32*BITS-1:0]    elements
);

    localparam UNITS = (BITS + 1) / 2;  // 8-byte pieces that 32 elements may take

    wire [64*UNITS-1:0] dense;
    piece_shift #(.PIECES(8*BANKS), .AT_WIDTH(UNIT_WIDTH), .TAKEN(UNITS)) shift_inst (
        .pieces({row, row}), .at(at), .taken(dense)
    );
    widen #(.BITS(BITS), .UNITS(UNITS)) widen_inst (
        .dense(dense), .code(code), .plain(plain), .elements(elements)
    );

endmodule

`resetall
