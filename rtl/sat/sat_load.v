// SPDX-License-Identifier: Apache-2.0
// LOAD: spreads the beats of a read over the lanes of a buffer.
//
// A buffer word is a line of whole beats: west a beat a row; north and output 4 bytes a column (north {0, index, weight}
// from the top); state 8 bytes a column ({momentum, weight}). Bytes of a line beyond the last column are dropped.

`resetall
`default_nettype none

module sat_load #(
    parameter ROWS = 32,
    parameter COLS = 32,
    // bytes of a beat
    parameter BYTES = 32,
    parameter ADDRESS_WIDTH = 16
) (
    input  wire                     clk,
    input  wire                     start,
    input  wire [1:0]               buffer,       // 0 west, 1 north, 2 output, 3 state
    input  wire [ADDRESS_WIDTH-1:0] first,        // word
    input  wire                     beat_valid,
    input  wire [8*BYTES-1:0]       beat,

    output wire [ADDRESS_WIDTH-1:0] address,
    output wire [ROWS-1:0]          west_write,
    output wire [8*BYTES-1:0]       west_data,
    output wire [COLS-1:0]          north_write,
    output wire [COLS-1:0]          output_write,
    output wire [32*COLS-1:0]       column_data,  // north, output
    output wire [COLS-1:0]          state_write,
    output wire [64*COLS-1:0]       state_data
);

    localparam QUAD = BYTES / 4;   // columns a beat
    localparam PAIR = BYTES / 8;

    reg [1:0]               buffer_reg;
    reg [ADDRESS_WIDTH-1:0] address_reg;
    reg [15:0]              part_reg;     // beat in the line

    wire [15:0] beats;
    sat_line #(.ROWS(ROWS), .COLS(COLS), .BYTES(BYTES)) line_inst (.buffer(buffer_reg), .half(1'b0), .beats(beats));

    assign address   = address_reg;
    assign west_data = beat;

    genvar i;
    generate
        for (i = 0; i < ROWS; i = i + 1) begin : g_row
            assign west_write[i] = beat_valid && buffer_reg == 2'd0 && {16'd0, part_reg} == i;
        end
        for (i = 0; i < COLS; i = i + 1) begin : g_column
            assign north_write[i]  = beat_valid && buffer_reg == 2'd1 && {16'd0, part_reg} == i / QUAD;
            assign output_write[i] = beat_valid && buffer_reg == 2'd2 && {16'd0, part_reg} == i / QUAD;
            assign state_write[i]  = beat_valid && buffer_reg == 2'd3 && {16'd0, part_reg} == i / PAIR;
            assign column_data[32*i +: 32] = beat[32*(i % QUAD) +: 32];
            assign state_data[64*i +: 64]  = beat[64*(i % PAIR) +: 64];
        end
    endgenerate

    always @(posedge clk) begin
        if (beat_valid) begin
            part_reg <= part_reg + 16'd1;
            if (part_reg + 16'd1 == beats) begin
                part_reg    <= 16'd0;
                address_reg <= address_reg + 1'b1;
            end
        end
        if (start) begin
            buffer_reg  <= buffer;
            address_reg <= first;
            part_reg    <= 16'd0;
        end
    end

endmodule

`resetall
