// SPDX-License-Identifier: Apache-2.0
// Claim: for every command and every way of waiting on either side, the engine takes rounds * m beats and offers
// rounds * n, the last one marked; a beat that waits stays as it is; it is done once, after the last. Where a group keeps
// all its elements (n = m) the stream is the input, nothing lost, doubled or moved: said of one beat, which is any.

`resetall
`default_nettype none

module sore_proof #(
    parameter ENTRIES = 2,
    parameter GROUP_MAX = 4,
    parameter ROUNDS = 3
) (
    input wire        clk,
    input wire        in_valid,
    input wire [15:0] in_data,
    input wire        out_ready
);

    // chosen once
    (* anyconst *) reg [1:0]  n;
    (* anyconst *) reg [2:0]  m;
    (* anyconst *) reg [1:0]  rounds;
    (* anyconst *) reg [3:0]  watched;
    (* anyconst *) reg [15:0] watched_data;

    reg        rst     = 1'b1;
    reg        started = 1'b0;
    reg        ended   = 1'b0;
    reg [3:0]  in      = 4'd0;
    reg [3:0]  out     = 4'd0;
    reg        stalled = 1'b0;
    reg [24:0] held;

    wire        cmd_ready, done, in_ready, out_valid, out_last;
    wire [23:0] out_data;

    sore #(.LANES(1), .ENTRIES(ENTRIES), .GROUP_MAX(GROUP_MAX)) sore_inst (
        .clk(clk), .rst(rst),
        .s_cmd_valid(!rst && !started), .s_cmd_ready(cmd_ready),
        .s_cmd_n(n), .s_cmd_m(m), .s_cmd_rounds({30'd0, rounds}), .done(done),
        .s_axis_tvalid(in_valid), .s_axis_tready(in_ready), .s_axis_tdata(in_data),
        .m_axis_tvalid(out_valid), .m_axis_tready(out_ready), .m_axis_tdata(out_data), .m_axis_tlast(out_last)
    );

    always @* begin
        assume (n >= 1 && n <= ENTRIES && n <= m && m <= GROUP_MAX && rounds <= ROUNDS);
        assume (in != watched || in_data == watched_data);
        if (!rst) begin
            assert (started || cmd_ready);
            assert (!in_ready || (started && in < rounds * m));
            assert (!out_valid || (out < rounds * n && out_last == (out + 4'd1 == rounds * n)));
            assert (!stalled || (out_valid && {out_last, out_data} == held));
            assert (!done || (!ended && in == rounds * m && out == rounds * n));
            assert (!(started && cmd_ready) || done || ended);
            assert (!out_valid || n != m || out != watched || out_data[15:0] == watched_data);
        end
    end

    always @(posedge clk) begin
        rst          <= 1'b0;
        started      <= !rst;
        ended        <= ended || (!rst && done);
        stalled      <= !rst && out_valid && !out_ready;
        held         <= {out_last, out_data};
        in           <= in + {3'd0, !rst && in_valid && in_ready};
        out          <= out + {3'd0, !rst && out_valid && out_ready};
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_waits     = stalled;
    (* keep *) wire cover_held_up   = !rst && started && !ended && in_valid && !in_ready;
    (* keep *) wire cover_starved   = !rst && in_ready && !in_valid;
    (* keep *) wire cover_last      = !rst && out_valid && out_last && out != 0;
    (* keep *) wire cover_watched   = !rst && out_valid && n == m && out == watched && watched != 0;
    (* keep *) wire cover_done      = !rst && done && rounds == ROUNDS;
    (* keep *) wire cover_largest   = !rst && done && m == GROUP_MAX && n == ENTRIES;
    (* keep *) wire cover_idle_again = !rst && ended && cmd_ready;

endmodule

`resetall
