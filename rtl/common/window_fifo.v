// SPDX-License-Identifier: Apache-2.0
// A FIFO whose first WINDOW entries are all seen and may be taken in any order, several in a cycle; the others move up.
//
// What goes in is seen from the next cycle on. Which places hold an entry is known from registers: neither `s_ready` nor
// `m_valid` depends on what is taken in the same cycle. The oldest entry is place 0. With a window of 1 it is `fifo`.

`resetall
`default_nettype none
`include "assertions.vh"

module window_fifo #(
    // bits of an entry
    parameter WIDTH = 8,
    // entries
    parameter DEPTH = 4,
    // of them seen, 1 to DEPTH
    parameter WINDOW = 2
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    s_valid,
    output wire                    s_ready,
    input  wire [WIDTH-1:0]        s_data,
    output wire [WINDOW-1:0]       m_valid,
    output wire [WINDOW*WIDTH-1:0] m_data,
    input  wire [WINDOW-1:0]       m_take
);

    generate
        if (WIDTH < 1 || WINDOW < 1 || WINDOW > DEPTH) begin : g_illegal
            illegal_parameter_of_window_fifo illegal ();
        end
    endgenerate

    reg [DEPTH-1:0]       valid_reg, valid_next;  // of each place; those in front are
    reg [DEPTH*WIDTH-1:0] entries_reg, entries_next;

    assign s_ready = !valid_reg[DEPTH-1];
    assign m_valid = valid_reg[WINDOW-1:0];
    assign m_data  = entries_reg[WINDOW*WIDTH-1:0];

    // the new entry comes behind the others; then all that are behind one that is taken move up, the last taken first
    wire [DEPTH-1:0] put = {DEPTH{s_valid}} & ~valid_reg & ((valid_reg << 1) | {{DEPTH-1{1'b0}}, 1'b1});
    integer i, p;
    always @* begin
        valid_next   = valid_reg | put;
        entries_next = entries_reg;
        for (i = 0; i < DEPTH; i = i + 1) begin
            if (put[i]) begin
                entries_next[WIDTH*i +: WIDTH] = s_data;
            end
        end
        for (p = WINDOW - 1; p >= 0; p = p - 1) begin
            if (m_take[p] && valid_reg[p]) begin
                for (i = p; i < DEPTH - 1; i = i + 1) begin
                    valid_next[i] = valid_next[i+1];
                    entries_next[WIDTH*i +: WIDTH] = entries_next[WIDTH*(i+1) +: WIDTH];
                end
                valid_next[DEPTH-1] = 1'b0;
            end
        end
    end

    always @(posedge clk) begin
        valid_reg   <= valid_next & {DEPTH{!rst}};
        entries_reg <= entries_next;
    end

    `ASSERT(no_gap, (valid_reg & (valid_reg + 1'b1)) == 0)
    `ASSERT_RESET(empty, valid_reg == 0)

endmodule

`resetall
