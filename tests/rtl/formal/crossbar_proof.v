// SPDX-License-Identifier: Apache-2.0
// Claim: a target that is ready takes exactly one entry where any source has one for it, and with the entry's own bits: that
// of the first such source, counted from the turn on, and round. An entry that is taken goes to the target that it names
// alone; no other is taken.
//
// Said of one source, which is any: whether it must be taken follows from those that come before it.

`resetall
`default_nettype none

module crossbar_proof #(
    parameter SOURCES = 4,
    parameter TARGETS = 2,
    parameter WIDTH = 3,
    parameter SOURCE_WIDTH = SOURCES > 1 ? $clog2(SOURCES) : 1,
    parameter TARGET_WIDTH = TARGETS > 1 ? $clog2(TARGETS) : 1
) (
    input wire [SOURCE_WIDTH-1:0]         source,
    input wire [SOURCE_WIDTH-1:0]         turn,
    input wire [SOURCES-1:0]              s_valid,
    input wire [SOURCES*TARGET_WIDTH-1:0] s_target,
    input wire [SOURCES*WIDTH-1:0]        s_data,
    input wire [TARGETS-1:0]              m_ready
);

    wire [SOURCES-1:0]       s_ready;
    wire [TARGETS-1:0]       m_valid;
    wire [TARGETS*WIDTH-1:0] m_data;
    crossbar #(.SOURCES(SOURCES), .TARGETS(TARGETS), .WIDTH(WIDTH)) bar (
        .turn(turn), .s_valid(s_valid), .s_ready(s_ready), .s_target(s_target), .s_data(s_data),
        .m_valid(m_valid), .m_ready(m_ready), .m_data(m_data)
    );

    wire [TARGET_WIDTH-1:0] target = s_target[TARGET_WIDTH*source +: TARGET_WIDTH];
    reg [TARGETS-1:0] wanted;
    reg               first;   // no source before this one wants its target
    integer i;
    always @* begin
        wanted = {TARGETS{1'b0}};
        first  = s_valid[source];
        for (i = 0; i < SOURCES; i = i + 1) begin
            assume (s_target[TARGET_WIDTH*i +: TARGET_WIDTH] < TARGETS);
            if (s_valid[i]) begin
                wanted[s_target[TARGET_WIDTH*i +: TARGET_WIDTH]] = 1'b1;
                if (s_target[TARGET_WIDTH*i +: TARGET_WIDTH] == target
                    && (i + SOURCES - turn) % SOURCES < (source + SOURCES - turn) % SOURCES) begin
                    first = 1'b0;
                end
            end
        end
        assume (source < SOURCES && turn < SOURCES);
        assert (m_valid == wanted);
        assert (s_ready[source] == (first && m_ready[target]));
        if (first) begin
            assert (m_data[WIDTH*target +: WIDTH] == s_data[WIDTH*source +: WIDTH]);
        end
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_taken     = s_ready[source];
    (* keep *) wire cover_waits     = first && !m_ready[target];
    (* keep *) wire cover_contended = SOURCES == 1 || (s_valid[source] && !first && m_ready[target]);
    (* keep *) wire cover_round     = SOURCES == 1 || (first && source < turn && s_ready[source]);
    (* keep *) wire cover_all       = SOURCES < TARGETS || &m_valid;

endmodule

`resetall
