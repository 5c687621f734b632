# SPDX-License-Identifier: Apache-2.0
"""Which techniques pay, head by head, from shapes alone: what the schedule leaves off before a workload is run.

A head's time is estimated as the largest of what its units take: Q x K, the memory at its peak, the top-k of values,
prob x V. A technique is left off where it does not make that shorter:

- progressive quantization costs Q x K a second pass for the share of queries that fail the check (`REFETCHED`; all of
  them where the threshold is 1) and saves LSBs' bytes. Left off: both planes of the keys are fetched together and
  multiplied once.
- local value pruning costs a top-k and saves values' bytes and rows of prob x V; nothing of both where queries share
  the values. Its values come only after the top-k, so it is left off altogether where all that it saves in a segment is
  less than that wait. Left off: the values of all keys are fetched with the keys and multiplied.

Left off, a head keeps more than the workload says, never less. Tokens and heads stay pruned: what a cascade has pruned
is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..config import SpattenConfig
from .lower import Group, dot_cycles, output_cycles, touched
from .topk import FILTER_CYCLES, PASS_CYCLES, START_CYCLES

REFETCHED = 0.059
"""Share of queries that need LSBs on average (SpAtten, section 3)."""
QUICK_PASSES = 3.4
"""Streams of n keys through quick-select, filter pass included: 2 to 3.4 n were measured; the upper end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A segment's heads as they are run."""

    groups: list[Group]
    values_kept: np.ndarray
    """bool[heads]: local value pruning is left off."""
    one_plane: np.ndarray
    """bool[heads]: progressive quantization is left off."""


def plan(config: SpattenConfig, groups: Sequence[Group]) -> Plan:
    """Leave off what does not pay, where the machine does so (`SpattenConfig.leave_off`)."""
    one_plane = np.zeros(len(groups), np.bool_)
    kept = np.zeros(len(groups), np.bool_)
    if not config.leave_off:
        return Plan(list(groups), kept, one_plane)
    saved, wait = 0.0, 0.0
    found = []
    for i, group in enumerate(groups):
        if group.progressive:
            whole = replace(
                group, key_bytes=group.key_bytes + group.lsb_bytes, lsb_bytes=0, progressive=False,
                again=np.zeros_like(group.again),
            )  # fmt: skip
            if _cycles(config, whole) <= _cycles(config, group):
                group, one_plane[i] = whole, True
        if group.values < group.head.keys:
            all_values = replace(group, values=group.head.keys)
            gain = _cycles(config, all_values) - _cycles(config, group)
            kept[i] = gain <= 0
            saved += max(gain, 0.0)
            wait = max(wait, _topk(config, group) + _bytes_of_values(config, group) / config.peak_bytes_per_cycle)
        found.append(group)
    if saved <= wait:
        kept |= np.array([g.values < g.head.keys for g in found], np.bool_)
    found = [replace(g, values=g.head.keys) if k else g for g, k in zip(found, kept, strict=True)]
    return Plan(found, kept, one_plane)


def _cycles(config: SpattenConfig, group: Group) -> float:
    """A head's time if nothing else limits: the largest of what its units take."""
    head = group.head
    repeated = 1 + _failing(group)
    units = [
        head.queries * float(dot_cycles(config, head.keys, head.dimension)) * repeated,
        _bytes(config, group) / config.peak_bytes_per_cycle,
        head.queries * float(output_cycles(config, _multiplied(config, group), head.dimension)),
    ]
    if group.values < head.keys:
        units.append(head.queries * _topk(config, group))
    return max(units)


def _failing(group: Group) -> float:
    """Expected share of queries that are computed again."""
    if not group.progressive:
        return 0.0
    return 1.0 if group.threshold >= 1 else REFETCHED


def _shared(group: Group) -> bool:
    return group.head.queries > 1


def _multiplied(config: SpattenConfig, group: Group) -> int:
    """Values that prob x V passes over for a query."""
    return group.head.keys if _shared(group) else group.values


def _bytes_of_values(config: SpattenConfig, group: Group) -> float:
    transaction = config.memory.transaction_bytes
    number = group.head.keys if _shared(group) else group.values
    return _span(number, group.head.keys, group.value_bytes, transaction)


def _bytes(config: SpattenConfig, group: Group) -> float:
    """Expected bytes of q, keys, LSBs and values."""
    head, transaction = group.head, config.memory.transaction_bytes
    total = 1.0 * head.queries * touched(group.query_bytes, transaction) * transaction
    total += _span(head.keys, head.length, group.key_bytes, transaction)
    if group.progressive:
        some = 1 - (1 - _failing(group)) ** head.queries
        total += some * _span(head.keys, head.length, group.lsb_bytes, transaction)
    return total + _bytes_of_values(config, group)


def _span(number: int, among: int, size: int, transaction: int) -> float:
    """Bytes of ``number`` vectors spread over ``among``: neighbours share a transaction, others touch whole ones."""
    alone = touched(size, transaction) * transaction
    share = number / max(among, 1)
    return number * (share * size + (1 - share) * alone)


def _topk(config: SpattenConfig, group: Group) -> float:
    """Cycles of a query's top-k in one of the engines."""
    n, rows = group.head.keys, -(-group.head.keys // config.topk_parallel)
    if config.topk_engine == "histogram":
        streams = 1 if group.values > 1 << (config.probability_bits // 2) else 2
        return streams * (rows + FILTER_CYCLES)
    passes = max(2.0, float(np.log2(max(n, 2))))
    return (QUICK_PASSES * rows + START_CYCLES + PASS_CYCLES * passes) / config.value_topk_engines
