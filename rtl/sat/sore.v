// SPDX-License-Identifier: Apache-2.0
// SORE, the sparse online reduction engine: LANES sorters in lockstep, the n largest of every m elements a lane.
//
// A command (n, m, rounds) is followed by rounds * m input beats, one element a lane each, and gives rounds * n output
// beats: values and positions in index order. Without stalls: the first element is taken one cycle after the command,
// one beat a cycle; a group's entries leave while the next group enters; `done` is raised for one cycle, rounds * m + n + 1
// cycles after the command was accepted. Required of the command: 1 <= n <= ENTRIES, n <= m <= GROUP_MAX.
// A command of 0 rounds is done in the next cycle.

`resetall
`default_nettype none
`include "assertions.vh"

module sore #(
    // sorters
    parameter LANES = 32,
    // largest n
    parameter ENTRIES = 8,
    // largest m
    parameter GROUP_MAX = 16,
    // bits of a position in a group (at least 1)
    parameter INDEX_WIDTH = $clog2(GROUP_MAX) > 0 ? $clog2(GROUP_MAX) : 1,
    // bits of n
    parameter COUNT_WIDTH = $clog2(ENTRIES + 1)
) (
    input  wire                             clk,
    input  wire                             rst,

    // command
    input  wire                             s_cmd_valid,
    output wire                             s_cmd_ready,
    input  wire [COUNT_WIDTH-1:0]           s_cmd_n,
    input  wire [INDEX_WIDTH:0]             s_cmd_m,
    input  wire [31:0]                      s_cmd_rounds,
    output wire                             done,

    // elements, binary16, lane 0 lowest
    input  wire                             s_axis_tvalid,
    output wire                             s_axis_tready,
    input  wire [16*LANES-1:0]              s_axis_tdata,

    // kept elements: {position, value} a lane, position zero-extended to 8 bits
    output wire                             m_axis_tvalid,
    input  wire                             m_axis_tready,
    output wire [24*LANES-1:0]              m_axis_tdata,
    output wire                             m_axis_tlast
);

    generate
        if (GROUP_MAX < 1 || GROUP_MAX > 256 || ENTRIES < 1 || LANES < 1) begin : g_illegal
            illegal_parameter_of_sore illegal ();
        end
    endgenerate

    // input side
    reg                   busy_reg,  busy_next;    // a command is running
    reg                   take_reg,  take_next;    // elements are still to come
    reg [INDEX_WIDTH-1:0] index_reg, index_next;
    reg [31:0]            round_reg, round_next;   // rounds still to enter, this one included
    reg [COUNT_WIDTH-1:0] n_reg,     n_next;
    reg [INDEX_WIDTH:0]   m_reg,     m_next;
    // output side
    reg                   send_reg,  send_next;
    reg                   final_reg, final_next;   // the provider holds the last round
    reg [COUNT_WIDTH-1:0] entry_reg, entry_next;
    reg                   done_reg,  done_next;

    wire last_index = {1'b0, index_reg} + 1'b1 == m_reg;
    wire last_entry = entry_reg + 1'b1 == n_reg;
    wire sent       = send_reg && m_axis_tready;
    wire free       = !send_reg || (sent && last_entry);
    wire insert     = s_axis_tvalid && s_axis_tready;

    assign s_cmd_ready   = !busy_reg;
    assign s_axis_tready = take_reg && (!last_index || free);
    assign m_axis_tvalid = send_reg;
    assign m_axis_tlast  = final_reg && last_entry;
    assign done          = done_reg;

    always @* begin
        busy_next  = busy_reg;
        take_next  = take_reg;
        index_next = index_reg;
        round_next = round_reg;
        n_next     = n_reg;
        m_next     = m_reg;
        send_next  = send_reg;
        final_next = final_reg;
        entry_next = entry_reg;
        done_next  = 1'b0;

        if (sent) begin
            entry_next = entry_reg + 1'b1;
            if (last_entry) begin
                entry_next = {COUNT_WIDTH{1'b0}};
                send_next  = 1'b0;
                if (final_reg) begin
                    busy_next = 1'b0;
                    done_next = 1'b1;
                end
            end
        end
        if (insert) begin
            index_next = index_reg + 1'b1;
            if (last_index) begin
                index_next = {INDEX_WIDTH{1'b0}};
                round_next = round_reg - 32'd1;
                send_next  = 1'b1;
                final_next = round_reg == 32'd1;
                take_next  = round_reg != 32'd1;
            end
        end
        if (s_cmd_valid && s_cmd_ready) begin
            busy_next  = s_cmd_rounds != 32'd0;
            take_next  = s_cmd_rounds != 32'd0;
            done_next  = s_cmd_rounds == 32'd0;
            index_next = {INDEX_WIDTH{1'b0}};
            round_next = s_cmd_rounds;
            n_next     = s_cmd_n;
            m_next     = s_cmd_m;
        end
    end

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            wire [INDEX_WIDTH-1:0] position;
            sore_lane #(
                .ENTRIES(ENTRIES),
                .INDEX_WIDTH(INDEX_WIDTH),
                .COUNT_WIDTH(COUNT_WIDTH)
            ) lane_inst (
                .clk(clk),
                .insert(insert),
                .first(index_reg == {INDEX_WIDTH{1'b0}}),
                .last(last_index),
                .bits(s_axis_tdata[16*l +: 16]),
                .index(index_reg),
                .n(n_reg),
                .select(entry_reg),
                .value(m_axis_tdata[24*l +: 16]),
                .position(position)
            );
            assign m_axis_tdata[24*l + 16 +: 8] = {{(8 - INDEX_WIDTH){1'b0}}, position};
        end
    endgenerate

    always @(posedge clk) begin
        busy_reg  <= busy_next;
        take_reg  <= take_next;
        index_reg <= index_next;
        round_reg <= round_next;
        n_reg     <= n_next;
        m_reg     <= m_next;
        send_reg  <= send_next;
        final_reg <= final_next;
        entry_reg <= entry_next;
        done_reg  <= done_next;

        if (rst) begin
            busy_reg  <= 1'b0;
            take_reg  <= 1'b0;
            send_reg  <= 1'b0;
            entry_reg <= {COUNT_WIDTH{1'b0}};
            done_reg  <= 1'b0;
        end
    end

    `ASSERT_STABLE(beat_stays, m_axis_tvalid, m_axis_tready, {m_axis_tdata, m_axis_tlast})

endmodule

`resetall
