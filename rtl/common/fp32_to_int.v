// SPDX-License-Identifier: Apache-2.0
// binary32 as an unsigned integer, round to nearest even; one result a cycle, one cycle later.
//
// What is negative gives 0, what is too large or NaN the largest integer.

`resetall
`default_nettype none

module fp32_to_int #(
    // bits of the integer, 1 to 23
    parameter WIDTH = 12
) (
    input  wire             clk,
    input  wire             ce,
    input  wire [31:0]      a,
    output reg  [WIDTH-1:0] y
);

    localparam LIMIT_EXPONENT = 127 + WIDTH;
    localparam [7:0] LIMIT = LIMIT_EXPONENT[7:0];  // exponent of 2^WIDTH

    // below 2^WIDTH the significand moves right by 24 - WIDTH bits at least; 26 and more leave nothing but sticky
    wire [7:0]  distance = 8'd150 - a[30:23];
    wire [4:0]  right    = a[30:23] < 8'd124 ? 5'd26 : distance[4:0];
    wire [49:0] fixed    = {|a[30:23], a[22:0], 26'd0} >> right;
    wire        up       = fixed[25] && (|fixed[24:0] || fixed[26]);
    wire [WIDTH:0] rounded = {1'b0, fixed[26 +: WIDTH]} + {{WIDTH{1'b0}}, up};
    wire        unused_high = &{1'b0, fixed[49:26+WIDTH], distance[7:5]};

    always @(posedge clk) begin
        if (ce) begin
            y <= a[31] && !(&a[30:23] && |a[22:0]) ? {WIDTH{1'b0}}
                : a[30:23] >= LIMIT || rounded[WIDTH] ? {WIDTH{1'b1}} : rounded[WIDTH-1:0];
        end
    end

endmodule

`resetall
