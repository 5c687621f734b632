// SPDX-License-Identifier: Apache-2.0
// A signed integer as binary32, round to nearest even; one result a cycle, LATENCY cycles later, their registers between
// its three steps.

`resetall
`default_nettype none

module int_to_fp32 #(
    // bits of the integer, at most 64
    parameter WIDTH = 32,
    // pipeline registers, at least 1; 3 have one behind each step, more stand behind the last
    parameter LATENCY = 1
) (
    input  wire                    clk,
    input  wire                    ce,
    input  wire signed [WIDTH-1:0] a,
    output wire [31:0]             y
);

    localparam WIDE = WIDTH < 27 ? 27 : WIDTH;
    localparam TOP_EXPONENT = 127 + WIDTH - 1;
    localparam [7:0] TOP = TOP_EXPONENT[7:0];  // exponent of a leading one in the integer's highest bit
    localparam COUNT = $clog2(WIDE + 1);

    // registers behind a step
    localparam AFTER_1 = LATENCY >= 3 ? 1 : 0;
    localparam AFTER_2 = LATENCY >= 2 ? 1 : 0;
    localparam AFTER_3 = LATENCY - AFTER_1 - AFTER_2;

    // 1. magnitude
    wire [WIDTH-1:0] magnitude = a[WIDTH-1] ? -a : a;
    wire [WIDE-1:0]  wide;
    generate
        if (WIDE > WIDTH) begin : g_widen
            assign wide = {magnitude, {WIDE-WIDTH{1'b0}}};
        end else begin : g_as_it_is
            assign wide = magnitude;
        end
    endgenerate

    wire            sign_1, sign_2;
    wire [WIDE-1:0] wide_1, wide_2;
    delay #(.WIDTH(1 + WIDE), .DEPTH(AFTER_1)) step_1 (
        .clk(clk), .ce(ce), .d({a[WIDTH-1], wide}), .q({sign_1, wide_1})
    );

    // 2. leading zeros
    wire [COUNT-1:0] zeros, move;
    leading_zeros #(.WIDTH(WIDE)) zeros_inst (.a(wide_1), .count(zeros));
    delay #(.WIDTH(1 + WIDE + COUNT), .DEPTH(AFTER_2)) step_2 (
        .clk(clk), .ce(ce), .d({sign_1, wide_1, zeros}), .q({sign_2, wide_2, move})
    );

    // 3. the leading one to the highest bit; round
    wire [WIDE-1:0] norm = wide_2 << move;
    wire        guard    = norm[WIDE-25];
    wire        sticky   = |norm[WIDE-26:0];
    wire        up       = guard && (sticky || norm[WIDE-24]);
    wire [7:0]  exponent = TOP - {{8-COUNT{1'b0}}, move};
    wire [30:0] rounded  = {exponent, norm[WIDE-2 -: 23]} + {30'd0, up};
    delay #(.WIDTH(32), .DEPTH(AFTER_3)) step_3 (
        .clk(clk), .ce(ce), .d({sign_2, norm[WIDE-1] ? rounded : 31'd0}), .q(y)
    );

endmodule

`resetall
