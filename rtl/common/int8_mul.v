// SPDX-License-Identifier: Apache-2.0
// y = a * b, signed 8-bit operands, signed 16-bit result: exact.
//
// Throughput one a cycle, latency LATENCY cycles. What fp16_mul is for FP16; no machine of ours has it, its area is set
// beside that one's.

`resetall
`default_nettype none

module int8_mul #(
    // pipeline registers, at least 1: from 2 on one holds the operands, the others stand behind the product
    parameter LATENCY = 1
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [7:0]  a,
    input  wire [7:0]  b,
    output wire [15:0] y
);

    localparam BEFORE = LATENCY >= 2 ? 1 : 0;

    wire [7:0] a_1, b_1;
    delay #(.WIDTH(16), .DEPTH(BEFORE)) operands (.clk(clk), .ce(ce), .d({a, b}), .q({a_1, b_1}));

    wire [15:0] product = $signed(a_1) * $signed(b_1);
    delay #(.WIDTH(16), .DEPTH(LATENCY - BEFORE)) result (.clk(clk), .ce(ce), .d(product), .q(y));

endmodule

`resetall
