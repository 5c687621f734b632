// SPDX-License-Identifier: Apache-2.0
// Where a slot's row lies in the ring of rows of scores (`score_ring`): {row of the ring, part of that row}.

`resetall
`default_nettype none

module score_place #(
    parameter SLOTS = 64,
    // rows of the ring, at least as many as a slot has
    parameter ROWS = 128,
    // bits of the number of a slot's row, of a row's part
    parameter LINE_WIDTH = 5,
    parameter PART_LOG = 0,
    parameter ROW_WIDTH = ROWS > 2 ? $clog2(ROWS) : 2,
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire [SLOTS*ROW_WIDTH-1:0]                base,   // of each slot: its first row
    input  wire [SLOT_WIDTH+LINE_WIDTH+PART_LOG-1:0] line,   // slot, row, part
    output wire [ROW_WIDTH+PART_LOG-1:0]             place
);

    localparam WIDTH = (ROW_WIDTH > LINE_WIDTH ? ROW_WIDTH : LINE_WIDTH) + 1;
    localparam [WIDTH-1:0] ALL = ROWS[WIDTH-1:0];

    wire [SLOT_WIDTH-1:0] slot = line[PART_LOG+LINE_WIDTH +: SLOT_WIDTH];
    wire [WIDTH-1:0] sum = {{WIDTH-ROW_WIDTH{1'b0}}, base[ROW_WIDTH*slot +: ROW_WIDTH]}
        + {{WIDTH-LINE_WIDTH{1'b0}}, line[PART_LOG +: LINE_WIDTH]};
    wire [WIDTH-1:0] cut = sum >= ALL ? sum - ALL : sum;
    wire unused_cut = &{1'b0, cut[WIDTH-1:ROW_WIDTH]};

    generate
        if (PART_LOG > 0) begin : g_parts
            assign place = {cut[ROW_WIDTH-1:0], line[PART_LOG-1:0]};
        end else begin : g_whole
            assign place = cut[ROW_WIDTH-1:0];
        end
    endgenerate

endmodule

`resetall
