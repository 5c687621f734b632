# SPDX-License-Identifier: Apache-2.0
"""A method's steps as an attention trace, for a machine: the tokens that each KV head reads.

A trace says fetches and products of the attention itself; what choosing took stands in ``meta.json`` beside it
(``counts``), for the machine has no part that does it. Tokens stay where they were written: a cache that closes the
gaps of tokens that left is not modelled. Narrow keys cannot be said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from algorithms.attention.traces import write_steps
from algorithms.training.tracing import versions
from dataflow.attention.pruning import AttentionPruning
from dataflow.attention.trace import FORMAT_BY_HEAD
from dataflow.attention.workload import COLUMNS, KV_HEAD, OPERAND_BITS, QUERIES, Workload
from dataflow.errors import InputError

from .session import CacheSession, CacheStep, facts


def cache_workload(session: CacheSession, dimension: int, name: str) -> Workload:
    """A row a query head of each step.

    Raises:
        InputError: narrow keys; no steps.
    """
    if session.narrow:
        raise InputError("trace: keys with fewer channels than a head (think) cannot be said in a trace")
    if not session.steps:
        raise InputError("trace: no token has followed the prompt")
    rows = []
    for step in session.steps:
        counts, group = step.read.sum(1).tolist(), session.heads // len(step.read)
        for head in range(session.heads):
            n = counts[head // group]
            rows.append((
                step.iteration, step.layer, head, dimension, step.position + 1, n, -1, OPERAND_BITS, 0.0, False, 0, n,
                -1, True, False, False, -1, 1, head // group,
            ))  # fmt: skip
    return Workload(name, pd.DataFrame(rows, columns=[*COLUMNS, QUERIES, KV_HEAD]))


def write_cache_trace(folder: Path, session: CacheSession, *, method: str, origin: str) -> None:
    """Write a session's steps behind its prompt, recorded with their tensors, as a trace.

    Args:
        method: its name in the registry.
        origin: what made it: a model's name, a command.

    Raises:
        InputError: narrow keys; no steps, or steps without tensors.
    """
    if not all(step.tensors for step in session.steps):
        raise InputError("trace: the steps' tensors were not recorded")
    dimension = session.steps[0].tensors["q"].shape[1] if session.steps else 0
    workload = cache_workload(session, dimension, origin)
    meta = {
        "format": FORMAT_BY_HEAD, "origin": origin, "layers": session.layers, "heads": session.heads,
        "dimension": dimension, "tensors": True, "settings": AttentionPruning().model_dump(mode="json"),
        "cache": facts(session.method, method), "counts": asdict(session.total()), "versions": versions(),
    }  # fmt: skip
    write_steps(folder, workload, _steps(session), meta)


def _steps(session: CacheSession) -> Iterator[tuple[int, int, dict[str, Tensor]]]:
    for step in session.steps:
        yield step.iteration, step.layer, _arrays(step, session.heads)


def _arrays(step: CacheStep, heads: int) -> dict[str, Tensor]:
    """A step's arrays, as `dataflow.attention.trace` says them."""
    lists = [row.nonzero()[:, 0] for row in step.read]
    most, group = max(map(len, lists)), heads // len(lists)
    each = len(lists) // len(step.tensors["k"])  # lists of one of the model's KV heads
    p = torch.zeros(heads, 1, most)
    k, v = (torch.zeros(len(lists), most, step.tensors["k"].shape[2]) for _ in range(2))
    for g, places in enumerate(lists):
        k[g, : len(places)], v[g, : len(places)] = (step.tensors[n][g // each, places] for n in "kv")
        p[g * group : (g + 1) * group, 0, : len(places)] = step.tensors["p"][g * group : (g + 1) * group, places]
    return {
        "heads": torch.arange(heads), "queries": torch.tensor([step.position]), "keys": torch.cat(lists),
        "kv_heads": torch.arange(heads) // group,
        "key_offsets": torch.tensor([0, *(len(places) for places in lists)]).cumsum(0),
        "again": torch.zeros(heads, 1, dtype=torch.bool), "p": p, "q": step.tensors["q"][:, None], "k": k, "v": v,
        "e": step.tensors["e"][:, None],
    }  # fmt: skip
