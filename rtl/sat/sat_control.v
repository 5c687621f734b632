// SPDX-License-Identifier: Apache-2.0
// Controller of sat_core: fetches commands, checks them, starts them in order, and counts.
//
// Three units work side by side: LOAD, STORE and the array with its engines (RUN, REDUCE, UPDATE). A command starts when
// its unit is free, no running command uses a buffer port that it needs, and, with `wait`, when nothing is running. The
// next one is fetched when the read port is free. An illegal command, an error response of the memory or a command of the
// array that takes more than its limit of cycles ends the program: what runs is waited for, the error is reported.
//
// A command is 32 words of 32 bits, from word 0 (hwsim/sat/program.py writes them):
//   all      0 opcode 7:0, wait 8
//   LOAD  1  1-2 address  3 buffer (0 west, 1 north, 2 output, 3 state)  4 first word  5 words
//   STORE 2  as LOAD (not west); 3 bit 8: output or state weights as binary16
//   RUN   3  1 limit  2-21 fields of stce  22 west base  23 north base  24 output base
//   REDUCE 4 1 limit  2 n  3 m  4 rounds  5 source  6 target
//   UPDATE 5 1 limit  2 n  3 m  4 SORE rounds  6 direct target  7 words  8 state  9 gradient  10 across target
//            11 bit 0 direct, bit 1 across  12 minus rate  13 beta  14 decay
// Errors: 1 opcode, 2 address not a multiple of the beat, 3 beyond the buffer, 4 field, 5 read, 6 write response, 7 limit.

`resetall
`default_nettype none

