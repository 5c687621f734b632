// SPDX-License-Identifier: Apache-2.0
// y = a * b, binary16 operands, binary32 result: exact, never rounded.
//
// Throughput one a cycle, latency LATENCY cycles. Subnormal operands, infinities and signed zeros as IEEE 754; every
// NaN result is the canonical 7fc00000. The smallest product, 2^-48, is a normal binary32 number.

`resetall
`default_nettype none

module fp16_mul #(
    // pipeline registers, at least 1
    parameter LATENCY = 3
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [15:0] a,
    input  wire [15:0] b,
    output wire [31:0] y
);

    wire a_special = &a[14:10];
    wire b_special = &b[14:10];
    wire a_nan     = a_special && |a[9:0];
    wire b_nan     = b_special && |b[9:0];
    wire a_zero    = ~|a[14:0];
    wire b_zero    = ~|b[14:0];
    wire sign      = a[15] ^ b[15];

    // an operand is significand * 2^(exponent - 25); subnormal numbers have exponent 1 and no hidden bit
    wire [10:0] a_sig = {|a[14:10], a[9:0]};
    wire [10:0] b_sig = {|b[14:10], b[9:0]};
    wire [5:0]  a_exp = {1'b0, a[14:11], a[10] | ~|a[14:10]};
    wire [5:0]  b_exp = {1'b0, b[14:11], b[10] | ~|b[14:10]};

    wire [21:0] product = a_sig * b_sig;

    // leading one to bit 21
    reg [21:0] norm;
    reg [4:0]  zeros;
    integer i;
    always @* begin
        norm  = product;
        zeros = 5'd0;
        for (i = 16; i > 0; i = i >> 1) begin
            if (norm >> (22 - i) == 22'd0) begin
                norm  = norm << i;
                zeros = zeros + i[4:0];
            end
        end
    end

    // product = 1.xx * 2^(21 - zeros + a_exp + b_exp - 50)
    wire [7:0] exponent = 8'd98 + {2'b0, a_exp} + {2'b0, b_exp} - {3'b0, zeros};

    reg [31:0] result;
    always @* begin
        if (a_nan || b_nan || (a_special && b_zero) || (b_special && a_zero)) begin
            result = 32'h7fc00000;
        end else if (a_special || b_special) begin
            result = {sign, 8'hff, 23'd0};
        end else if (a_zero || b_zero) begin
            result = {sign, 31'd0};
        end else begin
            result = {sign, exponent, norm[20:0], 2'b00};
        end
    end

    delay #(.WIDTH(32), .DEPTH(LATENCY)) delay_inst (.clk(clk), .ce(ce), .d(result), .q(y));

endmodule

`resetall
