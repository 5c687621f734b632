# SPDX-License-Identifier: Apache-2.0
"""Traces of pruned attention: what a sequence fetched and computed, in a folder that explains itself.

    meta.json        format, origin, settings, sizes, versions
    workload.csv     the SpAtten authors' format (`dataflow.attention`): rows of (iteration, layer, head)
    steps.parquet    one row a step: iteration, layer, the npz's name
    step-00000.npz   of a step: heads, queries, keys (positions), again [heads, queries], and, where they were recorded,
                     float32 of the alive heads, queries and keys: p [heads, L0, L1], q [heads, L0, D],
                     k and v [heads, L1, D] (before quantization), e [heads, L0, D]

``meta.json`` is written last: a folder without it is an unfinished trace.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from ..files import read_arrays, read_json

FORMAT = "hwsim-attention-trace/1"


def read_attention_trace(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A trace's meta data, and its steps with their arrays.

    Raises:
        InputError: no finished trace, one without steps, another format, a file that is broken.
    """
    if not (folder / "meta.json").is_file():
        raise InputError(f"{folder}: no finished attention trace (meta.json is missing)")
    meta = read_json(folder / "meta.json")
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise InputError(f"{folder / 'meta.json'}: format is not {FORMAT}")
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
