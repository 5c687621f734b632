// SPDX-License-Identifier: Apache-2.0
// Top-k engine without pivots: which of `count` keys are the k largest, in one or two passes over their rows.
//
// A command brings the bin that holds the k-th largest and how many of the bin are missing, as `prob_histogram` gives them.
// A bin above 2^LOW_WIDTH has many values: a first pass counts the lower halves of its keys, and their histogram gives the
// k-th largest. The filter pass gives a beat of keep flags for each row, in order; of equal keys the first are kept.
//
// Keys lie in a memory of the caller's, LANES in a row, and are read a row a cycle: `src_data` is row `src_row` one cycle
// later; row 0 is asked for in the command's cycle. R = ceil(count / LANES) rows take R + 3 cycles to `done` if the beats
// are taken, and R + 1 + ceil(LOW_WIDTH / 3) more where there is a first pass:
//
//   cycle 0            the command comes
//   cycles 1 .. R      a row is there: its keys are compared, the flags follow one cycle behind
//   cycles R+1, R+2    the last beat; the caller's packer takes the last row
//
// `done` is high for a cycle when all is over; the next command may come in it. k = 0: nothing is read; k >= count: only the
// filter pass is run, which no key of the bin found is too small for.

`resetall
`default_nettype none
`include "assertions.vh"

module topk_histogram #(
    // comparators; a power of two, at least 2
    parameter LANES = 16,
    // bits of a key, unsigned; 2 to 22
    parameter WIDTH = 12,
    // most keys of a command; a multiple of LANES, a power of two
    parameter SIZE = 1024,
    // bits of a count, 0 to SIZE
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    // bits of a row's number
    parameter ROW_WIDTH = $clog2(SIZE / LANES) > 0 ? $clog2(SIZE / LANES) : 1,
    // bits of a key's lower half
    parameter LOW_WIDTH = (WIDTH + 1) / 2
) (
    input  wire                   clk,
    input  wire                   rst,

    // command
    input  wire                   s_cmd_valid,
    output wire                   s_cmd_ready,
    input  wire [COUNT_WIDTH-1:0] s_cmd_count,
    input  wire [COUNT_WIDTH-1:0] s_cmd_k,
    input  wire [LOW_WIDTH:0]     s_cmd_bin,
    input  wire [COUNT_WIDTH-1:0] s_cmd_missing,
    output wire                   done,

    // the caller's rows of keys, lane 0 lowest
    output wire [ROW_WIDTH-1:0]   src_row,
    input  wire [WIDTH*LANES-1:0] src_data,

    // which keys of a row are kept
    output wire                   m_axis_tvalid,
    input  wire                   m_axis_tready,
    output wire [LANES-1:0]       m_axis_tkeep,
    output wire                   m_axis_tlast
);

    localparam LANE_WIDTH = $clog2(LANES);
    localparam HIGH_WIDTH = WIDTH - LOW_WIDTH;
    localparam PAD        = COUNT_WIDTH - LANE_WIDTH - 1;

    generate
        if (LANES < 2 || SIZE < 2 * LANES || (LANES & (LANES - 1)) != 0 || (SIZE & (SIZE - 1)) != 0 || WIDTH < 2
            || WIDTH > 22) begin : g_illegal
            illegal_parameter_of_topk_histogram illegal ();
        end
    endgenerate

    localparam [COUNT_WIDTH-1:0] ONE = 1, TWO = 2;

    localparam [1:0] IDLE = 2'd0, REFINE = 2'd1, FILTER = 2'd2;

    reg [1:0]             state_reg;
    reg [COUNT_WIDTH-1:0] count_reg;    // keys of the command
    reg [COUNT_WIDTH-1:0] missing_reg;  // how many of the bin, then of the equal keys, are to be kept
    reg [COUNT_WIDTH-1:0] cycle_reg;    // of the pass
    reg [WIDTH-1:0]       kth_reg;      // the k-th largest; before the first pass its upper half
    reg                   done_reg;
    reg                   beat_reg;     // a beat of flags waits
    reg [LANES-1:0]       keep_reg;
    reg                   last_reg;

    // rows of the pass, and the one that is compared
    wire [COUNT_WIDTH-1:0] rows    = (count_reg + LANES[COUNT_WIDTH-1:0] - 1'b1) >> LANE_WIDTH;
    wire [COUNT_WIDTH-1:0] row     = cycle_reg - 1'b1;
    wire                   in_rows = cycle_reg != 0 && row < rows;
    wire                   stall   = state_reg == FILTER && beat_reg && !m_axis_tready;

    // what is read: row after row; a row that waits is asked for again, and behind the last one the first
    assign src_row = state_reg == IDLE || cycle_reg >= rows && !stall ? {ROW_WIDTH{1'b0}}
                   : stall ? row[ROW_WIDTH-1:0] : cycle_reg[ROW_WIDTH-1:0];

    // comparison
    wire [LANES-1:0]                 above, equal, kept;
    wire [LOW_WIDTH*LANES-1:0]       lows;
    reg  [(LANE_WIDTH+1)*LANES-1:0]  rank;      // equal keys in lower lanes
    reg  [LANE_WIDTH:0]              ranked;
    wire [COUNT_WIDTH-1:0]           remain = count_reg - (row << LANE_WIDTH);  // keys from this row on
    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : g_lane
            localparam [COUNT_WIDTH-1:0] PLACE = i;
            wire [WIDTH-1:0] key = src_data[WIDTH*i +: WIDTH];
            wire there = in_rows && remain > PLACE;
            wire mine = there && key[WIDTH-1:LOW_WIDTH] == kth_reg[WIDTH-1:LOW_WIDTH];
            assign lows[LOW_WIDTH*i +: LOW_WIDTH] = mine ? key[LOW_WIDTH-1:0] : {LOW_WIDTH{1'b0}};
            assign above[i] = there && key > kth_reg;
            assign equal[i] = there && key == kth_reg;
            assign kept[i] = above[i]
                || (equal[i] && {{PAD{1'b0}}, rank[(LANE_WIDTH+1)*i +: LANE_WIDTH+1]} < missing_reg);
        end
    endgenerate

    integer r;
    always @* begin
        ranked = {LANE_WIDTH+1{1'b0}};
        for (r = 0; r < LANES; r = r + 1) begin
            rank[(LANE_WIDTH+1)*r +: LANE_WIDTH+1] = ranked;
            ranked = ranked + {{LANE_WIDTH{1'b0}}, equal[r]};
        end
    end

    // the first pass: lower halves of the bin's keys
    wire                   found;
    wire [LOW_WIDTH-1:0]   found_low;
    wire [COUNT_WIDTH-1:0] found_missing;
    wire                   unused_side;
    histogram #(.LANES(LANES), .BITS(LOW_WIDTH), .COUNT_WIDTH(COUNT_WIDTH)) lower_halves (
        .clk(clk), .rst(rst), .s_valid(state_reg == REFINE && in_rows), .s_first(cycle_reg == ONE),
        .s_last(cycle_reg == rows), .s_bins(lows), .s_k(missing_reg), .s_side(1'b0), .m_valid(found), .m_bin(found_low),
        .m_missing(found_missing), .m_side(unused_side)
    );

    // equal keys that are not yet missing behind this row
    wire [COUNT_WIDTH-1:0] equals = {{PAD{1'b0}}, ranked};
    wire [COUNT_WIDTH-1:0] missing_next = equals < missing_reg ? missing_reg - equals : {COUNT_WIDTH{1'b0}};

    assign s_cmd_ready   = state_reg == IDLE;
    assign done          = done_reg;
    assign m_axis_tvalid = beat_reg;
    assign m_axis_tkeep  = keep_reg;
    assign m_axis_tlast  = last_reg;

    always @(posedge clk) begin
        done_reg <= 1'b0;
        if (!stall) begin
            cycle_reg <= cycle_reg + 1'b1;
            beat_reg  <= state_reg == FILTER && in_rows;
            keep_reg  <= kept;
            last_reg  <= cycle_reg == rows;
        end
        case (state_reg)
            REFINE: begin
                if (found) begin
                    state_reg              <= FILTER;
                    cycle_reg              <= ONE;
                    kth_reg[LOW_WIDTH-1:0] <= found_low;
                    missing_reg            <= found_missing;
                end
            end
            FILTER: begin
                if (in_rows && !stall) begin
                    missing_reg <= missing_next;
                end
                if (cycle_reg == rows + TWO) begin
                    state_reg <= IDLE;
                    done_reg  <= 1'b1;
                end
            end
            default: begin
                cycle_reg <= ONE;
                if (s_cmd_valid) begin
                    count_reg   <= s_cmd_count;
                    missing_reg <= s_cmd_missing;
                    kth_reg     <= s_cmd_bin[LOW_WIDTH] ? {s_cmd_bin[HIGH_WIDTH-1:0], {LOW_WIDTH{1'b0}}}
                                 : {{HIGH_WIDTH{1'b0}}, s_cmd_bin[LOW_WIDTH-1:0]};
                    if (s_cmd_k == 0 || s_cmd_count == 0) begin
                        done_reg <= 1'b1;
                    end else begin
                        state_reg <= s_cmd_bin[LOW_WIDTH] && s_cmd_k < s_cmd_count ? REFINE : FILTER;
                    end
                end
            end
        endcase
        if (rst) begin
            state_reg <= IDLE;
            beat_reg  <= 1'b0;
            done_reg  <= 1'b0;
        end
    end

    `ASSERT(state_known, state_reg != 2'd3)
    `ASSERT_STABLE(flags_stay, m_axis_tvalid, m_axis_tready, {m_axis_tkeep, m_axis_tlast})

endmodule

`resetall
