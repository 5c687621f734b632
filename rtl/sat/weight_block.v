// SPDX-License-Identifier: Apache-2.0
// Turns updated weights round for SORE: collects m beats of LANES weights, then offers them as m beats in which a lane's
// elements are a group of the forward pass (direct: down the beats) or of the backward pass (across the lanes).
//
// Weight (beat i, lane l) leaves, direct, as beat i, lane l; across, as beat l mod m, lane i * (LANES / m) + l / m: with m
// dividing LANES, lane i * (LANES / m) + q gets the group of beat i, lanes q m to q m + m - 1. Two blocks: one fills while
// the other leaves, once for each order that the command asks for, direct first.

`resetall
`default_nettype none
`include "assertions.vh"

module weight_block #(
    parameter LANES = 32,
    // largest m
    parameter GROUP_MAX = 16,
    // bits of a position in a group
    parameter INDEX_WIDTH = $clog2(GROUP_MAX) > 0 ? $clog2(GROUP_MAX) : 1
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 clear,      // a command begins in the next cycle
    input  wire [INDEX_WIDTH:0] m,
    input  wire                 direct,
    input  wire                 across,     // m divides LANES

    input  wire                 s_axis_tvalid,
    output wire                 s_axis_tready,
    input  wire [16*LANES-1:0]  s_axis_tdata,

    output wire                 m_axis_tvalid,
    input  wire                 m_axis_tready,
    output wire [16*LANES-1:0]  m_axis_tdata
);

    reg [16*LANES-1:0]    even_reg [0:GROUP_MAX-1];
    reg [16*LANES-1:0]    odd_reg [0:GROUP_MAX-1];
    reg [1:0]             full_reg,   full_next;
    reg                   fill_reg,   fill_next;     // block being filled
    reg                   send_reg,   send_next;     // block being sent
    reg [INDEX_WIDTH-1:0] in_reg,     in_next;
    reg [INDEX_WIDTH-1:0] out_reg,    out_next;
    reg                   second_reg, second_next;   // the block leaves across

    wire take     = s_axis_tvalid && s_axis_tready;
    wire sent     = m_axis_tvalid && m_axis_tready;
    wire in_last  = {1'b0, in_reg} + 1'b1 == m;
    wire out_last = {1'b0, out_reg} + 1'b1 == m;
    wire turn     = second_reg || !direct;            // this pass is across

    assign s_axis_tready = !full_reg[fill_reg];
    assign m_axis_tvalid = full_reg[send_reg];

    always @* begin
        full_next   = full_reg;
        fill_next   = fill_reg;
        send_next   = send_reg;
        in_next     = in_reg;
        out_next    = out_reg;
        second_next = second_reg;
        if (take) begin
            in_next = in_reg + 1'b1;
            if (in_last) begin
                in_next             = {INDEX_WIDTH{1'b0}};
                full_next[fill_reg] = 1'b1;
                fill_next           = !fill_reg;
            end
        end
        if (sent) begin
            out_next = out_reg + 1'b1;
            if (out_last) begin
                out_next    = {INDEX_WIDTH{1'b0}};
                second_next = direct && across && !second_reg;
                if (turn || !across) begin
                    full_next[send_reg] = 1'b0;
                    send_next           = !send_reg;
                end
            end
        end
        if (clear) begin
            full_next   = 2'b00;
            fill_next   = 1'b0;
            send_next   = 1'b0;
            in_next     = {INDEX_WIDTH{1'b0}};
            out_next    = {INDEX_WIDTH{1'b0}};
            second_next = 1'b0;
        end
    end

    always @(posedge clk) begin
        if (take && !fill_reg) begin
            even_reg[in_reg] <= s_axis_tdata;
        end
        if (take && fill_reg) begin
            odd_reg[in_reg] <= s_axis_tdata;
        end
    end

    // across, lane i * (LANES / m) + q of beat j is lane q m + j of beat i: one way of wiring for each m that divides LANES
    wire [16*LANES-1:0] straight = send_reg ? odd_reg[out_reg] : even_reg[out_reg];
    wire [16*LANES*(GROUP_MAX+1)-1:0] turned;
    assign turned[16*LANES-1:0] = {16*LANES{1'b0}};
    genvar g, l;
    generate
        for (g = 1; g <= GROUP_MAX; g = g + 1) begin : g_group
            for (l = 0; l < LANES; l = l + 1) begin : g_lane
                if (LANES % g == 0) begin : g_wired
                    localparam BEAT = l / (LANES / g);
                    localparam FIRST = (l % (LANES / g)) * g;
                    wire [16*LANES-1:0] row = send_reg ? odd_reg[BEAT] : even_reg[BEAT];
                    wire [16*g-1:0] group = row[16*FIRST +: 16*g];
                    wire unused = &{1'b0, row};
                    assign turned[16*(LANES*g + l) +: 16] = group[16*out_reg +: 16];
                end else begin : g_none
                    assign turned[16*(LANES*g + l) +: 16] = 16'd0;
                end
            end
        end
    endgenerate
    assign m_axis_tdata = turn ? turned[16*LANES*m +: 16*LANES] : straight;

    always @(posedge clk) begin
        full_reg   <= full_next;
        fill_reg   <= fill_next;
        send_reg   <= send_next;
        in_reg     <= in_next;
        out_reg    <= out_next;
        second_reg <= second_next;

        if (rst) begin
            full_reg <= 2'b00;
        end
    end

    `ASSERT_STABLE(beat_stays, m_axis_tvalid, m_axis_tready || clear, m_axis_tdata)

endmodule

`resetall
