# SPDX-License-Identifier: Apache-2.0
"""A traced training step as programs of sat_core: every product of every layer job by job, then the updates.

Operands come from memory as a host would lay them out: activations and dense weights, which SORE prunes on the core;
sums are stored as the core leaves them. An update takes the layer's weights with a row of the FF operand a word, so
that the sparse weights of both passes come of one command. Left out, as in the simulator: element-wise layers, which
the host does between the products.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dataflow.errors import InputError
from dataflow.mapping.operands import operands
from dataflow.networks.network import Weighted
from dataflow.pattern import DENSE
from dataflow.training.methods import Pass
from dataflow.training.trace import Trace
from hwsim.core.ieee import to_fp16

from ..command import command_of, north_image, output_image, west_image
from ..config import SatConfig
from ..program import Program
from ..replay import Traced, job_slices, traced_products
from ..timing.clock import run_job
from ..timing.functional import sore
from ..timing.job import Job, array_job
from .core import MemoryImage, prune, update


@dataclass(frozen=True, slots=True)
class CoreWork:
    """A program with its memory before and after it."""

    label: str
    layer: str
    kind: str
    """``sparse`` or ``dense`` for a product, ``update`` for an update."""
    program: Program
    memory: MemoryImage
    events: dict[str, float]
    """What it does: multiply-accumulates, elements that SORE sorts, weights that WUVE updates, bytes of memory."""


def step_programs(trace: Trace, config: SatConfig, step: int, samples: int | None = None) -> Iterator[CoreWork]:
    """Programs of a step of the trace, in order; ``samples``: of only so many samples of the batch.

    Raises:
        InputError: a machine that `sat_core` cannot be built for, or whose buffers are too small for a job.
    """
    # tiles for buffers that also hold the dense weights beside the sparse, and words that are not full
    sizes = {"west_buffer_bytes": 4, "north_buffer_bytes": 16, "output_buffer_bytes": 2}
    tight = config.model_copy(update={name: getattr(config, name) // share for name, share in sizes.items()})
    layers = {layer.name: layer for layer in trace.meta.network.layers if isinstance(layer, Weighted)}
    for name in trace.layers(step):
        tensors = trace.tensors(step, name)
        tensors |= {n: tensors[n][:samples] for n in ("x", "dy")}
        for product in traced_products(trace, tight, layers[name], tensors):
            yield _product(config, name, product)
        yield from _updates(trace, config, step, layers[name], tensors)


def _room(config: SatConfig, buffer: str, words: int) -> None:
    limit = 1 << config.verilog_parameters()[f"{buffer.upper()}_WIDTH"]
    if words > limit:
        raise InputError(f"{buffer}_buffer_bytes: a job needs {words} words of the {buffer} buffer, it has {limit}")


def _product(config: SatConfig, layer: str, p: Traced) -> CoreWork:
    program = Program(config)
    memory = MemoryImage(program)
    pattern, mapping = p.product.pattern, p.mapping
    macs = elements = 0
    for left, right in zip(p.left, p.right, strict=True):
        left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
        if mapping.transpose:
            left, right = np.ascontiguousarray(right.T), np.ascontiguousarray(left.T)
        values, index = (right, None) if pattern.is_dense else sore(right, pattern)
        (a, k), b = left.shape, right.shape[1]
        psum = None
        for rows, cols, taken, stored in job_slices(mapping, pattern, a, k, b):
            size = (rows.stop - rows.start, taken.stop - taken.start, cols.stop - cols.start)
            job = array_job(config, "OS" if mapping.is_os else "WS", size, pattern, mapping.interleave)
            x = np.ascontiguousarray(left[rows, taken])
            weights = np.ascontiguousarray(values[stored, cols])
            places = None if index is None else np.ascontiguousarray(index[stored, cols])
            psum = psum if taken.start else None
            psum, cycles = run_job(job, x, weights, places, psum)
            dense = np.ascontiguousarray(right[taken, cols])
            macs += x.shape[0] * weights.size
            elements += 0 if places is None else dense.size
            _job(program, memory, job, (x, dense, weights, places), taken.start > 0, cycles)
            if taken.stop == k:
                _store(program, memory, job, psum)
    work = f"{layer}.{p.product.pass_.value} {p.product.rows} x {p.product.reduction} x {p.product.cols} {pattern}"
    events: dict[str, float] = {"macs": macs, "elements": elements, "updates": 0, "bytes": _bytes(program)}
    kind = "dense" if pattern.is_dense else "sparse"
    return CoreWork(f"{work} {mapping}", layer, kind, program, memory, events)


def _bytes(program: Program) -> int:
    return program.beat_bytes * sum(op.beats or 0 for op in program.ops)


def _job(
    program: Program,
    memory: MemoryImage,
    job: Job,
    operands_: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None],
    accumulate: bool,
    cycles: int,
) -> None:
    """Load and run a job on (activations, dense weights, stored weights, their places)."""
    x, dense, values, index = operands_
    config = program.config
    west, north = west_image(config, job, x), north_image(config, job, values, index)
    command = command_of(config, job, accumulate=accumulate)
    _room(config, "west", len(west))
    _room(config, "output", command.stride * command.column_tiles)
    program.load("west", memory.place(west.tobytes()), len(west), wait=True)
    if index is None:
        _room(config, "north", len(north))
        program.load("north", memory.place(memory.lines(north, 4)), len(north))
        program.run(command, cycles)
        return
    _room(config, "north", len(north) // job.depth * (job.depth + job.m))
    first, words = prune(program, memory, job, dense, 0)
    assert words == len(north)
    program.run(command, cycles, {"north": first})


def _store(program: Program, memory: MemoryImage, job: Job, sums: np.ndarray) -> None:
    command = command_of(program.config, job)
    image = output_image(program.config, job, sums)
    for tile in range(command.column_tiles):
        lines = memory.lines(image[tile * command.stride :][: job.a], 4)
        place = memory.place(bytes(len(lines)), lines)
        program.store("output", place, job.a, tile * command.stride, wait=tile == 0)


def _updates(
    trace: Trace, config: SatConfig, step: int, layer: Weighted, t: dict[str, np.ndarray]
) -> Iterator[CoreWork]:
    """The layer's weights through WUVE, and on through SORE for both passes where the layer is pruned."""
    sparse = trace.meta.dense_causes.get(layer.name) is None and not trace.pattern.is_dense
    pattern = trace.pattern if sparse else DENSE
    n, m = (pattern.n_keep, pattern.m_group) if sparse else (1, 1)
    cols, limit = config.cols, 1 << config.verilog_parameters()["STATE_WIDTH"]
    half = {name: to_fp16(t[name]) for name in ("x", "dy")}

    def matrix(tensor: np.ndarray) -> np.ndarray:
        """[words, cols] of a weight-shaped tensor: rows of the FF operand, column tile after column tile."""
        ((_, right),) = operands(layer, Pass.FF, pattern, x=half["x"], w=tensor, dy=half["dy"])
        k, b = right.shape[1:]
        padded = np.zeros((-(-k // m) * m, -(-b // cols) * cols), tensor.dtype)
        padded[:k, :b] = right[0]
        return padded.reshape(len(padded), -1, cols).swapaxes(0, 1).reshape(-1, cols)

    weight, momentum = matrix(t["weight"]), matrix(t["momentum"])
    gradient = to_fp16(matrix(t["gradient"]))
    rates = (trace.meta.rates[step], trace.meta.momentum, trace.meta.weight_decay)
    size = min(limit, 1 << config.verilog_parameters()["OUTPUT_WIDTH"]) // m * m
    program = Program(config)
    memory = MemoryImage(program)
    across = sparse and cols % m == 0
    for at in range(0, len(weight), size):
        w, v, g = (x[at : at + size] for x in (weight, momentum, gradient))
        words, entries = len(w), len(w) // m * n
        places = {"direct": 0} if sparse else {}
        places |= {"across": entries} if across else {}
        _room(config, "north", entries * len(places))
        lines = memory.lines(g.astype(np.float32).view(np.uint32), 4)
        program.load("output", memory.place(lines), words, wait=True)
        update(program, memory, (w, v, g), rates, pattern, places, state=0, at=0)
    kinds = ", sparse for FF and BP" if across else ", sparse for FF" if sparse else ""
    elements = weight.size * (sparse + across)
    events: dict[str, float] = {"macs": 0, "elements": elements, "updates": weight.size, "bytes": _bytes(program)}
    yield CoreWork(f"{layer.name}.UP {t['weight'].size} weights{kinds}", layer.name, "update", program, memory, events)
