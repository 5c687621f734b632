// SPDX-License-Identifier: Apache-2.0
// Head importance: of each head the sum of its outputs' magnitudes, 64 bits.
//
// An output comes in any cycle and counts two cycles later. The host reads at any time and writes while none come.

`resetall
`default_nettype none

module head_importance #(
    // bits of an output's element
    parameter WIDTH = 34,
    parameter HEADS = 64,
    parameter HEAD_WIDTH = $clog2(HEADS)
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  valid,
    input  wire [HEAD_WIDTH-1:0] head,
    input  wire [128*WIDTH-1:0]  elements,

    input  wire                  host_write,
    input  wire [HEAD_WIDTH-1:0] host_head,
    input  wire [63:0]           host_sum,
    output wire [63:0]           sum
);

    reg [63:0]           sum_reg [0:HEADS-1];
    reg                  add_reg;
    reg [HEAD_WIDTH-1:0] head_reg;
    reg [WIDTH+6:0]      magnitude_reg;
    reg [WIDTH-1:0]      element;
    reg [256*(WIDTH+7)-1:0] tree;  // 1 is the sum of 2 and 3, those of 4 to 7 ...; 128 to 255 are magnitudes
    integer i;

    always @* begin
        tree    = 0;
        element = {WIDTH{1'b0}};
        for (i = 0; i < 128; i = i + 1) begin
            element = elements[WIDTH*i +: WIDTH];
            tree[(WIDTH+7)*(128+i) +: WIDTH+7] = {7'd0, element[WIDTH-1] ? -element : element};
        end
        for (i = 127; i > 0; i = i - 1) begin
            tree[(WIDTH+7)*i +: WIDTH+7] = tree[(WIDTH+7)*2*i +: WIDTH+7] + tree[(WIDTH+7)*(2*i+1) +: WIDTH+7];
        end
    end

    assign sum = sum_reg[host_head];

    always @(posedge clk) begin
        add_reg       <= valid && !rst;
        head_reg      <= head;
        magnitude_reg <= tree[WIDTH+7 +: WIDTH+7];
        if (add_reg) begin
            sum_reg[head_reg] <= sum_reg[head_reg] + {{57-WIDTH{1'b0}}, magnitude_reg};
        end else if (host_write) begin
            sum_reg[host_head] <= host_sum;
        end
    end

endmodule

`resetall
