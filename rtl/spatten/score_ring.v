// SPDX-License-Identifier: Apache-2.0
// The ring of rows of scores: a query takes as many as its keys fill, behind the one before, and gives them back, oldest
// first. What is given back in a cycle can be taken in the next one.
//
// `base` is each slot's first row; behind the last row comes row 0 (`score_place`).

`resetall
`default_nettype none
`include "assertions.vh"

module score_ring #(
    parameter SLOTS = 64,
    // rows, at least as many as any query takes; scores of a row, a power of two
    parameter ROWS = 128,
    parameter LIST = 32,
    // bits of a count of keys
    parameter COUNT_WIDTH = 11,
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter ROW_WIDTH = ROWS > 2 ? $clog2(ROWS) : 2
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire [COUNT_WIDTH-1:0]     take_count,  // keys of the query that wants rows
    output wire                       fits,
    input  wire                       take,
    input  wire [SLOT_WIDTH-1:0]      take_slot,
    input  wire [COUNT_WIDTH-1:0]     give_count,  // keys of the query that gives them back
    input  wire                       give,
    output wire [SLOTS*ROW_WIDTH-1:0] base
);

    // wide enough for all rows and a query's
    localparam WIDTH = (ROW_WIDTH > COUNT_WIDTH ? ROW_WIDTH : COUNT_WIDTH) + 2;
    localparam LAST_SCORE = LIST - 1;
    localparam [WIDTH-1:0] ALL = ROWS[WIDTH-1:0];

    reg [WIDTH-1:0]     used_reg;
    reg [ROW_WIDTH-1:0] next_reg;
    reg [ROW_WIDTH-1:0] base_reg [0:SLOTS-1];

    function [WIDTH-1:0] rows_of(input [COUNT_WIDTH-1:0] count);
        rows_of = ({{WIDTH-COUNT_WIDTH{1'b0}}, count} + LAST_SCORE[WIDTH-1:0]) >> $clog2(LIST);
    endfunction

    wire [WIDTH-1:0] taken = rows_of(take_count);
    wire [WIDTH-1:0] given = rows_of(give_count);
    wire [WIDTH-1:0] sum   = {{WIDTH-ROW_WIDTH{1'b0}}, next_reg} + taken;
    wire [WIDTH-1:0] cut   = sum >= ALL ? sum - ALL : sum;
    wire             unused_cut = &{1'b0, cut[WIDTH-1:ROW_WIDTH]};

    assign fits = used_reg + taken <= ALL;

    genvar s;
    generate
        if (ROWS < 2) begin : g_illegal
            illegal_parameter_of_score_ring illegal ();
        end
        for (s = 0; s < SLOTS; s = s + 1) begin : g_slot
            assign base[ROW_WIDTH*s +: ROW_WIDTH] = base_reg[s];
        end
    endgenerate

    always @(posedge clk) begin
        if (take) begin
            base_reg[take_slot] <= next_reg;
            next_reg            <= cut[ROW_WIDTH-1:0];
        end
        used_reg <= used_reg + (take ? taken : {WIDTH{1'b0}}) - (give ? given : {WIDTH{1'b0}});
        if (rst) begin
            used_reg <= {WIDTH{1'b0}};
            next_reg <= {ROW_WIDTH{1'b0}};
        end
    end

    `ASSERT(room, !(take && used_reg + taken > ALL))
    `ASSERT(some, !give || used_reg >= given)

endmodule

`resetall
