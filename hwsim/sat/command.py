# SPDX-License-Identifier: Apache-2.0
"""A job as the RTL takes it: the fields of the STCE's command, and operands laid out in its buffers.

`rtl/sat/stce.v` describes the layout. Nothing here is a new constant: the fields are `Job`'s, regrouped so that the
hardware needs no multiplier.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .config import SatConfig
from .timing.job import Job, stored_length


class Command(NamedTuple):
    """Fields of a ``run`` command; each is the port ``s_cmd_<name>`` of the STCE."""

    os: int
    accumulate: int
    interleave: int
    slot: int
    round: int
    rounds: int
    reps: int
    column_tiles: int
    tiles: int
    period: int
    row_delay: int
    load_rows: int
    load_depth: int
    load_row: int
    load_word: int
    load_lead: int
    drain_word: int
    drain_gap: int
    stride: int
    tile_words: int


class Layout(NamedTuple):
    """How a job's operands lie in the buffers."""

    group: int
    """Elements of a west word that are used."""
    groups: int
    """Words a row and slot of one tile: reduction groups (OS), or 1 (WS)."""
    blocks: int
    """Blocks of ``interleave`` activation rows (WS), or of ``rows * interleave`` (OS)."""
    tiles: int
    """Weight tiles along the reduction (WS); 1 in OS."""
    column_tiles: int
    rounds: int
    """Rounds of an array tile."""


def layout(config: SatConfig, job: Job) -> Layout:
    stored = stored_length(job)
    column_tiles = -(-job.b // job.cols)
    if job.is_os:
        group = job.m if job.is_sparse else config.word_elements
        blocks = -(-job.a // (job.rows * job.interleave))
        return Layout(group, -(-job.k // group), blocks, 1, column_tiles, stored)
    blocks = -(-job.a // job.interleave)
    tiles = -(-stored // (job.rows * job.depth))
    return Layout(job.m if job.is_sparse else job.depth, 1, blocks, tiles, column_tiles, blocks * job.depth)


def command_of(config: SatConfig, job: Job, *, accumulate: bool = False) -> Command:
    """The command of a job.

    Args:
        accumulate: WS starts from the sums in the output buffer instead of from zero.
    """
    at = layout(config, job)
    busy = at.rounds * job.round
    if job.is_os:
        reps = job.depth if job.is_sparse else at.group
        row_delay, load_rows, load_depth, load_row = 1, at.rounds, 1, job.round
        tiles, period = at.blocks * at.column_tiles, max(busy, job.drain_period)
        tile_words = job.rows * job.interleave
        stride = at.blocks * tile_words
    else:
        reps, row_delay, load_rows, load_depth, load_row = job.depth, job.row_delay, job.rows, job.depth, job.load_row
        tiles, period = at.tiles * at.column_tiles, busy
        stride = tile_words = at.blocks * job.interleave
    return Command(
        job.is_os,
        int(accumulate),
        job.interleave,
        job.slot,
        job.round,
        at.rounds,
        reps,
        at.column_tiles,
        tiles,
        period,
        row_delay,
        load_rows,
        load_depth,
        load_row,
        job.load_word,
        job.load_lead,
        job.drain_word,
        job.interleave * job.drain_word - 1,
        stride,
        tile_words,
    )


def west_image(config: SatConfig, job: Job, x: np.ndarray) -> np.ndarray:
    """uint16[words, rows, config.word_elements] of the west buffer for float16[a, k] activations."""
    at = layout(config, job)
    words: np.ndarray
    if job.is_os:
        padded = np.zeros((at.blocks, job.rows, job.interleave, at.groups, at.group), np.uint16)
        rows = np.zeros((padded[..., 0, 0].size, at.groups * at.group), np.uint16)
        rows[: job.a, : job.k] = x.view(np.uint16)
        padded[:] = rows.reshape(padded.shape)
        # row block, group, slot, row, element
        words = padded.transpose(0, 3, 2, 1, 4).reshape(-1, job.rows, at.group)
    else:
        flat = np.zeros((at.blocks * job.interleave, at.tiles * job.rows * at.group), np.uint16)
        flat[: job.a, : job.k] = x.view(np.uint16)
        words = flat.reshape(len(flat), at.tiles, job.rows, at.group).transpose(1, 0, 2, 3)
        words = words.reshape(-1, job.rows, at.group)
    image = np.zeros((len(words), job.rows, config.word_elements), np.uint16)
    image[:, :, : at.group] = words
    return image


def north_image(config: SatConfig, job: Job, values: np.ndarray, index: np.ndarray | None) -> np.ndarray:
    """uint32[words, cols] {index, weight} of the north buffer for float16[stored, b] weights."""
    at = layout(config, job)
    stored = len(values)
    entries = at.rounds if job.is_os else at.tiles * job.rows * job.depth
    words = np.zeros((entries, at.column_tiles * job.cols), np.uint32)
    words[:stored, : job.b] = values.view(np.uint16)
    if index is not None:
        words[:stored, : job.b] |= index.astype(np.uint32) << 16
    else:
        words |= (np.arange(entries, dtype=np.uint32) % at.group)[:, None] << 16
    return _by_tile(words, at, job)


def _by_tile(rows: np.ndarray, at: Layout, job: Job) -> np.ndarray:
    """[reduction, all columns] in the order of use: tile after tile, within it column tile after column tile."""
    tiles = rows.reshape(at.tiles, -1, at.column_tiles, job.cols)
    return tiles.transpose(0, 2, 1, 3).reshape(-1, job.cols)


def dense_image(config: SatConfig, job: Job, weights: np.ndarray) -> np.ndarray:
    """uint16[groups * M, cols] of a sparse job's dense weights float16[k, b], in the order in which SORE makes the
    north image's groups of them."""
    at = layout(config, job)
    groups = at.groups if job.is_os else at.tiles * job.rows
    padded = np.zeros((groups * job.m, at.column_tiles * job.cols), np.uint16)
    padded[: job.k, : job.b] = weights.view(np.uint16)
    return _by_tile(padded, at, job)


def output_image(config: SatConfig, job: Job, sums: np.ndarray | None) -> np.ndarray:
    """uint32[words, cols] of the output buffer holding float32[a, b] sums (None: zeros)."""
    at = layout(config, job)
    image = np.zeros((at.column_tiles, command_of(config, job).stride, job.cols), np.uint32)
    if sums is not None:
        padded = np.zeros((job.a, at.column_tiles * job.cols), np.float32)
        padded[:, : job.b] = sums
        image[:, : job.a] = padded.view(np.uint32).reshape(job.a, at.column_tiles, job.cols).transpose(1, 0, 2)
    return image.reshape(-1, job.cols)


def outputs(config: SatConfig, job: Job, image: np.ndarray) -> np.ndarray:
    """The [a, b] results in an output buffer image, of its dtype; the inverse of `output_image`."""
    at = layout(config, job)
    tiles = image.reshape(at.column_tiles, -1, job.cols)[:, : job.a]
    return tiles.transpose(1, 0, 2).reshape(job.a, -1)[:, : job.b]
