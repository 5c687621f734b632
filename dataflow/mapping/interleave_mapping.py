# SPDX-License-Identifier: Apache-2.0
"""Interleave mapping (SAT paper, optimization 1): how many independent accumulations a PE takes in turn.

An FP32 adder of ``add_latency`` stages gives a sum that many cycles later; adding to one output back to back would
leave the multiplier idle in between. With I interleaved outputs (OS) or activation rows (WS) a PE issues one
multiply-add a cycle as soon as I >= add_latency. A larger I costs accumulators and coarser tiles (padding); a smaller
one costs bubbles. The choice of I for a product is the offline scheduler's.
"""

from __future__ import annotations


def interleave_choices(add_latency: int, interleave_max: int, *, enabled: bool = True) -> tuple[int, ...]:
    """Interleave factors a schedule may use, rising; ``(1,)`` where the optimization is off.

    All of them hide as much of the adder's latency as the machine can: the smallest is
    ``min(add_latency, interleave_max)``; then powers of two up to ``interleave_max``, and that itself.
    """
    if not enabled:
        return (1,)
    least = min(add_latency, interleave_max)
    powers = {1 << i for i in range(interleave_max.bit_length())}
    return tuple(sorted(i for i in powers | {least, interleave_max} if least <= i <= interleave_max))
