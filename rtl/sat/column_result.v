// SPDX-License-Identifier: Apache-2.0
// What leaves the array at the bottom of a column becomes a result: binary32 as it is, or an exact sum rounded, LATENCY
// cycles later.

`resetall
`default_nettype none

module column_result #(
    // 1: sums are exact; bits of a sum
    parameter EXACT = 0,
    parameter SUM_WIDTH = 32,
    // cycles of the rounding, where EXACT
    parameter LATENCY = 4
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 sum_valid,
    input  wire [SUM_WIDTH-1:0] sum,
    output wire                 result_valid,
    output wire [31:0]          result
);

    generate
        if (EXACT != 0) begin : g_exact
            exact_round #(.WIDTH(SUM_WIDTH - 3), .LATENCY(LATENCY)) round_inst (
                .clk(clk), .ce(1'b1), .a(sum), .y(result)
            );
            delay_valid #(.DEPTH(LATENCY)) valid_inst (.clk(clk), .rst(rst), .d(sum_valid), .q(result_valid));
        end else begin : g_binary32
            assign result_valid = sum_valid;
            assign result = sum;
            wire unused = &{1'b0, clk, rst};
        end
    endgenerate

endmodule

`resetall
