# SPDX-License-Identifier: Apache-2.0
"""An array job: the work of one ``run`` command of the STCE, and every latency that command has.

A job multiplies ``a x k`` activations (west buffer) by ``k x b`` weights (north buffer) into ``a x b`` FP32 outputs
(output buffer). The controller cuts it into array tiles and runs them back to back:

- **WS**: a tile holds ``rows * depth`` stored weights of ``cols`` columns; the ``a`` activation rows stream past in
  blocks of ``interleave`` rows; a block takes ``depth`` rounds. Weight tiles are ordered reduction outer, columns
  inner; partial sums live in the output buffer.
- **OS**: a tile holds ``rows * interleave`` x ``cols`` outputs in the PEs; the reduction streams past, one stored
  element a round; then the outputs leave through the drain chain while the next tile computes.

``depth`` is N when sparse (a PE holds a group of M as N values and indices), else the number of consecutive elements a
PE holds. Time 0 is the cycle in which ``start`` is accepted. This file is the only place that knows these constants;
the clock level proves them (a constant that is too small gives wrong values there), the RTL takes them as command
fields; all but ``hazard``, which is the depth of a pipeline of registers there.
"""

from __future__ import annotations

from typing import NamedTuple

from dataflow.errors import InputError
from dataflow.pattern import NM
from hwsim.core.kernels import kernel

from ..config import EXACT_CARRY_BITS, Dataflow, SatConfig


class Job(NamedTuple):
    """A job's sizes and derived constants, in cycles unless said otherwise. All integers, for Numba."""

    is_os: int
    is_sparse: int
    rows: int
    cols: int
    a: int
    """Activation rows."""
    k: int
    """Reduction length in elements, before pruning."""
    b: int
    """Output columns."""
    m: int
    """Elements in a group; 1 when dense."""
    depth: int
    """Stored elements a PE works through for a group: N, or the dense depth (1 in dense OS)."""
    interleave: int
    mul_latency: int
    add_latency: int
    slot: int
    """Cycles between slots: 1 unless a west or output port is narrower than it must be."""
    round: int
    """Cycles of a round: all interleaved slots once, at least the adder latency."""
    row_delay: int
    """WS: cycles from a row's start to the start of the row below."""
    load_row: int
    """WS: cycles between the loads of successive rows."""
    load_word: int
    """Cycles of the north port for one stored weight."""
    load_lead: int
    """WS: cycles from the first north read of a tile to its first slot, at least."""
    hazard: int
    """WS: cycles from the bottom row's first last-round slot to a slot that reads that partial sum."""
    drain_word: int
    """OS: cycles of a column's output port for one word."""
    drain_period: int
    """OS: cycles between starts of successive tiles, at least, so that a drain register is read before it is reused."""
    west_cycles: int
    """Cycles of a west port for one slot's activations."""
    round_latency: int
    """Cycles of a result behind the array: of the rounding of an exact sum; 0 in binary32."""


class ArrayTiming(NamedTuple):
    """The array parameters a job is derived from, for Numba; `array_timing` makes it from a configuration."""

    rows: int
    cols: int
    weight_registers: int
    mul_latency: int
    add_latency: int
    """Of the array: 1 where its sums are exact."""
    round_latency: int
    """Of exact sums, else 0."""
    exact: int
    west_lane_bytes: int
    north_lane_bytes: int
    output_lane_bytes: int
    sore_lanes: int
    dram_bytes_per_cycle: float


def array_timing(config: SatConfig) -> ArrayTiming:
    return ArrayTiming(
        config.rows,
        config.cols,
        config.weight_registers,
        config.mul_latency,
        config.sum_latency,
        config.round_latency if config.exact else 0,
        int(config.exact),
        config.west_lane_bytes,
        config.north_lane_bytes,
        config.output_lane_bytes,
        config.sore_lanes,
        config.dram_bytes_per_cycle,
    )


def check_pattern(config: SatConfig, pattern: NM) -> None:
    """Raise InputError unless the machine can hold the pattern's groups."""
    if not pattern.is_dense and (pattern.m_group > config.group_max or pattern.n_keep > config.weight_registers):
        raise InputError(
            f"pattern {pattern}: the machine takes M <= group_max={config.group_max} and "
            f"N <= weight_registers={config.weight_registers}"
        )


