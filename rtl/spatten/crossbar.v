// SPDX-License-Identifier: Apache-2.0
// Crossbar: every source offers an entry for one target, every target takes one of them a cycle.
//
// The first source from `turn` on that has an entry for a target is the one that it takes. Nothing is stored. Where several
// entries of a queue are offered they are sources one after the other, the oldest first, and the turn is that of an oldest.

`resetall
`default_nettype none

module crossbar #(
    // powers of two
    parameter SOURCES = 32,
    parameter TARGETS = 16,
    // bits of an entry
    parameter WIDTH = 32,
    parameter SOURCE_WIDTH = SOURCES > 1 ? $clog2(SOURCES) : 1,
    parameter TARGET_WIDTH = TARGETS > 1 ? $clog2(TARGETS) : 1
) (
    // the source that is asked first
    input  wire [SOURCE_WIDTH-1:0]         turn,

    input  wire [SOURCES-1:0]              s_valid,
    output reg  [SOURCES-1:0]              s_ready,    // it is taken
    input  wire [SOURCES*TARGET_WIDTH-1:0] s_target,
    input  wire [SOURCES*WIDTH-1:0]        s_data,

    output wire [TARGETS-1:0]              m_valid,
    input  wire [TARGETS-1:0]              m_ready,
    output wire [TARGETS*WIDTH-1:0]        m_data
);

    generate
        if (WIDTH < 1 || SOURCES != 1 << $clog2(SOURCES) || TARGETS != 1 << $clog2(TARGETS)) begin : g_illegal
            illegal_parameter_of_crossbar illegal ();
        end
    endgenerate

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
            // the first from the turn on, else the first of all
            wire [SOURCES-1:0] later = wants & from_turn;
            wire [SOURCES-1:0] some  = |later ? later : wants;
            wire [SOURCES-1:0] first = some & (~some + 1'b1);
            reg [WIDTH-1:0] data;
            integer n;
            always @* begin
                data = {WIDTH{1'b0}};
                for (n = 0; n < SOURCES; n = n + 1) begin
                    data = data | ({WIDTH{first[n]}} & s_data[WIDTH*n +: WIDTH]);
                end
            end
            assign m_valid[t] = |wants;
            assign m_data[WIDTH*t +: WIDTH] = data;
            assign takes[SOURCES*t +: SOURCES] = first & {SOURCES{m_ready[t]}};
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
