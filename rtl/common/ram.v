// SPDX-License-Identifier: Apache-2.0
// A memory of one read and one write port, to become block RAM: read data come in the next cycle; a word read in the cycle
// in which it is written is the old one.

`resetall
`default_nettype none

module ram #(
    // bits of a word
    parameter WIDTH = 32,
    // bits of an address
    parameter ADDRESS_WIDTH = 10
) (
    input  wire                     clk,
    input  wire                     write,
    input  wire [ADDRESS_WIDTH-1:0] write_address,
    input  wire [WIDTH-1:0]         write_data,
    input  wire [ADDRESS_WIDTH-1:0] read_address,
    output reg  [WIDTH-1:0]         read_data
);

    reg [WIDTH-1:0] memory [0:(1 << ADDRESS_WIDTH)-1];

    always @(posedge clk) begin
        if (write) begin
            memory[write_address] <= write_data;
        end
        read_data <= memory[read_address];
    end

endmodule

`resetall
