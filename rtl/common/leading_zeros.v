// SPDX-License-Identifier: Apache-2.0
// How many zeros stand above the highest one: a tree, WIDTH where there is none. Combinational.

`resetall
`default_nettype none

module leading_zeros #(
    // bits, at least 2
    parameter WIDTH = 28,
    // of the count
    parameter COUNT_WIDTH = $clog2(WIDTH + 1)
) (
    input  wire [WIDTH-1:0]       a,
    output wire [COUNT_WIDTH-1:0] count
);

    localparam LEVELS = COUNT_WIDTH;
    localparam WHOLE  = 1 << LEVELS;  // ones behind the lowest bit end the search

    // level v: of each 2^v bits, whether all are 0, and the zeros above the highest one; the lowest bits are node 0
    genvar v, n;
    generate
        for (v = 0; v <= LEVELS; v = v + 1) begin : g_level
            localparam NODES = WHOLE >> v;
            wire [NODES-1:0]           none;
            wire [NODES*LEVELS-1:0]    zeros;
            if (v == 0) begin : g_first
                assign none  = ~{a, {WHOLE-WIDTH{1'b1}}};
                assign zeros = {NODES*LEVELS{1'b0}};
            end else begin : g_other
                for (n = 0; n < NODES; n = n + 1) begin : g_node
                    wire high = g_level[v-1].none[2*n+1];
                    wire [LEVELS-1:0] below = g_level[v-1].zeros[LEVELS*(2*n) +: LEVELS];
                    wire [LEVELS-1:0] above = g_level[v-1].zeros[LEVELS*(2*n+1) +: LEVELS];
                    assign none[n] = high && g_level[v-1].none[2*n];
                    assign zeros[LEVELS*n +: LEVELS] = high ? below | 1 << (v - 1) : above;
                end
            end
        end
    endgenerate

    assign count = g_level[LEVELS].zeros;
    wire unused = g_level[LEVELS].none;

endmodule

`resetall
