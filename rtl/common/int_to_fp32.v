// SPDX-License-Identifier: Apache-2.0
// A signed integer as binary32, round to nearest even; one result a cycle, one cycle later.

`resetall
`default_nettype none

module int_to_fp32 #(
    // bits of the integer, at most 64
    parameter WIDTH = 32
) (
    input  wire                    clk,
    input  wire                    ce,
    input  wire signed [WIDTH-1:0] a,
    output reg  [31:0]             y
);

    localparam WIDE = WIDTH < 27 ? 27 : WIDTH;
    localparam TOP_EXPONENT = 127 + WIDTH - 1;
    localparam [7:0] TOP = TOP_EXPONENT[7:0];  // exponent of a leading one in the integer's highest bit

    wire [WIDTH-1:0] magnitude = a[WIDTH-1] ? -a : a;

    // the leading one to the highest bit
    reg [WIDE-1:0] norm;
    reg [5:0]      move;
    integer i;
    always @* begin
        norm = {WIDE{1'b0}};
        norm[WIDE-1 -: WIDTH] = magnitude;
        move = 6'd0;
        for (i = 32; i > 0; i = i >> 1) begin
            if (i < WIDE && norm >> (WIDE - i) == {WIDE{1'b0}}) begin
                norm = norm << i;
                move = move + i[5:0];
            end
        end
    end

    wire        guard    = norm[WIDE-25];
    wire        sticky   = |norm[WIDE-26:0];
    wire        up       = guard && (sticky || norm[WIDE-24]);
    wire [7:0]  exponent = TOP - {2'd0, move};
    wire [30:0] rounded  = {exponent, norm[WIDE-2 -: 23]} + {30'd0, up};

    always @(posedge clk) begin
        if (ce) begin
            y <= {a[WIDTH-1], norm[WIDE-1] ? rounded : 31'd0};
        end
    end

endmodule

`resetall
