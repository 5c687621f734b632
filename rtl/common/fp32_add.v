// SPDX-License-Identifier: Apache-2.0
// y = a + b, binary32, round to nearest even.
//
// Throughput one a cycle, latency LATENCY cycles, their registers between the six steps of the sum. Subnormal operands and
// results in full; x - x is +0; every NaN result is the canonical 7fc00000.

`resetall
`default_nettype none

module fp32_add #(
    // pipeline registers, at least 1; 6 have one behind each step, more stand behind the last
    parameter LATENCY = 4
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [31:0] a,
    input  wire [31:0] b,
    output wire [31:0] y
);

    // registers behind a step
    localparam AFTER_1 = LATENCY >= 4 ? 1 : 0;
    localparam AFTER_2 = LATENCY == 3 || LATENCY >= 5 ? 1 : 0;
    localparam AFTER_3 = LATENCY == 2 || LATENCY >= 4 ? 1 : 0;
    localparam AFTER_4 = LATENCY == 3 || LATENCY >= 6 ? 1 : 0;
    localparam AFTER_5 = LATENCY >= 4 ? 1 : 0;
    localparam AFTER_6 = LATENCY - AFTER_1 - AFTER_2 - AFTER_3 - AFTER_4 - AFTER_5;

    // 1. the operand of larger magnitude first; how far apart they are; sums that are no numbers
    wire        a_special = &a[30:23];
    wire        b_special = &b[30:23];
    wire        a_nan     = a_special && |a[22:0];
    wire        b_nan     = b_special && |b[22:0];
    wire        swap      = b[30:0] > a[30:0];
    wire        differ    = a[31] ^ b[31];
    wire [7:0]  a_e       = {a[30:24], a[23] | ~|a[30:23]};
    wire [7:0]  b_e       = {b[30:24], b[23] | ~|b[30:23]};
    wire [7:0]  a_less_b  = a_e - b_e;
    wire [7:0]  b_less_a  = b_e - a_e;
    wire [23:0] a_m       = {|a[30:23], a[22:0]};
    wire [23:0] b_m       = {|b[30:23], b[22:0]};
    wire        is_nan    = a_nan || b_nan || (a_special && b_special && differ);

    wire        sign_1, zero_sign_1, differ_1, nan_1, infinite_1;
    wire [7:0]  big_e_1, apart_1;
    wire [23:0] big_1, little_1;
    delay #(.WIDTH(69), .DEPTH(AFTER_1)) step_1 (
        .clk(clk), .ce(ce),
        .d({swap ? b[31] : a[31], a[31] & b[31], differ, is_nan, a_special || b_special, swap ? b_e : a_e,
            swap ? b_less_a : a_less_b, swap ? b_m : a_m, swap ? a_m : b_m}),
        .q({sign_1, zero_sign_1, differ_1, nan_1, infinite_1, big_e_1, apart_1, big_1, little_1})
    );

    // 2. the smaller one to the larger one's exponent, with guard, round and sticky bits
    wire [4:0]  right    = apart_1 > 8'd27 ? 5'd27 : apart_1[4:0];
    wire [26:0] shifted  = {little_1, 3'b000} >> right;
    reg         sticky;
    integer i;
    always @* begin
        sticky = 1'b0;
        for (i = 0; i < 24; i = i + 1) begin
            sticky = sticky || (little_1[i] && right > i[4:0] + 5'd3);
        end
    end
    // a left move must not bring the exponent below 1: where the search for the leading one ends
    wire [27:0] stop = big_e_1 > 8'd27 ? 28'd0 : 28'h8000000 >> big_e_1[4:0];

    wire        sign_2, zero_sign_2, differ_2, nan_2, infinite_2;
    wire [7:0]  big_e_2;
    wire [23:0] big_2;
    wire [26:0] aligned_2;
    wire [27:0] stop_2;
    delay #(.WIDTH(92), .DEPTH(AFTER_2)) step_2 (
        .clk(clk), .ce(ce),
        .d({sign_1, zero_sign_1, differ_1, nan_1, infinite_1, big_e_1, big_1, shifted[26:1], shifted[0] | sticky, stop}),
        .q({sign_2, zero_sign_2, differ_2, nan_2, infinite_2, big_e_2, big_2, aligned_2, stop_2})
    );

    // 3. sum or difference, which is not negative; one carry chain, its carry in below the lowest bit
    wire [28:0] both  = {1'b0, big_2, 3'b000, 1'b1} + {{28{differ_2}} ^ {1'b0, aligned_2}, differ_2};

    wire        sign_3, zero_sign_3, nan_3, infinite_3;
    wire [7:0]  big_e_3;
    wire [27:0] total_3, stop_3;
    delay #(.WIDTH(68), .DEPTH(AFTER_3)) step_3 (
        .clk(clk), .ce(ce), .d({sign_2, zero_sign_2, nan_2, infinite_2, big_e_2, both[28:1], stop_2}),
        .q({sign_3, zero_sign_3, nan_3, infinite_3, big_e_3, total_3, stop_3})
    );
    wire unused = both[0];

    // 4. leading zeros, of a sum whose highest bit has exponent big_e + 1
    wire [4:0]  zeros;
    leading_zeros #(.WIDTH(28)) zeros_inst (.a(total_3 | stop_3), .count(zeros));

    wire        sign_4, zero_sign_4, nan_4, infinite_4;
    wire [7:0]  big_e_4;
    wire [27:0] total_4;
    wire [4:0]  zeros_4;
    delay #(.WIDTH(45), .DEPTH(AFTER_4)) step_4 (
        .clk(clk), .ce(ce), .d({sign_3, zero_sign_3, nan_3, infinite_3, big_e_3, total_3, zeros}),
        .q({sign_4, zero_sign_4, nan_4, infinite_4, big_e_4, total_4, zeros_4})
    );

    // 5. the leading one to the highest bit
    wire [27:0] norm     = total_4 << zeros_4;
    wire [8:0]  exponent = {1'b0, big_e_4} + 9'd1 - {4'd0, zeros_4};

    wire        sign_5, nan_5, infinite_5;
    wire [8:0]  exponent_5;
    wire [27:0] norm_5;
    delay #(.WIDTH(40), .DEPTH(AFTER_5)) step_5 (
        .clk(clk), .ce(ce), .d({|total_4 ? sign_4 : zero_sign_4, nan_4, infinite_4, exponent, norm}),
        .q({sign_5, nan_5, infinite_5, exponent_5, norm_5})
    );

    // 6. round. A significand without its hidden bit has exponent field 0; rounding up may carry into the exponent
    wire        up      = norm_5[3] && (|norm_5[2:0] || norm_5[4]);
    wire [8:0]  field   = norm_5[27] ? exponent_5 : 9'd0;
    wire [31:0] rounded = {field, norm_5[26:4]} + {31'd0, up};

    reg [31:0] result;
    always @* begin
        if (nan_5) begin
            result = 32'h7fc00000;
        end else if (infinite_5 || rounded[31] || &rounded[30:23]) begin
            result = {sign_5, 8'hff, 23'd0};
        end else begin
            result = {sign_5, rounded[30:0]};
        end
    end
    delay #(.WIDTH(32), .DEPTH(AFTER_6)) step_6 (.clk(clk), .ce(ce), .d(result), .q(y));

endmodule

`resetall
