// SPDX-License-Identifier: Apache-2.0
// y = a * b, binary32, round to nearest even.
//
// Throughput one a cycle, latency LATENCY cycles. Subnormal operands and results in full; every NaN result is the
// canonical 7fc00000.

`resetall
`default_nettype none

module fp32_mul #(
    // pipeline registers, at least 1
    parameter LATENCY = 3
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [31:0] a,
    input  wire [31:0] b,
    output wire [31:0] y
);

    wire a_special = &a[30:23];
    wire b_special = &b[30:23];
    wire a_nan     = a_special && |a[22:0];
    wire b_nan     = b_special && |b[22:0];
    wire a_zero    = ~|a[30:0];
    wire b_zero    = ~|b[30:0];
    wire sign      = a[31] ^ b[31];

    wire [23:0] a_sig = {|a[30:23], a[22:0]};
    wire [23:0] b_sig = {|b[30:23], b[22:0]};
    wire [7:0]  a_exp = |a[30:23] ? a[30:23] : 8'd1;
    wire [7:0]  b_exp = |b[30:23] ? b[30:23] : 8'd1;

    wire [47:0] product = a_sig * b_sig;

    // leading one to bit 47; biased exponent of 1.xx, signed
    reg [47:0] norm;
    reg [5:0]  zeros;
    integer i;
    always @* begin
        norm  = product;
        zeros = 6'd0;
        for (i = 32; i > 0; i = i >> 1) begin
            if (norm >> (48 - i) == 48'd0) begin
                norm  = norm << i;
                zeros = zeros + i[5:0];
            end
        end
    end
    wire signed [10:0] exponent =
        $signed({3'd0, a_exp}) + $signed({3'd0, b_exp}) - 11'sd126 - $signed({5'd0, zeros});

    // below exponent 1 the significand moves right instead: a subnormal result
    wire signed [10:0] below  = 11'sd1 - exponent;
    wire [5:0]  right  = below <= 11'sd0 ? 6'd0 : below > 11'sd49 ? 6'd49 : below[5:0];
    wire [96:0] moved  = {norm, 49'd0} >> right;
    wire [23:0] kept   = moved[96:73];
    wire        guard  = moved[72];
    wire        sticky = |moved[71:0];
    wire        up     = guard && (sticky || kept[0]);
    wire [9:0]  field  = kept[23] ? exponent[9:0] : 10'd0;
    wire [32:0] rounded = {field, kept[22:0]} + {32'd0, up};

    reg [31:0] result;
    always @* begin
        if (a_nan || b_nan || (a_special && b_zero) || (b_special && a_zero)) begin
            result = 32'h7fc00000;
        end else if (a_special || b_special) begin
            result = {sign, 8'hff, 23'd0};
        end else if (a_zero || b_zero) begin
            result = {sign, 31'd0};
        end else if (rounded[32:23] >= 10'd255) begin
            result = {sign, 8'hff, 23'd0};
        end else begin
            result = {sign, rounded[30:0]};
        end
    end

    delay #(.WIDTH(32), .DEPTH(LATENCY)) delay_inst (.clk(clk), .ce(ce), .d(result), .q(y));

endmodule

`resetall
