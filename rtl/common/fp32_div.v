// SPDX-License-Identifier: Apache-2.0
// binary32 / binary32, round to nearest even, subnormals, one canonical NaN (7fc00000); one result a cycle.
//
// A digit a stage: significands are brought to their leading one (1 cycle), 27 restoring steps give quotient digits of
// weight 1 to 2^-26 (27 cycles), what remains is sticky, the result is rounded (1 cycle). LATENCY is 29 at least; a 30th
// register stands before the rounding, a 31st before the significands are moved, more behind the result.

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
    // registers before the significands are moved, before the rounding, behind the result
    localparam BEFORE_MOVE  = LATENCY >= DIGITS + 4 ? 1 : 0;
    localparam BEFORE_ROUND = LATENCY >= DIGITS + 3 ? 1 : 0;
    localparam AT_END       = LATENCY - DIGITS - 1 - BEFORE_MOVE - BEFORE_ROUND;

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

    // significands with their leading one in bit 23, and by how much they are moved
    wire [23:0] a_m = {|a[30:23], a[22:0]};
    wire [23:0] b_m = {|b[30:23], b[22:0]};
    wire [4:0]  a_move, b_move, a_left, b_left;
    wire [23:0] a_raw, b_raw;
    leading_zeros #(.WIDTH(24)) count_a (.a(a_m), .count(a_move));
    leading_zeros #(.WIDTH(24)) count_b (.a(b_m), .count(b_move));
    delay #(.WIDTH(58), .DEPTH(BEFORE_MOVE)) move_delay (
        .clk(clk), .ce(ce), .d({a_m, b_m, a_move, b_move}), .q({a_raw, b_raw, a_left, b_left})
    );
    wire [7:0] a_exp = |a[30:23] ? a[30:23] : 8'd1;
    wire [7:0] b_exp = |b[30:23] ? b[30:23] : 8'd1;
    wire signed [10:0] exponent = $signed({3'd0, a_exp}) - $signed({6'd0, a_move})
        - $signed({3'd0, b_exp}) + $signed({6'd0, b_move}) + 11'sd127;

    reg [23:0] dividend_reg, by_reg;
    always @(posedge clk) begin
        if (ce) begin
            dividend_reg <= a_raw << a_left;
            by_reg       <= b_raw << b_left;
        end
    end

    wire [SIDE_WIDTH-1:0] side;
    delay #(.WIDTH(SIDE_WIDTH), .DEPTH(BEFORE_MOVE + DIGITS + 1)) side_delay (
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
    wire [26:0] moved  = norm >> right;
    reg         lost;  // what falls out on the right
    integer i;
    always @* begin
        lost = rest;
        for (i = 0; i < DIGITS; i = i + 1) begin
            lost = lost || (norm[i] && right > i[4:0]);
        end
    end

    wire [3:0]  special;
    wire [9:0]  field;
    wire [22:0] kept;
    wire        guard, sticky;
    delay #(.WIDTH(39), .DEPTH(BEFORE_ROUND)) round_delay (
        .clk(clk), .ce(ce),
        .d({side[14:11], moved[26] ? exp[9:0] : 10'd0, moved[25:2], |moved[1:0] || lost}),
        .q({special, field, kept, guard, sticky})
    );
    wire        up      = guard && (sticky || kept[0]);
    wire [32:0] rounded = {field, kept} + {32'd0, up};

    reg [31:0] result;
    always @* begin
        if (special[2]) begin
            result = 32'h7fc00000;
        end else if (special[1]) begin
            result = {special[3], 8'hff, 23'd0};
        end else if (special[0]) begin
            result = {special[3], 31'd0};
        end else if (rounded[32:23] >= 10'd255) begin
            result = {special[3], 8'hff, 23'd0};
        end else begin
            result = {special[3], rounded[30:0]};
        end
    end

    delay #(.WIDTH(32), .DEPTH(AT_END)) result_delay (.clk(clk), .ce(ce), .d(result), .q(y));

endmodule

`resetall
