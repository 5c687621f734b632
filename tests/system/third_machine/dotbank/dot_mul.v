// SPDX-License-Identifier: Apache-2.0
// y = a * b, unsigned, LATENCY cycles later; held while ce is low.
`resetall
`default_nettype none

module dot_mul #(
    parameter LATENCY = 1  // cycles from operands to product; only 1
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [15:0] a,
    input  wire [15:0] b,
    output wire [31:0] y
);

    if (LATENCY != 1) begin : illegal
        initial $fatal(1, "%m: LATENCY must be 1");
    end

    reg [31:0] y_reg;
    assign y = y_reg;

    always @(posedge clk) begin
        if (ce) y_reg <= a * b;
    end

endmodule

`resetall
