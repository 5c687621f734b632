// SPDX-License-Identifier: Apache-2.0
// Runs commands of a top-k engine back to back; the caller's memory of keys is here.
// stdin, for each command: 32-bit words count, k, two that the engine has of its own, seed of the junk, ready share (of 256;
// 256 is always), reset after (cycles; 0 never), then ceil(count / LANES) rows of LANES keys, 32 bits each. stdout, for each
// command: cycles from the one in which it was accepted to the one in which done is high (2^32 - 1: never, or rows of flags
// missing, too many or wrongly marked as last), then a byte a key: whether it is kept.
// TOP, TOP_HEADER: the verilated engine; LANES, WIDTH: its sizes; GIVE(t, a, b): sets its own two words.
#include "bench.h"

static void reset() {
    top.rst = 1;
    top.s_cmd_valid = 0;
    clock_cycle();  // one cycle is enough
    top.rst = 0;
}

int main(int argc, char** argv) {
    open_wave(argc, argv);
    top.clk = 0;
    reset();
    uint32_t h[7];
    while (fread(h, 4, 7, stdin) == 7) {
        rng = h[4] | 1;
        const size_t rows = (h[0] + LANES - 1) / LANES;
        std::vector<uint32_t> keys(rows * LANES);
        if (fread(keys.data(), 4, keys.size(), stdin) != keys.size()) return 3;
        auto row_data = top.src_data;
        std::vector<decltype(row_data)> memory;
        for (size_t i = 0; i < keys.size(); i++) {
            put_bits(row_data, WIDTH * (i % LANES), WIDTH, keys[i]);
            if (i % LANES == LANES - 1) memory.push_back(row_data);
        }
        std::vector<uint8_t> kept;
        uint32_t cycles = UINT32_MAX;
        bool framed = true;
        size_t got = 0;
        for (int attempt = h[6] ? 0 : 1; attempt < 2; attempt++) {  // attempt 0 is cut off by a reset
            kept.assign(rows * LANES, 0);
            got = 0;
            framed = true;
            bool accepted = false;
            uint64_t began = 0;
            const uint64_t limit = attempt ? 4000 + 40ull * (h[0] + 16) * (h[5] < 256 ? 20 : 1) : h[6];
            for (uint64_t t = 0; t < limit; t++) {
                top.s_cmd_valid = !accepted;
                top.s_cmd_count = accepted ? junk() : h[0];
                top.s_cmd_k = accepted ? junk() : h[1];
                const uint32_t a = accepted ? junk() : h[2], b = accepted ? junk() : h[3];
                GIVE(top, a, b);
                top.m_axis_tready = draw() < h[5];
                settle();
                if (accepted && top.done) {
                    cycles = uint32_t(t - began);
                    break;
                }
                if (!accepted && top.s_cmd_ready) {
                    accepted = true;
                    began = t;
                }
                if (top.m_axis_tvalid && top.m_axis_tready) {
                    for (size_t i = 0; i < LANES && got < rows; i++) kept[got * LANES + i] = (top.m_axis_tkeep >> i) & 1;
                    got++;
                    if (bool(top.m_axis_tlast) != (got == rows)) framed = false;
                }
                const size_t row = top.src_row;
                clock_edge(1);
                for (size_t i = 0; i < LANES; i++) put_bits(top.src_data, WIDTH * i, WIDTH, junk());
                if (row < rows) top.src_data = memory[row];
                clock_edge(0);
            }
            if (!attempt) reset();
        }
        // one that keeps nothing reads nothing
        if (got != (h[1] == 0 ? 0 : rows) || !framed) cycles = UINT32_MAX;
        fwrite(&cycles, 4, 1, stdout);
        fwrite(kept.data(), 1, h[0], stdout);
    }
    close_wave(argc, argv);
    return 0;
}
