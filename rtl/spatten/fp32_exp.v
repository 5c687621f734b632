// SPDX-License-Identifier: Apache-2.0
// exp of a binary32 number that is not positive: range reduction by ln 2 in two parts, polynomial of 5th order.
//
//   t = x log2(e);  i = t to the nearest integer, ties to even;  f = (x - i H) - i L,  H + L = ln 2
//   y = ((((C5 f + C4) f + C3) f + C2) f + C1) f + 1;  result y 2^i, 0 below 2^-126
//
// The coefficients are the functional level's EXP_COEFFICIENTS: at most 2 ulp off where the result is normal.
//
// Every operation is rounded by itself. x <= -104 gives 0, NaN the canonical NaN; a positive x gives what nobody may use.
// One result a cycle, 7 (MUL_LATENCY + ADD_LATENCY) cycles after its operand.

`resetall
`default_nettype none

module fp32_exp #(
    // pipeline registers of a multiplier and of an adder, at least 1
    parameter MUL_LATENCY = 1,
    parameter ADD_LATENCY = 2
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [31:0] a,
    output wire [31:0] y
);

    localparam STEP  = MUL_LATENCY + ADD_LATENCY;
    localparam TOTAL = 7 * STEP;
    localparam ORDER = 5;

    localparam [31:0] LOG2E = 32'h3fb8aa3b, MINUS_HIGH = 32'hbf318000, MINUS_LOW = 32'h395e8083;
    // near 1/120; then near 1/24, 1/6, 1/2, 1; 1
    localparam [31:0] C5 = 32'h3c072174;
    localparam [32*ORDER-1:0] C = {32'h3f800000, 32'h3f7ffff5, 32'h3efffec9, 32'h3e2aaf5d, 32'h3d2ba4ea};

    // what is given at once: NaN, 0
    wire is_nan  = &a[30:23] && |a[22:0];
    wire is_zero = a[31] && a[30:0] >= 31'h42d00000;  // -104
    wire [1:0] special;
    delay #(.WIDTH(2), .DEPTH(TOTAL)) special_delay (.clk(clk), .ce(ce), .d({is_nan, is_zero}), .q(special));

    // t, and its nearest integer: magnitude below 256
    wire [31:0] t;
    fp32_mul #(.LATENCY(MUL_LATENCY)) times_log2e (.clk(clk), .ce(ce), .a(a), .b(LOG2E), .y(t));

    wire [7:0]  exponent = t[30:23];
    wire [3:0]  right    = exponent < 8'd126 ? 4'd10 : 4'd6 - exponent[3:0];  // 134 - exponent: from 2^7
    wire [32:0] fixed    = {1'b1, t[22:0], 9'd0} >> right;  // 8 bits partial the point, 25 behind
    wire        up       = fixed[24] && (|fixed[23:0] || fixed[25]);
    wire [7:0]  nearest  = fixed[32:25] + {7'd0, up};

    // as a binary32 number
    reg [7:0] norm;
    reg [7:0] place;
    integer n;
    always @* begin
        norm  = nearest;
        place = 8'd134;
        for (n = 4; n > 0; n = n >> 1) begin
            if (norm >> (8 - n) == 8'd0) begin
                norm  = norm << n;
                place = place - n[7:0];
            end
        end
    end
    wire [31:0] whole = {t[31], nearest == 8'd0 ? 8'd0 : place, norm[6:0], 16'd0};

    // f
    wire [31:0] high, low, low_then, x_then, reduced, f;
    fp32_mul #(.LATENCY(MUL_LATENCY)) times_high (.clk(clk), .ce(ce), .a(whole), .b(MINUS_HIGH), .y(high));
    fp32_mul #(.LATENCY(MUL_LATENCY)) times_low (.clk(clk), .ce(ce), .a(whole), .b(MINUS_LOW), .y(low));
    delay #(.WIDTH(32), .DEPTH(2 * MUL_LATENCY)) x_delay (.clk(clk), .ce(ce), .d(a), .q(x_then));
    fp32_add #(.LATENCY(ADD_LATENCY)) less_high (.clk(clk), .ce(ce), .a(x_then), .b(high), .y(reduced));
    delay #(.WIDTH(32), .DEPTH(ADD_LATENCY)) low_delay (.clk(clk), .ce(ce), .d(low), .q(low_then));
    fp32_add #(.LATENCY(ADD_LATENCY)) less_low (.clk(clk), .ce(ce), .a(reduced), .b(low_then), .y(f));

    // the polynomial, a factor and a term a step
    genvar s;
    generate
        for (s = 0; s < ORDER; s = s + 1) begin : g_step
            wire [31:0] partial, factor, product, total;
            if (s == 0) begin : g_first
                assign partial = C5;
            end else begin : g_other
                assign partial = g_step[s-1].total;
            end
            delay #(.WIDTH(32), .DEPTH(s * STEP)) f_delay (.clk(clk), .ce(ce), .d(f), .q(factor));
            fp32_mul #(.LATENCY(MUL_LATENCY)) times (.clk(clk), .ce(ce), .a(partial), .b(factor), .y(product));
            fp32_add #(.LATENCY(ADD_LATENCY)) plus (.clk(clk), .ce(ce), .a(product), .b(C[32*s +: 32]), .y(total));
        end
    endgenerate

    // times 2^i; no operand's value is so near below 2^-126 that it would round up to it
    wire [31:0] value = g_step[ORDER-1].total;
    wire [7:0]  down;
    delay #(.WIDTH(8), .DEPTH(TOTAL - MUL_LATENCY)) down_delay (.clk(clk), .ce(ce), .d(nearest), .q(down));
    wire signed [9:0] scaled = $signed({2'd0, value[30:23]}) - $signed({2'd0, down});
    wire unused = value[31];

    assign y = special[1] ? 32'h7fc00000
             : special[0] ? 32'd0
             : scaled > 10'sd0 ? {1'b0, scaled[7:0], value[22:0]} : 32'd0;

endmodule

`resetall
