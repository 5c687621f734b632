# SPDX-License-Identifier: Apache-2.0
"""Measures products on this computer's CUDA card: dense by cuBLASLt, 2:4 by cuSPARSELt, both through torch.

``python -m algorithms.gpu_products hwsim/tensor24/gpu/measured/A100_*.csv --card NAME --out FOLDER`` takes the sizes of
tables and writes ``NAME_BF16_TABLE.csv``, in their form, and ``NAME.json``: card and versions. As there the same
buffers are used again and again: 25 calls to warm up, then the mean of 50. Calls are recorded once and replayed as a
CUDA graph: Python's time is not in them. The 2:4 kernel is the best of cuSPARSELt's search, the dense one what the
library's heuristic takes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dataflow.errors import InputError
from dataflow.files import read_text, write_text

WARM, CALLS = 25, 50
COLUMNS = ("M", "N", "K", "cuBLAS", "cuSPARSE_2_4")
"""Of the tables: rows, columns, reduction; microseconds dense and 2:4."""


def graph_micros(work: Callable[[], Any]) -> float:
    """Mean microseconds of a call of some GPU work, replayed from a CUDA graph of `CALLS` calls."""
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graphs = []
    for calls in (WARM, CALLS):
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(calls):
                work()
        graphs.append(graph)
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    graphs[0].replay()
    first.record()
    graphs[1].replay()
    last.record()
    torch.cuda.synchronize()
    return float(1e3 * first.elapsed_time(last) / CALLS)


def kernel_micros(work: Callable[[], Any]) -> float:
    """Mean microseconds of the kernels of a call, by torch's profiler: for what no CUDA graph can record."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    for _ in range(WARM):
        work()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        for _ in range(CALLS):
            work()
        torch.cuda.synchronize()
    return float(sum(e.self_device_time_total for e in found.key_averages()) / CALLS)


TIMERS = {"graph": graph_micros, "kernels": kernel_micros}


def product_micros(rows: int, cols: int, reduction: int, timer: Callable[..., float]) -> tuple[float, float]:
    """Microseconds of Y[rows, cols] = X[rows, reduction] W[reduction, cols] in bf16, dense and with W 2:4."""
    import torch

    x = torch.randn(rows, reduction, device="cuda", dtype=torch.bfloat16)
    w = torch.randn(cols, reduction, device="cuda", dtype=torch.bfloat16)
    y = torch.empty(rows, cols, device="cuda", dtype=torch.bfloat16)
    dense = timer(lambda: torch.mm(x, w.t(), out=y))
    kept = w.view(cols, -1, 4).float().abs().argsort(dim=-1, descending=True)[..., :2]
    mask = torch.zeros(cols, reduction // 4, 4, device="cuda", dtype=torch.bool).scatter_(-1, kept, True)
    packed = torch._cslt_compress((w * mask.view(cols, reduction)).contiguous())
    library: Any = getattr(torch._C, "_cusparselt", None)
    if hasattr(library, "mm_search"):
        found = library.mm_search(packed, x.t(), None, None, None, True)
        options: dict[str, Any] = {"alg_id": int(found[0]), "split_k": int(found[1]), "split_k_mode": int(found[2])}
    else:
        options = {"alg_id": int(torch._cslt_sparse_mm_search(packed, x.t(), transpose_result=True))}
    return dense, timer(lambda: torch._cslt_sparse_mm(packed, x.t(), transpose_result=True, **options))


def card_facts() -> dict[str, Any]:
    """What the card and its software call themselves.

    Raises:
        InputError: there is none.
    """
    import torch

    if not torch.cuda.is_available():
        raise InputError("no CUDA card here: products are measured on one")
    about = torch.cuda.get_device_properties(0)
    return {
        "card": about.name, "sms": about.multi_processor_count, "memory_bytes": about.total_memory,
        "l2_bytes": about.L2_cache_size, "torch": torch.__version__, "cuda": torch.version.cuda,
        "cusparselt": torch.backends.cusparselt.version(),
    }  # fmt: skip


def sizes_of(table: Path) -> list[tuple[int, int, int]]:
    """Rows, columns and reduction of a table's products.

    Raises:
        InputError: the table lacks them.
    """
    try:
        return [(int(r["M"]), int(r["N"]), int(r["K"])) for r in csv.DictReader(read_text(table).splitlines())]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{table}: expected whole numbers in the columns M, N, K") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: every table, a file each."""
    parser = argparse.ArgumentParser(
        prog="python -m algorithms.gpu_products", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("tables", type=Path, nargs="+", help="tables whose sizes are measured: CARD_BF16_TABLE.csv")
    parser.add_argument("--card", required=True, help="name in the files' names")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--timer", choices=TIMERS, default="graph", help="kernels: by the profiler, no launches")
    given = parser.parse_args(arguments)
    try:
        wanted = {table.stem.partition("_BF16_")[2] or table.stem: sizes_of(table) for table in given.tables}
        facts = card_facts()
    except InputError as error:
        parser.error(str(error))
    write_text(given.out / f"{given.card}.json", json.dumps(facts, indent=2) + "\n")
    for name, sizes in wanted.items():
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for rows, cols, reduction in sizes:
            dense, sparse = product_micros(rows, cols, reduction, TIMERS[given.timer])
            print(f"{name}: {rows} x {cols} x {reduction}: {dense:.1f} us, 2:4 {sparse:.1f} us", flush=True)
            writer.writerow([rows, cols, reduction, f"{dense:.3f}", f"{sparse:.3f}"])
        write_text(given.out / f"{given.card}_BF16_{name}.csv", file.getvalue())


if __name__ == "__main__":
    main()
