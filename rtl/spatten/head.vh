// SPDX-License-Identifier: Apache-2.0
// Where a head descriptor's fields begin, from its lowest bit. Behind the count (COUNT_WIDTH bits) are the list's place
// (LIST_WIDTH bits), then the addresses of values, LSBs and keys (ADDRESS_WIDTH bits each).

`ifndef HEAD_VH
`define HEAD_VH
`define HEAD_LIMIT 6
`define HEAD_SCALE 38
`define HEAD_SHARED 70
`define HEAD_VALUE_BITS 71
`define HEAD_LSB_BITS 74
`define HEAD_KEY_BITS 77
`define HEAD_QUERY_BITS 80
`define HEAD_DIMENSION 83
`define HEAD_COUNT 85
`endif
