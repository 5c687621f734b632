// SPDX-License-Identifier: Apache-2.0
// AXI4 write master: writes `s_cmd_beats` beats of a stream from `s_cmd_address` on.
//
// Bursts end at 4 KiB boundaries and have at most 256 beats; one at a time: address, data, response. The address is a
// multiple of the beat, every byte is written. `done` is raised for a cycle after the last response, with `error` if any
// response was not OKAY.

`resetall
`default_nettype none
`include "assertions.vh"

module axi_write #(
    // bytes of a beat, a power of two
    parameter BYTES = 32
) (
    input  wire                     clk,
    input  wire                     rst,

    input  wire                     s_cmd_valid,
    output wire                     s_cmd_ready,
    input  wire [63:0]              s_cmd_address,
    input  wire [31:0]              s_cmd_beats,    // at least 1
    output wire                     done,
    output wire                     error,

    input  wire                     s_axis_tvalid,
    output wire                     s_axis_tready,
    input  wire [8*BYTES-1:0]       s_axis_tdata,

    output wire                     m_axi_awvalid,
    input  wire                     m_axi_awready,
    output wire [63:0]              m_axi_awaddr,
    output wire [7:0]               m_axi_awlen,
    output wire                     m_axi_wvalid,
    input  wire                     m_axi_wready,
    output wire [8*BYTES-1:0]       m_axi_wdata,
    output wire                     m_axi_wlast,
    input  wire                     m_axi_bvalid,
    output wire                     m_axi_bready,
    input  wire [1:0]               m_axi_bresp
);

    localparam [1:0] STATE_IDLE     = 2'd0;
    localparam [1:0] STATE_ADDRESS  = 2'd1;
    localparam [1:0] STATE_DATA     = 2'd2;
    localparam [1:0] STATE_RESPONSE = 2'd3;

    reg [1:0]               state_reg,   state_next;
    reg [63:0]              address_reg, address_next;
    reg [31:0]              beats_reg,   beats_next;    // still to go
    reg [7:0]               left_reg,    left_next;     // in the burst, after this one
    reg                     error_reg,   error_next;
    reg                     done_reg,    done_next;

    wire [7:0] len;
    axi_burst #(.BYTES(BYTES)) burst_inst (.address(address_reg[11:0]), .beats(beats_reg), .len(len));

    assign s_cmd_ready   = state_reg == STATE_IDLE;
    assign m_axi_awvalid = state_reg == STATE_ADDRESS;
    assign m_axi_awaddr  = address_reg;
    assign m_axi_awlen   = len;
    assign m_axi_wvalid  = state_reg == STATE_DATA && s_axis_tvalid;
    assign s_axis_tready = state_reg == STATE_DATA && m_axi_wready;
    assign m_axi_wdata   = s_axis_tdata;
    assign m_axi_wlast   = left_reg == 8'd0;
    assign m_axi_bready  = state_reg == STATE_RESPONSE;
    assign done          = done_reg;
    assign error         = error_reg;

    always @* begin
        state_next   = state_reg;
        address_next = address_reg;
        beats_next   = beats_reg;
        left_next    = left_reg;
        error_next   = error_reg;
        done_next    = 1'b0;
        case (state_reg)
            STATE_ADDRESS: begin
                left_next = len;
                if (m_axi_awready) begin
                    state_next = STATE_DATA;
                end
            end
            STATE_DATA: begin
                if (m_axi_wvalid && m_axi_wready) begin
                    address_next = address_reg + {32'd0, BYTES[31:0]};
                    beats_next   = beats_reg - 32'd1;
                    left_next    = left_reg - 8'd1;
                    if (m_axi_wlast) begin
                        state_next = STATE_RESPONSE;
                    end
                end
            end
            STATE_RESPONSE: begin
                if (m_axi_bvalid) begin
                    error_next = error_reg || m_axi_bresp != 2'b00;
                    state_next = beats_reg == 32'd0 ? STATE_IDLE : STATE_ADDRESS;
                    done_next  = beats_reg == 32'd0;
                end
            end
            default: begin
                if (s_cmd_valid) begin
                    state_next   = STATE_ADDRESS;
                    address_next = s_cmd_address;
                    beats_next   = s_cmd_beats;
                    error_next   = 1'b0;
                end
            end
        endcase
    end

    always @(posedge clk) begin
        state_reg   <= state_next;
        address_reg <= address_next;
        beats_reg   <= beats_next;
        left_reg    <= left_next;
        error_reg   <= error_next;
        done_reg    <= done_next;

        if (rst) begin
            state_reg <= STATE_IDLE;
            done_reg  <= 1'b0;
        end
    end

    `ASSERT_STABLE(address_stays, m_axi_awvalid, m_axi_awready, {m_axi_awaddr, m_axi_awlen})
    `ASSERT_STABLE(data_stays, m_axi_wvalid, m_axi_wready, {m_axi_wdata, m_axi_wlast})

endmodule

`resetall
