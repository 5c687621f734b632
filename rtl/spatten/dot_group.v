// SPDX-License-Identifier: Apache-2.0
// A group of Q x K: 32 multipliers and their tree. The sum comes three cycles after the elements.

`resetall
`default_nettype none

module dot_group #(
    // bits of an element
    parameter BITS = 12,
    parameter SCORE_WIDTH = 2 * BITS + 8
) (
    input  wire                   clk,
    input  wire [32*BITS-1:0]     keys,
    input  wire [32*BITS-1:0]     query,
    output reg  [SCORE_WIDTH-1:0] sum
);

    reg  [32*BITS-1:0]   keys_reg, query_reg;
    reg  [64*BITS-1:0]   products_reg;
    wire [64*BITS-1:0]   products;
    reg  [SCORE_WIDTH-1:0] total;
    genvar e;
    generate
        for (e = 0; e < 32; e = e + 1) begin : g_element
            assign products[2*BITS*e +: 2*BITS] =
                $signed(keys_reg[BITS*e +: BITS]) * $signed(query_reg[BITS*e +: BITS]);
        end
    endgenerate
    integer i;
    always @* begin
        total = {SCORE_WIDTH{1'b0}};
        for (i = 0; i < 32; i = i + 1) begin
            total = total + {{SCORE_WIDTH-2*BITS{products_reg[2*BITS*(i+1)-1]}}, products_reg[2*BITS*i +: 2*BITS]};
        end
    end
    always @(posedge clk) begin
        keys_reg     <= keys;
        query_reg    <= query;
        products_reg <= products;
        sum          <= total;
    end

endmodule

`resetall
