// SPDX-License-Identifier: Apache-2.0
// spatten_core: attention of queries of heads, several in flight: fetch, Q x K, softmax, check, top-k of values, prob x V.
//
// The host writes lists of tokens (ascending; what the cascade left), then descriptors of heads, each followed on the other
// stream by its queries', and takes an answer a query. Token importance is added up in the places of the lists, head
// importance by the head's number. Bits are coded 0 to 5 for 4, 6, 8, 10, 12 and 16 (16 for q alone, of which the lower BITS
// count); 7 for LSBs: keys in one plane. Dimension: 0 to 2 for 32, 64, 128. Status of an answer: 0 right, 1 the head's descriptor
// is illegal (`head_check`), 2 the query's is, 3 the memory answered with an error; then the output means nothing, and
// head importance is left alone. The sum above which LSBs are fetched is a binary32 number.
//
// Counters: cycles with a head in the table; queries; of them, computed again; transactions; cycles of Q x K.

`resetall
`default_nettype none

module spatten_core #(
    // multipliers, at least 32; lanes of the softmax; partial sums of a lane; comparators of the top-k: powers of two
    parameter QK_MULTIPLIERS = 512,
    parameter PV_MULTIPLIERS = 512,
    parameter SOFTMAX_LANES = 8,
    parameter ADDER_CYCLES = 4,
    parameter TOPK_PARALLEL = 16,
    parameter OPERAND_BITS = 12,
    parameter PROBABILITY_BITS = 12,
    // keys of a head, at most; a power of two
    parameter SIZE = 1024,
    parameter SLOTS = 8,
    parameter HEADS = 16,
    // of a fetch unit; a power of two
    parameter FETCH_LANES = 16,
    parameter LANE_DEPTH = 4,
    parameter CHANNELS = 16,
    // log2 of consecutive bytes in a channel, at least 5
    parameter INTERLEAVE = 5,
    parameter KEY_ROWS = 192,
    parameter VALUE_ROWS = 192,
    // cycles behind a unit's last row
    parameter DOT_CYCLES = 18,
    parameter SUM_CYCLES = 44,
    parameter DIVIDE_CYCLES = 36,
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
    parameter ROW_WIDTH = $clog2(KEY_ROWS > VALUE_ROWS ? KEY_ROWS : VALUE_ROWS),
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

    localparam PLACE_WIDTH = SLOT_WIDTH + $clog2(SIZE) + 1;
    localparam LINE_WIDTH  = $clog2(SIZE / SOFTMAX_LANES);
    localparam SCORE_WIDTH = 2 * OPERAND_BITS + 8;
    localparam HEAD  = 3 * ADDRESS_WIDTH + LIST_WIDTH + COUNT_WIDTH + 2 + 4 * 3 + 1 + 32 + 32 + 6;
    localparam QUERY = ADDRESS_WIDTH + 2 * COUNT_WIDTH + 16 + 16;
    localparam JOBS  = 4 << OWNER_WIDTH;
    localparam OWNERS = 1 << OWNER_WIDTH;
    // fields of a head's descriptor, from its lowest bit on
    localparam SCALE = 38, SHARED = 70, VALUE_BITS = 71, LSB_BITS = 74, KEY_BITS = 77, QUERY_BITS = 80, DIMENSION = 83;
    localparam LISTED = 85 + COUNT_WIDTH;
    localparam KEY_ROW = $clog2(KEY_ROWS), KEY_BANK = $clog2(KEY_BANKS);
    localparam VALUE_ROW = $clog2(VALUE_ROWS), VALUE_BANK = $clog2(VALUE_BANKS);

    // heads, queries
    wire                        accept, next_valid, next_take, query_valid, query_take, query_illegal, error_valid, ended;
    wire [HEAD_WIDTH-1:0]       accept_head, next_head, query_head, ended_head;
    wire [HEADS*HEAD-1:0]       heads;
    wire [HEADS*KEY_ROW-1:0]    key_row, lsb_row;
    wire [HEADS*16-1:0]         queries;
    wire [KEY_ROW-1:0]          next_row;
    wire [HEADS-1:0]            begun;
    wire [QUERY-1:0]            query;
    wire [1:0]                  done;
    wire [2*HEAD_WIDTH-1:0]     done_head;
    wire [15:0]                 error_tag;
    wire                        error_ready;
    head_table #(
        .BITS(OPERAND_BITS), .SIZE(SIZE), .LIST(LIST), .HEADS(HEADS), .KEY_BANKS(KEY_BANKS), .KEY_ROWS(KEY_ROWS),
        .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS), .ADDRESS_WIDTH(ADDRESS_WIDTH)
    ) table_of_heads (
        .clk(clk), .rst(rst), .s_head_valid(s_head_valid), .s_head_ready(s_head_ready),
        .s_head({s_head_key_address, s_head_lsb_address, s_head_value_address, s_head_list, s_head_count, s_head_dimension,
                 s_head_query_bits, s_head_key_bits, s_head_lsb_bits, s_head_value_bits, s_head_shared, s_head_scale,
                 s_head_limit, s_head_number}),
        .s_head_queries(s_head_queries), .s_query_valid(s_query_valid), .s_query_ready(s_query_ready),
        .s_query({s_query_address, s_query_count, s_query_keep, s_query_seed, s_query_tag}),
        .accept(accept), .accept_head(accept_head), .heads(heads), .key_row(key_row), .lsb_row(lsb_row), .queries(queries),
        .busy(busy), .next_valid(next_valid), .next_head(next_head), .next_row(next_row), .next_take(next_take),
        .begun(begun), .m_query_valid(query_valid), .m_query_ready(query_take), .m_query(query),
        .m_query_head(query_head), .m_query_illegal(query_illegal), .done(done), .done_head(done_head), .ended(ended),
        .ended_head(ended_head), .m_error_valid(error_valid), .m_error_ready(error_ready), .m_error_tag(error_tag)
    );
    wire [ADDRESS_WIDTH-1:0] query_address;
    wire [COUNT_WIDTH-1:0]   query_count, query_keep;
    wire [15:0]              query_seed, query_tag;
    assign {query_address, query_count, query_keep, query_seed, query_tag} = query;

    // fetch
    wire [1:0]                     free, start;
    wire [2*(ADDRESS_WIDTH-3)-1:0] base;
    wire [11:0]                    bytes;
    wire                           single, first_kept, lsb_valid, lsb_take, own_valid, own_take, own_kept;
    wire [2*COUNT_WIDTH-1:0]       count;
    wire [2*PLACE_WIDTH-1:0]       first, place;
    wire [3:0]                     kind;
    wire [2*OWNER_WIDTH-1:0]       owner;
    wire [2*ROW_WIDTH-1:0]         row;
    wire [SLOT_WIDTH-1:0]          query_slot, own_slot;
    wire [HEAD_WIDTH-1:0]          lsb_head;
    wire [SLOTS*ROW_WIDTH-1:0]     slot_row;
    wire [HEADS*ROW_WIDTH-1:0]     head_row;
    wire [HEADS*ROW_WIDTH-1:0]     lsb_row_wide;
    wire [SLOTS*HEAD_WIDTH-1:0]    slot_head;
    wire [SLOTS*COUNT_WIDTH-1:0]   slot_count, slot_keep;
    wire [SLOTS-1:0]               again;
    wire                           read_valid, release_valid;
    wire [SLOT_WIDTH-1:0]          read_slot, release_slot;
    wire [HEAD_WIDTH-1:0]   own_head  = slot_head[HEAD_WIDTH*own_slot +: HEAD_WIDTH];
    wire [COUNT_WIDTH-1:0]  own_all   = slot_count[COUNT_WIDTH*own_slot +: COUNT_WIDTH];
    wire [COUNT_WIDTH-1:0]  own_some  = slot_keep[COUNT_WIDTH*own_slot +: COUNT_WIDTH];
    wire [HEAD_WIDTH-1:0]   read_head = slot_head[HEAD_WIDTH*read_slot +: HEAD_WIDTH];
    assign own_kept = own_some < own_all;
    fetch_schedule #(
        .SIZE(SIZE), .LIST(LIST), .SLOTS(SLOTS), .HEADS(HEADS), .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS),
        .ADDRESS_WIDTH(ADDRESS_WIDTH), .HEAD(HEAD), .ROW_WIDTH(ROW_WIDTH)
    ) schedule_of_fetch (
        .clk(clk), .rst(rst), .heads(heads), .queries(queries), .accept(accept), .accept_head(accept_head),
        .next_valid(next_valid), .next_head(next_head), .next_row({{ROW_WIDTH-KEY_ROW{1'b0}}, next_row}),
        .next_take(next_take), .begun(begun), .lsb_row(lsb_row_wide), .query_valid(query_valid), .query_take(query_take),
        .query_address(query_address), .query_head(query_head), .query_slot(query_slot), .release_valid(release_valid),
        .release_slot(release_slot), .lsb_valid(lsb_valid), .lsb_take(lsb_take), .lsb_head(lsb_head),
        .own_valid(own_valid), .own_take(own_take), .own_slot(own_slot), .own_head(own_head),
        .own_count(own_kept ? own_some : own_all), .own_kept(own_kept), .free(free), .start(start), .base(base),
        .bytes(bytes), .single(single), .count(count), .first(first), .first_kept(first_kept), .kind(kind), .owner(owner),
        .row(row), .slot_row(slot_row), .head_row(head_row), .read_valid(read_valid),
        .read_shared(heads[HEAD*read_head+SHARED]), .read_slot(read_slot), .read_head(read_head)
    );

    reg  [15:0]                        turn_reg;
    wire [2*TOKEN_WIDTH*(LIST+1)-1:0]  window;
    reg  [2*JOBS-1:0]                  clear;
    wire [2*JOBS-1:0]                  there, wrong;
    wire [2*FETCH_LANES-1:0]           write;
    wire [2*FETCH_LANES*ID_WIDTH-1:0]  write_id;
    wire [2*FETCH_LANES*256-1:0]       write_data;
    fetch #(
        .LANES(FETCH_LANES), .LANE_DEPTH(LANE_DEPTH), .CHANNELS(CHANNELS), .INTERLEAVE(INTERLEAVE),
        .TOKEN_WIDTH(TOKEN_WIDTH), .LIST(LIST), .ADDRESS_WIDTH(ADDRESS_WIDTH), .COUNT_WIDTH(COUNT_WIDTH),
        .PLACE_WIDTH(PLACE_WIDTH), .OWNER_WIDTH(OWNER_WIDTH), .KEY_BANKS(KEY_BANKS), .KEY_ROWS(KEY_ROWS),
        .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS)
    ) fetch_units (
        .clk(clk), .rst(rst), .turn(turn_reg), .start(start), .base(base), .bytes(bytes), .single(single), .count(count),
        .first(first), .kind(kind), .owner(owner), .row(row), .free(free), .place(place), .window(window), .clear(clear),
        .there(there), .wrong(wrong), .write(write), .write_id(write_id), .write_data(write_data),
        .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready), .m_axi_araddr(m_axi_araddr),
        .m_axi_arid(m_axi_arid), .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready), .m_axi_rid(m_axi_rid),
        .m_axi_rdata(m_axi_rdata), .m_axi_rresp(m_axi_rresp)
    );
    assign m_axi_arlen   = {CHANNELS{8'd0}};
    assign m_axi_arsize  = {CHANNELS{3'd5}};
    assign m_axi_arburst = {CHANNELS{2'b01}};

    integer i;
    always @* begin
        clear = {2*JOBS{1'b0}};
        for (i = 0; i < OWNERS; i = i + 1) begin
            if (query_take && i[SLOT_WIDTH-1:0] == query_slot && i < SLOTS) begin
                clear[i]      = 1'b1;
                clear[JOBS+i] = 1'b1;
            end
            if (accept && i[HEAD_WIDTH-1:0] == accept_head && i < HEADS) begin
                clear[OWNERS+i]      = 1'b1;
                clear[2*OWNERS+i]    = 1'b1;
                clear[JOBS+OWNERS+i] = 1'b1;
            end
        end
    end

    // where words go
    wire [FETCH_LANES-1:0] query_write, key_write, value_write;
    wire [FETCH_LANES*SLOT_WIDTH-1:0] query_write_slot;
    wire [FETCH_LANES*3-1:0]          query_write_word;
    wire [FETCH_LANES*KEY_BANK-1:0]   key_write_bank;
    wire [FETCH_LANES*KEY_ROW-1:0]    key_write_row;
    wire [FETCH_LANES*VALUE_BANK-1:0] value_write_bank;
    wire [FETCH_LANES*VALUE_ROW-1:0]  value_write_row;
    genvar g;
    generate
        for (g = 0; g < FETCH_LANES; g = g + 1) begin : g_lane
            wire [ID_WIDTH-1:0] id = write_id[ID_WIDTH*g +: ID_WIDTH];
            wire [ID_WIDTH-1:0] value_id = write_id[ID_WIDTH*(FETCH_LANES+g) +: ID_WIDTH];
            wire is_query = id[ID_WIDTH-2 -: 2] == 2'd0;
            assign query_write[g] = write[g] && is_query;
            assign key_write[g]   = write[g] && !is_query;
            assign value_write[g] = write[FETCH_LANES+g];
            assign query_write_slot[SLOT_WIDTH*g +: SLOT_WIDTH] = id[ROW_WIDTH+BANK_WIDTH +: SLOT_WIDTH];
            assign query_write_word[3*g +: 3] = id[2:0];
            assign key_write_bank[KEY_BANK*g +: KEY_BANK] = id[KEY_BANK-1:0];
            assign key_write_row[KEY_ROW*g +: KEY_ROW] = id[BANK_WIDTH +: KEY_ROW];
            assign value_write_bank[VALUE_BANK*g +: VALUE_BANK] = value_id[VALUE_BANK-1:0];
            assign value_write_row[VALUE_ROW*g +: VALUE_ROW] = value_id[BANK_WIDTH +: VALUE_ROW];
            wire unused_id = &{1'b0, id, value_id};
        end
        for (g = 0; g < HEADS; g = g + 1) begin : g_lsb
            assign lsb_row_wide[ROW_WIDTH*g +: ROW_WIDTH] = {{ROW_WIDTH-KEY_ROW{1'b0}}, lsb_row[KEY_ROW*g +: KEY_ROW]};
        end
    endgenerate

    wire [SLOT_WIDTH-1:0]      dot_query_slot;
    wire [2047:0]              dot_query;
    query_buffer #(.LANES(FETCH_LANES), .SLOTS(SLOTS)) query_words (
        .clk(clk), .write(query_write), .write_slot(query_write_slot), .write_word(query_write_word),
        .write_data(write_data[256*FETCH_LANES-1:0]), .slot(dot_query_slot), .data(dot_query)
    );
    wire [KEY_ROW-1:0]         dot_key_row;
    wire [KEY_BANK-1:0]        dot_key_first;
    wire [256*KEY_BANKS-1:0]   dot_keys;
    vector_sram #(.LANES(FETCH_LANES), .BANKS(KEY_BANKS), .ROWS(KEY_ROWS)) key_sram (
        .clk(clk), .write(key_write), .write_bank(key_write_bank), .write_row(key_write_row),
        .write_data(write_data[256*FETCH_LANES-1:0]), .row(dot_key_row), .first(dot_key_first), .data(dot_keys)
    );
    wire [VALUE_ROW-1:0]       output_value_row;
    wire [VALUE_BANK-1:0]      output_value_first;
    wire [256*VALUE_BANKS-1:0] output_values;
    vector_sram #(.LANES(FETCH_LANES), .BANKS(VALUE_BANKS), .ROWS(VALUE_ROWS)) value_sram (
        .clk(clk), .write(value_write), .write_bank(value_write_bank), .write_row(value_write_row),
        .write_data(write_data[512*FETCH_LANES-1:256*FETCH_LANES]), .row(output_value_row), .first(output_value_first),
        .data(output_values)
    );

    // the queries' way
    wire dot_free, dot_start, dot_second, dot_last, exp_free, exp_start, exp_last, divide_free, divide_start, divide_last;
    wire select_free, select_start, chosen, value_free, value_start, value_last;
    wire [SLOT_WIDTH-1:0] dot_slot, dot_last_slot, exp_slot, exp_last_slot, check_slot, divide_slot, divide_last_slot;
    wire [SLOT_WIDTH-1:0] select_slot, chosen_slot, value_slot, value_last_slot;
    wire [31:0]           check_sum;
    query_schedule #(
        .SLOTS(SLOTS), .HEADS(HEADS), .HEAD(HEAD), .COUNT_WIDTH(COUNT_WIDTH), .DOT(DOT_CYCLES), .TOTAL(SUM_CYCLES),
        .DIVIDE(DIVIDE_CYCLES)
    ) schedule_of_queries (
        .clk(clk), .rst(rst), .heads(heads), .accept(accept), .accept_head(accept_head), .admit(query_take),
        .admit_slot(query_slot), .admit_head(query_head), .admit_count(query_count), .admit_keep(query_keep),
        .query_there(there[SLOTS-1:0]), .key_there(there[OWNERS +: HEADS]), .lsb_there(there[2*OWNERS +: HEADS]),
        .own_there(there[JOBS +: SLOTS]), .shared_there(there[JOBS+OWNERS +: HEADS]),
        .dot_free(dot_free), .dot_start(dot_start), .dot_slot(dot_slot), .dot_second(dot_second), .dot_last(dot_last),
        .dot_last_slot(dot_last_slot), .exp_free(exp_free), .exp_start(exp_start), .exp_slot(exp_slot),
        .exp_last(exp_last), .exp_last_slot(exp_last_slot), .check_slot(check_slot), .check_sum(check_sum),
        .divide_free(divide_free), .divide_start(divide_start), .divide_slot(divide_slot), .divide_last(divide_last),
        .divide_last_slot(divide_last_slot), .select_free(select_free), .select_start(select_start),
        .select_slot(select_slot), .chosen(chosen), .chosen_slot(chosen_slot), .value_free(value_free),
        .value_start(value_start), .value_slot(value_slot), .value_last(value_last), .value_last_slot(value_last_slot),
        .lsb_valid(lsb_valid), .lsb_take(lsb_take), .lsb_head(lsb_head), .own_valid(own_valid), .own_take(own_take),
        .own_slot(own_slot), .done(done), .done_head(done_head), .read_valid(read_valid), .read_slot(read_slot),
        .head(slot_head), .count(slot_count), .keep(slot_keep), .again(again)
    );

    // further of each slot, which no unit's turn hangs on
    reg [15:0]      seed_reg [0:SLOTS-1];
    reg [15:0]      tag_reg [0:SLOTS-1];
    reg [1:0]       offset_reg [0:SLOTS-1];   // of q in its first word, 8 bytes
    reg [SLOTS-1:0] illegal_reg;

    // Q x K
    wire [HEAD_WIDTH-1:0]        dot_head = slot_head[HEAD_WIDTH*dot_slot +: HEAD_WIDTH];
    wire [HEAD-1:0]              dot_of   = heads[HEAD*dot_head +: HEAD];
    wire [2:0]                   dot_lsb  = dot_of[LSB_BITS +: 3];
    wire [LIST_WIDTH-1:0]        dot_list;
    wire [TOKEN_WIDTH*LIST-1:0]  dot_tokens;
    wire [SLOT_WIDTH+LINE_WIDTH-1:0] integer_line, integer_at, score_line, score_at, e_line, e_at, prob_line;
    wire [SCORE_WIDTH*SOFTMAX_LANES-1:0] integers, integers_before;
    wire [SOFTMAX_LANES-1:0]     integer_valid, score_valid;
    wire                         integer_first, integer_last;
    query_key #(
        .MULTIPLIERS(QK_MULTIPLIERS), .LANES(SOFTMAX_LANES), .BITS(OPERAND_BITS), .SIZE(SIZE), .SLOTS(SLOTS), .LIST(LIST),
        .TOKEN_WIDTH(TOKEN_WIDTH), .BANKS(KEY_BANKS), .ROWS(KEY_ROWS)
    ) dot (
        .clk(clk), .rst(rst), .start(dot_start), .s_slot(dot_slot), .s_second(dot_second),
        .s_dimension(dot_of[DIMENSION +: 2]), .s_bits(dot_second ? dot_lsb : dot_of[KEY_BITS +: 3]),
        .s_query_bits(dot_of[QUERY_BITS +: 3]), .s_query_offset(offset_reg[dot_slot]),
        .s_shift(dot_lsb == 3'd7 ? 4'd0 : {dot_lsb, 1'b0} + 4'd4), .s_count(slot_count[COUNT_WIDTH*dot_slot +: COUNT_WIDTH]),
        .s_list(dot_of[LISTED +: LIST_WIDTH]),
        .s_row(dot_second ? lsb_row[KEY_ROW*dot_head +: KEY_ROW] : key_row[KEY_ROW*dot_head +: KEY_ROW]),
        .free(dot_free), .last(dot_last), .slot(dot_last_slot), .list_row(dot_list), .list_tokens(dot_tokens),
        .query_slot(dot_query_slot), .query_data(dot_query), .key_row(dot_key_row), .key_first(dot_key_first),
        .key_data(dot_keys), .before_line(integer_at), .before_scores(integers_before), .m_valid(integer_valid),
        .m_first(integer_first), .m_last(integer_last), .m_line(integer_line), .m_scores(integers)
    );
    wire [HEAD_WIDTH-1:0] scale_head =
        slot_head[HEAD_WIDTH*integer_line[SLOT_WIDTH+LINE_WIDTH-1 -: SLOT_WIDTH] +: HEAD_WIDTH];
    wire [32*SOFTMAX_LANES-1:0] scores, exp_scores, e, divide_e;
    wire                        largest_valid, e_valid, sum_valid;
    wire [SLOT_WIDTH-1:0]       largest_slot, sum_slot;
    wire [31:0]                 largest, exp_largest, sum, divide_sum;
    score_scale #(.LANES(SOFTMAX_LANES), .SCORE_WIDTH(SCORE_WIDTH), .SLOT_WIDTH(SLOT_WIDTH), .LINE_WIDTH(LINE_WIDTH)) scaled (
        .clk(clk), .rst(rst), .s_valid(integer_valid), .s_first(integer_first), .s_last(integer_last),
        .s_line(integer_line), .s_scores(integers), .scale(heads[HEAD*scale_head+SCALE +: 32]), .m_valid(score_valid),
        .m_line(score_line), .m_scores(scores), .largest_valid(largest_valid), .largest_slot(largest_slot),
        .largest(largest)
    );

    // softmax
    exp_sum #(.LANES(SOFTMAX_LANES), .ADDER(ADDER_CYCLES), .SIZE(SIZE), .SLOT_WIDTH(SLOT_WIDTH)) exponential (
        .clk(clk), .rst(rst), .start(exp_start), .s_slot(exp_slot),
        .s_count(slot_count[COUNT_WIDTH*exp_slot +: COUNT_WIDTH]), .free(exp_free), .last(exp_last), .slot(exp_last_slot),
        .line(score_at), .x(exp_scores), .largest(exp_largest), .m_valid(e_valid), .m_line(e_line), .m_e(e),
        .sum_valid(sum_valid), .sum_slot(sum_slot), .sum(sum)
    );
    wire                                   prob_valid;
    wire [PROBABILITY_BITS*SOFTMAX_LANES-1:0] prob;
    normalize #(.LANES(SOFTMAX_LANES), .PROB_BITS(PROBABILITY_BITS), .SIZE(SIZE), .SLOT_WIDTH(SLOT_WIDTH)) probability (
        .clk(clk), .rst(rst), .start(divide_start), .s_slot(divide_slot),
        .s_count(slot_count[COUNT_WIDTH*divide_slot +: COUNT_WIDTH]), .free(divide_free), .last(divide_last),
        .slot(divide_last_slot), .line(e_at), .e(divide_e), .sum(divide_sum), .m_valid(prob_valid), .m_line(prob_line),
        .m_probabilities(prob)
    );
    wire [SLOT_WIDTH+LIST_WIDTH-2:0]  select_line, output_line, kept_line, flags_line;
    wire [PROBABILITY_BITS*LIST-1:0]  select_prob, output_prob, kept_prob, output_kept_prob;
    score_buffers #(
        .LANES(SOFTMAX_LANES), .SCORE_WIDTH(SCORE_WIDTH), .PROB_BITS(PROBABILITY_BITS), .LIST(LIST),
        .SLOT_WIDTH(SLOT_WIDTH), .LINE_WIDTH(LINE_WIDTH), .ROW_WIDTH(LIST_WIDTH - 1)
    ) buffers (
        .clk(clk), .integer_write(integer_valid), .integer_line(integer_line), .integer_data(integers),
        .integer_at(integer_at), .integers(integers_before), .score_write(score_valid), .score_line(score_line),
        .score_data(scores), .largest_write(largest_valid), .largest_slot(largest_slot), .largest_data(largest),
        .score_at(score_at), .scores(exp_scores), .largest(exp_largest), .e_write(e_valid), .e_line(e_line), .e_data(e),
        .sum_write(sum_valid), .sum_slot(sum_slot), .sum_data(sum), .e_at(e_at), .e(divide_e), .sum(divide_sum),
        .check_slot(check_slot), .check_sum(check_sum), .prob_write(prob_valid), .prob_line(prob_line), .prob_data(prob),
        .select_at(select_line), .select_probabilities(select_prob), .value_at(output_line),
        .value_probabilities(output_prob)
    );

    // which values
    wire [HEAD_WIDTH-1:0]       select_head = slot_head[HEAD_WIDTH*select_slot +: HEAD_WIDTH];
    wire [LIST_WIDTH-1:0]       select_list, output_list;
    wire [TOKEN_WIDTH*LIST-1:0] select_tokens, output_tokens, kept_tokens, output_kept_tokens;
    wire [LIST-1:0]             flags_write, flags, kept_write, output_flags;
    value_select #(
        .COMPARATORS(TOPK_PARALLEL), .PROB_BITS(PROBABILITY_BITS), .SIZE(SIZE), .SLOT_WIDTH(SLOT_WIDTH), .LIST(LIST),
        .TOKEN_WIDTH(TOKEN_WIDTH)
    ) values_kept (
        .clk(clk), .rst(rst), .start(select_start), .s_slot(select_slot),
        .s_count(slot_count[COUNT_WIDTH*select_slot +: COUNT_WIDTH]),
        .s_keep(slot_keep[COUNT_WIDTH*select_slot +: COUNT_WIDTH]), .s_seed(seed_reg[select_slot]),
        .s_list(heads[HEAD*select_head+LISTED +: LIST_WIDTH]), .free(select_free), .line(select_line),
        .probabilities(select_prob), .list_row(select_list), .tokens(select_tokens), .flags_write(flags_write),
        .flags_line(flags_line), .flags(flags), .kept_write(kept_write), .kept_line(kept_line), .kept_tokens(kept_tokens),
        .kept_probabilities(kept_prob), .chosen(chosen), .slot(chosen_slot)
    );
    reg value_kept_reg;
    token_store #(
        .TOKEN_WIDTH(TOKEN_WIDTH), .PROB_BITS(PROBABILITY_BITS), .LIST(LIST), .LIST_WIDTH(LIST_WIDTH),
        .SLOT_WIDTH(SLOT_WIDTH)
    ) tokens (
        .clk(clk), .host_write(list_write), .host_place(list_place), .host_token(list_token), .kept_write(kept_write),
        .kept_line(kept_line), .kept_tokens(kept_tokens), .kept_probabilities(kept_prob), .flags_write(flags_write),
        .flags_line(flags_line), .flags(flags), .key_place(place[PLACE_WIDTH-1:0]),
        .key_window(window[TOKEN_WIDTH*(LIST+1)-1:0]), .value_place(place[2*PLACE_WIDTH-1:PLACE_WIDTH]),
        .value_kept(value_kept_reg), .value_window(window[2*TOKEN_WIDTH*(LIST+1)-1:TOKEN_WIDTH*(LIST+1)]),
        .dot_row(dot_list), .dot_tokens(dot_tokens), .select_row(select_list), .select_tokens(select_tokens),
        .output_row(output_list), .output_tokens(output_tokens), .output_line(output_line),
        .output_kept_tokens(output_kept_tokens), .output_kept_probabilities(output_kept_prob), .output_flags(output_flags)
    );

    // prob x V
    wire [HEAD_WIDTH-1:0]     value_head   = slot_head[HEAD_WIDTH*value_slot +: HEAD_WIDTH];
    wire [HEAD-1:0]           value_of     = heads[HEAD*value_head +: HEAD];
    wire                      value_shared = value_of[SHARED];
    wire [COUNT_WIDTH-1:0]    value_all    = slot_count[COUNT_WIDTH*value_slot +: COUNT_WIDTH];
    wire [COUNT_WIDTH-1:0]    value_keep   = slot_keep[COUNT_WIDTH*value_slot +: COUNT_WIDTH];
    wire                      value_some   = value_keep < value_all;
    wire [ROW_WIDTH-1:0]      value_row    = value_shared ? head_row[ROW_WIDTH*value_head +: ROW_WIDTH]
                                           : slot_row[ROW_WIDTH*value_slot +: ROW_WIDTH];
    wire                      output_valid;
    wire [SLOT_WIDTH-1:0]     output_slot;
    wire [128*OUT_WIDTH-1:0]  output_data;
    prob_value #(
        .MULTIPLIERS(PV_MULTIPLIERS), .BITS(OPERAND_BITS), .PROB_BITS(PROBABILITY_BITS), .SIZE(SIZE), .SLOTS(SLOTS),
        .LIST(LIST), .TOKEN_WIDTH(TOKEN_WIDTH), .BANKS(VALUE_BANKS), .ROWS(VALUE_ROWS)
    ) weigh (
        .clk(clk), .rst(rst), .start(value_start), .s_slot(value_slot), .s_kept(!value_shared && value_some),
        .s_masked(value_shared && value_some), .s_dimension(value_of[DIMENSION +: 2]), .s_bits(value_of[VALUE_BITS +: 3]),
        .s_count(!value_shared && value_some ? value_keep : value_all), .s_list(value_of[LISTED +: LIST_WIDTH]),
        .s_row(value_row[VALUE_ROW-1:0]), .free(value_free), .last(value_last), .slot(value_last_slot),
        .list_row(output_list), .list_tokens(output_tokens), .slot_row(output_line), .kept_tokens(output_kept_tokens),
        .kept_probabilities(output_kept_prob), .probabilities(output_prob), .keep(output_flags),
        .value_row(output_value_row), .value_first(output_value_first), .value_data(output_values),
        .m_valid(output_valid), .m_slot(output_slot), .m_output(output_data)
    );

    // answers: those to queries of illegal heads when there is no other; what is offered stays
    wire                  answer_valid, unused_answer;
    wire [SLOT_WIDTH-1:0] answer_slot;
    reg                   error_stays_reg;
    fifo #(.WIDTH(SLOT_WIDTH + 128 * OUT_WIDTH), .DEPTH(SLOTS)) answers (
        .clk(clk), .rst(rst), .s_valid(output_valid), .s_ready(unused_answer), .s_data({output_slot, output_data}),
        .m_valid(answer_valid), .m_ready(release_valid), .m_data({answer_slot, m_output})
    );
    wire error = error_valid && (error_stays_reg || !answer_valid);
    wire [HEAD_WIDTH-1:0] answer_head = slot_head[HEAD_WIDTH*answer_slot +: HEAD_WIDTH];
    wire [HEAD-1:0]       answer_of   = heads[HEAD*answer_head +: HEAD];
    wire [SLOTS-1:0] slot_wrong = wrong[SLOTS-1:0] | wrong[JOBS +: SLOTS];
    wire [HEADS-1:0] head_wrong = wrong[OWNERS +: HEADS] | wrong[2*OWNERS +: HEADS] | wrong[JOBS+OWNERS +: HEADS];
    wire failed = slot_wrong[answer_slot] || head_wrong[answer_head];
    assign m_valid       = answer_valid || error_valid;
    assign m_tag         = error ? error_tag : tag_reg[answer_slot];
    assign m_status      = error ? 2'd1 : illegal_reg[answer_slot] ? 2'd2 : failed ? 2'd3 : 2'd0;
    assign m_again       = !error && again[answer_slot];
    assign error_ready   = error && m_ready;
    assign release_valid = answer_valid && !error && m_ready;
    assign release_slot  = answer_slot;
    assign ended         = release_valid;
    assign ended_head    = answer_head;

    // importance
    wire [SLOT_WIDTH-1:0] prob_slot = prob_line[SLOT_WIDTH+LINE_WIDTH-1 -: SLOT_WIDTH];
    wire [HEAD_WIDTH-1:0] prob_head = slot_head[HEAD_WIDTH*prob_slot +: HEAD_WIDTH];
    wire [LINE_WIDTH:0]   prob_row  = {heads[HEAD*prob_head+LISTED +: LIST_WIDTH], {LINE_WIDTH+1-LIST_WIDTH{1'b0}}}
        + {1'b0, prob_line[LINE_WIDTH-1:0]};
    token_importance #(.LANES(SOFTMAX_LANES), .PROB_BITS(PROBABILITY_BITS), .ROW_WIDTH(LINE_WIDTH + 1)) of_tokens (
        .clk(clk), .rst(rst), .valid(prob_valid), .row(prob_row), .probabilities(prob), .host_write(token_write),
        .host_place(token_place), .host_score(token_score), .score(token_found)
    );
    head_importance #(.WIDTH(OUT_WIDTH), .HEADS(64)) of_heads (
        .clk(clk), .rst(rst), .valid(release_valid && m_status == 2'd0), .head(answer_of[5:0]), .elements(m_output),
        .host_write(head_write), .host_head(head_number), .host_sum(head_score), .sum(head_found)
    );

    reg [47:0] cycles_reg, queries_reg, again_reg, beats_reg, dot_reg, beats;
    integer n;
    always @* begin
        beats = beats_reg;
        for (n = 0; n < CHANNELS; n = n + 1) begin
            beats = beats + {47'd0, m_axi_arvalid[n] && m_axi_arready[n]};
        end
    end
    assign counters = {dot_reg, beats_reg, again_reg, queries_reg, cycles_reg};

    always @(posedge clk) begin
        turn_reg        <= busy ? turn_reg + 1'b1 : 16'd0;
        error_stays_reg <= error && !m_ready && !rst;
        if (start[1]) begin
            value_kept_reg <= first_kept;
        end
        if (query_take) begin
            seed_reg[query_slot]    <= query_seed;
            tag_reg[query_slot]     <= query_tag;
            offset_reg[query_slot]  <= query_address[4:3];
            illegal_reg[query_slot] <= query_illegal;
        end
        cycles_reg  <= cycles_reg + {47'd0, busy};
        queries_reg <= queries_reg + {47'd0, release_valid};
        again_reg   <= again_reg + {47'd0, release_valid && again[answer_slot]};
        beats_reg   <= beats;
        dot_reg     <= dot_reg + {47'd0, dot_start || !dot_free};
        if (rst) begin
            turn_reg    <= 16'd0;
            cycles_reg  <= 48'd0;
            queries_reg <= 48'd0;
            again_reg   <= 48'd0;
            beats_reg   <= 48'd0;
            dot_reg     <= 48'd0;
        end
    end
    wire unused_bits = &{1'b0, m_axi_rlast, there, wrong, dot_of, value_of, answer_of, value_row};

endmodule

`resetall
