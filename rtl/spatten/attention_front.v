// SPDX-License-Identifier: Apache-2.0
// The front of spatten_core: the table of heads, who is fetched when, the fetch units, and the SRAMs that they fill.

`resetall
`default_nettype none

module attention_front #(
    parameter OPERAND_BITS = 12,
    parameter SIZE = 1024,
    parameter SLOTS = 64,
    parameter HEADS = 16,
    parameter FETCH_LANES = 16,
    parameter LANE_DEPTH = 4,
    parameter ANSWER_DEPTH = 4,
    parameter CROSSBAR_WINDOW = 1,
    parameter CHANNELS = 16,
    parameter INTERLEAVE = 5,
    parameter LIST = 32,
    parameter KEY_BANKS = 32,
    parameter KEY_ROWS = 160,
    parameter LSB_ROWS = 32,
    parameter VALUE_BANKS = 32,
    parameter VALUE_ROWS = 192,
    parameter TOKEN_WIDTH = 20,
    parameter ADDRESS_WIDTH = 40,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST),
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter HEAD_WIDTH = HEADS > 1 ? $clog2(HEADS) : 1,
    parameter KEY_ROW = $clog2(KEY_ROWS + LSB_ROWS),
    parameter KEY_BANK = $clog2(KEY_BANKS),
    parameter VALUE_ROW = $clog2(VALUE_ROWS),
    parameter VALUE_BANK = $clog2(VALUE_BANKS),
    parameter ROW_WIDTH = KEY_ROW > VALUE_ROW ? KEY_ROW : VALUE_ROW,
    parameter OWNER_WIDTH = SLOT_WIDTH > HEAD_WIDTH ? SLOT_WIDTH : HEAD_WIDTH,
    parameter BANK_WIDTH = KEY_BANK > VALUE_BANK ? KEY_BANK : VALUE_BANK,
    parameter ID_WIDTH = 3 + OWNER_WIDTH + ROW_WIDTH + BANK_WIDTH,
    parameter PLACE_WIDTH = SLOT_WIDTH + $clog2(SIZE) + 1,
    parameter HEAD = 3 * ADDRESS_WIDTH + LIST_WIDTH + COUNT_WIDTH + 2 + 4 * 3 + 1 + 32 + 32 + 6,
    parameter QUERY = ADDRESS_WIDTH + 2 * COUNT_WIDTH + 16 + 16
) (
    input  wire                              clk,
    input  wire                              rst,

    // descriptors
    input  wire                              s_head_valid,
    output wire                              s_head_ready,
    input  wire [HEAD-1:0]                   s_head,
    input  wire [15:0]                       s_head_queries,
    input  wire                              s_query_valid,
    output wire                              s_query_ready,
    input  wire [QUERY-1:0]                  s_query,

    // the table
    output wire                              busy,
    output wire                              accept,
    output wire [HEAD_WIDTH-1:0]             accept_head,
    output wire [HEADS*HEAD-1:0]             heads,
    output wire [HEADS*KEY_ROW-1:0]          key_row,
    output wire [HEADS*KEY_ROW-1:0]          lsb_row,
    output wire [SLOTS*ROW_WIDTH-1:0]        slot_row,
    output wire [HEADS*ROW_WIDTH-1:0]        head_row,

    // a query gets a slot; its answer leaves; a slot is given back; queries of illegal heads
    output wire                              admit,
    output wire [SLOT_WIDTH-1:0]             admit_slot,
    output wire [HEAD_WIDTH-1:0]             admit_head,
    output wire [QUERY-1:0]                  admit_query,
    output wire                              admit_illegal,
    input  wire                              release_valid,
    input  wire [SLOT_WIDTH-1:0]             release_slot,
    input  wire [HEAD_WIDTH-1:0]             release_head,
    output wire                              give_valid,
    output wire [SLOT_WIDTH-1:0]             give_slot,
    output wire                              error_valid,
    input  wire                              error_ready,
    output wire [15:0]                       error_tag,

    // what the queries want, what is there, what they are done with
    input  wire                              lsb_valid,
    output wire                              lsb_take,
    input  wire [HEAD_WIDTH-1:0]             lsb_head,
    input  wire                              own_valid,
    output wire                              own_take,
    input  wire [SLOT_WIDTH-1:0]             own_slot,
    input  wire [HEAD_WIDTH-1:0]             own_head,
    input  wire [COUNT_WIDTH-1:0]            own_count,
    input  wire                              own_kept,
    output wire [SLOTS-1:0]                  query_there,
    output wire [HEADS-1:0]                  key_there,
    output wire [HEADS-1:0]                  lsb_there,
    output wire [SLOTS-1:0]                  own_there,
    output wire [HEADS-1:0]                  shared_there,
    output wire [SLOTS-1:0]                  slot_wrong,
    output wire [HEADS-1:0]                  head_wrong,
    input  wire                              key_done,
    input  wire [HEAD_WIDTH-1:0]             key_done_head,
    input  wire [1:0]                        lsb_done,
    input  wire [2*HEAD_WIDTH-1:0]           lsb_done_head,
    input  wire                              read_valid,
    input  wire                              read_shared,
    input  wire [SLOT_WIDTH-1:0]             read_slot,
    input  wire [HEAD_WIDTH-1:0]             read_head,

    // lists of tokens: keys lower, values upper
    output wire [2*PLACE_WIDTH-1:0]          place,
    output reg                               place_kept,
    input  wire [2*TOKEN_WIDTH*(LIST+1)-1:0] window,

    // SRAMs
    input  wire [SLOT_WIDTH-1:0]             query_slot,
    output wire [2047:0]                     query_data,
    input  wire [KEY_ROW-1:0]                dot_row,
    input  wire [KEY_BANK-1:0]               dot_first,
    output wire [256*KEY_BANKS-1:0]          keys,
    input  wire [VALUE_ROW-1:0]              value_row,
    input  wire [VALUE_BANK-1:0]             value_first,
    output wire [256*VALUE_BANKS-1:0]        values,

    output wire [CHANNELS-1:0]               m_axi_arvalid,
    input  wire [CHANNELS-1:0]               m_axi_arready,
    output wire [CHANNELS*ADDRESS_WIDTH-1:0] m_axi_araddr,
    output wire [CHANNELS*ID_WIDTH-1:0]      m_axi_arid,
    input  wire [CHANNELS-1:0]               m_axi_rvalid,
    output wire [CHANNELS-1:0]               m_axi_rready,
    input  wire [CHANNELS*ID_WIDTH-1:0]      m_axi_rid,
    input  wire [CHANNELS*256-1:0]           m_axi_rdata,
    input  wire [CHANNELS*2-1:0]             m_axi_rresp
);

    localparam JOBS   = 4 << OWNER_WIDTH;
    localparam OWNERS = 1 << OWNER_WIDTH;

    // heads, queries
    wire                   next_valid, next_take, query_valid;
    wire [HEAD_WIDTH-1:0]  next_head;
    wire [KEY_ROW-1:0]     next_row, accept_lsb_rows, next_lsb_row;
    wire                   slot_free, lsb_fits;
    wire [HEADS*16-1:0]    queries;
    wire [HEADS-1:0]       begun;
    head_table #(
        .BITS(OPERAND_BITS), .SIZE(SIZE), .LIST(LIST), .HEADS(HEADS), .KEY_BANKS(KEY_BANKS), .KEY_ROWS(KEY_ROWS),
        .LSB_ROWS(LSB_ROWS), .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS), .ADDRESS_WIDTH(ADDRESS_WIDTH)
    ) table_of_heads (
        .clk(clk), .rst(rst), .s_head_valid(s_head_valid), .s_head_ready(s_head_ready), .s_head(s_head),
        .s_head_queries(s_head_queries), .s_query_valid(s_query_valid), .s_query_ready(s_query_ready), .s_query(s_query),
        .accept(accept), .accept_head(accept_head), .heads(heads), .key_row(key_row),
        .accept_lsb_rows(accept_lsb_rows), .queries(queries), .busy(busy), .next_valid(next_valid), .next_head(next_head), .next_row(next_row), .next_take(next_take),
        .begun(begun), .m_query_valid(query_valid), .m_query_ready(admit), .m_query(admit_query),
        .m_query_head(admit_head), .m_query_illegal(admit_illegal), .done(key_done), .done_head(key_done_head),
        .ended(release_valid), .ended_head(release_head), .m_error_valid(error_valid), .m_error_ready(error_ready),
        .m_error_tag(error_tag)
    );

    lsb_ring #(.HEADS(HEADS), .FIRST(KEY_ROWS), .ROWS(LSB_ROWS)) rows_of_lsbs (
        .clk(clk), .rst(rst), .accept(accept), .accept_head(accept_head), .accept_queries(s_head_queries),
        .accept_rows(accept_lsb_rows), .head(lsb_head), .fits(lsb_fits), .row(next_lsb_row), .take(lsb_take),
        .done(lsb_done), .done_head(lsb_done_head), .lsb_row(lsb_row)
    );
    slot_ring #(.SLOTS(SLOTS)) slots (
        .clk(clk), .rst(rst), .admit(admit), .free(slot_free), .slot(admit_slot), .release_valid(release_valid),
        .release_slot(release_slot), .give_valid(give_valid), .give_slot(give_slot)
    );

    // who is fetched
    wire [1:0]                     free, start;
    wire [2*(ADDRESS_WIDTH-3)-1:0] base;
    wire [11:0]                    bytes;
    wire                           single, first_kept;
    wire [2*COUNT_WIDTH-1:0]       count;
    wire [2*PLACE_WIDTH-1:0]       first;
    wire [3:0]                     kind;
    wire [2*OWNER_WIDTH-1:0]       owner;
    wire [2*ROW_WIDTH-1:0]         row;
    fetch_schedule #(
        .SIZE(SIZE), .LIST(LIST), .SLOTS(SLOTS), .HEADS(HEADS), .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS),
        .ADDRESS_WIDTH(ADDRESS_WIDTH), .HEAD(HEAD), .ROW_WIDTH(ROW_WIDTH)
    ) schedule (
        .clk(clk), .rst(rst), .heads(heads), .queries(queries), .accept(accept), .accept_head(accept_head),
        .next_valid(next_valid), .next_head(next_head), .next_row({{ROW_WIDTH-KEY_ROW{1'b0}}, next_row}),
        .next_take(next_take), .begun(begun), .query_valid(query_valid), .query_take(admit),
        .query_address(admit_query[QUERY-1 -: ADDRESS_WIDTH]), .query_head(admit_head), .slot_free(slot_free),
        .slot(admit_slot), .lsb_valid(lsb_valid), .lsb_fits(lsb_fits),
        .lsb_row({{ROW_WIDTH-KEY_ROW{1'b0}}, next_lsb_row}), .lsb_take(lsb_take), .lsb_head(lsb_head), .own_valid(own_valid), .own_take(own_take), .own_slot(own_slot), .own_head(own_head),
        .own_count(own_count), .own_kept(own_kept), .free(free), .start(start), .base(base), .bytes(bytes),
        .single(single), .count(count), .first(first), .first_kept(first_kept), .kind(kind), .owner(owner), .row(row),
        .slot_row(slot_row), .head_row(head_row), .read_valid(read_valid), .read_shared(read_shared),
        .read_slot(read_slot), .read_head(read_head)
    );

    // fetch; a slot's jobs are forgotten when a query gets it, a head's when it comes
    reg  [15:0]                       turn_reg;
    reg  [2*JOBS-1:0]                 clear;
    wire [2*JOBS-1:0]                 there, wrong;
    wire [2*FETCH_LANES-1:0]          write;
    wire [2*FETCH_LANES*ID_WIDTH-1:0] write_id;
    wire [2*FETCH_LANES*256-1:0]      write_data;
    fetch #(
        .LANES(FETCH_LANES), .LANE_DEPTH(LANE_DEPTH), .ANSWER_DEPTH(ANSWER_DEPTH), .CROSSBAR_WINDOW(CROSSBAR_WINDOW),
        .CHANNELS(CHANNELS), .INTERLEAVE(INTERLEAVE), .TOKEN_WIDTH(TOKEN_WIDTH), .LIST(LIST),
        .ADDRESS_WIDTH(ADDRESS_WIDTH), .COUNT_WIDTH(COUNT_WIDTH), .PLACE_WIDTH(PLACE_WIDTH), .SLOTS(SLOTS), .HEADS(HEADS),
        .OWNER_WIDTH(OWNER_WIDTH), .KEY_BANKS(KEY_BANKS), .KEY_ROWS(KEY_ROWS), .LSB_ROWS(LSB_ROWS), .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS)
    ) units (
        .clk(clk), .rst(rst), .turn(turn_reg), .start(start), .base(base), .bytes(bytes), .single(single), .count(count),
        .first(first), .kind(kind), .owner(owner), .row(row), .free(free), .place(place), .window(window), .clear(clear),
        .there(there), .wrong(wrong), .write(write), .write_id(write_id), .write_data(write_data),
        .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready), .m_axi_araddr(m_axi_araddr),
        .m_axi_arid(m_axi_arid), .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready), .m_axi_rid(m_axi_rid),
        .m_axi_rdata(m_axi_rdata), .m_axi_rresp(m_axi_rresp)
    );

    integer i;
    always @* begin
        clear = {2*JOBS{1'b0}};
        for (i = 0; i < OWNERS; i = i + 1) begin
            if (admit && i[SLOT_WIDTH-1:0] == admit_slot && i < SLOTS) begin
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
    always @(posedge clk) begin
        turn_reg <= busy && !rst ? turn_reg + 1'b1 : 16'd0;
        if (start[1]) begin
            place_kept <= first_kept;
        end
    end

    assign query_there  = there[SLOTS-1:0];
    assign key_there    = there[OWNERS +: HEADS];
    assign lsb_there    = there[2*OWNERS +: HEADS];
    assign own_there    = there[JOBS +: SLOTS];
    assign shared_there = there[JOBS+OWNERS +: HEADS];
    assign slot_wrong   = wrong[SLOTS-1:0] | wrong[JOBS +: SLOTS];
    assign head_wrong   = wrong[OWNERS +: HEADS] | wrong[2*OWNERS +: HEADS] | wrong[JOBS+OWNERS +: HEADS];
    wire unused_jobs    = &{1'b0, there, wrong};

    vector_store #(
        .LANES(FETCH_LANES), .SLOTS(SLOTS), .KEY_BANKS(KEY_BANKS), .KEY_ROWS(KEY_ROWS), .LSB_ROWS(LSB_ROWS),
        .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS), .ID_WIDTH(ID_WIDTH), .ROW_WIDTH(ROW_WIDTH), .BANK_WIDTH(BANK_WIDTH)
    ) vectors (
        .clk(clk), .write(write), .write_id(write_id), .write_data(write_data), .query_slot(query_slot),
        .query(query_data), .key_row(dot_row), .key_first(dot_first), .keys(keys), .value_row(value_row),
        .value_first(value_first), .values(values)
    );

endmodule

`resetall
