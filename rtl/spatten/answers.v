// SPDX-License-Identifier: Apache-2.0
// Answers to queries: outputs in the order in which they came, and errors where there is no output to give.
//
// Status: 0 right, 1 the head's descriptor is illegal, 2 the query's is, 3 the memory answered with an error; with an error
// the rest of the answer is 0. An answer that is offered stays until it is taken.

`resetall
`default_nettype none
`include "assertions.vh"

module answers #(
    parameter SLOTS = 64,
    // outputs that wait, at most
    parameter OUTPUTS = 8,
    parameter WIDTH = 128 * 34,
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire                  clk,
    input  wire                  rst,

    // a query gets a slot
    input  wire                  admit,
    input  wire [SLOT_WIDTH-1:0] admit_slot,
    input  wire [15:0]           admit_tag,
    input  wire                  admit_illegal,

    input  wire                  s_valid,
    input  wire [SLOT_WIDTH-1:0] s_slot,
    input  wire [WIDTH-1:0]      s_output,
    input  wire                  error_valid,
    output wire                  error_ready,
    input  wire [15:0]           error_tag,

    // of the slot that is answered
    output wire [SLOT_WIDTH-1:0] slot,
    input  wire                  wrong,
    input  wire                  again,
    output wire                  release_valid,
    // of each slot: its query's descriptor
    output wire [SLOTS-1:0]      illegal,

    output wire                  m_valid,
    input  wire                  m_ready,
    output wire [15:0]           m_tag,
    output wire [1:0]            m_status,
    output wire                  m_again,
    output wire [WIDTH-1:0]      m_output
);

    reg [15:0]      tag_reg [0:SLOTS-1];
    reg [SLOTS-1:0] illegal_reg;
    reg             error_stays_reg;
    wire            output_valid, unused_ready;
    wire [WIDTH-1:0] found;

    fifo #(.WIDTH(SLOT_WIDTH + WIDTH), .DEPTH(OUTPUTS)) outputs (
        .clk(clk), .rst(rst), .s_valid(s_valid), .s_ready(unused_ready), .s_data({s_slot, s_output}),
        .m_valid(output_valid), .m_ready(release_valid), .m_data({slot, found})
    );

    wire error = error_valid && (error_stays_reg || !output_valid);

    assign illegal       = illegal_reg;
    assign m_valid       = output_valid || error_valid;
    assign m_tag         = error ? error_tag : tag_reg[slot];
    assign m_status      = error ? 2'd1 : illegal_reg[slot] ? 2'd2 : wrong ? 2'd3 : 2'd0;
    assign m_again       = m_status == 2'd0 && again;
    assign m_output      = m_status == 2'd0 ? found : {WIDTH{1'b0}};
    assign error_ready   = error && m_ready;
    assign release_valid = output_valid && !error && m_ready;

    always @(posedge clk) begin
        error_stays_reg <= error && !m_ready && !rst;
        if (admit) begin
            tag_reg[admit_slot]     <= admit_tag;
            illegal_reg[admit_slot] <= admit_illegal;
        end
    end

    `ASSERT_STABLE(answer_stays, m_valid, m_ready, {m_tag, m_status, m_again, m_output})
    `ASSERT(room, !(s_valid && !unused_ready))

endmodule

`resetall
