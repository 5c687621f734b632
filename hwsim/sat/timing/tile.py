# SPDX-License-Identifier: Apache-2.0
"""Tile level of the STCE, SORE and WUVE: the clock level's cycle counts, without stepping the clock.

Array jobs are timed by the start of each array tile: a recurrence over tiles for WS (weight load, partial-sum hazard),
closed form for OS. Left out, as at the clock level: the DMA that fills and empties the buffers (see
`hwsim.sat.timing.step`).
"""

from __future__ import annotations

import numpy as np

from dataflow.pattern import NM
from hwsim.core.kernels import kernel

from ..config import SatConfig
from .job import Job, index_bits, sore_latency, stored_length, wuve_latency

CAUSES = ("useful", "padding", "interleave", "west", "north", "output", "fill_drain")
"""What an array job's cycles are spent on; see `job_cycles`."""


@kernel
def job_cycles(job: Job, out: np.ndarray) -> int:
    """Cycles of an array job, from ``start`` accepted to ``done`` raised.

    Args:
        job: sizes and constants.
        out: int64[7], filled with the cycles by cause; their sum is the return value. ``useful``: stored
            multiply-accumulates / PEs, rounded up; ``padding``: slots of edges that are no multiple of the array;
            ``interleave``: bubbles of a round shorter than the adder; ``west`` / ``north`` / ``output``: rounds
            stretched or tiles delayed by that port (``output`` includes the partial-sum hazard); ``fill_drain``: from
            start to the first slot and from the last slot to done.
    """
    inter, la = job.interleave, job.add_latency
    stored = stored_length(job)
    if job.is_os:
        blocks = -(-job.a // (job.rows * inter))
        tiles = blocks * -(-job.b // job.cols)
        rounds = tiles * stored
        length = stored * job.round
        drain = job.rows * inter * job.drain_word
        period = max(length, job.drain_period)
        first = job.load_word + 1
        last = first + (tiles - 1) * period
        tail = job.rows + job.cols + job.mul_latency + la + drain + job.round_latency
        total = last + length + tail
        north, output = 0, (tiles - 1) * (period - length)
        round_ws = max(inter * job.west_cycles, la)
        north += rounds * (job.round - round_ws)
        out[5] = output
    else:
        blocks = -(-job.a // inter)
        k_tiles = -(-stored // (job.rows * job.depth))
        b_tiles = -(-job.b // job.cols)
        rounds = k_tiles * b_tiles * blocks * job.depth
        length = blocks * job.depth * job.round
        row_wave = (job.rows - 1) * job.row_delay + (job.depth - 1) * job.round
        starts = np.empty(b_tiles, np.int64)  # start of each column tile in the current reduction tile
        load, last = 1, 0
        north, output = 0, 0
        for j in range(k_tiles * b_tiles):
            bt = j % b_tiles
            if j == 0:
                last = load + job.load_lead
            else:
                load = max(last, load + job.rows * job.load_row)
                free = last + length
                ready = max(free, load + job.load_lead)
                north += ready - free
                start = ready
                if j >= b_tiles:
                    start = max(ready, starts[bt] + row_wave + job.hazard)
                output += start - ready
                last = start
            starts[bt] = last
        tail = (job.rows - 1) * job.row_delay + job.cols + job.mul_latency + la + job.round_latency
        total = last + length + tail
        round_ws = max(inter * job.west_cycles, la)
        output += rounds * (job.round - round_ws)
        out[5] = output
    slots = rounds * inter
    out[0] = -(-(job.a * stored * job.b) // (job.rows * job.cols))
    out[1] = slots - out[0]
    out[2] = rounds * (max(inter, la) - inter)
    out[3] = rounds * (round_ws - max(inter, la))
    out[4] = north
    out[6] = total - out[0] - out[1] - out[2] - out[3] - out[4] - out[5]
    return total


@kernel(inner=True)
def job_accesses(job: Job, out: np.ndarray) -> None:
    """Fill float64[4] ``out`` with the bytes a job moves through the buffers' ports on the array's side: west read,
    north read, output read, output write. Every slot of a lane reads its activation word (a group of M, or one element
    when dense), every weight is read once a tile, partial sums of WS are read and written as FP32."""
    stored = stored_length(job)
    word = (16 + index_bits(job.m)) / 8.0
    groups = -(-job.k // job.m) if job.is_sparse else job.k
    b_tiles = -(-job.b // job.cols)
    # an activation word serves all columns of a tile; with depth N it is read N times
    out[0] = float(job.a) * groups * (job.depth if job.is_sparse else 1) * 2.0 * job.m * b_tiles
    if job.is_os:
        out[1] = float(stored) * job.b * word * -(-job.a // (job.rows * job.interleave))
        out[2] = 0.0
        out[3] = 4.0 * job.a * job.b
    else:
        k_tiles = -(-stored // (job.rows * job.depth))
        out[1] = float(stored) * job.b * word
        out[2] = 0.0 if job.round_latency else 4.0 * job.a * job.b * k_tiles  # exact sums are never read again
        out[3] = 4.0 * job.a * job.b * k_tiles


def sore_cycles(config: SatConfig, groups: int, pattern: NM) -> int:
    """Cycles of SORE for ``groups`` groups of M."""
    return int(sore_latency(config.sore_lanes, groups, pattern.n_keep, pattern.m_group))


def wuve_cycles(config: SatConfig, weights: int) -> int:
    """Cycles of WUVE for ``weights`` elements: one a lane and cycle, then the pipeline empties."""
    return -(-weights // config.wuve_lanes) + wuve_latency(config) + 1
