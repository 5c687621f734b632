// SPDX-License-Identifier: Apache-2.0
// Runs heads and queries on spatten_core: the host and an AXI4 memory on each channel are in this program.
// stdin, for each case, 32-bit words: bytes of memory, their address (two words), tokens of the lists, heads, queries, cycles of the ready mask (0: the
// memory answers as it likes), answers that are laid down, seed, shares of cycles (of 256; 256 is always) in which the
// memory accepts, in which it answers, in which answers are taken and in which descriptors are offered, reset after
// (cycles; 0 never), most cycles, first byte for which the memory answers with errors and the one behind the last. Then: the memory; of each token place and
// number; initial token scores (2 SIZE) and head scores (64, two words each); heads (key, LSB and value address, two words each, list, count,
// dimension, bits of q, k, LSBs, v, shared, queries, scale, limit, number) and queries (address in two words, count, keep, seed, tag: the
// query's number); a mask of ready channels a cycle; of each answer its channel, which of the channel's requests, cycle from
// which on it may come.
// stdout: cycles (of the last answer), then for each query, heads and counters `when` and, again, the values: of a query
// status, again, 128 elements (two words each); token scores, head scores, five counters (two words each), bad (violations
// of a protocol). Cycle 0 is the one after the first head was taken. 2^32 - 1 cycles: never finished.
// TOP, TOP_HEADER: the verilated core; CHANNELS, ADDRESS_WIDTH, ID_WIDTH, OUT_WIDTH, SIZE: its sizes.
#include <deque>
#include <numeric>
#include "bench.h"
#include "axi.h"

struct Request {
    uint64_t address, id;
};
struct Answer {
    uint32_t request, cycle;
};
struct Channel {
    std::vector<Request> asked;    // all that were accepted
    std::vector<Answer> laid;      // answers as they are laid down
    size_t answered = 0;           // of those
    std::deque<uint32_t> open;     // requests that wait for an answer, where none are laid down
    bool offering = false, seen = false;
    Request offered{};
    AxiChannel ar;
};

static uint32_t header[17];
static std::vector<uint8_t> image;
static uint64_t base;
static Channel channels[CHANNELS];
static std::vector<uint32_t> mask;
static uint32_t bad;

static bool laid_down() { return !mask.empty(); }

// ready before valid, with it, or a cycle behind it: valid must come without ready
static uint32_t habit;

// what the memory drives in a cycle
static void drive(uint32_t cycle) {
    for (size_t c = 0; c < CHANNELS; c++) {
        Channel& ch = channels[c];
        bool ready = draw() < header[9];
        if (laid_down()) ready = cycle >= mask.size() || (mask[cycle] >> c) & 1;
        put_bits(top.m_axi_arready, c, 1, ready);
        if (!ch.offering) {
            if (laid_down() && ch.answered < ch.laid.size()) {
                const Answer& a = ch.laid[ch.answered];
                if (a.request < ch.asked.size() && cycle >= a.cycle) {
                    ch.offering = true;
                    ch.offered = ch.asked[a.request];
                    ch.answered++;
                }
            } else if (!ch.open.empty() && draw() < header[10]) {
                const size_t at = laid_down() ? 0 : junk() % ch.open.size();  // any order
                ch.offering = true;
                ch.offered = ch.asked[ch.open[at]];
                ch.open.erase(ch.open.begin() + at);
            }
        }
        put_bits(top.m_axi_rvalid, c, 1, ch.offering);
        put_bits(top.m_axi_rid, c * ID_WIDTH, ID_WIDTH, ch.offering ? ch.offered.id : junk());
        uint8_t* data = reinterpret_cast<uint8_t*>(&top.m_axi_rdata) + 32 * c;
        const uint64_t address = ch.offered.address - base;
        const bool inside = ch.offering && address < image.size() && address + 32 <= image.size();
        if (inside) memcpy(data, &image[address], 32);
        else memset(data, int(draw()), 32);
        const bool fails = !inside || (address + 32 > header[15] && address < header[16]);
        put_bits(top.m_axi_rresp, c * 2, 2, ch.offering ? (fails ? 2 + (address / 32 % 2) : 0) : draw() & 3);
    }
    put_bits(top.m_axi_rlast, 0, CHANNELS, ~0ull);
    if (!habit) return;
    bool ready[CHANNELS];
    const bool taken = top.m_ready;
    for (size_t c = 0; c < CHANNELS; c++) {
        ready[c] = get_bits(top.m_axi_arready, c, 1);
        put_bits(top.m_axi_arready, c, 1, 0);
    }
    top.m_ready = 0;
    settle();
    for (size_t c = 0; c < CHANNELS; c++) {
        const bool on = get_bits(top.m_axi_arvalid, c, 1) && (habit == 1 || channels[c].seen);
        put_bits(top.m_axi_arready, c, 1, ready[c] && on);
    }
    top.m_ready = taken && top.m_valid;
}

