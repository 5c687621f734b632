// SPDX-License-Identifier: Apache-2.0
// For machines without the lz4 headers: Verilator's waveform writer compresses two tables with LZ4. A block of LZ4 may
// consist of literals alone (LZ4 block format: token, length bytes, literals), which is what this writes.
#ifndef HWSIM_LZ4_H
#define HWSIM_LZ4_H
#include <cstring>

static inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

static inline int LZ4_compress_default(const char* from, char* to, int size, int room) {
    if (room < LZ4_compressBound(size)) return 0;
    unsigned char* out = reinterpret_cast<unsigned char*>(to);
    int rest = size - 15;
    *out++ = static_cast<unsigned char>((rest < 0 ? size : 15) << 4);
    if (rest >= 0) {
        for (; rest >= 255; rest -= 255) *out++ = 255;
        *out++ = static_cast<unsigned char>(rest);
    }
    memcpy(out, from, static_cast<size_t>(size));
    return static_cast<int>(out - reinterpret_cast<unsigned char*>(to)) + size;
}
#endif
