// SPDX-License-Identifier: Apache-2.0
// Rows of a command, one a cycle: row 0 in the cycle of `start`. A command may start when `free`; what it says stays with
// its rows.

`resetall
`default_nettype none

module row_counter #(
    // bits of a row's number and of a count of rows
    parameter WIDTH = 11,
    // bits of what a command says
    parameter SIDE_WIDTH = 1
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  start,
    input  wire [WIDTH-1:0]      rows,       // at least 1
    input  wire [SIDE_WIDTH-1:0] s_side,
    output wire                  free,
    output wire                  active,
    output wire [WIDTH-1:0]      row,
    output wire                  last,
    output wire [SIDE_WIDTH-1:0] side
);

    reg [WIDTH-1:0]      left_reg;   // rows behind this cycle's
    reg [WIDTH-1:0]      row_reg;
    reg [SIDE_WIDTH-1:0] side_reg;

    wire [WIDTH-1:0] left = start ? rows : left_reg;

    assign free   = left_reg == 0;
    assign active = start || !free;
    assign row    = start ? {WIDTH{1'b0}} : row_reg;
    assign last   = active && left == 1;
    assign side   = start ? s_side : side_reg;

    always @(posedge clk) begin
        row_reg  <= row + 1'b1;
        left_reg <= active ? left - 1'b1 : {WIDTH{1'b0}};
        side_reg <= side;
        if (rst) begin
            left_reg <= {WIDTH{1'b0}};
        end
    end

endmodule

`resetall
