// SPDX-License-Identifier: Apache-2.0
// Claim: for every address and every number of beats, a burst has at least one beat, at most 256, no more than are still
// to go, stays in its 4 KiB page, and could not be longer.

`resetall
`default_nettype none

module axi_burst_proof #(
    parameter BYTES = 32
) (
    input wire [11:0] address,
    input wire [31:0] beats
);

    wire [7:0] len;
    axi_burst #(.BYTES(BYTES)) burst_inst (.address(address), .beats(beats), .len(len));

    wire [31:0] burst = {24'd0, len} + 32'd1;
    wire [31:0] stop  = {20'd0, address} + burst * BYTES;

    always @* begin
        assume (address % BYTES == 0);
        assume (beats >= 1);
        assert (burst <= beats);
        assert (burst <= 256);
        assert (stop <= 4096);
        assert (burst == beats || burst == 256 || stop == 4096);
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_all     = burst == beats && burst > 1 && stop < 4096;
    (* keep *) wire cover_longest = burst == 256 && beats > 256 && stop < 4096;
    (* keep *) wire cover_page    = stop == 4096 && burst < beats && burst < 256;

endmodule

`resetall
