// SPDX-License-Identifier: Apache-2.0
// For the top-k that a histogram leads: of each slot, in which bin its k-th largest probability lies, and how many of that
// bin are kept. Rows of probabilities are counted as they leave the divider; what is found stays with the slot.

`resetall
`default_nettype none

module value_bins #(
    // lanes of the softmax, bits of a probability, keys of a query at most, queries in flight
    parameter LANES = 8,
    parameter PROB_BITS = 12,
    parameter SIZE = 1024,
    parameter SLOTS = 64,
    // engines that ask for a slot's
    parameter READERS = 1,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter LINE_WIDTH = $clog2(SIZE / LANES),
    parameter LOW_WIDTH = (PROB_BITS + 1) / 2
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire [SLOTS*COUNT_WIDTH-1:0]     count,
    input  wire [SLOTS*COUNT_WIDTH-1:0]     keep,
    input  wire                             prob_valid,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0] prob_line,
    input  wire [PROB_BITS*LANES-1:0]       prob,
    input  wire [READERS*SLOT_WIDTH-1:0]    slot,
    output wire [READERS*(LOW_WIDTH+1)-1:0] bin,
    output wire [READERS*COUNT_WIDTH-1:0]   missing
);

    localparam LANE_LOG = $clog2(LANES);

    wire [SLOT_WIDTH-1:0]  row_slot = prob_line[LINE_WIDTH +: SLOT_WIDTH];
    wire [LINE_WIDTH-1:0]  line = prob_line[LINE_WIDTH-1:0];
    wire [COUNT_WIDTH-1:0] last = count[COUNT_WIDTH*row_slot +: COUNT_WIDTH] - 1'b1;
    wire                   found;
    wire [SLOT_WIDTH-1:0]  found_slot;
    wire [LOW_WIDTH:0]     found_bin;
    wire [COUNT_WIDTH-1:0] found_missing;
    prob_histogram #(.LANES(LANES), .PROB_BITS(PROB_BITS), .SIZE(SIZE), .SLOT_WIDTH(SLOT_WIDTH)) of_rows (
        .clk(clk), .rst(rst), .s_valid(prob_valid), .s_first(line == 0), .s_last(line == last[LANE_LOG +: LINE_WIDTH]),
        .s_probabilities(prob), .s_keep(keep[COUNT_WIDTH*row_slot +: COUNT_WIDTH]), .s_slot(row_slot), .m_valid(found),
        .m_slot(found_slot), .m_bin(found_bin), .m_missing(found_missing)
    );

    reg [LOW_WIDTH:0]     bin_reg [0:SLOTS-1];
    reg [COUNT_WIDTH-1:0] missing_reg [0:SLOTS-1];
    always @(posedge clk) begin
        if (found) begin
            bin_reg[found_slot]     <= found_bin;
            missing_reg[found_slot] <= found_missing;
        end
    end
    genvar r;
    generate
        for (r = 0; r < READERS; r = r + 1) begin : g_reader
            wire [SLOT_WIDTH-1:0] mine = slot[SLOT_WIDTH*r +: SLOT_WIDTH];
            assign bin[(LOW_WIDTH+1)*r +: LOW_WIDTH+1]    = bin_reg[mine];
            assign missing[COUNT_WIDTH*r +: COUNT_WIDTH] = missing_reg[mine];
        end
    endgenerate
    wire unused_last = &{1'b0, last};

endmodule

`resetall
