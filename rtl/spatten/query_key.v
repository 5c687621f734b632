// SPDX-License-Identifier: Apache-2.0
// Q x K: the dot products of a query with its keys, as many keys a cycle as the multipliers and the softmax take.
//
// Groups of 32 multipliers and their trees; two or four neighbours are added for vectors of 64 or 128 elements, or one
// group (two) takes such a vector in several cycles. A command names the keys' place in the SRAM and their tokens' in the
// list. The first pass over keys in two planes multiplies what the MSBs say, the second one LSBs, and adds both.
//
//   cycle 0  tokens and q are asked for       3  products
//         1  where the vectors are; SRAM      4  sums of 32
//         2  bits are widened                 5  sums of a vector, to its score's lane     6  over cycles, over planes
//
// In cycle 7 a row of scores comes out: for each lane whether it has one.

`resetall
`default_nettype none
`include "assertions.vh"

module query_key #(
    // powers of two: multipliers, at least 32; lanes of the softmax
    parameter MULTIPLIERS = 512,
    parameter LANES = 8,
    parameter BITS = 12,
    parameter SIZE = 1024,
    parameter SLOTS = 64,
    // tokens of a row of the list; banks of the SRAM, its rows of keys and behind them of LSBs
    parameter LIST = 32,
    parameter TOKEN_WIDTH = 20,
    parameter BANKS = 32,
    parameter ROWS = 160,
    parameter LSB_ROWS = 32,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST),
    parameter BANK_WIDTH = $clog2(BANKS),
    parameter ROW_WIDTH = $clog2(ROWS + LSB_ROWS),
    parameter LINE_WIDTH = $clog2(SIZE / LANES),
    parameter SCORE_WIDTH = 2 * BITS + 8
) (
    input  wire                             clk,
    input  wire                             rst,

    input  wire                             start,
    input  wire [SLOT_WIDTH-1:0]            s_slot,
    input  wire                             s_second,     // LSBs
    input  wire [1:0]                       s_dimension,  // 32, 64, 128
    input  wire [2:0]                       s_bits,       // of what is read of a key
    input  wire [2:0]                       s_query_bits,
    input  wire [1:0]                       s_query_offset,
    input  wire [3:0]                       s_shift,      // by how much MSBs count more
    input  wire [COUNT_WIDTH-1:0]           s_count,
    input  wire [LIST_WIDTH-1:0]            s_list,
    input  wire [ROW_WIDTH-1:0]             s_row,
    output wire                             free,
    output wire                             last,         // row enters
    output wire [SLOT_WIDTH-1:0]            slot,

    output wire [LIST_WIDTH-1:0]            list_row,     // tokens come one cycle later
    input  wire [TOKEN_WIDTH*LIST-1:0]      list_tokens,
    output wire [SLOT_WIDTH-1:0]            query_slot,   // and so q
    input  wire [2047:0]                    query_data,
    output wire [ROW_WIDTH-1:0]             key_row,      // and keys
    output wire [BANK_WIDTH-1:0]            key_first,
    input  wire [BANKS*256-1:0]             key_data,

    output wire [SLOT_WIDTH+LINE_WIDTH-1:0] before_line,  // scores of the first pass come one cycle later
    input  wire [SCORE_WIDTH*LANES-1:0]     before_scores,

    output reg  [LANES-1:0]                 m_valid,
    output reg                              m_first,
    output reg                              m_last,
    output reg  [SLOT_WIDTH+LINE_WIDTH-1:0] m_line,
    output reg  [SCORE_WIDTH*LANES-1:0]     m_scores
);

    localparam GROUPS     = MULTIPLIERS / 32;
    localparam GROUP_LOG  = $clog2(GROUPS);
    localparam LANE_LOG   = $clog2(LANES);
    localparam LIST_LOG   = $clog2(LIST);
    localparam KEYS       = GROUPS < LANES ? GROUPS : LANES;  // most keys of a cycle
    localparam LANES_LESS_1 = LANES - 1;
    localparam [COUNT_WIDTH-1:0] LAST_LANE = LANES_LESS_1[COUNT_WIDTH-1:0];
    localparam STEPS      = COUNT_WIDTH + 2;  // bits of a count of cycles
    localparam UNIT_WIDTH = BANK_WIDTH + 3;
    localparam WORD_WIDTH = ROW_WIDTH + BANK_WIDTH;

    // cycle 0
    localparam SIDE = SLOT_WIDTH + 1 + 2 + 3 + 3 + 2 + 4 + COUNT_WIDTH + LIST_WIDTH + ROW_WIDTH;
    wire                   active;
    wire [STEPS-1:0]       step;
    wire [SIDE-1:0]        side;
    wire [2:0]             s_keys_log, s_parts_log;
    wire [2:0]             keys_log, parts_log;
    wire                   second;
    wire [1:0]             dimension, query_offset;
    wire [2:0]             bits, query_bits;
    wire [3:0]             shift;
    wire [COUNT_WIDTH-1:0] count;
    wire [LIST_WIDTH-1:0]  list;
    wire [ROW_WIDTH-1:0]   base;

    // keys of a cycle, cycles of a key
    function [2:0] keys_log_of(input [1:0] d);
        keys_log_of = {1'b0, d} + 3'd1 > GROUP_LOG[2:0] ? 3'd0
            : GROUP_LOG[2:0] - {1'b0, d} > LANE_LOG[2:0] ? LANE_LOG[2:0] : GROUP_LOG[2:0] - {1'b0, d};
    endfunction
    function [2:0] parts_log_of(input [1:0] d);
        parts_log_of = {1'b0, d} > GROUP_LOG[2:0] ? {1'b0, d} - GROUP_LOG[2:0] : 3'd0;
    endfunction
    assign s_keys_log  = keys_log_of(s_dimension);
    assign s_parts_log = parts_log_of(s_dimension);
    assign keys_log    = keys_log_of(dimension);
    assign parts_log   = parts_log_of(dimension);

    wire [STEPS-1:0] extended = {{STEPS-COUNT_WIDTH{1'b0}}, s_count};
    wire [STEPS-1:0] steps = s_parts_log != 0 ? extended << s_parts_log
        : (extended + ({{STEPS-1{1'b0}}, 1'b1} << s_keys_log) - 1'b1) >> s_keys_log;

    row_counter #(.WIDTH(STEPS), .SIDE_WIDTH(SIDE)) counter (
        .clk(clk), .rst(rst), .start(start), .rows(steps),
        .s_side({s_slot, s_second, s_dimension, s_bits, s_query_bits, s_query_offset, s_shift, s_count, s_list, s_row}),
        .free(free), .active(active), .row(step), .last(last), .side(side)
    );
    assign {slot, second, dimension, bits, query_bits, query_offset, shift, count, list, base} = side;

    wire [STEPS-1:0]       key_wide = (step >> parts_log) << keys_log;
    wire [COUNT_WIDTH-1:0] key      = key_wide[COUNT_WIDTH-1:0];
    wire [1:0]             part     = step[1:0] & ~(2'b11 << parts_log);
    wire                   complete = ~|(~step[1:0] & ~(2'b11 << parts_log));
    wire [LIST_WIDTH-1:0]  key_list = {{LIST_WIDTH+LIST_LOG-COUNT_WIDTH{1'b0}}, key[COUNT_WIDTH-1:LIST_LOG]};
    wire                   unused_wide = &{1'b0, key_wide[STEPS-1:COUNT_WIDTH], s_parts_log};

    assign list_row = list + key_list;

    // what goes along with a row; cycles 1 to 6
    localparam TAG = 1 + 1 + 1 + SLOT_WIDTH + 1 + 2 + 3 + 3 + 2 + 4 + COUNT_WIDTH + COUNT_WIDTH + 2 + 1 + ROW_WIDTH;
    wire [TAG-1:0] tag0 = {active, active && step == 0, last, slot, second, dimension, bits, query_bits, query_offset,
                           shift, count, key, part, complete, base};
    reg  [TAG-1:0] tag1, tag2, tag3, tag4, tag5, tag6;
    always @(posedge clk) begin
        tag1 <= tag0;
        tag2 <= tag1;
        tag3 <= tag2;
        tag4 <= tag3;
        tag5 <= tag4;
        tag6 <= tag5;
        if (rst) begin
            {tag1[TAG-1], tag2[TAG-1], tag3[TAG-1], tag4[TAG-1], tag5[TAG-1], tag6[TAG-1]} <= 6'd0;
        end
    end

    `ASSERT_RESET(empty, ~|{tag1[TAG-1], tag2[TAG-1], tag3[TAG-1], tag4[TAG-1], tag5[TAG-1], tag6[TAG-1]})

    // cycle 1: where the vectors are
    localparam KEY_AT  = ROW_WIDTH + 1 + 2;
    localparam COUNT_AT = KEY_AT + COUNT_WIDTH;
    localparam SHIFT_AT = COUNT_AT + COUNT_WIDTH;
    localparam QOFF_AT = SHIFT_AT + 4;
    localparam QBITS_AT = QOFF_AT + 2;
    localparam BITS_AT = QBITS_AT + 3;
    localparam DIM_AT  = BITS_AT + 3;
    localparam SECOND_AT = DIM_AT + 2;
    localparam SLOT_AT = SECOND_AT + 1;
    localparam LAST_AT = SLOT_AT + SLOT_WIDTH;

    wire [TOKEN_WIDTH*(2*LIST)-1:0] list_padded = {{TOKEN_WIDTH*LIST{1'b0}}, list_tokens};
    wire [TOKEN_WIDTH*KEYS-1:0] tokens = list_padded[TOKEN_WIDTH*tag1[KEY_AT +: LIST_LOG] +: TOKEN_WIDTH*KEYS];
    wire [5:0] half_bits = tag1[BITS_AT +: 3] == 3'd5 ? 6'd8 : {3'd0, tag1[BITS_AT +: 3]} + 6'd2;
    wire [5:0] bytes     = half_bits << tag1[DIM_AT +: 2];  // 8-byte pieces of a vector
    wire [WORD_WIDTH-1:0]      word;
    wire [UNIT_WIDTH*KEYS-1:0] unit;
    vector_walk #(.VECTORS(KEYS), .TOKEN_WIDTH(TOKEN_WIDTH), .WORD_WIDTH(WORD_WIDTH), .UNIT_WIDTH(UNIT_WIDTH)) walk (
        .clk(clk), .first(tag1[KEY_AT +: COUNT_WIDTH] == 0), .advance(tag1[TAG-1] && tag1[ROW_WIDTH]),
        .take(keys_log_of(tag1[DIM_AT +: 2])), .bytes(bytes), .tokens(tokens), .word(word), .unit(unit)
    );
    localparam LSB_END = ROWS + LSB_ROWS;
    localparam [ROW_WIDTH:0] KEYS_RING = ROWS[ROW_WIDTH:0], LSBS_RING = LSB_ROWS[ROW_WIDTH:0], END = LSB_END[ROW_WIDTH:0];
    wire [ROW_WIDTH:0] row_sum = {1'b0, tag1[ROW_WIDTH-1:0]} + {1'b0, word[WORD_WIDTH-1:BANK_WIDTH]};
    wire [ROW_WIDTH:0] row_cut = row_sum < (tag1[SECOND_AT] ? END : KEYS_RING) ? row_sum
                               : row_sum - (tag1[SECOND_AT] ? LSBS_RING : KEYS_RING);
    wire               unused_row = row_cut[ROW_WIDTH];
    assign key_row    = row_cut[ROW_WIDTH-1:0];
    assign key_first  = word[BANK_WIDTH-1:0];
    assign query_slot = tag1[SLOT_AT +: SLOT_WIDTH];

    // cycle 2: bits are widened
    reg  [UNIT_WIDTH*KEYS-1:0] unit2;
    reg  [BANK_WIDTH-1:0]      first2;
    always @(posedge clk) begin
        unit2  <= unit;
        first2 <= key_first;
    end
    wire [2047:0] query_aligned = query_data >> {tag2[QOFF_AT +: 2], 6'd0};
    wire [5:0] half_bits2  = {3'd0, tag2[BITS_AT +: 3]} + 6'd2;
    wire [5:0] query_half2 = tag2[QBITS_AT +: 3] == 3'd5 ? 6'd8 : {3'd0, tag2[QBITS_AT +: 3]} + 6'd2;
    wire [1:0] dimension2  = tag2[DIM_AT +: 2];
    wire [2:0] parts_log2  = parts_log_of(dimension2);
    wire [1:0] part2       = tag2[ROW_WIDTH+1 +: 2];

    wire [SCORE_WIDTH*GROUPS-1:0] sums5;
    genvar g;
    generate
        for (g = 0; g < GROUPS; g = g + 1) begin : g_group
            localparam [5:0] NUMBER = g;
            // which key of the cycle, which 32 of its elements
            wire [5:0] key_of   = NUMBER >> dimension2;
            wire [1:0] part_of  = (NUMBER[1:0] & ~(2'b11 << dimension2)) + (parts_log2 != 0 ? part2 << GROUP_LOG : 2'd0);
            wire [5:0] index    = key_of < KEYS[5:0] ? key_of : 6'd0;
            wire [UNIT_WIDTH+7:0] at_wide = {8'd0, unit2[UNIT_WIDTH*index +: UNIT_WIDTH]} + {9'd0, first2, 2'b00}
                + {{UNIT_WIDTH{1'b0}}, {6'd0, part_of} * {2'd0, half_bits2}};
            wire [7:0] query_at = {6'd0, part_of} * {2'd0, query_half2};
            wire [BITS*32-1:0] key_wide2, query_wide2;
            row_elements #(.BITS(BITS), .BANKS(BANKS)) key_inst (
                .row(key_data), .at(at_wide[UNIT_WIDTH-1:0]), .code(tag2[BITS_AT +: 3]), .plain(tag2[SECOND_AT]),
                .elements(key_wide2)
            );
            wire [511:0] query_part;
            piece_shift #(.PIECES(32), .AT_WIDTH(5), .TAKEN(8)) query_inst (
                .pieces(query_aligned), .at(query_at[4:0]), .taken(query_part)
            );
            widen #(.BITS(BITS), .UNITS(8)) widen_query (
                .dense(query_part), .code(tag2[QBITS_AT +: 3]), .plain(1'b0), .elements(query_wide2)
            );
            wire unused_at = &{1'b0, query_at[7:5], at_wide[UNIT_WIDTH+7:UNIT_WIDTH]};
            dot_group #(.BITS(BITS), .SCORE_WIDTH(SCORE_WIDTH)) dot_inst (
                .clk(clk), .keys(key_wide2), .query(query_wide2), .sum(sums5[SCORE_WIDTH*g +: SCORE_WIDTH])
            );
        end
    endgenerate

    // cycle 5: sums of 1, 2 and 4 groups; a key's to the lane of its score
    wire [1:0] dimension5 = tag5[DIM_AT +: 2];
    wire [2:0] keys_log5  = keys_log_of(dimension5);
    wire [1:0] level5     = {1'b0, dimension5} > GROUP_LOG[2:0] ? GROUP_LOG[1:0] : dimension5;
    wire [SCORE_WIDTH*LANES-1:0] lanes5;
    reg  [SCORE_WIDTH*LANES-1:0] lanes6;
    group_sum #(.GROUPS(GROUPS), .LANES(LANES), .WIDTH(SCORE_WIDTH)) sum_inst (
        .sums(sums5), .level(level5), .keys_log(keys_log5), .lanes(lanes5)
    );
    wire [COUNT_WIDTH-1:0] key5 = tag5[KEY_AT +: COUNT_WIDTH];
    wire unused_key = &{1'b0, key5};
    assign before_line = {tag5[SLOT_AT +: SLOT_WIDTH], key5[LANE_LOG +: LINE_WIDTH]};

    // cycle 6: over the cycles of a vector, over both planes
    wire [COUNT_WIDTH-1:0] key6  = tag6[KEY_AT +: COUNT_WIDTH];
    wire [3:0]             shift6 = tag6[SHIFT_AT +: 4];
    wire [2:0]             keys_log6 = keys_log_of(tag6[DIM_AT +: 2]);
    wire                   begins6 = tag6[ROW_WIDTH+1 +: 2] == 0;
    reg  [SCORE_WIDTH-1:0] part_reg;
    wire [SCORE_WIDTH-1:0] joined = lanes6[SCORE_WIDTH-1:0] + (begins6 ? {SCORE_WIDTH{1'b0}} : part_reg);
    wire                   several6 = parts_log_of(tag6[DIM_AT +: 2]) != 0;
    integer k;
    always @(posedge clk) begin
        lanes6   <= lanes5;
        part_reg <= joined;
        m_first  <= tag6[TAG-1] && tag6[TAG-2];
        m_last   <= tag6[TAG-1] && tag6[LAST_AT];
        m_line   <= {tag6[SLOT_AT +: SLOT_WIDTH], key6[LANE_LOG +: LINE_WIDTH]};
        for (k = 0; k < LANES; k = k + 1) begin
            m_valid[k] <= tag6[TAG-1] && tag6[ROW_WIDTH]
                && k[COUNT_WIDTH-1:0] >> keys_log6 == (key6 & LAST_LANE) >> keys_log6
                && (key6 & ~LAST_LANE) + k[COUNT_WIDTH-1:0] < tag6[COUNT_AT +: COUNT_WIDTH];
            m_scores[SCORE_WIDTH*k +: SCORE_WIDTH] <=
                ((several6 ? joined : lanes6[SCORE_WIDTH*k +: SCORE_WIDTH]) << (tag6[SECOND_AT] ? 4'd0 : shift6))
                + (tag6[SECOND_AT] ? before_scores[SCORE_WIDTH*k +: SCORE_WIDTH] : {SCORE_WIDTH{1'b0}});
        end
    end

endmodule

`resetall
