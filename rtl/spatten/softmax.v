// SPDX-License-Identifier: Apache-2.0
// Softmax of integer scores, several queries in their slots: largest and dequantize, exp and sum, divide and requantize.
//
// A slot's rows lie in a ring of rows of LIST scores, from its first row on (`score_place`). Rows of scores come in; a command starts exp and sum of a slot, another one divide. What each gives lies in the slots'
// buffers: a row's scaled scores 5 cycles after it, the largest 6 after the last row's; the sum as `exp_sum` says; a row of
// probabilities 35 cycles after it. A slot's probabilities are read in rows of LIST, in the next cycle.

`resetall
`default_nettype none

module softmax #(
    // powers of two: lanes; partial sums of a lane
    parameter LANES = 8,
    parameter ADDER = 4,
    parameter SCORE_WIDTH = 32,
    parameter PROB_BITS = 12,
    parameter SIZE = 1024,
    parameter LIST = 32,
    parameter SLOTS = 64,
    // rows of the ring, at least SIZE / LIST
    parameter SCORE_ROWS = 128,
    // of the top-k
    parameter ENGINES = 1,
    // derived
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter RING_WIDTH = SCORE_ROWS > 2 ? $clog2(SCORE_ROWS) : 2,
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LINE_WIDTH = $clog2(SIZE / LANES),
    parameter ROW_WIDTH = $clog2(SIZE / LIST)
) (
    input  wire                             clk,
    input  wire                             rst,

    // of each slot: its first row in the ring
    input  wire [SLOTS*RING_WIDTH-1:0]      base,

    // rows of scores; those of a line once more, one cycle later
    input  wire [LANES-1:0]                 s_valid,
    input  wire                             s_first,
    input  wire                             s_last,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] s_line,
    input  wire [SCORE_WIDTH*LANES-1:0]     s_scores,
    input  wire [31:0]                      scale,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] before_line,
    output wire [SCORE_WIDTH*LANES-1:0]     before_scores,

    // exp and sum
    input  wire                             exp_start,
    input  wire [SLOT_WIDTH-1:0]            exp_slot,
    input  wire [COUNT_WIDTH-1:0]           exp_count,
    output wire                             exp_free,
    output wire                             exp_last,
    output wire [SLOT_WIDTH-1:0]            exp_last_slot,
    input  wire [SLOT_WIDTH-1:0]            sum_slot,
    output wire [31:0]                      sum,

    // divide
    input  wire                             divide_start,
    input  wire [SLOT_WIDTH-1:0]            divide_slot,
    input  wire [COUNT_WIDTH-1:0]           divide_count,
    output wire                             divide_free,
    output wire                             divide_last,
    output wire [SLOT_WIDTH-1:0]            divide_last_slot,

    // probabilities as they come, and for their readers
    output wire                             m_valid,
    output wire [SLOT_WIDTH+LINE_WIDTH-1:0] m_line,
    output wire [PROB_BITS*LANES-1:0]       m_probabilities,
    input  wire [ENGINES*(SLOT_WIDTH+ROW_WIDTH)-1:0] select_line,
    output wire [ENGINES*PROB_BITS*LIST-1:0] select_probabilities,
    input  wire [SLOT_WIDTH+ROW_WIDTH-1:0]  value_line,
    output wire [PROB_BITS*LIST-1:0]        value_probabilities
);

    wire [LANES-1:0]      score_valid;
    wire [SLOT_WIDTH+LINE_WIDTH-1:0] score_line, score_at, e_line, e_at;
    wire [32*LANES-1:0]   scores, exp_scores, e, divide_e;
    wire                  largest_valid, e_valid, sum_valid;
    wire [SLOT_WIDTH-1:0] largest_slot, new_slot;
    wire [31:0]           largest, exp_largest, new_sum, divide_sum;

    score_scale #(.LANES(LANES), .SCORE_WIDTH(SCORE_WIDTH), .SLOT_WIDTH(SLOT_WIDTH), .LINE_WIDTH(LINE_WIDTH)) scaled (
        .clk(clk), .rst(rst), .s_valid(s_valid), .s_first(s_first), .s_last(s_last), .s_line(s_line), .s_scores(s_scores),
        .scale(scale), .m_valid(score_valid), .m_line(score_line), .m_scores(scores), .largest_valid(largest_valid),
        .largest_slot(largest_slot), .largest(largest)
    );
    exp_sum #(.LANES(LANES), .ADDER(ADDER), .SIZE(SIZE), .SLOT_WIDTH(SLOT_WIDTH)) exponential (
        .clk(clk), .rst(rst), .start(exp_start), .s_slot(exp_slot), .s_count(exp_count), .free(exp_free), .last(exp_last),
        .slot(exp_last_slot), .line(score_at), .x(exp_scores), .largest(exp_largest), .m_valid(e_valid), .m_line(e_line),
        .m_e(e), .sum_valid(sum_valid), .sum_slot(new_slot), .sum(new_sum)
    );
    normalize #(.LANES(LANES), .PROB_BITS(PROB_BITS), .SIZE(SIZE), .SLOT_WIDTH(SLOT_WIDTH)) probability (
        .clk(clk), .rst(rst), .start(divide_start), .s_slot(divide_slot), .s_count(divide_count), .free(divide_free),
        .last(divide_last), .slot(divide_last_slot), .line(e_at), .e(divide_e), .sum(divide_sum), .m_valid(m_valid),
        .m_line(m_line), .m_probabilities(m_probabilities)
    );
    score_buffers #(
        .LANES(LANES), .SCORE_WIDTH(SCORE_WIDTH), .PROB_BITS(PROB_BITS), .LIST(LIST), .SLOTS(SLOTS),
        .SCORE_ROWS(SCORE_ROWS), .LINE_WIDTH(LINE_WIDTH), .ROW_WIDTH(ROW_WIDTH), .ENGINES(ENGINES)
    ) buffers (
        .clk(clk), .base(base), .integer_write(s_valid), .integer_line(s_line), .integer_data(s_scores), .integer_at(before_line),
        .integers(before_scores), .score_write(score_valid), .score_line(score_line), .score_data(scores),
        .largest_write(largest_valid), .largest_slot(largest_slot), .largest_data(largest), .score_at(score_at),
        .scores(exp_scores), .largest(exp_largest), .e_write(e_valid), .e_line(e_line), .e_data(e), .sum_write(sum_valid),
        .sum_slot(new_slot), .sum_data(new_sum), .e_at(e_at), .e(divide_e), .sum(divide_sum), .check_slot(sum_slot),
        .check_sum(sum), .prob_write(m_valid), .prob_line(m_line), .prob_data(m_probabilities), .select_at(select_line),
        .select_probabilities(select_probabilities), .value_at(value_line), .value_probabilities(value_probabilities)
    );

endmodule

`resetall
