# SPDX-License-Identifier: Apache-2.0
"""A trace's queries, keys and values through the functional level, bit by bit, beside what torch computed.

Both quantize a head's q, k and v over its alive rows; torch then goes on in binary32, the machine in integers and its
own softmax (`functional`). Scores are scaled by 1 / sqrt(D). Where a trace is not quantized, the machine still is, to
its operands' width, so the distance is larger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dataflow.attention.pruning import AttentionPruning, kept
from dataflow.attention.trace import tensors_of
from dataflow.errors import InputError

from .config import SpattenConfig
from .timing.functional import quantize, run_query


@dataclass(slots=True)
class ReplayRow:
    """One layer of one iteration."""

    iteration: int
    layer: int
    queries: int = 0
    lsb_decisions_different: int = 0
    """Queries of which only one of the two needed LSBs."""
    probability_units: float = 0.0
    """Largest distance of a requantized probability from torch's, in its units (queries that agree on LSBs)."""
    values_different: int = 0
    """Queries that chose other values, whose probabilities are equal in the machine's units."""
    output_error: float = 0.0
    """Largest distance of an output from torch's over the head's largest one (queries that agree on both)."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def replay(
    config: SpattenConfig, meta: dict[str, Any], steps: list[dict[str, Any]], tick: Callable[[], None] = lambda: None
) -> list[ReplayRow]:
    """Every query of every head of a trace.

    Args:
        meta, steps: of `dataflow.attention.trace.read_attention_trace`.

    Raises:
        InputError: the trace has no tensors.
    """
    settings = AttentionPruning.model_validate(meta["settings"])
    rows = []
    for step in steps:
        if "p" not in step:
            raise InputError(f"trace: iteration {step['iteration']}, layer {step['layer']}: no tensors were recorded")
        row = ReplayRow(int(step["iteration"]), int(step["layer"]))
        for head in range(len(step["heads"])):
            _head(config, settings, tensors_of(step, head, ("p", "q", "k", "v", "e", "again")), row)
        rows.append(row)
        tick()
    return rows


def _head(config: SpattenConfig, settings: AttentionPruning, t: dict[str, np.ndarray], row: ReplayRow) -> None:
    quantization = settings.quantization
    bits = quantization.bits if quantization else config.operand_bits
    lsb = quantization.lsb if quantization else 0
    q, q_scale = quantize(t["q"], bits)
    k, k_scale = quantize(t["k"], bits)
    v, v_scale = quantize(t["v"], quantization.msb if quantization else config.operand_bits)
    scale = q_scale * k_scale / np.sqrt(q.shape[1])
    units = (1 << config.probability_bits) - 1
    largest = max(float(np.abs(t["e"]).max(initial=0)), 1e-30)
    for i in range(len(q)):
        p = t["p"][i]
        seen = int(np.flatnonzero(p > 0).max(initial=0)) + 1
        count = kept(seen, settings.values)
        found = run_query(
            config, q[i], k[:seen], v[:seen], scale, lsb=lsb, keep_values=count,
            threshold=quantization.threshold if quantization else 0.0,
        )  # fmt: skip
        row.queries += 1
        if found.again != bool(t["again"][i]):
            row.lsb_decisions_different += 1
            continue
        row.probability_units = max(row.probability_units, float(np.abs(found.probabilities - p[:seen] * units).max()))
        if found.kept.sum() != count or p[:seen][found.kept].min() < p[:seen][~found.kept].max(initial=-1):
            row.values_different += 1
            continue
        error = np.abs(found.output * (v_scale / units) - t["e"][i]).max() / largest
        row.output_error = max(row.output_error, float(error))
