// SPDX-License-Identifier: Apache-2.0
// Local value pruning: which values a query multiplies, by the top-k of its probabilities, and their list.
//
// A command reads the query's probabilities and tokens, rows of LIST, one cycle later. What is kept is written as flags and,
// packed, as tokens and probabilities; the last row of them is there in the cycle after `chosen`. Where all are kept,
// nothing is written, and `chosen` comes in the next cycle. The engine is one of two: quick-select takes a seed, the one
// that is led by a histogram what `prob_histogram` found.

`resetall
`default_nettype none

module value_select #(
    // comparators; a power of two, at least 2, at most LIST
    parameter COMPARATORS = 16,
    parameter PROB_BITS = 12,
    parameter SIZE = 1024,
    parameter SLOT_WIDTH = 3,
    parameter LIST = 32,
    parameter TOKEN_WIDTH = 20,
    // 0: topk; 1: topk_histogram
    parameter ENGINE = 0,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST),
    parameter LINE_WIDTH = SLOT_WIDTH + LIST_WIDTH - 1,
    parameter LOW_WIDTH = (PROB_BITS + 1) / 2
) (
    input  wire                         clk,
    input  wire                         rst,
    input  wire                         start,
    input  wire [SLOT_WIDTH-1:0]        s_slot,
    input  wire [COUNT_WIDTH-1:0]       s_count,
    input  wire [COUNT_WIDTH-1:0]       s_keep,
    input  wire [15:0]                  s_seed,     // of engine 0
    input  wire [LOW_WIDTH:0]           s_bin,      // of engine 1
    input  wire [COUNT_WIDTH-1:0]       s_missing,
    input  wire [LIST_WIDTH-1:0]        s_list,
    output wire                         free,

    output wire [LINE_WIDTH-1:0]        line,
    input  wire [PROB_BITS*LIST-1:0]    probabilities,
    output wire [LIST_WIDTH-1:0]        list_row,
    input  wire [TOKEN_WIDTH*LIST-1:0]  tokens,

    output wire [LIST-1:0]              flags_write,
    output wire [LINE_WIDTH-1:0]        flags_line,
    output wire [LIST-1:0]              flags,
    output wire [LIST-1:0]              kept_write,
    output wire [LINE_WIDTH-1:0]        kept_line,
    output wire [TOKEN_WIDTH*LIST-1:0]  kept_tokens,
    output wire [PROB_BITS*LIST-1:0]    kept_probabilities,

    output wire                         chosen,
    output wire [SLOT_WIDTH-1:0]        slot
);

    localparam ROW_WIDTH  = $clog2(SIZE / COMPARATORS);  // rows of the engine
    localparam PART_LOG   = $clog2(LIST / COMPARATORS);  // of which a row of the list has several
    localparam PART_WIDTH = PART_LOG > 0 ? PART_LOG : 1;
    localparam BOTH       = TOKEN_WIDTH + PROB_BITS;

    wire all = s_keep >= s_count;
    reg  all_reg;
    reg [SLOT_WIDTH-1:0] slot_reg;
    reg [LIST_WIDTH-1:0] list_reg;

    wire                   done, beat, unused_last;
    wire [ROW_WIDTH-1:0]   src_row;
    wire [COMPARATORS-1:0] keep;
    reg  [PART_WIDTH-1:0]  part_reg;
    wire [PROB_BITS*COMPARATORS-1:0]   keys = probabilities[PROB_BITS*COMPARATORS*part_reg +: PROB_BITS*COMPARATORS];
    wire [TOKEN_WIDTH*COMPARATORS-1:0] names = tokens[TOKEN_WIDTH*COMPARATORS*part_reg +: TOKEN_WIDTH*COMPARATORS];

    // whose row is asked for; engine 1 asks for the first in the command's cycle
    wire [SLOT_WIDTH-1:0] line_slot;
    wire [LIST_WIDTH-1:0] line_list;
    generate
        if (ENGINE == 0) begin : g_engine
            topk #(.LANES(COMPARATORS), .WIDTH(PROB_BITS), .SIZE(SIZE)) engine (
                .clk(clk), .rst(rst), .s_cmd_valid(start && !all), .s_cmd_ready(free), .s_cmd_count(s_count),
                .s_cmd_k(s_keep), .s_cmd_seed(s_seed), .done(done), .src_row(src_row), .src_data(keys),
                .m_axis_tvalid(beat), .m_axis_tready(1'b1), .m_axis_tkeep(keep), .m_axis_tlast(unused_last)
            );
            assign line_slot = slot_reg;
            assign line_list = list_reg;
            wire unused = &{1'b0, s_bin, s_missing};
        end else if (ENGINE == 1) begin : g_engine
            topk_histogram #(.LANES(COMPARATORS), .WIDTH(PROB_BITS), .SIZE(SIZE)) led_engine (
                .clk(clk), .rst(rst), .s_cmd_valid(start && !all), .s_cmd_ready(free), .s_cmd_count(s_count),
                .s_cmd_k(s_keep), .s_cmd_bin(s_bin), .s_cmd_missing(s_missing), .done(done), .src_row(src_row),
                .src_data(keys), .m_axis_tvalid(beat), .m_axis_tready(1'b1), .m_axis_tkeep(keep),
                .m_axis_tlast(unused_last)
            );
            assign line_slot = start ? s_slot : slot_reg;
            assign line_list = start ? s_list : list_reg;
            wire unused = &{1'b0, s_seed};
        end else begin : g_engine
            illegal_parameter_of_value_select illegal ();
        end
    endgenerate

    assign line     = {line_slot, src_row[ROW_WIDTH-1:PART_LOG]};
    assign list_row = line_list + {{LIST_WIDTH-ROW_WIDTH+PART_LOG{1'b0}}, src_row[ROW_WIDTH-1:PART_LOG]};
    assign chosen   = done || all_reg;
    assign slot     = slot_reg;

    // what goes with a beat of flags; how many rows of flags, how many packed ones were written
    reg [BOTH*COMPARATORS-1:0] elements_reg;
    reg [ROW_WIDTH-1:0]        beats_reg, rows_reg;
    integer i;
    always @(posedge clk) begin
        part_reg <= PART_LOG > 0 ? src_row[PART_WIDTH-1:0] : {PART_WIDTH{1'b0}};
        for (i = 0; i < COMPARATORS; i = i + 1) begin
            elements_reg[BOTH*i +: BOTH] <= {names[TOKEN_WIDTH*i +: TOKEN_WIDTH], keys[PROB_BITS*i +: PROB_BITS]};
        end
        all_reg <= start && all && !rst;
        if (start) begin
            slot_reg <= s_slot;
            list_reg <= s_list;
        end
        beats_reg <= beat ? beats_reg + 1'b1 : beats_reg;
        rows_reg  <= write ? rows_reg + 1'b1 : rows_reg;
        if (done || rst) begin
            beats_reg <= {ROW_WIDTH{1'b0}};
            rows_reg  <= {ROW_WIDTH{1'b0}};
        end
    end

    wire                        write, unused_valid;
    wire [$clog2(COMPARATORS+1)-1:0] unused_count;
    wire [BOTH*COMPARATORS-1:0] packed_row;
    packer #(.LANES(COMPARATORS), .WIDTH(BOTH)) pack (
        .clk(clk), .rst(rst), .valid(beat), .elements(elements_reg), .keep(keep), .flush(done),
        .packed_valid(unused_valid), .packed_count(unused_count), .write(write), .row(packed_row)
    );

    // the flush comes with `done`, when a next command may have begun: its slot is the one before
    assign flags_line = {slot_reg, beats_reg[ROW_WIDTH-1:PART_LOG]};
    assign kept_line  = {slot_reg, rows_reg[ROW_WIDTH-1:PART_LOG]};
    genvar p, l;
    generate
        for (p = 0; p < LIST / COMPARATORS; p = p + 1) begin : g_part
            wire mine   = PART_LOG == 0 || beats_reg[PART_WIDTH-1:0] == p;
            wire packs  = PART_LOG == 0 || rows_reg[PART_WIDTH-1:0] == p;
            assign flags_write[COMPARATORS*p +: COMPARATORS] = {COMPARATORS{beat && mine}};
            assign flags[COMPARATORS*p +: COMPARATORS]       = keep;
            assign kept_write[COMPARATORS*p +: COMPARATORS]  = {COMPARATORS{write && packs}};
            for (l = 0; l < COMPARATORS; l = l + 1) begin : g_lane
                assign kept_tokens[TOKEN_WIDTH*(COMPARATORS*p+l) +: TOKEN_WIDTH] =
                    packed_row[BOTH*l+PROB_BITS +: TOKEN_WIDTH];
                assign kept_probabilities[PROB_BITS*(COMPARATORS*p+l) +: PROB_BITS] = packed_row[BOTH*l +: PROB_BITS];
            end
        end
    endgenerate

endmodule

`resetall
