// SPDX-License-Identifier: Apache-2.0
// prob x V: the sum of values times probabilities, as many values a cycle as the multipliers take.
//
// Groups of 32 multipliers; for vectors of 64 or 128 elements two or four neighbours take one, or one group (two) takes it
// in several cycles. Sums of the same elements are added over the groups, and to what the cycles before have found.
//
//   cycle 0  tokens, probabilities asked for     2  bits are widened, products
//         1  where the vectors are; SRAM         3  sums
//
// The outcome is there in cycle 4 of the last row. A command may take its tokens and probabilities from what the top-k kept,
// or from all, with those that were not kept as 0.

`resetall
`default_nettype none

module prob_value #(
    // a power of two, at least 32
    parameter MULTIPLIERS = 512,
    parameter BITS = 12,
    parameter PROB_BITS = 12,
    parameter SIZE = 1024,
    parameter SLOTS = 8,
    // tokens of a row of the list; banks and rows of the SRAM
    parameter LIST = 32,
    parameter TOKEN_WIDTH = 20,
    parameter BANKS = 32,
    parameter ROWS = 192,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST),
    parameter BANK_WIDTH = $clog2(BANKS),
    parameter ROW_WIDTH = $clog2(ROWS),
    parameter OUT_WIDTH = BITS + PROB_BITS + $clog2(SIZE)
) (
    input  wire                                clk,
    input  wire                                rst,

    input  wire                                start,
    input  wire [SLOT_WIDTH-1:0]               s_slot,
    input  wire                                s_kept,       // from what was kept
    input  wire                                s_masked,     // of all, those that were kept
    input  wire [1:0]                          s_dimension,
    input  wire [2:0]                          s_bits,
    input  wire [COUNT_WIDTH-1:0]              s_count,
    input  wire [LIST_WIDTH-1:0]               s_list,
    input  wire [ROW_WIDTH-1:0]                s_row,
    output wire                                free,
    output wire                                last,
    output wire [SLOT_WIDTH-1:0]               slot,

    output wire [LIST_WIDTH-1:0]               list_row,     // all of these come one cycle later
    input  wire [TOKEN_WIDTH*LIST-1:0]         list_tokens,
    output wire [SLOT_WIDTH+LIST_WIDTH-2:0]    slot_row,
    input  wire [TOKEN_WIDTH*LIST-1:0]         kept_tokens,
    input  wire [PROB_BITS*LIST-1:0]           kept_probabilities,
    input  wire [PROB_BITS*LIST-1:0]           probabilities,
    input  wire [LIST-1:0]                     keep,
    output wire [ROW_WIDTH-1:0]                value_row,
    output wire [BANK_WIDTH-1:0]               value_first,
    input  wire [BANKS*256-1:0]                value_data,

    output wire                                m_valid,      // cycle 3 of the last row
    output wire [SLOT_WIDTH-1:0]               m_slot,
    output wire [128*OUT_WIDTH-1:0]            m_output
);

    localparam GROUPS     = MULTIPLIERS / 32;
    localparam GROUP_LOG  = $clog2(GROUPS);
    localparam LIST_LOG   = $clog2(LIST);
    localparam STEPS      = COUNT_WIDTH + 2;
    localparam UNIT_WIDTH = BANK_WIDTH + 3;
    localparam WORD_WIDTH = ROW_WIDTH + BANK_WIDTH;
    localparam PRODUCT    = BITS + PROB_BITS + 1;

    function [2:0] values_log_of(input [1:0] d);
        values_log_of = {1'b0, d} + 3'd1 > GROUP_LOG[2:0] ? 3'd0 : GROUP_LOG[2:0] - {1'b0, d};
    endfunction
    function [2:0] parts_log_of(input [1:0] d);
        parts_log_of = {1'b0, d} > GROUP_LOG[2:0] ? {1'b0, d} - GROUP_LOG[2:0] : 3'd0;
    endfunction

    // cycle 0
    localparam SIDE = SLOT_WIDTH + 1 + 1 + 2 + 3 + COUNT_WIDTH + LIST_WIDTH + ROW_WIDTH;
    wire                   active, from_kept, masked;
    wire [STEPS-1:0]       step;
    wire [SIDE-1:0]        side;
    wire [1:0]             dimension;
    wire [2:0]             bits;
    wire [COUNT_WIDTH-1:0] count;
    wire [LIST_WIDTH-1:0]  list;
    wire [ROW_WIDTH-1:0]   base;
    wire [2:0] s_values_log = values_log_of(s_dimension);
    wire [2:0] s_parts_log  = parts_log_of(s_dimension);
    wire [2:0] values_log   = values_log_of(dimension);
    wire [2:0] parts_log    = parts_log_of(dimension);
    wire [STEPS-1:0] extended = {{STEPS-COUNT_WIDTH{1'b0}}, s_count};
    wire [STEPS-1:0] steps = s_parts_log != 0 ? extended << s_parts_log
        : (extended + ({{STEPS-1{1'b0}}, 1'b1} << s_values_log) - 1'b1) >> s_values_log;

    row_counter #(.WIDTH(STEPS), .SIDE_WIDTH(SIDE)) counter (
        .clk(clk), .rst(rst), .start(start), .rows(steps),
        .s_side({s_slot, s_kept, s_masked, s_dimension, s_bits, s_count, s_list, s_row}),
        .free(free), .active(active), .row(step), .last(last), .side(side)
    );
    assign {slot, from_kept, masked, dimension, bits, count, list, base} = side;

    wire [STEPS-1:0]       value_wide = (step >> parts_log) << values_log;
    wire [COUNT_WIDTH-1:0] value      = value_wide[COUNT_WIDTH-1:0];
    wire [1:0]             part       = step[1:0] & ~(2'b11 << parts_log);
    wire                   complete   = ~|(~step[1:0] & ~(2'b11 << parts_log));
    wire [LIST_WIDTH-1:0]  list_at    = {{LIST_WIDTH+LIST_LOG-COUNT_WIDTH{1'b0}}, value[COUNT_WIDTH-1:LIST_LOG]};
    wire                   unused_wide = &{1'b0, value_wide[STEPS-1:COUNT_WIDTH]};
    assign list_row = list + list_at;
    assign slot_row = {slot, list_at[LIST_WIDTH-2:0]};

    // cycle 1: where the vectors are, what they count
    reg                   active1, last1, from_kept1, masked1, complete1;
    reg [SLOT_WIDTH-1:0]  slot1;
    reg [1:0]             dimension1, part1;
    reg [2:0]             bits1;
    reg [COUNT_WIDTH-1:0] count1, value1;
    reg [ROW_WIDTH-1:0]   base1;
    always @(posedge clk) begin
        {active1, last1, from_kept1, masked1, complete1} <= {active && !rst, last && !rst, from_kept, masked, complete};
        {slot1, dimension1, part1, bits1, count1, value1, base1} <= {slot, dimension, part, bits, count, value, base};
    end

    wire [LIST_LOG-1:0] column = value1[LIST_LOG-1:0];
    wire [TOKEN_WIDTH*2*LIST-1:0] token_line =
        {{TOKEN_WIDTH*LIST{1'b0}}, from_kept1 ? kept_tokens : list_tokens};
    wire [PROB_BITS*2*LIST-1:0] prob_line =
        {{PROB_BITS*LIST{1'b0}}, from_kept1 ? kept_probabilities : probabilities};
    wire [2*LIST-1:0] keep_line = {{LIST{1'b0}}, keep | {LIST{!masked1}}};
    wire [TOKEN_WIDTH*GROUPS-1:0] tokens = token_line[TOKEN_WIDTH*column +: TOKEN_WIDTH*GROUPS];
    wire [PROB_BITS*GROUPS-1:0]   raw    = prob_line[PROB_BITS*column +: PROB_BITS*GROUPS];
    wire [GROUPS-1:0]             kept   = keep_line[{1'b0, column} +: GROUPS];
    wire [5:0] bytes = ({3'd0, bits1} + 6'd2) << dimension1;  // 8-byte pieces of a vector
    wire [WORD_WIDTH-1:0]        word;
    wire [UNIT_WIDTH*GROUPS-1:0] unit;
    vector_walk #(.VECTORS(GROUPS), .TOKEN_WIDTH(TOKEN_WIDTH), .WORD_WIDTH(WORD_WIDTH), .UNIT_WIDTH(UNIT_WIDTH)) walk (
        .clk(clk), .first(value1 == 0), .advance(active1 && complete1), .take(values_log_of(dimension1)), .bytes(bytes),
        .tokens(tokens), .word(word), .unit(unit)
    );
    localparam [ROW_WIDTH:0] ALL_ROWS = ROWS[ROW_WIDTH:0];
    wire [ROW_WIDTH:0] row_sum = {1'b0, base1} + {1'b0, word[WORD_WIDTH-1:BANK_WIDTH]};
    wire [ROW_WIDTH:0] row_cut = row_sum >= ALL_ROWS ? row_sum - ALL_ROWS : row_sum;
    wire               unused_row = row_cut[ROW_WIDTH];
    assign value_row   = row_cut[ROW_WIDTH-1:0];
    assign value_first = word[BANK_WIDTH-1:0];

    // cycle 2: bits are widened, products
    reg                         active2, last2, first2;
    reg [SLOT_WIDTH-1:0]        slot2;
    reg [1:0]                   dimension2, part2;
    reg [2:0]                   bits2;
    reg [UNIT_WIDTH*GROUPS-1:0] unit2;
    reg [BANK_WIDTH-1:0]        bank2;
    reg [PROB_BITS*GROUPS-1:0]  prob2;
    integer p;
    always @(posedge clk) begin
        {active2, last2, first2} <= {active1 && !rst, last1 && !rst, value1 == 0};
        {slot2, dimension2, part2, bits2, unit2, bank2} <= {slot1, dimension1, part1, bits1, unit, value_first};
        for (p = 0; p < GROUPS; p = p + 1) begin
            prob2[PROB_BITS*p +: PROB_BITS] <= kept[p] && p[COUNT_WIDTH-1:0] < count1 - value1 ? raw[PROB_BITS*p +: PROB_BITS]
                : {PROB_BITS{1'b0}};
        end
    end
    wire [5:0] half_bits2  = {3'd0, bits2} + 6'd2;
    wire [2:0] parts_log2  = parts_log_of(dimension2);
    wire [PRODUCT*32*GROUPS-1:0] products3;
    genvar g;
    generate
        for (g = 0; g < GROUPS; g = g + 1) begin : g_group
            localparam [5:0] NUMBER = g;
            wire [5:0] index   = NUMBER >> dimension2;
            wire [1:0] part_of = (NUMBER[1:0] & ~(2'b11 << dimension2)) + (parts_log2 != 0 ? part2 << GROUP_LOG : 2'd0);
            wire [UNIT_WIDTH+7:0] at_wide = {8'd0, unit2[UNIT_WIDTH*index +: UNIT_WIDTH]} + {9'd0, bank2, 2'b00}
                + {{UNIT_WIDTH{1'b0}}, {6'd0, part_of} * {2'd0, half_bits2}};
            wire unused_at = &{1'b0, at_wide[UNIT_WIDTH+7:UNIT_WIDTH]};
            wire [BITS*32-1:0] wide;
            row_elements #(.BITS(BITS), .BANKS(BANKS)) value_inst (
                .row(value_data), .at(at_wide[UNIT_WIDTH-1:0]), .code(bits2), .plain(1'b0), .elements(wide)
            );
            scale_group #(.BITS(BITS), .PROB_BITS(PROB_BITS), .PRODUCT(PRODUCT)) scale_inst (
                .clk(clk), .elements(wide), .probability(prob2[PROB_BITS*index +: PROB_BITS]),
                .products(products3[PRODUCT*32*g +: PRODUCT*32])
            );
        end
    endgenerate

    // cycle 3: sums of each 32 elements
    reg                       last3, first3, active3;
    reg [SLOT_WIDTH-1:0]      slot3;
    reg [1:0]                 dimension3, part3;
    always @(posedge clk) begin
        {active3, last3, first3} <= {active2 && !rst, last2 && !rst, first2};
        {slot3, dimension3, part3} <= {slot2, dimension2, part2};
    end
    wire [1:0] offset3 = parts_log_of(dimension3) != 0 ? part3 << GROUP_LOG : 2'd0;
    genvar e, q;
    generate
        for (e = 0; e < 32; e = e + 1) begin : g_element
            wire [PRODUCT*GROUPS-1:0] mine;
            wire [4*OUT_WIDTH-1:0]    sums;
            for (g = 0; g < GROUPS; g = g + 1) begin : g_product
                assign mine[PRODUCT*g +: PRODUCT] = products3[PRODUCT*(32*g+e) +: PRODUCT];
            end
            value_sum #(.GROUPS(GROUPS), .PRODUCT(PRODUCT), .OUT_WIDTH(OUT_WIDTH)) sum_inst (
                .clk(clk), .enable(active3), .clear(first3 && part3 == 2'd0), .dimension(dimension3), .offset(offset3),
                .products(mine), .sum(sums)
            );
            for (q = 0; q < 4; q = q + 1) begin : g_quarter
                assign m_output[OUT_WIDTH*(32*q+e) +: OUT_WIDTH] = sums[OUT_WIDTH*q +: OUT_WIDTH];
            end
        end
    endgenerate

    assign m_valid  = last3;
    assign m_slot   = slot3;

endmodule

`resetall
