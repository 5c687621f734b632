# SPDX-License-Identifier: Apache-2.0
"""Weights with any mask: each job runs with the N of its tile's fullest group, as a job's N is a field of its command.

Groups of M run along the reduction. A tile whose fullest group keeps 3 of 16 is a 3:16 job, where fewer are kept zeros
are stored; one whose fullest group is full, or holds more than a PE has registers for, is a dense job; one that keeps
nothing is no job: neither its weights nor its activations are fetched. Columns (output channels) may be put in another
order, the same for the whole reduction, so that columns with full groups share tiles; the next layer's inputs, or the
host, take them back. A convolution's groups run along the channels of one tap: its reduction goes through blocks of M
channels, of each through all taps; its images are fetched as `nest` fetches them. Always WS: partial sums wait in the
output buffer, whatever N the jobs of a column tile have.

The walk is `nest._walk`'s, job by job, with each job's own N; nothing is repeated from the turn before.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from dataflow.errors import InputError
from dataflow.mapping.lowering import Operand, Product
from dataflow.mapping.offline_scheduling import mapping_candidates
from dataflow.mapping.schedule import Mapping
from dataflow.mapping.tiling import Limits
from dataflow.pattern import DENSE, NM
from dataflow.training.methods import Pass
from hwsim.core.kernels import kernel

from ..config import SatConfig
from .job import ArrayTiming, array_timing, derive_job, index_bits
from .nest import NEST_COLUMNS, cost_table, nest_of, operand_bytes
from .tile import job_accesses, job_cycles

ACTIVATION = Operand("activation")
GROUPS = (4, 8, 16, 32, 64)
"""M that are tried, as far as the machine takes them and the reduction is a multiple."""


WALKED = 3
"""Mappings that are walked for each width of column tiles and M."""


class Masked(NamedTuple):
    """A product of masked weights on the machine."""

    m: int
    mapping: Mapping
    counts: np.ndarray
    """int64[reduction tiles, column tiles]: N of each; 0: no job, M: dense."""
    order: np.ndarray
    """Columns in the order in which they are laid out."""
    columns: dict[str, int]
    """As `nest.NEST_COLUMNS`."""
    stored: int
    """Weights stored, with the zeros that fill groups."""
    ideal: int
    """Cycles of the kept weights alone on all multipliers."""


def fullest(mask: np.ndarray, m: int) -> np.ndarray:
    """int64[groups, cols]: kept weights of each group of M of a mask [reduction, cols]; the last may be short."""
    k, b = mask.shape
    padded = np.zeros((-(-k // m) * m, b), np.int64)
    padded[:k] = mask
    found: np.ndarray = padded.reshape(-1, m, b).sum(1)
    return found


def tile_counts(kept: np.ndarray, m: int, most: int, groups: int, cols: int) -> np.ndarray:
    """N of each tile of ``groups`` x ``cols``: its fullest group's; M (dense) where that is above ``most``."""
    edges = [range(0, size, step) for size, step in zip(kept.shape, (groups, cols), strict=True)]
    found = np.maximum.reduceat(np.maximum.reduceat(kept, edges[0], axis=0), edges[1], axis=1)
    return np.where(found > most, m, found)


def packed(kept: np.ndarray) -> np.ndarray:
    """An order of the columns: by their fullest group, then by how many groups are that full, then by index."""
    top = kept.max(0)
    at_top = (kept == top).sum(0)
    return np.lexsort((np.arange(kept.shape[1]), -at_top, -top))


