// SPDX-License-Identifier: Apache-2.0
// A ring of the top-k engine: the marked keys of each row, packed into rows again, in their order.
//
// `start` begins a region behind what is there; rows with `valid` are compacted (one cycle) and packed (the next one);
// `flush`, at least two cycles after the last of them, writes what does not fill a row. Reads are of the region before
// the one being written: `data` is its row `row` one cycle later, from the cycle of `start` on. `total` counts the
// region's keys.

`resetall
`default_nettype none

module topk_ring #(
    // keys of a row; a power of two, at least 2
    parameter LANES = 16,
    // bits of a key
    parameter WIDTH = 32,
    // bits of a row's number
    parameter ROW_WIDTH = 7,
    // bits of a count of keys
    parameter COUNT_WIDTH = 11
) (
    input  wire                   clk,
    input  wire                   rst,

    // rows to be packed
    input  wire                   start,
    input  wire                   valid,
    input  wire [WIDTH*LANES-1:0] keys,
    input  wire [LANES-1:0]       keep,
    input  wire                   flush,
    output wire [COUNT_WIDTH-1:0] total,

    // rows to be read
    input  wire [ROW_WIDTH-1:0]   row,
    output wire [WIDTH*LANES-1:0] data
);

    localparam LANE_COUNT = $clog2(LANES + 1);

    reg [ROW_WIDTH-1:0]   next_reg;     // row that is written next
    reg [ROW_WIDTH-1:0]   region_reg;   // first row of the region that is written
    reg [ROW_WIDTH-1:0]   read_reg;     // first row of the region that is read
    reg [COUNT_WIDTH-1:0] total_reg;

    wire                   packed_valid, write;
    wire [LANE_COUNT-1:0]  packed_count;
    wire [WIDTH*LANES-1:0] packed_row;

    packer #(.LANES(LANES), .WIDTH(WIDTH)) pack (
        .clk(clk), .rst(rst), .valid(valid), .elements(keys), .keep(keep), .flush(flush),
        .packed_valid(packed_valid), .packed_count(packed_count), .write(write), .row(packed_row)
    );

    wire [ROW_WIDTH-1:0] first = start ? region_reg : read_reg;

    ram #(.WIDTH(WIDTH * LANES), .ADDRESS_WIDTH(ROW_WIDTH)) rows (
        .clk(clk), .write(write), .write_address(next_reg), .write_data(packed_row),
        .read_address(first + row), .read_data(data)
    );

    assign total = total_reg;

    always @(posedge clk) begin
        if (write) begin
            next_reg <= next_reg + 1'b1;
        end
        if (packed_valid) begin
            total_reg <= total_reg + {{COUNT_WIDTH-LANE_COUNT{1'b0}}, packed_count};
        end
        if (start) begin
            read_reg   <= region_reg;
            region_reg <= next_reg;
            total_reg  <= {COUNT_WIDTH{1'b0}};
        end
        if (rst) begin
            next_reg   <= {ROW_WIDTH{1'b0}};
            region_reg <= {ROW_WIDTH{1'b0}};
        end
    end

endmodule

`resetall
