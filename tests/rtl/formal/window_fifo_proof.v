// SPDX-License-Identifier: Apache-2.0
// Claim: whatever is asked for, an entry that the FIFO takes is in it from the next cycle on, behind those that were there;
// the places of the window show its oldest entries, in their order; one that is taken is gone and the others close up, so
// nothing is lost or comes twice. It takes entries while it holds fewer than DEPTH; what is asked for where nothing is
// changes nothing.
//
// Said of one entry, which is any: the one that is taken as number `watched`. Where it stands is counted from outside.

`resetall
`default_nettype none

module window_fifo_proof #(
    parameter DEPTH = 3,
    parameter WINDOW = 2,
    parameter WIDTH = 2
) (
    input wire              clk,
    input wire              s_valid,
    input wire [WIDTH-1:0]  s_data,
    input wire [WINDOW-1:0] m_take
);

    // chosen once
    (* anyconst *) reg [4:0]       watched;
    (* anyconst *) reg [WIDTH-1:0] entry;

    reg rst = 1'b1;
    wire s_ready;
    wire [WINDOW-1:0]       m_valid;
    wire [WINDOW*WIDTH-1:0] m_data;
    window_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH), .WINDOW(WINDOW)) queue (
        .clk(clk), .rst(rst), .s_valid(s_valid), .s_ready(s_ready), .s_data(s_data), .m_valid(m_valid), .m_data(m_data),
        .m_take(m_take)
    );

    reg [4:0] taken = 5'd0, count = 5'd0, place = 5'd0;
    reg       inside = 1'b0;  // the watched one, at `place`
    reg [4:0] gone, before;   // of what is there, entries taken out; of those, in front of the watched one
    reg       leaves;
    integer i;
    always @* begin
        gone   = 5'd0;
        before = 5'd0;
        leaves = 1'b0;
        for (i = 0; i < WINDOW; i = i + 1) begin
            if (m_take[i] && i < count) begin
                gone   = gone + 5'd1;
                before = before + (i < place);
                leaves = leaves || i == place;
            end
        end
    end

    wire put = s_valid && count < DEPTH;
    always @(posedge clk) begin
        rst <= 1'b0;
        if (!rst) begin
            taken <= taken + put;
            count <= count + put - gone;
            if (put && taken == watched) begin
                inside <= 1'b1;
                place  <= count - gone;
            end else begin
                inside <= inside && !leaves;
                place  <= place - before;
            end
        end
    end

    always @* begin
        assume (taken != watched || s_data == entry);
        if (!rst) begin
            assert (s_ready == (count < DEPTH));
            for (i = 0; i < WINDOW; i = i + 1) begin
                assert (m_valid[i] == (i < count));
                assert (!inside || i != place || m_data[WIDTH*i +: WIDTH] == entry);
            end
        end
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_full         = !rst && count == DEPTH;
    (* keep *) wire cover_refused      = !rst && s_valid && !s_ready;
    (* keep *) wire cover_several      = !rst && (WINDOW == 1 || gone > 5'd1);
    (* keep *) wire cover_seen         = !rst && inside && place < WINDOW && watched != 0;
    (* keep *) wire cover_moves_up     = !rst && (DEPTH == 1 || (inside && !leaves && before != 5'd0));
    (* keep *) wire cover_out_of_order = !rst && (WINDOW == 1 || (!m_take[0] && gone != 5'd0));
    (* keep *) wire cover_through      = !rst && (DEPTH == 1 || (put && gone != 5'd0));

endmodule

`resetall
