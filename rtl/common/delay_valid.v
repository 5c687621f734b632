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

    reg [DEPTH-1:0] valid_reg;

    assign q = valid_reg[DEPTH-1];

    generate
        if (DEPTH == 1) begin : g_one
            always @(posedge clk) begin
                valid_reg <= d && !rst;
            end
        end else begin : g_many
            always @(posedge clk) begin
                valid_reg <= {valid_reg[DEPTH-2:0], d};

                if (rst) begin
                    valid_reg <= {DEPTH{1'b0}};
                end
            end
        end
    endgenerate

endmodule

`resetall
