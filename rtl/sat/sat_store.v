// SPDX-License-Identifier: Apache-2.0
// STORE: reads buffer words and makes a stream of beats of them; the lines are those of LOAD.
//
// `half` rounds outputs, or the weights of the state, to binary16: 2 bytes a column. The address is for a memory that
// answers in the next cycle; the first beat is offered in the cycle after `start`, one a cycle from then on.

`resetall
`default_nettype none
`include "assertions.vh"

module sat_store #(
    parameter COLS = 32,
    // bytes of a beat
    parameter BYTES = 32,
    parameter ADDRESS_WIDTH = 16
) (
    input  wire                     clk,
    input  wire                     rst,
    input  wire                     start,
    input  wire [1:0]               buffer,       // 1 north, 2 output, 3 state
    input  wire                     half,
    input  wire [ADDRESS_WIDTH-1:0] first,        // word
    input  wire [31:0]              words,

    output wire [1:0]               source,       // buffer being read
    output wire [ADDRESS_WIDTH-1:0] address,
    input  wire [24*COLS-1:0]       north_data,
    input  wire [32*COLS-1:0]       output_data,
    input  wire [64*COLS-1:0]       state_data,

    output wire                     m_axis_tvalid,
    input  wire                     m_axis_tready,
    output wire [8*BYTES-1:0]       m_axis_tdata
);

    localparam QUAD = BYTES / 4;   // columns a beat
    localparam PAIR = BYTES / 8;
    localparam BOTH = BYTES / 2;
    // beats that hold a line of each kind
    localparam QUADS = (COLS + QUAD - 1) / QUAD;
    localparam PAIRS = (COLS + PAIR - 1) / PAIR;
    localparam BOTHS = (COLS + BOTH - 1) / BOTH;

    reg                     valid_reg;
    reg                     half_reg;
    reg [1:0]               buffer_reg;
    reg [ADDRESS_WIDTH-1:0] address_reg;
    reg [31:0]              words_reg;   // still to go, this one included
    reg [15:0]              part_reg;    // beat in the line

    wire [15:0] beats;
    sat_line #(.COLS(COLS), .BYTES(BYTES)) line_inst (.buffer(buffer_reg), .half(half_reg), .beats(beats));
    wire sent     = valid_reg && m_axis_tready;
    wire line_end = sent && part_reg + 16'd1 == beats;
    wire [ADDRESS_WIDTH-1:0] address_next = start ? first : line_end ? address_reg + 1'b1 : address_reg;

    assign source        = start ? buffer : buffer_reg;
    assign address       = address_next;
    assign m_axis_tvalid = valid_reg;

    // lines, each filled up to whole beats
    wire [8*BYTES*QUADS-1:0] north_line, output_line;
    wire [8*BYTES*PAIRS-1:0] state_line;
    wire [8*BYTES*BOTHS-1:0] half_line;
    genvar c;
    generate
        for (c = 0; c < QUAD*QUADS; c = c + 1) begin : g_quad
            if (c < COLS) begin : g_column
                assign north_line[32*c +: 32]  = {8'd0, north_data[24*c +: 24]};
                assign output_line[32*c +: 32] = output_data[32*c +: 32];
            end else begin : g_none
                assign north_line[32*c +: 32]  = 32'd0;
                assign output_line[32*c +: 32] = 32'd0;
            end
        end
        for (c = 0; c < PAIR*PAIRS; c = c + 1) begin : g_pair
            if (c < COLS) begin : g_column
                assign state_line[64*c +: 64] = state_data[64*c +: 64];
            end else begin : g_none
                assign state_line[64*c +: 64] = 64'd0;
            end
        end
        for (c = 0; c < BOTH*BOTHS; c = c + 1) begin : g_both
            if (c < COLS) begin : g_column
                fp32_to_fp16 half_inst (
                    .a(buffer_reg == 2'd3 ? state_data[64*c +: 32] : output_data[32*c +: 32]),
                    .y(half_line[16*c +: 16])
                );
            end else begin : g_none
                assign half_line[16*c +: 16] = 16'd0;
            end
        end
    endgenerate
    assign m_axis_tdata = half_reg ? half_line[8*BYTES*part_reg +: 8*BYTES] :
                          buffer_reg == 2'd3 ? state_line[8*BYTES*part_reg +: 8*BYTES] :
                          buffer_reg == 2'd2 ? output_line[8*BYTES*part_reg +: 8*BYTES] :
                          north_line[8*BYTES*part_reg +: 8*BYTES];

    always @(posedge clk) begin
        address_reg <= address_next;
        if (sent) begin
            part_reg <= line_end ? 16'd0 : part_reg + 16'd1;
        end
        if (line_end) begin
            words_reg <= words_reg - 32'd1;
            valid_reg <= words_reg != 32'd1;
        end
        if (start) begin
            valid_reg  <= 1'b1;
            half_reg   <= half;
            buffer_reg <= buffer;
            words_reg  <= words;
            part_reg   <= 16'd0;
        end

        if (rst) begin
            valid_reg <= 1'b0;
        end
    end

    `ASSERT_STABLE(beat_stays, m_axis_tvalid, m_axis_tready, m_axis_tdata)
    `ASSERT(started_idle, !(start && valid_reg))

endmodule

`resetall
