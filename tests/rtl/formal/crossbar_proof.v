// SPDX-License-Identifier: Apache-2.0
// Claim: whatever the turn and the targets' patience, an entry that is taken went to the target that it named, with its own
// bits, and to no other; no target takes two in a cycle; what a target is offered stays until it takes it; and where any
// source has an entry for a target, one is offered. Sources keep an entry until it is taken.
//
// Said of one source and one target, which are any.

`resetall
`default_nettype none

module crossbar_proof #(
    parameter SOURCES = 4,
    parameter TARGETS = 2,
    parameter WIDTH = 3,
    parameter SOURCE_WIDTH = $clog2(SOURCES),
    parameter TARGET_WIDTH = TARGETS > 1 ? $clog2(TARGETS) : 1
) (
    input wire                            clk,
    input wire [SOURCE_WIDTH-1:0]         turn,
    input wire [SOURCES-1:0]              s_valid,
    input wire [SOURCES*TARGET_WIDTH-1:0] s_target,
    input wire [SOURCES*WIDTH-1:0]        s_data,
    input wire [TARGETS-1:0]              m_ready
);

    // chosen once
    (* anyconst *) reg [SOURCE_WIDTH-1:0] source;
    (* anyconst *) reg [TARGET_WIDTH-1:0] target;

    reg rst = 1'b1;
    wire [SOURCES-1:0]       s_ready;
    wire [TARGETS-1:0]       m_valid;
    wire [TARGETS*WIDTH-1:0] m_data;
    crossbar #(.SOURCES(SOURCES), .TARGETS(TARGETS), .WIDTH(WIDTH)) bar (
        .clk(clk), .rst(rst), .turn(turn), .s_valid(s_valid), .s_ready(s_ready), .s_target(s_target), .s_data(s_data),
        .m_valid(m_valid), .m_ready(m_ready), .m_data(m_data)
    );

    reg [SOURCES-1:0]              held = 0;    // sources whose entry was not taken
    reg [SOURCES*TARGET_WIDTH-1:0] target_before;
    reg [SOURCES*WIDTH-1:0]        data_before;
    reg                            offered = 1'b0;
    reg [WIDTH-1:0]                offer_before;
    always @(posedge clk) begin
        rst           <= 1'b0;
        held          <= rst ? 0 : s_valid & ~s_ready;
        target_before <= s_target;
        data_before   <= s_data;
        offered       <= !rst && m_valid[target] && !m_ready[target];
        offer_before  <= m_data[WIDTH*target +: WIDTH];
    end

    integer i, t;
    reg [SOURCE_WIDTH:0] taken, takers;
    reg                  wanted;
    always @* begin
        taken  = 0;
        takers = 0;
        wanted = 1'b0;
        for (i = 0; i < SOURCES; i = i + 1) begin
            assume (s_target[TARGET_WIDTH*i +: TARGET_WIDTH] < TARGETS);
            assume (!held[i] || (s_valid[i]
                && s_target[TARGET_WIDTH*i +: TARGET_WIDTH] == target_before[TARGET_WIDTH*i +: TARGET_WIDTH]
                && s_data[WIDTH*i +: WIDTH] == data_before[WIDTH*i +: WIDTH]));
            taken  = taken + s_ready[i];
            wanted = wanted || (s_valid[i] && s_target[TARGET_WIDTH*i +: TARGET_WIDTH] == target);
        end
        for (t = 0; t < TARGETS; t = t + 1) begin
            takers = takers + (m_valid[t] && m_ready[t]);
        end
        assume (target < TARGETS);
        if (!rst) begin
            assert (taken == takers);
            assert (m_valid[target] == wanted);
            if (s_ready[source]) begin
                assert (s_valid[source]);
                assert (m_valid[s_target[TARGET_WIDTH*source +: TARGET_WIDTH]]);
                assert (m_ready[s_target[TARGET_WIDTH*source +: TARGET_WIDTH]]);
                assert (m_data[WIDTH*s_target[TARGET_WIDTH*source +: TARGET_WIDTH] +: WIDTH]
                    == s_data[WIDTH*source +: WIDTH]);
            end
            assert (!offered || (m_valid[target] && m_data[WIDTH*target +: WIDTH] == offer_before));
        end
    end

endmodule

`resetall
