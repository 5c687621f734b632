// SPDX-License-Identifier: Apache-2.0
// Runs rows of scores through the softmax, one after the other, each in some slot that begins anywhere in the ring.
// stdin, for each row, 32-bit words: number of scores, bits of the scale, slot, seed, share of cycles in which scores come
// (of 256; 256 is always), then the scores. stdout, for each row: cycles from the first row of scores to the last of
// probabilities (2^32 - 1: some missing), the sum's bits, the probabilities (32 bits each).
// TOP, TOP_HEADER: the verilated softmax; LANES, SCORE_WIDTH, PROB_BITS, SIZE, LIST, SLOTS, SCORE_ROWS: its sizes;
// SUM_CYCLES: after which the sum is taken.
#include "bench.h"

int main(int argc, char** argv) {
    open_wave(argc, argv);
    top.clk = 0;
    top.rst = 1;
    top.exp_start = top.divide_start = top.s_valid = 0;
    clock_cycle();
    top.rst = 0;
    const uint32_t lines = SIZE / LANES;
    uint32_t h[5];
    while (fread(h, 4, 5, stdin) == 5) {
        std::vector<int32_t> scores(h[0]);
        if (fread(scores.data(), 4, h[0], stdin) != h[0]) return 3;
        rng = h[3] | 1;
        const uint32_t rows = (h[0] + LANES - 1) / LANES;
        uint32_t width = 2;  // of a row's number in the ring
        while (1u << width < SCORE_ROWS) width++;
        for (uint32_t s = 0; s < SLOTS; s++) put_bits(top.base, width * s, width, junk() % SCORE_ROWS);
        uint32_t sent = 0, got = 0, cycles = UINT32_MAX, began = 0, sum = 0;
        int64_t exp_at = -1, sum_at = -1;
        std::vector<uint32_t> found(h[0], 0);
        for (uint32_t t = 0; t < 4000 + 20 * SIZE && got < rows; t++) {
            const bool send = sent < rows && draw() < h[4];
            top.scale = h[1];
            top.s_valid = 0;
            fill_junk(&top.s_scores, sizeof top.s_scores);
            top.s_first = send && sent == 0;
            top.s_last = send && sent + 1 == rows;
            top.s_line = h[2] * lines + (send ? sent : junk() % lines);
            for (uint32_t l = 0; send && l < LANES && sent * LANES + l < h[0]; l++) {
                put_bits(top.s_valid, l, 1, 1);
                put_bits(top.s_scores, SCORE_WIDTH * l, SCORE_WIDTH, uint64_t(int64_t(scores[sent * LANES + l])));
            }
            if (send && sent++ == 0) began = t;
            if (send && sent == rows) exp_at = t + 7;
            top.exp_start = exp_at == t;
            top.exp_slot = h[2];
            top.exp_count = exp_at == t ? h[0] : 1;
            top.sum_slot = h[2];
            top.divide_start = sum_at == t;
            top.divide_slot = h[2];
            top.divide_count = sum_at == t ? h[0] : 1;
            settle();
            if (top.exp_last) sum_at = t + 1 + SUM_CYCLES;
            if (sum_at == t) sum = top.sum;
            if (top.m_valid && uint32_t(top.m_line) == h[2] * lines + got) {
                for (uint32_t l = 0; l < LANES; l++) {
                    const uint32_t p = uint32_t(get_bits(top.m_probabilities, PROB_BITS * l, PROB_BITS));
                    if (got * LANES + l < h[0]) found[got * LANES + l] = p;
                    else if (p) got = rows;  // absent ones are 0
                }
                if (++got == rows) cycles = t - began;
            }
            clock_edge(1);
            clock_edge(0);
        }
        fwrite(&cycles, 4, 1, stdout);
        fwrite(&sum, 4, 1, stdout);
        fwrite(found.data(), 4, found.size(), stdout);
    }
    close_wave(argc, argv);
    return 0;
}
