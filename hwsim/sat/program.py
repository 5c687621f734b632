# SPDX-License-Identifier: Apache-2.0
"""Programs of the RTL's `sat_core`: commands in words, what they leave in memory, and the cycle in which they end.

`Program` is built command by command, as a host would; each method also keeps what the simulator says of it: a RUN
takes the clock level's cycles of its job, REDUCE SORE's, UPDATE WUVE's. `timeline` puts commands in order as the core's
controller does (three units, buffer ports, waits), with a memory of constant response times. Formats are those of
`rtl/sat/sat_control.v`. Left out: memories that make a burst wait in the middle; their time cannot be known before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from dataflow.errors import InputError
from dataflow.pattern import NM

from .command import Command
from .config import SatConfig

Buffer = Literal["west", "north", "output", "state"]

COMMAND_WORDS = 32
LOAD, STORE, RUN, REDUCE, UPDATE = 1, 2, 3, 4, 5
BUFFERS: tuple[Buffer, ...] = ("west", "north", "output", "state")
_PAGE, _LONGEST = 4096, 256


class MemoryTiming(NamedTuple):
    """Response times of a memory that serves one burst of each kind at a time and a beat a cycle, in cycles."""

    read: int
    """From a cycle with a read address to the burst's first beat."""
    write: int
    """From the cycle after the last beat written to the response."""


@dataclass(frozen=True, slots=True)
class Op:
    """A command: its words, and what the time line needs of it."""

    words: tuple[int, ...]
    address: int = 0
    """LOAD, STORE: first byte."""
    beats: int = 0
    cycles: int = 0
    """RUN, REDUCE, UPDATE: from accepted to done."""

    @property
    def kind(self) -> int:
        return self.words[0] & 0xFF

    @property
    def waits(self) -> bool:
        return bool(self.words[0] >> 8 & 1)

    @property
    def ports(self) -> int:
        """Buffer ports held, from bit 0: west write, read; north; output; state."""
        if self.kind in (LOAD, STORE):
            return (1 if self.kind == LOAD else 2) << (2 * (self.words[3] & 3))
        if self.kind == RUN:
            return 0b00111010 if self.reads_sums else 0b00011010
        return 0b00001100 if self.kind == REDUCE else 0b11100100

    @property
    def reads_sums(self) -> bool:
        """RUN: partial sums are read, where it starts from some or more than one tile adds to them."""
        fields = Command(*self.words[2:22])
        return not fields.os & 1 and (fields.tiles != fields.column_tiles or bool(fields.accumulate & 1))


