// SPDX-License-Identifier: Apache-2.0
// The heads that are worked on, in their order: descriptors, places of their keys in the SRAM's ring, and who still needs
// them; and the queries that wait for a slot, each with its head.
//
// A head has its place from the cycle after it came until all its queries have ended and all heads before it are gone. Its
// keys' rows are given back when every query has read them once, a head a cycle. Queries come in the order of their heads.
// Those of an illegal head are answered at once, as errors; an illegal query goes its way with one key, and is marked.

`resetall
`default_nettype none
`include "assertions.vh"
`include "head.vh"

module head_table #(
    parameter BITS = 12,
    parameter SIZE = 1024,
    parameter LIST = 32,
    parameter HEADS = 16,
    parameter KEY_BANKS = 32,
    parameter KEY_ROWS = 160,
    parameter LSB_ROWS = 32,
    parameter VALUE_BANKS = 32,
    parameter VALUE_ROWS = 192,
    parameter ADDRESS_WIDTH = 40,
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST),
    parameter HEAD_WIDTH = HEADS > 1 ? $clog2(HEADS) : 1,
    parameter ROW_WIDTH = $clog2(KEY_ROWS + LSB_ROWS),
    // a head's descriptor: addresses of keys, LSBs, values; list, count, dimension, bits of q, k, LSBs, v; values shared;
    // scale, limit, number
    parameter HEAD = 3 * ADDRESS_WIDTH + LIST_WIDTH + COUNT_WIDTH + 2 + 4 * 3 + 1 + 32 + 32 + 6,
    // a query's: address, count, keep, seed, tag
    parameter QUERY = ADDRESS_WIDTH + 2 * COUNT_WIDTH + 16 + 16
) (
    input  wire                       clk,
    input  wire                       rst,

    input  wire                       s_head_valid,
    output wire                       s_head_ready,
    input  wire [HEAD-1:0]            s_head,
    input  wire [15:0]                s_head_queries,
    input  wire                       s_query_valid,
    output wire                       s_query_ready,
    input  wire [QUERY-1:0]           s_query,

    // what the table holds
    output wire                       accept,        // a head, with this number
    output wire [HEAD_WIDTH-1:0]      accept_head,
    output wire [HEADS*HEAD-1:0]      heads,
    output wire [HEADS*ROW_WIDTH-1:0] key_row,
    output wire [ROW_WIDTH-1:0]       accept_lsb_rows,
    output reg  [HEADS*16-1:0]        queries,
    output wire                       busy,

    // the next head whose keys are to be fetched; room for them
    output wire                       next_valid,
    output wire [HEAD_WIDTH-1:0]      next_head,
    output wire [ROW_WIDTH-1:0]       next_row,
    input  wire                       next_take,
    output reg  [HEADS-1:0]           begun,

    // the next query
    output wire                       m_query_valid,
    input  wire                       m_query_ready,
    output wire [QUERY-1:0]           m_query,
    output wire [HEAD_WIDTH-1:0]      m_query_head,
    output wire                       m_query_illegal,

    // a query has read its keys; one has ended
    input  wire                       done,
    input  wire [HEAD_WIDTH-1:0]      done_head,
    input  wire                       ended,
    input  wire [HEAD_WIDTH-1:0]      ended_head,

    // answers to queries of illegal heads
    output wire                       m_error_valid,
    input  wire                       m_error_ready,
    output wire [15:0]                m_error_tag
);

    localparam COUNT = $clog2(HEADS + 1);
    localparam LAST_HEAD = HEADS - 1;
    localparam [HEAD_WIDTH-1:0] LAST = LAST_HEAD[HEAD_WIDTH-1:0];
    localparam [ROW_WIDTH:0] ALL_ROWS = KEY_ROWS[ROW_WIDTH:0];

    function [HEAD_WIDTH-1:0] after(input [HEAD_WIDTH-1:0] h);
        after = h == LAST ? {HEAD_WIDTH{1'b0}} : h + 1'b1;
    endfunction

    // the descriptor that comes
    wire [ADDRESS_WIDTH-1:0] key_address, lsb_address, value_address;
    wire [LIST_WIDTH-1:0]  list;
    wire [COUNT_WIDTH-1:0] count;
    wire [1:0]             dimension;
    wire [2:0]             query_bits, key_bits, lsb_bits, value_bits;
    wire                   shared, legal;
    wire [31:0]            scale, limit;
    wire [5:0]             unused_number;
    wire [COUNT_WIDTH+3:0] key_rows, lsb_rows;
    assign {key_address, lsb_address, value_address, list, count, dimension, query_bits, key_bits, lsb_bits, value_bits, shared,
            scale, limit, unused_number} = s_head;
    head_check #(
        .BITS(BITS), .SIZE(SIZE), .LIST(LIST), .KEY_BANKS(KEY_BANKS), .KEY_ROWS(KEY_ROWS), .LSB_ROWS(LSB_ROWS),
        .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS), .ADDRESS_WIDTH(ADDRESS_WIDTH)
    ) check (
        .key_address(key_address), .lsb_address(lsb_address), .value_address(value_address), .list(list), .count(count),
        .dimension(dimension), .query_bits(query_bits), .key_bits(key_bits), .lsb_bits(lsb_bits), .value_bits(value_bits),
        .shared(shared), .queries(s_head_queries), .scale(scale), .limit_sign(limit[31]), .key_rows(key_rows),
        .lsb_rows(lsb_rows), .legal(legal)
    );
    assign accept_lsb_rows = lsb_rows[ROW_WIDTH-1:0];
    wire unused_bits = &{1'b0, limit, key_rows, lsb_rows, of};

    // places: in, the first whose keys are to be fetched, the first whose keys are in the ring, the oldest
    reg [HEAD_WIDTH-1:0] in_reg, next_reg, tail_reg, oldest_reg, asked_reg;
    reg [COUNT-1:0]      count_reg;    // heads in the table
    reg [COUNT-1:0]      waiting_reg;  // of them, those whose keys were not begun
    reg [COUNT-1:0]      inside_reg;   // those whose keys are in the ring
    reg [COUNT-1:0]      unasked_reg;  // those of which queries are to come
    reg [15:0]           asked_count_reg;  // queries that came of the first of these
    reg [ROW_WIDTH:0]    used_reg;
    reg [ROW_WIDTH-1:0]  row_reg;      // where the next keys begin
    reg [HEADS-1:0]      legal_reg;
    reg [HEADS*16-1:0]   left_reg, users_reg;  // queries that have not ended; that need the keys

    assign s_head_ready = count_reg != HEADS[COUNT-1:0];
    assign accept       = s_head_valid && s_head_ready && s_head_queries != 0;
    assign accept_head  = in_reg;
    assign busy         = count_reg != 0;

    reg [HEAD-1:0]      head_reg [0:HEADS-1];
    reg [ROW_WIDTH-1:0] key_row_reg [0:HEADS-1], key_rows_reg [0:HEADS-1];
    genvar h;
    generate
        for (h = 0; h < HEADS; h = h + 1) begin : g_head
            assign heads[HEAD*h +: HEAD] = head_reg[h];
            assign key_row[ROW_WIDTH*h +: ROW_WIDTH] = key_row_reg[h];
        end
    endgenerate

    // keys; an illegal head has none and is passed over
    wire skip = waiting_reg != 0 && !legal_reg[next_reg];
    wire [ROW_WIDTH:0] wanted = used_reg + {1'b0, key_rows_reg[next_reg]};
    assign next_valid = waiting_reg != 0 && legal_reg[next_reg] && wanted <= ALL_ROWS;
    assign next_head  = next_reg;
    assign next_row   = row_reg;
    wire give_back = inside_reg != 0 && users_reg[16*tail_reg +: 16] == 0;
    wire [ROW_WIDTH:0] row_sum = {1'b0, row_reg} + {1'b0, key_rows_reg[next_reg]};
    wire [ROW_WIDTH:0] row_cut = row_sum >= ALL_ROWS ? row_sum - ALL_ROWS : row_sum;
    wire unused_row = row_cut[ROW_WIDTH];
    wire gone = count_reg != 0 && left_reg[16*oldest_reg +: 16] == 0;

    // queries
    wire [ADDRESS_WIDTH-1:0] q_address;
    wire [COUNT_WIDTH-1:0]   q_count, q_keep;
    wire [31:0]              q_rest;
    assign {q_address, q_count, q_keep, q_rest} = s_query;
    wire [HEAD-1:0]          of = head_reg[asked_reg];
    wire                     q_legal;
    query_check #(
        .SIZE(SIZE), .VALUE_BANKS(VALUE_BANKS), .VALUE_ROWS(VALUE_ROWS), .ADDRESS_WIDTH(ADDRESS_WIDTH)
    ) check_query (
        .address(q_address), .count(q_count), .keep(q_keep), .keys(of[`HEAD_COUNT +: COUNT_WIDTH]),
        .dimension(of[`HEAD_DIMENSION +: 2]), .query_bits(of[`HEAD_QUERY_BITS +: 3]),
        .value_bits(of[`HEAD_VALUE_BITS +: 3]), .shared(of[`HEAD_SHARED]), .legal(q_legal)
    );
    wire q_known  = unasked_reg != 0;
    wire q_good   = legal_reg[asked_reg];
    wire fifo_ready, error_ready;
    wire q_taken  = s_query_valid && s_query_ready;
    wire q_last   = asked_count_reg + 1'b1 == queries[16*asked_reg +: 16];
    assign s_query_ready = q_known && (q_good ? fifo_ready : error_ready);

    wire [ADDRESS_WIDTH-1:0] of_keys = of[HEAD-1 -: ADDRESS_WIDTH];
    wire [COUNT_WIDTH-1:0]   one = {{COUNT_WIDTH-1{1'b0}}, 1'b1};
    fifo #(.WIDTH(1 + HEAD_WIDTH + QUERY), .DEPTH(4)) waiting (
        .clk(clk), .rst(rst), .s_valid(q_taken && q_good), .s_ready(fifo_ready),
        .s_data({!q_legal, asked_reg, q_legal ? s_query : {of_keys, one, one, q_rest}}),
        .m_valid(m_query_valid), .m_ready(m_query_ready), .m_data({m_query_illegal, m_query_head, m_query})
    );
    fifo #(.WIDTH(16), .DEPTH(2)) errors (
        .clk(clk), .rst(rst), .s_valid(q_taken && !q_good), .s_ready(error_ready), .s_data(q_rest[15:0]),
        .m_valid(m_error_valid), .m_ready(m_error_ready), .m_data(m_error_tag)
    );

    integer i;
    always @(posedge clk) begin
        if (accept) begin
            head_reg[in_reg]     <= s_head;
            key_rows_reg[in_reg] <= key_rows[ROW_WIDTH-1:0];
            legal_reg[in_reg]    <= legal;
            in_reg               <= after(in_reg);
        end
        if (next_take) begin
            key_row_reg[next_reg] <= row_reg;
            row_reg               <= row_cut[ROW_WIDTH-1:0];
        end
        if (next_take || skip) begin
            next_reg <= after(next_reg);
        end
        if (give_back) begin
            tail_reg <= after(tail_reg);
        end
        if (gone) begin
            oldest_reg <= after(oldest_reg);
        end
        if (q_taken) begin
            asked_count_reg <= q_last ? 16'd0 : asked_count_reg + 1'b1;
            asked_reg       <= q_last ? after(asked_reg) : asked_reg;
        end
        used_reg    <= used_reg + (next_take ? {1'b0, key_rows_reg[next_reg]} : {ROW_WIDTH+1{1'b0}})
                       - (give_back && legal_reg[tail_reg] ? {1'b0, key_rows_reg[tail_reg]} : {ROW_WIDTH+1{1'b0}});
        count_reg   <= count_reg + {{COUNT-1{1'b0}}, accept} - {{COUNT-1{1'b0}}, gone};
        waiting_reg <= waiting_reg + {{COUNT-1{1'b0}}, accept} - {{COUNT-1{1'b0}}, next_take || skip};
        inside_reg  <= inside_reg + {{COUNT-1{1'b0}}, next_take || skip} - {{COUNT-1{1'b0}}, give_back};
        unasked_reg <= unasked_reg + {{COUNT-1{1'b0}}, accept} - {{COUNT-1{1'b0}}, q_taken && q_last};
        for (i = 0; i < HEADS; i = i + 1) begin
            if (accept && in_reg == i[HEAD_WIDTH-1:0]) begin
                queries[16*i +: 16]   <= s_head_queries;
                left_reg[16*i +: 16]  <= s_head_queries;
                users_reg[16*i +: 16] <= legal ? s_head_queries : 16'd0;
                begun[i]              <= 1'b0;
            end else begin
                left_reg[16*i +: 16]  <= left_reg[16*i +: 16] - {15'd0, ended && ended_head == i[HEAD_WIDTH-1:0]}
                    - {15'd0, q_taken && !q_good && asked_reg == i[HEAD_WIDTH-1:0]};
                users_reg[16*i +: 16] <= users_reg[16*i +: 16]
                    - {15'd0, done && done_head == i[HEAD_WIDTH-1:0]};
                begun[i]              <= begun[i] || (next_take && next_reg == i[HEAD_WIDTH-1:0]);
            end
        end
        if (rst) begin
            in_reg          <= {HEAD_WIDTH{1'b0}};
            next_reg        <= {HEAD_WIDTH{1'b0}};
            tail_reg        <= {HEAD_WIDTH{1'b0}};
            oldest_reg      <= {HEAD_WIDTH{1'b0}};
            asked_reg       <= {HEAD_WIDTH{1'b0}};
            asked_count_reg <= 16'd0;
            count_reg       <= {COUNT{1'b0}};
            waiting_reg     <= {COUNT{1'b0}};
            inside_reg      <= {COUNT{1'b0}};
            unasked_reg     <= {COUNT{1'b0}};
            used_reg        <= {ROW_WIDTH+1{1'b0}};
            row_reg         <= {ROW_WIDTH{1'b0}};
        end
    end

    `ASSERT(room, used_reg <= ALL_ROWS)
    `ASSERT(query_known, !(ended && left_reg[16*ended_head +: 16] == 16'd0) && !(done && users_reg[16*done_head +: 16] == 16'd0))

endmodule

`resetall
