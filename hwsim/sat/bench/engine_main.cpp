// SPDX-License-Identifier: Apache-2.0
// Runs commands of a stream engine (SORE, WUVE) back to back and counts their cycles.
// stdin, for each command: 32-bit words cfg0, cfg1, cfg2, rounds, beats in, beats out, seed, valid share, ready share
// (of 256; 256 is always), reset after (cycles; 0 never), then the input beats. stdout, for each command: cycles from the
// one in which it was accepted to the one in which done is high (2^32 - 1: never, or beats missing, too many or
// wrongly marked as last), then the output beats.
// TOP, TOP_HEADER: the verilated engine; CFG(top, a, b, c): sets its command; IN_BYTES, OUT_BYTES: of a beat.
#include "bench.h"

struct Bench {
    std::vector<uint8_t> in, out;
    size_t sent = 0, got = 0;

    void reset() {
        top.rst = 1;
        top.s_cmd_valid = 0;
        top.s_axis_tvalid = 0;
        clock_cycle();  // one cycle is enough
        top.rst = 0;
    }

    // one cycle of the streams: junk on the data while not valid; a valid beat stays until it is taken
    void streams(size_t beats, uint32_t valid_share, uint32_t ready_share) {
        const bool offer = sent < beats && (top.s_axis_tvalid || draw() < valid_share);
        top.s_axis_tvalid = offer;
        if (offer) {
            memcpy(&top.s_axis_tdata, &in[sent * IN_BYTES], IN_BYTES);
        } else {
            fill_junk(&top.s_axis_tdata, IN_BYTES);
        }
        top.m_axis_tready = draw() < ready_share;
        top.eval();
    }
};

int main(int argc, char** argv) {
    open_wave(argc, argv);
    Bench b;
    top.clk = 0;
    b.reset();
    uint32_t h[10];
    while (fread(h, 4, 10, stdin) == 10) {
        rng = h[6] | 1;
        b.in.assign(size_t(h[4]) * IN_BYTES, 0);
        if (fread(b.in.data(), 1, b.in.size(), stdin) != b.in.size()) return 3;
        uint32_t cycles = UINT32_MAX;
        bool framed = true;  // tlast on the last output beat and on no other
        for (int attempt = h[9] ? 0 : 1; attempt < 2; attempt++) {  // attempt 0 is cut off by a reset
            b.out.assign(size_t(h[5]) * OUT_BYTES, 0);
            b.sent = b.got = 0;
            const uint64_t limit = attempt ? 1000 + 600ull * (h[4] + h[5] + 64) : h[9];
            bool accepted = false;
            framed = true;
            uint64_t began = 0;
            for (uint64_t t = 0; t < limit; t++) {
                top.s_cmd_valid = !accepted;
                if (accepted) {  // a command is not held after it was taken
                    CFG(top, junk(), junk(), junk());
                    top.s_cmd_rounds = junk();
                } else {
                    CFG(top, h[0], h[1], h[2]);
                    top.s_cmd_rounds = attempt ? h[3] : h[3] + (junk() & junk());  // one that is cut off may be long
                }
                b.streams(h[4], h[7], h[8]);
                if (accepted && top.done) {
                    cycles = uint32_t(t - began);
                    break;
                }
                if (!accepted && top.s_cmd_ready) {
                    accepted = true;
                    began = t;
                }
                const bool taken = top.s_axis_tvalid && top.s_axis_tready;
                if (top.m_axis_tvalid && top.m_axis_tready) {
                    if (b.got < h[5]) memcpy(&b.out[b.got * OUT_BYTES], &top.m_axis_tdata, OUT_BYTES);
                    b.got++;
                    if (bool(top.m_axis_tlast) != (b.got == h[5])) framed = false;
                }
                clock_cycle();
                if (taken) {
                    b.sent++;
                    top.s_axis_tvalid = 0;
                }
            }
            if (!attempt) b.reset();
        }
        if (b.got != h[5] || b.sent != h[4] || !framed) cycles = UINT32_MAX;
        fwrite(&cycles, 4, 1, stdout);
        fwrite(b.out.data(), 1, b.out.size(), stdout);
        top.s_axis_tvalid = 0;
    }
    close_wave(argc, argv);
    return 0;
}
