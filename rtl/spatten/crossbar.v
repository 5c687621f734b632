// SPDX-License-Identifier: Apache-2.0
// Crossbar: every source offers an entry for one target, every target takes one of them a cycle.
//
// Which source is asked first moves with `turn`. A source that its target did not take, though it was offered, stays the
// one that is offered: what a target sees does not change before it takes it. Nothing is stored but that.

`resetall
`default_nettype none

module crossbar #(
    // a power of two, at least 2
    parameter SOURCES = 32,
    // a power of two
    parameter TARGETS = 16,
    // bits of an entry
    parameter WIDTH = 32,
    parameter SOURCE_WIDTH = $clog2(SOURCES),
    parameter TARGET_WIDTH = TARGETS > 1 ? $clog2(TARGETS) : 1
) (
    input  wire                            clk,
    input  wire                            rst,
    // the source that is asked first
    input  wire [SOURCE_WIDTH-1:0]         turn,

    input  wire [SOURCES-1:0]              s_valid,
    output reg  [SOURCES-1:0]              s_ready,
    input  wire [SOURCES*TARGET_WIDTH-1:0] s_target,
    input  wire [SOURCES*WIDTH-1:0]        s_data,

    output wire [TARGETS-1:0]              m_valid,
    input  wire [TARGETS-1:0]              m_ready,
    output wire [TARGETS*WIDTH-1:0]        m_data
);

    reg [TARGETS-1:0] waits_reg;                  // an entry was offered and not taken
    reg [SOURCE_WIDTH-1:0] offered_reg [0:TARGETS-1];  // whose it is
    wire [SOURCES-1:0] from_turn = {SOURCES{1'b1}} << turn;
    wire [SOURCES*TARGETS-1:0] takes;

    genvar t;
    generate
        for (t = 0; t < TARGETS; t = t + 1) begin : g_target
            reg [SOURCES-1:0] wants;
            integer i;
            always @* begin
                for (i = 0; i < SOURCES; i = i + 1) begin
                    wants[i] = s_valid[i] && s_target[TARGET_WIDTH*i +: TARGET_WIDTH] == t;
                end
            end
            // the first from the turn on, else the first of all; or the one that waits
            wire [SOURCES-1:0] later = wants & from_turn;
            wire [SOURCES-1:0] some  = |later ? later : wants;
            reg [SOURCE_WIDTH-1:0] first;
            integer n;
            always @* begin
                first = {SOURCE_WIDTH{1'b0}};
                for (n = SOURCES - 1; n >= 0; n = n - 1) begin
                    if (some[n]) begin
                        first = n[SOURCE_WIDTH-1:0];
                    end
                end
            end
            wire [SOURCE_WIDTH-1:0] source = waits_reg[t] ? offered_reg[t] : first;
            assign m_valid[t] = |wants;
            assign m_data[WIDTH*t +: WIDTH] = s_data[WIDTH*source +: WIDTH];
            assign takes[SOURCES*t +: SOURCES] = {{SOURCES-1{1'b0}}, m_valid[t] && m_ready[t]} << source;
            always @(posedge clk) begin
                offered_reg[t] <= source;
                waits_reg[t]   <= m_valid[t] && !m_ready[t] && !rst;
            end
        end
    endgenerate

    integer k;
    always @* begin
        s_ready = {SOURCES{1'b0}};
        for (k = 0; k < TARGETS; k = k + 1) begin
            s_ready = s_ready | takes[SOURCES*k +: SOURCES];
        end
    end

endmodule

`resetall