def array_job(config: SatConfig, dataflow: Dataflow, size: tuple[int, int, int], pattern: NM, interleave: int) -> Job:
    """The job for ``size = (a, k, b)`` on ``config``.

    Raises:
        InputError: a size below 1, a pattern or interleave beyond the machine's limits.
    """
    if min(size) < 1:
        raise InputError(f"job size {size}: activation rows, reduction and columns must be at least 1")
    if not 1 <= interleave <= config.interleave_max:
        raise InputError(f"interleave {interleave}: must be 1 to interleave_max={config.interleave_max}")
    check_pattern(config, pattern)
    if config.exact and (why := no_exact_job(config, dataflow, size[1], pattern)):
        raise InputError(f"job size {size}: {why}")
    n, m = (1, 1) if pattern.is_dense else (pattern.n_keep, pattern.m_group)
    a, k, b = size
    return derive_job(array_timing(config), int(dataflow == "OS"), a, k, b, n, m, interleave)


def no_exact_job(config: SatConfig, dataflow: Dataflow, k: int, pattern: NM) -> str | None:
    """Why a machine with exact sums cannot run a job over ``k`` elements, or None where it can.

    A sum that has left the array is rounded; so none is read again, and the whole reduction of an output is one job's:
    in OS any that the carries hold, in WS what the array holds of weights.
    """
    stored = k if pattern.is_dense else pattern.kept(k)
    if stored > 1 << EXACT_CARRY_BITS:
        return f"accumulate: exact: a sum has at most {1 << EXACT_CARRY_BITS:,} products, not {stored:,}"
    held = config.rows * (config.weight_registers if pattern.is_dense else pattern.n_keep)
    if dataflow == "WS" and stored > held:
        return (
            f"accumulate: exact: WS would read partial sums again, which are rounded: {stored} stored elements, the "
            f"array holds {held} of {pattern}; OS takes them"
        )
    return None


@kernel
def index_bits(m: int) -> int:
    """ceil(log2 m), as `dataflow.pattern.NM.index_bits`, for Numba."""
    bits = 0
    while (1 << bits) < m:
        bits += 1
    return bits


@kernel
def sore_latency(lanes: int, groups: int, n: int, m: int) -> int:
    """Cycles of SORE for ``groups`` groups: M a round of lanes, then the last group's N entries leave."""
    return -(-groups // lanes) * m + n + 1


@kernel
def derive_job(machine: ArrayTiming, is_os: int, a: int, k: int, b: int, n: int, m: int, interleave: int) -> Job:
    """The constants of a job; ``n = m = 1`` is dense. Sizes are checked by the caller."""
    depth = n
    if m == 1 and not is_os:
        tiles = -(-k // (machine.rows * machine.weight_registers))
        depth = -(-k // (machine.rows * tiles))
    la = machine.add_latency
    west = -(-2 * m // machine.west_lane_bytes)
    north = -(-(16 + index_bits(m)) // (8 * machine.north_lane_bytes))
    output = -(-4 // machine.output_lane_bytes)
    slot = west if is_os else max(west, output)
    round_ = max(interleave * slot, la, north if is_os else 1)
    drain_word = max(output, slot)
    drain_gap = max(0, round_ - (interleave - 1) * slot - drain_word)
    row_delay = (depth - 1) * round_ + la
    load_row = max(row_delay - 1, depth * north)
    return Job(
        is_os,
        int(m > 1),
        machine.rows,
        machine.cols,
        a,
        k,
        b,
        m,
        depth,
        interleave,
        machine.mul_latency,
        la,
        slot,
        round_,
        row_delay,
        load_row,
        north,
        depth * north + (machine.rows - 1) * (load_row + 1 - row_delay),
        la + 2,
        drain_word,
        machine.rows * interleave * drain_word + drain_gap,
        west,
        machine.round_latency,
    )


@kernel
def stored_length(job: Job) -> int:
    """Stored reduction elements of one output: the multiply slots that do useful work."""
    return -(-job.k // job.m) * job.depth if job.is_sparse else job.k


def wuve_latency(config: SatConfig) -> int:
    """Pipeline stages of a WUVE lane: FP16 to FP32; decay w; + g; + beta v; times -rate; + w; FP32 to FP16."""
    return 2 + 2 * config.mul_latency + 3 * config.add_latency
