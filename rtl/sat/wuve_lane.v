// SPDX-License-Identifier: Apache-2.0
// One lane of WUVE: momentum SGD with weight decay, every operation rounded to nearest even in binary32:
//   g' = g + decay w;  v' = beta v + g';  w' = w + minus_rate v'.
//
// Throughput one a cycle, latency 2 + 2 MUL_LATENCY + 3 ADD_LATENCY cycles.

`resetall
`default_nettype none

module wuve_lane #(
    // pipeline registers of the multiplier and of the adder
    parameter MUL_LATENCY = 3,
    parameter ADD_LATENCY = 4
) (
    input  wire        clk,
    input  wire        ce,
    input  wire [31:0] minus_rate,
    input  wire [31:0] beta,
    input  wire [31:0] decay,
    input  wire [31:0] weight,
    input  wire [31:0] momentum,
    input  wire [15:0] gradient,
    output wire [31:0] new_weight,
    output wire [31:0] new_momentum,
    output wire [15:0] new_half
);

    // 1. gradient to binary32
    wire [31:0] wide;
    wire [31:0] w, v, g;
    fp16_to_fp32 widen_inst (.a(gradient), .y(wide));
    delay #(.WIDTH(96), .DEPTH(1)) input_inst (.clk(clk), .ce(ce), .d({weight, momentum, wide}), .q({w, v, g}));

    // 2. decay w and beta v
    wire [31:0] decayed, damped, g_2;
    fp32_mul #(.LATENCY(MUL_LATENCY)) decay_inst (.clk(clk), .ce(ce), .a(decay), .b(w), .y(decayed));
    fp32_mul #(.LATENCY(MUL_LATENCY)) beta_inst (.clk(clk), .ce(ce), .a(beta), .b(v), .y(damped));
    delay #(.WIDTH(32), .DEPTH(MUL_LATENCY)) g_inst (.clk(clk), .ce(ce), .d(g), .q(g_2));

    // 3. g' = g + decay w
    wire [31:0] g_3, damped_3;
    fp32_add #(.LATENCY(ADD_LATENCY)) gradient_inst (.clk(clk), .ce(ce), .a(g_2), .b(decayed), .y(g_3));
    delay #(.WIDTH(32), .DEPTH(ADD_LATENCY)) damped_inst (.clk(clk), .ce(ce), .d(damped), .q(damped_3));

    // 4. v' = beta v + g'
    wire [31:0] v_4;
    fp32_add #(.LATENCY(ADD_LATENCY)) momentum_inst (.clk(clk), .ce(ce), .a(damped_3), .b(g_3), .y(v_4));

    // 5. minus_rate v'
    wire [31:0] move_5, v_6, w_5;
    fp32_mul #(.LATENCY(MUL_LATENCY)) rate_inst (.clk(clk), .ce(ce), .a(minus_rate), .b(v_4), .y(move_5));
    delay #(.WIDTH(32), .DEPTH(2*MUL_LATENCY + 2*ADD_LATENCY)) w_inst (.clk(clk), .ce(ce), .d(w), .q(w_5));

    // 6. w' = w + minus_rate v'
    wire [31:0] w_6;
    fp32_add #(.LATENCY(ADD_LATENCY)) weight_inst (.clk(clk), .ce(ce), .a(w_5), .b(move_5), .y(w_6));
    delay #(.WIDTH(32), .DEPTH(MUL_LATENCY + ADD_LATENCY)) v_inst (.clk(clk), .ce(ce), .d(v_4), .q(v_6));

    // 7. weight to binary16
    wire [15:0] half;
    fp32_to_fp16 narrow_inst (.a(w_6), .y(half));
    delay #(.WIDTH(80), .DEPTH(1)) output_inst (
        .clk(clk), .ce(ce), .d({w_6, v_6, half}), .q({new_weight, new_momentum, new_half})
    );

endmodule

`resetall
