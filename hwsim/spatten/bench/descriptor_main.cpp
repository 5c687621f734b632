// SPDX-License-Identifier: Apache-2.0
// Gives descriptors to head_check, or with QUERY to query_check. stdin: fields in 32-bit words, addresses in two, as below;
// stdout: a word each, whether it is legal.
#include "bench.h"

int main(int argc, char** argv) {
    open_wave(argc, argv);
#ifdef QUERY
    const size_t words = 9;
#else
    const size_t words = 17;
#endif
    uint32_t w[17];
    while (fread(w, 4, words, stdin) == words) {
        auto address = [&](size_t at) { return w[at] | uint64_t(w[at + 1]) << 32; };
#ifdef QUERY
        top.address = address(0);
        top.count = w[2];
        top.keep = w[3];
        top.keys = w[4];
        top.dimension = w[5];
        top.query_bits = w[6];
        top.value_bits = w[7];
        top.shared = w[8];
#else
        top.key_address = address(0);
        top.lsb_address = address(2);
        top.value_address = address(4);
        top.list = w[6];
        top.count = w[7];
        top.dimension = w[8];
        top.query_bits = w[9];
        top.key_bits = w[10];
        top.lsb_bits = w[11];
        top.value_bits = w[12];
        top.shared = w[13];
        top.queries = w[14];
        top.scale = w[15];
        top.limit_sign = w[16] >> 31;
#endif
        settle();
        const uint32_t legal = top.legal;
        fwrite(&legal, 4, 1, stdout);
    }
    close_wave(argc, argv);
    return 0;
}
