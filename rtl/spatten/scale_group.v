// SPDX-License-Identifier: Apache-2.0
// A group of prob x V: 32 elements of a value times one probability, registered.

`resetall
`default_nettype none

module scale_group #(
    // bits of an element, of a probability (without a sign)
    parameter BITS = 12,
    parameter PROB_BITS = 12,
    parameter PRODUCT = BITS + PROB_BITS + 1
) (
    input  wire                  clk,
    input  wire [32*BITS-1:0]    elements,
    input  wire [PROB_BITS-1:0]  probability,
    output reg  [32*PRODUCT-1:0] products
);

    integer e;
    always @(posedge clk) begin
        for (e = 0; e < 32; e = e + 1) begin
            products[PRODUCT*e +: PRODUCT] <= $signed(elements[BITS*e +: BITS]) * $signed({1'b0, probability});
        end
    end

endmodule

`resetall
