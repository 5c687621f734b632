# SPDX-License-Identifier: Apache-2.0
"""Torch's attention on this computer's CPU (and GPU), in float32, measured beside the device's roofline.

The roof is a large matrix product's rate and a large copy's bandwidth (bytes read and written). One sequence; a layer's
time is the median of several; other layers and generated tokens of the same length are taken to be equal.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from statistics import median
from typing import Any

import torch
from torch.nn import functional as F

from dataflow.attention.workload import MODELS, Transformer


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
