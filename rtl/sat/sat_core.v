// SPDX-License-Identifier: Apache-2.0
// sat_core: STCE, SORE and WUVE with their buffers, an AXI4 master to memory and AXI4-Lite registers for the host.
//
// The host writes a program (sat_control.v) to memory and its address and length to the registers (sat_csr.v), starts it,
// and reads what came of it: finished, an error and the command that made it, cycle counters. SORE and WUVE have a lane a
// column; a beat of the memory is a west word.

`resetall
`default_nettype none

module sat_core #(
    parameter ROWS = 32,
    parameter COLS = 32,
    // largest M; weights a PE holds in a bank
    parameter GROUP_MAX = 16,
    parameter WEIGHT_REGS = 8,
    // activations in a west word: a power of two, 4 to 64
    parameter WORD = GROUP_MAX > WEIGHT_REGS ? GROUP_MAX : WEIGHT_REGS,
    parameter INTERLEAVE_MAX = 16,
    parameter MUL_LATENCY = 3,
    parameter ADD_LATENCY = 4,
    // 1: the array's sums are exact; cycles of their rounding
    parameter EXACT = 0,
    parameter ROUND_LATENCY = 4,
    // bits of a word's number in each buffer
    parameter WEST_WIDTH = 12,
    parameter NORTH_WIDTH = 14,
    parameter OUTPUT_WIDTH = 14,
    parameter STATE_WIDTH = 8,
    // bits of a burst's identifier
    parameter AXI_ID_WIDTH = 1
) (
    input  wire                         clk,
    input  wire                         rst,

    input  wire                         s_axil_awvalid,
    output wire                         s_axil_awready,
    input  wire [7:0]                   s_axil_awaddr,
    input  wire                         s_axil_wvalid,
    output wire                         s_axil_wready,
    input  wire [31:0]                  s_axil_wdata,
    input  wire [3:0]                   s_axil_wstrb,
    output wire                         s_axil_bvalid,
    input  wire                         s_axil_bready,
    output wire [1:0]                   s_axil_bresp,
    input  wire                         s_axil_arvalid,
    output wire                         s_axil_arready,
    input  wire [7:0]                   s_axil_araddr,
    output wire                         s_axil_rvalid,
    input  wire                         s_axil_rready,
    output wire [31:0]                  s_axil_rdata,
    output wire [1:0]                   s_axil_rresp,

    // one burst of each kind at a time: identifiers are always 0
    output wire [AXI_ID_WIDTH-1:0]      m_axi_awid,
    output wire                         m_axi_awvalid,
    input  wire                         m_axi_awready,
    output wire [63:0]                  m_axi_awaddr,
    output wire [7:0]                   m_axi_awlen,
    output wire [2:0]                   m_axi_awsize,
    output wire [1:0]                   m_axi_awburst,
    output wire                         m_axi_wvalid,
    input  wire                         m_axi_wready,
    output wire [16*WORD-1:0]           m_axi_wdata,
    output wire [2*WORD-1:0]            m_axi_wstrb,
    output wire                         m_axi_wlast,
    input  wire [AXI_ID_WIDTH-1:0]      m_axi_bid,
    input  wire                         m_axi_bvalid,
    output wire                         m_axi_bready,
    input  wire [1:0]                   m_axi_bresp,
    output wire [AXI_ID_WIDTH-1:0]      m_axi_arid,
    output wire                         m_axi_arvalid,
    input  wire                         m_axi_arready,
    output wire [63:0]                  m_axi_araddr,
    output wire [7:0]                   m_axi_arlen,
    output wire [2:0]                   m_axi_arsize,
    output wire [1:0]                   m_axi_arburst,
    input  wire [AXI_ID_WIDTH-1:0]      m_axi_rid,
    input  wire                         m_axi_rvalid,
    output wire                         m_axi_rready,
    input  wire [16*WORD-1:0]           m_axi_rdata,
    input  wire [1:0]                   m_axi_rresp,
    input  wire                         m_axi_rlast
);

    localparam BYTES      = 2*WORD;
    localparam SIZE       = $clog2(BYTES);
    localparam SLOT_WIDTH = INTERLEAVE_MAX > 1 ? $clog2(INTERLEAVE_MAX) : 1;
    localparam COUNTERS   = 6;
    // one width for addresses on the way to the buffers
    localparam WIDEST_A = WEST_WIDTH > NORTH_WIDTH ? WEST_WIDTH : NORTH_WIDTH;
    localparam WIDEST_B = OUTPUT_WIDTH > STATE_WIDTH ? OUTPUT_WIDTH : STATE_WIDTH;
    localparam AW       = WIDEST_A > WIDEST_B ? WIDEST_A : WIDEST_B;

    generate
        if (WORD < 4 || WORD > 64 || (1 << $clog2(WORD)) != WORD || AW > 24) begin : g_illegal
            illegal_parameter_of_sat_core illegal ();
        end
    endgenerate

    // host
    wire start, busy, finished;
    wire [63:0] program_address;
    wire [31:0] program_commands;
    wire [7:0]  error_code;
    wire [23:0] error_command;
    wire [64*COUNTERS-1:0] counters;
    sat_csr #(.ROWS(ROWS), .COLS(COLS), .WORD(WORD), .COUNTERS(COUNTERS)) csr_inst (
        .clk(clk), .rst(rst),
        .s_axil_awvalid(s_axil_awvalid), .s_axil_awready(s_axil_awready), .s_axil_awaddr(s_axil_awaddr),
        .s_axil_wvalid(s_axil_wvalid), .s_axil_wready(s_axil_wready), .s_axil_wdata(s_axil_wdata),
        .s_axil_wstrb(s_axil_wstrb), .s_axil_bvalid(s_axil_bvalid), .s_axil_bready(s_axil_bready),
        .s_axil_bresp(s_axil_bresp), .s_axil_arvalid(s_axil_arvalid), .s_axil_arready(s_axil_arready),
        .s_axil_araddr(s_axil_araddr), .s_axil_rvalid(s_axil_rvalid), .s_axil_rready(s_axil_rready),
        .s_axil_rdata(s_axil_rdata), .s_axil_rresp(s_axil_rresp),
        .start(start), .program_address(program_address), .program_commands(program_commands), .busy(busy),
        .finished(finished), .error_code(error_code), .error_command(error_command), .counters(counters)
    );

    // control
    wire read_start, read_idle, read_done, read_error, beat_valid, loading, load_start;
    wire store_start, store_ready, store_done, write_error;
    wire run_start, reduce_start, update_start, run_ready, run_done, engines_done, stop;
    wire [63:0] read_address;
    wire [31:0] read_beats, store_beats;
    wire [16*WORD-1:0] beat;
    wire [1023:0] fields, compute;
    sat_control #(
        .ROWS(ROWS), .COLS(COLS), .ENTRIES(WEIGHT_REGS), .GROUP_MAX(GROUP_MAX), .INTERLEAVE_MAX(INTERLEAVE_MAX),
        .EXACT(EXACT), .BYTES(BYTES), .WEST_WIDTH(WEST_WIDTH), .NORTH_WIDTH(NORTH_WIDTH),
        .OUTPUT_WIDTH(OUTPUT_WIDTH), .STATE_WIDTH(STATE_WIDTH), .COUNTERS(COUNTERS)
    ) control_inst (
        .clk(clk), .rst(rst), .start(start), .program_address(program_address), .program_commands(program_commands),
        .busy(busy), .finished(finished), .error_code(error_code), .error_command(error_command), .counters(counters),
        .read_start(read_start), .read_idle(read_idle), .read_address(read_address), .read_beats(read_beats),
        .read_done(read_done), .read_error(read_error), .beat_valid(beat_valid), .beat(beat), .loading(loading),
        .load_start(load_start), .store_start(store_start), .store_beats(store_beats), .store_done(store_done),
        .write_error(write_error), .write_beat(m_axi_wvalid && m_axi_wready),
        .run_start(run_start), .reduce_start(reduce_start), .update_start(update_start),
        .compute_done(run_done || engines_done), .stop(stop), .fields(fields), .compute_fields(compute)
    );
    wire compute_rst = rst || stop;

    // memory
    axi_read #(.BYTES(BYTES)) read_inst (
        .clk(clk), .rst(rst), .s_cmd_valid(read_start), .s_cmd_ready(read_idle),
        .s_cmd_address(read_address), .s_cmd_beats(read_beats), .done(read_done),
        .error(read_error), .beat_valid(beat_valid), .beat(beat),
        .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready), .m_axi_araddr(m_axi_araddr),
        .m_axi_arlen(m_axi_arlen), .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready),
        .m_axi_rdata(m_axi_rdata), .m_axi_rresp(m_axi_rresp), .m_axi_rlast(m_axi_rlast)
    );
    wire store_valid, store_take;
    wire [16*WORD-1:0] store_data;
    axi_write #(.BYTES(BYTES)) write_inst (
        .clk(clk), .rst(rst), .s_cmd_valid(store_start), .s_cmd_ready(store_ready),
        .s_cmd_address(fields[32 +: 64]), .s_cmd_beats(store_beats), .done(store_done),
        .error(write_error), .s_axis_tvalid(store_valid), .s_axis_tready(store_take), .s_axis_tdata(store_data),
        .m_axi_awvalid(m_axi_awvalid), .m_axi_awready(m_axi_awready), .m_axi_awaddr(m_axi_awaddr),
        .m_axi_awlen(m_axi_awlen), .m_axi_wvalid(m_axi_wvalid), .m_axi_wready(m_axi_wready),
        .m_axi_wdata(m_axi_wdata), .m_axi_wlast(m_axi_wlast), .m_axi_bvalid(m_axi_bvalid),
        .m_axi_bready(m_axi_bready), .m_axi_bresp(m_axi_bresp)
    );
    assign {m_axi_awid, m_axi_awsize, m_axi_awburst} = {{AXI_ID_WIDTH{1'b0}}, SIZE[2:0], 2'b01};
    assign {m_axi_arid, m_axi_arsize, m_axi_arburst} = {{AXI_ID_WIDTH{1'b0}}, SIZE[2:0], 2'b01};
    assign m_axi_wstrb = {BYTES{1'b1}};

    // LOAD and STORE
    wire [AW-1:0] load_address, store_word;
    wire [ROWS-1:0] west_load;
    wire [COLS-1:0] north_load, output_load, state_load;
    wire [16*WORD-1:0] west_load_data;
    wire [32*COLS-1:0] column_load_data;
    wire [64*COLS-1:0] state_load_data;
    sat_load #(.ROWS(ROWS), .COLS(COLS), .BYTES(BYTES), .ADDRESS_WIDTH(AW)) load_inst (
        .clk(clk), .start(load_start), .buffer(fields[97:96]), .first(fields[128 +: AW]),
        .beat_valid(beat_valid && loading), .beat(beat), .address(load_address),
        .west_write(west_load), .west_data(west_load_data), .north_write(north_load), .output_write(output_load),
        .column_data(column_load_data), .state_write(state_load), .state_data(state_load_data)
    );
    wire [1:0] store_source;
    wire [24*COLS-1:0] north_q;
    wire [32*COLS-1:0] output_q;
    wire [64*COLS-1:0] state_q;
    sat_store #(.COLS(COLS), .BYTES(BYTES), .ADDRESS_WIDTH(AW)) store_inst (
        .clk(clk), .rst(rst), .start(store_start), .buffer(fields[97:96]), .half(fields[104]),
        .first(fields[128 +: AW]), .words(fields[160 +: 32]), .source(store_source), .address(store_word),
        .north_data(north_q), .output_data(output_q), .state_data(state_q),
        .m_axis_tvalid(store_valid), .m_axis_tready(store_take), .m_axis_tdata(store_data)
    );
    // its reads: from the start of a STORE until the last beat has gone
    wire storing = store_start || store_valid;

    // the array; its fields are words 2 to 21 of the command
    reg  running_reg;   // RUN, not REDUCE or UPDATE, has the buffers
    wire [AW*ROWS-1:0] west_address;
    wire [AW*COLS-1:0] north_address, psum_address, result_address;
    wire [COLS-1:0] result_valid;
    wire [32*COLS-1:0] result_data;
    wire [16*WORD*ROWS-1:0] west_q;
    stce #(
        .ROWS(ROWS), .COLS(COLS), .GROUP_MAX(GROUP_MAX), .WEIGHT_REGS(WEIGHT_REGS), .WORD(WORD),
        .INTERLEAVE_MAX(INTERLEAVE_MAX), .MUL_LATENCY(MUL_LATENCY), .ADD_LATENCY(ADD_LATENCY), .EXACT(EXACT),
        .ROUND_LATENCY(ROUND_LATENCY), .ADDRESS_WIDTH(AW), .SLOT_WIDTH(SLOT_WIDTH)
    ) stce_inst (
        .clk(clk), .rst(compute_rst), .s_cmd_valid(run_start), .s_cmd_ready(run_ready),
        .s_cmd_os(compute[32*2]), .s_cmd_accumulate(compute[32*3]), .s_cmd_interleave(compute[32*4 +: SLOT_WIDTH+1]),
        .s_cmd_slot(compute[32*5 +: 16]), .s_cmd_round(compute[32*6 +: 16]), .s_cmd_rounds(compute[32*7 +: 32]),
        .s_cmd_reps(compute[32*8 +: 16]), .s_cmd_column_tiles(compute[32*9 +: 16]), .s_cmd_tiles(compute[32*10 +: 32]),
        .s_cmd_period(compute[32*11 +: 32]), .s_cmd_row_delay(compute[32*12 +: 32]),
        .s_cmd_load_rows(compute[32*13 +: 32]), .s_cmd_load_depth(compute[32*14 +: 16]),
        .s_cmd_load_row(compute[32*15 +: 16]), .s_cmd_load_word(compute[32*16 +: 16]),
        .s_cmd_load_lead(compute[32*17 +: 32]), .s_cmd_drain_word(compute[32*18 +: 16]),
        .s_cmd_drain_gap(compute[32*19 +: 32]), .s_cmd_stride(compute[32*20 +: AW]),
        .s_cmd_tile_words(compute[32*21 +: AW]), .done(run_done),
        .west_address(west_address), .west_data(west_q), .north_address(north_address), .north_data(north_q),
        .psum_address(psum_address), .psum_data(output_q), .result_valid(result_valid),
        .result_address(result_address), .result_data(result_data)
    );

    // SORE and WUVE
    wire [AW-1:0] engine_north, engine_north_write, engine_gradient, engine_state, engine_state_write;
    wire engine_writes_north, engine_writes_state;
    wire [24*COLS-1:0] engine_north_data;
    wire [64*COLS-1:0] engine_state_data;
    sat_engines #(
        .COLS(COLS), .ENTRIES(WEIGHT_REGS), .GROUP_MAX(GROUP_MAX), .MUL_LATENCY(MUL_LATENCY),
        .ADD_LATENCY(ADD_LATENCY), .ADDRESS_WIDTH(AW)
    ) engines_inst (
        .clk(clk), .rst(compute_rst), .reduce_start(reduce_start), .update_start(update_start), .done(engines_done),
        .n(compute[32*2 +: 32]), .m(compute[32*3 +: 32]), .rounds(compute[32*4 +: 32]),
        .direct(compute[32*11]), .across(compute[32*11 + 1]), .source(compute[32*5 +: AW]),
        .direct_target(compute[32*6 +: AW]), .across_target(compute[32*10 +: AW]),
        .rates({compute[32*12 +: 32], compute[32*13 +: 32], compute[32*14 +: 32]}), .words(compute[32*7 +: 32]),
        .state_first(compute[32*8 +: AW]), .gradient_first(compute[32*9 +: AW]),
        .north_address(engine_north), .north_data(north_q), .north_write(engine_writes_north),
        .north_write_address(engine_north_write), .north_write_data(engine_north_data),
        .gradient_address(engine_gradient), .gradient_data(output_q),
        .state_address(engine_state), .state_data(state_q), .state_write(engine_writes_state),
        .state_write_address(engine_state_write), .state_write_data(engine_state_data)
    );

    // buffers: a command has a port for itself (sat_control), so whoever asks is alone
    wire [AW-1:0] west_base   = compute[32*22 +: AW];
    wire [AW-1:0] north_base  = compute[32*23 +: AW];
    wire [AW-1:0] output_base = compute[32*24 +: AW];
    wire run_now = run_start || running_reg;
    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : g_row
            wire [AW-1:0] at = west_address[AW*r +: AW] + west_base;
            wire unused = &{1'b0, at};
            ram #(.WIDTH(16*WORD), .ADDRESS_WIDTH(WEST_WIDTH)) west_inst (
                .clk(clk), .write(west_load[r]), .write_address(load_address[WEST_WIDTH-1:0]),
                .write_data(west_load_data), .read_address(at[WEST_WIDTH-1:0]),
                .read_data(west_q[16*WORD*r +: 16*WORD])
            );
        end
        for (c = 0; c < COLS; c = c + 1) begin : g_column
            wire [AW-1:0] north_at = storing && store_source == 2'd1 ? store_word :
                                     run_now ? north_address[AW*c +: AW] + north_base : engine_north;
            wire [AW-1:0] output_at = storing && store_source == 2'd2 ? store_word :
                                      run_now ? psum_address[AW*c +: AW] + output_base : engine_gradient;
            wire [AW-1:0] state_at = storing && store_source == 2'd3 ? store_word : engine_state;
            wire [AW-1:0] north_to = north_load[c] ? load_address : engine_north_write;
            wire [AW-1:0] output_to = output_load[c] ? load_address : result_address[AW*c +: AW] + output_base;
            wire [AW-1:0] state_to = state_load[c] ? load_address : engine_state_write;
            ram #(.WIDTH(24), .ADDRESS_WIDTH(NORTH_WIDTH)) north_inst (
                .clk(clk), .write(north_load[c] || engine_writes_north), .write_address(north_to[NORTH_WIDTH-1:0]),
                .write_data(north_load[c] ? column_load_data[32*c +: 24] : engine_north_data[24*c +: 24]),
                .read_address(north_at[NORTH_WIDTH-1:0]), .read_data(north_q[24*c +: 24])
            );
            ram #(.WIDTH(32), .ADDRESS_WIDTH(OUTPUT_WIDTH)) output_inst (
                .clk(clk), .write(output_load[c] || result_valid[c]), .write_address(output_to[OUTPUT_WIDTH-1:0]),
                .write_data(output_load[c] ? column_load_data[32*c +: 32] : result_data[32*c +: 32]),
                .read_address(output_at[OUTPUT_WIDTH-1:0]), .read_data(output_q[32*c +: 32])
            );
            wire unused = &{1'b0, north_at, north_to, output_at, output_to, state_at, state_to};
            ram #(.WIDTH(64), .ADDRESS_WIDTH(STATE_WIDTH)) state_inst (
                .clk(clk), .write(state_load[c] || engine_writes_state), .write_address(state_to[STATE_WIDTH-1:0]),
                .write_data(state_load[c] ? state_load_data[64*c +: 64] : engine_state_data[64*c +: 64]),
                .read_address(state_at[STATE_WIDTH-1:0]), .read_data(state_q[64*c +: 64])
            );
        end
    endgenerate

    always @(posedge clk) begin
        running_reg <= (running_reg || run_start) && !run_done;
        if (compute_rst) begin
            running_reg <= 1'b0;
        end
    end

    wire unused = &{1'b0, m_axi_bid, m_axi_rid, store_ready, run_ready, load_address, fields, compute};

endmodule

`resetall
