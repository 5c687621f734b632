# SPDX-License-Identifier: Apache-2.0
"""Writing traces of pruned attention: what a sequence fetched and computed.

`dataflow.attention.trace` describes the folder's files, and reads them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from algorithms.training.tracing import versions
from dataflow.attention.trace import FORMAT
from dataflow.attention.workload import COLUMNS, OPERAND_BITS, QUERIES, Workload
from dataflow.files import atomic_path, write_text

from .session import Session


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
        for at, head in enumerate(step.heads.tolist()):
            again = int(step.again[at].sum())
            last = at == len(step.heads) - 1 and step.next_keys >= 0
            for flag, count in ((False, step.again.shape[1] - again), (True, again)):
                if count:
                    rows.append((
                        step.iteration, step.layer, head, dimension, length, len(step.keys), bits, OPERAND_BITS,
                        threshold, flag, extra, min(step.values, len(step.keys)), bits, True, False, last,
                        step.next_keys if last else -1, count,
                    ))  # fmt: skip
                    last = False
    return Workload(name, pd.DataFrame(rows, columns=[*COLUMNS, QUERIES]))


def write_attention_trace(folder: Path, session: Session, *, origin: str, dimension: int) -> None:
    """Write a session as a trace.

    Args:
        origin: what made it: a model's name, a command.
        dimension: of a head.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.json").unlink(missing_ok=True)
    workload_of(session, dimension, origin).write(folder / "workload.csv")
    records = []
    for number, step in enumerate(session.steps):
        name = f"step-{number:05d}.npz"
        arrays: dict[str, Any] = {
            "heads": step.heads,
            "queries": step.queries,
            "keys": step.keys,
            "again": step.again,
            **step.tensors,
        }
        with atomic_path(folder / name) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{k: v.numpy() for k, v in arrays.items()})
        records.append({"iteration": step.iteration, "layer": step.layer, "file": name})
    with atomic_path(folder / "steps.parquet") as temporary:
        pq.write_table(pa.Table.from_pylist(records), temporary)
    meta = {
        "format": FORMAT, "origin": origin, "layers": session.layers, "heads": session.heads, "dimension": dimension,
        "tensors": bool(session.steps and session.steps[0].tensors),
        "settings": session.settings.model_dump(mode="json"), "versions": versions(),
    }  # fmt: skip
    write_text(folder / "meta.json", json.dumps(meta, indent=1) + "\n")
