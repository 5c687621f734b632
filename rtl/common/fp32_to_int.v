// SPDX-License-Identifier: Apache-2.0
// binary32 as an unsigned integer, round to nearest even; one result a cycle, LATENCY cycles later.
//
// What is negative gives 0, what is too large or NaN the largest integer.

`resetall
`default_nettype none

module fp32_to_int #(
    // bits of the integer, 1 to 23
    parameter WIDTH = 12,
    // pipeline registers, at least 1; with 2 one stands before the rounding, more stand behind the result
    parameter LATENCY = 1
) (
    input  wire             clk,
    input  wire             ce,
    input  wire [31:0]      a,
    output wire [WIDTH-1:0] y
);

    localparam LIMIT_EXPONENT = 127 + WIDTH;
    localparam [7:0] LIMIT = LIMIT_EXPONENT[7:0];  // exponent of 2^WIDTH
    localparam BEFORE_ROUND = LATENCY >= 2 ? 1 : 0;

    // below 2^WIDTH the significand moves right by 24 - WIDTH bits at least; 26 and more leave nothing but sticky
    wire [7:0]  distance = 8'd150 - a[30:23];
    wire [4:0]  right    = a[30:23] < 8'd124 ? 5'd26 : distance[4:0];
    wire [49:0] fixed    = {|a[30:23], a[22:0], 26'd0} >> right;
    wire        is_low   = a[31] && !(&a[30:23] && |a[22:0]);
    wire        is_high  = a[30:23] >= LIMIT;
    wire        unused_high = &{1'b0, fixed[49:26+WIDTH], distance[7:5]};

    wire             low, high, guard, sticky;
    wire [WIDTH-1:0] whole;
    delay #(.WIDTH(WIDTH + 4), .DEPTH(BEFORE_ROUND)) round_delay (
        .clk(clk), .ce(ce), .d({is_low, is_high, fixed[26 +: WIDTH], fixed[25], |fixed[24:0]}),
        .q({low, high, whole, guard, sticky})
    );
    wire             up      = guard && (sticky || whole[0]);
    wire [WIDTH:0]   rounded = {1'b0, whole} + {{WIDTH{1'b0}}, up};
    delay #(.WIDTH(WIDTH), .DEPTH(LATENCY - BEFORE_ROUND)) result_delay (
        .clk(clk), .ce(ce), .d(low ? {WIDTH{1'b0}} : high || rounded[WIDTH] ? {WIDTH{1'b1}} : rounded[WIDTH-1:0]), .q(y)
    );

endmodule

`resetall
