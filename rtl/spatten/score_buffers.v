// SPDX-License-Identifier: Apache-2.0
// Buffers between Q x K and prob x V: scores, exponentials, probabilities, each slot's largest score and sum.
//
// All but the last two are rings of rows of LIST, of which each slot has some, from its first one on. Every stage reads and writes one slot at a time, so each memory has one port of each kind; probabilities are kept
// for each engine of the top-k and for prob x V, in rows of the list. What is read comes one cycle later.

`resetall
`default_nettype none

module score_buffers #(
    parameter LANES = 8,
    parameter SCORE_WIDTH = 32,
    parameter PROB_BITS = 12,
    parameter LIST = 32,
    parameter SLOTS = 64,
    // rows of the ring
    parameter SCORE_ROWS = 128,
    // bits of the number of a row of LANES, of LIST
    parameter LINE_WIDTH = 7,
    parameter ROW_WIDTH = 5,
    // readers for the top-k
    parameter ENGINES = 1,
    // derived
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter RING_WIDTH = SCORE_ROWS > 2 ? $clog2(SCORE_ROWS) : 2
) (
    input  wire                             clk,
    input  wire [SLOTS*RING_WIDTH-1:0]      base,

    input  wire [LANES-1:0]                 integer_write,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] integer_line,
    input  wire [SCORE_WIDTH*LANES-1:0]     integer_data,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] integer_at,
    output wire [SCORE_WIDTH*LANES-1:0]     integers,

    input  wire [LANES-1:0]                 score_write,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] score_line,
    input  wire [32*LANES-1:0]              score_data,
    input  wire                             largest_write,
    input  wire [SLOT_WIDTH-1:0]            largest_slot,
    input  wire [31:0]                      largest_data,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] score_at,
    output wire [32*LANES-1:0]              scores,
    output reg  [31:0]                      largest,

    input  wire                             e_write,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] e_line,
    input  wire [32*LANES-1:0]              e_data,
    input  wire                             sum_write,
    input  wire [SLOT_WIDTH-1:0]            sum_slot,
    input  wire [31:0]                      sum_data,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] e_at,
    output wire [32*LANES-1:0]              e,
    output reg  [31:0]                      sum,
    input  wire [SLOT_WIDTH-1:0]            check_slot,   // its sum at once
    output wire [31:0]                      check_sum,

    input  wire                             prob_write,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] prob_line,
    input  wire [PROB_BITS*LANES-1:0]       prob_data,
    input  wire [ENGINES*(SLOT_WIDTH+ROW_WIDTH)-1:0] select_at,
    output wire [ENGINES*PROB_BITS*LIST-1:0] select_probabilities,
    input  wire [SLOT_WIDTH+ROW_WIDTH-1:0]  value_at,
    output wire [PROB_BITS*LIST-1:0]        value_probabilities
);

    localparam ADDRESS = SLOT_WIDTH + LINE_WIDTH;
    localparam PART_LOG = LINE_WIDTH - ROW_WIDTH;  // rows of LANES in a row of the list
    localparam PLACE = RING_WIDTH + PART_LOG;

    // where the rows lie: written and read of each memory
    wire [PLACE-1:0] integer_to, integer_from, score_to, score_from, e_to, e_from, prob_to;
    wire [RING_WIDTH-1:0] value_from;
    score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(ROW_WIDTH), .PART_LOG(PART_LOG)) of_integers_in (
        .base(base), .line(integer_line), .place(integer_to)
    );
    score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(ROW_WIDTH), .PART_LOG(PART_LOG)) of_integers (
        .base(base), .line(integer_at), .place(integer_from)
    );
    score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(ROW_WIDTH), .PART_LOG(PART_LOG)) of_scores_in (
        .base(base), .line(score_line), .place(score_to)
    );
    score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(ROW_WIDTH), .PART_LOG(PART_LOG)) of_scores (
        .base(base), .line(score_at), .place(score_from)
    );
    score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(ROW_WIDTH), .PART_LOG(PART_LOG)) of_e_in (
        .base(base), .line(e_line), .place(e_to)
    );
    score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(ROW_WIDTH), .PART_LOG(PART_LOG)) of_e (
        .base(base), .line(e_at), .place(e_from)
    );
    score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(ROW_WIDTH), .PART_LOG(PART_LOG)) of_prob_in (
        .base(base), .line(prob_line), .place(prob_to)
    );
    score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(ROW_WIDTH)) of_value (
        .base(base), .line(value_at), .place(value_from)
    );

    ram_columns #(.WIDTH(SCORE_WIDTH), .COLUMNS(LANES), .ADDRESS_WIDTH(PLACE)) integer_memory (
        .clk(clk), .write(integer_write), .write_address(integer_to), .write_data(integer_data),
        .read_address(integer_from), .read_data(integers)
    );
    ram_columns #(.WIDTH(32), .COLUMNS(LANES), .ADDRESS_WIDTH(PLACE)) score_memory (
        .clk(clk), .write(score_write), .write_address(score_to), .write_data(score_data), .read_address(score_from),
        .read_data(scores)
    );
    ram #(.WIDTH(32 * LANES), .ADDRESS_WIDTH(PLACE)) e_memory (
        .clk(clk), .write(e_write), .write_address(e_to), .write_data(e_data), .read_address(e_from), .read_data(e)
    );

    reg [31:0] largest_reg [0:SLOTS-1];
    reg [31:0] sum_reg [0:SLOTS-1];
    always @(posedge clk) begin
        if (largest_write) begin
            largest_reg[largest_slot] <= largest_data;
        end
        if (sum_write) begin
            sum_reg[sum_slot] <= sum_data;
        end
        largest <= largest_reg[score_at[ADDRESS-1 -: SLOT_WIDTH]];
        sum     <= sum_reg[e_at[ADDRESS-1 -: SLOT_WIDTH]];
    end
    assign check_sum = sum_reg[check_slot];

    wire [LIST-1:0] first_lanes = {{LIST-LANES{1'b0}}, {LANES{prob_write}}};
    wire [LIST-1:0] prob_columns;
    generate
        if (PART_LOG > 0) begin : g_parts
            assign prob_columns = first_lanes << (LANES * prob_to[PART_LOG-1:0]);
        end else begin : g_whole
            assign prob_columns = first_lanes;
        end
    endgenerate
    genvar n;
    generate
        for (n = 0; n < ENGINES; n = n + 1) begin : g_select
            wire [RING_WIDTH-1:0] select_from;
            score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(ROW_WIDTH)) of_select (
                .base(base), .line(select_at[(SLOT_WIDTH+ROW_WIDTH)*n +: SLOT_WIDTH+ROW_WIDTH]), .place(select_from)
            );
            ram_columns #(.WIDTH(PROB_BITS), .COLUMNS(LIST), .ADDRESS_WIDTH(RING_WIDTH)) select_memory (
                .clk(clk), .write(prob_columns), .write_address(prob_to[PLACE-1:PART_LOG]),
                .write_data({LIST/LANES{prob_data}}), .read_address(select_from),
                .read_data(select_probabilities[PROB_BITS*LIST*n +: PROB_BITS*LIST])
            );
        end
    endgenerate
    ram_columns #(.WIDTH(PROB_BITS), .COLUMNS(LIST), .ADDRESS_WIDTH(RING_WIDTH)) value_memory (
        .clk(clk), .write(prob_columns), .write_address(prob_to[PLACE-1:PART_LOG]),
        .write_data({LIST/LANES{prob_data}}), .read_address(value_from), .read_data(value_probabilities)
    );

endmodule

`resetall
