# SPDX-License-Identifier: Apache-2.0
"""All blocks of RTL, whichever machine they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hwsim.core.machine import find, names
from hwsim.verification.case import Block, BlockRow, VerifyOptions
from hwsim.verification.runner import verify as run

BLOCKS: dict[str, Block] = {name: block for machine in map(find, names()) for name, block in machine.blocks().items()}


def verify(blocks: Sequence[str], cases: int | None, seed: int, options: VerifyOptions) -> Iterator[BlockRow]:
    """Compare blocks by name."""
    return run(BLOCKS, blocks, cases, seed, options)
