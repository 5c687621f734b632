// SPDX-License-Identifier: Apache-2.0
// Control of the STCE (stage 7): when a tile starts, when its weights are read, when the command is done.
//
// WS: the weights of a tile are read row by row, `load_row` cycles a row, while the tile before works; a tile starts
// when the one before has been issued, its weights are far enough (`load_lead`) and the partial sums it reads are written
// (HAZARD cycles after the bottom row began to finish them). OS: a tile's weights are read one a round as it works, and its
// first activation follows the first weight by a cycle; tiles are `period` cycles apart.
// All rows of a run have the same addresses in every column; a column works one cycle behind the one to its west.

`resetall
`default_nettype none
`include "assertions.vh"

module stce_control #(
    parameter ROWS = 32,
    parameter COLS = 32,
    parameter MUL_LATENCY = 3,
    parameter ADD_LATENCY = 4,
    // cycles of a result behind the array
    parameter ROUND_LATENCY = 0,
    // bits of: an address, an entry of a weight bank, a row number
    parameter ADDRESS_WIDTH = 16,
    parameter ENTRY_WIDTH = 3,
    parameter ROW_WIDTH = 5
) (
    input  wire                     clk,
    input  wire                     rst,
    input  wire                     start,         // of a command: it begins in the next cycle
    output wire                     done,          // for one cycle

    // constants of the command
    input  wire                     os,
    input  wire [31:0]              tiles,
    input  wire [15:0]              column_tiles,
    input  wire [31:0]              period,
    input  wire [31:0]              load_rows,     // WS: ROWS; OS: rounds
    input  wire [15:0]              load_depth,    // weights a row
    input  wire [15:0]              load_row,
    input  wire [15:0]              load_word,
    input  wire [31:0]              load_lead,
    input  wire [15:0]              drain_word,

    // lanes
    output wire                     lane_start,    // row 0 starts a tile in this cycle
    input  wire                     lane_settle,   // bottom row
    input  wire                     lane_finish,   // bottom row
    output wire                     drain_start,   // bottom row starts to drain in this cycle
    input  wire                     drain_finish,  // row 0

    // weight reads for column 0, for a memory that answers in the next cycle
    output wire [ADDRESS_WIDTH-1:0] north_address,
    output wire                     north_valid,
    output wire                     north_bank,
    output wire [ENTRY_WIDTH-1:0]   north_entry,
    output wire [ROW_WIDTH-1:0]     north_row
);

    localparam HAZARD   = ADD_LATENCY + 2;
    localparam FLUSH    = MUL_LATENCY + ADD_LATENCY + 2;
    localparam WS_TAIL  = COLS + MUL_LATENCY + ADD_LATENCY + ROUND_LATENCY;
    localparam OS_TAIL  = ROWS + COLS - 2 + ROUND_LATENCY;

    reg                     run_reg;
    reg [31:0]              started_reg,  started_next;   // tiles
    reg [31:0]              free_reg,     free_next;      // cycles until the next tile may start
    reg [31:0]              settled_reg,  settled_next;   // tiles
    reg [31:0]              ended_reg,    ended_next;     // tiles
    reg [31:0]              tail_reg,     tail_next;      // cycles until done; 0: not yet known
    reg                     done_reg,     done_next;
    // the reader of the weights
    reg                     loading_reg,  loading_next;
    reg [31:0]              loads_reg,    loads_next;     // tiles begun
    reg [31:0]              lead_reg,     lead_next;      // cycles since this tile's load began
    reg [31:0]              row_reg,      row_next;
    reg [15:0]              cycle_reg,    cycle_next;     // in the row
    reg [15:0]              phase_reg,    phase_next;     // in the word
    reg [15:0]              word_reg,     word_next;
    reg [ADDRESS_WIDTH-1:0] address_reg,  address_next;
    reg [15:0]              column_reg,   column_next;    // column tile being loaded
    reg                     bank_reg,     bank_next;
    reg                     first_reg;                    // OS: the first weight of a tile was read in the cycle before

    wire settled;
    wire more       = run_reg && started_reg != tiles;
    wire ws_start   = !os && more && loads_reg == started_reg + 32'd1 && lead_reg >= load_lead && free_reg == 32'd0 &&
                      started_reg < settled_reg + {16'd0, column_tiles};
    wire os_start   = os && more && free_reg == 32'd0;
    wire load_begin = os ? os_start :
                      run_reg && !loading_reg && loads_reg != tiles && loads_reg <= (ws_start ? started_reg + 32'd1 : started_reg);
    // the cycle in which it begins is already one of the load
    wire load       = load_begin || loading_reg;
    wire row_end    = cycle_reg + 16'd1 == load_row;
    wire load_end   = row_end && row_reg + 32'd1 == load_rows;
    wire word_end   = phase_reg + 16'd1 == load_word;

    assign lane_start    = os ? first_reg : ws_start;
    assign north_valid   = load && word_end && word_reg != load_depth;
    assign north_address = address_reg;
    assign north_bank    = !os && bank_reg;
    assign north_entry   = word_reg[ENTRY_WIDTH-1:0];
    assign north_row     = row_reg[ROW_WIDTH-1:0];
    assign done          = done_reg;

    wire tile_ended = os ? drain_finish : lane_finish;
    wire all_ended  = tile_ended && ended_reg + 32'd1 == tiles;

    always @* begin
        started_next = ws_start || os_start ? started_reg + 32'd1 : started_reg;
        free_next    = ws_start || os_start ? period - 32'd1 : free_reg == 32'd0 ? 32'd0 : free_reg - 32'd1;
        settled_next = settled ? settled_reg + 32'd1 : settled_reg;
        ended_next   = tile_ended ? ended_reg + 32'd1 : ended_reg;
        tail_next    = tail_reg == 32'd0 ? 32'd0 : tail_reg - 32'd1;
        if (run_reg && all_ended) begin
            tail_next = os ? OS_TAIL[31:0] + {16'd0, drain_word} : WS_TAIL[31:0];
        end
        done_next = tail_reg == 32'd1;

        loading_next = load && !load_end;
        loads_next   = load_begin ? loads_reg + 32'd1 : loads_reg;
        lead_next    = load_begin ? 32'd1 : lead_reg + 32'd1;
        row_next     = row_reg;
        cycle_next   = cycle_reg;
        phase_next   = phase_reg;
        word_next    = word_reg;
        address_next = address_reg;
        column_next  = column_reg;
        bank_next    = bank_reg;
        if (load) begin
            cycle_next = cycle_reg + 16'd1;
            phase_next = phase_reg + 16'd1;
            if (north_valid) begin
                phase_next   = 16'd0;
                word_next    = word_reg + 16'd1;
                address_next = address_reg + 1'b1;
            end
            if (row_end) begin
                cycle_next = 16'd0;
                phase_next = 16'd0;
                word_next  = 16'd0;
                row_next   = row_reg + 32'd1;
            end
            if (load_end) begin
                row_next    = 32'd0;
                bank_next   = !bank_reg;
                column_next = column_reg + 16'd1;
                if (column_reg + 16'd1 == column_tiles) begin
                    column_next = 16'd0;
                    if (os) begin  // the next row tile needs the same weights again
                        address_next = {ADDRESS_WIDTH{1'b0}};
                    end
                end
            end
        end
        if (start) begin
            started_next = 32'd0;
            free_next    = 32'd0;
            settled_next = 32'd0;
            ended_next   = 32'd0;
            loads_next   = 32'd0;
            address_next = {ADDRESS_WIDTH{1'b0}};
            column_next  = 16'd0;
            bank_next    = 1'b0;
        end
    end

    delay_valid #(.DEPTH(HAZARD - 1)) settle_inst (.clk(clk), .rst(rst), .d(lane_settle && !os), .q(settled));
    delay_valid #(.DEPTH(FLUSH)) flush_inst (.clk(clk), .rst(rst), .d(lane_finish && os), .q(drain_start));

    always @(posedge clk) begin
        run_reg     <= start || (run_reg && !done_next);
        started_reg <= started_next;
        free_reg    <= free_next;
        settled_reg <= settled_next;
        ended_reg   <= ended_next;
        tail_reg    <= tail_next;
        done_reg    <= done_next;
        loading_reg <= loading_next;
        loads_reg   <= loads_next;
        lead_reg    <= lead_next;
        row_reg     <= row_next;
        cycle_reg   <= cycle_next;
        phase_reg   <= phase_next;
        word_reg    <= word_next;
        address_reg <= address_next;
        column_reg  <= column_next;
        bank_reg    <= bank_next;
        first_reg   <= os && north_valid && row_reg == 32'd0;

        if (rst) begin
            run_reg     <= 1'b0;
            tail_reg    <= 32'd0;
            done_reg    <= 1'b0;
            loading_reg <= 1'b0;
            row_reg     <= 32'd0;
            cycle_reg   <= 16'd0;
            phase_reg   <= 16'd0;
            word_reg    <= 16'd0;
            first_reg   <= 1'b0;
        end
    end

    `ASSERT(one_command, !(start && run_reg))
    `ASSERT(in_order, !run_reg || (settled_reg <= started_reg && ended_reg <= started_reg))

endmodule

`resetall