@dataclass(slots=True)
class Program:
    """Commands for the core of a configuration.

    Raises:
        InputError: a configuration that `sat_core` cannot be built for.
    """

    config: SatConfig
    ops: list[Op] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_core(self.config)

    @property
    def beat_bytes(self) -> int:
        return 2 * self.config.word_elements

    def line_beats(self, buffer: Buffer, half: bool = False) -> int:
        """Beats of a word of all lanes in memory."""
        if buffer == "west":
            return self.config.rows
        size = 2 if half else 8 if buffer == "state" else 4
        return -(-size * self.config.cols // self.beat_bytes)

    def load(self, buffer: Buffer, address: int, words: int, first: int = 0, *, wait: bool = False) -> None:
        self._move(LOAD, buffer, address, words, first, False, wait)

    def store(
        self, buffer: Buffer, address: int, words: int, first: int = 0, *, half: bool = False, wait: bool = False
    ) -> None:
        """``half``: binary16, of sums or of the state's weights."""
        self._move(STORE, buffer, address, words, first, half, wait)

    def _move(self, kind: int, buffer: Buffer, address: int, words: int, first: int, half: bool, wait: bool) -> None:
        beats = words * self.line_beats(buffer, half)
        place = (address & 0xFFFFFFFF, address >> 32, BUFFERS.index(buffer) | half << 8, first, words)
        self._add(kind, wait, place, address=address, beats=beats)

    def run(
        self, command: Command, cycles: int, bases: Mapping[Buffer, int] | None = None, *, wait: bool = True
    ) -> None:
        """A job; ``cycles`` are the clock level's, and the core's limit (twice them); ``bases``: first words of its
        west, north and output images."""
        first = [(bases or {}).get(b, 0) for b in BUFFERS[:3]]
        self._add(RUN, wait, (2 * cycles, *command, *first), cycles=cycles)

    def reduce(self, pattern: NM, rounds: int, cycles: int, *, source: int, target: int, wait: bool = True) -> None:
        """SORE over ``rounds`` groups a column."""
        fields = (2 * cycles, pattern.n_keep, pattern.m_group, rounds, source, target)
        self._add(REDUCE, wait, fields, cycles=cycles)

    def update(
        self,
        words: int,
        rates: tuple[float, float, float],
        cycles: int,
        *,
        state: int = 0,
        gradient: int = 0,
        pattern: NM | None = None,
        direct: int | None = None,
        across: int | None = None,
        wait: bool = True,
    ) -> None:
        """WUVE with rates (rate, beta, decay) over ``words`` words; ``direct``, ``across``: where in the north buffer
        the sparse weights of the forward and the backward pass go."""
        n, m = (pattern.n_keep, pattern.m_group) if pattern else (1, 1)
        orders = (direct is not None) + (across is not None)
        bits = np.array([-rates[0], rates[1], rates[2]], np.float32).view(np.uint32)
        flags = (direct is not None) | (across is not None) << 1
        head = (2 * cycles, n, m, words // m * orders, 0, direct or 0, words, state, gradient, across or 0, flags)
        self._add(UPDATE, wait, (*head, *(int(b) for b in bits)), cycles=cycles)

    def _add(
        self, kind: int, wait: bool, fields: tuple[int, ...], address: int = 0, beats: int = 0, cycles: int = 0
    ) -> None:
        words = (kind | wait << 8, *fields)
        self.ops.append(Op(words + (0,) * (COMMAND_WORDS - len(words)), address, beats, cycles))

    def image(self, base: int = 0) -> np.ndarray:
        """uint32[commands * 32] as it lies in memory; ``base`` is added to the addresses of LOAD and STORE."""
        words = np.array([op.words for op in self.ops], np.uint64).reshape(-1, COMMAND_WORDS)
        moves = np.isin(words[:, 0] & 0xFF, (LOAD, STORE))
        address = (words[moves, 1] | words[moves, 2] << 32) + np.uint64(base)
        words[moves, 1], words[moves, 2] = address & 0xFFFFFFFF, address >> 32
        return words.astype(np.uint32).ravel()


WIDEST_WORD = 32
"""Activations of a west word at most."""
WIDEST_ADDRESS = 24
"""Bits of a buffer's address at most."""


def check_core(config: SatConfig) -> None:
    """Raise InputError unless ``sat_core`` can be built for the configuration."""
    if config.sore_lanes != config.cols or config.wuve_lanes != config.cols:
        raise InputError(
            f"sat_core: sore_lanes={config.sore_lanes} and wuve_lanes={config.wuve_lanes} must be cols={config.cols}"
        )
    largest = max(config.group_max, config.weight_registers)
    if largest > WIDEST_WORD:  # a fetch of a command is of two beats at least
        raise InputError(f"sat_core: the larger of group_max and weight_registers is {largest}: at most {WIDEST_WORD}")
    p = config.verilog_parameters()
    widest = max(p[f"{name}_WIDTH"] for name in ("WEST", "NORTH", "OUTPUT", "STATE"))
    least = max((config.interleave_max - 1).bit_length(), 1) + 2
    if not least <= widest <= WIDEST_ADDRESS:
        raise InputError(
            f"sat_core: the largest buffer has {1 << widest:,} words of all lanes: must be {1 << least:,} or more with "
            f"interleave_max={config.interleave_max}, and at most {1 << WIDEST_ADDRESS:,}"
        )


def bursts(address: int, beats: int, beat_bytes: int) -> list[int]:
    """Beats of each burst: none crosses 4 KiB or is longer than 256."""
    found = []
    while beats:
        size = min(beats, _LONGEST, (_PAGE - address % _PAGE) // beat_bytes)
        found.append(size)
        address += size * beat_bytes
        beats -= size
    return found


def timeline(program: Program, memory: MemoryTiming, start: int = 0) -> int:
    """Cycles in which the core is busy with a program that lies at address ``start``."""
    size = program.beat_bytes

    def read_end(cycle: int, address: int, beats: int) -> int:
        """Cycle in which ``done`` is raised of a read started in ``cycle``."""
        at = cycle + 1
        for n in bursts(address, beats, size):
            at += memory.read + n
        return at

    def write_end(cycle: int, address: int, beats: int) -> int:
        at = cycle + 1
        for n in bursts(address, beats, size):
            at += 1 + n + memory.write
        return at

    free = {"load": 0, "store": 0, "compute": 0}  # first cycle in which the unit is seen free
    held = {"load": 0, "store": 0, "compute": 0}
    at = 0
    for number, op in enumerate(program.ops):
        at = max(at, free["load"])  # the fetch shares the read port
        at = read_end(at, start + 128 * number, 128 // size) + 2  # fetched; checked; may start
        unit = {LOAD: "load", STORE: "store"}.get(op.kind, "compute")
        blocked = [free[u] for u in free if op.waits or u == unit or held[u] & op.ports]
        at = max(at, *blocked) if blocked else at
        if unit == "load":
            free[unit] = read_end(at, op.address, op.beats) + 1
        elif unit == "store":
            free[unit] = write_end(at, op.address, op.beats) + 1
        else:
            free[unit] = at + op.cycles + 1
        held[unit] = op.ports
        at += 1
    return max(at + 1, *free.values()) + 1
