# SPDX-License-Identifier: Apache-2.0
"""Traces of pruned attention: what a sequence fetched and computed, in a folder that explains itself.

    meta.json        format, origin, settings, sizes, versions
    workload.csv     the SpAtten authors' format (`dataflow.attention`): rows of (iteration, layer, head)
    steps.parquet    one row a step: iteration, layer, the npz's name
    step-00000.npz   of a step: heads, queries, keys (positions), again [heads, queries], where heads share keys the KV
                     head of each (kv_heads), and, where they were recorded,
                     float32 of the alive heads, queries and keys: p [heads, L0, L1], q [heads, L0, D],
                     k and v [heads, L1, D] (before quantization), e [heads, L0, D]

Where KV heads read different tokens (format 2), a step has ``kv_heads`` [heads] and ``key_offsets`` [KV heads + 1] too:
``keys`` has one KV head's positions after the other's, those of KV head g from key_offsets[g] to key_offsets[g + 1]; L1
is the most of one, a shorter one's p are 0 behind its own; k and v are [KV heads, L1, D].

``meta.json`` is written last: a folder without it is an unfinished trace.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from ..files import read_arrays, read_json

FORMAT = "hwsim-attention-trace/1"
FORMAT_BY_HEAD = "hwsim-attention-trace/2"
"""Of a trace whose KV heads read different tokens."""


def read_attention_trace(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A trace's meta data, and its steps with their arrays.

    Raises:
        InputError: no finished trace, one without steps, another format, a file that is broken.
    """
    if not (folder / "meta.json").is_file():
        raise InputError(f"{folder}: no finished attention trace (meta.json is missing)")
    meta = read_json(folder / "meta.json")
    if not isinstance(meta, dict) or meta.get("format") not in (FORMAT, FORMAT_BY_HEAD):
        raise InputError(f"{folder / 'meta.json'}: format is not {FORMAT} or {FORMAT_BY_HEAD}")
    try:
        records = pq.read_table(folder / "steps.parquet").to_pylist()
    except (OSError, pa.ArrowException):
        raise InputError(f"{folder / 'steps.parquet'}: broken or missing") from None
    if not records:
        raise InputError(f"{folder / 'steps.parquet'}: an empty trace: no steps")
    steps = []
    for record in records:
        path = folder / str(record["file"])
        steps.append({**record, **read_arrays(path)})
    return meta, steps


def keys_of(step: dict[str, Any], kv_head: int) -> np.ndarray:
    """int64, ascending: the positions whose keys a KV head reads in a step."""
    keys: np.ndarray = step["keys"]
    if "key_offsets" not in step:
        return keys
    at = step["key_offsets"]
    if not 0 <= kv_head < len(at) - 1:
        raise InputError(f"iteration {step['iteration']}, layer {step['layer']}: no keys of KV head {kv_head}")
    return keys[at[kv_head] : at[kv_head + 1]]


def tensors_of(step: dict[str, Any], place: int, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """A step's tensors of the query head at ``place`` of its ``heads``, over the keys that it has."""
    if "key_offsets" not in step:
        return {name: step[name][place] for name in names}
    kv_head = int(step["kv_heads"][place])
    count = len(keys_of(step, kv_head))
    found = {}
    for name in names:
        tensor = step[name][kv_head if name in ("k", "v") else place]
        found[name] = tensor[:, :count] if name == "p" else tensor[:count] if name in ("k", "v") else tensor
    return found
