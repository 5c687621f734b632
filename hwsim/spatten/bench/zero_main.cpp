// SPDX-License-Identifier: Apache-2.0
// Streams beats through the zero eliminator. stdin, for each case: 32-bit words beats, seed, valid share, ready share (of
// 256; 256 is always), then the beats: LANES keep bytes and LANES 32-bit elements each. stdout, for each case: cycles from
// the first beat's to the last result's (2^32 - 1: not all came, or too many), then for each beat a count and LANES
// elements, 32 bits each.
#include "bench.h"

int main(int argc, char** argv) {
    open_wave(argc, argv);
    top.clk = 0;
    top.rst = 1;
    top.s_axis_tvalid = 0;
    clock_cycle();
    top.rst = 0;
    uint32_t h[4];
    while (fread(h, 4, 4, stdin) == 4) {
        rng = h[1] | 1;
        const size_t count = h[0];
        std::vector<uint8_t> in(count * 5 * LANES);
        if (fread(in.data(), 1, in.size(), stdin) != in.size()) return 3;
        std::vector<uint32_t> out(count * (LANES + 1));
        size_t sent = 0, got = 0;
        uint32_t cycles = UINT32_MAX;
        uint64_t began = 0;
        bool first = true, extra = false;
        top.s_axis_tvalid = 0;
        for (uint64_t t = 0; t < 1000 + 600ull * count; t++) {
            const bool offer = sent < count && (top.s_axis_tvalid || draw() < h[2]);
            top.s_axis_tvalid = offer;
            if (offer) {
                const uint8_t* beat = &in[sent * 5 * LANES];
                uint64_t keep = 0;
                for (size_t i = 0; i < LANES; i++) keep |= uint64_t(beat[i] != 0) << i;
                top.s_axis_tkeep = keep;
                memcpy(&top.s_axis_tdata, beat + LANES, 4 * LANES);
            } else {
                top.s_axis_tkeep = junk() & (LANES < 32 ? (1u << LANES) - 1 : ~0u);
                fill_junk(&top.s_axis_tdata, 4 * LANES);
            }
            top.m_axis_tready = draw() < h[3];
            settle();
            if (top.m_axis_tvalid && top.m_axis_tready) {
                if (got < count) {
                    out[got * (LANES + 1)] = top.m_axis_tcount;
                    memcpy(&out[got * (LANES + 1) + 1], &top.m_axis_tdata, 4 * LANES);
                } else {
                    extra = true;
                }
                if (++got == count) cycles = uint32_t(t - began);
            }
            const bool taken = top.s_axis_tvalid && top.s_axis_tready;
            if (taken && first) {
                began = t;
                first = false;
            }
            clock_cycle();
            if (taken) {
                sent++;
                top.s_axis_tvalid = 0;
            }
            if (got == count && t > began + cycles + 3) break;
        }
        if (extra) cycles = UINT32_MAX;
        fwrite(&cycles, 4, 1, stdout);
        fwrite(out.data(), 4, out.size(), stdout);
    }
    close_wave(argc, argv);
    return 0;
}
