// SPDX-License-Identifier: Apache-2.0
// The longest burst from an address on: to the end of the command, to the next 4 KiB boundary, 256 beats at most.
// Combinational.

`resetall
`default_nettype none

module axi_burst #(
    // bytes of a beat, a power of two
    parameter BYTES = 32
) (
    // the address's last 12 bits, a multiple of the beat
    input  wire [11:0] address,
    // beats still to go, at least 1
    input  wire [31:0] beats,
    // AXI's length: beats of the burst less one
    output wire [7:0]  len
);

    localparam SIZE = $clog2(BYTES);

    wire [12-SIZE:0] page  = {1'b1, {12-SIZE{1'b0}}} - {1'b0, address[11:SIZE]};
    wire [31:0]      room  = {{(19+SIZE){1'b0}}, page} > 32'd256 ? 32'd256 : {{(19+SIZE){1'b0}}, page};
    wire [31:0]      burst = (beats < room ? beats : room) - 32'd1;

    assign len = burst[7:0];

    wire unused = &{1'b0, address, burst[31:8]};

endmodule

`resetall
