// SPDX-License-Identifier: Apache-2.0
// Switching activity: takes the text of a VCD waveform as it is made, and keeps how often the bits of each scope changed.
// A signal that has several names (ports that are connected) counts once, where it is named first. The file has a line a
// scope: its name, its bits, their changes, ends of the time steps.
#include <map>
#include <string>
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
    std::map<std::string, Signal> signals_;
    std::vector<size_t> stack_;
    uint64_t steps_ = 0;

    static std::string word(const std::string& line, size_t n) {
        size_t at = 0;
        for (; n; n--) at = line.find_first_not_of(' ', line.find(' ', at));
        return line.substr(at, line.find(' ', at) - at);
    }
    void change(const std::string& id, const std::string& value) {
        const auto found = signals_.find(id);
        if (found == signals_.end()) return;
        std::string& old = found->second.value;
        const std::string filled = std::string(old.size() > value.size() ? old.size() - value.size() : 0, '0') + value;
        for (size_t i = 0; i < old.size(); i++) scopes_[found->second.scope].changes += steps_ > 1 && old[i] != filled[i];
        old = filled;
    }
    void take(const std::string& line) {
        if (line.empty()) return;
        switch (line[0]) {
        case '$':
            break;
        case ' ':
            definition(line.substr(line.find_first_not_of(' ')));
            return;
        case '#': steps_++; return;
        case 'b': change(line.substr(line.find(' ') + 1), line.substr(1, line.find(' ') - 1)); return;
        default: change(line.substr(1), line.substr(0, 1)); return;
        }
        definition(line);
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
            if (!stack_.empty() && signals_.emplace(word(line, 3), Signal{stack_.back(), std::string(width, '0')}).second)
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
