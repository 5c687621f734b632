// SPDX-License-Identifier: Apache-2.0
// Runs commands of local value pruning back to back; the slots' probabilities and the ring of tokens are here.
// stdin, for each command, 32-bit words: slot, count, how many to keep, first row of the list, two that the engine has of its
// own, seed of the junk, reset after (cycles; 0 never), then ceil(count / LIST) rows of LIST probabilities and as many of
// tokens. stdout, for each command: cycles from its start to `chosen` (2^32 - 1: never, or of another slot, or written where
// nothing may be), then for each key of those rows its flag as written (2: not written), then the tokens and the
// probabilities of what was kept, as they were written in the lines of the slot (2^32 - 1: not written), 32 bits each.
// TOP, TOP_HEADER: the verilated module; PROB_BITS, TOKEN_WIDTH, SIZE, LIST: its sizes; GIVE(t, a, b): sets its two words.
#include "bench.h"

static void reset() {
    top.rst = 1;
    top.start = 0;
    clock_cycle();
    top.rst = 0;
}

int main(int argc, char** argv) {
    open_wave(argc, argv);
    top.clk = 0;
    reset();
    const uint32_t lines = SIZE / LIST;
    uint32_t h[8];
    while (fread(h, 4, 8, stdin) == 8) {
        rng = h[6] | 1;
        const uint32_t rows = (h[1] + LIST - 1) / LIST, size = rows * LIST;
        std::vector<uint32_t> prob(size), tokens(size);
        if (fread(prob.data(), 4, size, stdin) != size || fread(tokens.data(), 4, size, stdin) != size) return 3;
        std::vector<uint32_t> flags, kept_tokens, kept_prob;
        uint32_t cycles = UINT32_MAX;
        for (int attempt = h[7] ? 0 : 1; attempt < 2; attempt++) {  // attempt 0 is cut off by a reset
            flags.assign(size, 2);
            kept_tokens.assign(size, UINT32_MAX);
            kept_prob.assign(size, UINT32_MAX);
            bool right = true, over = false;
            for (uint32_t t = 0; t < (attempt ? 40 * SIZE + 400 : h[7]); t++) {
                top.start = t == 0;
                put_bits(top.s_slot, 0, SLOT_WIDTH, t == 0 ? h[0] : junk());
                put_bits(top.s_count, 0, COUNT_WIDTH, t == 0 ? h[1] : junk());
                put_bits(top.s_keep, 0, COUNT_WIDTH, t == 0 ? h[2] : junk());
                put_bits(top.s_list, 0, LIST_WIDTH, t == 0 ? h[3] : junk());
                const uint32_t a = t == 0 ? h[4] : junk(), b = t == 0 ? h[5] : junk();
                GIVE(top, a, b);
                settle();
                if (t == 0 && !top.free) right = false;
                if (t > 0 && (top.flags_write || top.kept_write)) {
                    for (uint32_t l = 0; l < LIST; l++) {
                        const uint32_t flag_at = (top.flags_line % lines) * LIST + l, at = (top.kept_line % lines) * LIST + l;
                        if (top.flags_write >> l & 1) {
                            if (top.flags_line / lines != h[0] || flag_at >= size) right = false;
                            else flags[flag_at] = top.flags >> l & 1;
                        }
                        if (top.kept_write >> l & 1) {
                            if (top.kept_line / lines != h[0] || at >= size) right = false;
                            else kept_tokens[at] = uint32_t(get_bits(top.kept_tokens, TOKEN_WIDTH * l, TOKEN_WIDTH));
                            if (at < size) kept_prob[at] = uint32_t(get_bits(top.kept_probabilities, PROB_BITS * l, PROB_BITS));
                        }
                    }
                }
                if (top.chosen && t > 0) {
                    over = true;
                    cycles = t;
                    if (top.slot != h[0]) right = false;
                }
                if (over) break;  // the next command may come in this cycle
                const uint32_t line = top.line, list = top.list_row;
                clock_edge(1);
                for (uint32_t l = 0; l < LIST; l++) {
                    const uint32_t at = (line % lines) * LIST + l, of = (list + 2 * lines - h[3]) % (2 * lines) * LIST + l;
                    const bool has = line / lines == h[0] && at < size, names = of < size;
                    put_bits(top.probabilities, PROB_BITS * l, PROB_BITS, has ? prob[at] : junk());
                    put_bits(top.tokens, TOKEN_WIDTH * l, TOKEN_WIDTH, names ? tokens[of] : junk());
                }
                clock_edge(0);
            }
            if (!right || !over) cycles = UINT32_MAX;
            if (!attempt) reset();
        }
        fwrite(&cycles, 4, 1, stdout);
        fwrite(flags.data(), 4, size, stdout);
        fwrite(kept_tokens.data(), 4, size, stdout);
        fwrite(kept_prob.data(), 4, size, stdout);
    }
    close_wave(argc, argv);
    return 0;
}
