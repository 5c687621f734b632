// SPDX-License-Identifier: Apache-2.0
// Dequantizes rows of scores, score x scale in binary32, and finds a query's largest one.
//
// A row comes out 4 cycles after it came in, the largest 2 cycles after the last row's: for the query's slot. Scores have
// no NaN and no infinity (the scale is below 2^96).

`resetall
`default_nettype none

module score_scale #(
    parameter LANES = 8,
    parameter SCORE_WIDTH = 32,
    // bits of a slot's number, of a row's number in its buffer
    parameter SLOT_WIDTH = 3,
    parameter LINE_WIDTH = 7
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire [LANES-1:0]                 s_valid,
    input  wire                             s_first,
    input  wire                             s_last,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] s_line,
    input  wire [SCORE_WIDTH*LANES-1:0]     s_scores,
    input  wire [31:0]                      scale,

    output wire [LANES-1:0]                 m_valid,
    output wire [SLOT_WIDTH+LINE_WIDTH-1:0] m_line,
    output wire [32*LANES-1:0]              m_scores,
    output reg                              largest_valid,
    output reg  [SLOT_WIDTH-1:0]            largest_slot,
    output reg  [31:0]                      largest
);

    wire [31:0] scale_late;
    delay #(.WIDTH(32), .DEPTH(2)) scale_delay (.clk(clk), .ce(1'b1), .d(scale), .q(scale_late));

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            wire [31:0] number;
            int_to_fp32 #(.WIDTH(SCORE_WIDTH), .LATENCY(2)) convert (
                .clk(clk), .ce(1'b1), .a(s_scores[SCORE_WIDTH*l +: SCORE_WIDTH]), .y(number)
            );
            fp32_mul #(.LATENCY(2)) multiply (
                .clk(clk), .ce(1'b1), .a(number), .b(scale_late), .y(m_scores[32*l +: 32])
            );
            delay_valid #(.DEPTH(4)) valid_delay (.clk(clk), .rst(rst), .d(s_valid[l]), .q(m_valid[l]));
        end
    endgenerate

    wire first, last;
    delay #(.WIDTH(SLOT_WIDTH + LINE_WIDTH + 1), .DEPTH(4)) line_delay (
        .clk(clk), .ce(1'b1), .d({s_first, s_line}), .q({first, m_line})
    );
    delay_valid #(.DEPTH(4)) last_delay (.clk(clk), .rst(rst), .d(s_last), .q(last));

    // numbers as unsigned ones in the same order; 0 is below all
    function [31:0] ordered(input [31:0] x);
        ordered = x[31] ? ~x : {1'b1, x[30:0]};
    endfunction
    reg [31:0] row_largest, row_reg, all_reg;
    reg        first_reg, last_reg, some_reg;
    reg [SLOT_WIDTH-1:0] slot_reg;
    integer i;
    always @* begin
        row_largest = 32'd0;
        for (i = 0; i < LANES; i = i + 1) begin
            if (m_valid[i] && ordered(m_scores[32*i +: 32]) > row_largest) begin
                row_largest = ordered(m_scores[32*i +: 32]);
            end
        end
    end
    wire [31:0] found = !first_reg && all_reg > row_reg ? all_reg : row_reg;
    always @(posedge clk) begin
        row_reg   <= row_largest;
        first_reg <= first;
        some_reg  <= |m_valid || first;
        last_reg  <= last && !rst;
        slot_reg  <= m_line[SLOT_WIDTH+LINE_WIDTH-1 -: SLOT_WIDTH];
        if (some_reg) begin
            all_reg <= found;
        end
        largest_valid <= last_reg && !rst;
        largest_slot  <= slot_reg;
        largest       <= found[31] ? {1'b0, found[30:0]} : ~found;
    end

endmodule

`resetall
