// SPDX-License-Identifier: Apache-2.0
// Which job each fetch unit begins, who gets a slot, and the ring of rows of the value SRAM.
//
// Keys: LSBs that were asked for go first if there is room, then the next query if there is a slot and its head's keys were
// begun, then the next head's keys. Values: a head's go before a query's own. A job of values has its rows until its readers are through
// with it and all before it are gone, one a cycle.

`resetall
`default_nettype none
`include "assertions.vh"
`include "head.vh"

module fetch_schedule #(
    parameter SIZE = 1024,
    parameter LIST = 32,
    parameter SLOTS = 64,
    parameter HEADS = 16,
    parameter VALUE_BANKS = 32,
    parameter VALUE_ROWS = 192,
    parameter ADDRESS_WIDTH = 40,
    // of a head's descriptor, of a row of either SRAM
    parameter HEAD = 240,
    parameter ROW_WIDTH = 8,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST),
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter HEAD_WIDTH = HEADS > 1 ? $clog2(HEADS) : 1,
    parameter OWNER_WIDTH = SLOT_WIDTH > HEAD_WIDTH ? SLOT_WIDTH : HEAD_WIDTH,
    parameter PLACE_WIDTH = SLOT_WIDTH + $clog2(SIZE) + 1,
    parameter ENTRY_WIDTH = $clog2(SLOTS + HEADS)
) (
    input  wire                         clk,
    input  wire                         rst,

    input  wire [HEADS*HEAD-1:0]        heads,
    input  wire [HEADS*16-1:0]          queries,
    input  wire                         accept,
    input  wire [HEAD_WIDTH-1:0]        accept_head,
    input  wire                         next_valid,
    input  wire [HEAD_WIDTH-1:0]        next_head,
    input  wire [ROW_WIDTH-1:0]         next_row,
    output wire                         next_take,
    input  wire [HEADS-1:0]             begun,

    // the next query, and the slot it gets
    input  wire                         query_valid,
    output wire                         query_take,
    input  wire [ADDRESS_WIDTH-1:0]     query_address,
    input  wire [HEAD_WIDTH-1:0]        query_head,
    input  wire                         slot_free,
    input  wire [SLOT_WIDTH-1:0]        slot,

    // LSBs of a head's keys, and room for them; values of a query
    input  wire                         lsb_valid,
    input  wire                         lsb_fits,
    input  wire [ROW_WIDTH-1:0]         lsb_row,
    output wire                         lsb_take,
    input  wire [HEAD_WIDTH-1:0]        lsb_head,
    input  wire                         own_valid,
    output wire                         own_take,
    input  wire [SLOT_WIDTH-1:0]        own_slot,
    input  wire [HEAD_WIDTH-1:0]        own_head,
    input  wire [COUNT_WIDTH-1:0]       own_count,
    input  wire                         own_kept,    // of what the top-k kept

    // to the fetch units: keys lower, values upper
    input  wire [1:0]                   free,
    output wire [1:0]                   start,
    output wire [2*(ADDRESS_WIDTH-3)-1:0] base,
    output wire [11:0]                  bytes,
    output wire                         single,
    output wire [2*COUNT_WIDTH-1:0]     count,
    output wire [2*PLACE_WIDTH-1:0]     first,
    output wire                         first_kept,
    output wire [3:0]                   kind,
    output wire [2*OWNER_WIDTH-1:0]     owner,
    output wire [2*ROW_WIDTH-1:0]       row,

    // where values lie; one reader of a slot's or a head's is through
    output wire [SLOTS*ROW_WIDTH-1:0]   slot_row,
    output wire [HEADS*ROW_WIDTH-1:0]   head_row,
    input  wire                         read_valid,
    input  wire                         read_shared,
    input  wire [SLOT_WIDTH-1:0]        read_slot,
    input  wire [HEAD_WIDTH-1:0]        read_head
);

    localparam LIST_LOG = $clog2(LIST);
    localparam ENTRIES  = SLOTS + HEADS;
    localparam ENTRY_COUNT = $clog2(ENTRIES + 1);
    localparam LAST_NUMBER = ENTRIES - 1;
    localparam [ENTRY_WIDTH-1:0] LAST = LAST_NUMBER[ENTRY_WIDTH-1:0];
    localparam [ROW_WIDTH:0] ALL_ROWS = VALUE_ROWS[ROW_WIDTH:0];
    localparam OWN_WIDTH = $clog2(SLOTS + 1);
    localparam [OWN_WIDTH-1:0] ONE_OWN = 1;
    // fields of a descriptor, from its lowest bit on
    localparam PLACE = `HEAD_COUNT + COUNT_WIDTH, VALUES = PLACE + LIST_WIDTH;

    function [5:0] size_of(input [2:0] code, input [1:0] dimension);
        size_of = (code == 3'd5 ? 6'd8 : {3'd0, code} + 6'd2) << dimension;
    endfunction

    // the key unit
    wire   lsb_goes   = lsb_valid && lsb_fits;
    assign lsb_take   = free[0] && lsb_goes;
    // a head's shared values wait until no query before has still to fetch its own: so none waits for a younger one
    reg  [HEADS-1:0]     asked_reg;     // a head's values were asked for
    reg  [OWN_WIDTH-1:0] own_reg;       // queries with a slot whose own values are still to be fetched
    wire own_left     = own_reg != 0 && !(own_reg == ONE_OWN && own_take);
    wire first_shared = heads[HEAD*query_head+`HEAD_SHARED] && !asked_reg[query_head];
    assign query_take = free[0] && !lsb_goes && query_valid && slot_free && begun[query_head] && !(first_shared && own_left);
    assign next_take  = free[0] && !lsb_goes && !query_take && next_valid;
    wire [HEAD_WIDTH-1:0] key_head = lsb_goes ? lsb_head : query_take ? query_head : next_head;
    wire [HEAD-1:0]       key_of = heads[HEAD*key_head +: HEAD];
    wire [ADDRESS_WIDTH-1:0] keys_at   = key_of[HEAD-1 -: ADDRESS_WIDTH];
    wire [ADDRESS_WIDTH-1:0] lsbs_at   = key_of[HEAD-ADDRESS_WIDTH-1 -: ADDRESS_WIDTH];
    wire [ADDRESS_WIDTH-1:0] key_base  = lsb_goes ? lsbs_at : query_take ? query_address : keys_at;
    wire [2:0]               key_code  = lsb_goes ? key_of[`HEAD_LSB_BITS +: 3]
                                       : query_take ? key_of[`HEAD_QUERY_BITS +: 3] : key_of[`HEAD_KEY_BITS +: 3];
    wire [COUNT_WIDTH-1:0]   one = {{COUNT_WIDTH-1{1'b0}}, 1'b1};

    // the value unit
    wire                  shared_valid;
    wire [HEAD_WIDTH-1:0] shared_head;
    wire                  query_shared = key_of[`HEAD_SHARED];
    fifo #(.WIDTH(HEAD_WIDTH), .DEPTH(HEADS)) shared_jobs (
        .clk(clk), .rst(rst), .s_valid(query_take && query_shared && !asked_reg[query_head]), .s_ready(unused_ready),
        .s_data(query_head), .m_valid(shared_valid), .m_ready(start[1]), .m_data(shared_head)
    );
    wire unused_ready;
    wire [HEAD_WIDTH-1:0]  value_head = shared_valid ? shared_head : own_head;
    wire [HEAD-1:0]        value_of   = heads[HEAD*value_head +: HEAD];
    wire [COUNT_WIDTH-1:0] value_count = shared_valid ? value_of[`HEAD_COUNT +: COUNT_WIDTH] : own_count;
    wire [5:0]             value_size;
    wire [COUNT_WIDTH+3:0] value_rows;
    vector_rows #(.COUNT_WIDTH(COUNT_WIDTH), .BANKS(VALUE_BANKS)) of_values (
        .code(value_of[`HEAD_VALUE_BITS +: 3]), .dimension(value_of[`HEAD_DIMENSION +: 2]), .count(value_count),
        .size(value_size),
        .rows(value_rows)
    );
    reg [ROW_WIDTH:0]   used_reg;
    reg [ROW_WIDTH-1:0] row_reg;
    wire fits = {{COUNT_WIDTH+5-ROW_WIDTH{1'b0}}, used_reg} + {2'd0, value_rows} <= VALUE_ROWS[COUNT_WIDTH+5:0];
    assign own_take = free[1] && !shared_valid && own_valid && fits;
    assign start[0] = lsb_take || query_take || next_take;
    assign start[1] = free[1] && (shared_valid || own_valid) && fits;

    wire [ADDRESS_WIDTH-1:0] value_base = value_of[VALUES +: ADDRESS_WIDTH];
    wire [PLACE_WIDTH-1:0]   key_place = {{PLACE_WIDTH-LIST_WIDTH-LIST_LOG{1'b0}}, key_of[PLACE +: LIST_WIDTH],
                                          {LIST_LOG{1'b0}}};
    wire [PLACE_WIDTH-1:0]   value_place = {{PLACE_WIDTH-LIST_WIDTH-LIST_LOG{1'b0}}, value_of[PLACE +: LIST_WIDTH],
                                            {LIST_LOG{1'b0}}};
    wire [PLACE_WIDTH-1:0]   kept_place = {1'b0, own_slot, {PLACE_WIDTH-SLOT_WIDTH-1{1'b0}}};
    assign first_kept = !shared_valid && own_kept;
    assign base   = {value_base[ADDRESS_WIDTH-1:3], key_base[ADDRESS_WIDTH-1:3]};
    assign bytes  = {value_size, size_of(key_code, key_of[`HEAD_DIMENSION +: 2])};
    assign single = query_take;
    assign count  = {value_count, query_take ? one : key_of[`HEAD_COUNT +: COUNT_WIDTH]};
    assign first  = {first_kept ? kept_place : value_place, key_place};
    assign kind   = {1'b0, shared_valid, lsb_goes ? 2'd2 : query_take ? 2'd0 : 2'd1};
    assign owner[OWNER_WIDTH-1:0] = query_take ? {{OWNER_WIDTH-SLOT_WIDTH{1'b0}}, slot}
        : {{OWNER_WIDTH-HEAD_WIDTH{1'b0}}, key_head};
    assign owner[2*OWNER_WIDTH-1:OWNER_WIDTH] = shared_valid ? {{OWNER_WIDTH-HEAD_WIDTH{1'b0}}, shared_head}
        : {{OWNER_WIDTH-SLOT_WIDTH{1'b0}}, own_slot};
    assign row    = {row_reg, lsb_goes ? lsb_row : next_row};

    // the ring of values: a job's rows and readers
    reg [ENTRY_WIDTH-1:0] in_reg, tail_reg;
    reg [ENTRY_COUNT-1:0] inside_reg;
    reg [ENTRIES*16-1:0]  users_reg;
    reg [ROW_WIDTH-1:0]   rows_reg [0:ENTRIES-1];
    reg [ENTRY_WIDTH-1:0] slot_entry_reg [0:SLOTS-1];
    reg [ENTRY_WIDTH-1:0] head_entry_reg [0:HEADS-1];
    reg [ROW_WIDTH-1:0]   slot_row_reg [0:SLOTS-1];
    reg [ROW_WIDTH-1:0]   head_row_reg [0:HEADS-1];
    wire [ENTRY_WIDTH-1:0] read_entry = read_shared ? head_entry_reg[read_head] : slot_entry_reg[read_slot];
    wire give_back = inside_reg != 0 && users_reg[16*tail_reg +: 16] == 0;
    wire [ROW_WIDTH:0] row_sum = {1'b0, row_reg} + {1'b0, value_rows[ROW_WIDTH-1:0]};
    wire [ROW_WIDTH:0] row_cut = row_sum >= ALL_ROWS ? row_sum - ALL_ROWS : row_sum;
    wire unused_bits = &{1'b0, row_cut[ROW_WIDTH], key_base[2:0], value_base[2:0], keys_at, lsbs_at, value_rows, key_of,
                         value_of};
    genvar g;
    generate
        for (g = 0; g < SLOTS; g = g + 1) begin : g_slot
            assign slot_row[ROW_WIDTH*g +: ROW_WIDTH] = slot_row_reg[g];
        end
        for (g = 0; g < HEADS; g = g + 1) begin : g_head
            assign head_row[ROW_WIDTH*g +: ROW_WIDTH] = head_row_reg[g];
        end
    endgenerate

    integer n;
    always @(posedge clk) begin
        own_reg <= own_reg + {{OWN_WIDTH-1{1'b0}}, query_take && !query_shared} - {{OWN_WIDTH-1{1'b0}}, own_take};
        if (query_take && query_shared) begin
            asked_reg[query_head] <= 1'b1;
        end
        if (accept) begin
            asked_reg[accept_head] <= 1'b0;
        end
        if (start[1]) begin
            row_reg          <= row_cut[ROW_WIDTH-1:0];
            rows_reg[in_reg] <= value_rows[ROW_WIDTH-1:0];
            in_reg           <= in_reg == LAST ? {ENTRY_WIDTH{1'b0}} : in_reg + 1'b1;
            if (shared_valid) begin
                head_entry_reg[shared_head] <= in_reg;
                head_row_reg[shared_head]   <= row_reg;
            end else begin
                slot_entry_reg[own_slot] <= in_reg;
                slot_row_reg[own_slot]   <= row_reg;
            end
        end
        for (n = 0; n < ENTRIES; n = n + 1) begin
            if (start[1] && in_reg == n[ENTRY_WIDTH-1:0]) begin
                users_reg[16*n +: 16] <= shared_valid ? queries[16*shared_head +: 16] : 16'd1;
            end else if (read_valid && read_entry == n[ENTRY_WIDTH-1:0]) begin
                users_reg[16*n +: 16] <= users_reg[16*n +: 16] - 1'b1;
            end
        end
        if (give_back) begin
            tail_reg <= tail_reg == LAST ? {ENTRY_WIDTH{1'b0}} : tail_reg + 1'b1;
        end
        inside_reg <= inside_reg + {{ENTRY_COUNT-1{1'b0}}, start[1]} - {{ENTRY_COUNT-1{1'b0}}, give_back};
        used_reg   <= used_reg + (start[1] ? {1'b0, value_rows[ROW_WIDTH-1:0]} : {ROW_WIDTH+1{1'b0}})
                      - (give_back ? {1'b0, rows_reg[tail_reg]} : {ROW_WIDTH+1{1'b0}});
        if (rst) begin
            in_reg     <= {ENTRY_WIDTH{1'b0}};
            tail_reg   <= {ENTRY_WIDTH{1'b0}};
            inside_reg <= {ENTRY_COUNT{1'b0}};
            used_reg   <= {ROW_WIDTH+1{1'b0}};
            row_reg    <= {ROW_WIDTH{1'b0}};
            own_reg    <= {OWN_WIDTH{1'b0}};
        end
    end

    `ASSERT(room, used_reg <= ALL_ROWS)
    `ASSERT(one_key_job, $onehot0({lsb_take, query_take, next_take}))
    `ASSERT(reader_known, !(read_valid && users_reg[16*read_entry +: 16] == 16'd0))

endmodule

`resetall
