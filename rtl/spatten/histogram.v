// SPDX-License-Identifier: Apache-2.0
// Histogram of rows of bin numbers, a row a cycle, and the bin that holds the k-th largest of them.
//
// Counter b, 1 to 2^BITS - 1, belongs to the group of STEP bits (from the lowest bit on) in which b has its last digit other
// than 0, and counts the numbers from b on that have b's bits above that group. So the counters at the digits of a group,
// after the bits above it are known, are running counts from the top: the digit sought is the largest whose counter is not
// below what is missing. A step of the search finds a digit and takes on the counters below it; numbers of bin 0 are in no
// counter, so a lane that is to be left out is 0.
//
// The first row of a query sets the counters, the last one brings k. The result is there STEPS + 1 cycles after the last
// row, not registered; the next query's rows may follow at once. k = 0 gives the highest bin, a k above the count bin 0.

`resetall
`default_nettype none

module histogram #(
    // numbers of a row
    parameter LANES = 8,
    // bits of a number; at most 12
    parameter BITS = 7,
    // bits of a count
    parameter COUNT_WIDTH = 11,
    // bits that go with a query
    parameter SIDE_WIDTH = 1
) (
    input  wire                   clk,
    input  wire                   rst,

    input  wire                   s_valid,
    input  wire                   s_first,
    input  wire                   s_last,
    input  wire [BITS*LANES-1:0]  s_bins,
    // with the last row
    input  wire [COUNT_WIDTH-1:0] s_k,
    input  wire [SIDE_WIDTH-1:0]  s_side,

    output wire                   m_valid,
    output wire [BITS-1:0]        m_bin,
    // which of the bin's numbers the k-th is: k less how many are in higher bins
    output wire [COUNT_WIDTH-1:0] m_missing,
    output wire [SIDE_WIDTH-1:0]  m_side
);

    localparam STEP       = 3;                          // bits of a digit; the highest may have fewer
    localparam STEPS      = (BITS + STEP - 1) / STEP;
    localparam BINS       = 1 << BITS;
    localparam LANE_COUNT = $clog2(LANES + 1);

    generate
        if (LANES < 1 || BITS < 1 || BITS > 12 || COUNT_WIDTH < LANE_COUNT || SIDE_WIDTH < 1) begin : g_illegal
            illegal_parameter_of_histogram illegal ();
        end
    endgenerate

    // a row that is counted in this cycle; a query whose counters are complete
    reg                   row_reg, first_reg, last_reg, complete_reg;
    reg [BITS*LANES-1:0]  bins_reg;
    reg [COUNT_WIDTH-1:0] k_reg, complete_k_reg;
    reg [SIDE_WIDTH-1:0]  side_reg, complete_side_reg;

    always @(posedge clk) begin
        row_reg           <= s_valid;
        first_reg         <= s_first;
        last_reg          <= s_last;
        bins_reg          <= s_bins;
        k_reg             <= s_k;
        side_reg          <= s_side;
        complete_reg      <= row_reg && last_reg;
        complete_k_reg    <= k_reg;
        complete_side_reg <= side_reg;
        if (rst) begin
            row_reg      <= 1'b0;
            complete_reg <= 1'b0;
        end
    end

    // counters
    wire [COUNT_WIDTH*BINS-1:0] counters;
    assign counters[COUNT_WIDTH-1:0] = {COUNT_WIDTH{1'b0}};
    genvar b, l, s;
    generate
        for (b = 1; b < BINS; b = b + 1) begin : g_counter
            localparam GROUP = b % (1 << STEP) != 0 ? 0 : b % (1 << 2 * STEP) != 0 ? 1 : b % (1 << 3 * STEP) != 0 ? 2 : 3;
            localparam BELOW = STEP * GROUP;
            localparam [BITS-1:0] FIRST = b;
            wire [LANES-1:0]      counted;
            reg [LANE_COUNT-1:0]  more;
            reg [COUNT_WIDTH-1:0] count_reg;
            integer               i;
            for (l = 0; l < LANES; l = l + 1) begin : g_lane
                wire [BITS-1:0] number = bins_reg[BITS*l +: BITS];
                assign counted[l] = number >> (BELOW + STEP) == FIRST >> (BELOW + STEP) && number >> BELOW >= FIRST >> BELOW;
            end
            always @* begin
                more = {LANE_COUNT{1'b0}};
                for (i = 0; i < LANES; i = i + 1) begin
                    more = more + {{LANE_COUNT-1{1'b0}}, counted[i]};
                end
            end
            always @(posedge clk) begin
                if (row_reg) begin
                    count_reg <= (first_reg ? {COUNT_WIDTH{1'b0}} : count_reg) + {{COUNT_WIDTH-LANE_COUNT{1'b0}}, more};
                end
            end
            assign counters[COUNT_WIDTH*b +: COUNT_WIDTH] = count_reg;
        end
    endgenerate

    // search, a digit a step
    generate
        for (s = 0; s < STEPS; s = s + 1) begin : g_step
            localparam LEFT   = s == 0 ? BITS : STEP * (STEPS - s);  // bits that are not known before
            localparam BELOW  = STEP * (STEPS - 1 - s);              // and after it
            localparam DIGITS = 1 << (LEFT - BELOW);
            localparam SOME   = COUNT_WIDTH << BELOW;
            wire                           valid;
            wire [BITS-1:0]                known;
            wire [COUNT_WIDTH-1:0]         missing;
            wire [SIDE_WIDTH-1:0]          side;
            wire [(COUNT_WIDTH<<LEFT)-1:0] counts;
            if (s == 0) begin : g_from
                assign valid   = complete_reg;
                assign known   = {BITS{1'b0}};
                assign missing = complete_k_reg;
                assign side    = complete_side_reg;
                assign counts  = counters;
            end else begin : g_from
                reg                           valid_reg;
                reg [BITS-1:0]                known_reg;
                reg [COUNT_WIDTH-1:0]         missing_reg;
                reg [SIDE_WIDTH-1:0]          next_side_reg;
                reg [(COUNT_WIDTH<<LEFT)-1:0] counts_reg;
                always @(posedge clk) begin
                    valid_reg     <= g_step[s-1].valid && !rst;
                    known_reg     <= g_step[s-1].found;
                    missing_reg   <= g_step[s-1].missing - g_step[s-1].above;
                    next_side_reg <= g_step[s-1].side;
                    counts_reg    <= g_step[s-1].below;
                end
                assign valid   = valid_reg;
                assign known   = known_reg;
                assign missing = missing_reg;
                assign side    = next_side_reg;
                assign counts  = counts_reg;
            end

            wire [DIGITS:0]       reached;
            wire [DIGITS-1:0]     hit = reached[DIGITS-1:0] & ~reached[DIGITS:1];
            reg [BITS-1:0]        found;
            reg [COUNT_WIDTH-1:0] above;
            reg [SOME-1:0]        below;
            assign reached[0]      = 1'b1;
            assign reached[DIGITS] = 1'b0;
            for (b = 1; b < DIGITS; b = b + 1) begin : g_digit
                assign reached[b] = missing <= counts[SOME*b +: COUNT_WIDTH];
            end
            integer d;
            always @* begin
                found = known;
                above = {COUNT_WIDTH{1'b0}};
                below = {SOME{1'b0}};
                for (d = 0; d < DIGITS; d = d + 1) begin
                    if (hit[d]) begin
                        found = found | (d[BITS-1:0] << BELOW);
                        below = below | counts[SOME*d +: SOME];
                    end
                end
                for (d = 1; d < DIGITS; d = d + 1) begin
                    if (hit[d-1]) begin
                        above = above | counts[SOME*d +: COUNT_WIDTH];
                    end
                end
            end
            wire unused = &{1'b0, counts[COUNT_WIDTH-1:0], below};
        end
    endgenerate

    assign m_valid   = g_step[STEPS-1].valid;
    assign m_bin     = g_step[STEPS-1].found;
    assign m_missing = g_step[STEPS-1].missing - g_step[STEPS-1].above;
    assign m_side    = g_step[STEPS-1].side;

endmodule

`resetall
