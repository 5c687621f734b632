// SPDX-License-Identifier: Apache-2.0
// Gives commands to sat_check. stdin: 32 words of 32 bits each; stdout: check and ports, a word each.
#include "bench.h"

int main(int argc, char** argv) {
    open_wave(argc, argv);
    uint32_t words[32];
    while (fread(words, 4, 32, stdin) == 32) {
        for (int i = 0; i < 32; i++) top.command[i] = words[i];
        settle();
        const uint32_t found[2] = {uint32_t(top.check), uint32_t(top.ports)};
        fwrite(found, 4, 2, stdout);
    }
    close_wave(argc, argv);
    return 0;
}
