// SPDX-License-Identifier: Apache-2.0
// Top-k engine: quick-select over LANES comparators, then a filter pass; which of `count` keys are the k largest.
//
// Keys lie in a memory of the caller's, LANES in a row, and are read a row a cycle: `src_data` is row `src_row` one cycle
// later. Of equal keys the first are kept. A pass over R = ceil(candidates / LANES) rows takes R + 4 cycles:
//
//   cycle 0          the random register steps; row of the pivot = candidate number (random * candidates) / 2^16
//   cycle 1          that row is there; the pivot is taken; row 0 is asked for
//   cycles 2 .. R+1  a row is compared; larger and smaller keys are packed and follow two cycles behind into a ring each
//   cycle R+2        the last row is packed and counted
//   cycle R+3        incomplete rows are written; the counts say which side holds the k-th largest
//
// A key that equals the pivot is in neither ring. When the k-th largest is the pivot, the filter pass reads the caller's
// rows once more and gives a beat of keep flags for each, in order, in R + 4 cycles if the beats are taken. One cycle goes
// before the first pass. `done` is high for a cycle when all is over; the next command may come in it. k = 0: nothing is read; k >= count: only the filter
// pass is run. A seed other than 0 sets the random register when the command is taken.

`resetall
`default_nettype none
`include "assertions.vh"

module topk #(
    // comparators; a power of two, at least 2
    parameter LANES = 16,
    // bits of a key, unsigned
    parameter WIDTH = 32,
    // most keys of a command; a multiple of LANES, a power of two
    parameter SIZE = 1024,
    // bits of a count, 0 to SIZE
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    // bits of a row's number
    parameter ROW_WIDTH = $clog2(SIZE / LANES) > 0 ? $clog2(SIZE / LANES) : 1
) (
    input  wire                   clk,
    input  wire                   rst,

    // command
    input  wire                   s_cmd_valid,
    output wire                   s_cmd_ready,
    input  wire [COUNT_WIDTH-1:0] s_cmd_count,
    input  wire [COUNT_WIDTH-1:0] s_cmd_k,
    input  wire [15:0]            s_cmd_seed,
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
    localparam RING_WIDTH = ROW_WIDTH + 1;  // a ring has twice the rows: one that is read is written, too
    localparam PAD        = COUNT_WIDTH - LANE_WIDTH - 1;

    generate
        if (LANES < 2 || SIZE < 2 * LANES || (LANES & (LANES - 1)) != 0 || (SIZE & (SIZE - 1)) != 0) begin : g_illegal
            illegal_parameter_of_topk illegal ();
        end
    endgenerate

    localparam [COUNT_WIDTH-1:0] TWO = 2, THREE = 3;

    localparam [1:0] IDLE = 2'd0, SELECT = 2'd1, FILTER = 2'd2;
    // what holds the candidates
    localparam [1:0] CALLER = 2'd0, LARGER = 2'd1, SMALLER = 2'd2;

    reg [1:0]             state_reg;
    reg [1:0]             from_reg;
    reg [COUNT_WIDTH-1:0] count_reg;       // keys of the command
    reg [COUNT_WIDTH-1:0] left_reg;        // candidates
    reg [COUNT_WIDTH-1:0] missing_reg;     // how many of the candidates, then of the equal keys, are to be kept
    reg [COUNT_WIDTH-1:0] cycle_reg;       // of the pass
    reg [15:0]            random_reg;
    reg [WIDTH-1:0]       pivot_reg;
    reg [LANE_WIDTH-1:0]  lane_reg;        // the pivot's
    reg                   all_reg;         // every key is kept
    reg                   done_reg;
    reg                   beat_reg;        // a beat of flags waits
    reg [LANES-1:0]       keep_reg;
    reg                   last_reg;

    // rows of the pass, and the one that is compared
    wire [COUNT_WIDTH-1:0] rows   = (left_reg + LANES[COUNT_WIDTH-1:0] - 1'b1) >> LANE_WIDTH;
    wire [COUNT_WIDTH-1:0] row    = cycle_reg - TWO;
    wire                   in_rows = cycle_reg >= TWO && row < rows;
    wire                   over   = cycle_reg == rows + THREE;
    wire                   stall  = state_reg == FILTER && beat_reg && !m_axis_tready;

    // the pivot's number
    wire [15:0] random_next = (random_reg >> 1) ^ (random_reg[0] ? 16'hB400 : 16'h0000);
    wire                   unused_top;  // it is below SIZE
    wire [COUNT_WIDTH-2:0] number;
    wire [15:0]            unused_fraction;
    assign {unused_top, number, unused_fraction} = {{COUNT_WIDTH{1'b0}}, random_next} * {16'd0, left_reg};

    // what is read: the pivot's row, then row after row; a row that waits is asked for again
    wire [ROW_WIDTH-1:0] wanted = state_reg == SELECT && cycle_reg == 0 ? number[LANE_WIDTH +: ROW_WIDTH]
                                : stall ? row[ROW_WIDTH-1:0] : row[ROW_WIDTH-1:0] + 1'b1;
    wire [WIDTH*LANES-1:0] large_row, small_row;
    wire [WIDTH*LANES-1:0] keys = from_reg == LARGER ? large_row : from_reg == SMALLER ? small_row : src_data;

    assign src_row = wanted;

    // comparison
    wire [LANES-1:0]                 above, below, equal, kept;
    reg  [(LANE_WIDTH+1)*LANES-1:0]  rank;      // equal keys in lower lanes
    reg  [LANE_WIDTH:0]              ranked;
    wire [COUNT_WIDTH-1:0]           remain = left_reg - (row << LANE_WIDTH);  // candidates from this row on
    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : g_lane
            localparam [COUNT_WIDTH-1:0] PLACE = i;
            wire [WIDTH-1:0] key = keys[WIDTH*i +: WIDTH];
            wire there = in_rows && remain > PLACE;
            assign above[i] = there && key > pivot_reg;
            assign below[i] = there && key < pivot_reg;
            assign equal[i] = there && key == pivot_reg;
            assign kept[i] = there && (all_reg || above[i]
                || (equal[i] && {{PAD{1'b0}}, rank[(LANE_WIDTH+1)*i +: LANE_WIDTH+1]} < missing_reg));
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

    // rings of larger and of smaller keys
    wire begins  = state_reg == SELECT && cycle_reg == 0;
    wire compare = state_reg == SELECT && in_rows;
    wire flush   = state_reg == SELECT && over;
    wire [COUNT_WIDTH-1:0] larger, smaller;

    topk_ring #(.LANES(LANES), .WIDTH(WIDTH), .ROW_WIDTH(RING_WIDTH), .COUNT_WIDTH(COUNT_WIDTH)) larger_ring (
        .clk(clk), .rst(rst), .start(begins), .valid(compare), .keys(keys), .keep(above), .flush(flush), .total(larger),
        .row({1'b0, wanted}), .data(large_row)
    );
    topk_ring #(.LANES(LANES), .WIDTH(WIDTH), .ROW_WIDTH(RING_WIDTH), .COUNT_WIDTH(COUNT_WIDTH)) smaller_ring (
        .clk(clk), .rst(rst), .start(begins), .valid(compare), .keys(keys), .keep(below), .flush(flush), .total(smaller),
        .row({1'b0, wanted}), .data(small_row)
    );

    // equal keys that are kept
    reg [LANE_WIDTH:0] chosen;
    integer n;
    always @* begin
        chosen = {LANE_WIDTH+1{1'b0}};
        for (n = 0; n < LANES; n = n + 1) begin
            chosen = chosen + {{LANE_WIDTH{1'b0}}, kept[n] && equal[n]};
        end
    end

    wire [COUNT_WIDTH-1:0] not_below = left_reg - smaller;
    wire taken = s_cmd_valid && s_cmd_ready;

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
            last_reg  <= row + 1'b1 == rows;
        end
        case (state_reg)
            SELECT: begin
                if (cycle_reg == 0) begin
                    random_reg <= random_next;
                    lane_reg   <= number[LANE_WIDTH-1:0];
                end
                if (cycle_reg == 1) begin
                    pivot_reg <= keys[WIDTH*lane_reg +: WIDTH];
                end
                if (over) begin
                    cycle_reg <= {COUNT_WIDTH{1'b0}};
                    if (missing_reg <= larger) begin
                        from_reg <= LARGER;
                        left_reg <= larger;
                    end else if (missing_reg <= not_below) begin
                        state_reg   <= FILTER;
                        from_reg    <= CALLER;
                        left_reg    <= count_reg;
                        missing_reg <= missing_reg - larger;
                    end else begin
                        from_reg    <= SMALLER;
                        left_reg    <= smaller;
                        missing_reg <= missing_reg - not_below;
                    end
                end
            end
            FILTER: begin
                if (in_rows && !stall) begin
                    missing_reg <= missing_reg - {{PAD{1'b0}}, chosen};
                end
                if (over) begin
                    state_reg <= IDLE;
                    done_reg  <= 1'b1;
                end
            end
            default: begin
                if (taken) begin
                    cycle_reg   <= {COUNT_WIDTH{1'b0}};
                    from_reg    <= CALLER;
                    count_reg   <= s_cmd_count;
                    left_reg    <= s_cmd_count;
                    missing_reg <= s_cmd_k;
                    all_reg     <= s_cmd_k >= s_cmd_count;
                    if (s_cmd_seed != 0) begin
                        random_reg <= s_cmd_seed;
                    end
                    if (s_cmd_k == 0 || s_cmd_count == 0) begin
                        done_reg <= 1'b1;
                    end else begin
                        state_reg <= s_cmd_k >= s_cmd_count ? FILTER : SELECT;
                    end
                end
            end
        endcase
        if (rst) begin
            state_reg  <= IDLE;
            beat_reg   <= 1'b0;
            done_reg   <= 1'b0;
            random_reg <= 16'd1;
        end
    end

    `ASSERT(state_known, state_reg != 2'd3)
    `ASSERT_STABLE(flags_stay, m_axis_tvalid, m_axis_tready, {m_axis_tkeep, m_axis_tlast})

endmodule

`resetall
