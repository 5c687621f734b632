// SPDX-License-Identifier: Apache-2.0
// y = a * b, binary16 operands, binary32 result: exact, never rounded.
//
// Throughput one a cycle, latency LATENCY cycles, their registers between the four steps of the product. Subnormal
// operands, infinities and signed zeros as IEEE 754; every NaN result is the canonical 7fc00000. The smallest product,
// 2^-48, is a normal binary32 number.

`resetall
`default_nettype none

module fp16_mul #(
    // pipeline registers, at least 1; 4 have one behind each step, more stand behind the last
    parameter LATENCY = 3
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [15:0] a,
    input  wire [15:0] b,
    output wire [31:0] y
);

    // registers behind a step
    localparam AFTER_1 = LATENCY >= 3 ? 1 : 0;
    localparam AFTER_2 = LATENCY >= 2 ? 1 : 0;
    localparam AFTER_3 = LATENCY >= 4 ? 1 : 0;
    localparam AFTER_4 = LATENCY - AFTER_1 - AFTER_2 - AFTER_3;

    // 1. the operands: significand * 2^(exponent - 25); subnormal numbers have exponent 1 and no hidden bit
    wire [15:0] a_1, b_1;
    delay #(.WIDTH(32), .DEPTH(AFTER_1)) step_1 (.clk(clk), .ce(ce), .d({a, b}), .q({a_1, b_1}));

    // 2. product of the significands, sum of the exponents
    wire a_special = &a_1[14:10];
    wire b_special = &b_1[14:10];
    wire a_nan     = a_special && |a_1[9:0];
    wire b_nan     = b_special && |b_1[9:0];
    wire a_zero    = ~|a_1[14:0];
    wire b_zero    = ~|b_1[14:0];
    wire sign      = a_1[15] ^ b_1[15];
    wire is_nan      = a_nan || b_nan || (a_special && b_zero) || (b_special && a_zero);
    wire is_infinite = a_special || b_special;
    wire [10:0] a_sig = {|a_1[14:10], a_1[9:0]};
    wire [10:0] b_sig = {|b_1[14:10], b_1[9:0]};
    wire [4:0]  a_exp = {a_1[14:11], a_1[10] | ~|a_1[14:10]};
    wire [4:0]  b_exp = {b_1[14:11], b_1[10] | ~|b_1[14:10]};
    wire [5:0]  both  = {1'b0, a_exp} + {1'b0, b_exp};
    wire [21:0] product = a_sig * b_sig;

    wire        sign_2, nan_2, infinite_2;
    wire [5:0]  both_2;
    wire [21:0] product_2;
    delay #(.WIDTH(31), .DEPTH(AFTER_2)) step_2 (
        .clk(clk), .ce(ce), .d({sign, is_nan, is_infinite, both, product}),
        .q({sign_2, nan_2, infinite_2, both_2, product_2})
    );

    // 3. leading zeros of the product
    wire [4:0]  zeros;
    leading_zeros #(.WIDTH(22)) zeros_inst (.a(product_2), .count(zeros));

    wire        sign_3, nan_3, infinite_3;
    wire [5:0]  both_3;
    wire [21:0] product_3;
    wire [4:0]  zeros_3;
    delay #(.WIDTH(36), .DEPTH(AFTER_3)) step_3 (
        .clk(clk), .ce(ce), .d({sign_2, nan_2, infinite_2, both_2, product_2, zeros}),
        .q({sign_3, nan_3, infinite_3, both_3, product_3, zeros_3})
    );

    // 4. the leading one to bit 21: product = 1.xx * 2^(21 - zeros + both - 50)
    wire [21:0] norm     = product_3 << zeros_3;
    wire [7:0]  exponent = 8'd98 + {2'b0, both_3} - {3'b0, zeros_3};

    reg [31:0] result;
    always @* begin
        if (nan_3) begin
            result = 32'h7fc00000;
        end else if (infinite_3) begin
            result = {sign_3, 8'hff, 23'd0};
        end else if (!norm[21]) begin
            result = {sign_3, 31'd0};
        end else begin
            result = {sign_3, exponent, norm[20:0], 2'b00};
        end
    end
    delay #(.WIDTH(32), .DEPTH(AFTER_4)) step_4 (.clk(clk), .ce(ce), .d(result), .q(y));

endmodule

`resetall
