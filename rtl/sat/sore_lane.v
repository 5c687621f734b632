// SPDX-License-Identifier: Apache-2.0
// One lane of SORE: keeps the n largest magnitudes of a group, then offers them in index order.
//
// An element a cycle enters a list sorted by magnitude (the 15 bits below the sign: NaN above infinity), before the first
// entry of smaller magnitude, so ties go to the lower index. With the group's last element the n entries move to the
// data provider, ranked by index; it holds them until the next group's last element.

`resetall
`default_nettype none

module sore_lane #(
    // largest n
    parameter ENTRIES = 8,
    // bits of a position in a group
    parameter INDEX_WIDTH = 4,
    // bits of n, and of a rank
    parameter COUNT_WIDTH = 4
) (
    input  wire                   clk,
    // insert bits at this position; first and last of the group
    input  wire                   insert,
    input  wire                   first,
    input  wire                   last,
    input  wire [15:0]            bits,
    input  wire [INDEX_WIDTH-1:0] index,
    input  wire [COUNT_WIDTH-1:0] n,
    // which entry of the provider to show
    input  wire [COUNT_WIDTH-1:0] select,
    output wire [15:0]            value,
    output wire [INDEX_WIDTH-1:0] position
);

    reg [ENTRIES-1:0]             held_reg;
    reg [16*ENTRIES-1:0]          bits_reg;
    reg [INDEX_WIDTH*ENTRIES-1:0] index_reg;

    wire [ENTRIES-1:0]             held_next;
    wire [16*ENTRIES-1:0]          bits_next;
    wire [INDEX_WIDTH*ENTRIES-1:0] index_next;

    // below[e]: the element belongs before entry e; the list is sorted, so once true it stays true
    wire [ENTRIES-1:0] below;

    genvar e;
    generate
        for (e = 0; e < ENTRIES; e = e + 1) begin : g_entry
            assign below[e] = first || !held_reg[e] || bits_reg[16*e +: 15] < bits[14:0];
            if (e == 0) begin : g_head
                assign held_next[e] = 1'b1;
                assign bits_next[16*e +: 16] = below[e] ? bits : bits_reg[16*e +: 16];
                assign index_next[INDEX_WIDTH*e +: INDEX_WIDTH] =
                    below[e] ? index : index_reg[INDEX_WIDTH*e +: INDEX_WIDTH];
            end else begin : g_tail
                wire here = below[e] && !below[e-1];
                assign held_next[e] = first ? 1'b0 : held_reg[e] || held_reg[e-1];
                assign bits_next[16*e +: 16] =
                    here ? bits : below[e] ? bits_reg[16*(e-1) +: 16] : bits_reg[16*e +: 16];
                assign index_next[INDEX_WIDTH*e +: INDEX_WIDTH] =
                    here ? index : below[e] ? index_reg[INDEX_WIDTH*(e-1) +: INDEX_WIDTH] :
                    index_reg[INDEX_WIDTH*e +: INDEX_WIDTH];
            end
        end
    endgenerate

    // rank of each entry among the first n, by index
    reg [COUNT_WIDTH*ENTRIES-1:0] rank;
    integer i, j;
    always @* begin
        for (i = 0; i < ENTRIES; i = i + 1) begin
            rank[COUNT_WIDTH*i +: COUNT_WIDTH] = {COUNT_WIDTH{1'b0}};
            for (j = 0; j < ENTRIES; j = j + 1) begin
                if (j[COUNT_WIDTH-1:0] < n &&
                    index_next[INDEX_WIDTH*j +: INDEX_WIDTH] < index_next[INDEX_WIDTH*i +: INDEX_WIDTH]) begin
                    rank[COUNT_WIDTH*i +: COUNT_WIDTH] = rank[COUNT_WIDTH*i +: COUNT_WIDTH] + 1'b1;
                end
            end
        end
    end

    // provider: the entry of rank r in place r
    reg [16*ENTRIES-1:0]          value_reg;
    reg [INDEX_WIDTH*ENTRIES-1:0] position_reg;
    reg [16*ENTRIES-1:0]          value_next;
    reg [INDEX_WIDTH*ENTRIES-1:0] position_next;
    integer k, r;
    always @* begin
        value_next    = value_reg;
        position_next = position_reg;
        for (r = 0; r < ENTRIES; r = r + 1) begin
            for (k = 0; k < ENTRIES; k = k + 1) begin
                if (k[COUNT_WIDTH-1:0] < n && rank[COUNT_WIDTH*k +: COUNT_WIDTH] == r[COUNT_WIDTH-1:0]) begin
                    value_next[16*r +: 16] = bits_next[16*k +: 16];
                    position_next[INDEX_WIDTH*r +: INDEX_WIDTH] = index_next[INDEX_WIDTH*k +: INDEX_WIDTH];
                end
            end
        end
    end

    assign value    = value_reg[16*select +: 16];
    assign position = position_reg[INDEX_WIDTH*select +: INDEX_WIDTH];

    always @(posedge clk) begin
        if (insert) begin
            held_reg  <= held_next;
            bits_reg  <= bits_next;
            index_reg <= index_next;
            if (last) begin
                value_reg    <= value_next;
                position_reg <= position_next;
            end
        end
    end

endmodule

`resetall
