// SPDX-License-Identifier: Apache-2.0
// 8-byte pieces out of many, from any place on: a shifter, the largest distance first, each stage of which leaves only
// what the ones behind it can still reach. Behind the last piece there are zeros.

`resetall
`default_nettype none

module piece_shift #(
    parameter PIECES = 32,
    // bits of a place
    parameter AT_WIDTH = 5,
    // pieces taken
    parameter TAKEN = 8
) (
    input  wire [64*PIECES-1:0] pieces,
    input  wire [AT_WIDTH-1:0]  at,
    output wire [64*TAKEN-1:0]  taken
);

    localparam REACH = (1 << AT_WIDTH) + TAKEN - 1;

    wire [64*(PIECES+REACH)-1:0] padded;
    assign padded[64*PIECES-1:0] = pieces;
    assign padded[64*(PIECES+REACH)-1:64*PIECES] = 0;

    genvar s;
    generate
        for (s = AT_WIDTH; s >= 0; s = s - 1) begin : stage
            wire [64*((1<<s)+TAKEN-1)-1:0] left;  // behind the shifts by 1 << s pieces and more
            if (s == AT_WIDTH) begin : first
                assign left = padded[64*REACH-1:0];
            end else begin : others
                assign left = at[s] ? stage[s+1].left[64*((2<<s)+TAKEN-1)-1:64<<s]
                                    : stage[s+1].left[64*((1<<s)+TAKEN-1)-1:0];
            end
        end
    endgenerate

    assign taken = stage[0].left;

    wire unused_pieces = &{1'b0, padded[64*(PIECES+REACH)-1:64*REACH]};

endmodule

`resetall
