// SPDX-License-Identifier: Apache-2.0
// Sends queries' rows of probabilities through the histogram, one query behind the other.
// stdin, for each case, 32-bit words: number of queries, seed of the junk, reset after (cycles; 0 never); for each query its
// number of probabilities, k and slot, then for each of its rows the empty cycles before it and LANES probabilities. stdout,
// for each query what was found of its slot, bin and how many are missing, then for each of the three the cycle in which it
// was there, counted from the first one of the case (all 2^32 - 1: no result). A case ends 20 cycles after its last row.
// TOP, TOP_HEADER: the verilated histogram; LANES, PROB_BITS: its sizes.
#include "bench.h"

struct Row {
    uint32_t gap, k, slot;
    bool first, last;
    std::vector<uint32_t> keys;
};

static void reset() {
    top.rst = 1;
    top.s_valid = top.s_first = top.s_last = 1;  // what comes with a reset is lost
    clock_cycle();
    top.rst = 0;
}

int main(int argc, char** argv) {
    open_wave(argc, argv);
    top.clk = 0;
    reset();
    uint32_t h[3], q[3];
    while (fread(h, 4, 3, stdin) == 3) {
        rng = h[1] | 1;
        std::vector<Row> rows;
        for (uint32_t i = 0; i < h[0]; i++) {
            if (fread(q, 4, 3, stdin) != 3) return 3;
            for (uint32_t at = 0; at < q[0]; at += LANES) {
                Row row = {0, q[1], q[2], at == 0, at + LANES >= q[0], std::vector<uint32_t>(LANES)};
                if (fread(&row.gap, 4, 1, stdin) != 1 || fread(row.keys.data(), 4, LANES, stdin) != LANES) return 3;
                rows.push_back(row);
            }
        }
        std::vector<uint32_t> found, when;
        for (int attempt = h[2] ? 0 : 1; attempt < 2; attempt++) {  // attempt 0 is cut off by a reset
            found.clear();
            when.clear();
            size_t next = 0;
            uint32_t gap = rows[0].gap, behind = 0;
            for (uint32_t t = 0; behind < 20 && (attempt || t < h[2]); t++) {
                const bool send = next < rows.size() && gap == 0;
                top.s_valid = send;
                top.s_first = send ? rows[next].first : junk() & 1;
                top.s_last = send ? rows[next].last : junk() & 1;
                const bool asks = send && rows[next].last;
                put_bits(top.s_keep, 0, COUNT_WIDTH, asks ? rows[next].k : junk());
                put_bits(top.s_slot, 0, SLOT_WIDTH, asks ? rows[next].slot : junk());
                for (uint32_t l = 0; l < LANES; l++) {
                    put_bits(top.s_probabilities, PROB_BITS * l, PROB_BITS, send ? rows[next].keys[l] : junk());
                }
                settle();
                if (top.m_valid) {
                    for (uint32_t word : {uint32_t(top.m_slot), uint32_t(top.m_bin), uint32_t(top.m_missing)}) {
                        found.push_back(word);
                        when.push_back(t);
                    }
                }
                if (send) {
                    next++;
                    gap = next < rows.size() ? rows[next].gap : 0;
                } else if (gap) {
                    gap--;
                }
                behind += next == rows.size();
                clock_edge(1);
                clock_edge(0);
            }
            if (!attempt) reset();
        }
        const bool whole = found.size() == 3 * h[0];
        if (!whole) found.assign(3 * h[0], UINT32_MAX);
        if (!whole) when.assign(3 * h[0], UINT32_MAX);
        fwrite(found.data(), 4, found.size(), stdout);
        fwrite(when.data(), 4, when.size(), stdout);
    }
    close_wave(argc, argv);
    return 0;
}
