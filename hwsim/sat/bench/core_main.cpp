// SPDX-License-Identifier: Apache-2.0
// Runs programs on sat_core: an AXI4 memory and an AXI4-Lite host in this program, every port held to axi.h.
// stdin, for each program, 32-bit words: bytes of memory, its address (two words) and the program's, commands, read and
// write response time (as MemoryTiming), shares of cycles (of 256; 256 is always) in which the memory accepts addresses
// and write data, and gives beats and answers; seed, reset after (cycles; 0 never), most cycles, place of a beat that fails
// (2^32 - 1: none); then the memory (responses outside it, or of the failing beat, are SLVERR or DECERR). stdout: cycles
// (counter), then status (error code | command << 8), cycles of RUN, REDUCE and UPDATE, beats read and written, bad
// (protocol violations seen), and the memory. 2^32 - 1 cycles: never finished.
// TOP, TOP_HEADER: the verilated core; BYTES: of a beat; SHAPE: what register 1c must say.
#include "bench.h"
#include "axi.h"

static uint32_t bad = 0;

// true in so many of 256 cases; never where junk is 0
static bool chance(uint32_t share) { return draw() > 255 - share; }

struct Memory {
    std::vector<uint8_t> bytes;
    uint64_t base = 0, fails = UINT64_MAX;
    uint32_t read_time, write_time, address_share, data_share;
    // ready before valid, with it, or a cycle behind it
    uint32_t habit = 0;
    // the burst being read: address, beats left, cycles until the first
    bool reading = false, writing = false, offering = false, answering = false;
    uint64_t read_at = 0, write_at = 0;
    uint32_t read_left = 0, read_wait = 0, write_left = 0, write_wait = 0;
    uint32_t fault = 0, write_fault = 0;
    bool ar_seen = false, aw_seen = false, w_seen = false;
    AxiChannel ar, aw, w;

    void start(uint32_t size) {
        bytes.assign(size, 0);
        reset();
    }

    void reset() {
        reading = writing = offering = answering = ar_seen = aw_seen = w_seen = false;
        ar.reset();
        aw.reset();
        w.reset();
        top.m_axi_rvalid = top.m_axi_bvalid = top.m_axi_arready = top.m_axi_awready = top.m_axi_wready = 0;
    }

    // response to a beat: OKAY, or one of the two errors
    uint32_t response(uint64_t address) const {
        const bool inside = address - base < bytes.size() && bytes.size() - (address - base) >= BYTES;
        return inside && address - base != fails ? 0 : 2 + (address / BYTES % 2);
    }

    // what the memory drives in this cycle
    void drive() {
        if (reading && !read_wait && !offering && draw() < data_share) {
            offering = true;
            fault = response(read_at);
            if (fault) fill_junk(&top.m_axi_rdata, BYTES);
            else memcpy(&top.m_axi_rdata, &bytes[read_at - base], BYTES);
        }
        top.m_axi_rvalid = offering;
        if (offering) {
            top.m_axi_rresp = fault;
            top.m_axi_rlast = read_left == 1;
        } else {
            fill_junk(&top.m_axi_rdata, BYTES);
            top.m_axi_rlast = draw() & 1;
            top.m_axi_rresp = 3;
        }
        answering = writing && !write_left && !write_wait && (answering || draw() < data_share);
        top.m_axi_bvalid = answering;
        top.m_axi_bresp = answering ? write_fault : 3;
        bool ar_on = true, aw_on = true, w_on = true;
        if (habit) {  // valid must come without ready
            top.m_axi_arready = top.m_axi_awready = top.m_axi_wready = 0;
            top.eval();
            ar_on = top.m_axi_arvalid && (habit == 1 || ar_seen);
            aw_on = top.m_axi_awvalid && (habit == 1 || aw_seen);
            w_on = top.m_axi_wvalid && (habit == 1 || w_seen);
        }
        top.m_axi_arready = ar_on && !reading && draw() < address_share;
        top.m_axi_awready = aw_on && !writing && draw() < address_share;
        top.m_axi_wready = w_on && writing && write_left && draw() < data_share;
    }

