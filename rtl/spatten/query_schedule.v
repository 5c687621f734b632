// SPDX-License-Identifier: Apache-2.0
// The way of each slot's query from unit to unit: who goes next, and what a unit needs to know of it.
//
// A unit takes a query when the rows of the one before have entered; a FIFO of slots is in front of each. What a unit gives
// is counted on a fixed time after its last row (parameters); the numbers are there by then. A query whose sum of
// exponentials is above its head's limit goes through Q x K once more, with the LSBs of its keys, before all others. A query
// goes through Q x K for the first time when there is room for its scores; rows and slot are given back together.

`resetall
`default_nettype none
`include "assertions.vh"
`include "head.vh"

module query_schedule #(
    parameter SLOTS = 64,
    parameter HEADS = 16,
    parameter HEAD = 240,
    parameter COUNT_WIDTH = 11,
    // scores of a row, rows of the ring of scores
    parameter LIST = 32,
    parameter SCORE_ROWS = 128,
    // outputs that wait for the host, at most; with 8 and a host that takes each at once prob x V is never held up
    parameter OUTPUTS = 8,
    // cycles behind the last row: of Q x K and dequantizing; of exp and sum; of divide and quantize
    parameter DOT = 18,
    parameter TOTAL = 44,
    parameter DIVIDE = 36,
    parameter RING_WIDTH = SCORE_ROWS > 2 ? $clog2(SCORE_ROWS) : 2,
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter HEAD_WIDTH = HEADS > 1 ? $clog2(HEADS) : 1
) (
    input  wire                        clk,
    input  wire                        rst,
    input  wire [HEADS*HEAD-1:0]       heads,
    input  wire                        accept,
    input  wire [HEAD_WIDTH-1:0]       accept_head,

    // a query gets a slot
    input  wire                        admit,
    input  wire [SLOT_WIDTH-1:0]       admit_slot,
    input  wire [HEAD_WIDTH-1:0]       admit_head,
    input  wire [COUNT_WIDTH-1:0]      admit_count,
    input  wire [COUNT_WIDTH-1:0]      admit_keep,

    // an answer leaves; a slot is given back; of each slot its first row of scores
    input  wire                        release_valid,
    input  wire                        give_valid,
    input  wire [SLOT_WIDTH-1:0]       give_slot,
    output wire [SLOTS*RING_WIDTH-1:0] score_base,

    // what has been fetched
    input  wire [SLOTS-1:0]            query_there,
    input  wire [HEADS-1:0]            key_there,
    input  wire [HEADS-1:0]            lsb_there,
    input  wire [SLOTS-1:0]            own_there,
    input  wire [HEADS-1:0]            shared_there,

    // Q x K
    input  wire                        dot_free,
    output wire                        dot_start,
    output wire [SLOT_WIDTH-1:0]       dot_slot,
    output wire                        dot_second,
    input  wire                        dot_last,
    input  wire [SLOT_WIDTH-1:0]       dot_last_slot,
    // exp and sum; the sum that is checked
    input  wire                        exp_free,
    output wire                        exp_start,
    output wire [SLOT_WIDTH-1:0]       exp_slot,
    input  wire                        exp_last,
    input  wire [SLOT_WIDTH-1:0]       exp_last_slot,
    output wire [SLOT_WIDTH-1:0]       check_slot,
    input  wire [31:0]                 check_sum,
    // divide
    input  wire                        divide_free,
    output wire                        divide_start,
    output wire [SLOT_WIDTH-1:0]       divide_slot,
    input  wire                        divide_last,
    input  wire [SLOT_WIDTH-1:0]       divide_last_slot,
    // top-k: a query whose probabilities are there, one whose values are chosen
    output wire                        weighed,
    output wire [SLOT_WIDTH-1:0]       weighed_slot,
    input  wire                        chosen,
    input  wire [SLOT_WIDTH-1:0]       chosen_slot,
    // prob x V
    input  wire                        value_free,
    output wire                        value_start,
    output wire [SLOT_WIDTH-1:0]       value_slot,
    input  wire                        value_last,
    input  wire [SLOT_WIDTH-1:0]       value_last_slot,

    // to the fetch units
    output wire                        lsb_valid,
    input  wire                        lsb_take,
    output wire [HEAD_WIDTH-1:0]       lsb_head,
    output wire                        own_valid,
    input  wire                        own_take,
    output wire [SLOT_WIDTH-1:0]       own_slot,

    // who has read its keys; is done with its LSBs, by either way; with its values
    output wire                        key_done,
    output wire [HEAD_WIDTH-1:0]       key_done_head,
    output wire [1:0]                  lsb_done,
    output wire [2*HEAD_WIDTH-1:0]     lsb_done_head,
    output reg                         read_valid,
    output reg  [SLOT_WIDTH-1:0]       read_slot,

    // what is known of each slot
    output wire [SLOTS*HEAD_WIDTH-1:0] head,
    output wire [SLOTS*COUNT_WIDTH-1:0] count,
    output wire [SLOTS*COUNT_WIDTH-1:0] keep,
    output reg  [SLOTS-1:0]            again
);


    reg [HEAD_WIDTH-1:0]  head_reg [0:SLOTS-1];
    reg [COUNT_WIDTH-1:0] count_reg [0:SLOTS-1];
    reg [COUNT_WIDTH-1:0] keep_reg [0:SLOTS-1];
    genvar s;
    wire [SLOTS-1:0] values_there;
    generate
        for (s = 0; s < SLOTS; s = s + 1) begin : g_slot
            assign head[HEAD_WIDTH*s +: HEAD_WIDTH]    = head_reg[s];
            assign count[COUNT_WIDTH*s +: COUNT_WIDTH] = count_reg[s];
            assign keep[COUNT_WIDTH*s +: COUNT_WIDTH]  = keep_reg[s];
            assign values_there[s] = heads[HEAD*head_reg[s]+`HEAD_SHARED] ? shared_there[head_reg[s]] : own_there[s];
        end
    endgenerate

    // Q x K: LSBs first
    wire dot_valid, again_valid, scores_fit, unused_dot, unused_again;
    wire [SLOT_WIDTH-1:0] first_slot, again_slot;
    wire first_ready = dot_valid && query_there[first_slot] && key_there[head_reg[first_slot]] && scores_fit;
    score_ring #(.SLOTS(SLOTS), .ROWS(SCORE_ROWS), .LIST(LIST), .COUNT_WIDTH(COUNT_WIDTH)) rows_of_scores (
        .clk(clk), .rst(rst), .take_count(count_reg[first_slot]), .fits(scores_fit), .take(dot_start && !dot_second),
        .take_slot(first_slot), .give_count(count_reg[give_slot]), .give(give_valid), .base(score_base)
    );
    fifo #(.WIDTH(SLOT_WIDTH), .DEPTH(SLOTS)) to_dot (
        .clk(clk), .rst(rst), .s_valid(admit), .s_ready(unused_dot), .s_data(admit_slot), .m_valid(dot_valid),
        .m_ready(dot_start && !dot_second), .m_data(first_slot)
    );
    fifo #(.WIDTH(SLOT_WIDTH), .DEPTH(SLOTS)) to_again (
        .clk(clk), .rst(rst), .s_valid(fails), .s_ready(unused_again), .s_data(check_slot), .m_valid(again_valid),
        .m_ready(dot_start && dot_second), .m_data(again_slot)
    );
    assign dot_second = again_valid && lsb_there[head_reg[again_slot]];
    assign dot_slot   = dot_second ? again_slot : first_slot;
    assign dot_start  = dot_free && (dot_second || first_ready);

    // exp and sum
    wire scored, unused_exp;
    wire [SLOT_WIDTH-1:0] scored_slot;
    wire exp_valid;
    delay_valid #(.DEPTH(DOT)) scored_delay (.clk(clk), .rst(rst), .d(dot_last), .q(scored));
    delay #(.WIDTH(SLOT_WIDTH), .DEPTH(DOT)) scored_slot_delay (.clk(clk), .ce(1'b1), .d(dot_last_slot), .q(scored_slot));
    fifo #(.WIDTH(SLOT_WIDTH), .DEPTH(SLOTS)) to_exp (
        .clk(clk), .rst(rst), .s_valid(scored), .s_ready(unused_exp), .s_data(scored_slot), .m_valid(exp_valid),
        .m_ready(exp_start), .m_data(exp_slot)
    );
    assign exp_start = exp_free && exp_valid;

    // check
    wire summed, unused_check, check_valid;
    wire [SLOT_WIDTH-1:0] summed_slot;
    delay_valid #(.DEPTH(TOTAL)) summed_delay (.clk(clk), .rst(rst), .d(exp_last), .q(summed));
    delay #(.WIDTH(SLOT_WIDTH), .DEPTH(TOTAL)) summed_slot_delay (.clk(clk), .ce(1'b1), .d(exp_last_slot), .q(summed_slot));
    fifo #(.WIDTH(SLOT_WIDTH), .DEPTH(SLOTS)) to_check (
        .clk(clk), .rst(rst), .s_valid(summed), .s_ready(unused_check), .s_data(summed_slot), .m_valid(check_valid),
        .m_ready(1'b1), .m_data(check_slot)
    );
    wire [HEAD_WIDTH-1:0] check_head = head_reg[check_slot];
    wire [31:0] limit       = heads[HEAD*check_head+`HEAD_LIMIT +: 32];
    wire        progressive = heads[HEAD*check_head+`HEAD_LSB_BITS +: 3] != 3'd7;
    wire        undecided   = check_valid && progressive && !again[check_slot];
    wire        fails       = undecided && check_sum > limit;  // both are positive numbers
    wire        passes      = check_valid && !fails;

    // LSBs: once a head
    reg [HEADS-1:0] asked_reg;
    wire unused_lsb;
    fifo #(.WIDTH(HEAD_WIDTH), .DEPTH(HEADS)) to_lsb (
        .clk(clk), .rst(rst), .s_valid(fails && !asked_reg[check_head]), .s_ready(unused_lsb), .s_data(check_head),
        .m_valid(lsb_valid), .m_ready(lsb_take), .m_data(lsb_head)
    );

    // keys and LSBs that are read, or will not be read
    reg                  read_key_reg, read_lsb_reg;
    reg [HEAD_WIDTH-1:0] read_key_head_reg;
    assign key_done      = read_key_reg;
    assign key_done_head = read_key_head_reg;
    assign lsb_done      = {undecided && !fails, read_lsb_reg};
    assign lsb_done_head = {check_head, read_key_head_reg};

    // divide
    wire divide_valid, unused_divide;
    fifo #(.WIDTH(SLOT_WIDTH), .DEPTH(SLOTS)) to_divide (
        .clk(clk), .rst(rst), .s_valid(passes), .s_ready(unused_divide), .s_data(check_slot), .m_valid(divide_valid),
        .m_ready(divide_start), .m_data(divide_slot)
    );
    assign divide_start = divide_free && divide_valid;

    // to the top-k
    delay_valid #(.DEPTH(DIVIDE)) weighed_delay (.clk(clk), .rst(rst), .d(divide_last), .q(weighed));
    delay #(.WIDTH(SLOT_WIDTH), .DEPTH(DIVIDE)) weighed_slot_delay (
        .clk(clk), .ce(1'b1), .d(divide_last_slot), .q(weighed_slot)
    );

    // values: its own are asked for; then prob x V
    wire unused_own;
    wire chosen_shared = heads[HEAD*head_reg[chosen_slot]+`HEAD_SHARED];
    fifo #(.WIDTH(SLOT_WIDTH), .DEPTH(SLOTS)) to_fetch (
        .clk(clk), .rst(rst), .s_valid(chosen && !chosen_shared), .s_ready(unused_own), .s_data(chosen_slot),
        .m_valid(own_valid), .m_ready(own_take), .m_data(own_slot)
    );
    wire value_valid;
    value_queue #(.SLOTS(SLOTS)) to_value (
        .clk(clk), .rst(rst), .put(chosen), .put_slot(chosen_slot), .there(values_there), .take(value_start),
        .valid(value_valid), .slot(value_slot)
    );
    reg [$clog2(OUTPUTS+1)-1:0] outputs_reg;  // on their way, or waiting
    assign value_start = value_free && value_valid && outputs_reg != OUTPUTS[$clog2(OUTPUTS+1)-1:0];

    always @(posedge clk) begin
        if (admit) begin
            head_reg[admit_slot]  <= admit_head;
            count_reg[admit_slot] <= admit_count;
            keep_reg[admit_slot]  <= admit_keep;
            again[admit_slot]     <= 1'b0;
        end
        if (fails) begin
            again[check_slot]     <= 1'b1;
            asked_reg[check_head] <= 1'b1;
        end
        if (accept) begin
            asked_reg[accept_head] <= 1'b0;
        end
        read_key_reg      <= dot_last && !again[dot_last_slot] && !rst;
        read_lsb_reg      <= dot_last && again[dot_last_slot] && !rst;
        read_key_head_reg <= head_reg[dot_last_slot];
        read_valid        <= value_last && !rst;
        read_slot         <= value_last_slot;
        outputs_reg       <= outputs_reg + {{$clog2(OUTPUTS+1)-1{1'b0}}, value_start}
                             - {{$clog2(OUTPUTS+1)-1{1'b0}}, release_valid};
        if (rst) begin
            outputs_reg <= {$clog2(OUTPUTS+1){1'b0}};
        end
    end

    wire unused_heads = &{1'b0, heads};

    `ASSERT(room_to_dot, !(admit && !unused_dot) && !(fails && !unused_again) && !(scored && !unused_exp))
    `ASSERT(room_behind, !(summed && !unused_check) && !(passes && !unused_divide))
    `ASSERT(some_output, !(release_valid && outputs_reg == 0))

endmodule

`resetall
