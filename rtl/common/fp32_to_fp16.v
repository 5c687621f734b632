// SPDX-License-Identifier: Apache-2.0
// y = a, binary32 to binary16: round to nearest even, subnormal results in full, too large becomes infinity, every NaN
// the canonical 7e00. Combinational.

`resetall
`default_nettype none

module fp32_to_fp16 (
    input  wire [31:0] a,
    output reg  [15:0] y
);

    // below binary16's exponent 1 (binary32's 113) the significand moves right
    wire [7:0]  e      = a[30:23];
    wire [7:0]  below  = e >= 8'd113 ? 8'd0 : 8'd113 - e;
    wire [4:0]  right  = below > 8'd25 ? 5'd25 : below[4:0];
    wire [48:0] moved  = {|e, a[22:0], 25'd0} >> right;
    wire [10:0] kept   = moved[48:38];
    wire        up     = moved[37] && (|moved[36:0] || kept[0]);
    wire [7:0]  field  = kept[10] ? e - 8'd112 : 8'd0;
    wire [17:0] rounded = {field, kept[9:0]} + {17'd0, up};

    always @* begin
        if (&e) begin
            y = |a[22:0] ? 16'h7e00 : {a[31], 5'h1f, 10'd0};
        end else if (rounded[17:10] >= 8'd31) begin
            y = {a[31], 5'h1f, 10'd0};
        end else begin
            y = {a[31], rounded[14:0]};
        end
    end

endmodule

`resetall