    // what happens at the end of the cycle
    void take() {
        const uint64_t to_read = uint64_t(top.m_axi_araddr) ^ uint64_t(top.m_axi_arlen) << 56 ^ top.m_axi_arid;
        bad += ar.broken(top.m_axi_arvalid, top.m_axi_arready, to_read);
        const uint64_t to_write = uint64_t(top.m_axi_awaddr) ^ uint64_t(top.m_axi_awlen) << 56 ^ top.m_axi_awid;
        bad += aw.broken(top.m_axi_awvalid, top.m_axi_awready, to_write);
        const uint64_t data = top.m_axi_wvalid ? axi_digest(top.m_axi_wdata, top.m_axi_wlast) : 0;
        bad += w.broken(top.m_axi_wvalid, top.m_axi_wready, data);
        ar_seen = top.m_axi_arvalid && !top.m_axi_arready;
        aw_seen = top.m_axi_awvalid && !top.m_axi_awready;
        w_seen = top.m_axi_wvalid && !top.m_axi_wready;
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
            bad += axi_burst_broken(read_at, read_left, top.m_axi_arsize, top.m_axi_arburst, BYTES) + (top.m_axi_arid != 0);
        }
        if (top.m_axi_wvalid && top.m_axi_wready) {
            const uint32_t fault = response(write_at);
            if (fault) write_fault = fault;
            else memcpy(&bytes[write_at - base], &top.m_axi_wdata, BYTES);
            write_at += BYTES;
            write_left--;
            bad += bool(top.m_axi_wlast) != (write_left == 0);
            for (size_t i = 0; i < BYTES; i++) bad += !get_bits(top.m_axi_wstrb, i, 1);
            write_wait = write_time - 1;
        }
        if (top.m_axi_awvalid && top.m_axi_awready) {
            writing = true;
            write_fault = 0;
            write_at = top.m_axi_awaddr;
            write_left = uint32_t(top.m_axi_awlen) + 1;
            bad += axi_burst_broken(write_at, write_left, top.m_axi_awsize, top.m_axi_awburst, BYTES) + (top.m_axi_awid != 0);
        } else if (top.m_axi_bvalid && top.m_axi_bready) {
            writing = answering = false;
        }
    }
};

static Memory memory;

// the host: one write and one read at a time, beside each other; address, data and the answer's ready each after a time of
// its own
struct Host {
    bool writing = false, reading = false, aw_left = false, w_left = false, ar_left = false;
    uint32_t aw_wait = 0, w_wait = 0, b_wait = 0, ar_wait = 0, r_wait = 0, write_response = 0, read_response = 0, found = 0;
    uint32_t address = 0, data = 0, strobes = 0, read_address = 0;
    AxiChannel b, r;
    AxiCount writes, reads;

    static uint32_t some() { return chance(128) ? draw() % 7 : 0; }

    void start_write(uint32_t at, uint32_t word, uint32_t strb) {
        writing = aw_left = w_left = true;
        address = at, data = word, strobes = strb;
        aw_wait = some(), w_wait = some(), b_wait = some();
    }

    void start_read(uint32_t at) {
        reading = ar_left = true;
        read_address = at;
        ar_wait = some(), r_wait = some();
    }

    void reset() {
        writing = reading = aw_left = w_left = ar_left = false;
        b.reset();
        r.reset();
        writes.open = reads.open = 0;
        top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_arvalid = 0;
    }

    void drive() {
        top.s_axil_awvalid = aw_left && !aw_wait;
        top.s_axil_wvalid = w_left && !w_wait;
        top.s_axil_arvalid = ar_left && !ar_wait;
        top.s_axil_awaddr = top.s_axil_awvalid ? address : draw();
        top.s_axil_wdata = top.s_axil_wvalid ? data : junk();
        top.s_axil_wstrb = top.s_axil_wvalid ? strobes : draw() & 15;
        top.s_axil_araddr = top.s_axil_arvalid ? read_address : draw();
        // ready when nothing is to come, too: it must change nothing
        top.s_axil_bready = writing ? !aw_left && !w_left && !b_wait : chance(128);
        top.s_axil_rready = reading ? !ar_left && !r_wait : chance(128);
    }

    void take() {
        const bool aw = top.s_axil_awvalid && top.s_axil_awready, w = top.s_axil_wvalid && top.s_axil_wready;
        const bool ar = top.s_axil_arvalid && top.s_axil_arready;
        const bool b_taken = top.s_axil_bvalid && top.s_axil_bready, r_taken = top.s_axil_rvalid && top.s_axil_rready;
        bad += b.broken(top.s_axil_bvalid, top.s_axil_bready, top.s_axil_bresp);
        bad += r.broken(top.s_axil_rvalid, top.s_axil_rready, uint64_t(top.s_axil_rdata) << 2 | top.s_axil_rresp);
        if (aw_wait) aw_wait--;
        if (w_wait) w_wait--;
        if (ar_wait) ar_wait--;
        if (!aw_left && !w_left && b_wait) b_wait--;
        if (!ar_left && r_wait) r_wait--;
        // an answer comes after all that it answers
        bad += writes.broken(false, top.s_axil_bvalid, b_taken) + reads.broken(false, top.s_axil_rvalid, r_taken);
        const bool was = aw_left || w_left;
        aw_left &= !aw;
        w_left &= !w;
        ar_left &= !ar;
        writes.open += was && !aw_left && !w_left;
        reads.open += ar;
        if (b_taken) {
            write_response = top.s_axil_bresp;
            writing = false;
        }
        if (r_taken) {
            found = top.s_axil_rdata;
            read_response = top.s_axil_rresp;
            reading = false;
        }
    }
};

static Host host;

static void cycle() {
    host.drive();
    memory.drive();
    top.eval();
    host.take();
    memory.take();
    clock_edge(1);
    clock_edge(0);
}

// at most so long: a host that never gets its answer is a violation
static const int PATIENCE = 200;

static uint32_t host_read(uint32_t address, uint32_t* response = nullptr) {
    for (int t = 0; host.reading && t < PATIENCE; t++) cycle();
    host.start_read(address);
    for (int t = 0; host.reading && t < PATIENCE; t++) cycle();
    bad += host.reading;
    if (response) *response = host.read_response;
    else bad += host.read_response != 0;
    return host.found;
}

