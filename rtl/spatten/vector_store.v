// SPDX-License-Identifier: Apache-2.0
// Queries, keys and values that came from the memory: each lane's word goes where its identifier says (`fetch`).

`resetall
`default_nettype none

module vector_store #(
    // of each fetch unit
    parameter LANES = 16,
    parameter SLOTS = 64,
    parameter KEY_BANKS = 32,
    parameter KEY_ROWS = 160,
    parameter LSB_ROWS = 32,
    parameter VALUE_BANKS = 32,
    parameter VALUE_ROWS = 192,
    // fields of an identifier
    parameter ID_WIDTH = 20,
    parameter ROW_WIDTH = 8,
    parameter BANK_WIDTH = 5,
    // derived
    parameter SLOT_WIDTH = SLOTS > 1 ? $clog2(SLOTS) : 1,
    parameter KEY_ROW = $clog2(KEY_ROWS + LSB_ROWS),
    parameter KEY_BANK = $clog2(KEY_BANKS),
    parameter VALUE_ROW = $clog2(VALUE_ROWS),
    parameter VALUE_BANK = $clog2(VALUE_BANKS)
) (
    input  wire                        clk,
    input  wire [2*LANES-1:0]          write,
    input  wire [2*LANES*ID_WIDTH-1:0] write_id,
    input  wire [2*LANES*256-1:0]      write_data,

    // what is read comes one cycle later
    input  wire [SLOT_WIDTH-1:0]       query_slot,
    output wire [2047:0]               query,
    input  wire [KEY_ROW-1:0]          key_row,
    input  wire [KEY_BANK-1:0]         key_first,
    output wire [256*KEY_BANKS-1:0]    keys,
    input  wire [VALUE_ROW-1:0]        value_row,
    input  wire [VALUE_BANK-1:0]       value_first,
    output wire [256*VALUE_BANKS-1:0]  values
);

    wire [LANES-1:0]            query_write, key_write;
    wire [LANES*SLOT_WIDTH-1:0] query_write_slot;
    wire [LANES*3-1:0]          query_write_word;
    wire [LANES*KEY_BANK-1:0]   key_write_bank;
    wire [LANES*KEY_ROW-1:0]    key_write_row;
    wire [LANES*VALUE_BANK-1:0] value_write_bank;
    wire [LANES*VALUE_ROW-1:0]  value_write_row;
    genvar g;
    generate
        for (g = 0; g < LANES; g = g + 1) begin : g_lane
            wire [ID_WIDTH-1:0] id = write_id[ID_WIDTH*g +: ID_WIDTH];
            wire [ID_WIDTH-1:0] value_id = write_id[ID_WIDTH*(LANES+g) +: ID_WIDTH];
            wire is_query = id[ID_WIDTH-2 -: 2] == 2'd0;
            assign query_write[g] = write[g] && is_query;
            assign key_write[g]   = write[g] && !is_query;
            assign query_write_slot[SLOT_WIDTH*g +: SLOT_WIDTH] = id[ROW_WIDTH+BANK_WIDTH +: SLOT_WIDTH];
            assign query_write_word[3*g +: 3] = id[2:0];
            assign key_write_bank[KEY_BANK*g +: KEY_BANK] = id[KEY_BANK-1:0];
            assign key_write_row[KEY_ROW*g +: KEY_ROW] = id[BANK_WIDTH +: KEY_ROW];
            assign value_write_bank[VALUE_BANK*g +: VALUE_BANK] = value_id[VALUE_BANK-1:0];
            assign value_write_row[VALUE_ROW*g +: VALUE_ROW] = value_id[BANK_WIDTH +: VALUE_ROW];
            wire unused_id = &{1'b0, id, value_id};
        end
    endgenerate

    query_buffer #(.LANES(LANES), .SLOTS(SLOTS)) query_words (
        .clk(clk), .write(query_write), .write_slot(query_write_slot), .write_word(query_write_word),
        .write_data(write_data[256*LANES-1:0]), .slot(query_slot), .data(query)
    );
    vector_sram #(.LANES(LANES), .BANKS(KEY_BANKS), .ROWS(KEY_ROWS + LSB_ROWS), .RING(KEY_ROWS)) key_sram (
        .clk(clk), .write(key_write), .write_bank(key_write_bank), .write_row(key_write_row),
        .write_data(write_data[256*LANES-1:0]), .row(key_row), .first(key_first), .data(keys)
    );
    vector_sram #(.LANES(LANES), .BANKS(VALUE_BANKS), .ROWS(VALUE_ROWS)) value_sram (
        .clk(clk), .write(write[2*LANES-1:LANES]), .write_bank(value_write_bank), .write_row(value_write_row),
        .write_data(write_data[512*LANES-1:256*LANES]), .row(value_row), .first(value_first), .data(values)
    );

endmodule

`resetall
