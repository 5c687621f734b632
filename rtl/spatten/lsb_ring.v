// SPDX-License-Identifier: Apache-2.0
// The ring of rows of LSBs, behind the keys' in their SRAM. A head takes rows when the fetch of its LSBs begins, and gives
// them back when each of its queries has passed its check or was computed again; oldest first, a head a cycle.
//
// Heads ask in their order: no query is checked before those of the heads before it.

`resetall
`default_nettype none
`include "assertions.vh"

module lsb_ring #(
    parameter HEADS = 16,
    // rows of the keys, which lie before these; rows of the ring
    parameter FIRST = 160,
    parameter ROWS = 32,
    // bits of a row of the SRAM
    parameter ROW_WIDTH = $clog2(FIRST + ROWS),
    parameter HEAD_WIDTH = HEADS > 1 ? $clog2(HEADS) : 1
) (
    input  wire                       clk,
    input  wire                       rst,

    // a head gets its place in the table
    input  wire                       accept,
    input  wire [HEAD_WIDTH-1:0]      accept_head,
    input  wire [15:0]                accept_queries,
    input  wire [ROW_WIDTH-1:0]       accept_rows,

    // LSBs that are to be fetched
    input  wire [HEAD_WIDTH-1:0]      head,
    output wire                       fits,
    output wire [ROW_WIDTH-1:0]       row,
    input  wire                       take,

    // a query is done with its head's LSBs, by either way
    input  wire [1:0]                 done,
    input  wire [2*HEAD_WIDTH-1:0]    done_head,

    // of each head: its first row
    output wire [HEADS*ROW_WIDTH-1:0] lsb_row
);

    localparam END = FIRST + ROWS;
    localparam [ROW_WIDTH:0]   ALL = ROWS[ROW_WIDTH:0], LIMIT = END[ROW_WIDTH:0];
    localparam [ROW_WIDTH-1:0] START = FIRST[ROW_WIDTH-1:0];

    reg [HEADS*16-1:0]  left_reg;  // queries that are not done
    reg [ROW_WIDTH-1:0] rows_reg [0:HEADS-1], lsb_row_reg [0:HEADS-1];
    reg [ROW_WIDTH:0]   used_reg;
    reg [ROW_WIDTH-1:0] row_reg;

    wire                  some, unused_ready;
    wire [HEAD_WIDTH-1:0] oldest;
    wire give = some && left_reg[16*oldest +: 16] == 0;
    fifo #(.WIDTH(HEAD_WIDTH), .DEPTH(HEADS)) heads (
        .clk(clk), .rst(rst), .s_valid(take), .s_ready(unused_ready), .s_data(head), .m_valid(some), .m_ready(give),
        .m_data(oldest)
    );

    wire [ROW_WIDTH:0] wanted = {1'b0, rows_reg[head]};
    wire [ROW_WIDTH:0] sum    = {1'b0, row_reg} + wanted;
    wire [ROW_WIDTH:0] cut    = sum >= LIMIT ? sum - ALL : sum;
    wire               unused_cut = cut[ROW_WIDTH];
    assign fits = used_reg + wanted <= ALL;
    assign row  = row_reg;

    genvar h;
    generate
        for (h = 0; h < HEADS; h = h + 1) begin : g_head
            assign lsb_row[ROW_WIDTH*h +: ROW_WIDTH] = lsb_row_reg[h];
        end
    endgenerate

    integer i;
    always @(posedge clk) begin
        if (accept) begin
            rows_reg[accept_head] <= accept_rows;
        end
        if (take) begin
            lsb_row_reg[head] <= row_reg;
            row_reg           <= cut[ROW_WIDTH-1:0];
        end
        used_reg <= used_reg + (take ? wanted : {ROW_WIDTH+1{1'b0}})
                    - (give ? {1'b0, rows_reg[oldest]} : {ROW_WIDTH+1{1'b0}});
        for (i = 0; i < HEADS; i = i + 1) begin
            left_reg[16*i +: 16] <= accept && accept_head == i[HEAD_WIDTH-1:0] ? accept_queries
                : left_reg[16*i +: 16]
                - {15'd0, done[0] && done_head[HEAD_WIDTH-1:0] == i[HEAD_WIDTH-1:0]}
                - {15'd0, done[1] && done_head[2*HEAD_WIDTH-1:HEAD_WIDTH] == i[HEAD_WIDTH-1:0]};
        end
        if (rst) begin
            used_reg <= {ROW_WIDTH+1{1'b0}};
            row_reg  <= START;
        end
    end

    `ASSERT(room, !(take && (used_reg + wanted > ALL || !unused_ready)))
    `ASSERT(within, used_reg <= ALL)

endmodule

`resetall
