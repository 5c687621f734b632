// SPDX-License-Identifier: Apache-2.0
// binary32 / binary32, round to nearest even, subnormals, one canonical NaN (7fc00000); one result a cycle.
//
// A digit a stage: significands are brought to their leading one (1 cycle), 27 restoring steps give quotient digits of
// weight 1 to 2^-26 (27 cycles), what remains is sticky, the result is rounded (1 cycle). LATENCY is 29 at least; more
// are registers behind it.

`resetall
`default_nettype none

module fp32_div #(
    // cycles from operands to result, at least 29
    parameter LATENCY = 29
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [31:0] a,
    input  wire [31:0] b,
    output wire [31:0] y
);

    localparam DIGITS = 27;
    // sign, which of NaN, infinity and zero the result is, its exponent as far as the operands' say
    localparam SIDE_WIDTH = 4 + 11;

    generate
        if (LATENCY < DIGITS + 2) begin : g_illegal
            illegal_parameter_of_fp32_div illegal ();
        end
    endgenerate

    wire a_special = &a[30:23];
    wire b_special = &b[30:23];
    wire a_nan     = a_special && |a[22:0];
    wire b_nan     = b_special && |b[22:0];
    wire a_zero    = ~|a[30:0];
    wire b_zero    = ~|b[30:0];

    wire is_nan      = a_nan || b_nan || (a_special && b_special) || (a_zero && b_zero);
    wire is_infinite = a_special || b_zero;
    wire is_zero     = a_zero || b_special;

    // significands with their leading one in bit 23, and by how much they were moved
    reg [23:0] a_sig, b_sig;
    reg [4:0]  a_move, b_move;
    integer i;
    always @* begin
        a_sig  = {|a[30:23], a[22:0]};
        b_sig  = {|b[30:23], b[22:0]};
        a_move = 5'd0;
        b_move = 5'd0;
        for (i = 16; i > 0; i = i >> 1) begin
            if (a_sig >> (24 - i) == 24'd0) begin
                a_sig  = a_sig << i;
                a_move = a_move + i[4:0];
            end
            if (b_sig >> (24 - i) == 24'd0) begin
                b_sig  = b_sig << i;
                b_move = b_move + i[4:0];
            end
        end
    end
    wire [7:0] a_exp = |a[30:23] ? a[30:23] : 8'd1;
    wire [7:0] b_exp = |b[30:23] ? b[30:23] : 8'd1;
    wire signed [10:0] exponent = $signed({3'd0, a_exp}) - $signed({6'd0, a_move})
        - $signed({3'd0, b_exp}) + $signed({6'd0, b_move}) + 11'sd127;

    reg [23:0] dividend_reg, by_reg;
    always @(posedge clk) begin
        if (ce) begin
            dividend_reg <= a_sig;
            by_reg       <= b_sig;
        end
    end

    wire [SIDE_WIDTH-1:0] side;
    delay #(.WIDTH(SIDE_WIDTH), .DEPTH(DIGITS + 1)) side_delay (
        .clk(clk), .ce(ce), .d({a[31] ^ b[31], is_nan, is_infinite, is_zero, exponent}), .q(side)
    );

    genvar s;
    generate
        for (s = 0; s < DIGITS; s = s + 1) begin : g_digit
            wire [24:0] remainder;      // below twice the divisor
            wire [23:0] divisor;
            reg  [24:0] remainder_reg;
            reg  [s:0]  digits_reg;     // the highest first
            if (s == 0) begin : g_first
                assign remainder = {1'b0, dividend_reg};
                assign divisor   = by_reg;
            end else begin : g_other
                assign remainder = g_digit[s-1].remainder_reg;
                assign divisor   = g_digit[s-1].g_next.divisor_reg;
            end
            wire        fits = remainder >= {1'b0, divisor};
            wire [23:0] left = fits ? remainder[23:0] - divisor : remainder[23:0];
            always @(posedge clk) begin
                if (ce) begin
                    remainder_reg <= {left, 1'b0};
                end
            end
            if (s == 0) begin : g_digit_one
                always @(posedge clk) begin
                    if (ce) begin
                        digits_reg <= fits;
                    end
                end
            end else begin : g_digit_more
                always @(posedge clk) begin
                    if (ce) begin
                        digits_reg <= {g_digit[s-1].digits_reg, fits};
                    end
                end
            end
            if (s < DIGITS - 1) begin : g_next
                reg [23:0] divisor_reg;
                always @(posedge clk) begin
                    if (ce) begin
                        divisor_reg <= divisor;
                    end
                end
            end
        end
    endgenerate

    wire [DIGITS-1:0]  quotient = g_digit[DIGITS-1].digits_reg;
    wire               rest     = |g_digit[DIGITS-1].remainder_reg;
    wire               one      = quotient[DIGITS-1];
    wire [DIGITS-1:0]  norm     = one ? quotient : {quotient[DIGITS-2:0], 1'b0};
    wire signed [10:0] exp      = $signed(side[10:0]) - (one ? 11'sd0 : 11'sd1);

    // below exponent 1 the significand moves right instead: a subnormal result
    wire signed [10:0] below = 11'sd1 - exp;
    wire [4:0]  right  = below <= 11'sd0 ? 5'd0 : below > 11'sd28 ? 5'd28 : below[4:0];
    wire [54:0] moved  = {norm, 28'd0} >> right;
    wire [23:0] kept   = moved[54:31];
    wire        guard  = moved[30];
    wire        sticky = |moved[29:0] || rest;
    wire        up     = guard && (sticky || kept[0]);
    wire [9:0]  field  = kept[23] ? exp[9:0] : 10'd0;
    wire [32:0] rounded = {field, kept[22:0]} + {32'd0, up};

    reg [31:0] result;
    always @* begin
        if (side[13]) begin
            result = 32'h7fc00000;
        end else if (side[12]) begin
            result = {side[14], 8'hff, 23'd0};
        end else if (side[11]) begin
            result = {side[14], 31'd0};
        end else if (rounded[32:23] >= 10'd255) begin
            result = {side[14], 8'hff, 23'd0};
        end else begin
            result = {side[14], rounded[30:0]};
        end
    end

    delay #(.WIDTH(32), .DEPTH(LATENCY - DIGITS - 1)) result_delay (.clk(clk), .ce(ce), .d(result), .q(y));

endmodule

`resetall
