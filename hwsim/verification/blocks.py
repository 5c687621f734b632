# SPDX-License-Identifier: Apache-2.0
"""The blocks of the machines' RTL, and comparing each with the simulator on random cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ..sat.bench.array import stce, stce_32x32
from ..sat.bench.core import sat_core
from ..sat.bench.engines import sore, wuve
from ..spatten.bench.attention import spatten_core, spatten_full
from ..spatten.bench.selection import topk, zero_eliminator
from ..spatten.bench.softmax import softmax
from .case import BlockRow, Job
from .units import (
    fp16_mul,
    fp16_to_fp32,
    fp32_add,
    fp32_div,
    fp32_exp,
    fp32_mul,
    fp32_to_fp16,
    fp32_to_int,
    int_to_fp32,
)


class Block(NamedTuple):
    """A block of a machine."""

    compare: Callable[[np.random.Generator, int, Job], BlockRow]
    operands: int
    """Random operands that stand for one case; 0: the block has a fixed number."""
    cases: int
    """How many, where nobody says otherwise."""


SAT = {
    "fp16_mul": Block(fp16_mul, 1000, 7000),
    "fp32_add": Block(fp32_add, 1000, 7000),
    "fp32_mul": Block(fp32_mul, 1000, 7000),
    "fp16_to_fp32": Block(fp16_to_fp32, 0, 7000),
    "fp32_to_fp16": Block(fp32_to_fp16, 1000, 7000),
    "sore": Block(sore, 1, 7000),
    "wuve": Block(wuve, 1, 7000),
    "stce": Block(stce, 1, 7000),
    "stce_32x32": Block(stce_32x32, 0, 7000),
    "sat_core": Block(sat_core, 1, 7000),
}
SPATTEN = {
    "fp32_div": Block(fp32_div, 1000, 7000),
    "fp32_exp": Block(fp32_exp, 1000, 7000),
    "int_to_fp32": Block(int_to_fp32, 1000, 7000),
    "fp32_to_int": Block(fp32_to_int, 1000, 7000),
    "zero_eliminator": Block(zero_eliminator, 1, 50_000),
    "topk": Block(topk, 1, 50_000),
    "softmax": Block(softmax, 1, 10_000),
    "spatten_core": Block(spatten_core, 1, 2000),
    "spatten_full": Block(spatten_full, 1, 40),
}
MACHINES = {"sat": SAT, "spatten": SPATTEN}
BLOCKS = {**SAT, **SPATTEN}


def verify(names: Sequence[str], cases: int | None, seed: int, job: Job) -> Iterator[BlockRow]:
    """Compare blocks on ``cases`` random cases each (none: as many as each has by itself; a thousand operands of an
    arithmetic unit are one), two at a time: building takes longest."""

    def compare(name: str) -> BlockRow:
        block = BLOCKS[name]
        rng = np.random.default_rng([seed, list(BLOCKS).index(name)])
        return block.compare(rng, (cases or block.cases) * block.operands, job)

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(compare, names)
