// SPDX-License-Identifier: Apache-2.0
// Address generator: from tokens to the transactions that hold their vectors, up to one a lane and cycle.
//
// A job is vectors of `bytes` bytes, one a token, which lie one after the other from `base` on; `count` tokens stand in a
// list from `place` on and ascend. Addresses and sizes count 8 bytes, a transaction has 32; a vector has 16 bytes at least.
// A transaction that a token shares with the one before it is made once. Transactions take the lanes in turns, from lane 0
// on; a cycle's end at the first lane that is full. A job without a list is one vector at `base`.

`resetall
`default_nettype none

module address_generator #(
    // a power of two
    parameter LANES = 16,
    parameter TOKEN_WIDTH = 20,
    // tokens of the list's window; at least 2 LANES + 1
    parameter WINDOW = 33,
    // bits of a byte address, of a count of tokens, of a place in a list, of a word's number, of what a job says
    parameter ADDRESS_WIDTH = 40,
    parameter COUNT_WIDTH = 11,
    parameter PLACE_WIDTH = 11,
    parameter WORD_WIDTH = 14,
    parameter SIDE_WIDTH = 8,
    parameter BLOCK_WIDTH = ADDRESS_WIDTH - 5
) (
    input  wire                          clk,
    input  wire                          rst,

    // a job, when free
    input  wire                          start,
    input  wire [ADDRESS_WIDTH-4:0]      base,
    input  wire [5:0]                    bytes,
    input  wire                          single,
    input  wire [COUNT_WIDTH-1:0]        count,
    input  wire [PLACE_WIDTH-1:0]        first,
    input  wire [SIDE_WIDTH-1:0]         s_side,
    output wire                          free,

    // its list: what is asked for comes in the next cycle
    output wire [PLACE_WIDTH-1:0]        place,
    input  wire [TOKEN_WIDTH*WINDOW-1:0] window,

    // transactions: their addresses, and how many of the job were before them
    input  wire [LANES-1:0]              lane_full,
    output reg  [LANES-1:0]              push,
    output reg  [LANES*BLOCK_WIDTH-1:0]  block,
    output reg  [LANES*WORD_WIDTH-1:0]   word,
    output wire [SIDE_WIDTH-1:0]         side,
    output reg  [WORD_WIDTH-1:0]         made,
    output reg                           finish   // the job's last one is among them
);

    localparam LANE_WIDTH = LANES > 1 ? $clog2(LANES) : 1;
    localparam BASE_WIDTH = ADDRESS_WIDTH - 3;
    localparam INDEX = $clog2(WINDOW);

    reg                   busy_reg, fresh_reg, single_reg;
    reg [BASE_WIDTH-1:0]  base_reg;
    reg [5:0]             bytes_reg;
    reg [COUNT_WIDTH-1:0] left_reg;    // tokens from the window's first on
    reg [PLACE_WIDTH-1:0] place_reg;   // of the window's first
    reg [BLOCK_WIDTH-1:0] block_reg;   // the next transaction
    reg [WORD_WIDTH-1:0]  word_reg;    // transactions made
    reg [SIDE_WIDTH-1:0]  side_reg;

    // first and last transaction of each token in the window
    wire [BLOCK_WIDTH*WINDOW-1:0] begins, ends;
    genvar g;
    generate
        for (g = 0; g < WINDOW; g = g + 1) begin : g_token
            wire [TOKEN_WIDTH-1:0] token = single_reg ? {TOKEN_WIDTH{1'b0}} : window[TOKEN_WIDTH*g +: TOKEN_WIDTH];
            wire [BASE_WIDTH-1:0] from = base_reg
                + {{BASE_WIDTH-TOKEN_WIDTH{1'b0}}, token} * {{BASE_WIDTH-6{1'b0}}, bytes_reg};
            wire [BASE_WIDTH-1:0] to = from + {{BASE_WIDTH-6{1'b0}}, bytes_reg} - 1'b1;
            assign begins[BLOCK_WIDTH*g +: BLOCK_WIDTH] = from[BASE_WIDTH-1:2];
            assign ends[BLOCK_WIDTH*g +: BLOCK_WIDTH]   = to[BASE_WIDTH-1:2];
            wire unused_part = &{1'b0, from[1:0], to[1:0]};
        end
    endgenerate

    // step by step: the transaction, the token in the window that it belongs to
    reg [LANES-1:0]             made_step;
    reg [LANES*BLOCK_WIDTH-1:0] block_step;
    reg [BLOCK_WIDTH-1:0]       at, end_of;
    reg [INDEX-1:0]             token_index;
    reg                         stop;
    wire [LANE_WIDTH-1:0]       next_lane = LANES > 1 ? word_reg[LANE_WIDTH-1:0] : {LANE_WIDTH{1'b0}};
    wire [2*LANES-1:0]          full_from = {lane_full, lane_full} >> next_lane;
    integer s;
    always @* begin
        token_index = {INDEX{1'b0}};
        at          = fresh_reg ? begins[BLOCK_WIDTH-1:0] : block_reg;
        end_of      = ends[BLOCK_WIDTH-1:0];
        stop        = !busy_reg;
        finish      = 1'b0;
        made        = {WORD_WIDTH{1'b0}};
        made_step   = {LANES{1'b0}};
        block_step  = {LANES*BLOCK_WIDTH{1'b0}};
        for (s = 0; s < LANES; s = s + 1) begin
            stop = stop || full_from[s];
            if (!stop) begin
                made_step[s] = 1'b1;
                made         = made + 1'b1;
                block_step[BLOCK_WIDTH*s +: BLOCK_WIDTH] = at;
                if (at != end_of) begin
                    at = at + 1'b1;
                end else begin
                    token_index = token_index + 1'b1;
                    if (begins[BLOCK_WIDTH*token_index +: BLOCK_WIDTH] != end_of) begin
                        at = begins[BLOCK_WIDTH*token_index +: BLOCK_WIDTH];
                    end else if (ends[BLOCK_WIDTH*token_index +: BLOCK_WIDTH] != end_of) begin
                        at = at + 1'b1;
                    end else if (left_reg != {{COUNT_WIDTH-INDEX{1'b0}}, token_index}) begin  // in this one as a whole
                        token_index = token_index + 1'b1;
                        at          = begins[BLOCK_WIDTH*token_index +: BLOCK_WIDTH];
                    end
                    end_of = ends[BLOCK_WIDTH*token_index +: BLOCK_WIDTH];
                    if (left_reg == {{COUNT_WIDTH-INDEX{1'b0}}, token_index}) begin
                        finish = 1'b1;
                        stop   = 1'b1;
                    end
                end
            end
        end
    end

    // to the lanes
    reg [LANE_WIDTH-1:0] turn;
    integer l;
    always @* begin
        push  = {LANES{1'b0}};
        block = {LANES*BLOCK_WIDTH{1'b0}};
        word  = {LANES*WORD_WIDTH{1'b0}};
        turn  = {LANE_WIDTH{1'b0}};
        for (l = 0; l < LANES; l = l + 1) begin
            turn    = LANES > 1 ? l[LANE_WIDTH-1:0] - next_lane : {LANE_WIDTH{1'b0}};
            push[l] = made_step[turn];
            block[BLOCK_WIDTH*l +: BLOCK_WIDTH] = block_step[BLOCK_WIDTH*turn +: BLOCK_WIDTH];
            word[WORD_WIDTH*l +: WORD_WIDTH]    = word_reg + {{WORD_WIDTH-LANE_WIDTH{1'b0}}, turn};
        end
    end

    assign free  = !busy_reg || finish;
    assign side  = side_reg;
    assign place = start ? first : place_reg + {{PLACE_WIDTH-INDEX{1'b0}}, token_index};

    always @(posedge clk) begin
        place_reg <= place;
        if (start) begin
            base_reg   <= base;
            bytes_reg  <= bytes;
            single_reg <= single;
            left_reg   <= count;
            side_reg   <= s_side;
            fresh_reg  <= 1'b1;
            word_reg   <= {WORD_WIDTH{1'b0}};
        end else if (busy_reg) begin
            left_reg  <= left_reg - {{COUNT_WIDTH-INDEX{1'b0}}, token_index};
            word_reg  <= word_reg + made;
            block_reg <= at;
            if (made != 0) begin
                fresh_reg <= 1'b0;
            end
        end
        busy_reg <= start || (busy_reg && !finish);
        if (rst) begin
            busy_reg <= 1'b0;
        end
    end

endmodule

`resetall
