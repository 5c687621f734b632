// SPDX-License-Identifier: Apache-2.0
// Rules of AXI4 and AXI4-Lite (Arm IHI 0022) to which the benches hold every port in every cycle. Each function gives how
// many rules were broken.
#include <cstddef>
#include <cstdint>

// of a payload's bytes, so that a change is seen
template <class T> static uint64_t axi_digest(const T& payload, uint64_t hash = 14695981039346656037ull) {
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&payload);
    for (size_t i = 0; i < sizeof(T); i++) hash = (hash ^ bytes[i]) * 1099511628211ull;
    return hash;
}

// one of the channels: what is offered stays, unchanged, until it is taken; after a reset nothing is offered
struct AxiChannel {
    bool waits = false, fresh = true;
    uint64_t held = 0;

    void reset() {
        waits = false;
        fresh = true;
    }

    uint32_t broken(bool valid, bool ready, uint64_t payload) {
        const uint32_t bad = (waits && (!valid || payload != held)) + (fresh && valid);
        waits = valid && !ready;
        held = payload;
        fresh = false;
        return bad;
    }
};

// a burst's address: of whole beats one after the other, within 4 KiB, at most 256, `lines` bytes each
static uint32_t axi_burst_broken(uint64_t address, uint32_t beats, uint32_t size, uint32_t burst, uint32_t bytes) {
    const uint64_t last = address + uint64_t(beats) * bytes - 1;
    return (address % bytes != 0) + ((1u << size) != bytes) + (burst != 1) + (address / 4096 != last / 4096) + (beats > 256);
}

// requests and the responses that they get: never one too many
struct AxiCount {
    int64_t open = 0;

    uint32_t broken(bool asked, bool answers, bool answered) {
        open += asked;
        const uint32_t bad = answers && open <= 0;
        open -= answered;
        return bad;
    }
};
