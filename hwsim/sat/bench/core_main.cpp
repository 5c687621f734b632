// SPDX-License-Identifier: Apache-2.0
// Runs programs on sat_core: an AXI4 memory and an AXI4-Lite host in this program.
// stdin, for each program, 32-bit words: bytes of memory, its address (two words) and the program's, commands, read and
// write response time (as MemoryTiming), shares of cycles (of 256; 256 is always) in which the memory accepts addresses
// and write data, and gives beats; seed, reset after (cycles; 0 never), most cycles; then the memory (responses outside it
// are SLVERR). stdout: cycles (counter), then status (error code | command << 8), cycles of RUN, REDUCE and UPDATE,
// beats read and written, bad (protocol violations seen), and the memory. 2^32 - 1 cycles: never finished.
// TOP, TOP_HEADER: the verilated core; BYTES: of a beat; SHAPE: what register 1c must say.
#include "bench.h"

struct Memory {
    std::vector<uint8_t> bytes;
    uint64_t base = 0;
    uint32_t read_time, write_time, address_share, data_share;
    uint32_t bad = 0;
    // the burst being read: address, beats left, cycles until the first
    bool reading = false, writing = false, offering = false;
    uint64_t read_at = 0, write_at = 0;
    uint32_t read_left = 0, read_wait = 0, write_left = 0, write_wait = 0;
    bool write_fault = false;

    void start(uint32_t size) {
        bytes.assign(size, 0);
        reading = writing = offering = false;
        bad = 0;
        top.m_axi_rvalid = top.m_axi_bvalid = 0;
    }

    bool inside(uint64_t address) const { return address - base < bytes.size() && bytes.size() - (address - base) >= BYTES; }

    // what the memory drives in this cycle
    void drive() {
        top.m_axi_arready = !reading && draw() < address_share;
        top.m_axi_awready = !writing && draw() < address_share;
        top.m_axi_wready = writing && write_left && draw() < data_share;
        offering = reading && !read_wait && (offering || draw() < data_share);
        if (offering) {
            top.m_axi_rvalid = 1;
            const bool ok = inside(read_at);
            if (ok) memcpy(&top.m_axi_rdata, &bytes[read_at - base], BYTES);
            else fill_junk(&top.m_axi_rdata, BYTES);
            top.m_axi_rresp = ok ? 0 : 2;
            top.m_axi_rlast = read_left == 1;
        } else {
            top.m_axi_rvalid = 0;
            fill_junk(&top.m_axi_rdata, BYTES);
            top.m_axi_rlast = draw() & 1;
            top.m_axi_rresp = 3;
        }
        top.m_axi_bvalid = writing && !write_left && !write_wait;
        top.m_axi_bresp = top.m_axi_bvalid ? (write_fault ? 2 : 0) : 3;
    }

    // what happens at the end of the cycle
    void take() {
        if (read_wait) read_wait--;
        if (writing && !write_left && write_wait) write_wait--;
        if (top.m_axi_rvalid && top.m_axi_rready) {
            read_at += BYTES;
            if (--read_left == 0) reading = false;
            offering = false;
        }
        if (top.m_axi_arvalid && top.m_axi_arready) {
            reading = true;
            read_at = top.m_axi_araddr;
            read_left = uint32_t(top.m_axi_arlen) + 1;
            read_wait = read_time - 1;
            check(read_at, read_left, top.m_axi_arsize, top.m_axi_arburst);
        }
        if (top.m_axi_wvalid && top.m_axi_wready) {
            if (inside(write_at)) memcpy(&bytes[write_at - base], &top.m_axi_wdata, BYTES);
            else write_fault = true;
            write_at += BYTES;
            write_left--;
            if (bool(top.m_axi_wlast) != (write_left == 0)) bad++;
            write_wait = write_time - 1;
        }
        if (top.m_axi_awvalid && top.m_axi_awready) {
            writing = true;
            write_fault = false;
            write_at = top.m_axi_awaddr;
            write_left = uint32_t(top.m_axi_awlen) + 1;
            check(write_at, write_left, top.m_axi_awsize, top.m_axi_awburst);
        } else if (top.m_axi_bvalid && top.m_axi_bready) {
            writing = false;
        }
    }

