// SPDX-License-Identifier: Apache-2.0
// Addresses of a column's results in the output buffer, in the order in which they come.
//
// A column tile takes `stride` words. WS: results come in address order, through all column tiles, and again from 0 for the
// next weights (`wrapped` from then on). OS: a tile is `tile` words of its column tile; they come from the bottom row up,
// `interleave` a row.

`resetall
`default_nettype none

module output_address #(
    parameter ADDRESS_WIDTH = 16,
    parameter SLOT_WIDTH = 4
) (
    input  wire                     clk,
    input  wire                     clear,
    input  wire                     next,          // a result was addressed

    input  wire                     os,
    input  wire [SLOT_WIDTH:0]      interleave,
    input  wire [15:0]              column_tiles,
    input  wire [ADDRESS_WIDTH-1:0] stride,
    input  wire [ADDRESS_WIDTH-1:0] tile,          // WS: stride

    output wire [ADDRESS_WIDTH-1:0] address,
    output wire                     wrapped
);

    reg [ADDRESS_WIDTH-1:0] tile_reg,   tile_next;     // first word of the tile
    reg [ADDRESS_WIDTH-1:0] row_reg,    row_next;      // first word of the first row tile in this column tile
    reg [ADDRESS_WIDTH-1:0] gone_reg,   gone_next;     // words of the rows that have been
    reg [ADDRESS_WIDTH-1:0] count_reg,  count_next;    // word in the row (OS), in the tile (WS)
    reg [15:0]              column_reg, column_next;
    reg                     wrapped_reg, wrapped_next;

    wire [ADDRESS_WIDTH-1:0] step = {{(ADDRESS_WIDTH - SLOT_WIDTH - 1){1'b0}}, interleave};
    wire [ADDRESS_WIDTH-1:0] row_words = os ? step : tile;
    wire [ADDRESS_WIDTH-1:0] top = tile - row_words;   // OS: where the bottom row's words begin
    wire row_end  = count_reg + 1'b1 == row_words;
    wire tile_end = row_end && gone_reg == top;        // that many rows have gone

    // rows come from the bottom up
    assign address = tile_reg + (top - gone_reg) + count_reg;
    assign wrapped = wrapped_reg;

    always @* begin
        tile_next    = tile_reg;
        row_next     = row_reg;
        gone_next    = gone_reg;
        count_next   = count_reg;
        column_next  = column_reg;
        wrapped_next = wrapped_reg;
        if (next) begin
            count_next = count_reg + 1'b1;
            if (row_end) begin
                count_next = {ADDRESS_WIDTH{1'b0}};
                gone_next  = gone_reg + row_words;
            end
            if (tile_end) begin
                gone_next   = {ADDRESS_WIDTH{1'b0}};
                tile_next   = tile_reg + stride;
                column_next = column_reg + 16'd1;
                if (column_reg + 16'd1 == column_tiles) begin
                    column_next  = 16'd0;
                    wrapped_next = 1'b1;
                    row_next     = os ? row_reg + tile : {ADDRESS_WIDTH{1'b0}};
                    tile_next    = os ? row_reg + tile : {ADDRESS_WIDTH{1'b0}};
                end
            end
        end
        if (clear) begin
            tile_next    = {ADDRESS_WIDTH{1'b0}};
            row_next     = {ADDRESS_WIDTH{1'b0}};
            gone_next    = {ADDRESS_WIDTH{1'b0}};
            count_next   = {ADDRESS_WIDTH{1'b0}};
            column_next  = 16'd0;
            wrapped_next = 1'b0;
        end
    end

    always @(posedge clk) begin
        tile_reg    <= tile_next;
        row_reg     <= row_next;
        gone_reg    <= gone_next;
        count_reg   <= count_next;
        column_reg  <= column_next;
        wrapped_reg <= wrapped_next;
    end

endmodule

`resetall
