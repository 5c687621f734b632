# SPDX-License-Identifier: Apache-2.0
"""Writing traces of pruned attention: what a sequence fetched and computed.

`dataflow.attention.trace` describes the folder's files, and reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from algorithms.training.tracing import versions
from dataflow.attention.trace import FORMAT
from dataflow.attention.workload import COLUMNS, KV_HEAD, OPERAND_BITS, QUERIES, Workload
from dataflow.files import atomic_path, write_text

from .session import Session, Step


def workload_of(session: Session, dimension: int, name: str) -> Workload:
    """A session's rows. Queries of a head that were computed again with LSBs and those that were not are two rows."""
    quantization = session.settings.quantization
    bits = quantization.msb if quantization else -1
    extra = quantization.lsb if quantization else 0
    threshold = quantization.threshold if quantization else 0.0
    rows, length = [], 0
    for step in session.steps:
        if step.layer == 0:  # all tokens of a walk enter its first layer
            length += len(step.queries)
        for at, (head, kv_head) in enumerate(zip(step.heads.tolist(), step.kv_heads.tolist(), strict=True)):
            again = int(step.again[at].sum())
            last = at == len(step.heads) - 1 and step.next_keys >= 0
            for flag, count in ((False, step.again.shape[1] - again), (True, again)):
                if count:
                    rows.append((
                        step.iteration, step.layer, head, dimension, length, len(step.keys), bits, OPERAND_BITS,
                        threshold, flag, extra, min(step.values, len(step.keys)), bits, True, False, last,
                        step.next_keys if last else -1, count, kv_head,
                    ))  # fmt: skip
                    last = False
    frame = pd.DataFrame(rows, columns=[*COLUMNS, QUERIES, KV_HEAD])
    return Workload(name, frame if (frame[KV_HEAD] != frame["head_id"]).any() else frame.drop(columns=KV_HEAD))


def write_attention_trace(folder: Path, session: Session, *, origin: str, dimension: int) -> None:
    """Write a session as a trace.

    Args:
        origin: what made it: a model's name, a command.
        dimension: of a head.
    """
    steps = ((step.iteration, step.layer, _arrays(step)) for step in session.steps)
    meta = {
        "format": FORMAT, "origin": origin, "layers": session.layers, "heads": session.heads, "dimension": dimension,
        "tensors": bool(session.steps and session.steps[0].tensors),
        "settings": session.settings.model_dump(mode="json"), "versions": versions(),
    }  # fmt: skip
    write_steps(folder, workload_of(session, dimension, origin), steps, meta)


def _arrays(step: Step) -> dict[str, Tensor]:
    """A step's arrays, as `dataflow.attention.trace` says them."""
    shared = {} if step.kv_heads.equal(step.heads) else {"kv_heads": step.kv_heads}
    own = {"heads": step.heads, "queries": step.queries, "keys": step.keys, "again": step.again}
    return {**own, **shared, **step.tensors}


def write_steps(
    folder: Path, workload: Workload, steps: Iterable[tuple[int, int, Mapping[str, Tensor]]], meta: dict[str, Any]
) -> None:
    """Write a trace's files, ``meta.json`` last; steps are (iteration, layer, arrays)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.json").unlink(missing_ok=True)
    workload.write(folder / "workload.csv")
    records = []
    for number, (iteration, layer, arrays) in enumerate(steps):
        name = f"step-{number:05d}.npz"
        with atomic_path(folder / name) as temporary, temporary.open("wb") as file:
            named: dict[str, Any] = {k: v.numpy() for k, v in arrays.items()}
            np.savez_compressed(file, **named)
        records.append({"iteration": iteration, "layer": layer, "file": name})
    with atomic_path(folder / "steps.parquet") as temporary:
        pq.write_table(pa.Table.from_pylist(records), temporary)
    write_text(folder / "meta.json", json.dumps(meta, indent=1) + "\n")
