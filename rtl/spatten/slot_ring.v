// SPDX-License-Identifier: Apache-2.0
// Slots of queries, given in turns and given back in the same order, one a cycle: the oldest query's, when its answer has
// left. A slot that is given back in a cycle is free in the next one. Answers may leave in any order.

`resetall
`default_nettype none
`include "assertions.vh"

module slot_ring #(
    parameter SLOTS = 64,
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  admit,          // a query gets `slot`
    output wire                  free,
    output wire [SLOT_WIDTH-1:0] slot,
    input  wire                  release_valid,  // a slot's answer leaves
    input  wire [SLOT_WIDTH-1:0] release_slot,
    output wire                  give_valid,     // a slot is given back
    output wire [SLOT_WIDTH-1:0] give_slot
);

    localparam COUNT = $clog2(SLOTS + 1);
    localparam LAST_SLOT = SLOTS - 1;
    localparam [SLOT_WIDTH-1:0] LAST = LAST_SLOT[SLOT_WIDTH-1:0];

    reg [SLOT_WIDTH-1:0] next_reg, oldest_reg;
    reg [COUNT-1:0]      count_reg;     // slots in use
    reg [SLOTS-1:0]      answered_reg;  // of each slot

    assign free       = count_reg != SLOTS[COUNT-1:0];
    assign slot       = next_reg;
    assign give_slot  = oldest_reg;
    assign give_valid = count_reg != 0 && (answered_reg[oldest_reg] || (release_valid && release_slot == oldest_reg));

    always @(posedge clk) begin
        if (release_valid) begin
            answered_reg[release_slot] <= 1'b1;
        end
        if (admit) begin
            answered_reg[next_reg] <= 1'b0;
            next_reg               <= next_reg == LAST ? {SLOT_WIDTH{1'b0}} : next_reg + 1'b1;
        end
        if (give_valid) begin
            oldest_reg <= oldest_reg == LAST ? {SLOT_WIDTH{1'b0}} : oldest_reg + 1'b1;
        end
        count_reg <= count_reg + {{COUNT-1{1'b0}}, admit} - {{COUNT-1{1'b0}}, give_valid};
        if (rst) begin
            next_reg   <= {SLOT_WIDTH{1'b0}};
            oldest_reg <= {SLOT_WIDTH{1'b0}};
            count_reg  <= {COUNT{1'b0}};
        end
    end

    `ASSERT(room, !(admit && count_reg == SLOTS[COUNT-1:0]))
    `ASSERT(some, !(release_valid && count_reg == 0))

endmodule

`resetall
