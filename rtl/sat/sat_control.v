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
//   RUN   3  1 limit  2-21 fields of stce  22 west base  23 north base  24 output base; of these the bases alone are checked
//            against the buffers: behind a buffer's last word comes its first
//   REDUCE 4 1 limit  2 n  3 m  4 rounds  5 source  6 target
//   UPDATE 5 1 limit  2 n  3 m  4 SORE rounds  6 direct target  7 words  8 state  9 gradient  10 across target
//            11 bit 0 direct, bit 1 across  12 minus rate  13 beta  14 decay
// Errors: 1 opcode, 2 address not a multiple of the beat, 3 beyond the buffer, 4 field, 5 read, 6 write response, 7 limit.

`resetall
`default_nettype none
`include "assertions.vh"

module sat_control #(
    parameter ROWS = 32,
    parameter COLS = 32,
    parameter ENTRIES = 8,
    parameter GROUP_MAX = 16,
    parameter INTERLEAVE_MAX = 16,
    // 1: exact sums (sat_check)
    parameter EXACT = 0,
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

    // fields that are needed here
    wire [7:0]  opcode  = command_reg[7:0];
    wire        waits   = command_reg[8];
    wire [63:0] address = command_reg[32*1 +: 64];
    wire [1:0]  buffer  = command_reg[32*3 +: 2];
    wire        half    = command_reg[32*3 + 8];
    wire [31:0] words   = command_reg[32*5 +: 32];

    // of LOAD and STORE
    wire [15:0] line;
    wire [31:0] move_beats = words * {16'd0, line};
    sat_line #(.ROWS(ROWS), .COLS(COLS), .BYTES(BYTES)) line_inst (.buffer(buffer), .half(half), .beats(line));

    wire [7:0] check;   // the error it would be, 0 if legal
    wire [7:0] ports;   // the buffer ports it needs
    sat_check #(
        .COLS(COLS), .ENTRIES(ENTRIES), .GROUP_MAX(GROUP_MAX), .INTERLEAVE_MAX(INTERLEAVE_MAX), .EXACT(EXACT), .BYTES(BYTES),
        .WEST_WIDTH(WEST_WIDTH), .NORTH_WIDTH(NORTH_WIDTH), .OUTPUT_WIDTH(OUTPUT_WIDTH), .STATE_WIDTH(STATE_WIDTH)
    ) check_inst (.command(command_reg), .check(check), .ports(ports));
    wire [7:0] held = (load_reg ? load_ports_reg : 8'd0) | (store_reg ? store_ports_reg : 8'd0) |
                      (compute_busy_reg ? compute_ports_reg : 8'd0);
    wire idle      = !load_reg && !store_reg && !compute_busy_reg;
    wire unit_free = opcode == LOAD ? !load_reg : opcode == STORE ? !store_reg : !compute_busy_reg;
    wire issue     = state_reg == STATE_ISSUE && unit_free && (ports & held) == 8'd0 && (idle || !waits) &&
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
    assign store_beats   = move_beats;
    wire fetch           = state_reg == STATE_FETCH && error_reg == 8'd0 && at_reg != program_commands && read_idle &&
                           !load_reg;
    assign read_start    = load_start || fetch;
    assign read_address  = load_start ? address : address_reg;
    assign read_beats    = load_start ? move_beats : FETCH_BEATS[31:0];
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

    `ASSERT(state_known, state_reg <= STATE_DRAIN)
    `ASSERT(one_start, $onehot0({load_start, store_start, run_start, reduce_start, update_start}))
    `ASSERT(ports_alone, !compute_start || (ports & ((load_reg ? load_ports_reg : 8'd0) | (store_reg ? store_ports_reg : 8'd0))) == 8'd0)
    `ASSERT(unit_alone, !(load_start && load_reg) && !(store_start && store_reg) && !(compute_start && compute_busy_reg))
    `ASSERT_RESET(idle_behind_reset, idle && !busy && !finished)

endmodule

`resetall
