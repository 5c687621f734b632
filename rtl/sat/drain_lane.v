// SPDX-License-Identifier: Apache-2.0
// The drain of a row (OS, stage 6): reads the row's `interleave` finished sums, one every `word` cycles.
//
// The first is read in the very cycle of `start`; the row above starts so that its first word arrives when this row's last
// one has left: interleave * word - 1 cycles later (`row_gap`; if that is 0, all rows are started together).

`resetall
`default_nettype none

module drain_lane #(
    // bits of a slot
    parameter SLOT_WIDTH = 4
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  start,
    input  wire [SLOT_WIDTH:0]   interleave,
    input  wire [15:0]           word,
    input  wire [31:0]           row_gap,
    output wire                  start_above,
    output wire                  finish,        // the last word is read
    output wire                  valid,
    output wire [SLOT_WIDTH-1:0] number
);

    reg                run_reg;
    reg [SLOT_WIDTH:0] number_reg;
    reg [15:0]         phase_reg;
    reg                token_reg;
    reg [31:0]         wait_reg;

    wire run      = start || run_reg;
    wire word_end = phase_reg + 16'd1 == word;
    wire is_last  = number_reg + 1'b1 == interleave;

    assign valid       = run && phase_reg == 16'd0;
    assign number      = number_reg[SLOT_WIDTH-1:0];
    assign finish      = valid && is_last;
    assign start_above = token_reg && wait_reg == 32'd0;

    always @(posedge clk) begin
        run_reg    <= run && !(word_end && is_last);
        phase_reg  <= !run || word_end ? 16'd0 : phase_reg + 16'd1;
        number_reg <= run && !word_end ? number_reg :
                      run && !is_last ? number_reg + 1'b1 : {SLOT_WIDTH+1{1'b0}};
        token_reg  <= start ? row_gap != 32'd0 : token_reg && wait_reg != 32'd0;
        wait_reg   <= start ? row_gap - 32'd1 : wait_reg - 32'd1;

        if (rst) begin
            run_reg    <= 1'b0;
            phase_reg  <= 16'd0;
            number_reg <= {SLOT_WIDTH+1{1'b0}};
            token_reg  <= 1'b0;
        end
    end

endmodule

`resetall
