// SPDX-License-Identifier: Apache-2.0
// WUVE, the weight-update vector engine: LANES lanes in lockstep behind one valid/ready pipeline.
//
// A command (rates, rounds) is followed by rounds input beats and gives as many output beats. Without stalls: the first
// beat is taken one cycle after the command, one a cycle; `done` is raised for one cycle, rounds + latency + 1 cycles after
// the command was accepted, latency = 2 + 2 MUL_LATENCY + 3 ADD_LATENCY. A full pipeline that may not send stands still.
// A command of 0 rounds is done in the next cycle.

`resetall
`default_nettype none
`include "assertions.vh"

module wuve #(
    parameter LANES = 32,
    // pipeline registers of the multiplier and of the adder
    parameter MUL_LATENCY = 3,
    parameter ADD_LATENCY = 4
) (
    input  wire                clk,
    input  wire                rst,

    // command; rates in binary32
    input  wire                s_cmd_valid,
    output wire                s_cmd_ready,
    input  wire [31:0]         s_cmd_minus_rate,
    input  wire [31:0]         s_cmd_beta,
    input  wire [31:0]         s_cmd_decay,
    input  wire [31:0]         s_cmd_rounds,
    output wire                done,

    // {gradient 16, momentum 32, weight 32} a lane, lane 0 lowest
    input  wire                s_axis_tvalid,
    output wire                s_axis_tready,
    input  wire [80*LANES-1:0] s_axis_tdata,

    // {weight 16, momentum 32, weight 32} a lane
    output wire                m_axis_tvalid,
    input  wire                m_axis_tready,
    output wire [80*LANES-1:0] m_axis_tdata,
    output wire                m_axis_tlast
);

    localparam STAGES = 2 + 2*MUL_LATENCY + 3*ADD_LATENCY;

    generate
        if (LANES < 1 || MUL_LATENCY < 1 || ADD_LATENCY < 1) begin : g_illegal
            illegal_parameter_of_wuve illegal ();
        end
    endgenerate

    reg              busy_reg,  busy_next;
    reg [31:0]       take_reg,  take_next;   // beats still to enter
    reg [31:0]       send_reg,  send_next;   // beats still to leave
    reg [STAGES-1:0] valid_reg, valid_next;
    reg              done_reg,  done_next;
    reg [95:0]       rates_reg, rates_next;

    wire ce = !valid_reg[STAGES-1] || m_axis_tready;

    assign s_cmd_ready   = !busy_reg;
    assign s_axis_tready = ce && take_reg != 32'd0;
    assign m_axis_tvalid = valid_reg[STAGES-1];
    assign m_axis_tlast  = send_reg == 32'd1;
    assign done          = done_reg;

    always @* begin
        busy_next  = busy_reg;
        take_next  = take_reg;
        send_next  = send_reg;
        valid_next = valid_reg;
        rates_next = rates_reg;
        done_next  = 1'b0;

        if (ce) begin
            valid_next = {valid_reg[STAGES-2:0], s_axis_tvalid && s_axis_tready};
        end
        if (s_axis_tvalid && s_axis_tready) begin
            take_next = take_reg - 32'd1;
        end
        if (m_axis_tvalid && m_axis_tready) begin
            send_next = send_reg - 32'd1;
            if (m_axis_tlast) begin
                busy_next = 1'b0;
                done_next = 1'b1;
            end
        end
        if (s_cmd_valid && s_cmd_ready) begin
            busy_next  = s_cmd_rounds != 32'd0;
            done_next  = s_cmd_rounds == 32'd0;
            take_next  = s_cmd_rounds;
            send_next  = s_cmd_rounds;
            rates_next = {s_cmd_minus_rate, s_cmd_beta, s_cmd_decay};
        end
    end

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            wuve_lane #(
                .MUL_LATENCY(MUL_LATENCY),
                .ADD_LATENCY(ADD_LATENCY)
            ) lane_inst (
                .clk(clk),
                .ce(ce),
                .minus_rate(rates_reg[95:64]),
                .beta(rates_reg[63:32]),
                .decay(rates_reg[31:0]),
                .weight(s_axis_tdata[80*l +: 32]),
                .momentum(s_axis_tdata[80*l + 32 +: 32]),
                .gradient(s_axis_tdata[80*l + 64 +: 16]),
                .new_weight(m_axis_tdata[80*l +: 32]),
                .new_momentum(m_axis_tdata[80*l + 32 +: 32]),
                .new_half(m_axis_tdata[80*l + 64 +: 16])
            );
        end
    endgenerate

    always @(posedge clk) begin
        busy_reg  <= busy_next;
        take_reg  <= take_next;
        send_reg  <= send_next;
        valid_reg <= valid_next;
        done_reg  <= done_next;
        rates_reg <= rates_next;

        if (rst) begin
            busy_reg  <= 1'b0;
            take_reg  <= 32'd0;
            send_reg  <= 32'd0;
            valid_reg <= {STAGES{1'b0}};
            done_reg  <= 1'b0;
        end
    end

    `ASSERT_STABLE(beat_stays, m_axis_tvalid, m_axis_tready, {m_axis_tdata, m_axis_tlast})

endmodule

`resetall
