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

    localparam LANE_WIDTH = $clog2(LANES);
    localparam LANE_COUNT = $clog2(LANES + 1);

    reg [ROW_WIDTH-1:0]   next_reg;     // row that is written next
    reg [ROW_WIDTH-1:0]   region_reg;   // first row of the region that is written
    reg [ROW_WIDTH-1:0]   read_reg;     // first row of the region that is read
    reg [COUNT_WIDTH-1:0] total_reg;
    reg [WIDTH*LANES-1:0] part_reg;     // keys that do not yet fill a row
    reg [LANE_WIDTH-1:0]  held_reg;     // and their number

    wire                   packed_valid;
    wire [WIDTH*LANES-1:0] packed_keys;
    wire [LANE_COUNT-1:0]  packed_count;
    wire                   unused_ready;

    zero_eliminator #(.LANES(LANES), .WIDTH(WIDTH)) eliminate (
        .clk(clk), .rst(rst),
        .s_axis_tvalid(valid), .s_axis_tready(unused_ready), .s_axis_tdata(keys), .s_axis_tkeep(keep),
        .m_axis_tvalid(packed_valid), .m_axis_tready(1'b1), .m_axis_tdata(packed_keys), .m_axis_tcount(packed_count)
    );

    // lanes behind the kept ones are 0, so the held and the new keys can be joined by or
    wire [2*WIDTH*LANES-1:0] joined = {{WIDTH*LANES{1'b0}}, part_reg}
        | ({{WIDTH*LANES{1'b0}}, packed_keys} << (WIDTH * held_reg));
    wire [LANE_COUNT:0] filled = {{LANE_COUNT+1-LANE_WIDTH{1'b0}}, held_reg} + {1'b0, packed_count};
    wire full  = packed_valid && filled >= LANES[LANE_COUNT:0];
    wire write = full || (flush && held_reg != 0);

    wire [ROW_WIDTH-1:0] first = start ? region_reg : read_reg;

    ram #(.WIDTH(WIDTH * LANES), .ADDRESS_WIDTH(ROW_WIDTH)) rows (
        .clk(clk), .write(write), .write_address(next_reg), .write_data(joined[WIDTH*LANES-1:0]),
        .read_address(first + row), .read_data(data)
    );

    assign total = total_reg;

    always @(posedge clk) begin
        if (write) begin
            next_reg <= next_reg + 1'b1;
        end
        if (packed_valid) begin
            total_reg <= total_reg + {{COUNT_WIDTH-LANE_COUNT{1'b0}}, packed_count};
            part_reg  <= full ? joined[2*WIDTH*LANES-1:WIDTH*LANES] : joined[WIDTH*LANES-1:0];
            held_reg  <= filled[LANE_WIDTH-1:0];
        end
        if (flush) begin
            part_reg <= {WIDTH*LANES{1'b0}};
            held_reg <= {LANE_WIDTH{1'b0}};
        end
        if (start) begin
            read_reg   <= region_reg;
            region_reg <= next_reg;
            total_reg  <= {COUNT_WIDTH{1'b0}};
        end
        if (rst) begin
            next_reg   <= {ROW_WIDTH{1'b0}};
            region_reg <= {ROW_WIDTH{1'b0}};
            part_reg   <= {WIDTH*LANES{1'b0}};
            held_reg   <= {LANE_WIDTH{1'b0}};
        end
    end

endmodule

`resetall
