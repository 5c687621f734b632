# SPDX-License-Identifier: Apache-2.0
"""What SAT's memory channels give to its streams, by the DRAM model: beside the assumed `SatConfig.dram_efficiency`.

SAT's DMA moves tiles: long runs of consecutive bytes, read from the regions of two operands and of an optimizer's
state, written to one. Here the four take turns, `PIECE` bytes each time; the channels' data is spread over all of them.
Left out: everything that makes tiles shorter or uneven; whether the DMA has anything to move.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hwsim.memory.config import ddr4_2400
from hwsim.memory.run import run

PIECE = 4096
READS = 3
"""Streams that are read; one more is written."""
_TURNS = 64


@cache
def streamed_efficiency(channels: int) -> float:
    """Share of the peak bandwidth of so many DDR4-2400 channels that four such streams reach."""
    config = ddr4_2400(channels)
    streams = READS + 1
    size = config.transaction_bytes
    piece = PIECE * channels
    within = np.arange(piece // size) * size
    turns = np.arange(_TURNS)[:, None, None] * piece
    regions = np.arange(streams)[None, :, None] * (config.capacity_bytes // streams)
    address = (turns + regions + within).ravel()
    write = np.broadcast_to((np.arange(streams) == READS)[None, :, None], (_TURNS, streams, len(within))).ravel()
    return run(config, address, write).share_of_peak
