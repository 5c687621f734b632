// SPDX-License-Identifier: Apache-2.0
// REDUCE and UPDATE: SORE and WUVE, a lane a column, fed from the buffers and writing to them.
//
// REDUCE: dense weights of the north buffer to their n of m, back to the north buffer.
// UPDATE: {momentum, weight} of the state buffer with the gradients of the output buffer (rounded to binary16), in place;
// with `direct` or `across`, the new weights go on through SORE to the north buffer, as the forward and the backward
// pass's sparse weights: a group of m words a lane, or m lanes of a word (see weight_block).
// Reads are for memories that answer in the next cycle. Words are taken from the cycle after `start`.

`resetall
`default_nettype none
`include "assertions.vh"

module sat_engines #(
    parameter COLS = 32,
    // largest n and m
    parameter ENTRIES = 8,
    parameter GROUP_MAX = 16,
    parameter MUL_LATENCY = 3,
    parameter ADD_LATENCY = 4,
    parameter ADDRESS_WIDTH = 16
) (
    input  wire                     clk,
    input  wire                     rst,
    input  wire                     reduce_start,
    input  wire                     update_start,
    output wire                     done,

    // the command's fields, held while it runs
    input  wire [31:0]              n,
    input  wire [31:0]              m,
    input  wire [31:0]              rounds,           // of SORE
    input  wire                     direct,
    input  wire                     across,
    input  wire [ADDRESS_WIDTH-1:0] source,           // REDUCE: first dense word in the north buffer
    input  wire [ADDRESS_WIDTH-1:0] direct_target,    // REDUCE, UPDATE: first sparse word in the north buffer
    input  wire [ADDRESS_WIDTH-1:0] across_target,
    input  wire [95:0]              rates,            // {minus rate, beta, decay}
    input  wire [31:0]              words,            // UPDATE
    input  wire [ADDRESS_WIDTH-1:0] state_first,
    input  wire [ADDRESS_WIDTH-1:0] gradient_first,

    output wire [ADDRESS_WIDTH-1:0] north_address,
    input  wire [24*COLS-1:0]       north_data,
    output wire                     north_write,
    output wire [ADDRESS_WIDTH-1:0] north_write_address,
    output wire [24*COLS-1:0]       north_write_data,
    output wire [ADDRESS_WIDTH-1:0] gradient_address,
    input  wire [32*COLS-1:0]       gradient_data,
    output wire [ADDRESS_WIDTH-1:0] state_address,
    input  wire [64*COLS-1:0]       state_data,
    output wire                     state_write,
    output wire [ADDRESS_WIDTH-1:0] state_write_address,
    output wire [64*COLS-1:0]       state_write_data
);

    localparam INDEX_WIDTH = $clog2(GROUP_MAX) > 0 ? $clog2(GROUP_MAX) : 1;
    localparam COUNT_WIDTH = $clog2(ENTRIES + 1);

    reg                     reducing_reg;      // the running command is REDUCE
    reg                     updating_reg;
    reg                     pregenerate_reg;   // UPDATE with sparse weights
    reg [ADDRESS_WIDTH-1:0] north_reg;
    reg [ADDRESS_WIDTH-1:0] gradient_reg;
    reg [ADDRESS_WIDTH-1:0] state_reg;
    reg [ADDRESS_WIDTH-1:0] state_write_reg;
    reg [ADDRESS_WIDTH-1:0] direct_reg;
    reg [ADDRESS_WIDTH-1:0] across_reg;
    reg [COUNT_WIDTH-1:0]   entry_reg;
    reg                     turn_reg;          // the round being written is of weights across
    reg                     sore_done_reg;
    reg                     wuve_done_reg;

    wire pregenerate = direct || across;
    wire sore_ready, wuve_ready, sore_done, wuve_done, sore_cmd_ready, wuve_cmd_ready;
    wire block_ready, block_valid, wuve_valid, sore_valid, sore_last, wuve_last;
    wire [16*COLS-1:0] dense, block_data, halves;
    wire [80*COLS-1:0] wuve_in, wuve_out;

    // reads: the word in use stays addressed until it is taken
    wire sore_take = reducing_reg && sore_ready;
    wire wuve_take = updating_reg && wuve_ready;
    assign north_address    = reduce_start ? source : sore_take ? north_reg + 1'b1 : north_reg;
    assign gradient_address = update_start ? gradient_first : wuve_take ? gradient_reg + 1'b1 : gradient_reg;
    assign state_address    = update_start ? state_first : wuve_take ? state_reg + 1'b1 : state_reg;

    genvar c;
    generate
        for (c = 0; c < COLS; c = c + 1) begin : g_column
            wire [15:0] gradient;
            fp32_to_fp16 gradient_inst (.a(gradient_data[32*c +: 32]), .y(gradient));
            assign dense[16*c +: 16]            = north_data[24*c +: 16];
            assign wuve_in[80*c +: 80]          = {gradient, state_data[64*c +: 64]};
            assign halves[16*c +: 16]           = wuve_out[80*c + 64 +: 16];
            assign state_write_data[64*c +: 64] = wuve_out[80*c +: 64];
            wire unused = &{1'b0, north_data[24*c + 16 +: 8]};
        end
    endgenerate

    wuve #(.LANES(COLS), .MUL_LATENCY(MUL_LATENCY), .ADD_LATENCY(ADD_LATENCY)) wuve_inst (
        .clk(clk), .rst(rst),
        .s_cmd_valid(update_start), .s_cmd_ready(wuve_cmd_ready), .s_cmd_minus_rate(rates[95:64]),
        .s_cmd_beta(rates[63:32]), .s_cmd_decay(rates[31:0]), .s_cmd_rounds(words), .done(wuve_done),
        .s_axis_tvalid(updating_reg), .s_axis_tready(wuve_ready), .s_axis_tdata(wuve_in),
        .m_axis_tvalid(wuve_valid), .m_axis_tready(!pregenerate_reg || block_ready), .m_axis_tdata(wuve_out),
        .m_axis_tlast(wuve_last)
    );
    assign state_write         = wuve_valid && (!pregenerate_reg || block_ready);
    assign state_write_address = state_write_reg;

    weight_block #(.LANES(COLS), .GROUP_MAX(GROUP_MAX), .INDEX_WIDTH(INDEX_WIDTH)) block_inst (
        .clk(clk), .rst(rst), .clear(update_start), .m(m[INDEX_WIDTH:0]), .direct(direct), .across(across),
        .s_axis_tvalid(wuve_valid && pregenerate_reg), .s_axis_tready(block_ready), .s_axis_tdata(halves),
        .m_axis_tvalid(block_valid), .m_axis_tready(updating_reg && sore_ready), .m_axis_tdata(block_data)
    );

    sore #(
        .LANES(COLS), .ENTRIES(ENTRIES), .GROUP_MAX(GROUP_MAX), .INDEX_WIDTH(INDEX_WIDTH), .COUNT_WIDTH(COUNT_WIDTH)
    ) sore_inst (
        .clk(clk), .rst(rst),
        .s_cmd_valid(reduce_start || (update_start && pregenerate)), .s_cmd_ready(sore_cmd_ready),
        .s_cmd_n(n[COUNT_WIDTH-1:0]), .s_cmd_m(m[INDEX_WIDTH:0]), .s_cmd_rounds(rounds), .done(sore_done),
        .s_axis_tvalid(reducing_reg || block_valid), .s_axis_tready(sore_ready),
        .s_axis_tdata(reducing_reg ? dense : block_data),
        .m_axis_tvalid(sore_valid), .m_axis_tready(1'b1), .m_axis_tdata(north_write_data), .m_axis_tlast(sore_last)
    );
    wire both      = pregenerate_reg && direct && across;
    wire to_across = both ? turn_reg : pregenerate_reg && across;
    wire round_end = entry_reg + 1'b1 == n[COUNT_WIDTH-1:0];
    assign north_write         = sore_valid;
    assign north_write_address = to_across ? across_reg : direct_reg;

    // a command ends with the later of its engines
    wire sore_over = sore_done || sore_done_reg;
    wire wuve_over = wuve_done || wuve_done_reg;
    assign done = (reducing_reg && sore_done) || (updating_reg && wuve_over && (!pregenerate_reg || sore_over));

    wire unused = &{1'b0, n, m, wuve_last, sore_last, sore_cmd_ready, wuve_cmd_ready};

    always @(posedge clk) begin
        north_reg    <= north_address;
        gradient_reg <= gradient_address;
        state_reg    <= state_address;
        if (state_write) begin
            state_write_reg <= state_write_reg + 1'b1;
        end
        if (sore_valid) begin
            if (to_across) begin
                across_reg <= across_reg + 1'b1;
            end else begin
                direct_reg <= direct_reg + 1'b1;
            end
            entry_reg <= round_end ? {COUNT_WIDTH{1'b0}} : entry_reg + 1'b1;
            turn_reg  <= turn_reg ^ round_end;
        end
        sore_done_reg <= sore_over;
        wuve_done_reg <= wuve_over;
        if (done) begin
            reducing_reg    <= 1'b0;
            updating_reg    <= 1'b0;
            pregenerate_reg <= 1'b0;
        end
        if (reduce_start || update_start) begin
            reducing_reg    <= reduce_start;
            updating_reg    <= update_start;
            pregenerate_reg <= update_start && pregenerate;
            state_write_reg <= state_first;
            direct_reg      <= direct_target;
            across_reg      <= across_target;
            entry_reg       <= {COUNT_WIDTH{1'b0}};
            turn_reg        <= 1'b0;
            sore_done_reg   <= 1'b0;
            wuve_done_reg   <= 1'b0;
        end

        if (rst) begin
            reducing_reg    <= 1'b0;
            updating_reg    <= 1'b0;
            pregenerate_reg <= 1'b0;
        end
    end

    `ASSERT(sore_free, !(reduce_start || (update_start && pregenerate)) || sore_cmd_ready)
    `ASSERT(wuve_free, !update_start || wuve_cmd_ready)
    `ASSERT(one_command, $onehot0({reducing_reg, updating_reg}))

endmodule

`resetall
