// SPDX-License-Identifier: Apache-2.0
// y = an exact sum (exact_add.v) as binary32, round to nearest even: the only rounding there is.
//
// Throughput one a cycle, latency LATENCY cycles, their registers between the four steps. NaN, and +infinity with -infinity,
// give the canonical 7fc00000; a sum of zero is +0. No finite sum is subnormal or too large.

`resetall
`default_nettype none

module exact_round #(
    // bits of a value, 25 to 175
    parameter WIDTH = 105,
    // pipeline registers, at least 1; 4 have one behind each step, more stand behind the last
    parameter LATENCY = 4
) (
    input  wire             clk,
    input  wire             ce,
    input  wire [WIDTH+2:0] a,
    output wire [31:0]      y
);

    // registers behind a step
    localparam AFTER_1 = LATENCY >= 3 ? 1 : 0;
    localparam AFTER_2 = LATENCY >= 2 ? 1 : 0;
    localparam AFTER_3 = LATENCY >= 4 ? 1 : 0;
    localparam AFTER_4 = LATENCY - AFTER_1 - AFTER_2 - AFTER_3;
    localparam COUNT   = $clog2(WIDTH + 1);
    localparam TOP     = WIDTH - 1 - 48 + 127;   // exponent field of a magnitude with the highest bit set

    // 1. the magnitude
    wire [WIDTH-1:0] magnitude = a[WIDTH-1] ? -a[WIDTH-1:0] : a[WIDTH-1:0];
    wire             is_nan    = a[WIDTH+2] || (a[WIDTH+1] && a[WIDTH]);
    wire             infinite  = a[WIDTH+1] || a[WIDTH];
    wire             sign      = infinite ? a[WIDTH] : a[WIDTH-1];

    wire             nan_1, infinite_1, sign_1;
    wire [WIDTH-1:0] magnitude_1;
    delay #(.WIDTH(WIDTH + 3), .DEPTH(AFTER_1)) step_1 (
        .clk(clk), .ce(ce), .d({is_nan, infinite, sign, magnitude}), .q({nan_1, infinite_1, sign_1, magnitude_1})
    );

    // 2. leading zeros
    wire [COUNT-1:0] zeros;
    leading_zeros #(.WIDTH(WIDTH)) zeros_inst (.a(magnitude_1), .count(zeros));

    wire             nan_2, infinite_2, sign_2;
    wire [WIDTH-1:0] magnitude_2;
    wire [COUNT-1:0] zeros_2;
    delay #(.WIDTH(WIDTH + 3 + COUNT), .DEPTH(AFTER_2)) step_2 (
        .clk(clk), .ce(ce), .d({nan_1, infinite_1, sign_1, magnitude_1, zeros}),
        .q({nan_2, infinite_2, sign_2, magnitude_2, zeros_2})
    );

    // 3. the leading one to the highest bit; below the significand a guard and a sticky bit
    wire [WIDTH-1:0] norm     = magnitude_2 << zeros_2;
    wire [7:0]       exponent = TOP[7:0] - {{8-COUNT{1'b0}}, zeros_2};
    wire             sticky   = |norm[WIDTH-26:0];

    wire             nan_3, infinite_3, sign_3, sticky_3;
    wire [7:0]       exponent_3;
    wire [24:0]      norm_3;
    delay #(.WIDTH(37), .DEPTH(AFTER_3)) step_3 (
        .clk(clk), .ce(ce), .d({nan_2, infinite_2, sign_2, sticky, exponent, norm[WIDTH-1:WIDTH-25]}),
        .q({nan_3, infinite_3, sign_3, sticky_3, exponent_3, norm_3})
    );

    // 4. round; the carry may go into the exponent
    wire        up      = norm_3[0] && (sticky_3 || norm_3[1]);
    wire [30:0] rounded = {exponent_3, norm_3[23:1]} + {30'd0, up};

    reg [31:0] result;
    always @* begin
        if (nan_3) begin
            result = 32'h7fc00000;
        end else if (infinite_3) begin
            result = {sign_3, 8'hff, 23'd0};
        end else if (!norm_3[24]) begin
            result = 32'd0;
        end else begin
            result = {sign_3, rounded};
        end
    end
    delay #(.WIDTH(32), .DEPTH(AFTER_4)) step_4 (.clk(clk), .ce(ce), .d(result), .q(y));

endmodule

`resetall
