// SPDX-License-Identifier: Apache-2.0
// The top-k of values: one engine or several, what each needs to know of its query, and who is next.
//
// Of what goes to and comes from the memories, each engine has its own part, engine 0's lowest.

`resetall
`default_nettype none
`include "head.vh"

module value_engines #(
    parameter ENGINES = 1,
    // of an engine: comparators; 0 quick-select, 1 led by a histogram
    parameter COMPARATORS = 16,
    parameter ENGINE = 0,
    // lanes of the softmax, bits of a probability, keys of a query at most, tokens of a row of the lists
    parameter LANES = 8,
    parameter PROB_BITS = 12,
    parameter SIZE = 1024,
    parameter LIST = 32,
    parameter SLOTS = 64,
    parameter HEADS = 16,
    parameter TOKEN_WIDTH = 20,
    // bits of a head's descriptor
    parameter HEAD = 240,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1),
    parameter LIST_WIDTH = $clog2(2 * SIZE / LIST),
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter HEAD_WIDTH = HEADS > 1 ? $clog2(HEADS) : 1,
    parameter LINE = SLOT_WIDTH + LIST_WIDTH - 1,
    parameter LINE_WIDTH = $clog2(SIZE / LANES),
    parameter LOW_WIDTH = (PROB_BITS + 1) / 2
) (
    input  wire                                clk,
    input  wire                                rst,
    input  wire [HEADS*HEAD-1:0]               heads,
    input  wire [SLOTS*HEAD_WIDTH-1:0]         slot_head,
    input  wire [SLOTS*COUNT_WIDTH-1:0]        count,
    input  wire [SLOTS*COUNT_WIDTH-1:0]        keep,
    input  wire                                admit,
    input  wire [SLOT_WIDTH-1:0]               admit_slot,
    input  wire [15:0]                         admit_seed,

    // rows of probabilities as they come; a query all of whose probabilities are there; one whose values are chosen
    input  wire                                prob_valid,
    input  wire [SLOT_WIDTH+LINE_WIDTH-1:0]    prob_line,
    input  wire [PROB_BITS*LANES-1:0]          prob,
    input  wire                                s_valid,
    input  wire [SLOT_WIDTH-1:0]               s_slot,
    output wire                                chosen,
    output wire [SLOT_WIDTH-1:0]               chosen_slot,

    // memories, one cycle later
    output wire [ENGINES*LINE-1:0]             line,
    input  wire [ENGINES*PROB_BITS*LIST-1:0]   probabilities,
    output wire [ENGINES*LIST_WIDTH-1:0]       list_row,
    input  wire [ENGINES*TOKEN_WIDTH*LIST-1:0] tokens,
    output wire [ENGINES*LIST-1:0]             flags_write,
    output wire [ENGINES*LINE-1:0]             flags_line,
    output wire [ENGINES*LIST-1:0]             flags,
    output wire [ENGINES*LIST-1:0]             kept_write,
    output wire [ENGINES*LINE-1:0]             kept_line,
    output wire [ENGINES*TOKEN_WIDTH*LIST-1:0] kept_tokens,
    output wire [ENGINES*PROB_BITS*LIST-1:0]   kept_probabilities
);

    localparam LISTED = `HEAD_COUNT + COUNT_WIDTH;  // of a head's descriptor, the list's first row

    wire [ENGINES-1:0]               free, start, engine_chosen;
    wire [ENGINES*SLOT_WIDTH-1:0]    slots, engine_slot;
    wire [ENGINES*(LOW_WIDTH+1)-1:0] places;
    wire [ENGINES*COUNT_WIDTH-1:0]   missing;
    select_queue #(.SLOTS(SLOTS), .ENGINES(ENGINES)) queue (
        .clk(clk), .rst(rst), .s_valid(s_valid), .s_slot(s_slot), .free(free), .start(start), .start_slot(slots),
        .engine_chosen(engine_chosen), .engine_slot(engine_slot), .chosen(chosen), .chosen_slot(chosen_slot)
    );
    generate
        if (ENGINE == 1) begin : g_histogram
            value_bins #(
                .LANES(LANES), .PROB_BITS(PROB_BITS), .SIZE(SIZE), .SLOTS(SLOTS), .READERS(ENGINES)
            ) of_slots (
                .clk(clk), .rst(rst), .count(count), .keep(keep), .prob_valid(prob_valid), .prob_line(prob_line),
                .prob(prob), .slot(slots), .bin(places), .missing(missing)
            );
        end else begin : g_none
            assign places    = {ENGINES*(LOW_WIDTH+1){1'b0}};
            assign missing = {ENGINES*COUNT_WIDTH{1'b0}};
            wire unused_rows = &{1'b0, prob_valid, prob_line, prob};
        end
    endgenerate

    reg [15:0] seed_reg [0:SLOTS-1];
    always @(posedge clk) begin
        if (admit) begin
            seed_reg[admit_slot] <= admit_seed;
        end
    end

    genvar e;
    generate
        for (e = 0; e < ENGINES; e = e + 1) begin : g_engine
            wire [SLOT_WIDTH-1:0] slot = slots[SLOT_WIDTH*e +: SLOT_WIDTH];
            wire [HEAD_WIDTH-1:0] head = slot_head[HEAD_WIDTH*slot +: HEAD_WIDTH];
            value_select #(
                .COMPARATORS(COMPARATORS), .PROB_BITS(PROB_BITS), .SIZE(SIZE), .SLOT_WIDTH(SLOT_WIDTH), .LIST(LIST),
                .TOKEN_WIDTH(TOKEN_WIDTH), .ENGINE(ENGINE)
            ) values_kept (
                .clk(clk), .rst(rst), .start(start[e]), .s_slot(slot), .s_count(count[COUNT_WIDTH*slot +: COUNT_WIDTH]),
                .s_keep(keep[COUNT_WIDTH*slot +: COUNT_WIDTH]), .s_seed(seed_reg[slot]),
                .s_bin(places[(LOW_WIDTH+1)*e +: LOW_WIDTH+1]), .s_missing(missing[COUNT_WIDTH*e +: COUNT_WIDTH]),
                .s_list(heads[HEAD*head+LISTED +: LIST_WIDTH]), .free(free[e]), .line(line[LINE*e +: LINE]),
                .probabilities(probabilities[PROB_BITS*LIST*e +: PROB_BITS*LIST]),
                .list_row(list_row[LIST_WIDTH*e +: LIST_WIDTH]),
                .tokens(tokens[TOKEN_WIDTH*LIST*e +: TOKEN_WIDTH*LIST]), .flags_write(flags_write[LIST*e +: LIST]),
                .flags_line(flags_line[LINE*e +: LINE]), .flags(flags[LIST*e +: LIST]),
                .kept_write(kept_write[LIST*e +: LIST]), .kept_line(kept_line[LINE*e +: LINE]),
                .kept_tokens(kept_tokens[TOKEN_WIDTH*LIST*e +: TOKEN_WIDTH*LIST]),
                .kept_probabilities(kept_probabilities[PROB_BITS*LIST*e +: PROB_BITS*LIST]),
                .chosen(engine_chosen[e]), .slot(engine_slot[SLOT_WIDTH*e +: SLOT_WIDTH])
            );
        end
    endgenerate
    wire unused_heads = &{1'b0, heads};

endmodule

`resetall
