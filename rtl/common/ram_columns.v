// SPDX-License-Identifier: Apache-2.0
// A memory of one read and one write port whose words are written by columns, to become block RAM with write enables: read
// data come in the next cycle; what is read in the cycle in which it is written is the old word.

`resetall
`default_nettype none

module ram_columns #(
    // bits of a column, columns of a word
    parameter WIDTH = 32,
    parameter COLUMNS = 8,
    // bits of an address
    parameter ADDRESS_WIDTH = 10
) (
    input  wire                     clk,
    input  wire [COLUMNS-1:0]       write,
    input  wire [ADDRESS_WIDTH-1:0] write_address,
    input  wire [WIDTH*COLUMNS-1:0] write_data,
    input  wire [ADDRESS_WIDTH-1:0] read_address,
    output reg  [WIDTH*COLUMNS-1:0] read_data
);

    reg [WIDTH*COLUMNS-1:0] memory [0:(1 << ADDRESS_WIDTH)-1];
    integer c;

    always @(posedge clk) begin
        for (c = 0; c < COLUMNS; c = c + 1) begin
            if (write[c]) begin
                memory[write_address][WIDTH*c +: WIDTH] <= write_data[WIDTH*c +: WIDTH];
            end
        end
        read_data <= memory[read_address];
    end

endmodule

`resetall
