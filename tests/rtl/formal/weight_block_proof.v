// SPDX-License-Identifier: Apache-2.0
// Claim: for every m that divides the lanes, every choice of orders and every way of waiting on either side, each weight
// that enters leaves once in each order asked for, in its place (see the module's head), while further blocks enter; a
// beat that waits stays. Said of one weight, which is any.

`resetall
`default_nettype none

module weight_block_proof #(
    parameter LANES = 4,
    parameter GROUP_MAX = 4
) (
    input wire                clk,
    input wire                in_valid,
    input wire [16*LANES-1:0] in_data,
    input wire                out_ready
);

    // chosen once
    (* anyconst *) reg [2:0]  m;
    (* anyconst *) reg        direct;
    (* anyconst *) reg        across;
    (* anyconst *) reg [1:0]  watched_block;
    (* anyconst *) reg [1:0]  watched_beat;
    (* anyconst *) reg [1:0]  watched_lane;
    (* anyconst *) reg [15:0] watched_data;

    reg       rst   = 1'b1;
    reg       clear = 1'b1;
    reg [1:0] in_block  = 2'd0;
    reg [1:0] in_beat   = 2'd0;
    reg [1:0] out_block = 2'd0;
    reg       out_turn  = 1'b0;
    reg [1:0] out_beat  = 2'd0;
    reg       stalled   = 1'b0;
    reg [16*LANES-1:0] held;

    wire                in_ready, out_valid;
    wire [16*LANES-1:0] out_data;

    weight_block #(.LANES(LANES), .GROUP_MAX(GROUP_MAX)) block_inst (
        .clk(clk), .rst(rst), .clear(clear), .m(m), .direct(direct), .across(across),
        .s_axis_tvalid(in_valid && !clear), .s_axis_tready(in_ready), .s_axis_tdata(in_data),
        .m_axis_tvalid(out_valid), .m_axis_tready(out_ready && !clear), .m_axis_tdata(out_data)
    );

    wire       turned = out_turn || !direct;
    wire [1:0] beat   = turned ? watched_lane % m : watched_beat;
    wire [2:0] lane   = turned ? watched_beat * (LANES / m) + watched_lane / m : {1'b0, watched_lane};

    always @* begin
        assume ((m == 1 || m == 2 || m == 4) && m <= GROUP_MAX && watched_lane < LANES);
        assume (direct || across);
        assume (watched_beat < m);
        assume (in_block != watched_block || in_beat != watched_beat || in_data[16*watched_lane +: 16] == watched_data);
        assume (in_block != 2'd3);
        if (!rst && !clear) begin
            assert (!out_valid || out_block < in_block);
            assert (out_valid || out_block == in_block);
            assert (!stalled || (out_valid && out_data == held));
            assert (!out_valid || out_block != watched_block || out_beat != beat ||
                    out_data[16*lane +: 16] == watched_data);
        end
    end

    always @(posedge clk) begin
        rst           <= 1'b0;
        clear         <= rst;
        stalled       <= out_valid && !out_ready && !clear;
        held          <= out_data;
        if (in_valid && in_ready && !clear) begin
            in_beat <= in_beat + 2'd1;
            if (in_beat + 3'd1 == m) begin
                in_beat  <= 2'd0;
                in_block <= in_block + 2'd1;
            end
        end
        if (out_valid && out_ready && !clear) begin
            out_beat <= out_beat + 2'd1;
            if (out_beat + 3'd1 == m) begin
                out_beat <= 2'd0;
                out_turn <= direct && across && !out_turn;
                if (!direct || !across || out_turn) begin
                    out_block <= out_block + 2'd1;
                end
            end
        end
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_waits    = stalled;
    (* keep *) wire cover_full     = !rst && !clear && in_valid && !in_ready;
    (* keep *) wire cover_watched  = !rst && !clear && out_valid && out_block == watched_block && out_beat == beat && m != 1;
    (* keep *) wire cover_turned   = !rst && !clear && out_valid && turned && m == GROUP_MAX;
    (* keep *) wire cover_both     = !rst && !clear && out_valid && out_turn;
    (* keep *) wire cover_second   = !rst && !clear && out_valid && out_block == 2'd1;

endmodule

`resetall
