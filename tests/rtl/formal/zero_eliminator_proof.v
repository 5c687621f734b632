// SPDX-License-Identifier: Apache-2.0
// Claim: whatever stood in its registers before, for every pattern of marks and every element, the zero eliminator gives
// one result for each input it took, with the number of marked elements, and the marked elements in front in their order:
// the watched element, which is any, stands at the place that is the number of marked ones below it, and behind the marked
// ones all is 0. A result that is not taken stays as it is, and nothing is taken while it waits.

`resetall
`default_nettype none

module zero_eliminator_proof #(
    parameter LANES = 8,
    parameter WIDTH = 2,
    parameter COUNT_WIDTH = $clog2(LANES + 1)
) (
    input wire                   clk,
    input wire                   s_valid,
    input wire                   m_ready,
    input wire [WIDTH*LANES-1:0] elements,
    input wire [LANES-1:0]       keep
);

    localparam PLACE = $clog2(LANES);

    // chosen once
    (* anyconst *) reg [PLACE-1:0] watched;

    reg rst = 1'b1;
    wire s_ready, m_valid;
    wire [WIDTH*LANES-1:0] found;
    wire [COUNT_WIDTH-1:0] count;
    zero_eliminator #(.LANES(LANES), .WIDTH(WIDTH)) eliminate (
        .clk(clk), .rst(rst), .s_axis_tvalid(s_valid), .s_axis_tready(s_ready), .s_axis_tdata(elements),
        .s_axis_tkeep(keep), .m_axis_tvalid(m_valid), .m_axis_tready(m_ready), .m_axis_tdata(found), .m_axis_tcount(count)
    );

    // what was taken
    reg                   taken = 1'b0;   // and not yet given
    reg                   kept_watched;
    reg [WIDTH-1:0]       element;
    reg [COUNT_WIDTH-1:0] below, marked;
    reg [COUNT_WIDTH-1:0] below_next, marked_next;
    integer i;
    always @* begin
        below_next  = 0;
        marked_next = 0;
        for (i = 0; i < LANES; i = i + 1) begin
            below_next  = below_next + (keep[i] && i < watched);
            marked_next = marked_next + keep[i];
        end
    end

    reg                   waited = 1'b0;
    reg [WIDTH*LANES-1:0] found_before;
    reg [COUNT_WIDTH-1:0] count_before;
    always @(posedge clk) begin
        rst <= 1'b0;
        if (!rst && s_valid && s_ready) begin
            kept_watched <= keep[watched];
            element      <= elements[WIDTH*watched +: WIDTH];
            below        <= below_next;
            marked       <= marked_next;
        end
        taken        <= !rst && ((s_valid && s_ready) || (taken && !(m_valid && m_ready)));
        waited       <= !rst && m_valid && !m_ready;
        found_before <= found;
        count_before <= count;
    end

    integer n;
    always @* begin
        if (!rst) begin
            assert (m_valid == taken);
            assert (s_ready == (!m_valid || m_ready));
            if (m_valid) begin
                assert (count == marked);
                assert (!kept_watched || found[WIDTH*below +: WIDTH] == element);
                for (n = 0; n < LANES; n = n + 1) begin
                    assert (n < count || found[WIDTH*n +: WIDTH] == 0);
                end
            end
            assert (!waited || (m_valid && found == found_before && count == count_before));
        end
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_waited  = !rst && waited;
    (* keep *) wire cover_held_up = !rst && s_valid && !s_ready;
    (* keep *) wire cover_moved   = !rst && m_valid && kept_watched && below != 0 && below < watched;
    (* keep *) wire cover_none    = !rst && m_valid && count == 0;
    (* keep *) wire cover_all     = !rst && m_valid && count == LANES;
    (* keep *) wire cover_through = !rst && m_valid && m_ready && s_valid;

endmodule

`resetall
