// SPDX-License-Identifier: Apache-2.0
// sum = start + product, exactly, one enabled cycle later: no rounding, so that the order of additions does not matter.
//
// A sum is {nan, plus, minus, value}: value * 2^-48 in two's complement; what was NaN or infinite stays so, whatever is
// added. `start` is the sum of the cell itself (`own`), of the one above, or zero. Of WIDTH bits 81 hold any product of
// two binary16 numbers (fp16_mul_fixed.v), the others the carries: 2^(WIDTH - 81) products never overflow.

`resetall
`default_nettype none

module exact_add #(
    // bits of a value
    parameter WIDTH = 105
) (
    input  wire             clk,
    input  wire             ce,
    input  wire             from_own,
    input  wire             from_above,  // and not from_own; neither: from zero
    input  wire [WIDTH+2:0] own,
    input  wire [WIDTH+2:0] above,
    input  wire [42:0]      product,
    output wire [WIDTH+2:0] next,        // the sum, in the cycle of the product
    output wire [WIDTH+2:0] sum
);

    wire [WIDTH+2:0] start = from_own ? own : from_above ? above : {WIDTH+3{1'b0}};
    wire [WIDTH-1:0] fine  = {{WIDTH-38{product[37]}}, product[37:0]};
    wire [WIDTH-1:0] term  = fine << {product[39:38], 4'd0};

    reg [WIDTH+2:0] sum_reg;
    always @(posedge clk) begin
        if (ce) begin
            sum_reg <= next;
        end
    end
    assign next = {start[WIDTH+2:WIDTH] | product[42:40], term + start[WIDTH-1:0]};
    assign sum  = sum_reg;

endmodule

`resetall
