// SPDX-License-Identifier: Apache-2.0
// The pipeline of spatten_core: Q x K, softmax, check, top-k of values, prob x V; each query on its way through them.

`resetall
`default_nettype none
`include "head.vh"

module attention_units #(
    parameter QK_MULTIPLIERS = 512,
    parameter PV_MULTIPLIERS = 512,
    parameter SOFTMAX_LANES = 8,
    parameter ADDER_CYCLES = 4,
    parameter TOPK_PARALLEL = 16,
    parameter TOPK_ENGINES = 1,
    parameter OPERAND_BITS = 12,
    parameter PROBABILITY_BITS = 12,
    parameter SIZE = 1024,
    parameter SLOTS = 64,
    parameter HEADS = 16,
    parameter LIST = 32,
    parameter SCORE_ROWS = 128,
    parameter OUTPUTS = 8,
    parameter KEY_BANKS = 32,
    parameter KEY_ROWS = 160,
    parameter LSB_ROWS = 32,
    parameter VALUE_BANKS = 32,
    parameter VALUE_ROWS = 192,
    parameter DOT_CYCLES = 18,
    parameter SUM_CYCLES = 44,
    parameter DIVIDE_CYCLES = 36,
    parameter ENGINE = 0,
    parameter SELECT_CYCLES = 0,
    parameter TOKEN_WIDTH = 20,
    // bits of a head's descriptor
    parameter HEAD = 240,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST),
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter HEAD_WIDTH = HEADS > 1 ? $clog2(HEADS) : 1,
    parameter RING_WIDTH = SCORE_ROWS > 2 ? $clog2(SCORE_ROWS) : 2,
    parameter KEY_ROW = $clog2(KEY_ROWS + LSB_ROWS),
    parameter KEY_BANK = $clog2(KEY_BANKS),
    parameter VALUE_ROW = $clog2(VALUE_ROWS),
    parameter VALUE_BANK = $clog2(VALUE_BANKS),
    parameter ROW_WIDTH = KEY_ROW > VALUE_ROW ? KEY_ROW : VALUE_ROW,
    parameter LINE = SLOT_WIDTH + LIST_WIDTH - 1,
    parameter LINE_WIDTH = $clog2(SIZE / SOFTMAX_LANES),
    parameter OUT_WIDTH = OPERAND_BITS + PROBABILITY_BITS + $clog2(SIZE)
) (
    input  wire                                 clk,
    input  wire                                 rst,

    input  wire [HEADS*HEAD-1:0]                heads,
    input  wire                                 accept,
    input  wire [HEAD_WIDTH-1:0]                accept_head,
    input  wire [HEADS*KEY_ROW-1:0]             key_row,
    input  wire [HEADS*KEY_ROW-1:0]             lsb_row,
    input  wire [SLOTS*ROW_WIDTH-1:0]           slot_row,
    input  wire [HEADS*ROW_WIDTH-1:0]           head_row,

    // a query gets a slot
    input  wire                                 admit,
    input  wire [SLOT_WIDTH-1:0]                admit_slot,
    input  wire [HEAD_WIDTH-1:0]                admit_head,
    input  wire [COUNT_WIDTH-1:0]               admit_count,
    input  wire [COUNT_WIDTH-1:0]               admit_keep,
    input  wire [15:0]                          admit_seed,
    input  wire [1:0]                           admit_offset,  // of q in its first word, 8 bytes

    // an answer leaves; a slot is given back; of each slot its first row of scores
    input  wire                                 release_valid,
    input  wire                                 give_valid,
    input  wire [SLOT_WIDTH-1:0]                give_slot,
    output wire [SLOTS*RING_WIDTH-1:0]          score_base,

    // to and from the fetch units
    output wire                                 lsb_valid,
    input  wire                                 lsb_take,
    output wire [HEAD_WIDTH-1:0]                lsb_head,
    output wire                                 own_valid,
    input  wire                                 own_take,
    output wire [SLOT_WIDTH-1:0]                own_slot,
    output wire [HEAD_WIDTH-1:0]                own_head,
    output wire [COUNT_WIDTH-1:0]               own_count,
    output wire                                 own_kept,
    input  wire [SLOTS-1:0]                     query_there,
    input  wire [HEADS-1:0]                     key_there,
    input  wire [HEADS-1:0]                     lsb_there,
    input  wire [SLOTS-1:0]                     own_there,
    input  wire [HEADS-1:0]                     shared_there,
    output wire                                 key_done,
    output wire [HEAD_WIDTH-1:0]                key_done_head,
    output wire [1:0]                           lsb_done,
    output wire [2*HEAD_WIDTH-1:0]              lsb_done_head,
    output wire                                 read_valid,
    output wire                                 read_shared,
    output wire [SLOT_WIDTH-1:0]                read_slot,
    output wire [HEAD_WIDTH-1:0]                read_head,

    // SRAMs, one cycle later
    output wire [SLOT_WIDTH-1:0]                query_slot,
    input  wire [2047:0]                        query_data,
    output wire [KEY_ROW-1:0]                   dot_row,
    output wire [KEY_BANK-1:0]                  dot_first,
    input  wire [256*KEY_BANKS-1:0]             keys,
    output wire [VALUE_ROW-1:0]                 value_row,
    output wire [VALUE_BANK-1:0]                value_first,
    input  wire [256*VALUE_BANKS-1:0]           values,

    // lists of tokens, one cycle later; what was kept; of the top-k, each engine's
    output wire [LIST_WIDTH-1:0]                dot_list,
    input  wire [TOKEN_WIDTH*LIST-1:0]          dot_tokens,
    output wire [TOPK_ENGINES*LIST_WIDTH-1:0]   select_list,
    input  wire [TOPK_ENGINES*TOKEN_WIDTH*LIST-1:0] select_tokens,
    output wire [LIST_WIDTH-1:0]                output_list,
    input  wire [TOKEN_WIDTH*LIST-1:0]          output_tokens,
    output wire [LINE-1:0]                      output_line,
    input  wire [TOKEN_WIDTH*LIST-1:0]          output_kept_tokens,
    input  wire [PROBABILITY_BITS*LIST-1:0]     output_kept_prob,
    input  wire [LIST-1:0]                      output_flags,
    output wire [TOPK_ENGINES*LIST-1:0]         flags_write,
    output wire [TOPK_ENGINES*LINE-1:0]         flags_line,
    output wire [TOPK_ENGINES*LIST-1:0]         flags,
    output wire [TOPK_ENGINES*LIST-1:0]         kept_write,
    output wire [TOPK_ENGINES*LINE-1:0]         kept_line,
    output wire [TOPK_ENGINES*TOKEN_WIDTH*LIST-1:0] kept_tokens,
    output wire [TOPK_ENGINES*PROBABILITY_BITS*LIST-1:0] kept_prob,

    // rows of probabilities; outputs; of each slot its head, whether it was computed again
    output wire                                 prob_valid,
    output wire [SLOT_WIDTH+LINE_WIDTH-1:0]     prob_line,
    output wire [PROBABILITY_BITS*SOFTMAX_LANES-1:0] prob,
    output wire                                 output_valid,
    output wire [SLOT_WIDTH-1:0]                output_slot,
    output wire [128*OUT_WIDTH-1:0]             output_data,
    output wire [SLOTS*HEAD_WIDTH-1:0]          slot_head,
    output wire [SLOTS-1:0]                     again,
    output wire                                 dot_busy
);

    localparam SCORE_WIDTH = 2 * OPERAND_BITS + 8;
    // fields of a head's descriptor, from its lowest bit on
    localparam LISTED = `HEAD_COUNT + COUNT_WIDTH;

    wire [SLOTS*COUNT_WIDTH-1:0] slot_count, slot_keep;
    wire dot_free, dot_start, dot_second, dot_last, exp_free, exp_start, exp_last, divide_free, divide_start, divide_last;
    wire weighed, chosen, value_free, value_start, value_last;
    wire [SLOT_WIDTH-1:0] dot_slot, dot_last_slot, exp_slot, exp_last_slot, check_slot, divide_slot, divide_last_slot;
    wire [SLOT_WIDTH-1:0] weighed_slot, chosen_slot, value_slot, value_last_slot;
    wire [31:0]           check_sum;
    query_schedule #(
        .SLOTS(SLOTS), .HEADS(HEADS), .HEAD(HEAD), .COUNT_WIDTH(COUNT_WIDTH), .LIST(LIST), .SCORE_ROWS(SCORE_ROWS),
        .OUTPUTS(OUTPUTS), .DOT(DOT_CYCLES), .TOTAL(SUM_CYCLES),
        .DIVIDE(DIVIDE_CYCLES + SELECT_CYCLES)
    ) schedule_of_queries (
        .clk(clk), .rst(rst), .heads(heads), .accept(accept), .accept_head(accept_head), .admit(admit),
        .admit_slot(admit_slot), .admit_head(admit_head), .admit_count(admit_count), .admit_keep(admit_keep),
        .release_valid(release_valid), .give_valid(give_valid), .give_slot(give_slot), .score_base(score_base),
        .query_there(query_there), .key_there(key_there), .lsb_there(lsb_there), .own_there(own_there),
        .shared_there(shared_there),
        .dot_free(dot_free), .dot_start(dot_start), .dot_slot(dot_slot), .dot_second(dot_second), .dot_last(dot_last),
        .dot_last_slot(dot_last_slot), .exp_free(exp_free), .exp_start(exp_start), .exp_slot(exp_slot),
        .exp_last(exp_last), .exp_last_slot(exp_last_slot), .check_slot(check_slot), .check_sum(check_sum),
        .divide_free(divide_free), .divide_start(divide_start), .divide_slot(divide_slot), .divide_last(divide_last),
        .divide_last_slot(divide_last_slot), .weighed(weighed), .weighed_slot(weighed_slot), .chosen(chosen), .chosen_slot(chosen_slot), .value_free(value_free),
        .value_start(value_start), .value_slot(value_slot), .value_last(value_last), .value_last_slot(value_last_slot),
        .lsb_valid(lsb_valid), .lsb_take(lsb_take), .lsb_head(lsb_head), .own_valid(own_valid), .own_take(own_take),
        .own_slot(own_slot), .key_done(key_done), .key_done_head(key_done_head), .lsb_done(lsb_done),
        .lsb_done_head(lsb_done_head), .read_valid(read_valid), .read_slot(read_slot),
        .head(slot_head), .count(slot_count), .keep(slot_keep), .again(again)
    );

    reg [1:0] offset_reg [0:SLOTS-1];  // of q in its first word, 8 bytes

    // Q x K
    wire [HEAD_WIDTH-1:0]        dot_head = slot_head[HEAD_WIDTH*dot_slot +: HEAD_WIDTH];
    wire [HEAD-1:0]              dot_of   = heads[HEAD*dot_head +: HEAD];
    wire [2:0]                   dot_lsb  = dot_of[`HEAD_LSB_BITS +: 3];
    wire [SLOT_WIDTH+LINE_WIDTH-1:0] integer_line, integer_at;
    wire [SCORE_WIDTH*SOFTMAX_LANES-1:0] integers, integers_before;
    wire [SOFTMAX_LANES-1:0]     integer_valid;
    wire                         integer_first, integer_last;
    query_key #(
        .MULTIPLIERS(QK_MULTIPLIERS), .LANES(SOFTMAX_LANES), .BITS(OPERAND_BITS), .SIZE(SIZE), .SLOTS(SLOTS), .LIST(LIST),
        .TOKEN_WIDTH(TOKEN_WIDTH), .BANKS(KEY_BANKS), .ROWS(KEY_ROWS), .LSB_ROWS(LSB_ROWS)
    ) dot (
        .clk(clk), .rst(rst), .start(dot_start), .s_slot(dot_slot), .s_second(dot_second),
        .s_dimension(dot_of[`HEAD_DIMENSION +: 2]), .s_bits(dot_second ? dot_lsb : dot_of[`HEAD_KEY_BITS +: 3]),
        .s_query_bits(dot_of[`HEAD_QUERY_BITS +: 3]), .s_query_offset(offset_reg[dot_slot]),
        .s_shift(dot_lsb == 3'd7 ? 4'd0 : {dot_lsb, 1'b0} + 4'd4), .s_count(slot_count[COUNT_WIDTH*dot_slot +: COUNT_WIDTH]),
        .s_list(dot_of[LISTED +: LIST_WIDTH]),
        .s_row(dot_second ? lsb_row[KEY_ROW*dot_head +: KEY_ROW] : key_row[KEY_ROW*dot_head +: KEY_ROW]),
        .free(dot_free), .last(dot_last), .slot(dot_last_slot), .list_row(dot_list), .list_tokens(dot_tokens),
        .query_slot(query_slot), .query_data(query_data), .key_row(dot_row), .key_first(dot_first),
        .key_data(keys), .before_line(integer_at), .before_scores(integers_before), .m_valid(integer_valid),
        .m_first(integer_first), .m_last(integer_last), .m_line(integer_line), .m_scores(integers)
    );
    wire [HEAD_WIDTH-1:0] scale_head =
        slot_head[HEAD_WIDTH*integer_line[SLOT_WIDTH+LINE_WIDTH-1 -: SLOT_WIDTH] +: HEAD_WIDTH];
    wire [TOPK_ENGINES*LINE-1:0] select_line;
    wire [TOPK_ENGINES*PROBABILITY_BITS*LIST-1:0] select_prob;
    wire [PROBABILITY_BITS*LIST-1:0] output_prob;
    softmax #(
        .LANES(SOFTMAX_LANES), .ADDER(ADDER_CYCLES), .SCORE_WIDTH(SCORE_WIDTH), .PROB_BITS(PROBABILITY_BITS), .SIZE(SIZE),
        .LIST(LIST), .SLOTS(SLOTS), .SCORE_ROWS(SCORE_ROWS), .ENGINES(TOPK_ENGINES)
    ) probabilities (
        .clk(clk), .rst(rst), .base(score_base), .s_valid(integer_valid), .s_first(integer_first), .s_last(integer_last),
        .s_line(integer_line), .s_scores(integers), .scale(heads[HEAD*scale_head+`HEAD_SCALE +: 32]),
        .before_line(integer_at), .before_scores(integers_before), .exp_start(exp_start), .exp_slot(exp_slot),
        .exp_count(slot_count[COUNT_WIDTH*exp_slot +: COUNT_WIDTH]), .exp_free(exp_free), .exp_last(exp_last),
        .exp_last_slot(exp_last_slot), .sum_slot(check_slot), .sum(check_sum), .divide_start(divide_start),
        .divide_slot(divide_slot), .divide_count(slot_count[COUNT_WIDTH*divide_slot +: COUNT_WIDTH]),
        .divide_free(divide_free), .divide_last(divide_last), .divide_last_slot(divide_last_slot), .m_valid(prob_valid),
        .m_line(prob_line), .m_probabilities(prob), .select_line(select_line), .select_probabilities(select_prob),
        .value_line(output_line), .value_probabilities(output_prob)
    );

    // which values
    value_engines #(
        .ENGINES(TOPK_ENGINES), .COMPARATORS(TOPK_PARALLEL), .ENGINE(ENGINE), .LANES(SOFTMAX_LANES),
        .PROB_BITS(PROBABILITY_BITS), .SIZE(SIZE), .LIST(LIST), .SLOTS(SLOTS), .HEADS(HEADS), .TOKEN_WIDTH(TOKEN_WIDTH),
        .HEAD(HEAD)
    ) values_kept (
        .clk(clk), .rst(rst), .heads(heads), .slot_head(slot_head), .count(slot_count), .keep(slot_keep), .admit(admit),
        .admit_slot(admit_slot), .admit_seed(admit_seed), .prob_valid(prob_valid), .prob_line(prob_line), .prob(prob),
        .s_valid(weighed), .s_slot(weighed_slot), .chosen(chosen), .chosen_slot(chosen_slot), .line(select_line),
        .probabilities(select_prob), .list_row(select_list), .tokens(select_tokens), .flags_write(flags_write),
        .flags_line(flags_line), .flags(flags), .kept_write(kept_write), .kept_line(kept_line), .kept_tokens(kept_tokens),
        .kept_probabilities(kept_prob)
    );

    // prob x V
    wire [HEAD_WIDTH-1:0]     value_head   = slot_head[HEAD_WIDTH*value_slot +: HEAD_WIDTH];
    wire [HEAD-1:0]           value_of     = heads[HEAD*value_head +: HEAD];
    wire                      value_shared = value_of[`HEAD_SHARED];
    wire [COUNT_WIDTH-1:0]    value_all    = slot_count[COUNT_WIDTH*value_slot +: COUNT_WIDTH];
    wire [COUNT_WIDTH-1:0]    value_keep   = slot_keep[COUNT_WIDTH*value_slot +: COUNT_WIDTH];
    wire                      value_some   = value_keep < value_all;
    wire [ROW_WIDTH-1:0]      value_base   = value_shared ? head_row[ROW_WIDTH*value_head +: ROW_WIDTH]
                                           : slot_row[ROW_WIDTH*value_slot +: ROW_WIDTH];
    prob_value #(
        .MULTIPLIERS(PV_MULTIPLIERS), .BITS(OPERAND_BITS), .PROB_BITS(PROBABILITY_BITS), .SIZE(SIZE), .SLOTS(SLOTS),
        .LIST(LIST), .TOKEN_WIDTH(TOKEN_WIDTH), .BANKS(VALUE_BANKS), .ROWS(VALUE_ROWS)
    ) weigh (
        .clk(clk), .rst(rst), .start(value_start), .s_slot(value_slot), .s_kept(!value_shared && value_some),
        .s_masked(value_shared && value_some), .s_dimension(value_of[`HEAD_DIMENSION +: 2]),
        .s_bits(value_of[`HEAD_VALUE_BITS +: 3]),
        .s_count(!value_shared && value_some ? value_keep : value_all), .s_list(value_of[LISTED +: LIST_WIDTH]),
        .s_row(value_base[VALUE_ROW-1:0]), .free(value_free), .last(value_last), .slot(value_last_slot),
        .list_row(output_list), .list_tokens(output_tokens), .slot_row(output_line), .kept_tokens(output_kept_tokens),
        .kept_probabilities(output_kept_prob), .probabilities(output_prob), .keep(output_flags),
        .value_row(value_row), .value_first(value_first), .value_data(values),
        .m_valid(output_valid), .m_slot(output_slot), .m_output(output_data)
    );

    // values that a query fetches for itself; whose values have been read
    wire [COUNT_WIDTH-1:0] own_all  = slot_count[COUNT_WIDTH*own_slot +: COUNT_WIDTH];
    wire [COUNT_WIDTH-1:0] own_some = slot_keep[COUNT_WIDTH*own_slot +: COUNT_WIDTH];
    assign own_head    = slot_head[HEAD_WIDTH*own_slot +: HEAD_WIDTH];
    assign own_kept    = own_some < own_all;
    assign own_count   = own_kept ? own_some : own_all;
    assign read_head   = slot_head[HEAD_WIDTH*read_slot +: HEAD_WIDTH];
    assign read_shared = heads[HEAD*read_head+`HEAD_SHARED];
    assign dot_busy    = dot_start || !dot_free;

    always @(posedge clk) begin
        if (admit) begin
            offset_reg[admit_slot] <= admit_offset;
        end
    end
    wire unused_bits = &{1'b0, dot_of, value_of, value_base};

endmodule

`resetall
