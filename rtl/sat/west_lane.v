// SPDX-License-Identifier: Apache-2.0
// The west lane of a row: reads the row's activations in the order in which the row works on them (stage 4).
//
// A tile is `rounds` rounds of `round` cycles; a round reads `interleave` words, one every `slot` cycles; the same words
// are read in `reps` rounds, then the next ones. The words of a tile are read again for `repeats` tiles (the column tiles),
// then come the next tile's. A tile starts in the very cycle of `start`; `start_below` follows `row_delay` cycles later.
// The address is for a memory that answers in the next cycle; so `valid` and its tags are for the next cycle too.

`resetall
`default_nettype none

module west_lane #(
    // bits of: an address, an entry of a weight bank, a slot
    parameter ADDRESS_WIDTH = 16,
    parameter ENTRY_WIDTH = 3,
    parameter SLOT_WIDTH = 4
) (
    input  wire                     clk,
    input  wire                     rst,
    input  wire                     clear,       // a command begins in the next cycle
    input  wire                     start,

    // constants of the command
    input  wire                     os,
    input  wire [SLOT_WIDTH:0]      interleave,
    input  wire [15:0]              slot,
    input  wire [15:0]              round,
    input  wire [31:0]              rounds,
    input  wire [15:0]              reps,
    input  wire [15:0]              repeats,
    input  wire [31:0]              row_delay,

    output wire                     start_below,
    output wire                     settle,      // the first sums of this tile enter their last round
    output wire                     finish,      // last cycle of a tile

    output wire [ADDRESS_WIDTH-1:0] address,
    output wire                     valid,
    output wire                     first,
    output wire                     last,
    output wire                     bank,
    output wire [ENTRY_WIDTH-1:0]   entry,
    output wire [SLOT_WIDTH-1:0]    number
);

    reg                     run_reg;
    reg [15:0]              cycle_reg,  cycle_next;    // in the round
    reg [15:0]              phase_reg,  phase_next;    // in the slot
    reg [SLOT_WIDTH:0]      number_reg, number_next;
    reg [15:0]              rep_reg,    rep_next;
    reg [31:0]              round_reg,  round_next;
    reg [ADDRESS_WIDTH-1:0] block_reg,  block_next;    // first word of the block being read
    reg [ADDRESS_WIDTH-1:0] base_reg,   base_next;     // first word of the tile
    reg [15:0]              repeat_reg, repeat_next;
    reg                     bank_reg;
    reg                     token_reg,  token_next;    // a start is on its way to the row below
    reg [31:0]              wait_reg,   wait_next;

    // the cycle of `start` is already one of the tile
    wire        run        = start || run_reg;
    wire        round_end  = cycle_reg + 16'd1 == round;
    wire        block_end  = round_end && rep_reg + 16'd1 == reps;
    wire        tile_end   = round_end && round_reg + 32'd1 == rounds;
    wire [ADDRESS_WIDTH-1:0] step = {{(ADDRESS_WIDTH - SLOT_WIDTH - 1){1'b0}}, interleave};

    assign finish      = run && tile_end;
    assign settle      = run && cycle_reg == 16'd0 && round_reg + 32'd1 == {16'd0, reps};
    assign address     = block_reg + {{(ADDRESS_WIDTH - SLOT_WIDTH - 1){1'b0}}, number_reg};
    assign valid       = run && phase_reg == 16'd0 && number_reg != interleave;
    assign first       = os ? round_reg == 32'd0 : rep_reg == 16'd0;
    assign last        = os ? round_reg + 32'd1 == rounds : rep_reg + 16'd1 == reps;
    assign bank        = !os && bank_reg;
    assign entry       = os ? {ENTRY_WIDTH{1'b0}} : rep_reg[ENTRY_WIDTH-1:0];
    assign number      = number_reg[SLOT_WIDTH-1:0];
    assign start_below = token_reg && wait_reg == 32'd0;

    // counters stand at zero between tiles
    always @* begin
        cycle_next  = cycle_reg;
        phase_next  = phase_reg;
        number_next = number_reg;
        rep_next    = rep_reg;
        round_next  = round_reg;
        block_next  = block_reg;
        base_next   = base_reg;
        repeat_next = repeat_reg;
        if (run) begin
            cycle_next = cycle_reg + 16'd1;
            phase_next = phase_reg + 16'd1;
            if (phase_reg + 16'd1 == slot) begin
                phase_next  = 16'd0;
                number_next = number_reg == interleave ? interleave : number_reg + 1'b1;
            end
            if (round_end) begin
                cycle_next  = 16'd0;
                phase_next  = 16'd0;
                number_next = {SLOT_WIDTH+1{1'b0}};
                rep_next    = rep_reg + 16'd1;
                round_next  = round_reg + 32'd1;
            end
            if (block_end) begin
                rep_next   = 16'd0;
                block_next = block_reg + step;
            end
            if (tile_end) begin
                rep_next    = 16'd0;
                round_next  = 32'd0;
                block_next  = base_reg;
                repeat_next = repeat_reg + 16'd1;
                if (repeat_reg + 16'd1 == repeats) begin
                    repeat_next = 16'd0;
                    block_next  = block_reg + step;
                    base_next   = block_reg + step;
                end
            end
        end
        if (clear) begin
            block_next  = {ADDRESS_WIDTH{1'b0}};
            base_next   = {ADDRESS_WIDTH{1'b0}};
            repeat_next = 16'd0;
        end
    end

    always @* begin
        token_next = token_reg && wait_reg != 32'd0;
        wait_next  = wait_reg - 32'd1;
        if (start) begin
            token_next = 1'b1;
            wait_next  = row_delay - 32'd1;
        end
    end

    always @(posedge clk) begin
        run_reg    <= run && !tile_end;
        cycle_reg  <= cycle_next;
        phase_reg  <= phase_next;
        number_reg <= number_next;
        rep_reg    <= rep_next;
        round_reg  <= round_next;
        block_reg  <= block_next;
        base_reg   <= base_next;
        repeat_reg <= repeat_next;
        bank_reg   <= !clear && (bank_reg ^ finish);
        token_reg  <= token_next;
        wait_reg   <= wait_next;

        if (rst) begin
            run_reg    <= 1'b0;
            cycle_reg  <= 16'd0;
            phase_reg  <= 16'd0;
            number_reg <= {SLOT_WIDTH+1{1'b0}};
            rep_reg    <= 16'd0;
            round_reg  <= 32'd0;
            token_reg  <= 1'b0;
        end
    end

endmodule

`resetall
