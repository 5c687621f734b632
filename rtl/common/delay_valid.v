// SPDX-License-Identifier: Apache-2.0
// q = d, DEPTH cycles later; low after a reset. For one bit that says whether something is there. DEPTH at least 1.

`resetall
`default_nettype none

module delay_valid #(
    // registers
    parameter DEPTH = 1
) (
    input  wire clk,
    input  wire rst,
    input  wire d,
    output wire q
);

    reg  [DEPTH-1:0] valid_reg;
    wire [DEPTH:0]   line = {valid_reg, d};

    assign q = line[DEPTH];

    always @(posedge clk) begin
        valid_reg <= line[DEPTH-1:0];

        if (rst) begin
            valid_reg <= {DEPTH{1'b0}};
        end
    end

endmodule

`resetall
