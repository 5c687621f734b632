// SPDX-License-Identifier: Apache-2.0
// Tokens: the lists that the host wrote, and of each slot those whose values the top-k kept, with their probabilities.
//
// What was kept lies in a ring of rows as scores do, from each slot's first one on (`score_place`). The host's lists have a copy
// for each reader: four, and one for each engine of the top-k. The slots' have one for each of two readers and each engine:
// all engines may write in one cycle, and a slot's is read where its engine wrote it. What is read comes one cycle later.

`resetall
`default_nettype none

module token_store #(
    parameter TOKEN_WIDTH = 20,
    parameter PROB_BITS = 12,
    parameter LIST = 32,
    // bits of the number of a row of LIST: of the host's lists, of a slot's
    parameter LIST_WIDTH = 6,
    parameter SLOTS = 64,
    // rows of the ring, an even number
    parameter SCORE_ROWS = 128,
    // of the top-k
    parameter ENGINES = 1,
    // derived
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter RING_WIDTH = SCORE_ROWS > 2 ? $clog2(SCORE_ROWS) : 2,
    parameter LINE_WIDTH = SLOT_WIDTH + LIST_WIDTH - 1,
    parameter PLACE_WIDTH = LINE_WIDTH + $clog2(LIST) + 1
) (
    input  wire                              clk,
    input  wire [SLOTS*RING_WIDTH-1:0]       base,

    input  wire                              host_write,
    input  wire [LIST_WIDTH+$clog2(LIST)-1:0] host_place,
    input  wire [TOKEN_WIDTH-1:0]            host_token,

    // of each engine
    input  wire [ENGINES*LIST-1:0]           kept_write,
    input  wire [ENGINES*LINE_WIDTH-1:0]     kept_line,
    input  wire [ENGINES*TOKEN_WIDTH*LIST-1:0] kept_tokens,
    input  wire [ENGINES*PROB_BITS*LIST-1:0] kept_probabilities,
    input  wire [ENGINES*LIST-1:0]           flags_write,
    input  wire [ENGINES*LINE_WIDTH-1:0]     flags_line,
    input  wire [ENGINES*LIST-1:0]           flags,

    // windows of the address generators: keys', values', values' of a slot
    input  wire [PLACE_WIDTH-1:0]            key_place,
    output wire [TOKEN_WIDTH*(LIST+1)-1:0]   key_window,
    input  wire [PLACE_WIDTH-1:0]            value_place,
    input  wire                              value_kept,    // of what was asked for a cycle ago
    output wire [TOKEN_WIDTH*(LIST+1)-1:0]   value_window,

    // rows: for Q x K, the top-k, prob x V
    input  wire [LIST_WIDTH-1:0]             dot_row,
    output wire [TOKEN_WIDTH*LIST-1:0]       dot_tokens,
    input  wire [ENGINES*LIST_WIDTH-1:0]     select_row,
    output wire [ENGINES*TOKEN_WIDTH*LIST-1:0] select_tokens,
    input  wire [LIST_WIDTH-1:0]             output_row,
    output wire [TOKEN_WIDTH*LIST-1:0]       output_tokens,
    input  wire [LINE_WIDTH-1:0]             output_line,
    output wire [TOKEN_WIDTH*LIST-1:0]       output_kept_tokens,
    output wire [PROB_BITS*LIST-1:0]         output_kept_probabilities,
    output wire [LIST-1:0]                   output_flags
);

    localparam LIST_LOG = $clog2(LIST);

    wire [LIST-1:0] host_columns = {{LIST-1{1'b0}}, host_write} << host_place[LIST_LOG-1:0];
    wire [LIST_WIDTH-1:0] host_row = host_place[LIST_LOG +: LIST_WIDTH];
    wire [TOKEN_WIDTH*LIST-1:0] host_tokens = {LIST{host_token}};
    wire [TOKEN_WIDTH*(LIST+1)-1:0] listed, kept;

    token_list #(.WIDTH(TOKEN_WIDTH), .COLUMNS(LIST), .ROW_WIDTH(LIST_WIDTH)) of_keys (
        .clk(clk), .write(host_columns), .write_row(host_row), .write_tokens(host_tokens),
        .place(key_place[LIST_WIDTH+LIST_LOG-1:0]), .window(key_window)
    );
    token_list #(.WIDTH(TOKEN_WIDTH), .COLUMNS(LIST), .ROW_WIDTH(LIST_WIDTH)) of_values (
        .clk(clk), .write(host_columns), .write_row(host_row), .write_tokens(host_tokens),
        .place(value_place[LIST_WIDTH+LIST_LOG-1:0]), .window(listed)
    );
    wire [RING_WIDTH-1:0] kept_from, output_from;
    score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(LIST_WIDTH - 1)) of_window (
        .base(base), .line(value_place[LIST_LOG +: LINE_WIDTH]), .place(kept_from)
    );
    score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(LIST_WIDTH - 1)) of_output (
        .base(base), .line(output_line), .place(output_from)
    );
    assign value_window = value_kept ? kept : listed;

    ram_columns #(.WIDTH(TOKEN_WIDTH), .COLUMNS(LIST), .ADDRESS_WIDTH(LIST_WIDTH)) for_dot (
        .clk(clk), .write(host_columns), .write_address(host_row), .write_data(host_tokens), .read_address(dot_row),
        .read_data(dot_tokens)
    );
    ram_columns #(.WIDTH(TOKEN_WIDTH), .COLUMNS(LIST), .ADDRESS_WIDTH(LIST_WIDTH)) for_output (
        .clk(clk), .write(host_columns), .write_address(host_row), .write_data(host_tokens), .read_address(output_row),
        .read_data(output_tokens)
    );

    // a copy for each engine
    wire [ENGINES*TOKEN_WIDTH*(LIST+1)-1:0] windows;
    wire [ENGINES*TOKEN_WIDTH*LIST-1:0]     token_rows;
    wire [ENGINES*PROB_BITS*LIST-1:0]       probability_rows;
    wire [ENGINES*LIST-1:0]                 flag_rows;
    genvar e;
    generate
        for (e = 0; e < ENGINES; e = e + 1) begin : g_engine
            wire [RING_WIDTH-1:0] kept_to, flags_to;
            wire [LIST-1:0] writes = kept_write[LIST*e +: LIST];
            wire [TOKEN_WIDTH*LIST-1:0] write_tokens = kept_tokens[TOKEN_WIDTH*LIST*e +: TOKEN_WIDTH*LIST];
            score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(LIST_WIDTH - 1)) of_kept_in (
                .base(base), .line(kept_line[LINE_WIDTH*e +: LINE_WIDTH]), .place(kept_to)
            );
            score_place #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LINE_WIDTH(LIST_WIDTH - 1)) of_flags_in (
                .base(base), .line(flags_line[LINE_WIDTH*e +: LINE_WIDTH]), .place(flags_to)
            );
            token_list #(.WIDTH(TOKEN_WIDTH), .COLUMNS(LIST), .ROW_WIDTH(RING_WIDTH), .ROWS(SCORE_ROWS)) of_kept (
                .clk(clk), .write(writes), .write_row(kept_to), .write_tokens(write_tokens),
                .place({kept_from, value_place[LIST_LOG-1:0]}),
                .window(windows[TOKEN_WIDTH*(LIST+1)*e +: TOKEN_WIDTH*(LIST+1)])
            );
            ram_columns #(.WIDTH(TOKEN_WIDTH), .COLUMNS(LIST), .ADDRESS_WIDTH(LIST_WIDTH)) for_select (
                .clk(clk), .write(host_columns), .write_address(host_row), .write_data(host_tokens),
                .read_address(select_row[LIST_WIDTH*e +: LIST_WIDTH]),
                .read_data(select_tokens[TOKEN_WIDTH*LIST*e +: TOKEN_WIDTH*LIST])
            );
            ram_columns #(.WIDTH(TOKEN_WIDTH), .COLUMNS(LIST), .ADDRESS_WIDTH(RING_WIDTH)) kept_for_output (
                .clk(clk), .write(writes), .write_address(kept_to), .write_data(write_tokens),
                .read_address(output_from), .read_data(token_rows[TOKEN_WIDTH*LIST*e +: TOKEN_WIDTH*LIST])
            );
            ram_columns #(.WIDTH(PROB_BITS), .COLUMNS(LIST), .ADDRESS_WIDTH(RING_WIDTH)) kept_probability (
                .clk(clk), .write(writes), .write_address(kept_to),
                .write_data(kept_probabilities[PROB_BITS*LIST*e +: PROB_BITS*LIST]), .read_address(output_from),
                .read_data(probability_rows[PROB_BITS*LIST*e +: PROB_BITS*LIST])
            );
            ram_columns #(.WIDTH(1), .COLUMNS(LIST), .ADDRESS_WIDTH(RING_WIDTH)) kept_flag (
                .clk(clk), .write(flags_write[LIST*e +: LIST]), .write_address(flags_to),
                .write_data(flags[LIST*e +: LIST]), .read_address(output_from), .read_data(flag_rows[LIST*e +: LIST])
            );
        end
        if (ENGINES == 1) begin : g_one
            assign kept                      = windows;
            assign output_kept_tokens        = token_rows;
            assign output_kept_probabilities = probability_rows;
            assign output_flags              = flag_rows;
        end else begin : g_several
            // which engine wrote a slot's; whose rows come now
            reg [$clog2(ENGINES)-1:0] engine_reg [0:SLOTS-1];
            reg [$clog2(ENGINES)-1:0] window_reg, output_reg;
            integer n;
            always @(posedge clk) begin
                for (n = 0; n < ENGINES; n = n + 1) begin
                    if (|flags_write[LIST*n +: LIST]) begin
                        engine_reg[flags_line[LINE_WIDTH*n+LIST_WIDTH-1 +: SLOT_WIDTH]] <= n[$clog2(ENGINES)-1:0];
                    end
                end
                window_reg <= engine_reg[value_place[PLACE_WIDTH-2 -: SLOT_WIDTH]];
                output_reg <= engine_reg[output_line[LINE_WIDTH-1 -: SLOT_WIDTH]];
            end
            assign kept                      = windows[TOKEN_WIDTH*(LIST+1)*window_reg +: TOKEN_WIDTH*(LIST+1)];
            assign output_kept_tokens        = token_rows[TOKEN_WIDTH*LIST*output_reg +: TOKEN_WIDTH*LIST];
            assign output_kept_probabilities = probability_rows[PROB_BITS*LIST*output_reg +: PROB_BITS*LIST];
            assign output_flags              = flag_rows[LIST*output_reg +: LIST];
        end
    endgenerate

    wire unused_place = &{1'b0, key_place, value_place};

endmodule

`resetall