module sat_control #(
    parameter ROWS = 32,
    parameter COLS = 32,
    parameter ENTRIES = 8,
    parameter GROUP_MAX = 16,
    parameter INTERLEAVE_MAX = 16,
    // bytes of a beat
    parameter BYTES = 32,
    // bits of a word's number in each buffer
    parameter WEST_WIDTH = 12,
    parameter NORTH_WIDTH = 14,
    parameter OUTPUT_WIDTH = 14,
    parameter STATE_WIDTH = 8,
    parameter COUNTERS = 6
) (
    input  wire                   clk,
    input  wire                   rst,

    input  wire                   start,
    input  wire [63:0]            program_address,   // a multiple of 128
    input  wire [31:0]            program_commands,
    output wire                   busy,
    output wire                   finished,
    output wire [7:0]             error_code,
    output wire [23:0]            error_command,
    output wire [64*COUNTERS-1:0] counters,          // total, RUN, REDUCE, UPDATE cycles; beats read, written

    // read port: commands and LOAD
    output wire                   read_start,
    input  wire                   read_idle,
    output wire [63:0]            read_address,
    output wire [31:0]            read_beats,
    input  wire                   read_done,
    input  wire                   read_error,
    input  wire                   beat_valid,
    input  wire [8*BYTES-1:0]     beat,
    output wire                   loading,           // beats are LOAD's

    output wire                   load_start,
    output wire                   store_start,
    output wire [31:0]            store_beats,
    input  wire                   store_done,
    input  wire                   write_error,
    input  wire                   write_beat,

    output wire                   run_start,
    output wire                   reduce_start,
    output wire                   update_start,
    input  wire                   compute_done,
    output wire                   stop,              // reset the array and the engines
    output wire [1023:0]          fields,            // of the command being started
    output wire [1023:0]          compute_fields     // of the array's command: being started, or running
);

    localparam FETCH_BEATS = 128 / BYTES;
    localparam [31:0] QUADS = (4*COLS + BYTES - 1) / BYTES;
    localparam [31:0] PAIRS = (8*COLS + BYTES - 1) / BYTES;
    localparam [31:0] BOTHS = (2*COLS + BYTES - 1) / BYTES;

    localparam [2:0] STATE_IDLE   = 3'd0;
    localparam [2:0] STATE_FETCH  = 3'd1;
    localparam [2:0] STATE_BEATS  = 3'd2;
    localparam [2:0] STATE_CHECK  = 3'd3;
    localparam [2:0] STATE_ISSUE  = 3'd4;
    localparam [2:0] STATE_DRAIN  = 3'd5;

    localparam [7:0] LOAD = 8'd1;
    localparam [7:0] STORE = 8'd2;
    localparam [7:0] RUN = 8'd3;
    localparam [7:0] REDUCE = 8'd4;
    localparam [7:0] UPDATE = 8'd5;

    reg [2:0]    state_reg,   state_next;
    reg [31:0]   at_reg,      at_next;        // number of the command
    reg [63:0]   address_reg, address_next;
    reg [1023:0] command_reg;
    reg [1023:0] compute_reg;
    reg          finished_reg, finished_next;
    reg [7:0]    error_reg,   error_next;
    reg [23:0]   where_reg,   where_next;
    // running commands: unit busy, the ports it holds, its number
    reg          load_reg, store_reg, compute_busy_reg;
    reg [7:0]    load_ports_reg, store_ports_reg, compute_ports_reg;
    reg [23:0]   load_at_reg, store_at_reg, compute_at_reg;
    reg [31:0]   spent_reg;                   // cycles of the array's command
    reg [64*COUNTERS-1:0] counters_reg;

    // fields
    wire [31:0] word [0:24];
    genvar i;
    generate
        for (i = 0; i < 25; i = i + 1) begin : g_word
            assign word[i] = command_reg[32*i +: 32];
        end
    endgenerate
    wire [7:0] opcode = word[0][7:0];
    wire [1:0] buffer = word[3][1:0];
    wire       half   = word[3][8];

    // is it legal
    wire [31:0] room = buffer == 2'd0 ? 32'd1 << WEST_WIDTH : buffer == 2'd1 ? 32'd1 << NORTH_WIDTH :
                       buffer == 2'd2 ? 32'd1 << OUTPUT_WIDTH : 32'd1 << STATE_WIDTH;
    wire misaligned = |(word[1] & (BYTES[31:0] - 32'd1));
    wire move_beyond = word[5] == 32'd0 || word[4] >= room || word[5] > room - word[4];
    wire [31:0] north_room = 32'd1 << NORTH_WIDTH;
    wire [31:0] group = word[3];
    wire group_wrong = word[2] == 32'd0 || word[2] > ENTRIES[31:0] || word[2] > group || group > GROUP_MAX[31:0] ||
                       word[4] == 32'd0 || word[4] > north_room;
    wire [47:0] dense_words  = {16'd0, word[4]} * group[15:0];
    wire [47:0] sparse_words = {16'd0, word[4]} * {32'd0, word[2][15:0]};
    wire reduce_beyond = word[5] >= north_room || dense_words > {16'd0, north_room - word[5]} ||
                         word[6] >= north_room || sparse_words > {16'd0, north_room - word[6]};
    wire direct = word[11][0];
    wire across = word[11][1];
    wire [47:0] rounds = {16'd0, direct && across ? word[4] >> 1 : word[4]};
    wire [47:0] entries = rounds * {32'd0, word[2][15:0]};
    wire update_beyond = word[7] == 32'd0 || word[8] >= (32'd1 << STATE_WIDTH) || word[7] > (32'd1 << STATE_WIDTH) - word[8] ||
                         word[9] >= (32'd1 << OUTPUT_WIDTH) || word[7] > (32'd1 << OUTPUT_WIDTH) - word[9] ||
                         (direct && (word[6] >= north_room || entries > {16'd0, north_room - word[6]})) ||
                         (across && (word[10] >= north_room || entries > {16'd0, north_room - word[10]}));
    // every word must be in a group; across, a group in the lanes
    reg divides;
    integer g;
    always @* begin
        divides = 1'b0;
        for (g = 1; g <= GROUP_MAX; g = g + 1) begin
            if (COLS % g == 0 && group == g) begin
                divides = 1'b1;
            end
        end
    end
    wire update_wrong = (direct || across) && (group_wrong || rounds * {32'd0, group[15:0]} != {16'd0, word[7]} ||
                        (across && !divides) || (direct && across && word[4][0]));
    wire zero_field = word[5] == 32'd0 || word[6] == 32'd0 || word[7] == 32'd0 || word[8] == 32'd0 || word[9] == 32'd0 ||
                      word[10] == 32'd0 || word[11] == 32'd0 || word[12] == 32'd0 || word[13] == 32'd0 ||
                      word[14] == 32'd0 || word[15] == 32'd0 || word[16] == 32'd0 || word[18] == 32'd0 ||
                      word[20] == 32'd0 || word[21] == 32'd0;
    wire run_wrong = word[4] == 32'd0 || word[4] > INTERLEAVE_MAX[31:0] || zero_field;
    wire run_beyond = word[22] >= (32'd1 << WEST_WIDTH) || word[23] >= north_room || word[24] >= (32'd1 << OUTPUT_WIDTH);
    reg [7:0] check;
    always @* begin
        check = 8'd0;
        case (opcode)
            LOAD: check = misaligned ? 8'd2 : |word[3][31:2] ? 8'd4 : move_beyond ? 8'd3 : 8'd0;
            STORE: check = misaligned ? 8'd2 : |word[3][31:9] || |word[3][7:2] || buffer == 2'd0 ||
                           (half && buffer == 2'd1) ? 8'd4 : move_beyond ? 8'd3 : 8'd0;
            RUN: check = word[1] == 32'd0 || run_wrong ? 8'd4 : run_beyond ? 8'd3 : 8'd0;
            REDUCE: check = word[1] == 32'd0 || group_wrong ? 8'd4 : reduce_beyond ? 8'd3 : 8'd0;
            UPDATE: check = word[1] == 32'd0 || update_wrong ? 8'd4 : update_beyond ? 8'd3 : 8'd0;
            default: check = 8'd1;
        endcase
    end

    // ports: west write, read; north write, read; output write, read; state write, read (from bit 0)
    reg [7:0] ports;
    always @* begin
        case (opcode)
            LOAD: ports = 8'h01 << {buffer, 1'b0};
            STORE: ports = 8'h02 << {buffer, 1'b0};
            // partial sums are read where more than one tile adds to them
            RUN: ports = word[2][0] || (word[10] == word[9] && !word[3][0]) ? 8'b00011010 : 8'b00111010;
            REDUCE: ports = 8'b00001100;
            default: ports = 8'b11100100;
        endcase
    end
    wire [7:0] held = (load_reg ? load_ports_reg : 8'd0) | (store_reg ? store_ports_reg : 8'd0) |
                      (compute_busy_reg ? compute_ports_reg : 8'd0);
    wire idle      = !load_reg && !store_reg && !compute_busy_reg;
    wire unit_free = opcode == LOAD ? !load_reg : opcode == STORE ? !store_reg : !compute_busy_reg;
    wire issue     = state_reg == STATE_ISSUE && unit_free && (ports & held) == 8'd0 && (idle || !word[0][8]) &&
                     error_reg == 8'd0;

    assign busy          = state_reg != STATE_IDLE;
    assign finished      = finished_reg;
    assign error_code    = error_reg;
    assign error_command = where_reg;
    assign counters      = counters_reg;
    assign fields        = command_reg;
    assign loading       = load_reg;
    assign load_start    = issue && opcode == LOAD;
    assign store_start   = issue && opcode == STORE;
    assign run_start     = issue && opcode == RUN;
    assign reduce_start  = issue && opcode == REDUCE;
    assign update_start  = issue && opcode == UPDATE;
    assign store_beats   = word[5] * (half ? BOTHS : buffer == 2'd3 ? PAIRS : QUADS);
    wire fetch           = state_reg == STATE_FETCH && error_reg == 8'd0 && at_reg != program_commands && read_idle &&
                           !load_reg;
    assign read_start    = load_start || fetch;
    assign read_address  = load_start ? {word[2], word[1]} : address_reg;
    assign read_beats    = load_start ? word[5] * (buffer == 2'd0 ? ROWS[31:0] : buffer == 2'd3 ? PAIRS : QUADS) :
                           FETCH_BEATS[31:0];
    wire compute_start   = run_start || reduce_start || update_start;
    assign compute_fields = compute_start ? command_reg : compute_reg;
    wire over_limit      = compute_busy_reg && !compute_done && spent_reg == compute_reg[63:32];
    assign stop          = over_limit;

    always @* begin
        state_next    = state_reg;
        at_next       = at_reg;
        address_next  = address_reg;
        finished_next = finished_reg;
        error_next    = error_reg;
        where_next    = where_reg;
        case (state_reg)
            STATE_FETCH: begin
                if (error_reg != 8'd0 || at_reg == program_commands) begin
                    state_next = STATE_DRAIN;
                end else if (fetch) begin
                    state_next = STATE_BEATS;
                end
            end
            STATE_BEATS: begin
                if (read_done) begin
                    state_next   = STATE_CHECK;
                    address_next = address_reg + 64'd128;
                    if (read_error) begin
                        state_next = STATE_DRAIN;
                        error_next = error_reg == 8'd0 ? 8'd5 : error_reg;
                        where_next = error_reg == 8'd0 ? at_reg[23:0] : where_reg;
                    end
                end
            end
            STATE_CHECK: begin
                state_next = STATE_ISSUE;
                if (error_reg != 8'd0) begin
                    state_next = STATE_DRAIN;
                end else if (check != 8'd0) begin
                    state_next = STATE_DRAIN;
                    error_next = check;
                    where_next = at_reg[23:0];
                end
            end
            STATE_ISSUE: begin
                if (error_reg != 8'd0) begin
                    state_next = STATE_DRAIN;
                end else if (issue) begin
                    state_next = STATE_FETCH;
                    at_next    = at_reg + 32'd1;
                end
            end
            STATE_DRAIN: begin
                if (idle) begin
                    state_next    = STATE_IDLE;
                    finished_next = 1'b1;
                end
            end
            default: begin
                if (start) begin
                    state_next    = |program_address[6:0] ? STATE_DRAIN : STATE_FETCH;
                    error_next    = |program_address[6:0] ? 8'd2 : 8'd0;
                    where_next    = 24'd0;
                    at_next       = 32'd0;
                    address_next  = program_address;
                    finished_next = 1'b0;
                end
            end
        endcase
        // the first error stays
        if (error_reg == 8'd0 && load_reg && read_done && read_error) begin
            error_next = 8'd5;
            where_next = load_at_reg;
        end else if (error_reg == 8'd0 && store_done && write_error) begin
            error_next = 8'd6;
            where_next = store_at_reg;
        end else if (error_reg == 8'd0 && over_limit) begin
            error_next = 8'd7;
            where_next = compute_at_reg;
        end
    end

    wire [COUNTERS-1:0] count = {
        write_beat, beat_valid,
        compute_busy_reg && compute_reg[7:0] == UPDATE, compute_busy_reg && compute_reg[7:0] == REDUCE,
        compute_busy_reg && compute_reg[7:0] == RUN, busy
    };
    integer k;

    always @(posedge clk) begin
        state_reg    <= state_next;
        at_reg       <= at_next;
        address_reg  <= address_next;
        finished_reg <= finished_next;
        error_reg    <= error_next;
        where_reg    <= where_next;
        if (state_reg == STATE_BEATS && beat_valid) begin
            command_reg <= {beat, command_reg[1023:8*BYTES]};
        end
        load_reg         <= load_start || (load_reg && !read_done);
        store_reg        <= store_start || (store_reg && !store_done);
        compute_busy_reg <= compute_start || (compute_busy_reg && !compute_done && !over_limit);
        spent_reg        <= spent_reg + 32'd1;
        if (load_start) begin
            load_ports_reg <= ports;
            load_at_reg    <= at_reg[23:0];
        end
        if (store_start) begin
            store_ports_reg <= ports;
            store_at_reg    <= at_reg[23:0];
        end
        if (compute_start) begin
            compute_ports_reg <= ports;
            compute_at_reg    <= at_reg[23:0];
            compute_reg       <= command_reg;
            spent_reg         <= 32'd1;
        end
        for (k = 0; k < COUNTERS; k = k + 1) begin
            if (start && !busy) begin
                counters_reg[64*k +: 64] <= 64'd0;
            end else if (count[k]) begin
                counters_reg[64*k +: 64] <= counters_reg[64*k +: 64] + 64'd1;
            end
        end

        if (rst) begin
            state_reg        <= STATE_IDLE;
            finished_reg     <= 1'b0;
            error_reg        <= 8'd0;
            load_reg         <= 1'b0;
            store_reg        <= 1'b0;
            compute_busy_reg <= 1'b0;
            counters_reg     <= {64*COUNTERS{1'b0}};
        end
    end

endmodule

`resetall
