// SPDX-License-Identifier: Apache-2.0
// y = a * b, binary32, round to nearest even.
//
// Throughput one a cycle, latency LATENCY cycles, their registers between the five steps of the product. Subnormal
// operands and results in full; every NaN result is the canonical 7fc00000.

`resetall
`default_nettype none

module fp32_mul #(
    // pipeline registers, at least 1; 5 have one behind each step, more stand behind the last
    parameter LATENCY = 3
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [31:0] a,
    input  wire [31:0] b,
    output wire [31:0] y
);

    // registers behind a step
    localparam AFTER_1 = LATENCY >= 5 ? 1 : 0;
    localparam AFTER_2 = LATENCY >= 2 ? 1 : 0;
    localparam AFTER_3 = LATENCY >= 3 ? 1 : 0;
    localparam AFTER_4 = LATENCY >= 4 ? 1 : 0;
    localparam AFTER_5 = LATENCY - AFTER_1 - AFTER_2 - AFTER_3 - AFTER_4;

    // 1. the operands
    wire [31:0] a_1, b_1;
    delay #(.WIDTH(64), .DEPTH(AFTER_1)) step_1 (.clk(clk), .ce(ce), .d({a, b}), .q({a_1, b_1}));

    // 2. product of the significands; its exponent as if its highest bit were 1, signed
    wire a_special = &a_1[30:23];
    wire b_special = &b_1[30:23];
    wire a_nan     = a_special && |a_1[22:0];
    wire b_nan     = b_special && |b_1[22:0];
    wire a_zero    = ~|a_1[30:0];
    wire b_zero    = ~|b_1[30:0];
    wire sign      = a_1[31] ^ b_1[31];
    wire is_nan      = a_nan || b_nan || (a_special && b_zero) || (b_special && a_zero);
    wire is_infinite = a_special || b_special;

    wire [23:0] a_sig = {|a_1[30:23], a_1[22:0]};
    wire [23:0] b_sig = {|b_1[30:23], b_1[22:0]};
    wire [7:0]  a_exp = {a_1[30:24], a_1[23] | ~|a_1[30:23]};
    wire [7:0]  b_exp = {b_1[30:24], b_1[23] | ~|b_1[30:23]};
    wire [47:0] product = a_sig * b_sig;
    wire signed [9:0] highest = $signed({2'd0, a_exp}) + $signed({2'd0, b_exp}) - 10'sd126;

    wire        sign_2, nan_2, infinite_2;
    wire signed [9:0] highest_2;
    wire [47:0] product_2;
    delay #(.WIDTH(61), .DEPTH(AFTER_2)) step_2 (
        .clk(clk), .ce(ce), .d({sign, is_nan, is_infinite, highest, product}),
        .q({sign_2, nan_2, infinite_2, highest_2, product_2})
    );

    // 3. leading zeros; none may be taken that would bring the exponent below 1. Where it is below 1 as it stands, the
    // significand moves right: a subnormal result
    wire signed [9:0] above  = highest_2 - 10'sd1;
    wire signed [9:0] below  = 10'sd1 - highest_2;
    wire [47:0] stop   = above < 10'sd0 || above > 10'sd47 ? 48'd0 : 48'h800000000000 >> above[5:0];
    wire [5:0]  right  = below <= 10'sd0 ? 6'd0 : below > 10'sd49 ? 6'd49 : below[5:0];
    wire [5:0]  zeros;
    leading_zeros #(.WIDTH(48)) zeros_inst (.a(product_2 | stop), .count(zeros));
    wire [5:0]  left   = above < 10'sd0 ? 6'd0 : zeros;

    wire        sign_3, nan_3, infinite_3;
    wire [8:0]  highest_3;
    wire [47:0] product_3;
    wire [5:0]  right_3, left_3;
    delay #(.WIDTH(72), .DEPTH(AFTER_3)) step_3 (
        .clk(clk), .ce(ce), .d({sign_2, nan_2, infinite_2, highest_2[8:0], product_2, right, left}),
        .q({sign_3, nan_3, infinite_3, highest_3, product_3, right_3, left_3})
    );

    // 4. left or right; what falls out on the right is sticky
    wire [47:0] lower  = product_3 >> right_3;
    wire [47:0] norm   = |right_3 ? lower : product_3 << left_3;
    reg         lost;
    integer i;
    always @* begin
        lost = 1'b0;
        for (i = 0; i < 48; i = i + 1) begin
            lost = lost || (product_3[i] && right_3 > i[5:0]);
        end
    end
    wire [8:0]  exponent = norm[47] ? highest_3 - {3'd0, left_3} : 9'd0;

    wire        sign_4, nan_4, infinite_4;
    wire [8:0]  exponent_4;
    wire [24:0] kept;
    wire        sticky;
    delay #(.WIDTH(38), .DEPTH(AFTER_4)) step_4 (
        .clk(clk), .ce(ce), .d({sign_3, nan_3, infinite_3, exponent, norm[47:23], |norm[22:0] || lost}),
        .q({sign_4, nan_4, infinite_4, exponent_4, kept, sticky})
    );

    // 5. round; a significand without its hidden bit has exponent field 0
    wire        up      = kept[0] && (sticky || kept[1]);
    wire [31:0] rounded = {exponent_4, kept[23:1]} + {31'd0, up};
    wire        unused  = kept[24];

    reg [31:0] result;
    always @* begin
        if (nan_4) begin
            result = 32'h7fc00000;
        end else if (infinite_4 || rounded[31:23] >= 9'd255) begin
            result = {sign_4, 8'hff, 23'd0};
        end else begin
            result = {sign_4, rounded[30:0]};
        end
    end
    delay #(.WIDTH(32), .DEPTH(AFTER_5)) step_5 (.clk(clk), .ce(ce), .d(result), .q(y));

endmodule

`resetall
