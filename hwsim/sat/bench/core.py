# SPDX-License-Identifier: Apache-2.0
"""Cases of sat_core: programs of random jobs, with memory behind AXI; memory afterwards, cycles and errors compared.

A program loads operands, prunes dense weights with SORE where the job is sparse, runs the job, stores sums as binary32
and binary16, updates weights with the sums as gradients (with or without pre-generation in either orientation) and
stores what came of it. One in eight has an illegal or failing command somewhere: the error must be reported, with the
command. Half of the others meet a memory of constant response times (every cycle is compared), half one with stalls.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dataflow.pattern import NM
from hwsim.core.ieee import to_fp16
from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check_all

from ..command import command_of, dense_image, north_image, output_image, west_image
from ..config import SatConfig
from ..program import BUFFERS, REDUCE, RUN, STORE, UPDATE, Buffer, MemoryTiming, Program, timeline
from ..timing.clock import run_job
from ..timing.clock_engines import run_sore, run_update, run_wuve
from ..timing.functional import sore
from ..timing.job import Job as ArrayJob
from .jobs import JobCase, random_case

_NAMES = ("ROWS", "COLS", "GROUP_MAX", "WEIGHT_REGS", "WORD", "INTERLEAVE_MAX", "MUL_LATENCY", "ADD_LATENCY",
          "WEST_WIDTH", "NORTH_WIDTH", "OUTPUT_WIDTH", "STATE_WIDTH")  # fmt: skip


def core_config(rows: int, cols: int, **changes: int) -> SatConfig:
    """A machine with an engine lane a column and buffers of some hundred words."""
    small = SatConfig(rows=rows, cols=cols, sore_lanes=cols, wuve_lanes=cols, **changes)
    sizes = {
        "west_buffer_bytes": max(1024, 2 * small.word_elements * rows * 512),
        "north_buffer_bytes": max(1024, 4 * cols * 1024),
        "output_buffer_bytes": max(1024, 4 * cols * 512),
        "state_buffer_bytes": 8 * cols * 64,
    }
    return small.model_copy(update=sizes)


MACHINES = (
    core_config(1, 1, mul_latency=1, add_latency=1, group_max=4, weight_registers=2, interleave_max=4),
    core_config(2, 3, mul_latency=2, add_latency=3, group_max=8, weight_registers=4, interleave_max=5),
    core_config(4, 4),
    core_config(3, 8, add_latency=2, group_max=8, interleave_max=6),
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
        drawn = random_case(rng, base=config, length=24, special=rng.random() < 0.2)
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
    bases: dict[Buffer, int] = {
        "west": int(rng.integers(0, (1 << p["WEST_WIDTH"]) - len(west) + 1)),
        "output": int(rng.integers(0, (1 << p["OUTPUT_WIDTH"]) - command.stride * command.column_tiles + 1)),
    }
    program.load("west", memory.place(west.tobytes()), len(west), bases["west"])
    bystanders: list[tuple[Buffer, int, int, bytes]] = []
    text = f"{'OS' if drawn.job.is_os else 'WS'} {drawn.pattern} a={drawn.job.a} k={drawn.job.k} b={drawn.job.b}"
    if drawn.positions is None or rng.random() < 0.3:
        bases["north"] = int(rng.integers(0, (1 << p["NORTH_WIDTH"]) - len(north) + 1))
        program.load("north", memory.place(memory.lines(north, 4)), len(north), bases["north"])
    else:
        room = (1 << p["NORTH_WIDTH"]) - len(north) - dense
        source = int(rng.integers(0, room + 1))
        bases["north"], _ = prune(program, memory, drawn.job, drawn.weights, source)
        text += ", REDUCE"
        bystanders += _bystander(rng, program, memory, "north", source, dense + len(north))
    first = output_image(config, drawn.job, drawn.psum)
    if drawn.psum is not None:
        program.load("output", memory.place(memory.lines(first, 4)), len(first), bases["output"])
    program.run(command_of(config, drawn.job, accumulate=drawn.psum is not None), cycles, bases)
    bystanders += _bystander(rng, program, memory, "output", bases["output"], command.stride * command.column_tiles)
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
    for buffer, first_word, count, data in bystanders:
        program.store(buffer, memory.place(bytes(len(data)), data), count, first_word, wait=True)
    if rng.random() < 0.7 and _results(drawn, 0).all():
        text += _update(rng, program, memory, sums[: drawn.job.a], bases["output"])
    return program, memory, text


def _bystander(
    rng: np.random.Generator, program: Program, memory: MemoryImage, buffer: Buffer, start: int, size: int
) -> list[tuple[Buffer, int, int, bytes]]:
    """Half of the time: load other words of a buffer while the array writes to it, without a wait: only its write port
    being taken keeps them apart. What is to be stored again: buffer, first word, words, lines."""
    limit = 1 << program.config.verilog_parameters()[f"{buffer.upper()}_WIDTH"]
    behind = limit - start - size
    room = max(start, behind)
    if room == 0 or rng.random() < 0.5:
        return []
    words = int(rng.integers(1, min(room, 20) + 1))
    first = limit - words if behind >= start else 0
    image = rng.integers(0, 1 << (24 if buffer == "north" else 32), (words, program.config.cols), dtype=np.uint32)
    data = memory.lines(image, 4)
    program.load(buffer, memory.place(data), words, first)
    return [(buffer, first, words, data)]


def _results(drawn: JobCase, at: int) -> np.ndarray:
    """bool[columns]: whether a word at ``at`` holds results of the job."""
    ones = output_image(drawn.config, drawn.job, np.ones((drawn.job.a, drawn.job.b), np.float32))
    found: np.ndarray = ones[at] != 0
    return found


def prune(program: Program, memory: MemoryImage, job: ArrayJob, weights: np.ndarray, source: int) -> tuple[int, int]:
    """Load a job's dense weights to ``source`` and have SORE make its north image of them, behind them.

    Returns:
        The image's first word, and how many it has.
    """
    dense = dense_image(program.config, job, weights)
    _, _, cycles = run_sore(program.config, dense.view(np.float16), NM(job.depth, job.m))
    program.load("north", memory.place(memory.lines(dense.astype(np.uint32), 4)), len(dense), source)
    rounds = len(dense) // job.m
    program.reduce(NM(job.depth, job.m), rounds, cycles, source=source, target=source + len(dense))
    return source + len(dense), rounds * job.depth


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
        places["direct"] = int(rng.integers(0, (1 << config.verilog_parameters()["NORTH_WIDTH"]) - 2 * entries + 1))
    if across:
        places["across"] = places["direct"] + entries if direct else 0
    state = int(rng.integers(0, limit - words + 1))
    update(program, memory, (w, v, gradient), rates, pattern, places, state=state, at=base)  # type: ignore[arg-type]  # three
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
) -> None:
    """Load weights and momenta, update them with gradients that are in the output buffer, store all that comes of it.

    Args:
        tensors: float32 weights and momenta, float16 gradients; [words, cols].
        places: first words in the north buffer of the sparse weights ``direct`` and ``across``; empty: none.
        state: first word in the state buffer.
        at: first word of the gradients in the output buffer.
    """
    w, v, gradient = tensors
    config, words = program.config, len(w)
    new_w, new_v, half, cycles = run_wuve(config, w.ravel(), v.ravel(), gradient.ravel(), rates)
    if places:
        cycles = run_update(config, words, pattern, len(places))
    program.load("state", memory.place(memory.pairs(w, v)), words, state)
    program.update(words, rates, cycles, state=state, gradient=at, pattern=pattern if places else None, **places)  # type: ignore[arg-type]  # bytes
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
    illegal = rng.random() < 0.125
    error = 0
    if illegal:
        error, text = _spoil(rng, program, text)
    absent = illegal and rng.random() < 0.1
    timing = MemoryTiming(int(rng.integers(1, 20)), int(rng.integers(1, 6)))
    timed = bool(rng.random() < 0.5) and not illegal
    shares = (256, 256) if timed else tuple(int(s) for s in rng.choice([32, 100, 200, 256], 2))
    reset = float(rng.random()) if rng.random() < 0.1 and not timed else 0.0
    if absent:  # there is no memory where the program should be
        error, text = 5, f"{text}; no program there"
    # any page of the address space
    base = int(rng.integers(0, 1 << 51)) << 12
    case = program_case(program, memory, text, base, timing, absent=absent, error=error,
                        stress=(*shares, int(rng.integers(1, 1 << 31))), reset=reset)  # fmt: skip
    case.timed = timed
    if illegal:  # how far the commands before it had come, and so what they moved, is no matter
        assert case.care is not None
        case.care[1:6] = False
        case.care[7:] = False
    return case


def program_case(
    program: Program,
    memory: MemoryImage,
    label: str,
    base: int = 0,
    timing: MemoryTiming = MemoryTiming(8, 2),
    *,
    absent: bool = False,
    error: int = 0,
    stress: tuple[int, ...] = (256, 256, 1),
    reset: float = 0.0,
) -> Case:
    """The case of a program.

    Args:
        base: where its memory lies.
        absent: the program itself is not there.
        error: the error word that must be reported.
        stress: shares of 256 of the cycles in which memory gives and takes, and a seed.
        reset: after which share of its cycles it is reset, and started again; 0: never.
    """
    size = 2 * program.config.word_elements
    address = memory.place(program.image(base).tobytes())
    total = timeline(program, timing, address)
    before, after = b"".join(memory.before), b"".join(memory.after)
    start = base + (memory.size if absent else address)
    places = (base & 0xFFFFFFFF, base >> 32, start & 0xFFFFFFFF, start >> 32)
    cut = max(int(reset * total), 1) if reset else 0
    head = [memory.size, *places, len(program.ops), *timing, *stress, cut, 40 * total + 100_000]
    stdin = np.array(head, np.uint32).tobytes() + before
    counts = {kind: sum(op.cycles for op in program.ops if op.kind == kind) for kind in (RUN, REDUCE, UPDATE)}
    moved = [sum(op.beats for op in program.ops if (op.kind == STORE) == out and op.beats) for out in (False, True)]
    fetched = len(program.ops) * 128 // size
    figures = [error, *counts.values(), moved[0] + fetched, moved[1], 0]
    output = np.concatenate([np.array(figures, np.uint32), np.frombuffer(after, np.uint32)])
    return Case(label, stdin, {"cycles": np.array([total], np.uint32), "output": output},
                care=np.ones(len(output), np.bool_))  # fmt: skip


def _spoil(rng: np.random.Generator, program: Program, text: str) -> tuple[int, str]:
    """Make one command illegal or fail; the error word that must be reported."""
    at = int(rng.integers(0, len(program.ops)))
    op = program.ops[at]
    words = list(op.words)
    kinds = ["opcode"]
    if op.kind in (1, 2):
        kinds += ["address", "range", "buffer", "response"]
    else:
        kinds += ["field", "limit"]
    kind = str(rng.choice(kinds))
    code = {"opcode": 1, "address": 2, "range": 3, "buffer": 4, "field": 4, "limit": 7}.get(kind, 0)
    some = int(rng.integers(0, 1 << 32))  # any word
    if kind == "opcode":
        words = [some & 0xFFFFFF00 | int(rng.choice([0, 6, 99, 255])), *(int(w) for w in rng.integers(0, 1 << 32, 31))]
    elif kind == "address":
        words[1] ^= some & (2 * program.config.word_elements - 1) or 1
    elif kind == "range":
        limit = 1 << program.config.verilog_parameters()[f"{BUFFERS[words[3] & 3].upper()}_WIDTH"]
        at_word, wrong = [(5, 0), (5, limit - words[4] + 1), (5, some | limit << 1), (4, some | limit)][some % 4]
        words[at_word] = wrong
    elif kind == "buffer":
        words[3] = some | 4 if op.kind == 1 else int(rng.choice([0, 257, some | 1 << 16]))
    elif kind == "field":
        fields = {RUN: (1, 4, 6, 7, 10), REDUCE: (1, 2, 4)}.get(op.kind, (1,))
        words[int(rng.choice(fields))] = 0
        if op.kind == REDUCE and some & 1:
            words[1:7] = [1, *(int(w) for w in rng.integers(1 << 16, 1 << 32, 5))]
        elif op.kind == RUN and some & 1:
            words[1:25] = [1, *(int(w) for w in rng.integers(1 << 16, 1 << 32, 23))]
    elif kind == "limit":
        words[1] = 1
    elif kind == "response":
        words[2] = 1  # an address of 4 GiB and more: nothing is there
        code = 5 if op.kind == 1 else 6
    program.ops[at] = replace(op, words=tuple(words))
    return code | at << 8, f"{text}; command {at}: {kind} wrong"


def sat_core(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    """Random programs on each of `MACHINES`, or on the one array that was asked for."""
    machines = MACHINES if options.coverage is None else MACHINES[2:3]
    if options.array is not None:
        machines = (core_config(*options.array),)
    count = -(-cases // len(machines))
    work = ((bench_of(config), [case_of(rng, config) for _ in range(count)]) for config in machines)
    return check_all("sat_core", work, options)
