// SPDX-License-Identifier: Apache-2.0
// The exact product of two binary16 numbers as an integer: y = {nan, plus, minus, place, fine}, of value
// fine * 2^(16 place - 48), fine signed; or, where nan, plus or minus is set, NaN, +infinity, -infinity.
//
// Throughput one a cycle, latency LATENCY cycles, their registers between the three steps of the product. Subnormal operands
// in full. Both multiplications are of a size for a DSP block: the second one is the shift that no LUT has to do then.

`resetall
`default_nettype none

module fp16_mul_fixed #(
    // pipeline registers, at least 1; 3 have one behind each step, more stand behind the last
    parameter LATENCY = 3
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [15:0] a,
    input  wire [15:0] b,
    output wire [42:0] y
);

    // registers behind a step
    localparam AFTER_1 = LATENCY >= 3 ? 1 : 0;
    localparam AFTER_2 = LATENCY >= 2 ? 1 : 0;
    localparam AFTER_3 = LATENCY - AFTER_1 - AFTER_2;

    // 1. the operands: significand * 2^(exponent - 25); subnormal numbers have exponent 1 and no hidden bit
    wire [15:0] a_1, b_1;
    delay #(.WIDTH(32), .DEPTH(AFTER_1)) step_1 (.clk(clk), .ce(ce), .d({a, b}), .q({a_1, b_1}));

    // 2. product of the significands; the power of two that moves it, negative for a negative product
    wire a_special = &a_1[14:10];
    wire b_special = &b_1[14:10];
    wire a_nan     = a_special && |a_1[9:0];
    wire b_nan     = b_special && |b_1[9:0];
    wire a_zero    = ~|a_1[14:0];
    wire b_zero    = ~|b_1[14:0];
    wire sign        = a_1[15] ^ b_1[15];
    wire is_nan      = a_nan || b_nan || (a_special && b_zero) || (b_special && a_zero);
    wire is_infinite = (a_special || b_special) && !is_nan;
    wire [10:0] a_sig = {|a_1[14:10], a_1[9:0]};
    wire [10:0] b_sig = {|b_1[14:10], b_1[9:0]};
    wire [4:0]  a_exp = {a_1[14:11], a_1[10] | ~|a_1[14:10]};
    wire [4:0]  b_exp = {b_1[14:11], b_1[10] | ~|b_1[14:10]};
    wire [5:0]  move  = {1'b0, a_exp} + {1'b0, b_exp} - 6'd2;
    wire [21:0] product = a_sig * b_sig;

    reg [16:0] power;
    integer i;
    always @* begin
        for (i = 0; i < 17; i = i + 1) begin
            power[i] = sign ? i >= {28'd0, move[3:0]} : i == {28'd0, move[3:0]};
        end
    end

    wire [2:0]  kind_2;
    wire [1:0]  place_2;
    wire [16:0] power_2;
    wire [21:0] product_2;
    delay #(.WIDTH(44), .DEPTH(AFTER_2)) step_2 (
        .clk(clk), .ce(ce), .d({is_nan, is_infinite && !sign, is_infinite && sign, move[5:4], power, product}),
        .q({kind_2, place_2, power_2, product_2})
    );

    // 3. moved by up to 15 places
    wire signed [39:0] fine = $signed({1'b0, product_2}) * $signed(power_2);
    delay #(.WIDTH(43), .DEPTH(AFTER_3)) step_3 (.clk(clk), .ce(ce), .d({kind_2, place_2, fine[37:0]}), .q(y));
    wire unused = &{1'b0, fine[39:38]};

endmodule

`resetall
