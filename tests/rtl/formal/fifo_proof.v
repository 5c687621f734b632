// SPDX-License-Identifier: Apache-2.0
// Claim: what the FIFO takes comes out once, as it went in, in its order, and not before the next cycle; it takes entries
// while it holds fewer than DEPTH and offers one while it holds any.
//
// Said of one entry, which is any: the one that is taken as number `watched`.

`resetall
`default_nettype none

module fifo_proof #(
    parameter DEPTH = 3,
    parameter WIDTH = 3
) (
    input wire             clk,
    input wire             s_valid,
    input wire             m_ready,
    input wire [WIDTH-1:0] s_data
);

    // chosen once
    (* anyconst *) reg [4:0]       watched;
    (* anyconst *) reg [WIDTH-1:0] entry;

    reg rst = 1'b1;
    wire s_ready, m_valid;
    wire [WIDTH-1:0] m_data;
    fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH)) queue (
        .clk(clk), .rst(rst), .s_valid(s_valid), .s_ready(s_ready), .s_data(s_data), .m_valid(m_valid), .m_ready(m_ready),
        .m_data(m_data)
    );

    reg [4:0] taken = 5'd0, given = 5'd0;
    always @(posedge clk) begin
        rst <= 1'b0;
        if (!rst) begin
            taken <= taken + (s_valid && s_ready);
            given <= given + (m_valid && m_ready);
        end
    end

    wire [4:0] inside = taken - given;
    always @* begin
        assume (taken != watched || s_data == entry);
        if (!rst) begin
            assert (inside <= DEPTH);
            assert (s_ready == (inside < DEPTH));
            assert (m_valid == (inside > 0));
            assert (!m_valid || given != watched || m_data == entry);
        end
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_full    = !rst && inside == DEPTH;
    (* keep *) wire cover_refused = !rst && s_valid && !s_ready;
    (* keep *) wire cover_waits   = !rst && m_valid && !m_ready;
    (* keep *) wire cover_empty   = !rst && given != 0 && inside == 0;
    (* keep *) wire cover_watched = !rst && m_valid && given == watched && watched != 0;
    (* keep *) wire cover_through = !rst && (DEPTH == 1 || (s_valid && s_ready && m_valid && m_ready));

endmodule

`resetall
