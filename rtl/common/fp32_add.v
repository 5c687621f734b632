// SPDX-License-Identifier: Apache-2.0
// y = a + b, binary32, round to nearest even.
//
// Throughput one a cycle, latency LATENCY cycles. Subnormal operands and results in full; x - x is +0; every NaN result
// is the canonical 7fc00000.

`resetall
`default_nettype none

module fp32_add #(
    // pipeline registers, at least 1
    parameter LATENCY = 4
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

    // the operand of larger magnitude first
    wire        swap    = b[30:0] > a[30:0];
    wire [31:0] big     = swap ? b : a;
    wire [30:0] little  = swap ? a[30:0] : b[30:0];
    wire        differ  = a[31] ^ b[31];
    wire [7:0]  big_e   = |big[30:23] ? big[30:23] : 8'd1;
    wire [7:0]  little_e = |little[30:23] ? little[30:23] : 8'd1;

    // significands with guard, round and sticky bits
    wire [26:0] big_m   = {|big[30:23], big[22:0], 3'b000};
    wire [26:0] little_m = {|little[30:23], little[22:0], 3'b000};
    wire [7:0]  apart   = big_e - little_e;
    wire [53:0] shifted = {little_m, 27'd0} >> (apart > 8'd27 ? 8'd27 : apart);
    wire [26:0] aligned = {shifted[53:28], shifted[27] | |shifted[26:0]};
    wire [27:0] total   = differ ? {1'b0, big_m} - {1'b0, aligned} : {1'b0, big_m} + {1'b0, aligned};

    // leading one to bit 26, but no further left than exponent 1 allows
    reg [26:0] norm;
    reg [8:0]  exponent;
    integer i;
    always @* begin
        if (total[27]) begin
            norm     = {total[27:2], total[1] | total[0]};
            exponent = {1'b0, big_e} + 9'd1;
        end else begin
            norm     = total[26:0];
            exponent = {1'b0, big_e};
        end
        for (i = 16; i > 0; i = i >> 1) begin
            if (norm >> (27 - i) == 27'd0 && exponent > i[8:0]) begin
                norm     = norm << i;
                exponent = exponent - i[8:0];
            end
        end
    end

    // a significand without its hidden bit has exponent field 0; rounding up may carry into the exponent
    wire        up      = norm[2] && (norm[1] || norm[0] || norm[3]);
    wire [8:0]  field   = norm[26] ? exponent : 9'd0;
    wire [31:0] rounded = {field, norm[25:3]} + {31'd0, up};

    reg [31:0] result;
    always @* begin
        if (a_nan || b_nan || (a_special && b_special && differ)) begin
            result = 32'h7fc00000;
        end else if (a_special || b_special) begin
            result = {big[31], 8'hff, 23'd0};
        end else if (total == 28'd0) begin
            result = {a[31] & b[31], 31'd0};
        end else if (rounded[31] || &rounded[30:23]) begin
            result = {big[31], 8'hff, 23'd0};
        end else begin
            result = {big[31], rounded[30:0]};
        end
    end

    delay #(.WIDTH(32), .DEPTH(LATENCY)) delay_inst (.clk(clk), .ce(ce), .d(result), .q(y));

endmodule

`resetall
