// SPDX-License-Identifier: Apache-2.0
// Whether a head's descriptor can be worked on. See `spatten_core` for its fields.

`resetall
`default_nettype none

module head_check #(
    parameter BITS = 12,
    parameter SIZE = 1024,
    parameter LIST = 32,
    parameter KEY_BANKS = 32,
    parameter KEY_ROWS = 160,
    parameter LSB_ROWS = 32,
    parameter VALUE_BANKS = 32,
    parameter VALUE_ROWS = 192,
    parameter ADDRESS_WIDTH = 40,
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST)
) (
    // a head
    input  wire [ADDRESS_WIDTH-1:0] key_address,
    input  wire [ADDRESS_WIDTH-1:0] lsb_address,
    input  wire [ADDRESS_WIDTH-1:0] value_address,
    input  wire [LIST_WIDTH-1:0]    list,
    input  wire [COUNT_WIDTH-1:0]   count,
    input  wire [1:0]               dimension,
    input  wire [2:0]               query_bits,
    input  wire [2:0]               key_bits,
    input  wire [2:0]               lsb_bits,
    input  wire [2:0]               value_bits,
    input  wire                     shared,
    input  wire [15:0]              queries,
    input  wire [31:0]              scale,
    input  wire                     limit_sign,
    output wire [COUNT_WIDTH+3:0]   key_rows,
    output wire [COUNT_WIDTH+3:0]   lsb_rows,
    output wire                     legal
);

    // bits of a code; those of a plane that is not there are 0
    function [5:0] bits_of(input [2:0] code);
        bits_of = code == 3'd7 ? 6'd0 : code > 3'd4 ? 6'd63 : 6'd4 + {2'd0, code, 1'b0};
    endfunction

    wire [COUNT_WIDTH+3:0] plane_rows, value_rows;
    wire [5:0] unused_key, unused_lsb, unused_value;
    vector_rows #(.COUNT_WIDTH(COUNT_WIDTH), .BANKS(KEY_BANKS)) of_keys (
        .code(key_bits), .dimension(dimension), .count(count), .size(unused_key), .rows(key_rows)
    );
    vector_rows #(.COUNT_WIDTH(COUNT_WIDTH), .BANKS(KEY_BANKS)) of_lsbs (
        .code(lsb_bits), .dimension(dimension), .count(count), .size(unused_lsb), .rows(plane_rows)
    );
    vector_rows #(.COUNT_WIDTH(COUNT_WIDTH), .BANKS(VALUE_BANKS)) of_values (
        .code(value_bits), .dimension(dimension), .count(count), .size(unused_value), .rows(value_rows)
    );
    assign lsb_rows = lsb_bits == 3'd7 ? {COUNT_WIDTH+4{1'b0}} : plane_rows;

    localparam PLACES = 2 * SIZE;
    localparam HALF_KEYS = KEY_ROWS / 2;
    localparam MOST_ROWS = (1 << (COUNT_WIDTH + 4)) - 1;  // that a head can have
    localparam MOST_LSBS = LSB_ROWS < MOST_ROWS ? LSB_ROWS : MOST_ROWS;
    localparam HALF_VALUES = VALUE_ROWS / 2;
    wire [COUNT_WIDTH:0] list_end = ({{COUNT_WIDTH+1-LIST_WIDTH{1'b0}}, list} << $clog2(LIST)) + {1'b0, count};
    wire [6:0] both = {1'b0, bits_of(key_bits)} + {1'b0, bits_of(lsb_bits)};

    assign legal = ~|key_address[4:0] && ~|lsb_address[4:0] && ~|value_address[4:0]
        && dimension != 2'd3 && query_bits <= 3'd5 && key_bits != 3'd7 && value_bits != 3'd7
        && both <= BITS[6:0] && bits_of(value_bits) <= BITS[5:0]
        && count != 0 && count <= SIZE[COUNT_WIDTH-1:0] && list_end <= PLACES[COUNT_WIDTH:0] && queries != 0
        && key_rows <= HALF_KEYS[COUNT_WIDTH+3:0] && lsb_rows <= MOST_LSBS[COUNT_WIDTH+3:0] && (!shared || value_rows <= HALF_VALUES[COUNT_WIDTH+3:0])
        && !scale[31] && scale[30:23] < 8'd223 && !limit_sign;
    wire unused_bits = &{1'b0, key_address, lsb_address, value_address, scale};

endmodule

`resetall
