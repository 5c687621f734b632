// SPDX-License-Identifier: Apache-2.0
// The sum of COUNT binary32 numbers: neighbours meet pairwise, level by level; one sum a cycle, log2(COUNT) LATENCY later.

`resetall
`default_nettype none

module fp32_tree #(
    // numbers, a power of two
    parameter COUNT = 8,
    // of an adder
    parameter LATENCY = 2
) (
    input  wire                clk,
    input  wire [32*COUNT-1:0] numbers,
    output wire [31:0]         sum
);

    localparam LEVELS = $clog2(COUNT);

    genvar v, n;
    generate
        for (v = 0; v < LEVELS; v = v + 1) begin : g_level
            localparam PAIRS = COUNT >> (v + 1);
            wire [32*PAIRS-1:0] y;
            wire [64*PAIRS-1:0] x;
            if (v == 0) begin : g_first
                assign x = numbers;
            end else begin : g_other
                assign x = g_level[v-1].y;
            end
            for (n = 0; n < PAIRS; n = n + 1) begin : g_pair
                fp32_add #(.LATENCY(LATENCY)) add (
                    .clk(clk), .ce(1'b1), .a(x[64*n +: 32]), .b(x[64*n+32 +: 32]), .y(y[32*n +: 32])
                );
            end
        end
        if (LEVELS > 0) begin : g_sum
            assign sum = g_level[LEVELS-1].y;
        end else begin : g_alone
            assign sum = numbers;
            wire unused_clk = clk;
        end
    endgenerate

endmodule

`resetall
