# SPDX-License-Identifier: Apache-2.0
"""Cases of sat_check: commands of every kind whose fields are at the ends of what is legal, or one beyond, or anything.

A command is made legal and fills what there is room for, mostly; then at most two of its words are changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check_all

from ..check import check_command
from ..config import SatConfig
from ..program import BUFFERS, LOAD, REDUCE, RUN, STORE, UPDATE, Op
from .core import MACHINES

EACH = 100
"""Commands of a case."""


def sat_check(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """``cases`` commands, on machines as `sat_core`'s."""
    machines: tuple[SatConfig, ...] = MACHINES if options.machine is None else (options.machine,)
    count = -(-cases // EACH // len(machines))

    def work() -> Iterator[tuple[Bench, list[Case]]]:
        for config in machines:
            p = config.verilog_parameters()
            named = ("COLS", "GROUP_MAX", "INTERLEAVE_MAX", "EXACT", *(f"{b.upper()}_WIDTH" for b in BUFFERS))
            parameters = {n: p[n] for n in named} | {"ENTRIES": p["WEIGHT_REGS"], "BYTES": 2 * p["WORD"]}
            bench = Bench("sat_check", "hwsim.sat.bench:check_main.cpp", parameters, {})
            yield bench, [_case(rng, p) for _ in range(count)]

    row = check_all("sat_check", work(), options)
    row.cases *= EACH
    return row


def _case(rng: np.random.Generator, p: Mapping[str, int]) -> Case:
    commands = [random_command(rng, p) for _ in range(EACH)]
    output = np.zeros((EACH, 2), np.uint32)
    care = np.ones((EACH, 2), np.bool_)
    for i, words in enumerate(commands):
        output[i] = check_command(p, words), Op(tuple(words)).ports
        care[i, 1] = output[i, 0] == 0  # what an illegal command would hold is nobody's
    legal = int(care[:, 1].sum())
    stdin = np.array(commands, np.uint32).tobytes()
    return Case(f"{EACH} commands, {legal} of them legal", stdin, {"output": output}, timed=False, care=care)


def random_command(rng: np.random.Generator, p: Mapping[str, int]) -> list[int]:
    """32 words: a legal command, mostly of the largest numbers that are; in most of the cases a word or two changed."""
    words = [int(w) for w in rng.integers(0, 1 << 32, 32)]
    kind = int(rng.choice([LOAD, STORE, RUN, REDUCE, UPDATE]))
    words[0] = words[0] & ~0xFF | kind
    {LOAD: _move, STORE: _move, RUN: _run, REDUCE: _reduce, UPDATE: _update}[kind](rng, p, words)
    places = {LOAD: (1, 3, 4, 5), STORE: (1, 3, 4, 5), RUN: range(1, 25), REDUCE: range(1, 7),
              UPDATE: range(1, 12)}[kind]  # fmt: skip
    for place in rng.choice([0, *places], int(rng.integers(0, 3))).tolist():
        old = words[place]
        bit = 1 << int(rng.integers(0, 32))
        others = (old + 1, old - 1, old ^ bit, 0, int(rng.integers(0, 1 << 32)), 0xFFFFFFFF, old + bit, old << 1)
        words[place] = int(rng.choice(others)) & 0xFFFFFFFF
    return words


def _below(rng: np.random.Generator, most: int, least: int = 1) -> int:
    """Any number of ``least`` to ``most``, often one of these two."""
    return (least, most, int(rng.integers(least, most + 1)))[int(rng.integers(0, 3))]


def _place(rng: np.random.Generator, size: int, count: int) -> int:
    """A first word of ``count``, often the first or the last there is."""
    return _below(rng, max(size - count, 0), 0)


def _move(rng: np.random.Generator, p: Mapping[str, int], words: list[int]) -> None:
    words[1] = words[1] // (2 * p["WORD"]) * 2 * p["WORD"]
    store = words[0] & 0xFF == STORE
    buffer = int(rng.integers(store, len(BUFFERS)))
    words[3] = buffer | (int(rng.integers(0, 2)) << 8 if store and BUFFERS[buffer] != "north" else 0)
    size = 1 << p[f"{BUFFERS[buffer].upper()}_WIDTH"]
    words[5] = _below(rng, size)
    words[4] = _place(rng, size, words[5])


def _run(rng: np.random.Generator, p: Mapping[str, int], words: list[int]) -> None:
    words[4] = _below(rng, p["INTERLEAVE_MAX"])
    words[1:2] = [max(words[1], 1)]
    if rng.random() < 0.5:  # one tile adds to each sum
        words[10] = words[9]
        words[3] &= ~1
    for place, name in ((22, "WEST"), (23, "NORTH"), (24, "OUTPUT")):
        words[place] = _below(rng, (1 << p[f"{name}_WIDTH"]) - 1, 0)


def _group(rng: np.random.Generator, p: Mapping[str, int]) -> tuple[int, int]:
    m = _below(rng, p["GROUP_MAX"])
    return _below(rng, min(m, p["WEIGHT_REGS"])), m


def _reduce(rng: np.random.Generator, p: Mapping[str, int], words: list[int]) -> None:
    north = 1 << p["NORTH_WIDTH"]
    n, m = _group(rng, p)
    rounds = _below(rng, max(north // m, 1))
    words[2:7] = [n, m, rounds, _place(rng, north, rounds * m), _place(rng, north, rounds * n)]


def _update(rng: np.random.Generator, p: Mapping[str, int], words: list[int]) -> None:
    state, output, north = (1 << p[f"{name}_WIDTH"] for name in ("STATE", "OUTPUT", "NORTH"))
    flags = int(rng.integers(0, 4))
    n, m = _group(rng, p)
    if flags & 2:
        m = int(rng.choice([g for g in range(1, p["GROUP_MAX"] + 1) if p["COLS"] % g == 0]))
        n = _below(rng, min(m, p["WEIGHT_REGS"]))
    most = min(state, output)
    if flags:
        rounds = _below(rng, max(most // m, 1))
        words[7] = rounds * m
        words[2:5] = [n, m, rounds << (flags == 3)]
    else:
        rounds, words[7] = 0, _below(rng, most)
    words[8], words[9] = _place(rng, state, words[7]), _place(rng, output, words[7])
    words[6], words[10] = _place(rng, north, rounds * n), _place(rng, north, rounds * n)
    words[11] = words[11] & ~3 | flags
