// SPDX-License-Identifier: Apache-2.0
// AXI4 read master: fetches `s_cmd_beats` beats from `s_cmd_address` on, in order, as a stream that is never stopped.
//
// Bursts end at 4 KiB boundaries and have at most 256 beats; one at a time. The address is a multiple of the beat. `done`
// is raised for a cycle after the last beat, with `error` if any beat's response was not OKAY. Without waits of the memory
// a burst takes as long as the memory needs from address to last beat; the next address follows in the next cycle.

`resetall
`default_nettype none
`include "assertions.vh"

module axi_read #(
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

    output wire                     beat_valid,
    output wire [8*BYTES-1:0]       beat,

    output wire                     m_axi_arvalid,
    input  wire                     m_axi_arready,
    output wire [63:0]              m_axi_araddr,
    output wire [7:0]               m_axi_arlen,
    input  wire                     m_axi_rvalid,
    output wire                     m_axi_rready,
    input  wire [8*BYTES-1:0]       m_axi_rdata,
    input  wire [1:0]               m_axi_rresp,
    input  wire                     m_axi_rlast
);

    localparam [1:0] STATE_IDLE    = 2'd0;
    localparam [1:0] STATE_ADDRESS = 2'd1;
    localparam [1:0] STATE_DATA    = 2'd2;

    reg [1:0]               state_reg,   state_next;
    reg [63:0]              address_reg, address_next;
    reg [31:0]              beats_reg,   beats_next;    // still to come
    reg                     error_reg,   error_next;
    reg                     done_reg,    done_next;

    wire [7:0] len;
    axi_burst #(.BYTES(BYTES)) burst_inst (.address(address_reg[11:0]), .beats(beats_reg), .len(len));

    assign s_cmd_ready   = state_reg == STATE_IDLE;
    assign m_axi_arvalid = state_reg == STATE_ADDRESS;
    assign m_axi_araddr  = address_reg;
    assign m_axi_arlen   = len;
    assign m_axi_rready  = state_reg == STATE_DATA;
    assign beat_valid    = m_axi_rvalid && m_axi_rready;
    assign beat          = m_axi_rdata;
    assign done          = done_reg;
    assign error         = error_reg;

    always @* begin
        state_next   = state_reg;
        address_next = address_reg;
        beats_next   = beats_reg;
        error_next   = error_reg;
        done_next    = 1'b0;
        case (state_reg)
            STATE_ADDRESS: begin
                if (m_axi_arready) begin
                    state_next = STATE_DATA;
                end
            end
            STATE_DATA: begin
                if (m_axi_rvalid) begin
                    address_next = address_reg + {32'd0, BYTES[31:0]};
                    beats_next   = beats_reg - 32'd1;
                    error_next   = error_reg || m_axi_rresp != 2'b00;
                    if (m_axi_rlast) begin
                        state_next = beats_reg == 32'd1 ? STATE_IDLE : STATE_ADDRESS;
                        done_next  = beats_reg == 32'd1;
                    end
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
        error_reg   <= error_next;
        done_reg    <= done_next;

        if (rst) begin
            state_reg <= STATE_IDLE;
            done_reg  <= 1'b0;
        end
    end

    `ASSERT(state_known, state_reg != 2'd3)
    `ASSERT_STABLE(address_stays, m_axi_arvalid, m_axi_arready, {m_axi_araddr, m_axi_arlen})

endmodule

`resetall
