# SPDX-License-Identifier: Apache-2.0
"""Real queries through spatten_core: every head of every step of an attention trace, quantized as the machine does.

A step is a case: its heads on one list of tokens, its queries, token importance that starts at 0. Query heads that
share a KV head are one head of the core, with all their queries, whose q then have one scale. Left out: traces
without tensors, and heads whose keys do not fit half of an SRAM (there are none at the lengths that a trace has).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dataflow.attention.pruning import AttentionPruning, kept
from dataflow.errors import InputError
from hwsim.memory.config import DramConfig
from hwsim.verification.case import BlockRow, Case, VerifyOptions, check

from ..config import SpattenConfig
from ..timing.functional import quantize
from ..timing.topk import SEED
from .attention import CODES, Attention, Scene, bench_of, scene_case, small


def machine_for(steps: list[dict[str, Any]]) -> SpattenConfig:
    """A small machine whose buffers hold a trace's longest head."""
    longest = max(len(step["keys"]) for step in steps)
    size = max(64, 1 << (longest - 1).bit_length())
    room = max(65_536, 2 * 256 * size)
    return small(buffer_keys=size, score_tokens=2 * size, key_sram_bytes=2 * room, lsb_sram_bytes=room // 2,
                 value_sram_bytes=room, memory=DramConfig(channels=4))  # fmt: skip


def attention_trace(meta: dict[str, Any], steps: list[dict[str, Any]], options: VerifyOptions) -> BlockRow:
    """Compare a whole trace.

    Args:
        meta, steps: of `dataflow.attention.trace.read_attention_trace`.

    Raises:
        InputError: no tensors, bits that the core does not have, other head dimensions than 32, 64 and 128.
    """
    config = machine_for(steps)
    settings = AttentionPruning.model_validate(meta["settings"])
    return check("attention trace", bench_of(config), list(trace_cases(config, settings, steps)), options)


def trace_cases(config: SpattenConfig, settings: AttentionPruning, steps: list[dict[str, Any]]) -> Iterator[Case]:
    """A case a step."""
    for step in steps:
        name = f"iteration {step['iteration']}, layer {step['layer']}"
        if "p" not in step:
            raise InputError(f"trace: {name}: no tensors were recorded")
        if "key_offsets" in step:
            raise InputError(f"trace: {name}: its KV heads read different tokens, which a case of the core cannot say")
        tokens = np.asarray(step["keys"])
        scene = Scene(config)
        kv_heads = np.asarray(step.get("kv_heads", step["heads"]))
        for number in dict.fromkeys(kv_heads.tolist()):
            mine = np.flatnonzero(kv_heads == number)
            own = {n: np.concatenate(step[n][mine]) for n in "pq"} | {n: step[n][mine[0]] for n in "kv"}
            scene.add(_head(config, settings, own, tokens, int(number)))
        lists = np.stack([np.arange(len(tokens)), tokens], axis=1).astype(np.uint32)
        case = scene_case(np.random.default_rng(0), scene, lists, timed=True)
        case.label = f"{name}: {case.label}"
        yield case


def _head(
    config: SpattenConfig, settings: AttentionPruning, t: dict[str, np.ndarray], tokens: np.ndarray, number: int
) -> Attention:
    quantization = settings.quantization
    bits = quantization.bits if quantization else config.operand_bits
    lsb = quantization.lsb if quantization else 0
    v_bits = quantization.msb if quantization else config.operand_bits
    for b in (bits, bits - lsb, lsb, v_bits):
        if b not in CODES:
            raise InputError(f"trace: elements of {b} bits: the core has {', '.join(map(str, sorted(CODES)))}")
    d = t["q"].shape[1]
    if d not in (32, 64, 128):
        raise InputError(f"trace: heads of {d} dimensions: the core has 32, 64 and 128")
    q, q_scale = quantize(t["q"], bits)
    k, k_scale = quantize(t["k"], bits)
    v, _ = quantize(t["v"], v_bits)
    seen = np.array([int(np.flatnonzero(p > 0).max(initial=0)) + 1 for p in t["p"]])
    keep = np.array([max(kept(int(s), settings.values), 1) for s in seen])
    return Attention(
        tokens, q, k, v, (bits, bits - lsb, lsb, v_bits), q_scale * k_scale / float(np.sqrt(d)),
        quantization.threshold if quantization else 0.0, seen, keep, np.full(len(q), SEED), number % 64,
    )  # fmt: skip