    void check(uint64_t address, uint32_t beats, uint32_t size, uint32_t burst) {
        if (address % BYTES || (1u << size) != BYTES || burst != 1) bad++;
        if (address / 4096 != (address + uint64_t(beats) * BYTES - 1) / 4096) bad++;
    }
};

static Memory memory;

static void cycle() {
    memory.drive();
    top.eval();
    memory.take();
    clock_edge(1);
    clock_edge(0);
}

static uint32_t host_read(uint32_t address, uint32_t* response = nullptr) {
    top.s_axil_arvalid = 1;
    top.s_axil_araddr = address;
    top.s_axil_rready = 1;
    cycle();
    top.s_axil_arvalid = 0;
    while (!top.s_axil_rvalid) cycle();
    const uint32_t data = top.s_axil_rdata;
    if (response) *response = top.s_axil_rresp;
    cycle();
    return data;
}

static uint32_t host_write(uint32_t address, uint32_t data) {
    top.s_axil_awvalid = top.s_axil_wvalid = 1;
    top.s_axil_awaddr = address;
    top.s_axil_wdata = data;
    top.s_axil_wstrb = 15;
    top.s_axil_bready = 1;
    top.eval();
    while (!top.s_axil_awready) cycle();
    cycle();
    top.s_axil_awvalid = top.s_axil_wvalid = 0;
    while (!top.s_axil_bvalid) cycle();
    const uint32_t response = top.s_axil_bresp;
    cycle();
    return response;
}

static void reset() {
    top.rst = 1;
    top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_arvalid = 0;
    top.m_axi_rvalid = top.m_axi_bvalid = top.m_axi_arready = top.m_axi_awready = top.m_axi_wready = 0;
    clock_cycle();  // one cycle is enough
    top.rst = 0;
    top.eval();
}

int main(int argc, char** argv) {
    open_wave(argc, argv);
    top.clk = 0;
    reset();
    uint32_t h[13];
    while (fread(h, 4, 13, stdin) == 13) {
        std::vector<uint8_t> image(h[0]);
        if (fread(image.data(), 1, image.size(), stdin) != image.size()) return 3;
        uint32_t answer[8] = {UINT32_MAX};
        const uint32_t low = h[3], high = h[4];
        for (int attempt = h[11] ? 0 : 1; attempt < 2; attempt++) {  // attempt 0 is cut off by a reset
            rng = h[10] | 1;
            memory.start(h[0]);
            memory.bytes = image;
            memory.base = uint64_t(h[2]) << 32 | h[1];
            memory.read_time = h[6], memory.write_time = h[7], memory.address_share = h[8], memory.data_share = h[9];
            if (host_write(0x10, low) || host_write(0x14, high) || host_write(0x18, h[5])) memory.bad++;
            if (host_write(draw() | 0x80, junk()) != 2) memory.bad++;
            host_write(0x04, 1);
            const uint64_t limit = attempt ? h[12] : h[11];
            uint32_t status = 1;
            for (uint64_t t = 0; t < limit && (status & 1); t += 64) {
                for (int i = 0; i < 61 && t + 3 + i < limit; i++) cycle();
                if (host_write(0x18, 77) == 0) {  // refused while it runs: else it had finished, and may be put back
                    host_write(0x18, h[5]);
                }
                status = host_read(0x08);
            }
            if (!attempt) {
                reset();
                continue;
            }
            if (!(status & 1) && (status & 2)) answer[0] = host_read(0x40);
            answer[1] = host_read(0x0c);
            for (int i = 1; i < 6; i++) answer[1 + i] = host_read(0x40 + 8 * i);
            if (((status >> 2) & 1) != (answer[1] != 0) || host_read(0x18) != h[5] || host_read(0x44) != 0) memory.bad++;
            if (host_read(0x10) != low || host_read(0x14) != high || host_read(0x1c) != SHAPE) memory.bad++;
            if (host_read(0x20) != BYTES / 2) memory.bad++;
            uint32_t response;
            host_read(draw() | 0x80, &response);
            if (response != 2 || host_write(0x08, 1) != 2 || host_read(0x00) != 0x53415431) memory.bad++;
            answer[7] = memory.bad;
            if (answer[0] == UINT32_MAX) reset();
        }
        fwrite(answer, 4, 8, stdout);
        fwrite(memory.bytes.data(), 1, memory.bytes.size(), stdout);
    }
    close_wave(argc, argv);
    return 0;
}
