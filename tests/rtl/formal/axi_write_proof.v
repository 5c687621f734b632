// SPDX-License-Identifier: Apache-2.0
// Claim: for every address, number of beats and way of waiting, `axi_write` takes just that many beats, gives each to the
// memory unchanged and once, at consecutive addresses, with WLAST at each burst's end; an address that waits stays; it is
// done once, when the memory answered the last burst, with an error if any answer was one.

`resetall
`default_nettype none

module axi_write_proof #(
    parameter BYTES = 512
) (
    input wire               clk,
    input wire               tvalid,
    input wire [8*BYTES-1:0] tdata,
    input wire               awready,
    input wire               wready,
    input wire               bvalid,
    input wire [1:0]         bresp
);

    // chosen once
    (* anyconst *) reg [63:0] address;
    (* anyconst *) reg [31:0] beats;

    reg        rst     = 1'b1;
    reg        started = 1'b0;
    reg [31:0] sent    = 32'd0;
    reg [31:0] left    = 32'd0;    // of the burst
    reg        waiting = 1'b0;     // for an answer
    reg        wrong   = 1'b0;
    reg        ended   = 1'b0;
    reg        stalled = 1'b0;
    reg [71:0] held;

    wire                cmd_ready, done, error, tready, awvalid, wvalid, wlast, bready;
    wire [63:0]         awaddr;
    wire [7:0]          awlen;
    wire [8*BYTES-1:0]  wdata;

    axi_write #(.BYTES(BYTES)) write_inst (
        .clk(clk), .rst(rst),
        .s_cmd_valid(!rst && !started), .s_cmd_ready(cmd_ready), .s_cmd_address(address), .s_cmd_beats(beats),
        .done(done), .error(error),
        .s_axis_tvalid(tvalid), .s_axis_tready(tready), .s_axis_tdata(tdata),
        .m_axi_awvalid(awvalid), .m_axi_awready(awready), .m_axi_awaddr(awaddr), .m_axi_awlen(awlen),
        .m_axi_wvalid(wvalid), .m_axi_wready(wready), .m_axi_wdata(wdata), .m_axi_wlast(wlast),
        .m_axi_bvalid(bvalid), .m_axi_bready(bready), .m_axi_bresp(bresp)
    );

    always @* begin
        assume (address % BYTES == 0);
        assume (beats >= 1 && beats <= 5);
        assume (!bvalid || waiting);
        if (!rst) begin
            assert (started || cmd_ready);
            assert ((wvalid && wready) == (tvalid && tready));
            assert (!wvalid || (left != 0 && wdata == tdata && wlast == (left == 1)));
            assert (!awvalid || (left == 0 && !waiting && sent < beats && awaddr == address + BYTES * sent));
            assert (!stalled || (awvalid && {awaddr, awlen} == held));
            assert (!done || (!ended && !waiting && sent == beats && error == wrong));
            assert (!(started && cmd_ready) || done || ended);
        end
    end

    always @(posedge clk) begin
        rst     <= 1'b0;
        started <= !rst;
        ended   <= ended || (!rst && done);
        stalled <= !rst && awvalid && !awready;
        held    <= {awaddr, awlen};
        if (!rst && awvalid && awready) begin
            left <= {24'd0, awlen} + 32'd1;
        end
        if (!rst && wvalid && wready) begin
            left <= left - 32'd1;
            sent <= sent + 32'd1;
            if (wlast) begin
                waiting <= 1'b1;
            end
        end
        if (!rst && bvalid && bready) begin
            waiting <= 1'b0;
            wrong   <= wrong || bresp != 2'b00;
        end
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_address_waits = stalled;
    (* keep *) wire cover_memory_waits  = !rst && wvalid && !wready;
    (* keep *) wire cover_stream_waits  = !rst && left != 0 && wready && !tvalid;
    (* keep *) wire cover_answer_waits  = !rst && waiting && bready && !bvalid;
    (* keep *) wire cover_second_burst  = !rst && awvalid && awready && sent != 0;
    (* keep *) wire cover_last          = !rst && wvalid && wready && wlast && sent != 0;
    (* keep *) wire cover_done          = !rst && done && !error && beats == 5;
    (* keep *) wire cover_error         = !rst && done && error && bresp == 2'b00;
    (* keep *) wire cover_idle_again    = !rst && ended && cmd_ready;

endmodule

`resetall
