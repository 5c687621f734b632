// SPDX-License-Identifier: Apache-2.0
// q = d, DEPTH enabled cycles later. No reset: it carries data, never validity. DEPTH 0 is a wire.

`resetall
`default_nettype none

module delay #(
    // bits
    parameter WIDTH = 1,
    // registers
    parameter DEPTH = 1
) (
    input  wire             clk,
    input  wire             ce,
    input  wire [WIDTH-1:0] d,
    output wire [WIDTH-1:0] q
);

    generate
        if (DEPTH == 0) begin : g_wire
            assign q = d;
            wire unused = &{1'b0, clk, ce};
        end else if (DEPTH == 1) begin : g_one
            reg [WIDTH-1:0] data_reg;
            always @(posedge clk) begin
                if (ce) begin
                    data_reg <= d;
                end
            end
            assign q = data_reg;
        end else begin : g_many
            reg [WIDTH*DEPTH-1:0] data_reg;
            always @(posedge clk) begin
                if (ce) begin
                    data_reg <= {data_reg[WIDTH*(DEPTH-1)-1:0], d};
                end
            end
            assign q = data_reg[WIDTH*DEPTH-1 -: WIDTH];
        end
    endgenerate

endmodule

`resetall
