// SPDX-License-Identifier: Apache-2.0
// The marked elements of each row, packed into rows again, in their order.
//
// A row with `valid` is compacted (one cycle) and packed (the next one), when `write` gives a row that is full; `flush`, at
// least two cycles after the last row, gives what does not fill one.

`resetall
`default_nettype none

module packer #(
    // elements of a row; a power of two, at least 2
    parameter LANES = 16,
    // bits of an element
    parameter WIDTH = 32,
    parameter COUNT_WIDTH = $clog2(LANES + 1)
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire                   valid,
    input  wire [WIDTH*LANES-1:0] elements,
    input  wire [LANES-1:0]       keep,
    input  wire                   flush,
    // marked elements of the row of a cycle ago
    output wire                   packed_valid,
    output wire [COUNT_WIDTH-1:0] packed_count,
    output wire                   write,
    output wire [WIDTH*LANES-1:0] row
);

    localparam LANE_WIDTH = $clog2(LANES);

    reg [WIDTH*LANES-1:0] part_reg;     // elements that do not yet fill a row
    reg [LANE_WIDTH-1:0]  held_reg;     // and their number

    wire [WIDTH*LANES-1:0] packed_elements;
    wire                   unused_ready;

    zero_eliminator #(.LANES(LANES), .WIDTH(WIDTH)) eliminate (
        .clk(clk), .rst(rst),
        .s_axis_tvalid(valid), .s_axis_tready(unused_ready), .s_axis_tdata(elements), .s_axis_tkeep(keep),
        .m_axis_tvalid(packed_valid), .m_axis_tready(1'b1), .m_axis_tdata(packed_elements), .m_axis_tcount(packed_count)
    );

    // lanes behind the kept ones are 0, so the held and the new elements can be joined by or
    wire [2*WIDTH*LANES-1:0] joined = {{WIDTH*LANES{1'b0}}, part_reg}
        | ({{WIDTH*LANES{1'b0}}, packed_elements} << (WIDTH * held_reg));
    wire [COUNT_WIDTH:0] filled = {{COUNT_WIDTH+1-LANE_WIDTH{1'b0}}, held_reg} + {1'b0, packed_count};
    wire full = packed_valid && filled >= LANES[COUNT_WIDTH:0];

    assign write = full || (flush && held_reg != 0);
    assign row   = joined[WIDTH*LANES-1:0];

    always @(posedge clk) begin
        if (packed_valid) begin
            part_reg <= full ? joined[2*WIDTH*LANES-1:WIDTH*LANES] : joined[WIDTH*LANES-1:0];
            held_reg <= filled[LANE_WIDTH-1:0];
        end
        if (flush || rst) begin
            part_reg <= {WIDTH*LANES{1'b0}};
            held_reg <= {LANE_WIDTH{1'b0}};
        end
    end

endmodule

`resetall
