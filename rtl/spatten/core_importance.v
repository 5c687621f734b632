// SPDX-License-Identifier: Apache-2.0
// Importance: probabilities are added up in the places of their tokens' lists, outputs' magnitudes by their head's number.

`resetall
`default_nettype none
`include "head.vh"

module core_importance #(
    // lanes of the softmax, bits of a probability, keys of a head at most, tokens of a row of the lists
    parameter LANES = 8,
    parameter PROB_BITS = 12,
    parameter SIZE = 1024,
    parameter LIST = 32,
    parameter SLOTS = 64,
    parameter HEADS = 16,
    // bits of a head's descriptor, of an output's element
    parameter HEAD = 240,
    parameter OUT_WIDTH = 34,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST),
    parameter LINE_WIDTH = $clog2(SIZE / LANES),
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter HEAD_WIDTH = HEADS > 1 ? $clog2(HEADS) : 1
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire [HEADS*HEAD-1:0]            heads,
    input  wire [SLOTS*HEAD_WIDTH-1:0]      slot_head,
    input  wire [SLOTS-1:0]                 illegal,

    // a row of probabilities; an answer without error
    input  wire                             prob_valid,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] prob_line,
    input  wire [PROB_BITS*LANES-1:0]       prob,
    input  wire                             right,
    input  wire [HEAD_WIDTH-1:0]            answer_head,
    input  wire [128*OUT_WIDTH-1:0]         elements,

    // the host's
    input  wire                             token_write,
    input  wire [$clog2(SIZE):0]            token_place,
    input  wire [31:0]                      token_score,
    output wire [31:0]                      token_found,
    input  wire                             head_write,
    input  wire [5:0]                       head_number,
    input  wire [63:0]                      head_score,
    output wire [63:0]                      head_found
);

    localparam LISTED = `HEAD_COUNT + COUNT_WIDTH;  // of a head's descriptor, the list's first row

    wire [SLOT_WIDTH-1:0] slot = prob_line[SLOT_WIDTH+LINE_WIDTH-1 -: SLOT_WIDTH];
    wire [HEAD_WIDTH-1:0] head = slot_head[HEAD_WIDTH*slot +: HEAD_WIDTH];
    wire [LINE_WIDTH:0]   row  = {heads[HEAD*head+LISTED +: LIST_WIDTH], {LINE_WIDTH+1-LIST_WIDTH{1'b0}}}
        + {1'b0, prob_line[LINE_WIDTH-1:0]};
    token_importance #(.LANES(LANES), .PROB_BITS(PROB_BITS), .ROW_WIDTH(LINE_WIDTH + 1)) of_tokens (
        .clk(clk), .rst(rst), .valid(prob_valid && !illegal[slot]), .row(row), .probabilities(prob),
        .host_write(token_write), .host_place(token_place), .host_score(token_score), .score(token_found)
    );
    head_importance #(.WIDTH(OUT_WIDTH), .HEADS(64)) of_heads (
        .clk(clk), .rst(rst), .valid(right), .head(heads[HEAD*answer_head +: 6]), .elements(elements),
        .host_write(head_write), .host_head(head_number), .host_sum(head_score), .sum(head_found)
    );
    wire unused_heads = &{1'b0, heads};

endmodule

`resetall
