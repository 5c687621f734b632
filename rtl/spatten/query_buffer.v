// SPDX-License-Identifier: Apache-2.0
// The slots' query vectors, as they came from the memory: 8 words of 32 bytes each, of which all are read at once.
//
// Lane l writes the words l, l + LANES, ...; what is read comes one cycle later.

`resetall
`default_nettype none

module query_buffer #(
    parameter LANES = 16,
    parameter SLOTS = 64,
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire                        clk,
    input  wire [LANES-1:0]            write,
    input  wire [LANES*SLOT_WIDTH-1:0] write_slot,
    input  wire [LANES*3-1:0]          write_word,
    input  wire [LANES*256-1:0]        write_data,
    input  wire [SLOT_WIDTH-1:0]       slot,
    output wire [2047:0]               data
);

    genvar w;
    generate
        for (w = 0; w < 8; w = w + 1) begin : g_word
            localparam L = w % LANES;
            localparam [2:0] NUMBER = w;
            ram #(.WIDTH(256), .ADDRESS_WIDTH(SLOT_WIDTH)) words (
                .clk(clk), .write(write[L] && write_word[3*L +: 3] == NUMBER),
                .write_address(write_slot[SLOT_WIDTH*L +: SLOT_WIDTH]), .write_data(write_data[256*L +: 256]),
                .read_address(slot), .read_data(data[256*w +: 256])
            );
        end
        if (LANES > 8) begin : g_further
            wire unused_lanes = &{1'b0, write[LANES-1:8], write_slot[LANES*SLOT_WIDTH-1:8*SLOT_WIDTH],
                                  write_word[LANES*3-1:24], write_data[LANES*256-1:2048]};
        end
    endgenerate

endmodule

`resetall
