// SPDX-License-Identifier: Apache-2.0
// What the C++ sides share: the verilated module, its clock, and a waveform when built with TRACE (the program's argument
// names its file), only its bits' changes with ACTIVITY too, or coverage when built with COVERAGE (likewise).
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
#include "defines.h"
#include TOP_HEADER
#include "verilated.h"
#ifdef ACTIVITY
#include "activity.h"
#elif defined(TRACE)
#include "verilated_fst_c.h"
#endif
#ifdef COVERAGE
#include "verilated_cov.h"
#endif

// random bytes and junk words for what nobody may look at, from a seed of the case's own (never 0); where switching is
// recorded they are 0: a port that is idle stands still
static uint32_t rng = 1;
static uint32_t junk() {
#ifdef ACTIVITY
    return 0;
#endif
    rng ^= rng << 13;
    rng ^= rng >> 17;
    rng ^= rng << 5;
    return rng;
}
static uint32_t draw() { return (junk() >> 8) & 255; }
static void fill_junk(void* data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) static_cast<uint8_t*>(data)[i] = uint8_t(draw());
}

// bits of a port, however wide it is; `get_bits` at most 64 of them
template <class T> static uint64_t get_bits(const T& signal, size_t at, size_t width) {
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&signal);
    uint64_t value = 0;
    for (size_t i = 0; i < width; i += 8) {
        const size_t place = at + i, byte = place / 8;
        uint32_t two = bytes[byte];
        if (byte + 1 < sizeof(T)) two |= uint32_t(bytes[byte + 1]) << 8;
        value |= uint64_t((two >> place % 8) & 255) << i;
    }
    return width < 64 ? value & ((uint64_t(1) << width) - 1) : value;
}

template <class T> static void put_bits(T& signal, size_t at, size_t width, uint64_t value) {
    uint8_t* bytes = reinterpret_cast<uint8_t*>(&signal);
    for (size_t i = 0; i < width; i++) {
        const uint8_t bit = uint8_t(1u << (at + i) % 8);
        uint8_t& byte = bytes[(at + i) / 8];
        byte = (value >> i) & 1 ? byte | bit : byte & ~bit;
    }
}

// the module with random bits in every register, so that one that no reset reaches shows (built with --x-initial unique);
// zeros where switching is recorded. HWSIM_INITIAL_SEED: other bits
static TOP& made() {
#ifndef ACTIVITY
    const char* seed = getenv("HWSIM_INITIAL_SEED");
    Verilated::randReset(2);
    Verilated::randSeed(seed ? 1 + atoi(seed) : 1);
#endif
    return *new TOP;
}

// never destroyed: Verilator's own statics may go first
static TOP& top = made();
#ifdef ACTIVITY
static VerilatedVcdC& wave = *new VerilatedVcdC(new ActivityFile);
#elif defined(TRACE)
static VerilatedFstC& wave = *new VerilatedFstC;
#endif
#ifdef TRACE
static uint64_t wave_time = 0;
#endif

static void open_wave(int argc, char** argv) {
    (void)argc, (void)argv;
#ifdef TRACE
    Verilated::traceEverOn(true);
    top.trace(&wave, 99);
    wave.open(argv[argc - 1]);
#endif
#ifdef HAS_CLOCK
    top.clk = 0;
    top.eval();  // else the first edge is not seen, and with it a reset of one cycle
#endif
}

static void close_wave(int argc, char** argv) {
    (void)argc, (void)argv;
#ifdef TRACE
    wave.close();
#endif
#ifdef COVERAGE
    Verilated::threadContextp()->coveragep()->write(argv[argc - 1]);
#endif
}

static void settle() {
    top.eval();
#ifdef TRACE
    wave.dump(wave_time++);
#endif
}

#ifdef HAS_CLOCK
static void clock_edge(int level) {
    top.clk = level;
    settle();
}

static void clock_cycle() {
    clock_edge(1);
    clock_edge(0);
}
#endif
