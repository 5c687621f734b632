// SPDX-License-Identifier: Apache-2.0
// Bit-width converter: 32 packed elements of 4, 6, 8, 10, 12 or 16 bits (codes 0 to 5) become BITS wide each.
//
// The first element lies in the lowest bits. They are signed, or LSBs without a sign; of wider ones the lower bits count.

`resetall
`default_nettype none

module widen #(
    // bits of an element, at most 16
    parameter BITS = 12,
    // 64-bit pieces that may hold elements
    parameter UNITS = 8
) (
    input  wire [64*UNITS-1:0] dense,
    input  wire [2:0]          code,
    input  wire                plain,   // without a sign
    output reg  [32*BITS-1:0]  elements
);

    wire [511:0] all = {{512-64*UNITS{1'b0}}, dense};
    wire         has_sign = !plain;
    reg  [15:0]  one;
    wire         unused_bits = &{1'b0, one};
    integer e;

    always @* begin
        elements = {32*BITS{1'b0}};
        one      = 16'd0;
        for (e = 0; e < 32; e = e + 1) begin
            case (code)
                3'd0:    one = {{12{has_sign & all[4*e+3]}}, all[4*e +: 4]};
                3'd1:    one = {{10{has_sign & all[6*e+5]}}, all[6*e +: 6]};
                3'd2:    one = {{8{has_sign & all[8*e+7]}}, all[8*e +: 8]};
                3'd3:    one = {{6{has_sign & all[10*e+9]}}, all[10*e +: 10]};
                3'd4:    one = {{4{has_sign & all[12*e+11]}}, all[12*e +: 12]};
                default: one = all[16*e +: 16];
            endcase
            elements[BITS*e +: BITS] = one[BITS-1:0];
        end
    end

endmodule

`resetall
