// SPDX-License-Identifier: Apache-2.0
// Token importance: every probability is added to its token's score, 32 bits, saturating.
//
// Scores lie in the places of the list of tokens, a row of LANES each. A row of probabilities comes every cycle. The host
// reads (one cycle later) and writes single scores while no rows come.

`resetall
`default_nettype none

module token_importance #(
    parameter LANES = 8,
    parameter PROB_BITS = 12,
    // bits of a row's number, of a place
    parameter ROW_WIDTH = 8,
    parameter PLACE_WIDTH = ROW_WIDTH + $clog2(LANES)
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       valid,
    input  wire [ROW_WIDTH-1:0]       row,
    input  wire [PROB_BITS*LANES-1:0] probabilities,

    input  wire                       host_write,
    input  wire [PLACE_WIDTH-1:0]     host_place,
    input  wire [31:0]                host_score,
    output wire [31:0]                score
);

    localparam LANE_LOG = $clog2(LANES);
    localparam LANE_WIDTH = LANES > 1 ? LANE_LOG : 1;

    reg                       add_reg, late_reg;
    reg [ROW_WIDTH-1:0]       row_reg, late_row_reg;
    reg [PROB_BITS*LANES-1:0] add_what_reg;
    reg [32*LANES-1:0]        late_scores_reg;  // what was written a cycle ago, not yet there when it was read
    reg [LANE_WIDTH-1:0]      host_lane_reg;
    wire [32*LANES-1:0]       found;
    wire [32*LANES-1:0]       old_scores = late_reg && late_row_reg == row_reg ? late_scores_reg : found;
    wire [32*LANES-1:0]       scores;
    wire [LANE_WIDTH-1:0]     host_lane = LANES > 1 ? host_place[LANE_WIDTH-1:0] : {LANE_WIDTH{1'b0}};
    wire [ROW_WIDTH-1:0]      host_row  = host_place[PLACE_WIDTH-1 -: ROW_WIDTH];
    wire [LANES-1:0]          lane = {{LANES-1{1'b0}}, 1'b1} << host_lane;

    ram_columns #(.WIDTH(32), .COLUMNS(LANES), .ADDRESS_WIDTH(ROW_WIDTH)) scores_memory (
        .clk(clk), .write(add_reg ? {LANES{1'b1}} : host_write ? lane : {LANES{1'b0}}),
        .write_address(add_reg ? row_reg : host_row), .write_data(add_reg ? scores : {LANES{host_score}}),
        .read_address(valid ? row : host_row), .read_data(found)
    );
    assign score = found[32*host_lane_reg +: 32];

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            wire [32:0] sum = {1'b0, old_scores[32*l +: 32]}
                + {{33-PROB_BITS{1'b0}}, add_what_reg[PROB_BITS*l +: PROB_BITS]};
            assign scores[32*l +: 32] = sum[32] ? 32'hffffffff : sum[31:0];
        end
    endgenerate

    always @(posedge clk) begin
        add_reg         <= valid && !rst;
        row_reg         <= row;
        add_what_reg    <= probabilities;
        late_reg        <= add_reg;
        late_row_reg    <= row_reg;
        late_scores_reg <= scores;
        host_lane_reg   <= host_lane;
    end

endmodule

`resetall
