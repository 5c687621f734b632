# SPDX-License-Identifier: Apache-2.0
"""Time by cause of a step's work on a measured card: products by `kernel`, all else by its DRAM traffic.

Cycles are of the card's boost clock, whatever clock it runs at. A product unlike those that the card's numbers were
fitted to says so (`unlike_measured`).
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from dataflow.mapping.lowering import HALF_BYTES, Product

from ..timing import TWO_OF_FOUR, operand_bytes
from .cards import MODE, SHARED, USED, Sheet, fitted, sheet, stored
from .kernel import TERMS, fastest

CAUSES = {
    "useful": "useful multiplies", "rate": "multiplies below the data sheet's rate",
    "padding": "edges of tiles, small tiles", "waves": "multiprocessors without a tile",
    "latency": "latency of the reduction's steps", "memory": "DRAM and L2 bandwidth",
    "split": "adding the parts of a split reduction", "launch": "launch and prologue",
    "power": "clock below boost in long kernels (power)",
}  # fmt: skip
_LAUNCH, _DRAM_SHARE = len(SHARED) + MODE.index("launch_us"), SHARED.index("dram_share")


def cycles_by_cause(card: Sheet, micros: np.ndarray, times: int = 1) -> dict[str, int]:
    """Cycles of each cause and of all, from the microseconds until each of `TERMS`; the causes sum to the cycles."""
    until = [round(float(x) * 1e-6 * card.clock_hz * times) for x in micros]
    spent = {cause: after - before for cause, before, after in zip(TERMS, [0, *until], until, strict=False)}
    return {**spent, "cycles": until[-1]}


def product_cost(name: str, product: Product, *, sparse: bool, warm: bool = False) -> dict[str, Any]:
    """Cycles by cause, useful multiplies, DRAM bytes, the chosen tile and parts of a product on a card.

    Args:
        name: the card.
        sparse: whether the right operand is stored as 2:4.
        warm: operands that fit the L2 are there before, as in the measurements; else they come from DRAM.
    """
    card = sheet(name)
    turns = product.count if product.in_turn else 1  # one after the other: each is a launch of its own
    count = product.count // turns
    rows, reduction, cols = product.rows, product.reduction, product.cols
    right = TWO_OF_FOUR.storage_bytes(reduction, cols) if sparse else operand_bytes(product.right, reduction * cols)
    left = operand_bytes(product.left, rows * reduction)
    shape = np.array([rows, cols, reduction, count, left, right, HALF_BYTES * rows * cols, warm], np.float64)
    micros = np.empty(len(TERMS))
    tile_rows, tile_cols, parts = fastest(card.vector, fitted(name), sparse, shape, micros)
    done = product.macs * product.pattern.n_keep // product.pattern.m_group if sparse else product.macs
    return {**cycles_by_cause(card, micros, turns), "macs_done": done, "tile": f"{tile_rows}x{tile_cols}",
            "parts": parts, "microseconds": float(micros[-1]) * turns,
            "operand_bytes": (left + right + HALF_BYTES * rows * cols) * product.count,
            "unlike_measured": unlike_measured(name, product)}  # fmt: skip


def streamed(name: str, size: int) -> dict[str, Any]:
    """The same of an element-wise layer or a weight update: a launch, and its bytes at the DRAM's usable rate."""
    card, numbers = sheet(name), fitted(name)
    memory = size / (card.dram_bytes_per_s * 1e-6 * numbers[_DRAM_SHARE])
    micros = np.full(len(TERMS), memory + numbers[_LAUNCH])
    micros[: TERMS.index("memory")] = 0
    micros[TERMS.index("memory") : TERMS.index("launch")] = memory
    return {**cycles_by_cause(card, micros), "microseconds": float(micros[-1]), "operand_bytes": size,
            "unlike_measured": "no matrix product"}  # fmt: skip


def trust(name: str) -> dict[str, Any]:
    """What a result on a card says of its numbers: tables that they were fitted to, errors on others."""
    split = stored()["splits"][USED]
    errors = split["errors"]["tested_on"][name]
    return {"card": name, "numbers": "fitted", "fitted_on": list(split["fitted_on"]),
            "tested_on": list(split["tested_on"]),
            "errors": {key: errors[key] for key in ("dense", "2:4", "speedup", "spearman")}}  # fmt: skip


def unlike_measured(name: str, product: Product) -> str:
    """What sets a product apart from those that the card's numbers were fitted to; empty: nothing."""
    ranges = stored()["splits"][USED]["cards"][name]["measured"]
    sizes = {"rows": product.rows, "cols": product.cols, "reduction": product.reduction}
    found = []
    if product.left.window or product.right.window:
        found.append("convolution")
    elif product.right.kind != "weight":
        found.append(f"{product.right.kind}s on the right")
    if product.count > 1:
        found.append("several at once or in turn")
    for what, size in sizes.items():
        least, most = ranges[what]
        if not least <= size <= most:
            found.append(f"{what} {'below' if size < least else 'above'} {least if size < least else most:,}")
    return ", ".join(found)


def unlike_text(name: str, rows: list[dict[str, Any]]) -> str:
    """A sentence that says how much of a step's time is in work unlike the measured; empty: none."""
    total = sum(r["cycles"] for r in rows)
    unlike = [r for r in rows if r["unlike_measured"]]
    share = sum(r["cycles"] for r in unlike) / total if total else 0.0
    if share < 0.005:
        return ""
    by_time = sorted(unlike, key=lambda r: -r["cycles"])
    reasons = dict.fromkeys(itertools.chain.from_iterable(r["unlike_measured"].split(", ") for r in by_time))
    return f"gpu {name}: {share:.0%} of the time is in work unlike what it was fitted to: {', '.join(reasons)}"
