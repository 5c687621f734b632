// SPDX-License-Identifier: Apache-2.0
// Zero eliminator: of LANES elements those that are marked move to the front, in their order; one result a cycle.
//
// An element moves down by the number of unmarked ones below it: by powers of two, the smallest first, one shift stage
// each. Two marked elements never meet: the distance between neighbours only shrinks to the number of gaps left between
// them. Lanes behind the kept ones are 0. A result comes one cycle after its input.

`resetall
`default_nettype none
`include "assertions.vh"

module zero_eliminator #(
    // elements
    parameter LANES = 16,
    // bits of an element
    parameter WIDTH = 32,
    // shift stages
    parameter STAGES = $clog2(LANES) > 0 ? $clog2(LANES) : 1,
    // bits of a count, 0 to LANES
    parameter COUNT_WIDTH = $clog2(LANES + 1)
) (
    input  wire                   clk,
    input  wire                   rst,

    // elements and which are kept, lane 0 lowest
    input  wire                   s_axis_tvalid,
    output wire                   s_axis_tready,
    input  wire [WIDTH*LANES-1:0] s_axis_tdata,
    input  wire [LANES-1:0]       s_axis_tkeep,

    // kept elements and their number
    output wire                   m_axis_tvalid,
    input  wire                   m_axis_tready,
    output wire [WIDTH*LANES-1:0] m_axis_tdata,
    output wire [COUNT_WIDTH-1:0] m_axis_tcount
);

    generate
        if (LANES < 1 || WIDTH < 1) begin : g_illegal
            illegal_parameter_of_zero_eliminator illegal ();
        end
    endgenerate

    reg                   valid_reg;
    reg [WIDTH*LANES-1:0] data_reg;
    reg [COUNT_WIDTH-1:0] count_reg;

    // element by element: whether it is marked, and how far it still has to move
    reg [WIDTH*LANES-1:0]       data;
    reg [LANES-1:0]             keep;
    reg [COUNT_WIDTH*LANES-1:0] moves;
    reg [COUNT_WIDTH-1:0]       count, gaps;
    reg                         comes, stays;
    integer i, s;

    always @* begin
        data  = s_axis_tdata;
        keep  = s_axis_tkeep;
        moves = {COUNT_WIDTH*LANES{1'b0}};
        count = {COUNT_WIDTH{1'b0}};
        gaps  = {COUNT_WIDTH{1'b0}};
        comes = 1'b0;
        stays = 1'b0;
        for (i = 0; i < LANES; i = i + 1) begin
            moves[COUNT_WIDTH*i +: COUNT_WIDTH] = gaps;
            count = count + {{COUNT_WIDTH-1{1'b0}}, keep[i]};
            gaps  = gaps + {{COUNT_WIDTH-1{1'b0}}, !keep[i]};
        end
        // from the lowest lane on, so that a lane's own element is looked at before it is taken from
        for (s = 0; s < STAGES; s = s + 1) begin
            for (i = 0; i < LANES; i = i + 1) begin
                stays = keep[i] && !moves[COUNT_WIDTH*i+s];
                comes = 1'b0;
                if (i + (1 << s) < LANES) begin
                    comes = keep[i+(1<<s)] && moves[COUNT_WIDTH*(i+(1<<s))+s];
                    if (comes) begin
                        data[WIDTH*i +: WIDTH] = data[WIDTH*(i+(1<<s)) +: WIDTH];
                        moves[COUNT_WIDTH*i +: COUNT_WIDTH] = moves[COUNT_WIDTH*(i+(1<<s)) +: COUNT_WIDTH];
                    end
                end
                if (!comes && !stays) begin
                    data[WIDTH*i +: WIDTH] = {WIDTH{1'b0}};
                end
                keep[i] = comes || stays;
            end
        end
    end

    assign s_axis_tready = !valid_reg || m_axis_tready;
    assign m_axis_tvalid = valid_reg;
    assign m_axis_tdata  = data_reg;
    assign m_axis_tcount = count_reg;

    always @(posedge clk) begin
        if (s_axis_tready) begin
            valid_reg <= s_axis_tvalid;
            data_reg  <= data;
            count_reg <= count;
        end
        if (rst) begin
            valid_reg <= 1'b0;
        end
    end

    `ASSERT_STABLE(beat_stays, m_axis_tvalid, m_axis_tready, {m_axis_tdata, m_axis_tcount})

endmodule

`resetall
