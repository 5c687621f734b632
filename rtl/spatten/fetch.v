// SPDX-License-Identifier: Apache-2.0
// Fetch: two address generators, their lanes, both crossbars, an AXI4 read master for each channel, and who waits for what.
//
// Each lane and each channel's beats wait in a FIFO of which both crossbars see the first CROSSBAR_WINDOW entries, so that one
// whose target is taken does not hold up those behind it. A channel keeps the request that it offers in a register.
//
// The key unit fetches queries, keys and their LSBs, the value unit values. Every transaction is a burst of one beat of 32
// bytes; its identifier says where the beat goes: {unit, kind, owner, row, bank}. So beats may come in any order, after any
// time. Kinds: q (0), keys (1), LSBs (2); a query's own values (0), a head's (1). A job's words lie in an SRAM from its row on;
// LSBs in a ring of rows of their own, behind the keys'.

`resetall
`default_nettype none
`include "assertions.vh"

module fetch #(
    // of each unit; a power of two
    parameter LANES = 16,
    // entries of a lane's FIFO; beats of a channel's, at least 2; of both, entries that a crossbar sees: a power of two, 1 to 8
    parameter LANE_DEPTH = 4,
    parameter ANSWER_DEPTH = 4,
    parameter CROSSBAR_WINDOW = 1,
    parameter CHANNELS = 16,
    // log2 of the bytes that lie in a channel in a row
    parameter INTERLEAVE = 5,
    parameter TOKEN_WIDTH = 20,
    parameter LIST = 32,
    parameter ADDRESS_WIDTH = 40,
    parameter COUNT_WIDTH = 11,
    parameter PLACE_WIDTH = 12,
    parameter SLOTS = 64,
    parameter HEADS = 16,
    parameter OWNER_WIDTH = 6,
    // of both SRAMs
    parameter KEY_BANKS = 32,
    parameter KEY_ROWS = 160,
    parameter LSB_ROWS = 32,
    parameter VALUE_BANKS = 32,
    parameter VALUE_ROWS = 192,
    // derived
    parameter BANK_WIDTH = $clog2(KEY_BANKS > VALUE_BANKS ? KEY_BANKS : VALUE_BANKS),
    parameter ROW_WIDTH = $clog2(KEY_ROWS + LSB_ROWS > VALUE_ROWS ? KEY_ROWS + LSB_ROWS : VALUE_ROWS),
    parameter ID_WIDTH = 1 + 2 + OWNER_WIDTH + ROW_WIDTH + BANK_WIDTH,
    parameter JOBS = 4 << OWNER_WIDTH
) (
    input  wire                                clk,
    input  wire                                rst,
    input  wire [15:0]                         turn,

    // jobs: keys lower, values upper
    input  wire [1:0]                          start,
    input  wire [2*(ADDRESS_WIDTH-3)-1:0]      base,
    input  wire [11:0]                         bytes,
    input  wire                                single,       // of the key unit
    input  wire [2*COUNT_WIDTH-1:0]            count,
    input  wire [2*PLACE_WIDTH-1:0]            first,
    input  wire [3:0]                          kind,
    input  wire [2*OWNER_WIDTH-1:0]            owner,
    input  wire [2*ROW_WIDTH-1:0]              row,
    output wire [1:0]                          free,
    output wire [2*PLACE_WIDTH-1:0]            place,
    input  wire [2*TOKEN_WIDTH*(LIST+1)-1:0]   window,

    input  wire [2*JOBS-1:0]                   clear,
    output wire [2*JOBS-1:0]                   there,
    output wire [2*JOBS-1:0]                   wrong,

    // words for the SRAMs, of each lane
    output wire [2*LANES-1:0]                  write,
    output wire [2*LANES*ID_WIDTH-1:0]         write_id,
    output wire [2*LANES*256-1:0]              write_data,

    output wire [CHANNELS-1:0]                 m_axi_arvalid,
    input  wire [CHANNELS-1:0]                 m_axi_arready,
    output wire [CHANNELS*ADDRESS_WIDTH-1:0]   m_axi_araddr,
    output wire [CHANNELS*ID_WIDTH-1:0]        m_axi_arid,
    input  wire [CHANNELS-1:0]                 m_axi_rvalid,
    output wire [CHANNELS-1:0]                 m_axi_rready,
    input  wire [CHANNELS*ID_WIDTH-1:0]        m_axi_rid,
    input  wire [CHANNELS*256-1:0]             m_axi_rdata,
    input  wire [CHANNELS*2-1:0]               m_axi_rresp
);

    localparam BLOCK_WIDTH = ADDRESS_WIDTH - 5;
    localparam WORD_WIDTH  = ROW_WIDTH + BANK_WIDTH;
    localparam JOB_WIDTH   = OWNER_WIDTH + 2;
    localparam SIDE        = JOB_WIDTH + ROW_WIDTH;
    localparam W           = CROSSBAR_WINDOW;
    localparam ENTRY       = BLOCK_WIDTH + ID_WIDTH;
    localparam LANE_WIDTH  = $clog2(LANES);                  // what a lane's identifiers share: these bits and the unit
    localparam KEPT        = ID_WIDTH - 1 - LANE_WIDTH;      // the others
    localparam WAITS       = BLOCK_WIDTH + KEPT;             // an entry of a lane's FIFO
    localparam BEAT        = ID_WIDTH + 257;                 // an entry of a channel's
    localparam ARRIVED     = KEPT + 257;
    localparam ALL_WIDTH   = LANE_WIDTH + 1;
    localparam TARGET      = CHANNELS > 1 ? $clog2(CHANNELS) : 1;
    localparam OUT_TURN    = $clog2(2 * LANES * W);
    localparam BACK_TURN   = CHANNELS * W > 1 ? $clog2(CHANNELS * W) : 1;

    wire [2*LANES*W-1:0]         lane_valid, lane_take;
    wire [2*LANES*W*ENTRY-1:0]   lane_entry;
    wire [2*LANES*W*TARGET-1:0]  lane_channel;
    wire [CHANNELS*W-1:0]           back_valid, back_take;
    wire [CHANNELS*W*ARRIVED-1:0]   back;
    wire [CHANNELS*W*ALL_WIDTH-1:0] back_lane;
    wire [2*LANES*ARRIVED-1:0]      arrived;

    // turns of queues, as turns of their oldest entries
    wire [15:0]          scaled    = turn << $clog2(W);
    wire [OUT_TURN-1:0]  out_turn  = scaled[OUT_TURN-1:0];
    wire [BACK_TURN-1:0] back_turn = CHANNELS * W > 1 ? scaled[BACK_TURN-1:0] : {BACK_TURN{1'b0}};

    genvar u, l, c, w;
    generate
        if (W < 1 || W > 8 || W != 1 << $clog2(W) || LANE_DEPTH < W || ANSWER_DEPTH < W || ANSWER_DEPTH < 2) begin : g_illegal
            illegal_parameter_of_fetch illegal ();
        end

        for (u = 0; u < 2; u = u + 1) begin : g_unit
            localparam BANKS = u == 0 ? KEY_BANKS : VALUE_BANKS;
            localparam ROWS  = u == 0 ? KEY_ROWS : VALUE_ROWS;
            localparam LSB_END = KEY_ROWS + LSB_ROWS;
            localparam BANK  = $clog2(BANKS);
            localparam [ROW_WIDTH:0] RING = ROWS[ROW_WIDTH:0], LSBS = LSB_ROWS[ROW_WIDTH:0], END = LSB_END[ROW_WIDTH:0];
            wire [LANES-1:0]             full, push;
            wire [LANES*BLOCK_WIDTH-1:0] block;
            wire [LANES*WORD_WIDTH-1:0]  word;
            wire [SIDE-1:0]              side;
            wire [WORD_WIDTH-1:0]        made;
            wire                         finish;
            wire [LANES*JOB_WIDTH-1:0]   came_job;
            wire                         lsbs = u == 0 && side[SIDE-1 -: 2] == 2'd2;
            wire [ROW_WIDTH:0]           limit = lsbs ? END : RING;    // behind which the ring's first row comes
            wire [ROW_WIDTH:0]           length = lsbs ? LSBS : RING;
            wire [LANES-1:0]             came_wrong;
            address_generator #(
                .LANES(LANES), .TOKEN_WIDTH(TOKEN_WIDTH), .WINDOW(LIST + 1), .ADDRESS_WIDTH(ADDRESS_WIDTH),
                .COUNT_WIDTH(COUNT_WIDTH), .PLACE_WIDTH(PLACE_WIDTH), .WORD_WIDTH(WORD_WIDTH), .SIDE_WIDTH(SIDE)
            ) generator (
                .clk(clk), .rst(rst), .start(start[u]), .base(base[(ADDRESS_WIDTH-3)*u +: ADDRESS_WIDTH-3]),
                .bytes(bytes[6*u +: 6]), .single(u == 0 && single), .count(count[COUNT_WIDTH*u +: COUNT_WIDTH]),
                .first(first[PLACE_WIDTH*u +: PLACE_WIDTH]),
                .s_side({kind[2*u +: 2], owner[OWNER_WIDTH*u +: OWNER_WIDTH], row[ROW_WIDTH*u +: ROW_WIDTH]}),
                .free(free[u]), .place(place[PLACE_WIDTH*u +: PLACE_WIDTH]),
                .window(window[TOKEN_WIDTH*(LIST+1)*u +: TOKEN_WIDTH*(LIST+1)]), .lane_full(full), .push(push),
                .block(block), .word(word), .side(side), .made(made), .finish(finish)
            );
            for (l = 0; l < LANES; l = l + 1) begin : g_lane
                localparam [ID_WIDTH-1:0] SHARED = (u << ID_WIDTH - 1) + l;
                localparam AT = LANES * u + l;
                wire [WORD_WIDTH-1:0] number = word[WORD_WIDTH*l +: WORD_WIDTH];
                wire [ROW_WIDTH:0] sum = {1'b0, side[ROW_WIDTH-1:0]} + {1'b0, number[BANK +: ROW_WIDTH]};
                wire [ROW_WIDTH:0] cut = sum >= limit ? sum - length : sum;
                wire [BANK_WIDTH-1:0] bank = {{BANK_WIDTH-BANK{1'b0}}, number[BANK-1:0]};
                wire [ID_WIDTH-2:0] id = {side[SIDE-1:ROW_WIDTH], cut[ROW_WIDTH-1:0], bank};
                wire               ready;
                wire [W*WAITS-1:0] waits;
                window_fifo #(.WIDTH(WAITS), .DEPTH(LANE_DEPTH), .WINDOW(W)) lane (
                    .clk(clk), .rst(rst), .s_valid(push[l]), .s_ready(ready),
                    .s_data({block[BLOCK_WIDTH*l +: BLOCK_WIDTH], id[ID_WIDTH-2:LANE_WIDTH]}),
                    .m_valid(lane_valid[W*AT +: W]), .m_data(waits), .m_take(lane_take[W*AT +: W])
                );
                for (w = 0; w < W; w = w + 1) begin : g_place
                    wire [WAITS-1:0] one = waits[WAITS*w +: WAITS];
                    assign lane_entry[ENTRY*(W*AT+w) +: ENTRY] =
                        {one[WAITS-1:KEPT], {1'b0, one[KEPT-1:0], {LANE_WIDTH{1'b0}}} | SHARED};
                    assign lane_channel[TARGET*(W*AT+w) +: TARGET] =
                        CHANNELS > 1 ? one[KEPT+INTERLEAVE-5 +: TARGET] : {TARGET{1'b0}};
                end
                assign full[l] = !ready;
                `ASSERT(room, !(push[l] && !ready))
                wire [ARRIVED-1:0] came = arrived[ARRIVED*AT +: ARRIVED];
                assign write_id[ID_WIDTH*AT +: ID_WIDTH] = {1'b0, came[ARRIVED-1:257], {LANE_WIDTH{1'b0}}} | SHARED;
                assign write_data[256*AT +: 256] = came[255:0];
                assign came_job[JOB_WIDTH*l +: JOB_WIDTH] =
                    write_id[ID_WIDTH*AT+ROW_WIDTH+BANK_WIDTH +: JOB_WIDTH];
                assign came_wrong[l] = came[256];
                wire unused_cut = &{1'b0, cut[ROW_WIDTH], number, id};
            end
            job_tracker #(
                .KINDS(u == 0 ? 3 : 2), .SLOTS(SLOTS), .HEADS(HEADS), .OWNER_WIDTH(OWNER_WIDTH), .LANES(LANES),
                .COUNT_WIDTH(WORD_WIDTH)
            ) tracker (
                .clk(clk), .rst(rst), .clear(clear[JOBS*u +: JOBS]), .made_job(side[SIDE-1:ROW_WIDTH]), .made(made),
                .finish(finish), .came(write[LANES*u +: LANES]), .came_job(came_job), .came_wrong(came_wrong),
                .there(there[JOBS*u +: JOBS]), .wrong(wrong[JOBS*u +: JOBS])
            );
        end

        for (c = 0; c < CHANNELS; c = c + 1) begin : g_channel
            wire [W*BEAT-1:0] beats;
            window_fifo #(.WIDTH(BEAT), .DEPTH(ANSWER_DEPTH), .WINDOW(W)) answers (
                .clk(clk), .rst(rst), .s_valid(m_axi_rvalid[c]), .s_ready(m_axi_rready[c]),
                .s_data({m_axi_rid[ID_WIDTH*c +: ID_WIDTH], |m_axi_rresp[2*c +: 2], m_axi_rdata[256*c +: 256]}),
                .m_valid(back_valid[W*c +: W]), .m_data(beats), .m_take(back_take[W*c +: W])
            );
            for (w = 0; w < W; w = w + 1) begin : g_place
                wire [BEAT-1:0] beat = beats[BEAT*w +: BEAT];
                assign back[ARRIVED*(W*c+w) +: ARRIVED] = {beat[BEAT-2:257+LANE_WIDTH], beat[256:0]};
                if (LANES > 1) begin : g_several
                    assign back_lane[ALL_WIDTH*(W*c+w) +: ALL_WIDTH] = {beat[BEAT-1], beat[257 +: LANE_WIDTH]};
                end else begin : g_one
                    assign back_lane[ALL_WIDTH*(W*c+w) +: ALL_WIDTH] = beat[BEAT-1];
                end
            end
        end
    endgenerate

    // requests: a channel takes the next one when it has none to offer, or its own is accepted
    wire [CHANNELS-1:0]       asked_valid;
    wire [CHANNELS*ENTRY-1:0] asked;
    reg  [CHANNELS-1:0]       offer_reg;
    reg  [CHANNELS*ENTRY-1:0] offered_reg;
    wire [CHANNELS-1:0]       next = ~offer_reg | m_axi_arready;
    crossbar #(.SOURCES(2 * LANES * W), .TARGETS(CHANNELS), .WIDTH(ENTRY)) out (
        .turn(out_turn), .s_valid(lane_valid), .s_ready(lane_take),
        .s_target(lane_channel), .s_data(lane_entry), .m_valid(asked_valid), .m_ready(next), .m_data(asked)
    );
    assign m_axi_arvalid = offer_reg;
    generate
        for (c = 0; c < CHANNELS; c = c + 1) begin : g_ask
            always @(posedge clk) begin
                if (next[c]) begin
                    offered_reg[ENTRY*c +: ENTRY] <= asked[ENTRY*c +: ENTRY];
                end
            end
            assign m_axi_araddr[ADDRESS_WIDTH*c +: ADDRESS_WIDTH] = {offered_reg[ENTRY*c+ID_WIDTH +: BLOCK_WIDTH], 5'd0};
            assign m_axi_arid[ID_WIDTH*c +: ID_WIDTH] = offered_reg[ENTRY*c +: ID_WIDTH];
            `ASSERT_STABLE(request_stays, offer_reg[c], m_axi_arready[c], offered_reg[ENTRY*c +: ENTRY])
        end
    endgenerate
    always @(posedge clk) begin
        offer_reg <= ((offer_reg & ~next) | (asked_valid & next)) & {CHANNELS{!rst}};
    end

    // answers
    crossbar #(.SOURCES(CHANNELS * W), .TARGETS(2 * LANES), .WIDTH(ARRIVED)) home (
        .turn(back_turn), .s_valid(back_valid), .s_ready(back_take), .s_target(back_lane), .s_data(back),
        .m_valid(write), .m_ready({2*LANES{1'b1}}), .m_data(arrived)
    );

    wire unused_turn = &{1'b0, scaled};

endmodule

`resetall
