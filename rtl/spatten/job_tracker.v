// SPDX-License-Identifier: Apache-2.0
// What of each job of a fetch unit is still on its way; whether all is there, whether something failed.
//
// A job's number is {kind, owner}: a slot's of kind 0, a head's of the others; there are no others. A job is forgotten with
// `clear`; it is there when its last transaction was made and as many came as were made.

`resetall
`default_nettype none

module job_tracker #(
    parameter KINDS = 3,
    parameter SLOTS = 64,
    parameter HEADS = 16,
    parameter OWNER_WIDTH = 6,
    parameter LANES = 16,
    // bits of a count of transactions
    parameter COUNT_WIDTH = 14,
    parameter JOB_WIDTH = OWNER_WIDTH + 2,
    parameter JOBS = 4 << OWNER_WIDTH
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire [JOBS-1:0]            clear,

    // made in this cycle; the last ones of the job
    input  wire [JOB_WIDTH-1:0]       made_job,
    input  wire [COUNT_WIDTH-1:0]     made,
    input  wire                       finish,

    // came in this cycle
    input  wire [LANES-1:0]           came,
    input  wire [LANES*JOB_WIDTH-1:0] came_job,
    input  wire [LANES-1:0]           came_wrong,

    output wire [JOBS-1:0]            there,
    output wire [JOBS-1:0]            wrong
);

    genvar j;
    generate
        for (j = 0; j < JOBS; j = j + 1) begin : g_job
            localparam KIND = j >> OWNER_WIDTH, OWNER = j - (KIND << OWNER_WIDTH);
            if (KIND < KINDS && OWNER < (KIND == 0 ? SLOTS : HEADS)) begin : g_one
                reg [COUNT_WIDTH-1:0] left_reg, left;
                reg                   all_reg, all, there_reg, wrong_reg, bad;
                integer i;
                assign there[j] = there_reg;
                assign wrong[j] = wrong_reg;
                always @* begin
                    left = left_reg + (made_job == j ? made : {COUNT_WIDTH{1'b0}});
                    all  = all_reg || (finish && made_job == j);
                    bad  = wrong_reg;
                    for (i = 0; i < LANES; i = i + 1) begin
                        if (came[i] && came_job[JOB_WIDTH*i +: JOB_WIDTH] == j) begin
                            left = left - 1'b1;
                            bad  = bad || came_wrong[i];
                        end
                    end
                end
                always @(posedge clk) begin
                    left_reg <= left;
                    all_reg  <= all;
                    there_reg <= all && left == 0;
                    wrong_reg <= bad;
                    if (clear[j] || rst) begin
                        left_reg <= {COUNT_WIDTH{1'b0}};
                        all_reg  <= 1'b0;
                        there_reg <= 1'b0;
                        wrong_reg <= 1'b0;
                    end
                end
            end else begin : g_none
                wire unused_clear = clear[j];
                assign there[j] = 1'b0;
                assign wrong[j] = 1'b0;
            end
        end
    endgenerate

endmodule

`resetall
