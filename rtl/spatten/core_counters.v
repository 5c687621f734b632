// SPDX-License-Identifier: Apache-2.0
// Counters of spatten_core, 48 bits each: busy cycles, queries, of them computed again, transactions, cycles of Q x K.

`resetall
`default_nettype none

module core_counters #(
    parameter CHANNELS = 16
) (
    input  wire                clk,
    input  wire                rst,
    input  wire                busy,
    input  wire                query,
    input  wire                again,
    input  wire [CHANNELS-1:0] beats,
    input  wire                dot,
    output wire [5*48-1:0]     counters
);

    reg [47:0] cycles_reg, queries_reg, again_reg, beats_reg, dot_reg, beats_next;
    integer i;

    assign counters = {dot_reg, beats_reg, again_reg, queries_reg, cycles_reg};

    always @* begin
        beats_next = beats_reg;
        for (i = 0; i < CHANNELS; i = i + 1) begin
            beats_next = beats_next + {47'd0, beats[i]};
        end
    end

    always @(posedge clk) begin
        cycles_reg  <= cycles_reg + {47'd0, busy};
        queries_reg <= queries_reg + {47'd0, query};
        again_reg   <= again_reg + {47'd0, query && again};
        beats_reg   <= beats_next;
        dot_reg     <= dot_reg + {47'd0, dot};
        if (rst) begin
            cycles_reg  <= 48'd0;
            queries_reg <= 48'd0;
            again_reg   <= 48'd0;
            beats_reg   <= 48'd0;
            dot_reg     <= 48'd0;
        end
    end

endmodule

`resetall
