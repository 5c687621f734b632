# SPDX-License-Identifier: Apache-2.0
"""Torch's attention on this computer's CPU (and GPU), in float32, measured beside the device's roofline.

The roof is a large matrix product's rate and a large copy's bandwidth (bytes read and written). One sequence; a layer's
time is the median of several; other layers and generated tokens of the same length are taken to be equal.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.nn import functional as F

from dataflow.attention.benchmarks import benchmarks
from dataflow.attention.workload import MODELS, Transformer
from dataflow.files import write_text


def devices() -> list[str]:
    """Where torch can run here: the CPU, and a CUDA GPU where there is one."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def _seconds(work: Callable[[], Any], device: str, at_least: float = 0.2) -> float:
    """Median of calls over at least so many seconds, the first one left out."""
    wait: Callable[[], Any] = torch.cuda.synchronize if device == "cuda" else lambda: None
    work()
    wait()
    found: list[float] = []
    start = time.perf_counter()
    while time.perf_counter() - start < at_least or len(found) < 5:
        before = time.perf_counter()
        work()
        wait()
        found.append(time.perf_counter() - before)
    return median(found)


def roofline(device: str) -> dict[str, float]:
    """``gflops`` of a product of 1024 x 1024 matrices and ``gb_per_s`` of a copy of 64 MiB."""
    a = torch.rand(1024, 1024, device=device)
    x, y = torch.rand(1 << 24, device=device), torch.empty(1 << 24, device=device)
    return {
        "gflops": 2 * 1024**3 / _seconds(lambda: a @ a, device) / 1e9,
        "gb_per_s": 2 * 4 * len(x) / _seconds(lambda: y.copy_(x), device) / 1e9,
    }


@torch.no_grad()
def attention_time(model: Transformer, device: str, iterations: int = 1) -> dict[str, Any]:
    """Time of all attention of an encoder's layers, or of so many of a decoder's generated tokens.

    Returns:
        milliseconds, gflops, flop_per_byte (of Q, K, V once in float32), threads.
    """
    queries = 1 if model.generated else model.length
    keys = model.length + (model.generated + 1) // 2
    q = torch.rand(1, model.heads, queries, model.dimension, device=device)
    k, v = (torch.rand(1, model.heads, keys, model.dimension, device=device) for _ in range(2))
    layer = _seconds(lambda: F.scaled_dot_product_attention(q, k, v), device)
    flops = 4 * model.heads * queries * keys * model.dimension
    moved = 4 * model.heads * model.dimension * (queries + 2 * keys)
    count = model.layers * (iterations if model.generated else 1)
    return {
        "milliseconds": 1e3 * layer * count, "gflops": flops / layer / 1e9, "flop_per_byte": flops / moved,
        "threads": torch.get_num_threads(),
    }  # fmt: skip


def on_this_computer(model: str, iterations: int, length: int | None = None) -> list[dict[str, Any]]:
    """Torch's attention of a model's sizes on each device here: time, rate, and the device's measured roof.

    Args:
        model: of `dataflow.attention.workload.MODELS`.
        iterations: generated tokens (an encoder: 1).
        length: input tokens; None: the model's.
    """
    sizes = MODELS[model]._replace(length=length or MODELS[model].length)
    rows = []
    for device in devices():
        roof = _roof(device)
        found = attention_time(sizes, device, iterations)
        reach = min(roof["gflops"], roof["gb_per_s"] * found["flop_per_byte"])
        rows.append({"device": _name(device), **found, "roof_gflops": roof["gflops"], "roof_gb_per_s": roof["gb_per_s"],
                     "share_of_roof": found["gflops"] / reach})  # fmt: skip
    return rows


def _name(device: str) -> str:
    """What a device is called."""
    return "cpu" if device == "cpu" else torch.cuda.get_device_name()


@lru_cache(maxsize=8)
def _roof(device: str) -> dict[str, float]:
    return roofline(device)


def graph_seconds(work: Callable[[], Any], calls: int = 50) -> float:
    """Mean seconds of a call of some GPU work, replayed from a CUDA graph: Python's time is not in it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            work()
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    graph.replay()
    first.record()
    graph.replay()
    last.record()
    torch.cuda.synchronize()
    return float(first.elapsed_time(last)) / 1e3 / calls


def gpu_cases() -> list[tuple[str, Transformer, int, torch.dtype]]:
    """Model, sizes, batch and number format of what is measured on a GPU: the paper's benchmarks, and a generated token
    of Llama-3-8B behind 8k to 128k tokens."""
    lengths = sorted({(b.model, b.length) for b in benchmarks().values()})
    cases = [(name, MODELS[name]._replace(length=length), 1, number)
             for name, length in lengths for number in (torch.float32, torch.float16)]  # fmt: skip
    return cases + [("llama-3-8b", MODELS["llama-3-8b"]._replace(length=n - 1, generated=1), batch, torch.float16)
                    for n in (8192, 32768, 131072) for batch in (1, 8)]  # fmt: skip


@torch.no_grad()
def gpu_rows() -> list[dict[str, Any]]:
    """A layer's attention on the CUDA card here, of each of `gpu_cases`: us_call (a call and the wait for its end,
    median), us_graph (replayed)."""
    rows = []
    for name, m, batch, number in gpu_cases():
        queries, keys = 1 if m.generated else m.length, m.length + (m.generated + 1) // 2
        heads = m.kv_heads or m.heads
        q = torch.rand(batch, m.heads, queries, m.dimension, device="cuda", dtype=number)
        k, v = (torch.rand(batch, heads, keys, m.dimension, device="cuda", dtype=number) for _ in range(2))
        work = partial(F.scaled_dot_product_attention, q, k, v, enable_gqa=heads != m.heads)
        rows.append({"model": name, "layers": m.layers, "batch": batch, "queries": queries, "keys": keys,
                     "number": str(number).removeprefix("torch."), "us_call": round(1e6 * _seconds(work, "cuda"), 2),
                     "us_graph": round(1e6 * graph_seconds(work), 2)})  # fmt: skip
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: `gpu_rows` as a CSV file."""
    parser = argparse.ArgumentParser(prog="python -m algorithms.attention.measure", description=gpu_rows.__doc__)
    parser.add_argument("file", type=Path, help="CSV file to write")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        parser.error("no CUDA card here: attention is measured on one")
    file = io.StringIO()
    rows = gpu_rows()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(given.file, file.getvalue())


if __name__ == "__main__":
    main()
