# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on the paper's table of FC and attention: what its figures say of each other and of the baselines here."""

from __future__ import annotations

from hwsim.core.validation import Check, Part

from .claims import GPU_TFLOPS

TABLE = "arXiv 2012.09852, table of FC and attention"
FC_GFLOP, FC_MS, GPU_MS, DENSE_GFLOP = 19.3, 25.75, 366.7, 3.3
"""GPT-2 medium's FC on SpAtten-e2e; its attention on a TITAN Xp, and without pruning; 32 tokens."""
LAYERS, WIDTH, TOKENS = 24, 1024, 32
DRAM_BYTES_PER_S = 512e9
"""SpAtten's HBM2: 16 channels of 32 GB/s."""
COMMAND = "hwsim validate --part attention"


def part() -> Part:
    """GPT-2 medium's FC on SpAtten-e2e; the GPU's published rate beside its published time."""
    weights = LAYERS * 12 * WIDTH**2
    gflop = 2 * weights * TOKENS / 1e9
    eight, twelve = (weights * bits / 8 * TOKENS / DRAM_BYTES_PER_S * 1e3 for bits in (8, 12))
    checks = (
        Check("GPT-2 medium, FC of 32 tokens: its shapes' operations", gflop, FC_GFLOP, "GFLOP", TABLE, COMMAND),
        Check("GPT-2 medium, FC of 32 tokens: 8-bit weights from DRAM at the peak (a bound)", eight, FC_MS, "ms", TABLE,
              COMMAND, "no machine of ours is SpAtten-e2e: the time that its weights take at 512 GB/s; at 12 bits they "
              f"would take {twelve:.1f} ms, more than the published time"),
        Check("GPT-2 medium, attention on a TITAN Xp at the rate that baselines here use",
              DENSE_GFLOP / GPU_TFLOPS["GPT-2"], GPU_MS, "ms", TABLE, COMMAND,
              "the paper's roofline says 0.01 TFLOPS, one digit"),
    )  # fmt: skip
    return Part("FC of GPT-2 medium, GPU baselines", "SpAtten's published milliseconds beside arithmetic; its "
                                                     "attention is "
                "among the times of the papers. GPU baselines of the attention page are the rates that the paper "
                "measured on "
                f"a TITAN Xp ({GPU_TFLOPS['BERT']:g} TFLOPS on BERT, {GPU_TFLOPS['GPT-2']:g} on GPT-2); other "
                "processors "
                "there are bounds by their makers' peaks, and said to be.", checks)  # fmt: skip
