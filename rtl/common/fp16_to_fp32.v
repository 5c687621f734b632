// SPDX-License-Identifier: Apache-2.0
// y = a, binary16 to binary32: exact; every NaN becomes the canonical 7fc00000. Combinational.

`resetall
`default_nettype none

module fp16_to_fp32 (
    input  wire [15:0] a,
    output reg  [31:0] y
);

    // a subnormal number's leading one to bit 10
    reg [10:0] norm;
    reg [3:0]  zeros;
    integer i;
    always @* begin
        norm  = {1'b0, a[9:0]};
        zeros = 4'd0;
        for (i = 8; i > 0; i = i >> 1) begin
            if (norm >> (11 - i) == 11'd0) begin
                norm  = norm << i;
                zeros = zeros + i[3:0];
            end
        end
    end

    always @* begin
        if (&a[14:10]) begin
            y = |a[9:0] ? 32'h7fc00000 : {a[15], 8'hff, 23'd0};
        end else if (|a[14:10]) begin
            y = {a[15], {3'd0, a[14:10]} + 8'd112, a[9:0], 13'd0};
        end else if (|a[9:0]) begin
            y = {a[15], 8'd113 - {4'd0, zeros}, norm[9:0], 13'd0};
        end else begin
            y = {a[15], 31'd0};
        end
    end

endmodule

`resetall
