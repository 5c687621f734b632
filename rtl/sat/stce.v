// SPDX-License-Identifier: Apache-2.0
// STCE, the systolic array: ROWS x COLS of USPEs, their lanes and control. Runs one job (hwsim/sat/timing/job.py) a command.
//
// The fields of a command are constants that the host derives from the job (hwsim/sat/command.py); `done` is raised for one
// cycle as many cycles after the command was accepted as the simulator says, and all results are then in the output
// buffer. Buffers answer a read in the next cycle; a word read in the cycle in which it is written is the old one.
//   west:   words of WORD activations a row; WS: word i is row i of the activations, for the row's group of the tile;
//           OS: word g * interleave + s is group g of the row's slot s
//   north:  {index, weight} a column, in the order of use: WS row by row of the tile, OS in reduction order
//   output: binary32 a column; word b * stride + a is row a of column tile b

`resetall
`default_nettype none

module stce #(
    parameter ROWS = 32,
    parameter COLS = 32,
    // largest M; weights a PE holds in a bank
    parameter GROUP_MAX = 16,
    parameter WEIGHT_REGS = 8,
    // activations in a west word
    parameter WORD = GROUP_MAX > WEIGHT_REGS ? GROUP_MAX : WEIGHT_REGS,
    parameter INTERLEAVE_MAX = 16,
    parameter MUL_LATENCY = 3,
    parameter ADD_LATENCY = 4,
    // 1: sums are exact (uspe.v), rounded once where they leave, in ROUND_LATENCY cycles; no partial sums are read then
    parameter EXACT = 0,
    parameter ROUND_LATENCY = 4,
    // bits of a buffer address
    parameter ADDRESS_WIDTH = 16,
    // bits of a slot number
    parameter SLOT_WIDTH = INTERLEAVE_MAX > 1 ? $clog2(INTERLEAVE_MAX) : 1
) (
    input  wire                          clk,
    input  wire                          rst,

    input  wire                          s_cmd_valid,
    output wire                          s_cmd_ready,
    input  wire                          s_cmd_os,           // output stationary
    input  wire                          s_cmd_accumulate,   // WS: start from the sums in the output buffer, not from 0
    input  wire [SLOT_WIDTH:0]           s_cmd_interleave,
    input  wire [15:0]                   s_cmd_slot,         // cycles
    input  wire [15:0]                   s_cmd_round,        // cycles
    input  wire [31:0]                   s_cmd_rounds,       // in a tile
    input  wire [15:0]                   s_cmd_reps,         // rounds for which a west word serves
    input  wire [15:0]                   s_cmd_column_tiles,
    input  wire [31:0]                   s_cmd_tiles,
    input  wire [31:0]                   s_cmd_period,       // cycles between starts of tiles, at least
    input  wire [31:0]                   s_cmd_row_delay,    // cycles from a row's start to the one below
    input  wire [31:0]                   s_cmd_load_rows,    // WS: ROWS; OS: rounds
    input  wire [15:0]                   s_cmd_load_depth,   // weights in a load row
    input  wire [15:0]                   s_cmd_load_row,     // cycles of a load row
    input  wire [15:0]                   s_cmd_load_word,    // cycles of a weight
    input  wire [31:0]                   s_cmd_load_lead,    // WS: cycles from a tile's first weight read to its start
    input  wire [15:0]                   s_cmd_drain_word,   // OS: cycles of a drained word
    input  wire [31:0]                   s_cmd_drain_gap,    // OS: cycles from a row's drain to the one above
    input  wire [ADDRESS_WIDTH-1:0]      s_cmd_stride,       // words of a column tile in the output buffer
    input  wire [ADDRESS_WIDTH-1:0]      s_cmd_tile_words,   // words of a tile in the output buffer
    output wire                          done,

    output wire [ADDRESS_WIDTH*ROWS-1:0] west_address,
    input  wire [16*WORD*ROWS-1:0]       west_data,
    output wire [ADDRESS_WIDTH*COLS-1:0] north_address,
    input  wire [24*COLS-1:0]            north_data,
    output wire [ADDRESS_WIDTH*COLS-1:0] psum_address,
    input  wire [32*COLS-1:0]            psum_data,
    output wire [COLS-1:0]               result_valid,
    output wire [ADDRESS_WIDTH*COLS-1:0] result_address,
    output wire [32*COLS-1:0]            result_data
);

    localparam INDEX_WIDTH = WORD > 1 ? $clog2(WORD) : 1;
    localparam ENTRY_WIDTH = WEIGHT_REGS > 1 ? $clog2(WEIGHT_REGS) : 1;
    localparam ROW_WIDTH   = ROWS > 1 ? $clog2(ROWS) : 1;
    localparam WEST_TAG    = 3 + ENTRY_WIDTH + SLOT_WIDTH, NORTH_TAG = 1 + ENTRY_WIDTH + ROW_WIDTH;
    // exact: three flags, 81 bits of a product of two binary16 numbers, 24 of carries
    localparam SUM_WIDTH   = EXACT != 0 ? 108 : 32, ADDING = EXACT != 0 ? 1 : ADD_LATENCY;
    localparam CONFIG      = 2 + SLOT_WIDTH + 1 + 8*16 + 7*32 + 2*ADDRESS_WIDTH;

    generate
        if (ROWS < 1 || COLS < 1 || WORD > 256 || WORD < GROUP_MAX || WORD < WEIGHT_REGS || MUL_LATENCY < 1 ||
            ADD_LATENCY < 1 || ADDRESS_WIDTH < SLOT_WIDTH + 2 || ADDRESS_WIDTH > 32) begin : g_illegal
            illegal_parameter_of_stce illegal ();
        end
    endgenerate

    // the command
    reg               busy_reg;
    reg  [CONFIG-1:0] config_reg;
    wire              accept = s_cmd_valid && s_cmd_ready;
    wire              os, accumulate;
    wire [SLOT_WIDTH:0] interleave;
    wire [15:0] slot, round, reps, column_tiles, load_depth, load_row, load_word, drain_word;
    wire [31:0] rounds, tiles, period, row_delay, load_rows, load_lead, drain_gap;
    wire [ADDRESS_WIDTH-1:0] stride, tile_words;
    assign s_cmd_ready = !busy_reg;
    assign {os, accumulate, interleave, slot, round, reps, column_tiles, load_depth, load_row, load_word, drain_word,
            rounds, tiles, period, row_delay, load_rows, load_lead, drain_gap, stride, tile_words} = config_reg;
    always @(posedge clk) begin
        busy_reg <= accept || (busy_reg && !done);
        if (accept) begin
            config_reg <= {s_cmd_os, s_cmd_accumulate, s_cmd_interleave, s_cmd_slot, s_cmd_round, s_cmd_reps,
                           s_cmd_column_tiles, s_cmd_load_depth, s_cmd_load_row, s_cmd_load_word, s_cmd_drain_word,
                           s_cmd_rounds, s_cmd_tiles, s_cmd_period, s_cmd_row_delay, s_cmd_load_rows, s_cmd_load_lead,
                           s_cmd_drain_gap, s_cmd_stride, s_cmd_tile_words};
        end
        if (rst) begin
            busy_reg <= 1'b0;
        end
    end

    // 7. control
    wire                     drain_start;
    wire [ROWS:0]            lane_start;      // of row r; the last is nobody's
    wire [ROWS-1:0]          lane_settle, lane_finish, drain_finish;
    wire [ROWS:0]            drain_token;     // row r - 1 may start to drain; the first is nobody's
    wire                     load_valid;
    wire [NORTH_TAG-1:0]     load_tag;
    wire [ADDRESS_WIDTH-1:0] load_address;
    stce_control #(
        .ROWS(ROWS), .COLS(COLS), .MUL_LATENCY(MUL_LATENCY), .ADD_LATENCY(ADDING),
        .ROUND_LATENCY(EXACT != 0 ? ROUND_LATENCY : 0), .ADDRESS_WIDTH(ADDRESS_WIDTH),
        .ENTRY_WIDTH(ENTRY_WIDTH), .ROW_WIDTH(ROW_WIDTH)
    ) control_inst (
        .clk(clk), .rst(rst), .start(accept), .done(done),
        .os(os), .tiles(tiles), .column_tiles(column_tiles), .period(period), .load_rows(load_rows),
        .load_depth(load_depth), .load_row(load_row), .load_word(load_word), .load_lead(load_lead),
        .drain_word(drain_word),
        .lane_start(lane_start[0]), .lane_settle(lane_settle[ROWS-1]), .lane_finish(lane_finish[ROWS-1]),
        .drain_start(drain_start), .drain_finish(drain_finish[0]),
        .north_address(load_address), .north_valid(load_valid), .north_bank(load_tag[NORTH_TAG-1]),
        .north_entry(load_tag[ROW_WIDTH +: ENTRY_WIDTH]), .north_row(load_tag[ROW_WIDTH-1:0])
    );
    assign drain_token[ROWS] = 1'b0;

    // registers between the PEs: west of column c of row r at r * (COLS + 1) + c, north of row r at r * COLS + c
    wire [ROWS*(COLS+1)-1:0]            x_valid;
    wire [WEST_TAG*ROWS*(COLS+1)-1:0]   x_tag;
    wire [16*WORD*ROWS*(COLS+1)-1:0]    x_data;
    wire [ROWS*(COLS+1)-1:0]            read_valid;
    wire [SLOT_WIDTH*ROWS*(COLS+1)-1:0] read_slot;
    wire [(ROWS+1)*COLS-1:0]            w_valid;
    wire [NORTH_TAG*(ROWS+1)*COLS-1:0]  w_tag;
    wire [(INDEX_WIDTH+16)*(ROWS+1)*COLS-1:0] w_data;
    wire [SUM_WIDTH*(ROWS+1)*COLS-1:0]  psum;
    wire [ROWS*COLS-1:0]                psum_valid;
    wire [(ROWS+1)*COLS-1:0]            drain_valid;
    wire [SUM_WIDTH*(ROWS+1)*COLS-1:0]  drain;
    wire [ROWS-1:0]                     issue_first;   // a lane reads the first round's word

    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : g_row
            // 4. west lane: what it reads arrives in the next cycle, with its tags
            wire                issue;
            wire [WEST_TAG-1:0] tag;
            west_lane #(.ADDRESS_WIDTH(ADDRESS_WIDTH), .ENTRY_WIDTH(ENTRY_WIDTH), .SLOT_WIDTH(SLOT_WIDTH)) lane_inst (
                .clk(clk), .rst(rst), .clear(accept), .start(lane_start[r]),
                .os(os), .interleave(interleave), .slot(slot), .round(round), .rounds(rounds), .reps(reps),
                .repeats(column_tiles), .row_delay(row_delay),
                .start_below(lane_start[r+1]), .settle(lane_settle[r]), .finish(lane_finish[r]),
                .address(west_address[ADDRESS_WIDTH*r +: ADDRESS_WIDTH]), .valid(issue),
                .first(tag[WEST_TAG-1]), .last(tag[WEST_TAG-2]), .bank(tag[WEST_TAG-3]),
                .entry(tag[SLOT_WIDTH +: ENTRY_WIDTH]), .number(tag[SLOT_WIDTH-1:0])
            );
            assign issue_first[r] = issue && tag[WEST_TAG-1];
            delay #(.WIDTH(WEST_TAG), .DEPTH(1)) tag_inst (
                .clk(clk), .ce(1'b1), .d(tag), .q(x_tag[WEST_TAG*r*(COLS+1) +: WEST_TAG]));
            delay_valid #(.DEPTH(1)) valid_inst (.clk(clk), .rst(rst), .d(issue), .q(x_valid[r*(COLS+1)]));
            assign x_data[16*WORD*r*(COLS+1) +: 16*WORD] = west_data[16*WORD*r +: 16*WORD];

            // 6. drain
            drain_lane #(.SLOT_WIDTH(SLOT_WIDTH)) drain_inst (
                .clk(clk), .rst(rst),
                .start(r == ROWS - 1 || drain_gap == 32'd0 ? drain_start : drain_token[r+1]),
                .interleave(interleave), .word(drain_word), .row_gap(drain_gap),
                .start_above(drain_token[r]), .finish(drain_finish[r]),
                .valid(read_valid[r*(COLS+1)]), .number(read_slot[SLOT_WIDTH*r*(COLS+1) +: SLOT_WIDTH])
            );

            // what leaves the array in the east
            localparam END = r*(COLS+1) + COLS;
            wire unused_east = &{1'b0, x_valid[END], x_tag[WEST_TAG*END +: WEST_TAG], x_data[16*WORD*END +: 16*WORD],
                                 read_valid[END], read_slot[SLOT_WIDTH*END +: SLOT_WIDTH]};

            for (c = 0; c < COLS; c = c + 1) begin : g_col
                localparam WEST  = r*(COLS+1) + c, EAST = WEST + 1, NORTH = r*COLS + c, SOUTH = NORTH + COLS;
                localparam TAG_W = WEST_TAG*WEST, TAG_E = WEST_TAG*EAST, TAG_N = NORTH_TAG*NORTH, TAG_S = NORTH_TAG*SOUTH;
                uspe #(
                    .WORD(WORD), .INTERLEAVE_MAX(INTERLEAVE_MAX), .MUL_LATENCY(MUL_LATENCY),
                    .ADD_LATENCY(ADDING), .EXACT(EXACT), .SUM_WIDTH(SUM_WIDTH), .INDEX_WIDTH(INDEX_WIDTH),
                    .ENTRY_WIDTH(ENTRY_WIDTH), .SLOT_WIDTH(SLOT_WIDTH), .ROW_WIDTH(ROW_WIDTH)
                ) pe_inst (
                    .clk(clk), .rst(rst), .os(os),
                    .west_valid(x_valid[WEST]), .west_data(x_data[16*WORD*WEST +: 16*WORD]),
                    .west_first(x_tag[TAG_W + WEST_TAG-1]), .west_last(x_tag[TAG_W + WEST_TAG-2]),
                    .west_bank(x_tag[TAG_W + WEST_TAG-3]), .west_entry(x_tag[TAG_W + SLOT_WIDTH +: ENTRY_WIDTH]),
                    .west_slot(x_tag[TAG_W +: SLOT_WIDTH]),
                    .east_valid(x_valid[EAST]), .east_data(x_data[16*WORD*EAST +: 16*WORD]),
                    .east_first(x_tag[TAG_E + WEST_TAG-1]), .east_last(x_tag[TAG_E + WEST_TAG-2]),
                    .east_bank(x_tag[TAG_E + WEST_TAG-3]), .east_entry(x_tag[TAG_E + SLOT_WIDTH +: ENTRY_WIDTH]),
                    .east_slot(x_tag[TAG_E +: SLOT_WIDTH]),
                    .north_valid(w_valid[NORTH]), .north_bank(w_tag[TAG_N + NORTH_TAG-1]),
                    .north_entry(w_tag[TAG_N + ROW_WIDTH +: ENTRY_WIDTH]), .north_row(w_tag[TAG_N +: ROW_WIDTH]),
                    .north_data(w_data[(INDEX_WIDTH+16)*NORTH +: INDEX_WIDTH+16]),
                    .south_valid(w_valid[SOUTH]), .south_bank(w_tag[TAG_S + NORTH_TAG-1]),
                    .south_entry(w_tag[TAG_S + ROW_WIDTH +: ENTRY_WIDTH]), .south_row(w_tag[TAG_S +: ROW_WIDTH]),
                    .south_data(w_data[(INDEX_WIDTH+16)*SOUTH +: INDEX_WIDTH+16]),
                    .psum_in(psum[SUM_WIDTH*NORTH +: SUM_WIDTH]), .psum_valid(psum_valid[NORTH]),
                    .psum_out(psum[SUM_WIDTH*SOUTH +: SUM_WIDTH]),
                    .read_valid(read_valid[WEST]), .read_slot(read_slot[SLOT_WIDTH*WEST +: SLOT_WIDTH]),
                    .read_east_valid(read_valid[EAST]), .read_east_slot(read_slot[SLOT_WIDTH*EAST +: SLOT_WIDTH]),
                    .drain_in_valid(drain_valid[NORTH]), .drain_in(drain[SUM_WIDTH*NORTH +: SUM_WIDTH]),
                    .drain_valid(drain_valid[SOUTH]), .drain(drain[SUM_WIDTH*SOUTH +: SUM_WIDTH])
                );
            end
        end
    endgenerate

    // addresses of column 0: partial sums are read MUL_LATENCY cycles after the activation, so as to meet its product
    wire psum_next, psum_wrapped, result_wrapped;
    wire [ADDRESS_WIDTH-1:0] psum_at, result_at;
    delay_valid #(.DEPTH(MUL_LATENCY)) psum_next_inst (
        .clk(clk), .rst(rst), .d(issue_first[0] && !os), .q(psum_next)
    );
    output_address #(.ADDRESS_WIDTH(ADDRESS_WIDTH), .SLOT_WIDTH(SLOT_WIDTH)) psum_inst (
        .clk(clk), .clear(accept), .next(psum_next), .os(1'b0), .interleave(interleave),
        .column_tiles(column_tiles), .stride(stride), .tile(tile_words), .address(psum_at), .wrapped(psum_wrapped)
    );
    output_address #(.ADDRESS_WIDTH(ADDRESS_WIDTH), .SLOT_WIDTH(SLOT_WIDTH)) result_inst (
        .clk(clk), .clear(accept), .next(result_valid[0]), .os(os), .interleave(interleave),
        .column_tiles(column_tiles), .stride(stride), .tile(tile_words), .address(result_at), .wrapped(result_wrapped)
    );

    wire unused = &{1'b0, lane_start[ROWS], lane_settle, lane_finish, drain_finish, drain_token[0], issue_first,
                    result_wrapped};

    // columns: everything a cycle later than the column to the west
    wire [(NORTH_TAG+1+ADDRESS_WIDTH)*COLS-1:0] load_line;
    wire [(ADDRESS_WIDTH+1)*COLS-1:0]           psum_line;
    wire [ADDRESS_WIDTH*COLS-1:0]               result_line;
    assign load_line[NORTH_TAG+ADDRESS_WIDTH:0] = {load_valid, load_tag, load_address};
    assign psum_line[ADDRESS_WIDTH:0]           = {accumulate || psum_wrapped, psum_at};
    assign result_line[ADDRESS_WIDTH-1:0]       = result_at;
    generate
        for (c = 0; c < COLS; c = c + 1) begin : g_column
            localparam LOAD = (NORTH_TAG+1+ADDRESS_WIDTH)*c;
            localparam PSUM = (ADDRESS_WIDTH+1)*c;
            localparam LAST = ROWS*COLS + c;   // south of the bottom row
            if (c > 0) begin : g_later
                delay_valid #(.DEPTH(1)) valid_inst (
                    .clk(clk), .rst(rst), .d(load_line[LOAD-1]), .q(load_line[LOAD + NORTH_TAG+ADDRESS_WIDTH])
                );
                delay #(.WIDTH(NORTH_TAG+ADDRESS_WIDTH), .DEPTH(1)) load_inst (
                    .clk(clk), .ce(1'b1),
                    .d(load_line[LOAD - (NORTH_TAG+1+ADDRESS_WIDTH) +: NORTH_TAG+ADDRESS_WIDTH]),
                    .q(load_line[LOAD +: NORTH_TAG+ADDRESS_WIDTH])
                );
                delay #(.WIDTH(ADDRESS_WIDTH+1), .DEPTH(1)) psum_delay_inst (.clk(clk), .ce(1'b1),
                    .d(psum_line[PSUM - (ADDRESS_WIDTH+1) +: ADDRESS_WIDTH+1]), .q(psum_line[PSUM +: ADDRESS_WIDTH+1])
                );
                delay #(.WIDTH(ADDRESS_WIDTH), .DEPTH(1)) result_delay_inst (.clk(clk), .ce(1'b1),
                    .d(result_line[ADDRESS_WIDTH*(c-1) +: ADDRESS_WIDTH]), .q(result_line[ADDRESS_WIDTH*c +: ADDRESS_WIDTH])
                );
            end
            // the weight arrives in the next cycle, with its tags
            wire read_psum;
            delay_valid #(.DEPTH(1)) north_valid_inst (
                .clk(clk), .rst(rst), .d(load_line[LOAD + NORTH_TAG+ADDRESS_WIDTH]), .q(w_valid[c])
            );
            delay #(.WIDTH(1), .DEPTH(1)) read_psum_inst (
                .clk(clk), .ce(1'b1), .d(psum_line[PSUM + ADDRESS_WIDTH]), .q(read_psum)
            );
            delay #(.WIDTH(NORTH_TAG), .DEPTH(1)) north_tag_inst (
                .clk(clk), .ce(1'b1),
                .d(load_line[LOAD + ADDRESS_WIDTH +: NORTH_TAG]), .q(w_tag[NORTH_TAG*c +: NORTH_TAG])
            );
            assign north_address[ADDRESS_WIDTH*c +: ADDRESS_WIDTH] = load_line[LOAD +: ADDRESS_WIDTH];
            assign w_data[(INDEX_WIDTH+16)*c +: INDEX_WIDTH+16] = north_data[24*c +: INDEX_WIDTH+16];
            assign psum_address[ADDRESS_WIDTH*c +: ADDRESS_WIDTH] = psum_line[PSUM +: ADDRESS_WIDTH];
            assign psum[SUM_WIDTH*c +: SUM_WIDTH] =
                EXACT == 0 && read_psum ? {{(SUM_WIDTH-32){1'b0}}, psum_data[32*c +: 32]} : {SUM_WIDTH{1'b0}};
            assign drain_valid[c] = 1'b0;
            assign drain[SUM_WIDTH*c +: SUM_WIDTH] = {SUM_WIDTH{1'b0}};
            // what leaves the array in the south, the indices' empty bits
            wire unused_south = &{1'b0, north_data[24*c +: 24], w_valid[LAST], w_tag[NORTH_TAG*LAST +: NORTH_TAG],
                                  w_data[(INDEX_WIDTH+16)*LAST +: INDEX_WIDTH+16]};

            column_result #(.EXACT(EXACT), .SUM_WIDTH(SUM_WIDTH), .LATENCY(ROUND_LATENCY)) column_inst (
                .clk(clk), .rst(rst), .sum_valid(os ? drain_valid[LAST] : psum_valid[LAST-COLS]),
                .sum(os ? drain[SUM_WIDTH*LAST +: SUM_WIDTH] : psum[SUM_WIDTH*LAST +: SUM_WIDTH]),
                .result_valid(result_valid[c]), .result(result_data[32*c +: 32])
            );
            assign result_address[ADDRESS_WIDTH*c +: ADDRESS_WIDTH] = result_line[ADDRESS_WIDTH*c +: ADDRESS_WIDTH];
        end
    endgenerate

endmodule

`resetall
