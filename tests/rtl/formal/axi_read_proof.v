// SPDX-License-Identifier: Apache-2.0
// Claim: for every address, number of beats and way of waiting, `axi_read` asks for just that many beats at consecutive
// addresses, passes each on unchanged and once; an address that waits stays; it is done once, after the last beat, with an
// error if any beat's response was one.

`resetall
`default_nettype none

module axi_read_proof #(
    parameter BYTES = 512
) (
    input wire               clk,
    input wire               arready,
    input wire               rvalid,
    input wire [8*BYTES-1:0] rdata,
    input wire [1:0]         rresp
);

    // chosen once
    (* anyconst *) reg [63:0] address;
    (* anyconst *) reg [31:0] beats;

    reg        rst     = 1'b1;
    reg        started = 1'b0;
    reg [31:0] got     = 32'd0;
    reg [31:0] left    = 32'd0;    // of the burst
    reg        wrong   = 1'b0;
    reg        ended   = 1'b0;
    reg        stalled = 1'b0;
    reg [71:0] held;

    wire                cmd_ready, done, error, beat_valid, arvalid, rready;
    wire [63:0]         araddr;
    wire [7:0]          arlen;
    wire [8*BYTES-1:0]  beat;

    axi_read #(.BYTES(BYTES)) read_inst (
        .clk(clk), .rst(rst),
        .s_cmd_valid(!rst && !started), .s_cmd_ready(cmd_ready), .s_cmd_address(address), .s_cmd_beats(beats),
        .done(done), .error(error),
        .beat_valid(beat_valid), .beat(beat),
        .m_axi_arvalid(arvalid), .m_axi_arready(arready), .m_axi_araddr(araddr), .m_axi_arlen(arlen),
        .m_axi_rvalid(rvalid), .m_axi_rready(rready), .m_axi_rdata(rdata), .m_axi_rresp(rresp),
        .m_axi_rlast(left == 1)
    );

    always @* begin
        assume (address % BYTES == 0);
        assume (beats >= 1 && beats <= 5);
        assume (!rvalid || left != 0);
        if (!rst) begin
            assert (started || cmd_ready);
            assert (left == 0 || rready);
            assert (beat_valid == (rvalid && rready) && (!beat_valid || beat == rdata));
            assert (!arvalid || (left == 0 && got < beats && araddr == address + BYTES * got));
            assert (!stalled || (arvalid && {araddr, arlen} == held));
            assert (!done || (!ended && got == beats && error == wrong));
            assert (!(started && cmd_ready) || done || ended);
        end
    end

    always @(posedge clk) begin
        rst     <= 1'b0;
        started <= !rst;
        ended   <= ended || (!rst && done);
        stalled <= !rst && arvalid && !arready;
        held    <= {araddr, arlen};
        if (!rst && arvalid && arready) begin
            left <= {24'd0, arlen} + 32'd1;
        end
        if (!rst && rvalid && rready) begin
            left  <= left - 32'd1;
            got   <= got + 32'd1;
            wrong <= wrong || rresp != 2'b00;
        end
    end

    // each must happen, or the claim says less than it seems
    (* keep *) wire cover_address_waits = stalled;
    (* keep *) wire cover_beat_waits    = !rst && left != 0 && !rvalid;
    (* keep *) wire cover_second_burst  = !rst && arvalid && arready && got != 0;
    (* keep *) wire cover_done          = !rst && done && !error && beats == 5;
    (* keep *) wire cover_error         = !rst && done && error && rresp == 2'b00;
    (* keep *) wire cover_idle_again    = !rst && ended && cmd_ready;

endmodule

`resetall
