// SPDX-License-Identifier: Apache-2.0
// SRAM of keys or of values: transactions as they come from the memory, a bank for each that is read at once.
//
// A row is a word of every bank. Lane l writes to the banks l, l + LANES, ...; a cycle after it is given, a write is done.
// A read is BANKS words in a row, from word `first` of row `row` on: one cycle later, each in the place of its bank. The
// first RING rows are one ring, the others a second one: behind the last row of either comes its first.

`resetall
`default_nettype none

module vector_sram #(
    // words that come in a cycle; powers of two, BANKS at least LANES and 2
    parameter LANES = 16,
    parameter BANKS = 32,
    // at least 2; of them in the first ring
    parameter ROWS = 192,
    parameter RING = ROWS,
    parameter WIDTH = 256,
    parameter BANK_WIDTH = $clog2(BANKS),
    parameter ROW_WIDTH = $clog2(ROWS)
) (
    input  wire                        clk,

    input  wire [LANES-1:0]            write,
    input  wire [LANES*BANK_WIDTH-1:0] write_bank,
    input  wire [LANES*ROW_WIDTH-1:0]  write_row,
    input  wire [LANES*WIDTH-1:0]      write_data,

    input  wire [ROW_WIDTH-1:0]        row,
    input  wire [BANK_WIDTH-1:0]       first,
    output wire [BANKS*WIDTH-1:0]      data
);

    localparam LAST_ROW = ROWS - 1, LAST_OF_RING = RING - 1;
    localparam [ROW_WIDTH-1:0] LAST = LAST_ROW[ROW_WIDTH-1:0], LAST_FIRST = LAST_OF_RING[ROW_WIDTH-1:0];
    localparam [ROW_WIDTH-1:0] SECOND = RING[ROW_WIDTH-1:0];

    reg [LANES-1:0]            write_reg;
    reg [LANES*BANK_WIDTH-1:0] bank_reg;
    reg [LANES*ROW_WIDTH-1:0]  row_reg;
    reg [LANES*WIDTH-1:0]      data_reg;
    always @(posedge clk) begin
        write_reg <= write;
        bank_reg  <= write_bank;
        row_reg   <= write_row;
        data_reg  <= write_data;
    end

    wire [ROW_WIDTH-1:0] next_row = row == LAST_FIRST ? {ROW_WIDTH{1'b0}} : row == LAST ? SECOND : row + 1'b1;

    genvar b;
    generate
        for (b = 0; b < BANKS; b = b + 1) begin : g_bank
            localparam L = b % LANES;
            localparam [BANK_WIDTH-1:0] NUMBER = b;
            reg [WIDTH-1:0] words [0:ROWS-1];
            reg [WIDTH-1:0] word_reg;
            always @(posedge clk) begin
                if (write_reg[L] && bank_reg[BANK_WIDTH*L +: BANK_WIDTH] == NUMBER) begin
                    words[row_reg[ROW_WIDTH*L +: ROW_WIDTH]] <= data_reg[WIDTH*L +: WIDTH];
                end
                word_reg <= words[{1'b0, NUMBER} < {1'b0, first} ? next_row : row];
            end
            assign data[WIDTH*b +: WIDTH] = word_reg;
        end
    endgenerate

endmodule

`resetall
