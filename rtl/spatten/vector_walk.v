// SPDX-License-Identifier: Apache-2.0
// Where in an SRAM the vectors of some tokens lie, row after row, as `address_generator` fetched them.
//
// Vectors of `bytes` x 8 bytes lie one after the other in the memory; the SRAM has their 32-byte words, in order, a word
// that two tokens share only once. Of 2^take tokens of a row (the list of tokens goes on from row to row): the number of
// the word in which the first one's vector begins, and for each its first 8 bytes, counted from that word's.

`resetall
`default_nettype none

module vector_walk #(
    // most vectors of a row
    parameter VECTORS = 8,
    parameter TOKEN_WIDTH = 20,
    // bits of a word's number; of the place of 8 bytes in a row
    parameter WORD_WIDTH = 14,
    parameter UNIT_WIDTH = 8
) (
    input  wire                           clk,
    input  wire                           first,    // row: nothing is before it
    input  wire                           advance,  // the next row follows
    input  wire [2:0]                     take,
    input  wire [5:0]                     bytes,
    input  wire [TOKEN_WIDTH*VECTORS-1:0] tokens,
    output wire [WORD_WIDTH-1:0]          word,
    output reg  [UNIT_WIDTH*VECTORS-1:0]  unit
);

    reg [WORD_WIDTH-1:0]  next_reg;   // the word behind the last vector's
    reg [TOKEN_WIDTH-1:0] before_reg; // the token before the row

    // vector by vector: its first word; of each number of vectors, the word behind them
    wire [TOKEN_WIDTH*(VECTORS+1)-1:0] line = {tokens, before_reg};
    reg  [WORD_WIDTH*VECTORS-1:0]      from;
    reg  [WORD_WIDTH*(VECTORS+1)-1:0]  behind;
    reg  [WORD_WIDTH-1:0]              at;
    reg  [TOKEN_WIDTH-1:0]             token;
    reg  [1:0]                         offset;
    reg  [6:0]                         reach;
    integer v;
    always @* begin
        at     = first ? {WORD_WIDTH{1'b0}} : next_reg;
        from   = {WORD_WIDTH*VECTORS{1'b0}};
        behind = {WORD_WIDTH*(VECTORS+1){1'b0}};
        unit   = {UNIT_WIDTH*VECTORS{1'b0}};
        token  = {TOKEN_WIDTH{1'b0}};
        offset = 2'd0;
        reach  = 7'd0;
        for (v = 0; v < VECTORS; v = v + 1) begin
            token  = line[TOKEN_WIDTH*(v+1) +: TOKEN_WIDTH];
            offset = token[1:0] * bytes[1:0];
            reach  = {5'd0, offset} + {1'b0, bytes} + 7'd3;
            // it begins within the last word of the one before
            if (token == line[TOKEN_WIDTH*v +: TOKEN_WIDTH] + 1'b1 && offset != 2'd0 && (v != 0 || !first)) begin
                at = at - 1'b1;
            end
            from[WORD_WIDTH*v +: WORD_WIDTH] = at;
            unit[UNIT_WIDTH*v +: UNIT_WIDTH] = {at[UNIT_WIDTH-3:0] - from[UNIT_WIDTH-3:0], offset};
            at = at + {{WORD_WIDTH-5{1'b0}}, reach[6:2]};
            behind[WORD_WIDTH*(v+1) +: WORD_WIDTH] = at;
        end
    end
    assign word = from[WORD_WIDTH-1:0];

    wire [6:0] count = 7'd1 << take;
    wire       unused_bits = &{1'b0, from, reach};
    always @(posedge clk) begin
        if (advance) begin
            next_reg   <= behind[WORD_WIDTH*count +: WORD_WIDTH];
            before_reg <= line[TOKEN_WIDTH*count +: TOKEN_WIDTH];
        end
    end

endmodule

`resetall
