// SPDX-License-Identifier: Apache-2.0
// Cascade pruning of tokens or heads: the `k` of a list's `count` entries whose importance is largest, beside the critical path.
//
// An entry is a name (a token's position, a head's number) and its importance; lists lie in the caller's memory, in rows of LIST,
// and begin with a row. A command reads a list from row `from` on and writes what is kept, in its order and with its importance,
// from row `to` on, which may be the same row; of equal ones the first are kept. Heads' importance is a binary32 number's
// ordered bits, so that one engine serves both.
//
// Reads come one cycle later. Rows are written as a stream: part of a row of LIST, its columns marked; one that is not taken
// waits, and the engine behind it; behind the last one of a list up to COMPARATORS - 1 columns are written with 0. `done` is
// high when the last row is taken; a command then may come in the same cycle. Cycles from command to `done`, if rows are taken
// at once: `topk`'s. k = 0: nothing is written; k >= count: everything.

`resetall
`default_nettype none

module importance_topk #(
    // comparators; a power of two, 2 to LIST
    parameter COMPARATORS = 16,
    // entries of a list at most, of a row; powers of two
    parameter SIZE = 1024,
    parameter LIST = 32,
    // bits of a name, of an importance, of a row's number
    parameter NAME_WIDTH = 20,
    parameter SCORE_WIDTH = 32,
    parameter ROW_WIDTH = 7,
    // derived
    parameter COUNT_WIDTH = $clog2(SIZE + 1)
) (
    input  wire                        clk,
    input  wire                        rst,

    input  wire                        s_cmd_valid,
    output wire                        s_cmd_ready,
    input  wire [ROW_WIDTH-1:0]        s_cmd_from,
    input  wire [ROW_WIDTH-1:0]        s_cmd_to,
    input  wire [COUNT_WIDTH-1:0]      s_cmd_count,
    input  wire [COUNT_WIDTH-1:0]      s_cmd_k,
    input  wire [15:0]                 s_cmd_seed,
    output wire                        done,

    // the caller's rows
    output wire [ROW_WIDTH-1:0]        src_row,
    input  wire [NAME_WIDTH*LIST-1:0]  src_names,
    input  wire [SCORE_WIDTH*LIST-1:0] src_scores,

    // what is kept
    output wire                        m_valid,
    input  wire                        m_ready,
    output wire [ROW_WIDTH-1:0]        m_row,
    output wire [LIST-1:0]             m_columns,
    output wire [NAME_WIDTH*LIST-1:0]  m_names,
    output wire [SCORE_WIDTH*LIST-1:0] m_scores
);

    localparam ENGINE_ROW = $clog2(SIZE / COMPARATORS);
    localparam PART_LOG   = $clog2(LIST / COMPARATORS);  // rows of the engine in a row of the list
    localparam PART_WIDTH = PART_LOG > 0 ? PART_LOG : 1;
    localparam PARTS      = LIST / COMPARATORS;
    localparam BOTH       = NAME_WIDTH + SCORE_WIDTH;
    localparam WIDE       = BOTH * COMPARATORS;
    localparam PLACE      = ROW_WIDTH + PART_LOG;        // a row's number, and its part

    generate
        if (COMPARATORS > LIST || (LIST & (LIST - 1)) != 0 || SIZE < 2 * LIST || SIZE > LIST << ROW_WIDTH - 1) begin : g_illegal
            illegal_parameter_of_importance_topk illegal ();
        end
    endgenerate

    wire                   free, over, beat, unused_last;
    wire [ENGINE_ROW-1:0]  row;
    wire [COMPARATORS-1:0] keep;
    reg  [ROW_WIDTH-1:0]   from_reg;
    reg  [PART_WIDTH-1:0]  part_reg;
    wire [SCORE_WIDTH*COMPARATORS-1:0] scores = src_scores[SCORE_WIDTH*COMPARATORS*part_reg +: SCORE_WIDTH*COMPARATORS];
    wire [NAME_WIDTH*COMPARATORS-1:0]  names  = src_names[NAME_WIDTH*COMPARATORS*part_reg +: NAME_WIDTH*COMPARATORS];
    wire begins = s_cmd_valid && s_cmd_ready;
    topk #(.LANES(COMPARATORS), .WIDTH(SCORE_WIDTH), .SIZE(SIZE)) engine (
        .clk(clk), .rst(rst), .s_cmd_valid(begins), .s_cmd_ready(free), .s_cmd_count(s_cmd_count), .s_cmd_k(s_cmd_k),
        .s_cmd_seed(s_cmd_seed), .done(over), .src_row(row), .src_data(scores), .m_axis_tvalid(beat), .m_axis_tready(m_ready),
        .m_axis_tkeep(keep), .m_axis_tlast(unused_last)
    );
    assign src_row = from_reg + {{PLACE-ENGINE_ROW{1'b0}}, row[ENGINE_ROW-1:PART_LOG]};

    // entries go with their beat of flags
    reg [WIDE-1:0] entries_reg;
    integer i;
    always @(posedge clk) begin
        part_reg <= PART_LOG > 0 ? row[PART_WIDTH-1:0] : {PART_WIDTH{1'b0}};
        if (!beat || m_ready) begin
            for (i = 0; i < COMPARATORS; i = i + 1) begin
                entries_reg[BOTH*i +: BOTH] <= {names[NAME_WIDTH*i +: NAME_WIDTH], scores[SCORE_WIDTH*i +: SCORE_WIDTH]};
            end
        end
    end

    wire            write, unused_valid;
    wire [WIDE-1:0] packed_row;
    wire [$clog2(COMPARATORS+1)-1:0] unused_count;
    packer #(.LANES(COMPARATORS), .WIDTH(BOTH)) pack (
        .clk(clk), .rst(rst), .valid(beat && m_ready), .elements(entries_reg), .keep(keep), .flush(over),
        .packed_valid(unused_valid), .packed_count(unused_count), .write(write), .row(packed_row)
    );

    // a beat waits for m_ready, so two rows at most come when none may leave: that of the beat before, and what fills none
    reg [PLACE-1:0] place_reg;  // where the next row is written
    reg [1:0]       waits_reg;  // rows that wait, the older one first
    reg [WIDE-1:0]  first_reg, second_reg;
    reg             over_reg;   // the engine is done, rows wait
    wire [WIDE-1:0] leaving = waits_reg != 2'd0 ? first_reg : packed_row;
    wire [PLACE:0]  to      = {{PART_LOG+1{1'b0}}, s_cmd_to} << PART_LOG;
    wire            leaves  = m_valid && m_ready;
    wire [1:0]      stay    = waits_reg + {1'b0, write} - {1'b0, leaves};
    assign m_valid     = waits_reg != 2'd0 || write;
    assign m_row       = place_reg[PLACE-1:PART_LOG];
    assign done        = (over || over_reg) && stay == 2'd0;
    assign s_cmd_ready = free && (!(over || over_reg) || done);
    wire unused_top = to[PLACE];
    genvar p, l;
    generate
        for (p = 0; p < PARTS; p = p + 1) begin : g_part
            assign m_columns[COMPARATORS*p +: COMPARATORS] =
                {COMPARATORS{PART_LOG == 0 || place_reg[PART_WIDTH-1:0] == p}};
            for (l = 0; l < COMPARATORS; l = l + 1) begin : g_lane
                assign m_names[NAME_WIDTH*(COMPARATORS*p+l) +: NAME_WIDTH]    = leaving[BOTH*l+SCORE_WIDTH +: NAME_WIDTH];
                assign m_scores[SCORE_WIDTH*(COMPARATORS*p+l) +: SCORE_WIDTH] = leaving[BOTH*l +: SCORE_WIDTH];
            end
        end
    endgenerate

    always @(posedge clk) begin
        waits_reg <= stay;
        over_reg  <= (over || over_reg) && !done;
        if (write && (waits_reg == 2'd0 || waits_reg == 2'd1 && leaves)) begin
            first_reg <= packed_row;
        end else if (leaves) begin
            first_reg <= second_reg;
        end
        if (write) begin
            second_reg <= packed_row;
        end
        place_reg  <= begins ? to[PLACE-1:0] : leaves ? place_reg + 1'b1 : place_reg;
        if (begins) begin
            from_reg <= s_cmd_from;
        end
        if (rst) begin
            waits_reg <= 2'd0;
            over_reg  <= 1'b0;
        end
    end

endmodule

`resetall
