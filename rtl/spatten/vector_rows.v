// SPDX-License-Identifier: Apache-2.0
// Rows of an SRAM that vectors may fill: as many 32-byte words each as such a vector touches at most.
//
// Bits by code (`widen`); 32, 64 or 128 elements. Also a vector's size in 8 bytes.

`resetall
`default_nettype none

module vector_rows #(
    parameter COUNT_WIDTH = 11,
    // words of a row, a power of two
    parameter BANKS = 32
) (
    input  wire [2:0]             code,
    input  wire [1:0]             dimension,
    input  wire [COUNT_WIDTH-1:0] count,
    output wire [5:0]             size,
    output wire [COUNT_WIDTH+3:0] rows
);

    localparam BANK_LOG = $clog2(BANKS);
    localparam LAST_BANK = BANKS - 1;
    localparam [COUNT_WIDTH+3:0] LAST = LAST_BANK[COUNT_WIDTH+3:0];

    wire [5:0] half_bits = code == 3'd5 ? 6'd8 : {3'd0, code} + 6'd2;
    assign size = half_bits << dimension;
    // behind the last multiple of its largest common divisor with a word it begins no vector
    wire [6:0] reach = {1'b0, size} + (size[0] ? 7'd6 : size[1] ? 7'd5 : 7'd3);
    wire [COUNT_WIDTH+3:0] words = {4'd0, count} * {{COUNT_WIDTH{1'b0}}, reach[5:2]};
    assign rows = (words + LAST) >> BANK_LOG;
    wire unused_bits = &{1'b0, reach[6], reach[1:0]};

endmodule

`resetall
