# SPDX-License-Identifier: Apache-2.0
"""Comparing blocks of RTL with the simulator on random cases; blocks are data, handed in by their machine."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..rtl_tools.verilator import jobs
from .case import Block, BlockRow, VerifyOptions


def verify(
    blocks: Mapping[str, Block], names: Sequence[str], cases: int | None, seed: int, options: VerifyOptions
) -> Iterator[BlockRow]:
    """Compare blocks on ``cases`` random cases each (none: as many as each has by itself; a thousand operands of an
    arithmetic unit are one), two at a time: building takes longest.

    A block's cases depend on its name and the seed, not on which other blocks there are.
    """

    def compare(name: str) -> BlockRow:
        block = blocks[name]
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        return block.compare(rng, (cases or block.cases) * block.operands, options)

    with ThreadPoolExecutor(jobs()) as pool:
        yield from pool.map(compare, names)
