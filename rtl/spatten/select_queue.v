// SPDX-License-Identifier: Apache-2.0
// Queries for the top-k of values: engines that are free take them, oldest first; what is chosen is told in the same order.
//
// Several engines may begin in one cycle: the first free one takes the oldest query. An engine's next query may come in the
// cycle of its `engine_chosen`. Where engines are done out of order, what is chosen waits here for those before it, and one
// query's is told a cycle. With one engine nothing ever waits.

`resetall
`default_nettype none

module select_queue #(
    parameter SLOTS = 64,
    parameter ENGINES = 1,
    // derived
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire                          clk,
    input  wire                          rst,
    input  wire                          s_valid,
    input  wire [SLOT_WIDTH-1:0]         s_slot,

    // engines
    input  wire [ENGINES-1:0]            free,
    output wire [ENGINES-1:0]            start,
    output wire [ENGINES*SLOT_WIDTH-1:0] start_slot,
    input  wire [ENGINES-1:0]            engine_chosen,
    input  wire [ENGINES*SLOT_WIDTH-1:0] engine_slot,

    output wire                          chosen,
    output wire [SLOT_WIDTH-1:0]         chosen_slot
);

    generate
        if (ENGINES < 1) begin : g_illegal
            illegal_parameter_of_select_queue illegal ();
        end else if (ENGINES == 1) begin : g_one
            wire valid, unused_ready;
            fifo #(.WIDTH(SLOT_WIDTH), .DEPTH(SLOTS)) oldest_first (
                .clk(clk), .rst(rst), .s_valid(s_valid), .s_ready(unused_ready), .s_data(s_slot), .m_valid(valid),
                .m_ready(start), .m_data(start_slot)
            );
            assign start       = free && valid;
            assign chosen      = engine_chosen;
            assign chosen_slot = engine_slot;
        end else begin : g_several
            localparam WINDOW = ENGINES < SLOTS ? ENGINES : SLOTS;
            localparam COUNT  = $clog2(WINDOW + 1);

            wire                         unused_ready;
            wire [WINDOW-1:0]            valid;
            wire [WINDOW*SLOT_WIDTH-1:0] slots;
            window_fifo #(.WIDTH(SLOT_WIDTH), .DEPTH(SLOTS), .WINDOW(WINDOW)) waiting (
                .clk(clk), .rst(rst), .s_valid(s_valid), .s_ready(unused_ready), .s_data(s_slot), .m_valid(valid),
                .m_data(slots), .m_take(take)
            );

            // the n-th engine that is free takes the n-th query
            wire [WINDOW:0]                  waits   = {1'b0, valid};
            wire [(WINDOW+1)*SLOT_WIDTH-1:0] entries = {{SLOT_WIDTH{1'b0}}, slots};
            reg  [WINDOW-1:0]                take;
            reg  [ENGINES-1:0]               begins;
            reg  [ENGINES*SLOT_WIDTH-1:0]    taken;
            reg  [COUNT-1:0]                 next;
            integer e, w;
            always @* begin
                next   = {COUNT{1'b0}};
                take   = {WINDOW{1'b0}};
                begins = {ENGINES{1'b0}};
                taken  = {ENGINES*SLOT_WIDTH{1'b0}};
                for (e = 0; e < ENGINES; e = e + 1) begin
                    taken[SLOT_WIDTH*e +: SLOT_WIDTH] = entries[SLOT_WIDTH*next +: SLOT_WIDTH];
                    if (free[e] && waits[next]) begin
                        begins[e] = 1'b1;
                        next      = next + 1'b1;
                    end
                end
                for (w = 0; w < WINDOW; w = w + 1) begin
                    take[w] = w[COUNT-1:0] < next;
                end
            end
            assign start      = begins;
            assign start_slot = taken;

            // in the order in which they came
            wire                  oldest_valid, unused_order;
            wire [SLOT_WIDTH-1:0] oldest;
            fifo #(.WIDTH(SLOT_WIDTH), .DEPTH(SLOTS)) order (
                .clk(clk), .rst(rst), .s_valid(s_valid), .s_ready(unused_order), .s_data(s_slot), .m_valid(oldest_valid),
                .m_ready(chosen), .m_data(oldest)
            );
            reg [SLOTS-1:0] done_reg, done;  // whose engine is done, but what it chose is not told yet
            integer n;
            always @* begin
                done = done_reg;
                for (n = 0; n < ENGINES; n = n + 1) begin
                    if (engine_chosen[n]) begin
                        done[engine_slot[SLOT_WIDTH*n +: SLOT_WIDTH]] = 1'b1;
                    end
                end
            end
            assign chosen      = oldest_valid && done[oldest];
            assign chosen_slot = oldest;

            always @(posedge clk) begin
                done_reg <= done;
                if (chosen) begin
                    done_reg[oldest] <= 1'b0;
                end
                if (rst) begin
                    done_reg <= {SLOTS{1'b0}};
                end
            end
        end
    endgenerate

endmodule

`resetall
