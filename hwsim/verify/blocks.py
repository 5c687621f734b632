# SPDX-License-Identifier: Apache-2.0
"""The blocks of the machines' RTL, and comparing each with the simulator on random cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .array import stce, stce_32x32
from .case import BlockRow, Job
from .core import sat_core
from .engines import sore, wuve
from .selection import topk, zero_eliminator
from .units import fp16_mul, fp16_to_fp32, fp32_add, fp32_div, fp32_exp, fp32_mul, fp32_to_fp16

Block = Callable[[np.random.Generator, int, Job], BlockRow]

SAT: dict[str, tuple[Block, int]] = {
    "fp16_mul": (fp16_mul, 1000),
    "fp32_add": (fp32_add, 1000),
    "fp32_mul": (fp32_mul, 1000),
    "fp16_to_fp32": (fp16_to_fp32, 0),
    "fp32_to_fp16": (fp32_to_fp16, 1000),
    "sore": (sore, 1),
    "wuve": (wuve, 1),
    "stce": (stce, 1),
    "stce_32x32": (stce_32x32, 0),
    "sat_core": (sat_core, 1),
}
"""Each block, and how many random operands stand for one case (0: the block has a fixed number)."""
SPATTEN: dict[str, tuple[Block, int]] = {
    "fp32_div": (fp32_div, 1000),
    "fp32_exp": (fp32_exp, 1000),
    "zero_eliminator": (zero_eliminator, 1),
    "topk": (topk, 1),
}
MACHINES = {"sat": SAT, "spatten": SPATTEN}
BLOCKS = {**SAT, **SPATTEN}


def verify(names: Sequence[str], cases: int, seed: int, job: Job) -> Iterator[BlockRow]:
    """Compare blocks on ``cases`` random cases each (a thousand operands of an arithmetic unit are one), two at a time:
    building takes longest."""

    def compare(name: str) -> BlockRow:
        block, scale = BLOCKS[name]
        return block(np.random.default_rng([seed, list(BLOCKS).index(name)]), cases * scale, job)

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(compare, names)
