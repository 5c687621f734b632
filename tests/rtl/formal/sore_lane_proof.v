// SPDX-License-Identifier: Apache-2.0
// Claim: whatever stood in the lane before, whatever GROUP elements enter and whatever 1 <= n <= ENTRIES is, the lane
// offers the elements that fewer than n others precede (a larger magnitude, or the same at a lower index), each once,
// with its own bits, in the order of their indices.
//
// Said of one element, which is any: its index and bits are chosen at the start. Registers without an initial value are
// free, inputs are free in each step; GROUP steps enter the group, ENTRIES look.

`resetall
`default_nettype none

module sore_lane_proof #(
    parameter ENTRIES = 4,
    parameter GROUP = 8,
    parameter INDEX_WIDTH = $clog2(GROUP),
    parameter COUNT_WIDTH = $clog2(ENTRIES + 1)
) (
    input wire        clk,
    input wire [15:0] bits
);

    // chosen once
    (* anyconst *) reg [COUNT_WIDTH-1:0] n;
    (* anyconst *) reg [INDEX_WIDTH-1:0] watched;
    (* anyconst *) reg [15:0]            watched_bits;

    reg [INDEX_WIDTH:0]   step = {(INDEX_WIDTH+1){1'b0}};
    reg [INDEX_WIDTH:0]   rank = {(INDEX_WIDTH+1){1'b0}};   // elements that precede the watched one
    reg [INDEX_WIDTH-1:0] before;
    reg                   seen = 1'b0;

    wire                   insert = step < GROUP;
    wire [COUNT_WIDTH-1:0] select = insert ? {COUNT_WIDTH{1'b0}} : step[COUNT_WIDTH-1:0] - GROUP[COUNT_WIDTH-1:0];
    wire [15:0]            value;
    wire [INDEX_WIDTH-1:0] position;

    sore_lane #(.ENTRIES(ENTRIES), .INDEX_WIDTH(INDEX_WIDTH), .COUNT_WIDTH(COUNT_WIDTH)) lane_inst (
        .clk(clk),
        .insert(insert),
        .first(step == 0),
        .last(step == GROUP - 1),
        .bits(bits),
        .index(step[INDEX_WIDTH-1:0]),
        .n(n),
        .select(select),
        .value(value),
        .position(position)
    );

    wire precedes = bits[14:0] > watched_bits[14:0] || (bits[14:0] == watched_bits[14:0] && step < watched);
    wire looking  = !insert && step < GROUP + n;

    always @* begin
        assume (n >= 1 && n <= ENTRIES);
        assume (watched < GROUP);
        assume (step != watched || bits == watched_bits);
        if (looking) begin
            assert (position < GROUP);
            assert (position != watched || value == watched_bits);
            assert (select == 0 || position > before);
        end
        if (step == GROUP + n) begin
            assert (seen == (rank < n));
        end
    end

    always @(posedge clk) begin
        step         <= step == GROUP + n ? step : step + 1'b1;
        before       <= position;
        seen         <= seen || (looking && position == watched);
        if (insert && step != watched && precedes) begin
            rank <= rank + 1'b1;
        end
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_kept = step == GROUP + n && seen;
    (* keep *) wire cover_lost = step == GROUP + n && !seen;
    (* keep *) wire cover_next = looking && select != 0 && position == watched;
    (* keep *) wire cover_most = looking && n == ENTRIES && select == ENTRIES - 1;
    (* keep *) wire cover_tie  = step == GROUP - 1 && step != watched && bits[14:0] == watched_bits[14:0] && rank != 0;

endmodule

`resetall
