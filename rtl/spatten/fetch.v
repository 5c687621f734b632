// SPDX-License-Identifier: Apache-2.0
// Fetch: two address generators, their lanes, both crossbars, an AXI4 read master for each channel, and who waits for what.
//
// The key unit fetches queries, keys and their LSBs, the value unit values. Every transaction is a burst of one beat of 32
// bytes; its identifier says where the beat goes: {unit, kind, owner, row, bank}. So beats may come in any order, after any
// time. Kinds: q (0), keys (1), LSBs (2); a query's own values (0), a head's (1). A job's words lie in an SRAM from its row on.

`resetall
`default_nettype none

module fetch #(
    // of each unit; a power of two
    parameter LANES = 16,
    parameter LANE_DEPTH = 4,
    parameter CHANNELS = 16,
    // log2 of the bytes that lie in a channel in a row
    parameter INTERLEAVE = 5,
    parameter TOKEN_WIDTH = 20,
    parameter LIST = 32,
    parameter ADDRESS_WIDTH = 40,
    parameter COUNT_WIDTH = 11,
    parameter PLACE_WIDTH = 12,
    parameter OWNER_WIDTH = 4,
    // of both SRAMs
    parameter KEY_BANKS = 32,
    parameter KEY_ROWS = 192,
    parameter VALUE_BANKS = 32,
    parameter VALUE_ROWS = 192,
    // derived
    parameter BANK_WIDTH = $clog2(KEY_BANKS > VALUE_BANKS ? KEY_BANKS : VALUE_BANKS),
    parameter ROW_WIDTH = $clog2(KEY_ROWS > VALUE_ROWS ? KEY_ROWS : VALUE_ROWS),
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
    localparam ENTRY       = BLOCK_WIDTH + ID_WIDTH;
    localparam LANE_WIDTH  = LANES > 1 ? $clog2(LANES) : 1;
    localparam ALL_WIDTH   = $clog2(2 * LANES);
    localparam TARGET      = CHANNELS > 1 ? $clog2(CHANNELS) : 1;
    localparam SOURCES     = CHANNELS > 1 ? CHANNELS : 2;  // of the crossbar back, which has two at least

    wire [2*LANES-1:0]        lane_valid, lane_ready;
    wire [2*LANES*ENTRY-1:0]  lane_entry;
    wire [2*LANES*TARGET-1:0] lane_channel;
    wire [SOURCES-1:0]            back_valid, back_ready;
    wire [SOURCES*(ID_WIDTH+258)-1:0] back;
    wire [SOURCES*ALL_WIDTH-1:0]  back_lane;
    wire [2*LANES*(ID_WIDTH+258)-1:0] arrived;

    genvar u, l, c;
    generate
        for (u = 0; u < 2; u = u + 1) begin : g_unit
            localparam BANKS = u == 0 ? KEY_BANKS : VALUE_BANKS;
            localparam ROWS  = u == 0 ? KEY_ROWS : VALUE_ROWS;
            localparam BANK  = $clog2(BANKS);
            localparam [ROW_WIDTH:0] ALL_ROWS = ROWS[ROW_WIDTH:0];
            wire [LANES-1:0]             full, push;
            wire [LANES*BLOCK_WIDTH-1:0] block;
            wire [LANES*WORD_WIDTH-1:0]  word;
            wire [SIDE-1:0]              side;
            wire [WORD_WIDTH-1:0]        made;
            wire                         finish;
            wire [LANES*JOB_WIDTH-1:0]   came_job;
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
                localparam [0:0] UNIT = u;
                wire [WORD_WIDTH-1:0] number = word[WORD_WIDTH*l +: WORD_WIDTH];
                wire [ROW_WIDTH:0] sum = {1'b0, side[ROW_WIDTH-1:0]} + {1'b0, number[BANK +: ROW_WIDTH]};
                wire [ROW_WIDTH:0] cut = sum >= ALL_ROWS ? sum - ALL_ROWS : sum;
                wire [BANK_WIDTH-1:0] bank = {{BANK_WIDTH-BANK{1'b0}}, number[BANK-1:0]};
                wire [ENTRY-1:0] entry;
                wire             ready;
                fifo #(.WIDTH(ENTRY), .DEPTH(LANE_DEPTH)) lane (
                    .clk(clk), .rst(rst), .s_valid(push[l]), .s_ready(ready),
                    .s_data({block[BLOCK_WIDTH*l +: BLOCK_WIDTH], UNIT, side[SIDE-1:ROW_WIDTH], cut[ROW_WIDTH-1:0], bank}),
                    .m_valid(lane_valid[LANES*u+l]), .m_ready(lane_ready[LANES*u+l]), .m_data(entry)
                );
                assign full[l] = !ready;
                assign lane_entry[ENTRY*(LANES*u+l) +: ENTRY] = entry;
                assign lane_channel[TARGET*(LANES*u+l) +: TARGET] =
                    CHANNELS > 1 ? entry[ID_WIDTH+INTERLEAVE-5 +: TARGET] : {TARGET{1'b0}};
                assign write_id[ID_WIDTH*(LANES*u+l) +: ID_WIDTH] = arrived[(ID_WIDTH+258)*(LANES*u+l)+258 +: ID_WIDTH];
                assign write_data[256*(LANES*u+l) +: 256] = arrived[(ID_WIDTH+258)*(LANES*u+l) +: 256];
                assign came_job[JOB_WIDTH*l +: JOB_WIDTH] =
                    write_id[ID_WIDTH*(LANES*u+l)+ROW_WIDTH+BANK_WIDTH +: JOB_WIDTH];
                assign came_wrong[l] = |arrived[(ID_WIDTH+258)*(LANES*u+l)+256 +: 2];
                wire unused_cut = &{1'b0, cut[ROW_WIDTH], number};
            end
            job_tracker #(.JOBS(JOBS), .JOB_WIDTH(JOB_WIDTH), .LANES(LANES), .COUNT_WIDTH(WORD_WIDTH)) tracker (
                .clk(clk), .rst(rst), .clear(clear[JOBS*u +: JOBS]), .made_job(side[SIDE-1:ROW_WIDTH]), .made(made),
                .finish(finish), .came(write[LANES*u +: LANES]), .came_job(came_job), .came_wrong(came_wrong),
                .there(there[JOBS*u +: JOBS]), .wrong(wrong[JOBS*u +: JOBS])
            );
        end

        for (c = 0; c < CHANNELS; c = c + 1) begin : g_channel
            wire [ID_WIDTH-1:0] id = m_axi_rid[ID_WIDTH*c +: ID_WIDTH];
            assign m_axi_rready[c] = back_ready[c];
            assign back_valid[c] = m_axi_rvalid[c];
            assign back[(ID_WIDTH+258)*c +: ID_WIDTH+258] = {id, m_axi_rresp[2*c +: 2], m_axi_rdata[256*c +: 256]};
            if (LANES > 1) begin : g_several
                assign back_lane[ALL_WIDTH*c +: ALL_WIDTH] = {id[ID_WIDTH-1], id[LANE_WIDTH-1:0]};
            end else begin : g_one
                assign back_lane[ALL_WIDTH*c +: ALL_WIDTH] = id[ID_WIDTH-1];
            end
        end
        if (SOURCES > CHANNELS) begin : g_second
            wire unused_ready = back_ready[1];
            assign back_valid[1] = 1'b0;
            assign back[ID_WIDTH+258 +: ID_WIDTH+258] = {ID_WIDTH+258{1'b0}};
            assign back_lane[ALL_WIDTH +: ALL_WIDTH]  = {ALL_WIDTH{1'b0}};
        end
    endgenerate

    wire [CHANNELS*ENTRY-1:0] asked;
    crossbar #(.SOURCES(2 * LANES), .TARGETS(CHANNELS), .WIDTH(ENTRY)) out (
        .clk(clk), .rst(rst), .turn(turn[ALL_WIDTH-1:0]), .s_valid(lane_valid), .s_ready(lane_ready),
        .s_target(lane_channel), .s_data(lane_entry), .m_valid(m_axi_arvalid), .m_ready(m_axi_arready), .m_data(asked)
    );
    generate
        for (c = 0; c < CHANNELS; c = c + 1) begin : g_ask
            assign m_axi_araddr[ADDRESS_WIDTH*c +: ADDRESS_WIDTH] = {asked[ENTRY*c+ID_WIDTH +: BLOCK_WIDTH], 5'd0};
            assign m_axi_arid[ID_WIDTH*c +: ID_WIDTH] = asked[ENTRY*c +: ID_WIDTH];
        end
    endgenerate

    crossbar #(.SOURCES(SOURCES), .TARGETS(2 * LANES), .WIDTH(ID_WIDTH + 258)) home (
        .clk(clk), .rst(rst), .turn(CHANNELS > 1 ? turn[$clog2(SOURCES)-1:0] : {$clog2(SOURCES){1'b0}}), .s_valid(back_valid),
        .s_ready(back_ready), .s_target(back_lane), .s_data(back), .m_valid(write), .m_ready({2*LANES{1'b1}}),
        .m_data(arrived)
    );

    wire unused_turn = &{1'b0, turn};

endmodule

`resetall
