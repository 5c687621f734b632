// SPDX-License-Identifier: Apache-2.0
// A FIFO of registers: what goes in comes out in its order, from the next cycle on. Full and empty are registers.

`resetall
`default_nettype none
`include "assertions.vh"

module fifo #(
    // bits of an entry
    parameter WIDTH = 8,
    // entries, at least 1
    parameter DEPTH = 4
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             s_valid,
    output wire             s_ready,
    input  wire [WIDTH-1:0] s_data,
    output wire             m_valid,
    input  wire             m_ready,
    output wire [WIDTH-1:0] m_data
);

    localparam PLACE = DEPTH > 1 ? $clog2(DEPTH) : 1;
    localparam COUNT = $clog2(DEPTH + 1);
    localparam LAST_PLACE = DEPTH - 1;
    localparam [PLACE-1:0] LAST = LAST_PLACE[PLACE-1:0];

    reg [WIDTH-1:0] entries [0:DEPTH-1];
    reg [PLACE-1:0] first_reg, next_reg;
    reg [COUNT-1:0] count_reg;

    wire put  = s_valid && s_ready;
    wire take = m_valid && m_ready;

    assign s_ready = count_reg != DEPTH[COUNT-1:0];
    assign m_valid = count_reg != 0;
    assign m_data  = entries[first_reg];

    always @(posedge clk) begin
        if (put) begin
            entries[next_reg] <= s_data;
            next_reg          <= next_reg == LAST ? {PLACE{1'b0}} : next_reg + 1'b1;
        end
        if (take) begin
            first_reg <= first_reg == LAST ? {PLACE{1'b0}} : first_reg + 1'b1;
        end
        count_reg <= count_reg + {{COUNT-1{1'b0}}, put} - {{COUNT-1{1'b0}}, take};
        if (rst) begin
            first_reg <= {PLACE{1'b0}};
            next_reg  <= {PLACE{1'b0}};
            count_reg <= {COUNT{1'b0}};
        end
    end

    `ASSERT_STABLE(entry_stays, m_valid, m_ready, m_data)

endmodule

`resetall