static uint32_t host_write(uint32_t address, uint32_t data, uint32_t strobes = 15) {
    host.start_write(address, data, strobes);
    const bool also = !host.reading && chance(64);  // a read beside it
    if (also) host.start_read(0x1c);
    for (int t = 0; host.writing && t < PATIENCE; t++) cycle();
    bad += host.writing;
    for (int t = 0; also && host.reading && t < PATIENCE; t++) cycle();
    if (also) bad += host.reading || host.found != SHAPE;
    return host.write_response;
}

static void reset() {
    top.rst = 1;
    host.reset();
    memory.reset();
    clock_cycle();  // one cycle is enough
    top.rst = 0;
    top.eval();
    host.reset();
    memory.reset();
}

static bool readable(uint32_t address) {
    return address % 4 == 0 && ((address <= 0x20 && address != 0x04) || (address >= 0x40 && address < 0x70));
}

static bool writable(uint32_t address) { return address == 0x04 || address == 0x10 || address == 0x14 || address == 0x18; }

// after a reset everything is as new
static void check_new() {
    for (uint32_t at : {0x08, 0x10, 0x14, 0x18}) bad += host_read(at) != 0;
    bad += (host_read(0x0c) & 255) != 0;
    for (uint32_t i = 0; i < 12; i++) bad += host_read(0x40 + 4 * i) != 0;
}

// what must be refused: any address that is none, any strobes but all; a start that is none
static void check_refused() {
    for (int i = 0; i < 3; i++) {
        uint32_t address = draw(), response;
        if (!writable(address) && host_write(address, junk()) != 2) bad++;
        host_read(address, &response);
        if (response != (readable(address) ? 0 : 2)) bad++;
    }
    for (uint32_t at : {0x04, 0x10, 0x14, 0x18}) {
        if (chance(128) && host_write(at, junk() | 1, draw() % 15) != 2) bad++;
    }
    if (host_write(0x04, junk() & ~1u) != 0) bad++;
}

int main(int argc, char** argv) {
    open_wave(argc, argv);
    top.clk = 0;
    reset();
#ifndef ACTIVITY
    check_new();
#endif
    uint32_t h[14];
    while (fread(h, 4, 14, stdin) == 14) {
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
            memory.fails = h[13] == UINT32_MAX ? UINT64_MAX : h[13];
            memory.habit = h[10] / 8 % (h[8] < 256 ? 3 : 2);
            if (host_write(0x10, low) || host_write(0x14, high) || host_write(0x18, h[5])) bad++;
#ifndef ACTIVITY
            check_refused();
            if (host_read(0x08) & 1) bad++;
#endif
            if (host_write(0x04, junk() | 1)) bad++;
#ifndef ACTIVITY
            uint32_t first = host_read(0x08);
            if ((first & 3) == 3) bad++;  // busy is not done
#endif
            const uint64_t limit = attempt ? h[12] : h[11];
            uint32_t status = 1;
            for (uint64_t t = 0; t < limit && (status & 1); t += 64) {
                for (int i = 0; i < 61 && t + 3 + i < limit; i++) cycle();
                // refused while it runs: else it had finished, and may be put back
                const uint32_t at = 0x10 + 4 * (draw() % 3);
                if (host_write(at, 77) == 0) {
                    bad += host_read(0x08) & 1;
                    host_write(at, at == 0x18 ? h[5] : at == 0x10 ? low : high);
                }
                status = host_read(0x08);
            }
            if (!attempt) {
#ifndef ACTIVITY
                host.start_write(0x18, junk(), 15);  // it cuts off the host as well
                host.start_read(0x08);
                for (uint32_t i = draw() % 8; i; i--) cycle();
#endif
                reset();
#ifndef ACTIVITY
                check_new();
#endif
                continue;
            }
            if (!(status & 1) && (status & 2)) answer[0] = host_read(0x40);
            answer[1] = host_read(0x0c);
            for (int i = 1; i < 6; i++) answer[1 + i] = host_read(0x40 + 8 * i);
            for (int i = 0; i < 6; i++) bad += host_read(0x44 + 8 * i) != 0;
            if (((status >> 2) & 1) != (answer[1] != 0) || host_read(0x18) != h[5]) bad++;
            if (host_read(0x10) != low || host_read(0x14) != high || host_read(0x1c) != SHAPE) bad++;
            if (host_read(0x20) != BYTES / 2 || host_read(0x00) != 0x53415431) bad++;
            if (host_write(0x08, 1) != 2) bad++;
#ifndef ACTIVITY
            // what has ended stays so, and gives no more answers
            for (uint32_t i = draw() % 16; i; i--) cycle();
            if (host_read(0x08) != status) bad++;
#endif
            answer[7] = bad;
            bad = 0;
            if (answer[0] == UINT32_MAX) reset();
        }
        fwrite(answer, 4, 8, stdout);
        fwrite(memory.bytes.data(), 1, memory.bytes.size(), stdout);
    }
    close_wave(argc, argv);
    return 0;
}