// what happens at the end of a cycle
static void take() {
    for (size_t c = 0; c < CHANNELS; c++) {
        Channel& ch = channels[c];
        const bool valid = get_bits(top.m_axi_arvalid, c, 1);
        const Request now{get_bits(top.m_axi_araddr, c * ADDRESS_WIDTH, ADDRESS_WIDTH), get_bits(top.m_axi_arid, c * ID_WIDTH, ID_WIDTH)};
        const bool ready = get_bits(top.m_axi_arready, c, 1);
        bad += ch.ar.broken(valid, ready, axi_digest(now));
        ch.seen = valid && !ready;
        if (valid && ready) {
            const uint32_t beats = uint32_t(get_bits(top.m_axi_arlen, c * 8, 8)) + 1;
            bad += (beats != 1) + axi_burst_broken(now.address, beats, uint32_t(get_bits(top.m_axi_arsize, c * 3, 3)),
                                                   uint32_t(get_bits(top.m_axi_arburst, c * 2, 2)), 32);
            if (!laid_down() || ch.asked.size() >= ch.laid.size()) ch.open.push_back(uint32_t(ch.asked.size()));
            ch.asked.push_back(now);
        }
        if (ch.offering && get_bits(top.m_axi_rready, c, 1)) ch.offering = false;
    }
}

static std::vector<uint32_t> words(size_t count) {
    std::vector<uint32_t> found(count);
    if (fread(found.data(), 4, count, stdin) != count) exit(3);
    return found;
}

static void reset() {
    top.rst = 1;
    top.s_head_valid = top.s_query_valid = top.list_write = top.token_write = top.head_write = 0;
    clock_cycle();  // one cycle is enough
    top.rst = 0;
}

