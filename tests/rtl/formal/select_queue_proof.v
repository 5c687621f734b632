// SPDX-License-Identifier: Apache-2.0
// Claim: whatever the engines take, in a cycle in which n queries wait the first n engines that are free begin, the first with
// the oldest; a query is told as chosen once, in the order in which they came, one a cycle, and in the first cycle in which its
// engine is done and all before it are told.
//
// Assumed of what is around: at most SLOTS queries are here, each in a slot of its own; an engine is free again in the cycle
// in which it is done, which is a later one than that in which it began.

`resetall
`default_nettype none

module select_queue_proof #(
    parameter SLOTS = 4,
    parameter ENGINES = 2
) (
    input wire                 clk,
    input wire                 s_valid,
    input wire [1:0]           s_slot,
    input wire [ENGINES-1:0]   engine_chosen
);

    reg rst = 1'b1;
    reg [1:0] queue [0:SLOTS-1];  // slots of the queries that are here, the oldest first
    reg [3:0] here = 0, begun = 0;  // how many; of these, those that an engine has taken
    reg [SLOTS-1:0] over = 0;     // of each query here: its engine is done
    reg [ENGINES-1:0] busy = 0;
    reg [2*ENGINES-1:0] of = 0;   // which slot an engine has

    wire [ENGINES-1:0] free = ~busy | engine_chosen;
    wire [ENGINES-1:0] start;
    wire [2*ENGINES-1:0] start_slot;
    wire chosen;
    wire [1:0] chosen_slot;
    select_queue #(.SLOTS(SLOTS), .ENGINES(ENGINES)) queries (
        .clk(clk), .rst(rst), .s_valid(s_valid), .s_slot(s_slot), .free(free), .start(start), .start_slot(start_slot),
        .engine_chosen(engine_chosen), .engine_slot(of), .chosen(chosen), .chosen_slot(chosen_slot)
    );

    integer e, i;
    reg [3:0] takes;
    reg [SLOTS-1:0] over_now;
    always @* begin
        over_now = over;
        for (e = 0; e < ENGINES; e = e + 1) begin
            for (i = 0; i < SLOTS; i = i + 1) begin
                if (engine_chosen[e] && i < begun && queue[i] == of[2*e +: 2]) begin
                    over_now[i] = 1'b1;
                end
            end
        end
        assume (!s_valid || s_slot < SLOTS);
        assume (!s_valid || here < SLOTS);
        assume ((engine_chosen & ~busy) == 0);
        assume (!rst || !s_valid);
        for (i = 0; i < SLOTS; i = i + 1) begin
            assume (!s_valid || i >= here || queue[i] != s_slot);
        end
        takes = 0;
        for (e = 0; e < ENGINES; e = e + 1) begin
            if (!rst) begin
                assert (start[e] == (free[e] && begun + takes < here));
                if (start[e]) begin
                    for (i = 0; i < SLOTS; i = i + 1) begin
                        assert (i != begun + takes || start_slot[2*e +: 2] == queue[i]);
                    end
                end
            end
            if (free[e] && begun + takes < here) begin
                takes = takes + 1;
            end
        end
        if (!rst) begin
            assert (chosen == (begun != 0 && over_now[0]));
            assert (!chosen || chosen_slot == queue[0]);
        end
    end

    reg [3:0] after;
    always @(posedge clk) begin
        rst <= 1'b0;
        if (!rst) begin
            for (e = 0; e < ENGINES; e = e + 1) begin
                if (free[e]) begin
                    busy[e]     <= start[e];
                    of[2*e +: 2] <= start_slot[2*e +: 2];
                end
            end
            after = begun != 0 && over_now[0];
            for (i = 0; i < SLOTS; i = i + 1) begin
                if (after == 0) begin
                    over[i] <= over_now[i];
                end else begin
                    queue[i] <= queue[i < SLOTS - 1 ? i + 1 : i];
                    over[i]  <= i < SLOTS - 1 ? over_now[i < SLOTS - 1 ? i + 1 : i] : 1'b0;
                end
                if (s_valid && i == here - after) begin
                    queue[i] <= s_slot;
                end
            end
            here  <= here + s_valid - after;
            begun <= begun + takes - after;
        end
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_starts       = !rst && |start;
    (* keep *) wire cover_several      = !rst && (ENGINES == 1 || SLOTS < ENGINES + 2 || (start & (start - 1'b1)) != 0);
    (* keep *) wire cover_waits        = !rst && here > begun && free == 0;
    (* keep *) wire cover_full         = !rst && here == SLOTS;
    (* keep *) wire cover_chosen       = !rst && chosen;
    (* keep *) wire cover_out_of_order = !rst && (ENGINES == 1 || (begun > 1 && over_now[1] && !over_now[0]));
    (* keep *) wire cover_late         = !rst && (ENGINES == 1 || (chosen && over[0]));

endmodule

`resetall
