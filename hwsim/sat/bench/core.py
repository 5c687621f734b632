# SPDX-License-Identifier: Apache-2.0
"""Cases of sat_core: programs of random jobs, with memory behind AXI; memory afterwards, cycles and errors compared.

A program loads operands, prunes dense weights with SORE where the job is sparse, runs the job, stores sums as binary32
and binary16, updates weights with the sums as gradients (with or without pre-generation in either orientation) and
stores what came of it; beside its commands others move words of the same buffers. Some are longer than 256 words, lie
at the end of a buffer, or across 4 GiB. One in three has an illegal or failing command somewhere, mostly one too
large by one: the error must be reported, with the command, and those before it alone have been done. Half of the
others meet a memory of constant response times (every cycle is compared), half one with stalls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dataflow.pattern import NM
from hwsim.core.ieee import to_fp16
from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check_all

from ..command import command_of, dense_image, north_image, output_image, west_image
from ..config import SatConfig
from ..program import BUFFERS, LOAD, REDUCE, RUN, STORE, UPDATE, Buffer, MemoryTiming, Op, Program, timeline
from ..timing.clock import run_job
from ..timing.clock_engines import run_sore, run_update, run_wuve
from ..timing.functional import sore
from ..timing.job import Job as ArrayJob
from .jobs import JobCase, random_case

_NAMES = ("ROWS", "COLS", "GROUP_MAX", "WEIGHT_REGS", "WORD", "INTERLEAVE_MAX", "MUL_LATENCY", "ADD_LATENCY",
          "EXACT", "ROUND_LATENCY", "WEST_WIDTH", "NORTH_WIDTH", "OUTPUT_WIDTH", "STATE_WIDTH")  # fmt: skip


def core_config(rows: int, cols: int, **changes: Any) -> SatConfig:
    """A machine with an engine lane a column and buffers of some hundred words."""
    small = SatConfig(rows=rows, cols=cols, sore_lanes=cols, wuve_lanes=cols, **changes)
    sizes = {
        "west_buffer_bytes": max(1024, 2 * small.word_elements * rows * 512),
        "north_buffer_bytes": max(1024, 4 * cols * 1024),
        "output_buffer_bytes": max(1024, 4 * cols * 512),
        "state_buffer_bytes": 8 * cols * 512,
    }
    return small.model_copy(update=sizes)


MACHINES = (
    core_config(1, 1, mul_latency=1, add_latency=1, group_max=4, weight_registers=2, interleave_max=4).model_copy(
        update={"north_buffer_bytes": 4 << 17}
    ),
    core_config(2, 3, mul_latency=2, add_latency=3, group_max=12, weight_registers=3, interleave_max=5),
    core_config(4, 4),
    core_config(3, 8, add_latency=2, group_max=8, interleave_max=6),
    core_config(2, 4, group_max=8, interleave_max=1, accumulate="exact"),
)


def bench_of(config: SatConfig) -> Bench:
    """The core of a configuration."""
    parameters = {n: config.verilog_parameters()[n] for n in _NAMES}
    defines = {"HAS_CLOCK": 1, "BYTES": 2 * config.word_elements, "SHAPE": config.cols << 16 | config.rows}
    return Bench("sat_core", "hwsim.sat.bench:core_main.cpp", parameters, defines)


class MemoryImage:
    """Memory as a program finds and leaves it: regions one after the other, at multiples of 128 bytes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.before: list[bytes] = []
        self.after: list[bytes] = []
        self.size = 0

    def place(self, before: bytes, after: bytes | None = None) -> int:
        """A region; its address."""
        at = self.size
        for parts, data in ((self.before, before), (self.after, before if after is None else after)):
            parts.append(data + bytes(-len(data) % 128))
        self.size += len(self.before[-1])
        return at

    def lines(self, image: np.ndarray, size: int) -> bytes:
        """uint[words, columns] filled up to whole beats a word."""
        beat = self.program.beat_bytes
        width = -(-image.shape[1] * size // beat) * beat // size
        padded = np.zeros((len(image), width), image.dtype)
        padded[:, : image.shape[1]] = image
        return padded.tobytes()

    def pairs(self, weight: np.ndarray, momentum: np.ndarray) -> bytes:
        """Lines of the state buffer from float32 weights and momenta, a word's columns innermost."""
        both = np.stack([weight.ravel(), momentum.ravel()], axis=1)
        return self.lines(both.view(np.uint64).reshape(-1, self.program.config.cols), 8)


def random_program(rng: np.random.Generator, config: SatConfig) -> tuple[Program, MemoryImage, str]:
    """A program, its memory before and after, and what it does in words."""
    while True:
        drawn = random_case(rng, base=config, length=24, special=rng.random() < 0.2, long=rng.random() < 0.06)
        command = command_of(config, drawn.job)
        p = drawn.config.verilog_parameters()
        west = west_image(config, drawn.job, drawn.x)
        north = north_image(config, drawn.job, drawn.values, drawn.positions)
        dense = len(dense_image(config, drawn.job, drawn.weights)) if drawn.job.is_sparse else 0
        fits = (
            len(west) <= 1 << p["WEST_WIDTH"],
            command.stride * command.column_tiles <= 1 << p["OUTPUT_WIDTH"],
            len(north) + dense <= 1 << p["NORTH_WIDTH"],
        )
        if all(fits):
            break
    program = Program(config)
    memory = MemoryImage(program)
    result, cycles = run_job(drawn.job, drawn.x, drawn.values, drawn.positions, drawn.psum)
    size = command.stride * command.column_tiles
    bases: dict[Buffer, int] = {
        "west": _at(rng, (1 << p["WEST_WIDTH"]) - len(west)),
        "output": _at(rng, (1 << p["OUTPUT_WIDTH"]) - size),
    }
    program.load("west", memory.place(west.tobytes()), len(west), bases["west"])
    later: list[_Later] = []
    text = f"{'OS' if drawn.job.is_os else 'WS'} {drawn.pattern} a={drawn.job.a} k={drawn.job.k} b={drawn.job.b}"
    if drawn.positions is None or rng.random() < 0.3:
        bases["north"] = _at(rng, (1 << p["NORTH_WIDTH"]) - len(north))
        program.load("north", memory.place(memory.lines(north, 4)), len(north), bases["north"])
    else:
        start = _at(rng, (1 << p["NORTH_WIDTH"]) - len(north) - dense)
        beside = _beside(rng, program, memory, "north", [(start, dense + len(north))])
        source, bases["north"] = (start, start + dense) if rng.random() < 0.5 else (start + len(north), start)
        prune(program, memory, drawn.job, drawn.weights, source, bases["north"])
        later += beside()
        text += ", REDUCE"
    first = output_image(config, drawn.job, drawn.psum)
    if drawn.psum is not None:
        program.load("output", memory.place(memory.lines(first, 4)), len(first), bases["output"])
    kept = [(first_word, count) for buffer, first_word, count, _ in later if buffer == "north"]
    both = (
        _beside(rng, program, memory, "north", [(bases["north"], len(north)), *kept]),
        _beside(rng, program, memory, "output", [(bases["output"], size)]),
    )
    program.run(command_of(config, drawn.job, accumulate=drawn.psum is not None), cycles, bases)
    _limit(rng, program)
    for beside in both:
        later += beside()
    sums = output_image(config, drawn.job, result)
    # words that hold no result of the job may hold anything: only whole rows of results are stored
    rows = [(t * command.stride, drawn.job.a) for t in range(command.column_tiles)]
    for at, count in rows:
        half = bool(rng.random() < 0.3)
        lines = sums[at : at + count]
        data = memory.lines(to_fp16(lines.view(np.float32)).view(np.uint16), 2) if half else memory.lines(lines, 4)
        mask = _results(drawn, at)
        if not mask.all():  # columns beyond the job's
            continue
        place = memory.place(bytes(len(data)), data)
        program.store("output", place, count, bases["output"] + at, half=half, wait=True)
    for buffer, first_word, count, data in later:
        program.store(buffer, memory.place(bytes(len(data)), data), count, first_word, wait=True)
    if rng.random() < 0.7 and _results(drawn, 0).all():
        text += _update(rng, program, memory, sums[: drawn.job.a], bases["output"])
    return program, memory, text


_Later = tuple[Buffer, int, int, bytes]
"""What is to be stored in the end: buffer, first word, words, lines."""


def _at(rng: np.random.Generator, room: int) -> int:
    """A first word: any, or the first or the last one that there is room for."""
    kind = rng.random()
    return 0 if kind < 0.1 else room if kind < 0.35 else int(rng.integers(0, room + 1))


def _limit(rng: np.random.Generator, program: Program) -> None:
    """Give the last command a limit that is just long enough, or differs from too short a one in a high bit alone."""
    op = program.ops[-1]
    kind = rng.random()
    if kind < 0.5:
        limit = op.cycles if kind < 0.25 else op.cycles - 1 | 1 << int(rng.integers(op.cycles.bit_length(), 32))
        program.ops[-1] = replace(op, words=(op.words[0], limit, *op.words[2:]))


def _beside(
    rng: np.random.Generator, program: Program, memory: MemoryImage, buffer: Buffer, taken: list[tuple[int, int]]
) -> Callable[[], list[_Later]]:
    """What moves words of a buffer while the next command works on others of it (``taken``: first word, words),
    without a wait: only the port that the command holds keeps them apart. To be called behind the command; what is to
    be stored in the end."""
    config = program.config
    ends = [0, *(first + count for first, count in taken)]
    limit = 1 << config.verilog_parameters()[f"{buffer.upper()}_WIDTH"]
    gaps = [(min([f for f, _ in taken if f >= end], default=limit) - end, end) for end in ends]
    gaps = [(room, end) for room, end in gaps if not any(f <= end < f + count for f, count in taken)]
    room, start = max(gaps, default=(0, 0))
    kind = int(rng.integers(0, 4))
    if room <= 0 or kind == 0:
        return list
    words = int(rng.integers(1, min(room, 20) + 1))
    first = start if rng.random() < 0.5 else start + room - words
    if buffer == "state":
        data = memory.pairs(*rng.standard_normal((2, words, config.cols)).astype(np.float32))
    else:
        image = rng.integers(0, 1 << (24 if buffer == "north" else 32), (words, config.cols), dtype=np.uint32)
        data = memory.lines(image, 4)
    if kind == 1:  # it writes beside the command

        def write() -> list[_Later]:
            program.load(buffer, memory.place(data), words, first)
            return [(buffer, first, words, data)]

        return write
    program.load(
        buffer, memory.place(data), words, first, wait=True
    )  # a store beside an earlier one may have these words
    if kind == 3:  # it reads before the command, which does not wait
        program.store(buffer, memory.place(bytes(len(data)), data), words, first, wait=True)
        return list

    def read() -> list[_Later]:
        program.store(buffer, memory.place(bytes(len(data)), data), words, first)
        return []

    return read


def _results(drawn: JobCase, at: int) -> np.ndarray:
    """bool[columns]: whether a word at ``at`` holds results of the job."""
    ones = output_image(drawn.config, drawn.job, np.ones((drawn.job.a, drawn.job.b), np.float32))
    found: np.ndarray = ones[at] != 0
    return found


def prune(
    program: Program, memory: MemoryImage, job: ArrayJob, weights: np.ndarray, source: int, target: int | None = None
) -> tuple[int, int]:
    """Load a job's dense weights to ``source`` and have SORE make its north image of them, at ``target`` (None: behind
    them).

    Returns:
        The image's first word, and how many it has.
    """
    dense = dense_image(program.config, job, weights)
    _, _, cycles = run_sore(program.config, dense.view(np.float16), NM(job.depth, job.m))
    program.load("north", memory.place(memory.lines(dense.astype(np.uint32), 4)), len(dense), source)
    rounds = len(dense) // job.m
    target = source + len(dense) if target is None else target
    program.reduce(NM(job.depth, job.m), rounds, cycles, source=source, target=target)
    return target, rounds * job.depth


def _update(rng: np.random.Generator, program: Program, memory: MemoryImage, sums: np.ndarray, base: int) -> str:
    """Take sums as gradients of a weight each."""
    config = program.config
    cols, limit = config.cols, 1 << config.verilog_parameters()["STATE_WIDTH"]
    fits = [NM(n, m) for m in range(1, config.group_max + 1) for n in range(1, min(m, config.weight_registers) + 1)]
    pattern = fits[int(rng.integers(0, len(fits)))]
    n, m = pattern.n_keep, pattern.m_group
    words = min(len(sums), limit) // m * m
    direct, across = bool(rng.random() < 0.5), bool(rng.random() < 0.5) and cols % m == 0
    if words == 0:
        words, direct, across = min(len(sums), limit), False, False
    gradient = to_fp16(sums[:words].view(np.float32))
    w, v = rng.standard_normal((2, words, cols)).astype(np.float32)
    rates = tuple(float(x) for x in rng.choice([0.0, 1e-3, 0.05, 0.9, 1.0], 3))
    places: dict[str, int] = {}
    entries = words // m * n
    if direct:
        places["direct"] = _at(rng, (1 << config.verilog_parameters()["NORTH_WIDTH"]) - (1 + across) * entries)
    if across:
        places["across"] = places["direct"] + entries if direct else 0
    if across and direct and rng.random() < 0.5:
        places["across"] = _at(rng, places["direct"] - entries) if places["direct"] >= entries else places["across"]
    state = _at(rng, limit - words)
    north = [(place, entries) for place in places.values()]
    both = (
        _beside(rng, program, memory, "state", [(state, words)]),
        _beside(rng, program, memory, "output", [(base, words)]),
        _beside(rng, program, memory, "north", north) if north else list,
    )
    later: list[_Later] = []

    def beside() -> None:
        _limit(rng, program)
        for one in both:
            later.extend(one())

    update(program, memory, (w, v, gradient), rates, pattern, places, state=state, at=base, beside=beside)  # type: ignore[arg-type]  # three
    for buffer, first, count, data in later:
        program.store(buffer, memory.place(bytes(len(data)), data), count, first, wait=True)
    return f", UPDATE {pattern if places else ''} {' '.join(places)}"


def update(
    program: Program,
    memory: MemoryImage,
    tensors: tuple[np.ndarray, np.ndarray, np.ndarray],
    rates: tuple[float, float, float],
    pattern: NM,
    places: dict[str, int],
    *,
    state: int,
    at: int,
    beside: Callable[[], None] = lambda: None,
) -> None:
    """Load weights and momenta, update them with gradients that are in the output buffer, store all that comes of it.

    Args:
        tensors: float32 weights and momenta, float16 gradients; [words, cols].
        places: first words in the north buffer of the sparse weights ``direct`` and ``across``; empty: none.
        state: first word in the state buffer.
        at: first word of the gradients in the output buffer.
        beside: adds commands that come while it runs.
    """
    w, v, gradient = tensors
    config, words = program.config, len(w)
    new_w, new_v, half, cycles = run_wuve(config, w.ravel(), v.ravel(), gradient.ravel(), rates)
    if places:
        cycles = run_update(config, words, pattern, len(places))
    program.load("state", memory.place(memory.pairs(w, v)), words, state)
    program.update(words, rates, cycles, state=state, gradient=at, pattern=pattern if places else None, **places)  # type: ignore[arg-type]  # bytes
    beside()
    lines = memory.pairs(new_w, new_v)
    program.store("state", memory.place(bytes(len(lines)), lines), words, state, wait=True)
    halves = half.reshape(words, config.cols)
    lines = memory.lines(halves.view(np.uint16), 2)
    program.store("state", memory.place(bytes(len(lines)), lines), words, state, half=True)
    for name, first in places.items():
        turned = halves if name == "direct" else across_order(halves, pattern.m_group)
        values, index = sore(turned, pattern)
        lines = memory.lines(values.view(np.uint16).astype(np.uint32) | index.astype(np.uint32) << 16, 4)
        program.store("north", memory.place(bytes(len(lines)), lines), len(values), first)


def across_order(words: np.ndarray, m: int) -> np.ndarray:
    """[words, lanes] as `weight_block` offers it across: a group of M lanes of a word becomes M words of a lane."""
    count, lanes = words.shape
    blocks = words.reshape(count // m, m, lanes // m, m)  # block, word, group in it, element
    return blocks.transpose(0, 3, 1, 2).reshape(count, lanes).copy()


def case_of(rng: np.random.Generator, config: SatConfig) -> Case:
    """A random case of a machine."""
    program, memory, text = random_program(rng, config)
    wrong = _spoil(rng, program, memory) if rng.random() < 0.35 else Wrong()
    timing = MemoryTiming(int(rng.integers(1, 20)), int(rng.integers(1, 6)))
    timed = bool(rng.random() < 0.5) and not wrong.text
    shares = (256, 256) if timed else tuple(int(s) for s in rng.choice([32, 100, 200, 256], 2))
    reset = float(rng.random()) if rng.random() < 0.1 and not timed else 0.0
    # any page of the address space, or across 4 GiB; bursts end at pages
    base = int(rng.integers(0, (1 << 52) - (1 << 16))) << 12
    if rng.random() < 0.3:
        base = (int(rng.integers(1, 1 << 32)) << 32) - (int(rng.integers(0, (memory.size >> 12) + 1)) << 12)
    if not timed:
        base += 128 * int(rng.integers(0, 32))
    case = program_case(program, memory, text + wrong.text, base, timing, wrong=wrong,
                        stress=(*shares, int(rng.integers(1, 1 << 31))), reset=reset)  # fmt: skip
    case.timed = timed
    return case


def long_case(rng: np.random.Generator, config: SatConfig) -> Case:
    """More words than 16 bits can count, into the north buffer and out of it."""
    program = Program(config)
    memory = MemoryImage(program)
    words = (1 << 16) + 300
    data = memory.lines(rng.integers(0, 1 << 24, (words, config.cols), dtype=np.uint32), 4)
    program.load("north", memory.place(data), words, 700)
    program.store("north", memory.place(bytes(len(data)), data), words, 700, wait=True)
    return program_case(program, memory, f"{words} words in and out", 1 << 40)


def many_case(rng: np.random.Generator, config: SatConfig) -> Case:
    """More commands than 8 bits can count, the last of which is none."""
    program = Program(config)
    memory = MemoryImage(program)
    words = 300
    image = rng.integers(0, 1 << 24, (words, config.cols), dtype=np.uint32)
    for at in range(words):
        program.load("north", memory.place(memory.lines(image[at : at + 1], 4)), 1, at)
    data = memory.lines(image, 4)
    program.store("north", memory.place(bytes(len(data)), data), words, 0, wait=True)
    program.load("north", 0, 1)
    last = program.ops[-1]
    program.ops[-1] = replace(last, words=(6, *last.words[1:]))
    at = words + 1
    wrong = Wrong(f"; command {at}: opcode 6", 1 | at << 8, at, at + 1, kind=LOAD)
    case = program_case(program, memory, f"{words} loads of a word{wrong.text}", wrong=wrong)
    case.timed = False
    return case


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a program."""

    text: str = ""
    """In words; empty: nothing."""
    error: int = 0
    """The error word that must be reported."""
    done: int | None = None
    """Commands that are done, and no others; None: not known, as those beside them may have come to any point."""
    fetched: int = 0
    """Commands that are fetched."""
    fails: int = 0xFFFFFFFF
    """First byte of the only beat, from the memory's start, at which it fails."""
    shift: int = 0
    """Bytes by which the program's address is wrong."""
    kind: int = 0
    """What the spoiled command was; 0: none was spoiled."""


def program_case(
    program: Program,
    memory: MemoryImage,
    label: str,
    base: int = 0,
    timing: MemoryTiming = MemoryTiming(8, 2),
    *,
    wrong: Wrong = Wrong(),
    stress: tuple[int, ...] = (256, 256, 1),
    reset: float = 0.0,
) -> Case:
    """The case of a program.

    Args:
        base: where its memory lies.
        stress: shares of 256 of the cycles in which memory gives and takes, and a seed.
        reset: after which share of its cycles it is reset, and started again; 0: never.
    """
    size = 2 * program.config.word_elements
    address = memory.place(program.image(base).tobytes())
    total = timeline(program, timing, address)
    before, after = b"".join(memory.before), bytearray(b"".join(memory.after))
    start = base + address + wrong.shift
    places = (base & 0xFFFFFFFF, base >> 32, start & 0xFFFFFFFF, start >> 32)
    cut = max(int(reset * total), 1) if reset else 0
    head = [memory.size, *places, len(program.ops), *timing, *stress, cut, 40 * total + 100_000, wrong.fails]
    stdin = np.array(head, np.uint32).tobytes() + before
    done = program.ops[: wrong.done]
    if wrong.done is not None:
        for i, op in enumerate(program.ops[wrong.done :]):
            if (wrong.kind if i == 0 and wrong.kind else op.kind) == STORE:
                after[op.address : op.address + op.beats * size] = before[op.address : op.address + op.beats * size]
    counts = {kind: sum(op.cycles for op in done if op.kind == kind) for kind in (RUN, REDUCE, UPDATE)}
    moved = [sum(op.beats for op in done if (op.kind == STORE) == out and op.beats) for out in (False, True)]
    fetched = (wrong.fetched if wrong.text else len(program.ops)) * 128 // size
    figures = [wrong.error, *counts.values(), moved[0] + fetched, moved[1], 0]
    output = np.concatenate([np.array(figures, np.uint32), np.frombuffer(bytes(after), np.uint32)])
    care = np.ones(len(output), np.bool_)
    if wrong.text and wrong.done is None:
        care[1:6] = care[7:] = False
    return Case(label, stdin, {"cycles": np.array([total], np.uint32), "output": output}, care=care)


def _spoil(rng: np.random.Generator, program: Program, memory: MemoryImage) -> Wrong:
    """Make one command illegal or fail; what must be reported. A command of each kind is as likely."""
    kinds = {op.kind for op in program.ops}
    kind = int(rng.choice(sorted(kinds)))
    at = int(rng.choice([i for i, op in enumerate(program.ops) if op.kind == kind]))
    op, size = program.ops[at], program.beat_bytes
    what = str(rng.choice([*["check"] * 7, "memory", "fetch", "program", "limit"]))
    if what == "limit" and kind not in (LOAD, STORE) and op.cycles > 1:
        short = op.cycles - 1 if rng.random() < 0.7 else int(rng.integers(1, op.cycles))
        program.ops[at] = replace(op, words=(op.words[0], short, *op.words[2:]))
        return Wrong(f"; command {at}: {short} cycles are too few", 7 | at << 8)
    if what == "memory" and kind in (LOAD, STORE):
        beat = int(rng.integers(0, op.beats)) if rng.random() < 0.5 else 0  # the first of several bursts, or any
        error = (5 if kind == LOAD else 6) | at << 8
        if rng.random() < 0.8:
            return Wrong(f"; command {at}: beat {beat} fails", error, fails=op.address + beat * size)
        program.ops[at] = replace(
            op, words=(op.words[0], op.words[1], 1, *op.words[3:])
        )  # 4 GiB behind: nothing is there
        return Wrong(f"; command {at}: nothing is there", error)
    if what == "fetch":
        byte = memory.size + 128 * at + int(rng.integers(0, 128)) // size * size
        return Wrong(f"; command {at} cannot be fetched", 5 | at << 8, at, at + 1, byte)
    if what == "program" and rng.random() < 0.4:
        shift = 1 << int(rng.integers(0, 7))
        return Wrong(f"; program {shift} bytes too far", 2, 0, 0, shift=shift)
    code, changes, text = _illegal(rng, program, op)
    words = list(op.words)
    for place, value in changes.items():
        words[place] = value & 0xFFFFFFFF
    program.ops[at] = replace(op, words=tuple(words))
    return Wrong(f"; command {at}: {text}", code | at << 8, at, at + 1, kind=kind)


def _illegal(rng: np.random.Generator, program: Program, op: Op) -> tuple[int, dict[int, int], str]:
    """An error's code, the words of a command that make it so, and which it is. Nothing else is wrong with it."""
    config = program.config
    p = config.verilog_parameters()
    limits: dict[str, int] = {name: 1 << p[f"{name.upper()}_WIDTH"] for name in BUFFERS}
    high = 1 << int(rng.integers(25, 32))
    any_bits = [int(w) for w in rng.integers(0, 1 << 32, 31)]
    found: list[tuple[int, dict[int, int], str]] = [
        (1, {0: op.words[0] & ~255 | code, **dict(enumerate(any_bits, 1))}, f"opcode {code}")
        for code in (0, 6, 7, 255, op.kind | 1 << int(rng.integers(3, 8)))
    ]
    if rng.random() < 0.1:
        return found[int(rng.integers(len(found)))]
    found = []

    def beyond(first: int, count: int, limit: int, code: int = 3) -> None:
        """Too large by one at either end, and by so much that their sum is small again."""
        w = op.words
        found.extend((code, change, f"words {first}, {count}: {change}") for change in (
            {first: limit - w[count] + 1}, {count: limit - w[first] + 1}, {first: limit, count: 1}, {first: high},
            {first: -1}, {count: -1}, {count: (1 << 32) - w[first]},
        ))  # fmt: skip

    if op.kind in (LOAD, STORE):
        bits = program.beat_bytes.bit_length() - 1
        found += [(2, {1: op.words[1] | 1 << b}, f"address bit {b}") for b in range(bits)]
        low = 2 if op.kind == LOAD else 9
        for b in {low, int(rng.integers(low, 32)), 31, *(range(2, 8) if op.kind == STORE else ())}:
            found.append((4, {3: op.words[3] | 1 << b}, f"buffer bit {b}"))
        if op.kind == STORE:
            found += [(4, {3: word}, f"buffer {word}") for word in (0, 256, 257)]
        beyond(4, 5, limits[BUFFERS[op.words[3] & 3]])
        found.append((3, {5: 0}, "no words"))
    elif op.kind == RUN:
        found += [(4, {4: config.interleave_max + 1}, "interleave"), (4, {4: high}, "interleave")]
        if config.exact and not op.words[2]:
            found += [(4, {3: 1}, "partial sums"), (4, {10: op.words[10] + 1}, "tiles")]
        found += [(4, {place: 0}, f"word {place} is 0") for place in (1, 4, *range(5, 17), 18, 20, 21)]
        for place, name in ((22, "west"), (23, "north"), (24, "output")):
            found += [(3, {place: v}, f"{name} base {v}") for v in (limits[name], high, (1 << 32) - 1)]
    elif op.kind == REDUCE:
        found.append((4, {1: 0}, "limit 0"))
        found += _group_errors(config, op, high)
        n, m, rounds, source, target = op.words[2:7]
        north = limits["north"]
        found += [(4, {4: 0}, "no rounds"), (4, {4: north + 1}, "rounds"), (4, {4: high}, "rounds")]
        found += [(3, {5: north - rounds * m + 1}, "source"), (3, {6: north - rounds * n + 1}, "target")]
        found += [(3, {place: v}, f"word {place}: {v}") for place in (5, 6) for v in (north, high, (1 << 32) - 1)]
        longer = min((north - source) // m + 1, north)
        found += [(3, {4: longer}, "rounds beyond"), (3, {4: north}, "as many rounds as can be, beyond")]
        del target
    else:
        found.append((4, {1: 0}, "limit 0"))
        words, flags, n, rounds = op.words[7], op.words[11], op.words[2], op.words[4]
        beyond_words = {8: limits["state"], 9: limits["output"]}
        for place, limit in beyond_words.items():
            found += [(3, {place: v}, f"word {place}: {v}") for v in (limit - words + 1, limit, high, (1 << 32) - 1)]
        if not flags:
            found += [
                (3, {7: v}, f"{v} words")
                for v in (0, min(limits["state"] - op.words[8], limits["output"] - op.words[9]) + 1)
            ]
        else:
            found += _group_errors(config, op, high)
            found += [(4, {7: words + 1}, "words"), (4, {4: rounds + 1}, "rounds"), (4, {4: 0}, "no rounds")]
            found.append((4, {7: words + 65536}, "words by 65536"))
            entries = (rounds >> (flags == 3)) * n
            for bit, place in ((1, 6), (2, 10)):
                if flags & bit:
                    found += [(3, {place: v}, f"word {place}: {v}") for v in (
                        limits["north"] - entries + 1, limits["north"], high, (1 << 32) - 1)]  # fmt: skip
            if flags == 1:
                found.append((4, {3: config.group_max + 1, 4: 1, 7: config.group_max + 1}, "m"))
            if flags & 2:
                m = next((m for m in range(2, config.group_max + 1) if config.cols % m and m >= n), 0)
                if m:
                    orders = 1 + (flags == 3)
                    found.append((4, {3: m, 4: 2 * orders, 7: 2 * m}, f"{m} does not divide the lanes"))
    return found[int(rng.integers(len(found)))]


def _group_errors(config: SatConfig, op: Op, high: int) -> list[tuple[int, dict[int, int], str]]:
    """n and m of REDUCE and UPDATE."""
    n, m, most, largest = op.words[2], op.words[3], config.weight_registers, config.group_max
    found = [
        (4, {2: 0}, "n 0"),
        (4, {2: most + 1}, "n"),
        (4, {2: high}, "n"),
        (4, {3: high | m}, "m"),
        (4, {3: 0}, "m 0"),
    ]
    if op.kind == REDUCE:  # else rounds times m would be wrong too
        found.append((4, {3: largest + 1, 4: 1}, "m"))
    if m + 1 <= most:
        found.append((4, {2: m + 1}, "n above m"))
    del n
    return found


def sat_core(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """Random programs on each of `MACHINES`, or on the one machine that was asked for."""
    machines = MACHINES if options.coverage is None else MACHINES[2:3]
    if options.machine is not None:
        machines = (options.machine,)
    count = -(-cases // len(machines))

    def work() -> Iterator[tuple[Bench, list[Case]]]:
        for config in machines:
            made = [case_of(rng, config) for _ in range(count)]
            if count > 100 and config.verilog_parameters()["NORTH_WIDTH"] > 16:
                made += [long_case(rng, config), many_case(rng, config)]
            yield bench_of(config), made

    return check_all("sat_core", work(), options)
