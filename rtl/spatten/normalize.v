// SPDX-License-Identifier: Apache-2.0
// Probabilities of a query: exponentials over their sum, as integers of PROB_BITS bits, half to even.
//
// A command's rows are read one a cycle (`e` comes one cycle later, with the slot's sum); a row of probabilities comes out
// 34 cycles after its row. Absent lanes are 0.

`resetall
`default_nettype none

module normalize #(
    parameter LANES = 8,
    parameter PROB_BITS = 12,
    parameter SIZE = 1024,
    parameter SLOT_WIDTH = 3,
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LINE_WIDTH = $clog2(SIZE / LANES)
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire                             start,
    input  wire [SLOT_WIDTH-1:0]            s_slot,
    input  wire [COUNT_WIDTH-1:0]           s_count,
    output wire                             free,
    output wire                             last,
    output wire [SLOT_WIDTH-1:0]            slot,

    output wire [SLOT_WIDTH+LINE_WIDTH-1:0] line,
    input  wire [32*LANES-1:0]              e,
    input  wire [31:0]                      sum,

    output wire                             m_valid,
    output wire [SLOT_WIDTH+LINE_WIDTH-1:0] m_line,
    output wire [PROB_BITS*LANES-1:0]       m_probabilities
);

    localparam LANE_LOG = $clog2(LANES);
    localparam DIVIDE   = 29;
    localparam MULTIPLY = 3;
    localparam LATENCY  = 1 + DIVIDE + MULTIPLY + 1;
    // 2^PROB_BITS - 1
    localparam EXPONENT_OF = 126 + PROB_BITS;
    localparam FRACTION_OF = ((1 << PROB_BITS) - 1) << (24 - PROB_BITS);
    localparam [7:0]  EXPONENT = EXPONENT_OF[7:0];
    localparam [22:0] FRACTION = FRACTION_OF[22:0];
    localparam LAST_LANE = LANES - 1;

    wire                   active;
    wire [COUNT_WIDTH-1:0] row, count;
    wire [COUNT_WIDTH-1:0] rows = (s_count + LAST_LANE[COUNT_WIDTH-1:0]) >> LANE_LOG;
    row_counter #(.WIDTH(COUNT_WIDTH), .SIDE_WIDTH(SLOT_WIDTH + COUNT_WIDTH)) counter (
        .clk(clk), .rst(rst), .start(start), .rows(rows), .s_side({s_slot, s_count}), .free(free), .active(active),
        .row(row), .last(last), .side({slot, count})
    );
    assign line = {slot, row[LINE_WIDTH-1:0]};
    delay_valid #(.DEPTH(LATENCY)) valid_delay (.clk(clk), .rst(rst), .d(active), .q(m_valid));

    wire [COUNT_WIDTH-1:0] behind = count - (row << LANE_LOG);
    wire [LANES-1:0] present, present_late;
    delay #(.WIDTH(LANES + SLOT_WIDTH + LINE_WIDTH), .DEPTH(LATENCY)) line_delay (
        .clk(clk), .ce(1'b1), .d({present, line}), .q({present_late, m_line})
    );

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            localparam [COUNT_WIDTH-1:0] NUMBER = l;
            wire [31:0] quotient, scaled;
            wire [PROB_BITS-1:0] whole;
            assign present[l] = behind > NUMBER;
            fp32_div #(.LATENCY(DIVIDE)) divide (.clk(clk), .ce(1'b1), .a(e[32*l +: 32]), .b(sum), .y(quotient));
            fp32_mul #(.LATENCY(MULTIPLY)) multiply (
                .clk(clk), .ce(1'b1), .a(quotient), .b({1'b0, EXPONENT, FRACTION}), .y(scaled)
            );
            fp32_to_int #(.WIDTH(PROB_BITS)) convert (.clk(clk), .ce(1'b1), .a(scaled), .y(whole));
            assign m_probabilities[PROB_BITS*l +: PROB_BITS] = present_late[l] ? whole : {PROB_BITS{1'b0}};
        end
    endgenerate

endmodule

`resetall
