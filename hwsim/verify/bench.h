// SPDX-License-Identifier: Apache-2.0
// What the C++ sides share: the verilated module, its clock, and a waveform when built with TRACE (the program's argument
// names its file) or coverage when built with COVERAGE (likewise).
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>
#include "defines.h"
#include TOP_HEADER
#include "verilated.h"
#ifdef TRACE
#include "verilated_fst_c.h"
#endif
#ifdef COVERAGE
#include "verilated_cov.h"
#endif

// random bytes and junk words for what nobody may look at, from a seed of the case's own (never 0)
static uint32_t rng = 1;
static uint32_t junk() {
    rng ^= rng << 13;
    rng ^= rng >> 17;
    rng ^= rng << 5;
    return rng;
}
static uint32_t draw() { return (junk() >> 8) & 255; }
static void fill_junk(void* data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) static_cast<uint8_t*>(data)[i] = uint8_t(draw());
}

// never destroyed: Verilator's own statics may go first
static TOP& top = *new TOP;
#ifdef TRACE
static VerilatedFstC& wave = *new VerilatedFstC;
static uint64_t wave_time = 0;
#endif

static void open_wave(int argc, char** argv) {
    (void)argc, (void)argv;
#ifdef TRACE
    Verilated::traceEverOn(true);
    top.trace(&wave, 99);
    wave.open(argv[argc - 1]);
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
