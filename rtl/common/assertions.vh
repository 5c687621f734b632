// SPDX-License-Identifier: Apache-2.0
// What a module claims of itself. With ASSERTIONS defined, as in every bench, a claim that fails is told on stderr and stops
// the simulation; else, as in synthesis, all of it is nothing. An assertion is a line of its own; `clk` and `rst` are the
// module's.
//
//   `ASSERT(name, claim)                        in every cycle without reset
//   `ASSERT_STABLE(name, valid, ready, data)    what is offered stays, unchanged, until it is taken; nothing behind a reset
//   `ASSERT_RESET(name, claim)                  in the cycle behind a reset

`ifndef ASSERTIONS_VH
`define ASSERTIONS_VH
`ifdef ASSERTIONS
`define ASSERT_FAILED(name) else begin $fwrite(32'h80000002, "assertion %s of %m\n", `"name`"); $stop; end
`define ASSERT(name, claim) always @(posedge clk) if (!rst) assert (claim) `ASSERT_FAILED(name)
`define ASSERT_RESET(name, claim) reg name``_behind = 1'b0; always @(posedge clk) begin name``_behind <= rst; if (name``_behind && !rst) assert (claim) `ASSERT_FAILED(name) end
`define ASSERT_STABLE(name, valid, ready, data) reg name``_waits = 1'b0, name``_behind = 1'b0; reg [$bits(data)-1:0] name``_held; always @(posedge clk) begin name``_waits <= valid && !(ready) && !rst; name``_behind <= rst; name``_held <= data; if (!rst && name``_waits) assert ((valid) && name``_held == data) `ASSERT_FAILED(name) if (!rst && name``_behind) assert (!(valid)) `ASSERT_FAILED(name) end
`else
`define ASSERT(name, claim)
`define ASSERT_RESET(name, claim)
`define ASSERT_STABLE(name, valid, ready, data)
`endif
`endif
