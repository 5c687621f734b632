// SPDX-License-Identifier: Apache-2.0
// spatten_core: attention of queries of heads, several in flight: fetch, Q x K, softmax, check, top-k of values, prob x V.
//
// The host writes lists of tokens (ascending; what the cascade left), then descriptors of heads, each followed on the other
// stream by its queries', and takes an answer a query. Token importance is added up in the places of the lists, head
// importance by the head's number. Bits are coded 0 to 5 for 4, 6, 8, 10, 12 and 16 (16 for q alone, of which the lower BITS
// count); 7 for LSBs: keys in one plane. Dimension: 0 to 2 for 32, 64, 128. Status of an answer: 0 right, 1 the head's descriptor
// is illegal (`head_check`), 2 the query's is, 3 the memory answered with an error; with an error the output is 0 and head importance
// is left alone, but token importance may have been added to where the memory failed. The sum above which LSBs are fetched is a
// binary32 number.
//
// Counters: cycles with a head in the table; queries; of them, computed again; transactions; cycles of Q x K.

`resetall
`default_nettype none

module spatten_core #(
    // multipliers, at least 32; lanes of the softmax; partial sums of a lane; comparators of a top-k engine: powers of two
    parameter QK_MULTIPLIERS = 512,
    parameter PV_MULTIPLIERS = 512,
    parameter SOFTMAX_LANES = 8,
    parameter ADDER_CYCLES = 4,
    parameter TOPK_PARALLEL = 16,
    parameter TOPK_ENGINES = 1,
    parameter OPERAND_BITS = 12,
    parameter PROBABILITY_BITS = 12,
    // keys of a head, at most; a power of two
    parameter SIZE = 1024,
    parameter SLOTS = 64,
    // rows of the ring of scores, LIST in each: an even number, SIZE scores at least
    parameter SCORE_ROWS = 128,
    parameter HEADS = 16,
    // of a fetch unit; a power of two
    parameter FETCH_LANES = 16,
    // entries of a lane's FIFO; beats of a channel's; of both, entries that a crossbar sees (`fetch` says what is legal)
    parameter LANE_DEPTH = 4,
    parameter ANSWER_DEPTH = 4,
    parameter CROSSBAR_WINDOW = 1,
    parameter CHANNELS = 16,
    // log2 of consecutive bytes in a channel, at least 5
    parameter INTERLEAVE = 5,
    // rows of the SRAMs: of keys and behind them of LSBs; of values
    parameter KEY_ROWS = 160,
    parameter LSB_ROWS = 32,
    parameter VALUE_ROWS = 192,
    // cycles behind a unit's last row
    parameter DOT_CYCLES = 18,
    parameter SUM_CYCLES = 44,
    parameter DIVIDE_CYCLES = 36,
    // top-k engines of values: 0 quick-select, 1 led by a histogram; cycles from the last row of probabilities until it may begin
    parameter ENGINE = 0,
    parameter SELECT_CYCLES = 0,
    parameter TOKEN_WIDTH = 20,
    parameter ADDRESS_WIDTH = 40,
    // derived
    parameter KEY_WORDS = QK_MULTIPLIERS / 16 > 8 ? QK_MULTIPLIERS / 16 : 8,
    parameter KEY_BANKS = KEY_WORDS > FETCH_LANES ? KEY_WORDS : FETCH_LANES,
    parameter VALUE_WORDS = PV_MULTIPLIERS / 16 > 8 ? PV_MULTIPLIERS / 16 : 8,
    parameter VALUE_BANKS = VALUE_WORDS > FETCH_LANES ? VALUE_WORDS : FETCH_LANES,
    parameter LIST_A = 2 * FETCH_LANES > TOPK_PARALLEL ? 2 * FETCH_LANES : TOPK_PARALLEL,
    parameter LIST_B = PV_MULTIPLIERS / 32 > SOFTMAX_LANES ? PV_MULTIPLIERS / 32 : SOFTMAX_LANES,
    parameter LIST = LIST_A > LIST_B ? LIST_A : LIST_B,
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST),
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter HEAD_WIDTH = HEADS > 1 ? $clog2(HEADS) : 1,
    parameter OWNER_WIDTH = SLOT_WIDTH > HEAD_WIDTH ? SLOT_WIDTH : HEAD_WIDTH,
    parameter BANK_WIDTH = $clog2(KEY_BANKS > VALUE_BANKS ? KEY_BANKS : VALUE_BANKS),
    parameter ROW_WIDTH = $clog2(KEY_ROWS + LSB_ROWS > VALUE_ROWS ? KEY_ROWS + LSB_ROWS : VALUE_ROWS),
    parameter ID_WIDTH = 3 + OWNER_WIDTH + ROW_WIDTH + BANK_WIDTH,
    parameter OUT_WIDTH = OPERAND_BITS + PROBABILITY_BITS + $clog2(SIZE)
) (
    input  wire                              clk,
    input  wire                              rst,

    // the host's lists and importances
    input  wire                              list_write,
    input  wire [$clog2(SIZE):0]             list_place,
    input  wire [TOKEN_WIDTH-1:0]            list_token,
    input  wire                              token_write,
    input  wire [$clog2(SIZE):0]             token_place,
    input  wire [31:0]                       token_score,
    output wire [31:0]                       token_found,    // one cycle after its place
    input  wire                              head_write,
    input  wire [5:0]                        head_number,
    input  wire [63:0]                       head_score,
    output wire [63:0]                       head_found,

    // heads
    input  wire                              s_head_valid,
    output wire                              s_head_ready,
    input  wire [ADDRESS_WIDTH-1:0]          s_head_key_address,
    input  wire [ADDRESS_WIDTH-1:0]          s_head_lsb_address,
    input  wire [ADDRESS_WIDTH-1:0]          s_head_value_address,
    input  wire [LIST_WIDTH-1:0]             s_head_list,    // row of the first token
    input  wire [COUNT_WIDTH-1:0]            s_head_count,
    input  wire [1:0]                        s_head_dimension,
    input  wire [2:0]                        s_head_query_bits,
    input  wire [2:0]                        s_head_key_bits,
    input  wire [2:0]                        s_head_lsb_bits,
    input  wire [2:0]                        s_head_value_bits,
    input  wire                              s_head_shared,  // values are fetched once for all queries
    input  wire [15:0]                       s_head_queries,
    input  wire [31:0]                       s_head_scale,
    input  wire [31:0]                       s_head_limit,
    input  wire [5:0]                        s_head_number,

    // queries
    input  wire                              s_query_valid,
    output wire                              s_query_ready,
    input  wire [ADDRESS_WIDTH-1:0]          s_query_address,
    input  wire [COUNT_WIDTH-1:0]            s_query_count,  // keys that it sees
    input  wire [COUNT_WIDTH-1:0]            s_query_keep,   // values that it multiplies
    input  wire [15:0]                       s_query_seed,
    input  wire [15:0]                       s_query_tag,

    // answers
    output wire                              m_valid,
    input  wire                              m_ready,
    output wire [15:0]                       m_tag,
    output wire [1:0]                        m_status,
    output wire                              m_again,
    output wire [128*OUT_WIDTH-1:0]          m_output,

    output wire                              busy,
    output wire [5*48-1:0]                   counters,

    // memory, a master a channel
    output wire [CHANNELS-1:0]               m_axi_arvalid,
    input  wire [CHANNELS-1:0]               m_axi_arready,
    output wire [CHANNELS*ADDRESS_WIDTH-1:0] m_axi_araddr,
    output wire [CHANNELS*ID_WIDTH-1:0]      m_axi_arid,
    output wire [CHANNELS*8-1:0]             m_axi_arlen,
    output wire [CHANNELS*3-1:0]             m_axi_arsize,
    output wire [CHANNELS*2-1:0]             m_axi_arburst,
    input  wire [CHANNELS-1:0]               m_axi_rvalid,
    output wire [CHANNELS-1:0]               m_axi_rready,
    input  wire [CHANNELS*ID_WIDTH-1:0]      m_axi_rid,
    input  wire [CHANNELS*256-1:0]           m_axi_rdata,
    input  wire [CHANNELS*2-1:0]             m_axi_rresp,
    input  wire [CHANNELS-1:0]               m_axi_rlast
);

    localparam PLACE_WIDTH = SLOT_WIDTH + $clog2(SIZE) + 1, LINE_WIDTH = $clog2(SIZE / SOFTMAX_LANES);
    localparam RING_WIDTH = SCORE_ROWS > 2 ? $clog2(SCORE_ROWS) : 2, OUTPUTS = 8;
    localparam KEY_ROW = $clog2(KEY_ROWS + LSB_ROWS), KEY_BANK = $clog2(KEY_BANKS);
    localparam VALUE_ROW = $clog2(VALUE_ROWS), VALUE_BANK = $clog2(VALUE_BANKS);
    localparam HEAD  = 3 * ADDRESS_WIDTH + LIST_WIDTH + COUNT_WIDTH + 2 + 4 * 3 + 1 + 32 + 32 + 6;
    localparam QUERY = ADDRESS_WIDTH + 2 * COUNT_WIDTH + 16 + 16;

    generate
        if (SCORE_ROWS % 2 != 0 || SCORE_ROWS * LIST < SIZE || KEY_ROWS < 2 || LSB_ROWS < 1 || VALUE_ROWS < 2) begin : g_illegal
            illegal_parameter_of_spatten_core illegal ();
        end
    endgenerate

    wire [SLOTS*RING_WIDTH-1:0] score_base;
    wire                        accept, admit, admit_illegal, give_valid, release_valid, error_valid, error_ready, key_done;
    wire                        lsb_valid, lsb_take, own_valid, own_take, own_kept, read_valid, read_shared, place_kept;
    wire [HEADS*HEAD-1:0]       heads;
    wire [QUERY-1:0]            admit_query;
    wire [HEAD_WIDTH-1:0]       accept_head, admit_head, lsb_head, own_head, read_head, key_done_head;
    wire [SLOT_WIDTH-1:0]       admit_slot, give_slot, own_slot, read_slot, query_slot, answer_slot, output_slot;
    wire [HEADS*KEY_ROW-1:0]    key_row, lsb_row;
    wire [SLOTS*ROW_WIDTH-1:0]  slot_row;
    wire [HEADS*ROW_WIDTH-1:0]  head_row;
    wire [COUNT_WIDTH-1:0]      own_count, admit_count, admit_keep;
    wire [SLOTS-1:0]            query_there, own_there, slot_wrong, again, illegal;
    wire [HEADS-1:0]            key_there, lsb_there, shared_there, head_wrong;
    wire [1:0] lsb_done;               wire [2*HEAD_WIDTH-1:0] lsb_done_head;
    wire [SLOTS*HEAD_WIDTH-1:0] slot_head;
    wire [15:0]                 admit_seed, admit_tag, error_tag;
    wire [2*PLACE_WIDTH-1:0]    place;
    wire [2*TOKEN_WIDTH*(LIST+1)-1:0] window;
    wire [2047:0]               query_data;
    wire [KEY_ROW-1:0] dot_row;        wire [KEY_BANK-1:0] dot_first;
    wire [256*KEY_BANKS-1:0]    keys;
    wire [VALUE_ROW-1:0] value_row;    wire [VALUE_BANK-1:0] value_first;
    wire [256*VALUE_BANKS-1:0]  values;
    wire [HEAD_WIDTH-1:0]       answer_head = slot_head[HEAD_WIDTH*answer_slot +: HEAD_WIDTH];
    attention_front #(
        .OPERAND_BITS(OPERAND_BITS), .SIZE(SIZE), .SLOTS(SLOTS), .HEADS(HEADS), .FETCH_LANES(FETCH_LANES),
        .LANE_DEPTH(LANE_DEPTH), .ANSWER_DEPTH(ANSWER_DEPTH), .CROSSBAR_WINDOW(CROSSBAR_WINDOW), .CHANNELS(CHANNELS),
        .INTERLEAVE(INTERLEAVE), .LIST(LIST), .KEY_BANKS(KEY_BANKS), .KEY_ROWS(KEY_ROWS), .LSB_ROWS(LSB_ROWS),
        .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS), .TOKEN_WIDTH(TOKEN_WIDTH), .ADDRESS_WIDTH(ADDRESS_WIDTH)
    ) front (
        .clk(clk), .rst(rst), .s_head_valid(s_head_valid), .s_head_ready(s_head_ready),
        .s_head({s_head_key_address, s_head_lsb_address, s_head_value_address, s_head_list, s_head_count, s_head_dimension,
                 s_head_query_bits, s_head_key_bits, s_head_lsb_bits, s_head_value_bits, s_head_shared, s_head_scale,
                 s_head_limit, s_head_number}),
        .s_head_queries(s_head_queries), .s_query_valid(s_query_valid), .s_query_ready(s_query_ready),
        .s_query({s_query_address, s_query_count, s_query_keep, s_query_seed, s_query_tag}),
        .busy(busy), .accept(accept), .accept_head(accept_head), .heads(heads), .key_row(key_row), .lsb_row(lsb_row),
        .slot_row(slot_row), .head_row(head_row), .admit(admit), .admit_slot(admit_slot), .admit_head(admit_head),
        .admit_query(admit_query), .admit_illegal(admit_illegal), .release_valid(release_valid),
        .release_slot(answer_slot), .release_head(answer_head), .give_valid(give_valid),
        .give_slot(give_slot), .error_valid(error_valid), .error_ready(error_ready),
        .error_tag(error_tag), .lsb_valid(lsb_valid), .lsb_take(lsb_take), .lsb_head(lsb_head), .own_valid(own_valid),
        .own_take(own_take), .own_slot(own_slot), .own_head(own_head), .own_count(own_count), .own_kept(own_kept),
        .query_there(query_there), .key_there(key_there), .lsb_there(lsb_there), .own_there(own_there),
        .shared_there(shared_there), .slot_wrong(slot_wrong), .head_wrong(head_wrong), .key_done(key_done),
        .key_done_head(key_done_head), .lsb_done(lsb_done), .lsb_done_head(lsb_done_head), .read_valid(read_valid), .read_shared(read_shared), .read_slot(read_slot),
        .read_head(read_head), .place(place), .place_kept(place_kept), .window(window), .query_slot(query_slot),
        .query_data(query_data), .dot_row(dot_row), .dot_first(dot_first), .keys(keys), .value_row(value_row),
        .value_first(value_first), .values(values), .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready),
        .m_axi_araddr(m_axi_araddr), .m_axi_arid(m_axi_arid), .m_axi_rvalid(m_axi_rvalid),
        .m_axi_rready(m_axi_rready), .m_axi_rid(m_axi_rid), .m_axi_rdata(m_axi_rdata), .m_axi_rresp(m_axi_rresp)
    );
    assign m_axi_arlen   = {CHANNELS{8'd0}};
    assign m_axi_arsize  = {CHANNELS{3'd5}};
    assign m_axi_arburst = {CHANNELS{2'b01}};

    wire [ADDRESS_WIDTH-1:0] admit_address;
    assign {admit_address, admit_count, admit_keep, admit_seed, admit_tag} = admit_query;
    wire unused_bits = &{1'b0, admit_address, m_axi_rlast};

    localparam LINE = SLOT_WIDTH + LIST_WIDTH - 1, E = TOPK_ENGINES;
    wire [LIST_WIDTH-1:0]             dot_list, output_list;
    wire [E*LIST_WIDTH-1:0]           select_list;
    wire [LINE-1:0]                   output_line;
    wire [E*LINE-1:0]                 flags_line, kept_line;
    wire [TOKEN_WIDTH*LIST-1:0]       dot_tokens, output_tokens, output_kept_tokens;
    wire [E*TOKEN_WIDTH*LIST-1:0]     select_tokens, kept_tokens;
    wire [PROBABILITY_BITS*LIST-1:0]  output_kept_prob;
    wire [E*PROBABILITY_BITS*LIST-1:0] kept_prob;
    wire [LIST-1:0]                   output_flags;
    wire [E*LIST-1:0]                 flags_write, flags, kept_write;
    wire                              prob_valid, output_valid, dot_busy;
    wire [SLOT_WIDTH+LINE_WIDTH-1:0]  prob_line;
    wire [PROBABILITY_BITS*SOFTMAX_LANES-1:0] prob;
    wire [128*OUT_WIDTH-1:0]          output_data;
    attention_units #(
        .QK_MULTIPLIERS(QK_MULTIPLIERS), .PV_MULTIPLIERS(PV_MULTIPLIERS), .SOFTMAX_LANES(SOFTMAX_LANES),
        .ADDER_CYCLES(ADDER_CYCLES), .TOPK_PARALLEL(TOPK_PARALLEL), .TOPK_ENGINES(E), .OPERAND_BITS(OPERAND_BITS),
        .PROBABILITY_BITS(PROBABILITY_BITS), .SIZE(SIZE), .SLOTS(SLOTS), .HEADS(HEADS), .LIST(LIST),
        .SCORE_ROWS(SCORE_ROWS), .OUTPUTS(OUTPUTS), .KEY_BANKS(KEY_BANKS), .KEY_ROWS(KEY_ROWS), .LSB_ROWS(LSB_ROWS),
        .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS), .DOT_CYCLES(DOT_CYCLES), .SUM_CYCLES(SUM_CYCLES),
        .DIVIDE_CYCLES(DIVIDE_CYCLES), .ENGINE(ENGINE), .SELECT_CYCLES(SELECT_CYCLES), .TOKEN_WIDTH(TOKEN_WIDTH), .HEAD(HEAD)
    ) units (
        .clk(clk), .rst(rst), .heads(heads), .accept(accept), .accept_head(accept_head), .key_row(key_row),
        .lsb_row(lsb_row), .slot_row(slot_row), .head_row(head_row), .admit(admit), .admit_slot(admit_slot),
        .admit_head(admit_head), .admit_count(admit_count), .admit_keep(admit_keep), .admit_seed(admit_seed),
        .admit_offset(admit_address[4:3]), .release_valid(release_valid), .give_valid(give_valid), .give_slot(give_slot),
        .score_base(score_base), .lsb_valid(lsb_valid), .lsb_take(lsb_take), .lsb_head(lsb_head), .own_valid(own_valid),
        .own_take(own_take), .own_slot(own_slot), .own_head(own_head), .own_count(own_count), .own_kept(own_kept),
        .query_there(query_there), .key_there(key_there), .lsb_there(lsb_there), .own_there(own_there),
        .shared_there(shared_there), .key_done(key_done), .key_done_head(key_done_head), .lsb_done(lsb_done),
        .lsb_done_head(lsb_done_head), .read_valid(read_valid), .read_shared(read_shared), .read_slot(read_slot),
        .read_head(read_head), .query_slot(query_slot), .query_data(query_data), .dot_row(dot_row), .dot_first(dot_first),
        .keys(keys), .value_row(value_row), .value_first(value_first), .values(values), .dot_list(dot_list),
        .dot_tokens(dot_tokens), .select_list(select_list), .select_tokens(select_tokens), .output_list(output_list),
        .output_tokens(output_tokens), .output_line(output_line), .output_kept_tokens(output_kept_tokens),
        .output_kept_prob(output_kept_prob), .output_flags(output_flags), .flags_write(flags_write),
        .flags_line(flags_line), .flags(flags), .kept_write(kept_write), .kept_line(kept_line), .kept_tokens(kept_tokens),
        .kept_prob(kept_prob), .prob_valid(prob_valid), .prob_line(prob_line), .prob(prob), .output_valid(output_valid),
        .output_slot(output_slot), .output_data(output_data), .slot_head(slot_head), .again(again), .dot_busy(dot_busy)
    );

    token_store #(
        .TOKEN_WIDTH(TOKEN_WIDTH), .PROB_BITS(PROBABILITY_BITS), .LIST(LIST), .LIST_WIDTH(LIST_WIDTH),
        .SLOTS(SLOTS), .SCORE_ROWS(SCORE_ROWS), .ENGINES(E)
    ) tokens (
        .clk(clk), .base(score_base), .host_write(list_write), .host_place(list_place), .host_token(list_token),
        .kept_write(kept_write), .kept_line(kept_line), .kept_tokens(kept_tokens), .kept_probabilities(kept_prob),
        .flags_write(flags_write), .flags_line(flags_line), .flags(flags), .key_place(place[PLACE_WIDTH-1:0]),
        .key_window(window[TOKEN_WIDTH*(LIST+1)-1:0]), .value_place(place[2*PLACE_WIDTH-1:PLACE_WIDTH]),
        .value_kept(place_kept), .value_window(window[2*TOKEN_WIDTH*(LIST+1)-1:TOKEN_WIDTH*(LIST+1)]), .dot_row(dot_list),
        .dot_tokens(dot_tokens), .select_row(select_list), .select_tokens(select_tokens), .output_row(output_list),
        .output_tokens(output_tokens), .output_line(output_line), .output_kept_tokens(output_kept_tokens),
        .output_kept_probabilities(output_kept_prob), .output_flags(output_flags)
    );

    answers #(.SLOTS(SLOTS), .OUTPUTS(OUTPUTS), .WIDTH(128 * OUT_WIDTH)) leaving (
        .clk(clk), .rst(rst), .admit(admit), .admit_slot(admit_slot), .admit_tag(admit_tag),
        .admit_illegal(admit_illegal), .s_valid(output_valid), .s_slot(output_slot), .s_output(output_data),
        .error_valid(error_valid), .error_ready(error_ready), .error_tag(error_tag), .slot(answer_slot),
        .wrong(slot_wrong[answer_slot] || head_wrong[answer_head]), .again(again[answer_slot]),
        .release_valid(release_valid), .illegal(illegal), .m_valid(m_valid), .m_ready(m_ready), .m_tag(m_tag),
        .m_status(m_status), .m_again(m_again), .m_output(m_output)
    );

    core_importance #(
        .LANES(SOFTMAX_LANES), .PROB_BITS(PROBABILITY_BITS), .SIZE(SIZE), .LIST(LIST), .SLOTS(SLOTS), .HEADS(HEADS),
        .HEAD(HEAD), .OUT_WIDTH(OUT_WIDTH)
    ) importance (
        .clk(clk), .rst(rst), .heads(heads), .slot_head(slot_head), .illegal(illegal), .prob_valid(prob_valid),
        .prob_line(prob_line), .prob(prob), .right(release_valid && m_status == 2'd0), .answer_head(answer_head),
        .elements(m_output), .token_write(token_write), .token_place(token_place), .token_score(token_score),
        .token_found(token_found), .head_write(head_write), .head_number(head_number), .head_score(head_score),
        .head_found(head_found)
    );

    core_counters #(.CHANNELS(CHANNELS)) counted (
        .clk(clk), .rst(rst), .busy(busy), .query(release_valid), .again(again[answer_slot]),
        .beats(m_axi_arvalid & m_axi_arready), .dot(dot_busy), .counters(counters)
    );

endmodule

`resetall
