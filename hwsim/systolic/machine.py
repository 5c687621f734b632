# SPDX-License-Identifier: Apache-2.0
"""A plain systolic array: dense products, outputs, weights or inputs stationary, three memories, DRAM.

Sources: the mapping and the cycles of a fold are SCALE-Sim's (A. Samajdar et al., arXiv 1811.02883; scalesim-project/
SCALE-Sim 3.0.0); the array itself is clocked in `stepped`. Products come one after the other; while one runs, DRAM
fills and empties the other halves of the memories, so that it takes the longer of both. Element-wise layers and weight
updates are their DRAM traffic. Not modelled: fetching of the first fold and emptying of the last, banks and ports, DRAM
rows and refresh; in energy: registers and wires of the array, multiplies on zeros at its edges, leakage.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from dataflow.mapping.lowering import HALF_BYTES, Operand, Product, VectorOp, Work
from dataflow.networks.network import phase_text
from dataflow.pattern import DENSE, PatternText
from dataflow.training.methods import MethodName, Pass
from hwsim.core.energy import (
    DRAM,
    FP16_MULTIPLY,
    FP32_ADD,
    FP32_MULTIPLY,
    HOROWITZ,
    UPDATE_PJ,
    Figure,
    sram_pj_per_byte,
)
from hwsim.core.machine import Machine, Tick, quiet
from hwsim.core.result import SimpleResult
from hwsim.core.training import Batch, TrainingRun

from .config import SystolicConfig
from .folds import Folds

CAUSES = {
    "useful": "useful multiplies", "edges": "edges: folds that fill the array in part",
    "fill": "loading, filling and draining of folds", "dram": "DRAM bandwidth",
    "elementwise": "element-wise layers (DRAM)", "update": "weight update (DRAM)",
}  # fmt: skip
NUMBERS = ("cycles", *CAUSES, "macs", "folds", "ifmap_reads", "filter_reads", "ofmap_writes", "ofmap_reads",
           "dram_read_bytes", "dram_write_bytes")  # fmt: skip
SUM_BYTES = 4
INT8_MULTIPLY = Figure("8-bit integer multiply", 0.2, "pJ/operation", HOROWITZ)
INT32_ADD = Figure("32-bit integer add", 0.1, "pJ/operation", HOROWITZ)
MULTIPLY_ADD_PJ = {
    1: INT8_MULTIPLY.value_pj + INT32_ADD.value_pj, 2: FP16_MULTIPLY.value_pj + FP32_ADD.value_pj,
    4: FP32_MULTIPLY.value_pj + FP32_ADD.value_pj,
}  # fmt: skip
"""Energy of a multiply and its add by bytes of a word."""


class SystolicRun(TrainingRun):
    """Inference of a network, or the passes of a training step, all dense."""

    batch: Batch = 1
    method: MethodName = Field("dense", description="only dense: the array has nothing that skips zeros")
    pattern: PatternText = Field("dense", description="dense; N:M weights run dense, and the result says so")
    passes: tuple[Pass, ...] = Field((Pass.FF,), min_length=1, description="which passes to run")
    machine: SystolicConfig = SystolicConfig()


class Systolic(Machine):
    """A systolic array with one dataflow."""

    title = "plain dense systolic array, output, weight or input stationary, as in SCALE-Sim"
    Config = SystolicConfig
    Run = SystolicRun
    resources: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "array rows": ("rows",), "array columns": ("cols",), "memory of inputs": ("ifmap_bytes",),
        "memory of weights": ("filter_bytes",), "memory of sums": ("ofmap_bytes",),
        "DRAM bandwidth": ("dram_bytes_per_cycle",),
    }  # fmt: skip

    @classmethod
    def simulate(cls, run: SystolicRun, workload: Any = None, tick: Tick = quiet) -> SimpleResult:
        """One step; ``workload``: a `dataflow.networks.network.Network`."""
        work = run.workload(workload if workload is not None else run.read_network())
        rows = [_row(run.machine, w) for w in work.work]
        if not work.method.is_dense:
            warnings.warn(f"every layer runs dense: {_CAUSE}", stacklevel=4)
        title = f"{work.network}{phase_text(work.phase, work.context)}, batch {work.batch}, {run.machine.dataflow}"
        return SimpleResult(cls.name, title, run.model_dump(mode="json"), run.machine.frequency_hz, rows, CAUSES,
                            {"ignored": list(work.ignored)} if work.ignored else {})  # fmt: skip

    @classmethod
    def bounds(cls, run: SystolicRun, result: Any) -> dict[str, float]:
        macs, read, written = (
            sum(r[c] for r in result.records) for c in ("macs", "dram_read_bytes", "dram_write_bytes")
        )
        return {"the array": macs / (run.machine.rows * run.machine.cols),
                "DRAM bandwidth": (read + written) / run.machine.dram_bytes_per_cycle}  # fmt: skip


_CAUSE = "nothing in a plain array skips zeros"


def _row(config: SystolicConfig, work: Work) -> dict[str, Any]:
    row: dict[str, Any] = {"step": work.name, "layer": work.layer, "phase": str(getattr(work, "pass_", "UP")),
                           "pattern": "", "dense_cause": "", **dict.fromkeys(NUMBERS, 0)}  # fmt: skip
    if isinstance(work, Product):
        cause = _CAUSE if not work.pattern.is_dense else work.dense_cause or "dense by pattern"
        row |= {"pattern": "dense", "dense_cause": cause, "macs": work.macs, **product_cost(config, work)}
    elif isinstance(work, VectorOp):
        words = (work.read_bytes // HALF_BYTES, work.write_bytes // HALF_BYTES)
        row |= _streamed(config, "elementwise", *(w * config.word_bytes for w in words))
    else:
        row |= _streamed(config, "update", *work.traffic([DENSE, DENSE] if config.word_bytes == HALF_BYTES else []))
    half = 0.5  # of a memory's bytes, one bank: the other half is being filled
    return row | {
        "energy_multiply_pj": row["macs"] * MULTIPLY_ADD_PJ[config.word_bytes],
        "energy_ifmap_pj": row["ifmap_reads"] * config.word_bytes * sram_pj_per_byte(config.ifmap_bytes * half),
        "energy_filter_pj": row["filter_reads"] * config.word_bytes * sram_pj_per_byte(config.filter_bytes * half),
        "energy_ofmap_pj": (row["ofmap_writes"] + row["ofmap_reads"]) * SUM_BYTES
        * sram_pj_per_byte(config.ofmap_bytes * half),
        "energy_dram_pj": (row["dram_read_bytes"] + row["dram_write_bytes"]) * DRAM.value_pj / 8,
        "energy_update_pj": getattr(work, "weights", 0) * UPDATE_PJ,
    }  # fmt: skip


def product_cost(config: SystolicConfig, product: Product) -> dict[str, int]:
    """Cycles by cause, accesses and bytes of a product."""
    folds = Folds(config.rows, config.cols, config.dataflow, product.rows, product.reduction, product.cols)
    times = product.count
    read, written = (times * size for size in dram_bytes(config, folds, product.left, product.right))
    useful = -(-product.macs // (config.rows * config.cols))
    streamed = times * folds.count * folds.streamed
    computed = times * folds.cycles
    cycles = max(computed, math.ceil((read + written) / config.dram_bytes_per_cycle))
    return {
        "cycles": cycles, "useful": useful, "edges": streamed - useful, "fill": computed - streamed,
        "dram": cycles - computed, "folds": times * folds.count, "ifmap_reads": times * folds.ifmap_reads,
        "filter_reads": times * folds.filter_reads, "ofmap_writes": times * folds.ofmap_writes,
        "ofmap_reads": times * folds.ofmap_reads, "dram_read_bytes": read, "dram_write_bytes": written,
    }  # fmt: skip


def dram_bytes(config: SystolicConfig, folds: Folds, left: Operand, right: Operand) -> tuple[int, int]:
    """Bytes that a product reads from DRAM and writes to it.

    Folds go down the rows first, then on to the next columns. Half of a memory holds what is in use. Inputs that fit it
    whole are fetched once, else again for each column of folds; of weights in os it is enough that a column's fit. The
    operand that stays in the array is fetched once. Sums of a column of folds that do not fit go to DRAM and come back.
    """
    word = config.word_bytes
    inputs = word * _elements(left, folds.pixels * folds.reduction)
    weights = word * _elements(right, folds.reduction * folds.filters)
    outputs = folds.pixels * folds.filters
    if folds.dataflow == "os":
        held = word * folds.reduction * min(folds.filters, config.cols)
        read = inputs * (1 if 2 * inputs <= config.ifmap_bytes else folds.col_folds)
        read += weights * (1 if 2 * held <= config.filter_bytes else folds.row_folds)
        return read, word * outputs
    streams, room = (inputs, config.ifmap_bytes) if folds.dataflow == "ws" else (weights, config.filter_bytes)
    read = inputs + weights + (0 if 2 * streams <= room else streams * (folds.col_folds - 1))
    sums = SUM_BYTES * folds.streamed * min(folds.sizes[1], config.cols)
    if folds.row_folds == 1 or 2 * sums <= config.ofmap_bytes:
        return read, word * outputs
    spilled = SUM_BYTES * outputs * (folds.row_folds - 1)
    return read + spilled, word * outputs + spilled


def _elements(operand: Operand, matrix: int) -> int:
    """Elements that an operand is fetched as: its matrix, or the image that windows read where that is less."""
    w = operand.window
    return matrix if w is None else min(matrix, w.images * w.height * w.width * w.channels)


def _streamed(config: SystolicConfig, cause: str, read: int, written: int) -> dict[str, int]:
    cycles = math.ceil((read + written) / config.dram_bytes_per_cycle)
    return {"cycles": cycles, cause: cycles, "dram_read_bytes": read, "dram_write_bytes": written}
