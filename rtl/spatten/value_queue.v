// SPDX-License-Identifier: Apache-2.0
// Queries whose values were asked for, oldest first; the oldest whose values are there goes next.

`resetall
`default_nettype none
`include "assertions.vh"

module value_queue #(
    parameter SLOTS = 8,
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  put,
    input  wire [SLOT_WIDTH-1:0] put_slot,
    input  wire [SLOTS-1:0]      there,   // of each slot
    input  wire                  take,
    output reg                   valid,
    output reg  [SLOT_WIDTH-1:0] slot
);

    localparam COUNT = $clog2(SLOTS + 1);

    reg [SLOT_WIDTH-1:0] entry_reg [0:SLOTS-1];
    reg [COUNT-1:0]      count_reg, at;
    wire [COUNT-1:0]     left = count_reg - {{COUNT-1{1'b0}}, take};

    integer i, n;
    always @* begin
        valid = 1'b0;
        slot  = {SLOT_WIDTH{1'b0}};
        at    = {COUNT{1'b0}};
        for (i = SLOTS - 1; i >= 0; i = i - 1) begin
            if (i[COUNT-1:0] < count_reg && there[entry_reg[i]]) begin
                valid = 1'b1;
                slot  = entry_reg[i];
                at    = i[COUNT-1:0];
            end
        end
    end

    always @(posedge clk) begin
        for (n = 0; n < SLOTS; n = n + 1) begin
            if (put && left == n[COUNT-1:0]) begin
                entry_reg[n] <= put_slot;
            end else if (take && n[COUNT-1:0] >= at && n < SLOTS - 1) begin
                entry_reg[n] <= entry_reg[n < SLOTS - 1 ? n + 1 : n];
            end
        end
        count_reg <= left + {{COUNT-1{1'b0}}, put};
        if (rst) begin
            count_reg <= {COUNT{1'b0}};
        end
    end

    `ASSERT(room, !(put && count_reg == SLOTS[COUNT-1:0]))
    `ASSERT(some, !(take && count_reg == 0))

endmodule

`resetall
