// SPDX-License-Identifier: Apache-2.0
// Sums of 1, 2, 4 or 8 neighbouring groups (level 0 to 3): a key's score each, and every lane's key.

`resetall
`default_nettype none

module group_sum #(
    // powers of two
    parameter GROUPS = 16,
    parameter LANES = 8,
    parameter WIDTH = 32
) (
    input  wire [WIDTH*GROUPS-1:0] sums,
    input  wire [1:0]              level,      // at most the logarithm of GROUPS
    input  wire [2:0]              keys_log,   // of the keys of a cycle
    output reg  [WIDTH*LANES-1:0]  lanes       // lane l has the score of key l modulo the keys of a cycle
);

    localparam LANE_LOG = $clog2(LANES);

    reg [4*WIDTH*GROUPS-1:0] tree;  // of all levels
    reg [WIDTH*GROUPS-1:0]   keys;
    integer n, t, l, k;
    always @* begin
        tree = {{3*WIDTH*GROUPS{1'b0}}, sums};
        for (t = 1; t < 4; t = t + 1) begin
            for (n = 0; n < GROUPS >> t; n = n + 1) begin
                tree[WIDTH*(GROUPS*t+n) +: WIDTH] = tree[WIDTH*(GROUPS*(t-1)+2*n) +: WIDTH]
                    + tree[WIDTH*(GROUPS*(t-1)+2*n+1) +: WIDTH];
            end
        end
        keys = level[1] ? level[0] ? tree[3*WIDTH*GROUPS +: WIDTH*GROUPS] : tree[2*WIDTH*GROUPS +: WIDTH*GROUPS]
            : level[0] ? tree[WIDTH*GROUPS +: WIDTH*GROUPS] : tree[0 +: WIDTH*GROUPS];
        lanes = {WIDTH*LANES{1'b0}};
        for (l = 0; l < LANES; l = l + 1) begin
            for (k = 0; k <= LANE_LOG; k = k + 1) begin
                if (keys_log == k[2:0]) begin
                    lanes[WIDTH*l +: WIDTH] = keys[WIDTH*((l % (1 << k)) % GROUPS) +: WIDTH];
                end
            end
        end
    end

endmodule

`resetall
