# SPDX-License-Identifier: Apache-2.0
"""A dense tile array with 2:4 weights, as GPUs have it: NVIDIA's A100, its tensor cores and its memories.

Sources: NVIDIA A100 Tensor Core GPU Architecture whitepaper, 2020; A. Mishra et al., Accelerating Sparse Deep Neural
Networks, arXiv 2104.08378. Products are timed in `timing`; element-wise layers and weight updates are their DRAM
traffic; one follows the other. Not modelled: kernel launches, the first fetch and last store of a kernel, clocks below
boost, choosing what is pruned, DRAM refresh and rows, reuse in L1, fused element-wise layers; in energy: registers,
multiplies on padding, leakage, and an HBM2 of its own (the table's DRAM figure stands for it).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from pydantic import Field

from dataflow.mapping.lowering import Product, VectorOp, Work
from dataflow.networks.network import phase_text
from dataflow.pattern import PatternText
from hwsim.core.energy import DRAM, FP16_MULTIPLY, FP32_ADD, UPDATE_PJ, sram_pj_per_byte
from hwsim.core.machine import Machine, Tick, quiet
from hwsim.core.result import SimpleResult
from hwsim.core.training import TrainingRun

from .config import TensorConfig
from .timing import TWO_OF_FOUR, dense_cause, fits, product_cost

CAUSES = {
    "useful": "useful multiplies", "padding": "padding: edges of tiles and instructions",
    "waves": "multiprocessors without a tile", "shared": "shared-memory port", "l2": "L2 bandwidth",
    "dram": "DRAM bandwidth", "elementwise": "element-wise layers (DRAM)", "update": "weight update (DRAM)",
}  # fmt: skip
NUMBERS = ("cycles", *CAUSES, "macs", "macs_done", "dram_bytes", "l2_bytes", "shared_bytes", "parts")
BANKS, L2_SLICE_BYTES = 32, 512 << 10
"""Of a shared memory (CUDA guide); of the L2 (A100 whitepaper: 80 slices): what one access costs energy by."""


class TensorRun(TrainingRun):
    """One training step, or some of its passes, on the machine."""

    pattern: PatternText = Field("2:4", description="N:M (N kept of M) or dense; all but 2:4 run dense")
    machine: TensorConfig = TensorConfig()


class Tensor24(Machine):
    """Tensor cores with 2:4 weights, an NVIDIA A100 by default."""

    title = "tensor cores with 2:4 weights, as in NVIDIA's A100 (arXiv 2104.08378)"
    Config = TensorConfig
    Run = TensorRun

    @classmethod
    def simulate(cls, run: TensorRun, workload: Any = None, tick: Tick = quiet) -> SimpleResult:
        """One step; ``workload``: a `dataflow.networks.network.Network`."""
        work = run.workload(workload if workload is not None else run.read_network())
        what = "dense" if work.method.is_dense else f"{work.method} {work.pattern}"
        rows = [_row(run.machine, w) for w in work.work]
        if what != "dense" and not any(r["pattern"] == "2:4" for r in rows):
            why = "; ".join(dict.fromkeys(r["dense_cause"] for r in rows if r["macs"] and r["phase"] != "WU"))
            warnings.warn(f"every layer runs dense: {why}", stacklevel=4)
        title = f"{work.network}{phase_text(work.phase, work.context)}, batch {work.batch}, {what}"
        return SimpleResult(cls.name, title, run.model_dump(mode="json"), run.machine.frequency_hz, rows, CAUSES)

    @classmethod
    def bounds(cls, run: TensorRun, result: Any) -> dict[str, float]:
        macs, size = (sum(r[c] for r in result.records) for c in ("macs_done", "dram_bytes"))
        return {"tensor cores": macs / run.machine.peak_macs_per_cycle,
                "DRAM bandwidth": size / run.machine.dram_bytes_per_cycle}  # fmt: skip


def _row(config: TensorConfig, work: Work) -> dict[str, Any]:
    row: dict[str, Any] = {"step": work.name, "layer": work.layer, "phase": str(getattr(work, "pass_", "UP")),
                           "pattern": "", "dense_cause": "", "tile": "", **dict.fromkeys(NUMBERS, 0)}  # fmt: skip
    if isinstance(work, Product):
        row["dense_cause"] = dense_cause(config, work)
        row |= {"pattern": "dense" if row["dense_cause"] else "2:4", "macs": work.macs, **product_cost(config, work)}
    elif isinstance(work, VectorOp):
        row |= _streamed(config, "elementwise", work.read_bytes + work.write_bytes)
    else:
        stored = [TWO_OF_FOUR for p in (work.ff_pattern, work.bp_pattern) if fits(config, p)]
        row |= _streamed(config, "update", sum(work.traffic(stored)))
    return row | {
        "energy_multiply_pj": row["macs_done"] * FP16_MULTIPLY.value_pj,
        "energy_add_pj": row["macs_done"] * FP32_ADD.value_pj,
        "energy_shared_pj": row["shared_bytes"] * sram_pj_per_byte(config.shared_bytes / BANKS),
        "energy_l2_pj": row["l2_bytes"] * sram_pj_per_byte(L2_SLICE_BYTES),
        "energy_dram_pj": row["dram_bytes"] * DRAM.value_pj / 8,
        "energy_update_pj": getattr(work, "weights", 0) * UPDATE_PJ,
    }


def _streamed(config: TensorConfig, cause: str, size: int) -> dict[str, int]:
    cycles = math.ceil(size / config.dram_bytes_per_cycle)
    return {"cycles": cycles, cause: cycles, "dram_bytes": size}