def masked_product(
    config: SatConfig, limits: Limits, rows: int, mask: np.ndarray, *, pack: bool = True,
    groups: tuple[int, ...] = GROUPS, left: Operand = ACTIVATION,
) -> Masked:  # fmt: skip
    """The fastest M, tiles and order of loops for ``rows`` activations times weights with this mask.

    Args:
        mask: bool [reduction, cols]; of a convolution the taps come before the channels.
        left: the activations; of a convolution its window.
        pack: order the columns by how full they are; False: as they are.

    Raises:
        InputError: no M fits the reduction, or no tile the buffers.
    """
    k, b = mask.shape
    if config.exact:
        raise InputError(
            "mask: accumulate: exact: jobs of a mask leave partial sums in the output buffer, which are rounded"
        )
    fitting = [m for m in groups if m <= config.group_max and k % m == 0]
    if not fitting:
        raise InputError(f"mask: a reduction of {k} is a multiple of no M of {', '.join(map(str, groups))}")
    machine, best = array_timing(config), None
    taps = left.window.taps if left.window is not None else 1
    for m in fitting:
        kept = fullest(mask[reduction_order(taps, k // taps, m)], m)
        order = packed(kept) if pack else np.arange(b)
        kept = kept[:, order]
        most = min(m - 1, config.weight_registers)
        product = Product("masked", Pass.FF, 0, rows, k, b, 1, rows * k * b, DENSE, left, Operand("weight"))
        nest, windows = nest_of(product, True)
        for row in _candidates(config, limits, product, kept, m):
            counts = tile_counts(kept, m, most, int(row[4]) // m, int(row[5]))
            out = np.zeros(len(NEST_COLUMNS) + 1)
            masked_walk(machine, np.array([rows, k, b, m], np.int64), row, counts, out, nest.left_mode, windows[0])
            if best is None or (out[0], out[10]) < (best[0][0], best[0][10]):
                best = out, m, row, counts, order
    assert best is not None
    out, m, row, counts, order = best
    columns = dict(zip(NEST_COLUMNS, out.astype(np.int64).tolist(), strict=False))
    ideal = -(-rows * int(mask.sum()) // config.peak_macs_per_cycle)
    return Masked(m, Mapping(*(int(v) for v in row)), counts, order, columns, int(out[-1]), ideal)


def reduction_order(taps: int, channels: int, m: int) -> np.ndarray:
    """The order in which a reduction of taps x channels is gone through in groups of M: blocks of channels (of M, or
    as many as divide both), of each block tap by tap; int64[reduction], places where the taps come first."""
    block = math.gcd(channels, m)
    places = np.arange(taps * channels).reshape(taps, channels // block, block)
    return places.transpose(1, 0, 2).ravel()


def _candidates(config: SatConfig, limits: Limits, product: Product, kept: np.ndarray, m: int) -> np.ndarray:
    """WS mappings to walk: of those whose tiles fit the buffers (dense tiles too), for each width of column tiles the
    few that are fastest if every tile had the mean N of tiles of that width."""
    table: np.ndarray = mapping_candidates(product, limits, ("WS",), config.interleaves, transposes=False)
    table = table[table[:, 4] % m == 0]
    if not len(table):
        raise InputError(
            f"mask: no tile of {product.rows} x {product.reduction} x {product.cols} fits the buffers in groups of {m}"
        )
    chosen = []
    for width in np.unique(table[:, 5]):
        mine = table[table[:, 5] == width]
        counts = tile_counts(kept, m, min(m - 1, config.weight_registers), len(kept), int(width))
        n = max(1, round(float(counts.mean())))
        like = replace(product, pattern=NM(n, m)) if n < m else product
        nest, windows = nest_of(like, True)
        order = np.argsort(cost_table(array_timing(config), nest, windows, mine)[:, 0], kind="stable")
        chosen.append(mine[order[:WALKED]])
    return np.concatenate(chosen)


@kernel
def masked_walk(
    machine: ArrayTiming, size: np.ndarray, mapping: np.ndarray, counts: np.ndarray, out: np.ndarray, mode: int,
    window: np.ndarray,
) -> int:  # fmt: skip
    """Cycles of a product, job by job.

    Args:
        size: int64[4]: rows, reduction, cols, M.
        mapping: `dataflow.mapping.schedule.Mapping`, WS.
        counts: N of each tile, as `tile_counts`.
        out: float64[len(NEST_COLUMNS) + 1], filled; the last one: weights stored.
        mode, window: of the activations, as `nest.nest_of` has them.
    """
    a, k, b, m = size[0], size[1], size[2], size[3]
    inter, at, kt, bt, rows_outer = mapping[1], mapping[3], mapping[4], mapping[5], mapping[6]
    n_a, n_b, n_k = -(-a // at), -(-b // bt), -(-k // kt)
    n_outer, n_inner = (n_a, n_b) if rows_outer else (n_b, n_a)
    bits = index_bits(m)
    causes, ports = np.zeros(7, np.int64), np.zeros(4)
    before, store_before, store_now = 0, 0, 0  # array cycles of the job before; its store, and the store before that
    last_a, last_b, last_k = -1, -1, -1
    out.fill(0.0)
    for outer in range(n_outer):
        for inner in range(n_inner):
            ia, ib = (outer, inner) if rows_outer else (inner, outer)
            rows, cols = min(at, a - ia * at), min(bt, b - ib * bt)
            for ik in range(n_k):
                n, length = counts[ik, ib], min(kt, k - ik * kt)
                finish = ik == n_k - 1
                if n == 0 and not finish:
                    continue
                load, cycles = 0, 0
                if n:
                    dense = n == m
                    groups = -(-length // m)
                    stored = length * cols if dense else groups * n * cols
                    moved_bits = stored * (16 if dense else 16 + bits)
                    moved = 0
                    if ia != last_a or ik != last_k:
                        moved += operand_bytes(mode, window, ia * at, rows, ik * kt, length)
                        out[13] += 2.0 * rows * length
                    if ib != last_b or ik != last_k:
                        moved += -(-moved_bits // 8)
                        out[15] += float(-(-moved_bits // 8))
                    last_a, last_b, last_k = ia, ib, ik
                    load = int(np.ceil(moved / machine.dram_bytes_per_cycle))
                    out[10] += float(moved)
                    job = derive_job(machine, 0, rows, length, cols, 1 if dense else n, 1 if dense else m, inter)
                    cycles = job_cycles(job, causes)
                    job_accesses(job, ports)
                    for i in range(7):
                        out[1 + i] += float(causes[i])
                    for i in range(4):
                        out[(12, 14, 16, 17)[i]] += ports[i]
                    out[18] += 1.0
                    if ia == 0:
                        out[20] += float(stored)
                wait = max(0, load + store_before - before)
                out[0] += float(before + wait)
                out[8] += float(wait)
                store_before = store_now
                store_now = 0
                if finish:
                    stored_bytes = 2 * rows * cols
                    out[11] += float(stored_bytes)
                    store_now = int(np.ceil(stored_bytes / machine.dram_bytes_per_cycle))
                before = cycles
    wait = max(0, store_before - before)
    out[0] += float(before + wait + store_now)
    out[8] += float(wait + store_now)
    out[16] += 2.0 * out[11]  # FP32 words read again for the store of FP16 ones
    return int(out[0])
