// SPDX-License-Identifier: Apache-2.0
// Is a command of sat_core legal, and which buffer ports does it need? The words are described at the head of sat_control.v.
//
// check: 0, or the error it is. ports, from bit 0: west write, read; north write, read; output write, read; state write,
// read. A RUN needs the output's read port where more than one tile adds to a sum. Combinational.

`resetall
`default_nettype none

module sat_check #(
    parameter COLS = 32,
    // largest n, m, interleave
    parameter ENTRIES = 8,
    parameter GROUP_MAX = 16,
    parameter INTERLEAVE_MAX = 16,
    // 1: sums are exact: a RUN that would read partial sums is illegal
    parameter EXACT = 0,
    // bytes of a beat
    parameter BYTES = 32,
    // bits of a word's number in each buffer
    parameter WEST_WIDTH = 12,
    parameter NORTH_WIDTH = 14,
    parameter OUTPUT_WIDTH = 14,
    parameter STATE_WIDTH = 8
) (
    input  wire [1023:0] command,
    output reg  [7:0]    check,
    output reg  [7:0]    ports
);

    localparam [7:0] LOAD = 8'd1;
    localparam [7:0] STORE = 8'd2;
    localparam [7:0] RUN = 8'd3;
    localparam [7:0] REDUCE = 8'd4;
    localparam [7:0] UPDATE = 8'd5;

    wire [31:0] word [0:24];
    genvar i;
    generate
        for (i = 0; i < 25; i = i + 1) begin : g_word
            assign word[i] = command[32*i +: 32];
        end
    endgenerate
    wire [7:0] opcode = word[0][7:0];
    wire [1:0] buffer = word[3][1:0];
    wire       half   = word[3][8];
    wire unused = &{1'b0, command};

    wire [31:0] room = buffer == 2'd0 ? 32'd1 << WEST_WIDTH : buffer == 2'd1 ? 32'd1 << NORTH_WIDTH :
                       buffer == 2'd2 ? 32'd1 << OUTPUT_WIDTH : 32'd1 << STATE_WIDTH;
    wire misaligned = |(word[1] & (BYTES[31:0] - 32'd1));
    wire move_beyond = word[5] == 32'd0 || word[4] >= room || word[5] > room - word[4];
    wire [31:0] north_room = 32'd1 << NORTH_WIDTH;
    wire [31:0] group = word[3];
    wire group_wrong = word[2] == 32'd0 || word[2] > ENTRIES[31:0] || word[2] > group || group > GROUP_MAX[31:0] ||
                       word[4] == 32'd0 || word[4] > north_room;
    wire [47:0] dense_words  = {16'd0, word[4]} * group[15:0];
    wire [47:0] sparse_words = {16'd0, word[4]} * {32'd0, word[2][15:0]};
    wire reduce_beyond = word[5] >= north_room || dense_words > {16'd0, north_room - word[5]} ||
                         word[6] >= north_room || sparse_words > {16'd0, north_room - word[6]};
    wire direct = word[11][0];
    wire across = word[11][1];
    wire [47:0] rounds = {16'd0, direct && across ? word[4] >> 1 : word[4]};
    wire [47:0] entries = rounds * {32'd0, word[2][15:0]};
    wire update_beyond = word[7] == 32'd0 || word[8] >= (32'd1 << STATE_WIDTH) || word[7] > (32'd1 << STATE_WIDTH) - word[8] ||
                         word[9] >= (32'd1 << OUTPUT_WIDTH) || word[7] > (32'd1 << OUTPUT_WIDTH) - word[9] ||
                         (direct && (word[6] >= north_room || entries > {16'd0, north_room - word[6]})) ||
                         (across && (word[10] >= north_room || entries > {16'd0, north_room - word[10]}));
    // every word must be in a group; across, a group in the lanes
    reg divides;
    integer g;
    always @* begin
        divides = 1'b0;
        for (g = 1; g <= GROUP_MAX; g = g + 1) begin
            if (COLS % g == 0 && group == g) begin
                divides = 1'b1;
            end
        end
    end
    wire update_wrong = (direct || across) && (group_wrong || rounds * {32'd0, group[15:0]} != {16'd0, word[7]} ||
                        (across && !divides) || (direct && across && word[4][0]));
    wire zero_field = word[5] == 32'd0 || word[6] == 32'd0 || word[7] == 32'd0 || word[8] == 32'd0 || word[9] == 32'd0 ||
                      word[10] == 32'd0 || word[11] == 32'd0 || word[12] == 32'd0 || word[13] == 32'd0 ||
                      word[14] == 32'd0 || word[15] == 32'd0 || word[16] == 32'd0 || word[18] == 32'd0 ||
                      word[20] == 32'd0 || word[21] == 32'd0;
    // partial sums are read where more than one tile adds to them
    wire adds = !word[2][0] && (word[10] != word[9] || word[3][0]);
    wire run_wrong = word[4] == 32'd0 || word[4] > INTERLEAVE_MAX[31:0] || zero_field || (EXACT != 0 && adds);
    wire run_beyond = word[22] >= (32'd1 << WEST_WIDTH) || word[23] >= north_room || word[24] >= (32'd1 << OUTPUT_WIDTH);
    always @* begin
        check = 8'd0;
        case (opcode)
            LOAD: check = misaligned ? 8'd2 : |word[3][31:2] ? 8'd4 : move_beyond ? 8'd3 : 8'd0;
            STORE: check = misaligned ? 8'd2 : |word[3][31:9] || |word[3][7:2] || buffer == 2'd0 ||
                           (half && buffer == 2'd1) ? 8'd4 : move_beyond ? 8'd3 : 8'd0;
            RUN: check = word[1] == 32'd0 || run_wrong ? 8'd4 : run_beyond ? 8'd3 : 8'd0;
            REDUCE: check = word[1] == 32'd0 || group_wrong ? 8'd4 : reduce_beyond ? 8'd3 : 8'd0;
            UPDATE: check = word[1] == 32'd0 || update_wrong ? 8'd4 : update_beyond ? 8'd3 : 8'd0;
            default: check = 8'd1;
        endcase
    end

    always @* begin
        case (opcode)
            LOAD: ports = 8'h01 << {buffer, 1'b0};
            STORE: ports = 8'h02 << {buffer, 1'b0};
            RUN: ports = adds ? 8'b00111010 : 8'b00011010;
            REDUCE: ports = 8'b00001100;
            default: ports = 8'b11100100;
        endcase
    end

endmodule

`resetall
