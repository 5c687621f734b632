// SPDX-License-Identifier: Apache-2.0
// Runs commands of the STCE, with the buffers in this program: a read is answered in the next cycle with the word as it
// was before that cycle's write; an address beyond the image is answered with junk.
// stdin, for each command: its fields (FIELDS 32-bit words), west, north and output words, idle cycles before it, reset
// after (cycles; 0 never), most cycles; then the images: west [word][row][WORD] 16 bits, north [word][column] 32 bits, output
// [word][column] 32 bits. stdout: cycles from the one in which it was accepted to the one in which done is high (2^32 - 1:
// never, or a write beyond the image, or ready for another command before), the output image, and the cycle of each word's last write.
// TOP, TOP_HEADER: the verilated array; ROWS, COLS, WORD, ADDRESS_WIDTH: its parameters; SET(t, f): sets a command.
#include "bench.h"

static void reset() {
    top.rst = 1;
    top.s_cmd_valid = 0;
    clock_cycle();  // one cycle is enough
    top.rst = 0;
    top.eval();
}

int main(int argc, char** argv) {
    open_wave(argc, argv);
    top.clk = 0;
    reset();
    uint32_t f[FIELDS + 6];
    std::vector<uint16_t> west;
    std::vector<uint32_t> north, first, out, when;
    while (fread(f, 4, FIELDS + 6, stdin) == FIELDS + 6) {
        const uint32_t *h = f + FIELDS;
        west.resize(size_t(h[0]) * ROWS * WORD);
        north.resize(size_t(h[1]) * COLS);
        first.resize(size_t(h[2]) * COLS);
        if (fread(west.data(), 2, west.size(), stdin) != west.size()) return 3;
        if (fread(north.data(), 4, north.size(), stdin) != north.size()) return 3;
        if (fread(first.data(), 4, first.size(), stdin) != first.size()) return 3;
        uint32_t cycles = UINT32_MAX;
        bool beyond = false;
        uint32_t other[FIELDS], cut[FIELDS];
        rng = h[4] | 1;
        memcpy(cut, f, sizeof cut);
        if (h[4] & 1) fill_junk(cut, sizeof cut);  // what is cut off may be any command
        for (int attempt = h[4] ? 0 : 1; attempt < 2; attempt++) {  // attempt 0 is cut off by a reset
            out = first;
            beyond = false;
            when.assign(out.size(), 0);
            for (uint32_t i = 0; i < h[3]; i++) clock_cycle();
            const uint64_t limit = attempt ? h[5] : h[4];
            bool accepted = false;
            uint64_t began = 0;
            for (uint64_t t = 0; t < limit; t++) {
                top.s_cmd_valid = !accepted;
                if (accepted) {  // fields are not held after the command is taken
                    fill_junk(other, sizeof other);
                    SET(top, other);
                } else {
                    const uint32_t* fields = attempt ? f : cut;
                    SET(top, fields);
                }
                top.eval();
                if (accepted && top.done) {
                    cycles = uint32_t(t - began);
                    break;
                }
                beyond |= accepted && top.s_cmd_ready;  // one command at a time
                if (!accepted && top.s_cmd_ready) {
                    accepted = true;
                    began = t;
                }
                uint32_t wa[ROWS], na[COLS], pa[COLS];
                for (int r = 0; r < ROWS; r++) wa[r] = get_bits(top.west_address, r * ADDRESS_WIDTH, ADDRESS_WIDTH);
                uint32_t ps[COLS];
                for (int c = 0; c < COLS; c++) {
                    na[c] = get_bits(top.north_address, c * ADDRESS_WIDTH, ADDRESS_WIDTH);
                    pa[c] = get_bits(top.psum_address, c * ADDRESS_WIDTH, ADDRESS_WIDTH);
                    ps[c] = pa[c] < h[2] ? out[size_t(pa[c]) * COLS + c] : junk();
                    if (get_bits(top.result_valid, c, 1)) {
                        const uint32_t ra = get_bits(top.result_address, c * ADDRESS_WIDTH, ADDRESS_WIDTH);
                        if (ra < h[2]) {
                            out[size_t(ra) * COLS + c] = get_bits(top.result_data, c * 32, 32);
                            when[size_t(ra) * COLS + c] = uint32_t(t - began);
                        } else {
                            beyond = true;
                        }
                    }
                }
                clock_edge(1);
                for (int r = 0; r < ROWS; r++) {
                    uint8_t* word = reinterpret_cast<uint8_t*>(&top.west_data) + r * WORD * 2;
                    if (wa[r] < h[0]) {
                        memcpy(word, &west[(size_t(wa[r]) * ROWS + r) * WORD], WORD * 2);
                    } else {
                        fill_junk(word, WORD * 2);
                    }
                }
                for (int c = 0; c < COLS; c++) {
                    const uint32_t word = na[c] < h[1] ? north[size_t(na[c]) * COLS + c] : junk();
                    memcpy(reinterpret_cast<uint8_t*>(&top.north_data) + 3 * c, &word, 3);
                    memcpy(reinterpret_cast<uint8_t*>(&top.psum_data) + 4 * c, &ps[c], 4);
                }
                clock_edge(0);
            }
            if (!attempt) reset();
        }
        if (beyond) cycles = UINT32_MAX;
        top.s_cmd_valid = 0;
        clock_cycle();
        fwrite(&cycles, 4, 1, stdout);
        fwrite(out.data(), 4, out.size(), stdout);
        fwrite(when.data(), 4, when.size(), stdout);
    }
    close_wave(argc, argv);
    return 0;
}
