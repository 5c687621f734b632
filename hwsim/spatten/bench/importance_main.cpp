// SPDX-License-Identifier: Apache-2.0
// Runs commands of the top-k over importance back to back; the memory of lists is here.
// stdin, for each command, 32-bit words: first row read, first row written, count, k, seed of the random register, seed of the
// junk, share of cycles (of 256; 256 is always) in which a row is taken, reset after (cycles; 0 never), then the memory: ROWS
// rows of LIST names, and as many of importances. stdout, for each command: cycles from the one in which it was accepted to
// `done` (2^32 - 1: never, a row that did not wait until it was taken, a second command taken before), then the memory afterwards: names, importances.
// TOP, TOP_HEADER: the verilated module; NAME_WIDTH, LIST, ROWS: its sizes.
#include "bench.h"

static bool clean;  // nothing has been done since a reset

static void reset() {
    clean = true;
    top.rst = 1;
    top.s_cmd_valid = 0;
    clock_cycle();
    top.rst = 0;
}

int main(int argc, char** argv) {
    open_wave(argc, argv);
    top.clk = 0;
    reset();
    uint32_t h[8];
    const size_t size = ROWS * LIST;
    while (fread(h, 4, 8, stdin) == 8) {
        rng = h[5] | 1;
        std::vector<uint32_t> first(2 * size), memory;
        if (fread(first.data(), 4, first.size(), stdin) != first.size()) return 3;
        uint32_t cycles = UINT32_MAX;
        for (int attempt = h[7] ? 0 : 1; attempt < 2; attempt++) {  // attempt 0 is cut off by a reset
            memory = first;
            bool accepted = false, waits = false, right = true;
            uint64_t began = 0, seen = 0;
            const uint64_t limit = attempt ? 4000 + 40ull * (h[2] + 16) * (h[6] < 256 ? 20 : 1) : h[7];
            for (uint64_t t = 0; t < limit; t++) {
                top.s_cmd_valid = !accepted;
                put_bits(top.s_cmd_from, 0, ROW_WIDTH, accepted ? junk() : h[0]);
                put_bits(top.s_cmd_to, 0, ROW_WIDTH, accepted ? junk() : h[1]);
                put_bits(top.s_cmd_count, 0, COUNT_WIDTH, accepted ? junk() : h[2]);
                put_bits(top.s_cmd_k, 0, COUNT_WIDTH, accepted ? junk() : h[3]);
                top.s_cmd_seed = accepted ? junk() : h[4];
                top.m_ready = t == 0 || draw() < h[6];  // it is the cycle in which the one before was done
                settle();
                if (accepted && top.done) cycles = uint32_t(t - began);
                const bool over = accepted && top.done;
                if (!accepted && top.s_cmd_ready) {
                    accepted = true;
                    began = t;
                }
                const uint64_t now = top.m_row | uint64_t(get_bits(top.m_columns, 0, LIST)) << 16 | get_bits(top.m_names, 0, 16) << 48;
                if (t > 0 && accepted && bool(top.s_cmd_ready) != bool(top.done)) right = false;  // one at a time
                if (clean && t == 0 && top.m_valid) right = false;
                if (waits && (!top.m_valid || now != seen)) right = false;  // it must stay
                seen = now;
                waits = top.m_valid && !top.m_ready;
                const size_t row = top.src_row;  // what is read in the cycle of its write is the old word
                std::vector<uint32_t> names(&memory[LIST * row], &memory[LIST * row] + LIST);
                std::vector<uint32_t> scores(&memory[size + LIST * row], &memory[size + LIST * row] + LIST);
                if (t > 0 && top.m_valid && top.m_ready) {
                    for (size_t l = 0; l < LIST; l++) {
                        if (!get_bits(top.m_columns, l, 1)) continue;
                        memory[LIST * top.m_row + l] = uint32_t(get_bits(top.m_names, NAME_WIDTH * l, NAME_WIDTH));
                        memory[size + LIST * top.m_row + l] = uint32_t(get_bits(top.m_scores, 32 * l, 32));
                    }
                }
                if (over) break;  // the next command may come in this cycle
                clean = false;
                clock_edge(1);
                for (size_t l = 0; l < LIST; l++) {
                    put_bits(top.src_names, NAME_WIDTH * l, NAME_WIDTH, names[l]);
                    put_bits(top.src_scores, 32 * l, 32, scores[l]);
                }
                clock_edge(0);
            }
            if (!right) cycles = UINT32_MAX;
            if (!attempt) {
                reset();
                cycles = UINT32_MAX;
            }
        }
        fwrite(&cycles, 4, 1, stdout);
        fwrite(memory.data(), 4, memory.size(), stdout);
    }
    close_wave(argc, argv);
    return 0;
}
