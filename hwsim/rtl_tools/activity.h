// SPDX-License-Identifier: Apache-2.0
// Switching activity: takes the text of a VCD waveform as it is made, and keeps how often the bits of each scope changed.
// A signal that has several names (ports that are connected) counts once, where it is named first. The file has a line a
// scope: its name, its bits, their changes, ends of the time steps.
#pragma GCC optimize("O2")  // it takes longer than the simulation, which is built without
#include <cstring>
#include <string>
#include <unordered_map>
#include "verilated_vcd_c.h"

class ActivityFile final : public VerilatedVcdFile {
    struct Signal {
        size_t scope;
        std::string value;
    };
    struct Scope {
        std::string name;
        uint64_t bits, changes;
    };
    std::string path_, line_;
    std::vector<std::string> prefix_;
    std::vector<Scope> scopes_;
    std::unordered_map<uint64_t, Signal> signals_;
    std::vector<size_t> stack_;
    uint64_t steps_ = 0;

    static std::string word(const std::string& line, size_t n) {
        size_t at = 0;
        for (; n; n--) at = line.find_first_not_of(' ', line.find(' ', at));
        return line.substr(at, line.find(' ', at) - at);
    }
    static uint64_t key(const char* id, const char* end) {  // identifiers have few characters
        uint64_t found = 0;
        for (; id < end; id++) found = found << 8 | uint8_t(*id);
        return found;
    }
    void change(const char* id, const char* end, const char* value, size_t digits) {
        const auto found = signals_.find(key(id, end));
        if (found == signals_.end()) return;
        std::string& old = found->second.value;
        char* bit = &old[0];
        const size_t width = old.size(), zeros = width > digits ? width - digits : 0;
        uint64_t changes = 0;
        for (size_t i = 0; i < width; i++) {
            const char now = i < zeros ? '0' : value[i - zeros];
            changes += bit[i] != now;
            bit[i] = now;
        }
        if (steps_ > 1) scopes_[found->second.scope].changes += changes;
    }
    void take(const std::string& line) {
        if (line.empty()) return;
        const char *begin = line.data(), *end = begin + line.size();
        switch (line[0]) {
        case '$':
            break;
        case ' ':
            definition(line.substr(line.find_first_not_of(' ')));
            return;
        case '#': steps_++; return;
        case 'b': {
            const char* blank = static_cast<const char*>(memchr(begin, ' ', line.size()));
            change(blank + 1, end, begin + 1, blank - begin - 1);
            return;
        }
        default: change(begin + 1, end, begin, 1); return;
        }
        definition(line);
    }
    bool emplaced(const std::string& id, const Signal& signal) {
        return signals_.emplace(key(id.data(), id.data() + id.size()), signal).second;
    }
    void definition(const std::string& line) {
        if (line.compare(0, 7, "$scope ") == 0) {
            prefix_.push_back(word(line, 2));
            std::string name;
            for (const auto& part : prefix_) name += (name.empty() ? "" : ".") + part;
            stack_.push_back(scopes_.size());
            scopes_.push_back({name, 0, 0});
        } else if (line.compare(0, 8, "$upscope") == 0) {
            prefix_.pop_back();
            stack_.pop_back();
        } else if (line.compare(0, 5, "$var ") == 0) {
            const size_t width = std::stoul(word(line, 2));
            if (!stack_.empty() && emplaced(word(line, 3), Signal{stack_.back(), std::string(width, '0')}))
                scopes_[stack_.back()].bits += width;
        }
    }

public:
    bool open(const std::string& name) override {
        path_ = name;
        return true;
    }
    ssize_t write(const char* data, ssize_t size) override {
        for (ssize_t i = 0; i < size; i++) {
            if (data[i] == '\n') {
                take(line_);
                line_.clear();
            } else {
                line_ += data[i];
            }
        }
        return size;
    }
    void close() override {
        take(line_);
        FILE* const file = fopen(path_.c_str(), "w");
        for (const auto& s : scopes_) fprintf(file, "%s %llu %llu %llu\n", s.name.c_str(), (unsigned long long)s.bits,
                                              (unsigned long long)s.changes, (unsigned long long)steps_);
        fclose(file);
    }
};
