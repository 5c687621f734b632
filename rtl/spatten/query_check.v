// SPDX-License-Identifier: Apache-2.0
// Whether a query's descriptor can be worked on, of a head whose own can be (`head_check`).
//
// It begins at a multiple of 8 bytes, and from the first 32-byte word that it touches to its end are 256 bytes at most; it
// sees one key at least and no more than the head has; the values that it multiplies, one at least, fit half of the SRAM
// where they are its own. To keep more values than it sees keys is to keep all.

`resetall
`default_nettype none

module query_check #(
    parameter SIZE = 1024,
    parameter VALUE_BANKS = 32,
    parameter VALUE_ROWS = 192,
    parameter ADDRESS_WIDTH = 40,
    parameter COUNT_WIDTH = $clog2(SIZE + 1)
) (
    input  wire [ADDRESS_WIDTH-1:0] address,
    input  wire [COUNT_WIDTH-1:0]   count,
    input  wire [COUNT_WIDTH-1:0]   keep,
    // of its head
    input  wire [COUNT_WIDTH-1:0]   keys,
    input  wire [1:0]               dimension,
    input  wire [2:0]               query_bits,
    input  wire [2:0]               value_bits,
    input  wire                     shared,
    output wire                     legal
);

    localparam HALF_VALUES = VALUE_ROWS / 2;
    wire [COUNT_WIDTH-1:0] kept = keep < count ? keep : count;
    wire [5:0]             size, unused_size;
    wire [COUNT_WIDTH+3:0] unused_rows, own_rows;
    vector_rows #(.COUNT_WIDTH(COUNT_WIDTH), .BANKS(VALUE_BANKS)) of_query (
        .code(query_bits), .dimension(dimension), .count(kept), .size(size), .rows(unused_rows)
    );
    vector_rows #(.COUNT_WIDTH(COUNT_WIDTH), .BANKS(VALUE_BANKS)) of_values (
        .code(value_bits), .dimension(dimension), .count(kept), .size(unused_size), .rows(own_rows)
    );
    assign legal = ~|address[2:0] && {5'd0, address[4:3]} + {1'b0, size} <= 7'd32 && count != 0 && keep != 0
        && count <= keys && (shared || own_rows <= HALF_VALUES[COUNT_WIDTH+3:0]);
    wire unused_bits = &{1'b0, address};

endmodule

`resetall
