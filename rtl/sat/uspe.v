// SPDX-License-Identifier: Apache-2.0
// USPE, a unified sparse processing element of the STCE: one multiply-add a cycle, N:M or dense, weight or output
// stationary.
//
// Stages, numbered as in hwsim/sat/README.md:
//   1 the sum that entered the adder ADD_LATENCY cycles ago goes to its slot's accumulator; after the last round to the
//     row below (WS: psum_out, psum_valid) or to the drain register file (OS);
//   2 the product meets its partial sum: zero (OS, first round), the row above (WS, first round) or its accumulator,
//     forwarded when it is written in this very cycle;
//   3 the activation chosen by the weight's index, times the weight;
//   4 activations move one column east;   5 weights move one row south, and are caught;   6 drained words move south.
// WS: a weight is caught by the row for which `north_row` has counted to 0, into one of two banks, so that the next
// tile's weights load while this one's work. OS: every row keeps each weight as it passes.
// EXACT: products are added as integers (exact_add.v), in one cycle: ADD_LATENCY is 1, and nothing is rounded here.

`resetall
`default_nettype none

module uspe #(
    // activations a word holds
    parameter WORD = 16,
    // accumulators
    parameter INTERLEAVE_MAX = 16,
    // pipeline registers of the multiplier and of the adder
    parameter MUL_LATENCY = 3,
    parameter ADD_LATENCY = 4,
    // 1: sums are exact; bits of a sum: 32, or those of exact_add
    parameter EXACT = 0,
    parameter SUM_WIDTH = 32,
    // bits of: an index into WORD, an entry of a weight bank, a slot, a row number
    parameter INDEX_WIDTH = 4,
    parameter ENTRY_WIDTH = 3,
    parameter SLOT_WIDTH = 4,
    parameter ROW_WIDTH = 5
) (
    input  wire                      clk,
    input  wire                      rst,
    // output stationary; constant while anything is valid
    input  wire                      os,

    // 4. activations
    input  wire                      west_valid,
    input  wire                      west_first,   // first and last round of a sum
    input  wire                      west_last,
    input  wire                      west_bank,
    input  wire [ENTRY_WIDTH-1:0]    west_entry,
    input  wire [SLOT_WIDTH-1:0]     west_slot,
    input  wire [16*WORD-1:0]        west_data,
    output wire                      east_valid,
    output wire                      east_first,
    output wire                      east_last,
    output wire                      east_bank,
    output wire [ENTRY_WIDTH-1:0]    east_entry,
    output wire [SLOT_WIDTH-1:0]     east_slot,
    output wire [16*WORD-1:0]        east_data,

    // 5. weights
    input  wire                      north_valid,
    input  wire                      north_bank,
    input  wire [ENTRY_WIDTH-1:0]    north_entry,
    input  wire [ROW_WIDTH-1:0]      north_row,    // rows still to go
    input  wire [INDEX_WIDTH+15:0]   north_data,   // {index, binary16}
    output wire                      south_valid,
    output wire                      south_bank,
    output wire [ENTRY_WIDTH-1:0]    south_entry,
    output wire [ROW_WIDTH-1:0]      south_row,
    output wire [INDEX_WIDTH+15:0]   south_data,

    // partial sums, WS
    input  wire [SUM_WIDTH-1:0]      psum_in,
    output wire                      psum_valid,
    output wire [SUM_WIDTH-1:0]      psum_out,

    // 6. drain, OS: the command moves east, words move south
    input  wire                      read_valid,
    input  wire [SLOT_WIDTH-1:0]     read_slot,
    output wire                      read_east_valid,
    output wire [SLOT_WIDTH-1:0]     read_east_slot,
    input  wire                      drain_in_valid,
    input  wire [SUM_WIDTH-1:0]      drain_in,
    output wire                      drain_valid,
    output wire [SUM_WIDTH-1:0]      drain
);

    localparam TAG = SLOT_WIDTH + 2;

    // 5. weights
    reg [INDEX_WIDTH+15:0] weight_reg [0:(2 << ENTRY_WIDTH)-1];  // {bank, entry}
    wire                   catch_it = north_valid && (os || north_row == {ROW_WIDTH{1'b0}});
    wire                   pass_it  = north_valid && (os || north_row != {ROW_WIDTH{1'b0}});
    always @(posedge clk) begin
        if (catch_it) begin
            weight_reg[{north_bank, north_entry}] <= north_data;
        end
    end
    delay #(.WIDTH(1 + ENTRY_WIDTH + ROW_WIDTH + INDEX_WIDTH + 16), .DEPTH(1)) south_inst (
        .clk(clk), .ce(1'b1),
        .d({north_bank, north_entry, north_row - 1'b1, north_data}),
        .q({south_bank, south_entry, south_row, south_data})
    );
    delay_valid #(.DEPTH(1)) south_valid_inst (.clk(clk), .rst(rst), .d(pass_it), .q(south_valid));

    // 4. activations
    delay #(.WIDTH(3 + ENTRY_WIDTH + SLOT_WIDTH + 16*WORD), .DEPTH(1)) east_inst (
        .clk(clk), .ce(1'b1),
        .d({west_first, west_last, west_bank, west_entry, west_slot, west_data}),
        .q({east_first, east_last, east_bank, east_entry, east_slot, east_data})
    );
    delay_valid #(.DEPTH(1)) east_valid_inst (.clk(clk), .rst(rst), .d(west_valid), .q(east_valid));

    // 3. multiplier
    wire [INDEX_WIDTH+15:0] weight = weight_reg[{west_bank, west_entry}];
    wire [15:0] activation = west_data[16*weight[16 +: INDEX_WIDTH] +: 16];
    wire [TAG-1:0] product_tag;
    delay #(.WIDTH(TAG), .DEPTH(MUL_LATENCY)) product_inst (
        .clk(clk), .ce(1'b1), .d({west_first, west_last, west_slot}), .q(product_tag)
    );
    wire product_valid;
    delay_valid #(.DEPTH(MUL_LATENCY)) product_valid_inst (.clk(clk), .rst(rst), .d(west_valid), .q(product_valid));

    // 2. adder; 1. its sum
    wire [SUM_WIDTH-1:0] sum;
    wire        sum_last;
    wire        product_first = product_tag[TAG-1];
    wire [SLOT_WIDTH-1:0] product_slot = product_tag[SLOT_WIDTH-1:0];
    wire [SLOT_WIDTH-1:0] sum_slot;
    wire        sum_valid;
    wire        keep      = sum_valid && !sum_last;
    wire [SUM_WIDTH-1:0] held;
    generate
        if (EXACT != 0) begin : g_exact
            wire [42:0] product;
            wire [SUM_WIDTH-1:0] next;
            fp16_mul_fixed #(.LATENCY(MUL_LATENCY)) mul_inst (
                .clk(clk), .ce(1'b1), .a(activation), .b(weight[15:0]), .y(product)
            );
            exact_add #(.WIDTH(SUM_WIDTH - 3)) add_inst (
                .clk(clk), .ce(product_valid), .from_own(!product_first), .from_above(!os), .own(held),
                .above(psum_in), .product(product), .next(next), .sum(sum)
            );
            if (INTERLEAVE_MAX == 1) begin : g_one
                assign held = sum;   // it stays where it is made until the next product comes
                wire unused = &{1'b0, keep, next, product_slot};
            end else begin : g_slots
                reg [SUM_WIDTH-1:0] acc_reg [0:INTERLEAVE_MAX-1];
                assign held = acc_reg[product_slot];
                always @(posedge clk) begin
                    if (product_valid) begin
                        acc_reg[product_slot] <= next;
                    end
                end
                wire unused = &{1'b0, keep};
            end
        end else begin : g_binary32
            reg  [31:0] acc_reg [0:INTERLEAVE_MAX-1];
            wire [31:0] product;
            wire [31:0] partial = !product_first ? held : os ? 32'd0 : psum_in;
            fp16_mul #(.LATENCY(MUL_LATENCY)) mul_inst (
                .clk(clk), .ce(1'b1), .a(activation), .b(weight[15:0]), .y(product)
            );
            fp32_add #(.LATENCY(ADD_LATENCY)) add_inst (.clk(clk), .ce(1'b1), .a(partial), .b(product), .y(sum));
            assign held = keep && sum_slot == product_slot ? sum : acc_reg[product_slot];
            always @(posedge clk) begin
                if (keep) begin
                    acc_reg[sum_slot] <= sum;
                end
            end
        end
    endgenerate
    delay #(.WIDTH(TAG - 1), .DEPTH(ADD_LATENCY)) sum_inst (
        .clk(clk), .ce(1'b1), .d(product_tag[TAG-2:0]), .q({sum_last, sum_slot})
    );
    delay_valid #(.DEPTH(ADD_LATENCY)) sum_valid_inst (.clk(clk), .rst(rst), .d(product_valid), .q(sum_valid));
    assign psum_valid = sum_valid && sum_last && !os;
    assign psum_out   = sum;

    // 6. drain
    reg [SUM_WIDTH-1:0] file_reg [0:INTERLEAVE_MAX-1];
    always @(posedge clk) begin
        if (sum_valid && sum_last && os) begin
            file_reg[sum_slot] <= sum;
        end
    end
    delay #(.WIDTH(SLOT_WIDTH), .DEPTH(1)) read_inst (.clk(clk), .ce(1'b1), .d(read_slot), .q(read_east_slot));
    delay_valid #(.DEPTH(1)) read_valid_inst (.clk(clk), .rst(rst), .d(read_valid), .q(read_east_valid));
    delay #(.WIDTH(SUM_WIDTH), .DEPTH(1)) drain_inst (
        .clk(clk), .ce(1'b1), .d(read_valid ? file_reg[read_slot] : drain_in), .q(drain)
    );
    delay_valid #(.DEPTH(1)) drain_valid_inst (
        .clk(clk), .rst(rst), .d(read_valid || drain_in_valid), .q(drain_valid)
    );

endmodule

`resetall
