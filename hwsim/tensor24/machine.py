# SPDX-License-Identifier: Apache-2.0
"""An array of tensor cores with 2:4 weights and the balance of NVIDIA's A100; or a GPU, as it was measured.

The array is ideal: it shows what 2:4 could bring, and no GPU reaches it; with ``machine.gpu`` the machine is one that
was measured (`gpu`). Sources: NVIDIA A100 Tensor Core GPU Architecture whitepaper, 2020; A. Mishra et al., Accelerating
Sparse Deep Neural Networks, arXiv 2104.08378. Products are timed in `timing`; element-wise layers and weight updates
are their DRAM traffic; one follows the other. Not modelled of the array: kernel launches, the first fetch and last
store of a kernel, clocks below boost, choosing what is pruned, rounding to int8 and scaling back, DRAM refresh and
rows, reuse in L1, fused element-wise layers; in energy: registers, multiplies on padding, leakage, and an HBM2 of its
own (the table's DRAM figure stands for it). Of a card no energy is counted.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from dataflow.errors import InputError
from dataflow.mapping.lowering import Product, Update, VectorOp, Work
from dataflow.networks.network import phase_text
from dataflow.pattern import PatternText
from hwsim.core.energy import DRAM, FP16_MULTIPLY, FP32_ADD, INT8_MULTIPLY, INT32_ADD, UPDATE_PJ, sram_pj_per_byte
from hwsim.core.machine import Machine, Tick, quiet
from hwsim.core.result import SimpleResult
from hwsim.core.training import TrainingRun

from .config import TensorConfig
from .gpu import product as card
from .gpu.cards import sheet, sheets
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
    """An array of tensor cores with 2:4 weights; with ``gpu`` in its configuration a GPU, as it was measured."""

    title = ("an ideal array of tensor cores with 2:4 weights and an A100's balance (arXiv 2104.08378), no GPU; "
             "machine.gpu=a100-pcie, h100-pcie, b200 or rtx4090: a GPU as measured")  # fmt: skip
    Config = TensorConfig
    resources: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "multiprocessors": ("sms",), "tensor cores of each": ("tensor_cores",),
        "shared memory of each": ("shared_bytes",), "shared-memory port of each": ("shared_bytes_per_cycle",),
        "L2 capacity": ("l2_bytes",), "L2 bandwidth": ("l2_bytes_per_cycle",),
        "DRAM bandwidth": ("dram_bytes_per_s",),
    }  # fmt: skip
    Run = TensorRun

    @classmethod
    def growing(cls, run: TensorRun) -> Mapping[str, tuple[str, ...]]:
        """A card is as its data sheet has it: nothing of it grows."""
        return cls.resources if run.machine.gpu is None else {}

    @classmethod
    def instead(cls, run: TensorRun) -> Mapping[str, Mapping[str, Any]]:
        """The other cards."""
        name = run.machine.gpu
        return {} if name is None else {sheets()[n].title: {"gpu": n} for n in sheets() if n != name}

    @classmethod
    def simulate(cls, run: TensorRun, workload: Any = None, tick: Tick = quiet) -> SimpleResult:
        """One step; ``workload``: a `dataflow.networks.network.Network`."""
        work = run.workload(workload if workload is not None else run.read_network())
        if run.machine.operands == "int8" and any(str(getattr(w, "pass_", "UP")) != "FF" for w in work.work):
            raise InputError("machine.operands: int8 is of inference alone: passes=[FF]")
        what = "dense" if work.method.is_dense else f"{work.method} {work.pattern}"
        if work.pattern.is_dense and any(not p.pattern.is_dense for p in work.products):
            what = f"{work.method} by layer"
        name = run.machine.gpu
        rows = [_row(run.machine, w) if name is None else _card_row(run.machine, name, w) for w in work.work]
        if name is not None and (text := card.unlike_text(name, rows)):
            warnings.warn(text, stacklevel=4)
        if what != "dense" and not any(r["pattern"] == "2:4" for r in rows):
            why = "; ".join(dict.fromkeys(r["dense_cause"] for r in rows if r["macs"] and r["phase"] != "WU"))
            warnings.warn(f"every layer runs dense: {why}", stacklevel=4)
        title = f"{work.network}{phase_text(work.phase, work.context)}, batch {work.batch}, {what}"
        facts: dict[str, Any] = {"ignored": list(work.ignored)} if work.ignored else {}
        if name is not None:
            facts["gpu"] = card.trust(name)
        title += "" if name is None else f", as a GPU ({name})"
        return SimpleResult(cls.name, title, run.model_dump(mode="json"), run.machine.clock_hz, rows,
                            CAUSES if name is None else card.CAUSES,
                            facts)  # fmt: skip

    @classmethod
    def bounds(cls, run: TensorRun, result: Any) -> dict[str, float]:
        if run.machine.gpu is not None:
            found = {"tensor cores": float(result.causes["useful"])}
            if not run.machine.warm_l2:
                size, of = sum(r["operand_bytes"] for r in result.records), sheet(run.machine.gpu)
                found["DRAM bandwidth"] = size / of.dram_bytes_per_s * of.clock_hz
            return found
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
        row |= _streamed(config, "update", _update_bytes(config, work))
    int8 = config.operands == "int8"
    multiply, add = (INT8_MULTIPLY, INT32_ADD) if int8 else (FP16_MULTIPLY, FP32_ADD)
    return row | {
        "energy_multiply_pj": row["macs_done"] * multiply.value_pj,
        "energy_add_pj": row["macs_done"] * add.value_pj,
        "energy_shared_pj": row["shared_bytes"] * sram_pj_per_byte(config.shared_bytes / BANKS),
        "energy_l2_pj": row["l2_bytes"] * sram_pj_per_byte(L2_SLICE_BYTES),
        "energy_dram_pj": row["dram_bytes"] * DRAM.value_pj / 8,
        "energy_update_pj": getattr(work, "weights", 0) * UPDATE_PJ,
    }


def _card_row(config: TensorConfig, name: str, work: Work) -> dict[str, Any]:
    row: dict[str, Any] = {"step": work.name, "layer": work.layer, "phase": str(getattr(work, "pass_", "UP")),
                           "pattern": "", "dense_cause": "", "tile": "",
                           "parts": 0, "macs": 0, "macs_done": 0}  # fmt: skip
    if isinstance(work, Product):
        row["dense_cause"] = dense_cause(config, work)
        sparse = not row["dense_cause"]
        row |= {"pattern": "2:4" if sparse else "dense", "macs": work.macs}
        return row | card.product_cost(name, work, sparse=sparse, warm=config.warm_l2)
    if isinstance(work, VectorOp):
        return row | card.streamed(name, work.read_bytes + work.write_bytes)
    return row | card.streamed(name, _update_bytes(config, work))


def _update_bytes(config: TensorConfig, work: Update) -> int:
    stored = [TWO_OF_FOUR for p in (work.ff_pattern, work.bp_pattern) if fits(config, p)]
    return sum(work.traffic(stored))


def _streamed(config: TensorConfig, cause: str, size: int) -> dict[str, int]:
    cycles = math.ceil(size / config.dram_bytes_per_cycle)
    return {"cycles": cycles, cause: cycles, "dram_bytes": size}
