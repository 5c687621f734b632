// SPDX-License-Identifier: Apache-2.0
// prob x V: sums of one element of each 32, over the groups and over the cycles; a vector has 1, 2 or 4 such elements.
//
// Group n works on quarter n mod 2^dimension of its vector, plus `offset` where a vector takes several cycles.

`resetall
`default_nettype none

module value_sum #(
    // a power of two
    parameter GROUPS = 16,
    // bits of a product, of a sum
    parameter PRODUCT = 25,
    parameter OUT_WIDTH = 35
) (
    input  wire                      clk,
    input  wire                      enable,
    input  wire                      clear,       // begin from 0
    input  wire [1:0]                dimension,   // 32, 64, 128
    input  wire [1:0]                offset,
    input  wire [PRODUCT*GROUPS-1:0] products,
    output wire [4*OUT_WIDTH-1:0]    sum
);

    reg  [4*OUT_WIDTH-1:0] sum_reg;
    reg  [4*OUT_WIDTH-1:0] fours;  // of the groups that are the same modulo 4
    integer n;
    always @* begin
        fours = {4*OUT_WIDTH{1'b0}};
        for (n = 0; n < GROUPS; n = n + 1) begin
            fours[OUT_WIDTH*(n%4) +: OUT_WIDTH] = fours[OUT_WIDTH*(n%4) +: OUT_WIDTH]
                + {{OUT_WIDTH-PRODUCT{products[PRODUCT*(n+1)-1]}}, products[PRODUCT*n +: PRODUCT]};
        end
    end
    wire [OUT_WIDTH-1:0] even = fours[0 +: OUT_WIDTH] + fours[2*OUT_WIDTH +: OUT_WIDTH];
    wire [OUT_WIDTH-1:0] odd  = fours[OUT_WIDTH +: OUT_WIDTH] + fours[3*OUT_WIDTH +: OUT_WIDTH];
    wire                 two  = dimension == 2'd1;
    wire                 four = dimension[1];
    wire [OUT_WIDTH-1:0] none = {OUT_WIDTH{1'b0}};
    wire [4*OUT_WIDTH-1:0] quarters = {
        four ? fours[3*OUT_WIDTH +: OUT_WIDTH] : none, four ? fours[2*OUT_WIDTH +: OUT_WIDTH] : none,
        four ? fours[OUT_WIDTH +: OUT_WIDTH] : two ? odd : none, four ? fours[0 +: OUT_WIDTH] : two ? even : even + odd
    };
    wire [4*OUT_WIDTH-1:0] placed = offset == 2'd0 ? quarters : offset == 2'd1 ? quarters << OUT_WIDTH
        : offset == 2'd2 ? quarters << 2*OUT_WIDTH : quarters << 3*OUT_WIDTH;
    genvar q;
    generate
        for (q = 0; q < 4; q = q + 1) begin : g_quarter
            assign sum[OUT_WIDTH*q +: OUT_WIDTH] =
                (clear ? none : sum_reg[OUT_WIDTH*q +: OUT_WIDTH]) + placed[OUT_WIDTH*q +: OUT_WIDTH];
        end
    endgenerate
    always @(posedge clk) begin
        if (enable) begin
            sum_reg <= sum;
        end
    end

endmodule

`resetall