int main(int argc, char** argv) {
    open_wave(argc, argv);
    top.clk = 0;
    reset();
    while (fread(header, 4, 17, stdin) == 17) {
        const uint32_t tokens = header[3], heads = header[4], queries = header[5];
        base = header[1] | uint64_t(header[2]) << 32;
        image.resize(header[0]);
        if (fread(image.data(), 1, image.size(), stdin) != image.size()) return 3;
        const auto list = words(2 * tokens), scores = words(2 * SIZE), sums = words(128);
        const auto head = words(18 * heads), query = words(6 * queries);
        mask = words(header[6]);
        const auto answers = words(3 * header[7]);
        const size_t PER = 2 + 256;
        std::vector<uint32_t> values(PER * queries, 0), when(values.size(), 0);
        uint32_t cycles = UINT32_MAX;
        bad = 0;
        for (int attempt = header[13] ? 0 : 1; attempt < 2; attempt++) {  // attempt 0 is cut off by a reset
            rng = header[8] | 1;
            habit = laid_down() || header[9] > 255 ? 0 : header[8] / 8 % 3;
            for (auto& ch : channels) ch = Channel();
            for (size_t i = 0; i < header[7]; i++) channels[answers[3 * i]].laid.push_back({answers[3 * i + 1], answers[3 * i + 2]});
            put_bits(top.m_axi_arready, 0, CHANNELS, 0);
            put_bits(top.m_axi_rvalid, 0, CHANNELS, 0);
            top.m_ready = 0;
            std::vector<size_t> order(std::max<size_t>({2 * SIZE, tokens, 64}));  // the host writes in any order
            std::iota(order.begin(), order.end(), 0);
            for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[junk() % i]);
            for (const size_t i : order) {
                top.list_write = i < tokens;
                top.list_place = i < tokens ? list[2 * i] : 0;
                top.list_token = i < tokens ? list[2 * i + 1] : 0;
                top.token_write = i < 2 * SIZE;
                top.token_place = i;
                top.token_score = i < 2 * SIZE ? scores[i] : 0;
                top.head_write = i < 64;
                top.head_number = i & 63;
                top.head_score = i < 64 ? sums[2 * i] | uint64_t(sums[2 * i + 1]) << 32 : 0;
                clock_cycle();
            }
            top.list_write = top.token_write = top.head_write = 0;
            for (int i = 0; i < 5; i++) clock_cycle();
            uint64_t before[5];
            for (size_t i = 0; i < 5; i++) before[i] = get_bits(top.counters, 48 * i, 48);
            size_t next_head = 0, next_query = 0, left = queries;
            bool head_offered = false, query_offered = false;
            AxiChannel answer;
            int64_t cycle = -1;
            const int64_t limit = attempt ? header[14] : header[13];
            while (left && cycle < limit) {
                head_offered = next_head < heads && (head_offered || draw() < header[12]);
                query_offered = next_query < queries && (query_offered || draw() < header[12]);
                const uint32_t* h = head_offered ? &head[18 * next_head] : nullptr;
                top.s_head_valid = head_offered;
                auto wide = [&](const uint32_t* w) { return (w ? w[0] | uint64_t(w[1]) << 32 : junk()) & ((uint64_t(1) << ADDRESS_WIDTH) - 1); };
                top.s_head_key_address = wide(h);
                top.s_head_lsb_address = wide(h ? h + 2 : h);
                top.s_head_value_address = wide(h ? h + 4 : h);
                top.s_head_list = h ? h[6] : junk() & 1;
                top.s_head_count = h ? h[7] : junk() & 1;
                top.s_head_dimension = h ? h[8] : junk() & 3;
                top.s_head_query_bits = h ? h[9] : junk() & 7;
                top.s_head_key_bits = h ? h[10] : junk() & 7;
                top.s_head_lsb_bits = h ? h[11] : junk() & 7;
                top.s_head_value_bits = h ? h[12] : junk() & 7;
                top.s_head_shared = h ? h[13] : junk() & 1;
                top.s_head_queries = h ? h[14] : junk() & 65535;
                top.s_head_scale = h ? h[15] : junk();
                top.s_head_limit = h ? h[16] : junk();
                top.s_head_number = h ? h[17] : junk() & 63;
                const uint32_t* q = query_offered ? &query[6 * next_query] : nullptr;
                top.s_query_valid = query_offered;
                top.s_query_address = wide(q);
                top.s_query_count = q ? q[2] : junk() & 1;
                top.s_query_keep = q ? q[3] : junk() & 1;
                top.s_query_seed = q ? q[4] : junk() & 65535;
                top.s_query_tag = q ? q[5] : junk() & 65535;
                top.m_ready = draw() < header[11];
                drive(cycle < 0 ? 0 : uint32_t(cycle));
                settle();
                take();
                bool began = cycle >= 0;
                if (head_offered && top.s_head_ready) {
                    next_head++;
                    head_offered = false;
                    began = true;
                }
                if (query_offered && top.s_query_ready) {
                    next_query++;
                    query_offered = false;
                }
                const uint64_t told = top.m_tag | uint64_t(top.m_status) << 16 | uint64_t(top.m_again) << 18;
                const uint64_t held = top.m_valid ? axi_digest(top.m_output, axi_digest(told)) : 0;
                bad += answer.broken(top.m_valid, top.m_ready, held);
                if (top.m_valid) {
                    const size_t n = top.m_tag;
                    if (top.m_ready && n < queries) {
                        for (size_t i = 0; i < PER; i++) when[PER * n + i] = uint32_t(cycle);
                        values[PER * n] += top.m_status + 4 * uint32_t(values[PER * n] != 0);
                        values[PER * n + 1] = top.m_again;
                        for (size_t i = 0; i < 128; i++) {
                            const uint64_t raw = get_bits(top.m_output, OUT_WIDTH * i, OUT_WIDTH);
                            const int64_t wide = int64_t(raw << (64 - OUT_WIDTH)) >> (64 - OUT_WIDTH);
                            values[PER * n + 2 + 2 * i] = uint32_t(wide);
                            values[PER * n + 3 + 2 * i] = uint32_t(uint64_t(wide) >> 32);
                        }
                        left--;
                        cycles = uint32_t(cycle);
                    } else if (top.m_ready) {
                        bad++;
                    }
                }
                clock_edge(1);
                clock_edge(0);
                if (began) cycle++;
            }
            if (left) cycles = UINT32_MAX;
            top.s_head_valid = top.s_query_valid = 0;
            top.m_ready = 1;
            if (attempt == 0 || left) {
                reset();
                for (auto& v : values) v = 0;
                continue;
            }
            for (int i = 0; i < 12; i++) {
                if (top.m_valid || get_bits(top.m_axi_arvalid, 0, CHANNELS)) bad++;
                put_bits(top.m_axi_rvalid, 0, CHANNELS, 0);
                clock_cycle();
            }
            if (top.busy) bad++;
            auto add = [&](uint64_t value, int count) {
                for (int i = 0; i < count; i++) {
                    values.push_back(uint32_t(value >> 32 * i));
                    when.push_back(0);
                }
            };
            for (size_t i = 0; i < 2 * SIZE; i++) {
                top.token_place = i;
                clock_cycle();
                add(top.token_found, 1);
            }
            for (size_t i = 0; i < 64; i++) {
                top.head_number = i;
                settle();
                add(top.head_found, 2);
            }
            for (size_t i = 0; i < 5; i++) add(get_bits(top.counters, 48 * i, 48) - before[i], 2);
            add(bad, 1);
        }
        values.resize(PER * queries + 2 * SIZE + 128 + 10 + 1, 0);
        when.resize(values.size(), 0);
        fwrite(&cycles, 4, 1, stdout);
        fwrite(when.data(), 4, when.size(), stdout);
        fwrite(values.data(), 4, values.size(), stdout);
    }
    close_wave(argc, argv);
    return 0;
}
