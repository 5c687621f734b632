// SPDX-License-Identifier: Apache-2.0
// exp(score - largest) of a query's rows, and their sum in the functional level's order.
//
// A command's rows are read one a cycle (`x` comes one cycle later, with the slot's largest score); exponentials come out
// 24 cycles after their row, the sum later by ADDER + 2 log2(LANES ADDER) + 1 than the last row's. Each lane's adder takes
// an element a cycle and so holds ADDER partial sums; then neighbours meet pairwise, lanes first. Absent lanes are 0.

`resetall
`default_nettype none

module exp_sum #(
    // powers of two
    parameter LANES = 8,
    parameter ADDER = 4,
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
    input  wire [32*LANES-1:0]              x,
    input  wire [31:0]                      largest,   // of the slot of `line` in the cycle before

    output wire                             m_valid,
    output wire [SLOT_WIDTH+LINE_WIDTH-1:0] m_line,
    output wire [32*LANES-1:0]              m_e,
    output wire                             sum_valid,
    output wire [SLOT_WIDTH-1:0]            sum_slot,
    output wire [31:0]                      sum
);

    localparam LANE_LOG  = $clog2(LANES);
    localparam ADDER_LOG = $clog2(ADDER);
    localparam PHASE     = ADDER > 1 ? ADDER_LOG : 1;
    localparam LAST_LANE = LANES - 1;
    localparam EXP       = 23;  // behind x: subtraction 2, exponential 21
    localparam TREE      = 2;   // an adder of the tree

    wire                   active;
    wire [COUNT_WIDTH-1:0] row, count;
    wire [COUNT_WIDTH-1:0] rows = (s_count + LAST_LANE[COUNT_WIDTH-1:0]) >> LANE_LOG;
    row_counter #(.WIDTH(COUNT_WIDTH), .SIDE_WIDTH(SLOT_WIDTH + COUNT_WIDTH)) counter (
        .clk(clk), .rst(rst), .start(start), .rows(rows), .s_side({s_slot, s_count}), .free(free), .active(active),
        .row(row), .last(last), .side({slot, count})
    );
    assign line = {slot, row[LINE_WIDTH-1:0]};

    // which lanes have an element; where a row's sums stand
    wire [COUNT_WIDTH-1:0] behind  = count - (row << LANE_LOG);   // elements from this row on
    wire [COUNT_WIDTH-1:0] left    = (behind + LAST_LANE[COUNT_WIDTH-1:0]) >> LANE_LOG;  // rows, this one included
    wire                   final_  = left <= ADDER[COUNT_WIDTH-1:0];               // the last one of its partial sum
    wire                   alone = final_ && row == 0;            // there are no more rows than partial sums
    wire [LANES-1:0] present;
    wire [LANES-1:0] present_late;
    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_present
            localparam [COUNT_WIDTH-1:0] NUMBER = l;
            assign present[l] = active && behind > NUMBER;
        end
    endgenerate

    localparam TAG = SLOT_WIDTH + LINE_WIDTH + PHASE + 4;
    wire [TAG-1:0] tag;
    wire begins;  // of their partial sums, the first
    wire is_final, is_alone, is_last;
    wire [PHASE-1:0] phase;
    delay #(.WIDTH(LANES + TAG), .DEPTH(EXP + 1)) tag_delay (
        .clk(clk), .ce(1'b1),
        .d({present, slot, row[LINE_WIDTH-1:0], ADDER > 1 ? row[PHASE-1:0] : {PHASE{1'b0}}, row < ADDER[COUNT_WIDTH-1:0], final_, alone,
            last}), .q({present_late, tag})
    );
    assign {m_line, phase, begins, is_final, is_alone, is_last} = tag;
    delay_valid #(.DEPTH(EXP + 1)) valid_delay (.clk(clk), .rst(rst), .d(active), .q(m_valid));

    // level 0 of the tree: the lanes' partial sums
    wire [32*LANES-1:0] level_0;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            wire [31:0] apart, e;
            fp32_add #(.LATENCY(2)) subtract (
                .clk(clk), .ce(1'b1), .a(x[32*l +: 32]), .b({!largest[31], largest[30:0]}), .y(apart)
            );
            fp32_exp exponential (.clk(clk), .ce(1'b1), .a(apart), .y(e));
            assign m_e[32*l +: 32] = e;
            fp32_add #(.LATENCY(ADDER)) accumulate (
                .clk(clk), .ce(1'b1), .a(begins ? 32'd0 : level_0[32*l +: 32]), .b(present_late[l] ? e : 32'd0),
                .y(level_0[32*l +: 32])
            );
        end
    endgenerate

    // over the lanes: one partial sum a cycle
    wire [31:0] of_lanes;
    fp32_tree #(.COUNT(LANES), .LATENCY(TREE)) lane_tree (.clk(clk), .numbers(level_0), .sum(of_lanes));

    localparam LATE = ADDER + TREE * LANE_LOG;
    wire                  final_valid, last_late, alone_late;
    wire [PHASE-1:0]      phase_late;
    wire [SLOT_WIDTH-1:0] slot_late;
    delay_valid #(.DEPTH(LATE)) final_delay (.clk(clk), .rst(rst), .d(m_valid && is_final), .q(final_valid));
    delay #(.WIDTH(SLOT_WIDTH + PHASE + 2), .DEPTH(LATE)) late_delay (
        .clk(clk), .ce(1'b1), .d({m_line[SLOT_WIDTH+LINE_WIDTH-1 -: SLOT_WIDTH], phase, is_alone, is_last}),
        .q({slot_late, phase_late, alone_late, last_late})
    );

    // over the partial sums of a lane
    reg [32*ADDER-1:0] phases_reg, phases;
    integer n;
    always @* begin
        phases = alone_late ? {32*ADDER{1'b0}} : phases_reg;
        for (n = 0; n < ADDER; n = n + 1) begin
            if (n[PHASE-1:0] == phase_late || ADDER == 1) begin
                phases[32*n +: 32] = of_lanes;
            end
        end
    end
    always @(posedge clk) begin
        if (final_valid) begin
            phases_reg <= phases;
        end
    end
    fp32_tree #(.COUNT(ADDER), .LATENCY(TREE)) phase_tree (.clk(clk), .numbers(phases), .sum(sum));
    generate
        if (ADDER_LOG > 0) begin : g_delay
            delay_valid #(.DEPTH(TREE * ADDER_LOG)) sum_delay (
                .clk(clk), .rst(rst), .d(final_valid && last_late), .q(sum_valid)
            );
        end else begin : g_no_delay
            assign sum_valid = final_valid && last_late;
        end
    endgenerate
    delay #(.WIDTH(SLOT_WIDTH), .DEPTH(TREE * ADDER_LOG)) slot_delay (.clk(clk), .ce(1'b1), .d(slot_late), .q(sum_slot));

endmodule

`resetall
