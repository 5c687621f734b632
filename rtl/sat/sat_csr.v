// SPDX-License-Identifier: Apache-2.0
// Control and status registers of sat_core, AXI4-Lite, 32 bits. One access at a time; writes need all four byte strobes.
//
//   00 ID         "SAT1"                          04 CONTROL   write 1: start
//   08 STATUS     busy, done, error               0c ERROR     code 7:0, command 31:8
//   10 PROGRAM    address, low word               14 PROGRAM   address, high word
//   18 COMMANDS   how many                        1c SHAPE     rows 15:0, columns 31:16
//   20 WORD       activations of a west word      40 + 8 i     counter i, low and high word
// Anything else, and a write while busy, is answered with SLVERR and changes nothing.

`resetall
`default_nettype none
`include "assertions.vh"

module sat_csr #(
    parameter ROWS = 32,
    parameter COLS = 32,
    parameter WORD = 16,
    parameter COUNTERS = 6
) (
    input  wire                   clk,
    input  wire                   rst,

    input  wire                   s_axil_awvalid,
    output wire                   s_axil_awready,
    input  wire [7:0]             s_axil_awaddr,
    input  wire                   s_axil_wvalid,
    output wire                   s_axil_wready,
    input  wire [31:0]            s_axil_wdata,
    input  wire [3:0]             s_axil_wstrb,
    output wire                   s_axil_bvalid,
    input  wire                   s_axil_bready,
    output wire [1:0]             s_axil_bresp,
    input  wire                   s_axil_arvalid,
    output wire                   s_axil_arready,
    input  wire [7:0]             s_axil_araddr,
    output wire                   s_axil_rvalid,
    input  wire                   s_axil_rready,
    output wire [31:0]            s_axil_rdata,
    output wire [1:0]             s_axil_rresp,

    output wire                   start,
    output wire [63:0]            program_address,
    output wire [31:0]            program_commands,
    input  wire                   busy,
    input  wire                   finished,
    input  wire [7:0]             error_code,
    input  wire [23:0]            error_command,
    input  wire [64*COUNTERS-1:0] counters
);

    localparam [31:0] ID = 32'h53415431;

    reg        bvalid_reg, rvalid_reg, berror_reg, rerror_reg, start_reg;
    reg [31:0] rdata_reg;
    reg [63:0] address_reg;
    reg [31:0] commands_reg;

    // a write is taken when address and data are there and the last response has gone
    wire write = s_axil_awvalid && s_axil_wvalid && !bvalid_reg;
    wire read  = s_axil_arvalid && !rvalid_reg;
    wire legal = !busy && !start_reg && s_axil_wstrb == 4'hf;

    assign s_axil_awready = write;
    assign s_axil_wready  = write;
    assign s_axil_bvalid  = bvalid_reg;
    assign s_axil_bresp   = {berror_reg, 1'b0};
    assign s_axil_arready = !rvalid_reg;
    assign s_axil_rvalid  = rvalid_reg;
    assign s_axil_rdata   = rdata_reg;
    assign s_axil_rresp   = {rerror_reg, 1'b0};

    assign start            = start_reg;
    assign program_address  = address_reg;
    assign program_commands = commands_reg;

    reg [31:0] value;
    reg        known;
    integer i;
    always @* begin
        value = 32'd0;
        known = 1'b0;
        for (i = 0; i < 2*COUNTERS; i = i + 1) begin
            if ({24'd0, s_axil_araddr} == 64 + 4*i) begin
                value = counters[32*i +: 32];
                known = 1'b1;
            end
        end
        case (s_axil_araddr)
            8'h00: {known, value} = {1'b1, ID};
            8'h08: {known, value} = {1'b1, 29'd0, error_code != 8'd0, finished, busy || start_reg};
            8'h0c: {known, value} = {1'b1, error_command, error_code};
            8'h10: {known, value} = {1'b1, address_reg[31:0]};
            8'h14: {known, value} = {1'b1, address_reg[63:32]};
            8'h18: {known, value} = {1'b1, commands_reg};
            8'h1c: {known, value} = {1'b1, COLS[15:0], ROWS[15:0]};
            8'h20: {known, value} = {1'b1, WORD[31:0]};
            default: ;
        endcase
    end

    always @(posedge clk) begin
        start_reg <= 1'b0;
        if (s_axil_bready) begin
            bvalid_reg <= 1'b0;
        end
        if (write) begin
            bvalid_reg <= 1'b1;
            berror_reg <= !legal;
            case (s_axil_awaddr)
                8'h04: start_reg <= legal && s_axil_wdata[0];
                8'h10: address_reg[31:0] <= legal ? s_axil_wdata : address_reg[31:0];
                8'h14: address_reg[63:32] <= legal ? s_axil_wdata : address_reg[63:32];
                8'h18: commands_reg <= legal ? s_axil_wdata : commands_reg;
                default: berror_reg <= 1'b1;
            endcase
        end
        if (s_axil_rready) begin
            rvalid_reg <= 1'b0;
        end
        if (read) begin
            rvalid_reg <= 1'b1;
            rdata_reg  <= value;
            rerror_reg <= !known;
        end

        if (rst) begin
            bvalid_reg   <= 1'b0;
            rvalid_reg   <= 1'b0;
            start_reg    <= 1'b0;
            address_reg  <= 64'd0;
            commands_reg <= 32'd0;
        end
    end

    `ASSERT_STABLE(answer_stays, s_axil_bvalid, s_axil_bready, s_axil_bresp)
    `ASSERT_STABLE(value_stays, s_axil_rvalid, s_axil_rready, {s_axil_rdata, s_axil_rresp})
    `ASSERT(started_idle, !(start && busy))

endmodule

`resetall
