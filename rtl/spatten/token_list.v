// SPDX-License-Identifier: Apache-2.0
// Lists of tokens, in rows; a window of them is read from any place on.
//
// `window` holds the COLUMNS + 1 tokens from place `place` on, one cycle later; a place is row x COLUMNS + column.

`resetall
`default_nettype none

module token_list #(
    // bits of a token's number
    parameter WIDTH = 20,
    // tokens of a row; a power of two, at least 2
    parameter COLUMNS = 32,
    // bits of a row's number, at least 2
    parameter ROW_WIDTH = 6,
    // rows, an even number; behind the last one comes row 0
    parameter ROWS = 1 << ROW_WIDTH,
    parameter PLACE_WIDTH = ROW_WIDTH + $clog2(COLUMNS)
) (
    input  wire                         clk,
    input  wire [COLUMNS-1:0]           write,
    input  wire [ROW_WIDTH-1:0]         write_row,
    input  wire [WIDTH*COLUMNS-1:0]     write_tokens,
    input  wire [PLACE_WIDTH-1:0]       place,
    output wire [WIDTH*(COLUMNS+1)-1:0] window
);

    localparam COLUMN_WIDTH = $clog2(COLUMNS);

    generate
        if (ROWS % 2 != 0 || ROWS < 2) begin : g_illegal
            illegal_parameter_of_token_list illegal ();
        end
    endgenerate

    wire [ROW_WIDTH-1:0] row = place[PLACE_WIDTH-1 -: ROW_WIDTH];

    // even and odd rows; from an odd row on, the next even one is the one behind it
    localparam LAST_ROW = ROWS - 1;
    wire [ROW_WIDTH-2:0] even_row = row == LAST_ROW[ROW_WIDTH-1:0] ? {ROW_WIDTH-1{1'b0}}
        : row[ROW_WIDTH-1:1] + {{ROW_WIDTH-2{1'b0}}, row[0]};
    wire [WIDTH*COLUMNS-1:0] even, odd;
    reg [COLUMN_WIDTH:0] start_reg;

    ram_columns #(.WIDTH(WIDTH), .COLUMNS(COLUMNS), .ADDRESS_WIDTH(ROW_WIDTH - 1)) even_rows (
        .clk(clk), .write(write & {COLUMNS{!write_row[0]}}), .write_address(write_row[ROW_WIDTH-1:1]),
        .write_data(write_tokens), .read_address(even_row), .read_data(even)
    );
    ram_columns #(.WIDTH(WIDTH), .COLUMNS(COLUMNS), .ADDRESS_WIDTH(ROW_WIDTH - 1)) odd_rows (
        .clk(clk), .write(write & {COLUMNS{write_row[0]}}), .write_address(write_row[ROW_WIDTH-1:1]),
        .write_data(write_tokens), .read_address(row[ROW_WIDTH-1:1]), .read_data(odd)
    );

    wire [2*WIDTH*COLUMNS-1:0] both = start_reg[COLUMN_WIDTH] ? {even, odd} : {odd, even};
    assign window = both[WIDTH*start_reg[COLUMN_WIDTH-1:0] +: WIDTH*(COLUMNS+1)];

    always @(posedge clk) begin
        start_reg <= place[COLUMN_WIDTH:0];
    end

endmodule

`resetall
