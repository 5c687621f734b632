// SPDX-License-Identifier: Apache-2.0
// Streams operands through an arithmetic unit, one a cycle, and writes its results.
// stdin: pairs of 32-bit words (a, b); stdout: one 32-bit word each. TOP, TOP_HEADER: the verilated unit; LATENCY:
// cycles from operands to result; HAS_B, HAS_CLOCK: ports it has. With HAS_CLOCK, every third cycle ce is low and the
// operands are junk: the result must not change.
#include "bench.h"

int main(int argc, char** argv) {
    open_wave(argc, argv);
    std::vector<uint32_t> in;
    uint32_t words[4096];
    for (size_t n; (n = fread(words, 4, 4096, stdin)) > 0;) in.insert(in.end(), words, words + n);
    const size_t count = in.size() / 2;
    std::vector<uint32_t> out(count);
    for (size_t i = 0; i < count + LATENCY; i++) {
#ifdef HAS_CLOCK
        if (i % 3 == 2) {
            top.ce = 0;
            top.a = 0x7fff ^ i;
            clock_edge(0);
            clock_edge(1);
        }
        top.ce = 1;
        top.clk = 0;
#endif
        const size_t at = i < count ? i : count - 1;
        top.a = in[2 * at];
#ifdef HAS_B
        top.b = in[2 * at + 1];
#endif
        settle();
        if (i >= LATENCY) out[i - LATENCY] = top.y;
#ifdef HAS_CLOCK
        clock_edge(1);
#endif
    }
    fwrite(out.data(), 4, count, stdout);
    close_wave(argc, argv);
    return 0;
}
