// SPDX-License-Identifier: Apache-2.0
// Where the k-th largest of a query's probabilities lies, told from the rows as they leave the divider.
//
// Bins: each value below 2^LOW_WIDTH has its own, numbered as the value; the others have one for each upper half of the
// bits, numbered 2^LOW_WIDTH + that half. As probabilities of a query have a sum of one, the k-th largest is not above 1/k:
// where k is more than 2^(PROB_BITS - LOW_WIDTH), its bin has one value only. Absent lanes are 0. The result comes
// STEPS + 1 cycles after the last row, STEPS = ceil((LOW_WIDTH + 1) / 3), not registered; a row may come every cycle.

`resetall
`default_nettype none

module prob_histogram #(
    parameter LANES = 8,
    parameter PROB_BITS = 12,
    // most probabilities of a query
    parameter SIZE = 1024,
    parameter SLOT_WIDTH = 3,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LOW_WIDTH = (PROB_BITS + 1) / 2
) (
    input  wire                       clk,
    input  wire                       rst,

    input  wire                       s_valid,
    input  wire                       s_first,
    input  wire                       s_last,
    input  wire [PROB_BITS*LANES-1:0] s_probabilities,
    // with the last row
    input  wire [COUNT_WIDTH-1:0]     s_keep,
    input  wire [SLOT_WIDTH-1:0]      s_slot,

    output wire                       m_valid,
    output wire [SLOT_WIDTH-1:0]      m_slot,
    output wire [LOW_WIDTH:0]         m_bin,
    // how many of the bin are kept
    output wire [COUNT_WIDTH-1:0]     m_missing
);

    localparam HIGH_WIDTH = PROB_BITS - LOW_WIDTH;

    generate
        if (PROB_BITS < 2 || PROB_BITS > 22 || SIZE < LANES) begin : g_illegal
            illegal_parameter_of_prob_histogram illegal ();
        end
    endgenerate

    wire [(LOW_WIDTH+1)*LANES-1:0] numbers;
    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            wire [LOW_WIDTH-1:0]  low  = s_probabilities[PROB_BITS*l +: LOW_WIDTH];
            wire [HIGH_WIDTH-1:0] high = s_probabilities[PROB_BITS*l+LOW_WIDTH +: HIGH_WIDTH];
            assign numbers[(LOW_WIDTH+1)*l +: LOW_WIDTH+1] =
                high == 0 ? {1'b0, low} : {1'b1, {LOW_WIDTH-HIGH_WIDTH{1'b0}}, high};
        end
    endgenerate

    histogram #(
        .LANES(LANES), .BITS(LOW_WIDTH + 1), .COUNT_WIDTH(COUNT_WIDTH), .SIDE_WIDTH(SLOT_WIDTH)
    ) bins_of_rows (
        .clk(clk), .rst(rst), .s_valid(s_valid), .s_first(s_first), .s_last(s_last), .s_bins(numbers), .s_k(s_keep),
        .s_side(s_slot), .m_valid(m_valid), .m_bin(m_bin), .m_missing(m_missing), .m_side(m_slot)
    );

endmodule

`resetall
