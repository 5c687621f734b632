# SPDX-License-Identifier: Apache-2.0
"""Cases for each block of SAT's RTL, and their comparison with the simulator.

Arithmetic: every pair of special operands and random ones, against numpy's IEEE 754 arithmetic. SORE and WUVE: random
machines and shapes, values against the functional level, cycles against the clock level; with random stalls on both
streams (values only: a stalled engine takes longer), resets in mid-command, commands back to back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dataflow.pattern import NM
from hwsim.sat.clock_engines import run_sore, run_wuve
from hwsim.sat.config import SatConfig
from hwsim.sat.functional import canonical, to_fp16

from .verilator import RTL, build, run


@dataclass(slots=True)
class BlockRow:
    """What one block's comparison found."""

    block: str
    cases: int = 0
    bits: int = 0
    """Bits compared."""
    cycles: int = 0
    """Cycles compared."""
    wrong_values: int = 0
    wrong_cycles: int = 0
    seconds: float = 0.0
    first: str = ""
    """The first mismatch, in words."""

    @property
    def agrees(self) -> bool:
        return self.cases > 0 and not self.wrong_values and not self.wrong_cycles


Block = Callable[[np.random.Generator, int, Path], BlockRow]

SPECIAL16 = np.array(
    [0x0000, 0x0001, 0x0002, 0x03FE, 0x03FF, 0x0400, 0x0401, 0x3BFF, 0x3C00, 0x3C01, 0x7BFE, 0x7BFF, 0x7C00, 0x7C01,
     0x7E00, 0x7FFF], np.uint16,
)  # fmt: skip
SPECIAL32 = np.array(
    [0x00000000, 0x00000001, 0x00000002, 0x007FFFFE, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000,
     0x33000000, 0x33000001, 0x337FFFFF, 0x33800000, 0x387FC000, 0x387FE000, 0x387FF000, 0x38800000, 0x3F7FFFFF,
     0x3F800000, 0x3F800001, 0x477FE000, 0x477FEFFF, 0x477FF000, 0x4B000000, 0x4B800000, 0x7F000000, 0x7F7FFFFE,
     0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF], np.uint32,
)  # fmt: skip


def operands16(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint16 operands: each special value with all 2^16 numbers, then random pairs."""
    special = np.concatenate([SPECIAL16, SPECIAL16 | 0x8000])
    whole = np.arange(1 << 16, dtype=np.uint16)
    a = np.concatenate([np.repeat(special, 1 << 16), rng.integers(0, 1 << 16, count).astype(np.uint16)])
    b = np.concatenate([np.tile(whole, len(special)), rng.integers(0, 1 << 16, count).astype(np.uint16)])
    return a, b


def operands32(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint32 operands: all pairs of special values, random bits, and pairs of exponents so near that sums cancel, round
    and tie, pairs whose products are nearly subnormal or too large."""
    special = np.concatenate([SPECIAL32, SPECIAL32 | 0x80000000])
    a, b = (x.ravel() for x in np.meshgrid(special, special))
    bits = rng.integers(0, 1 << 32, (2, count), dtype=np.uint32)
    # a small exponent distance, and significands of few ones: ties happen
    near = bits.copy()
    distance = rng.integers(-27, 28, count)
    exponent = np.clip(((near[0] >> 23) & 0xFF).astype(np.int64) + distance, 0, 254).astype(np.uint32)
    near[1] = (near[1] & 0x807FFFFF) | (exponent << 23)
    near &= np.where(rng.random((2, count)) < 0.5, 0xFFFFFFFF, 0xFFF80000).astype(np.uint32)
    # products near the subnormal range and near overflow
    edge = bits.copy()
    total = np.where(rng.random(count) < 0.5, rng.integers(100, 132, count), rng.integers(376, 386, count))
    first = np.clip(rng.integers(1, 255, count), total - 254, total - 1)
    edge[0] = (edge[0] & 0x807FFFFF) | (first.astype(np.uint32) << 23)
    edge[1] = (edge[1] & 0x807FFFFF) | ((total - first).clip(0, 254).astype(np.uint32) << 23)
    edge &= np.where(rng.random((2, count)) < 0.5, 0xFFFFFFFF, 0xFFFFF000).astype(np.uint32)
    return np.concatenate([a, bits[0], near[0], edge[0]]), np.concatenate([b, bits[1], near[1], edge[1]])


def _unit(
    block: str, latency: int | None, a: np.ndarray, b: np.ndarray | None, expected: np.ndarray, rtl: Path
) -> BlockRow:
    began = time.perf_counter()
    defines: dict[str, str | int] = {"LATENCY": latency or 0}
    defines |= {"HAS_CLOCK": 1} if latency is not None else {}
    defines |= {"HAS_B": 1} if b is not None else {}
    program = build(block, "unit_main.cpp", {} if latency is None else {"LATENCY": latency}, defines, rtl)
    words = np.zeros((len(a), 2), np.uint32)
    words[:, 0] = a
    if b is not None:
        words[:, 1] = b
    found = np.frombuffer(run(program, words.tobytes()), np.uint32)
    want = expected.view(f"u{expected.itemsize}").astype(np.uint32)
    wrong = np.flatnonzero(found != want)
    row = BlockRow(block, len(a), 8 * expected.nbytes)
    row.wrong_values = len(wrong)
    row.seconds = time.perf_counter() - began
    if len(wrong):
        i = wrong[0]
        second = "" if b is None else f", {int(b[i]):#x}"
        row.first = f"{block}({int(a[i]):#x}{second}) is {int(found[i]):#x}, must be {int(want[i]):#x}"
    return row


def fp16_mul(rng: np.random.Generator, cases: int, rtl: Path = RTL) -> BlockRow:
    a, b = operands16(rng, cases)
    with np.errstate(all="ignore"):
        y = canonical(a.view(np.float16).astype(np.float32) * b.view(np.float16).astype(np.float32))
    return _unit("fp16_mul", 3, a, b, y, rtl)


def fp32_add(rng: np.random.Generator, cases: int, rtl: Path = RTL) -> BlockRow:
    a, b = operands32(rng, cases)
    with np.errstate(all="ignore"):
        y = canonical(a.view(np.float32) + b.view(np.float32))
    return _unit("fp32_add", 4, a, b, y, rtl)


def fp32_mul(rng: np.random.Generator, cases: int, rtl: Path = RTL) -> BlockRow:
    a, b = operands32(rng, cases)
    with np.errstate(all="ignore"):
        y = canonical(a.view(np.float32) * b.view(np.float32))
    return _unit("fp32_mul", 1, a, b, y, rtl)


def fp16_to_fp32(rng: np.random.Generator, cases: int, rtl: Path = RTL) -> BlockRow:
    a = np.arange(1 << 16, dtype=np.uint16)  # all there are
    return _unit("fp16_to_fp32", None, a, None, canonical(a.view(np.float16).astype(np.float32)), rtl)


def fp32_to_fp16(rng: np.random.Generator, cases: int, rtl: Path = RTL) -> BlockRow:
    # every binary16 number and the points where rounding turns, one step to either side; then random ones
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = ((halves[1:].astype(np.float64) + halves[:-1]) / 2).astype(np.float32)
    points = np.concatenate([halves, middles]).view(np.uint32)
    steps = np.concatenate([points, points + 1, np.maximum(points, 1) - 1])
    random = operands32(rng, cases)[0]
    a = np.concatenate([steps, steps | 0x80000000, random])
    return _unit("fp32_to_fp16", None, a, None, to_fp16(a.view(np.float32)), rtl)


@dataclass(slots=True)
class _Command:
    """One command of an engine: its words, beats, and what must come out."""

    config: tuple[int, int, int]
    rounds: int
    beats_in: np.ndarray
    expected: np.ndarray
    cycles: int
    shares: tuple[int, int]
    reset_after: int
    seed: int

    def words(self) -> bytes:
        head = [*self.config, self.rounds, len(self.beats_in), len(self.expected), self.seed, *self.shares]
        return np.array([*head, self.reset_after], np.uint32).tobytes() + self.beats_in.tobytes()

    @property
    def free_running(self) -> bool:
        return self.shares == (256, 256) and not self.reset_after


def _nothing(command: _Command) -> _Command:
    """The command with 0 rounds: done in the next cycle, no beats."""
    return replace(command, rounds=0, beats_in=command.beats_in[:0], expected=command.expected[:0], cycles=1)


def _stalls(rng: np.random.Generator) -> tuple[tuple[int, int], int]:
    """Shares of cycles (of 256) with valid and with ready, and when to reset: half of the commands run free."""
    if rng.random() < 0.5:
        return (256, 256), 0
    shares = rng.choice([16, 64, 128, 200, 256], 2)
    return (int(shares[0]), int(shares[1])), int(rng.integers(1, 60)) if rng.random() < 0.3 else 0


def _engine(block: str, program: Path, commands: list[_Command]) -> BlockRow:
    """Run commands back to back and compare."""
    row = BlockRow(block)
    began = time.perf_counter()
    answer = run(program, b"".join(c.words() for c in commands))
    at = 0
    for i, c in enumerate(commands):
        cycles = int(np.frombuffer(answer, np.uint32, 1, at)[0])
        size = c.expected.nbytes
        found = np.frombuffer(answer, np.uint8, size, at + 4)
        at += 4 + size
        row.cases += 1
        row.bits += 8 * size
        if (found != c.expected.ravel()).any() or cycles == 0xFFFFFFFF:
            row.wrong_values += 1
            hung = " (not finished, or beats missing, too many or wrongly last)" if cycles == 0xFFFFFFFF else ""
            row.first = row.first or f"command {i}, {c.config}, {c.rounds} rounds: values differ{hung}"
        if c.free_running:
            row.cycles += c.cycles
            if cycles != c.cycles:
                row.wrong_cycles += 1
                row.first = row.first or f"command {i}, {c.config}: {cycles} cycles, the simulator has {c.cycles}"
    row.seconds = time.perf_counter() - began
    return row


SORE_MACHINES = ((1, 1, 2), (3, 2, 4), (4, 8, 16), (2, 5, 7))
"""Lanes, entries and largest group of the machines that are built."""


def sore(rng: np.random.Generator, cases: int, rtl: Path = RTL) -> BlockRow:
    rows = []
    for lanes, entries, group in SORE_MACHINES:
        config = SatConfig(sore_lanes=lanes, weight_registers=entries, group_max=group)
        p = config.verilog_parameters()
        parameters = {"LANES": p["SORE_LANES"], "ENTRIES": p["WEIGHT_REGS"], "GROUP_MAX": p["GROUP_MAX"]}
        defines: dict[str, str | int] = {"IN_BYTES": 2 * lanes, "OUT_BYTES": 3 * lanes}
        defines["CFG(t,a,b,c)"] = "t.s_cmd_n=a,t.s_cmd_m=b"
        program = build("sore", "engine_main.cpp", parameters, defines, rtl)
        commands = [_sore_command(rng, config) for _ in range(-(-cases // len(SORE_MACHINES)))]
        commands[::40] = [_nothing(c) for c in commands[::40]]
        rows.append(_engine("sore", program, commands))
    return _sum("sore", rows)


def _sore_command(rng: np.random.Generator, config: SatConfig) -> _Command:
    m = int(rng.integers(1, config.group_max + 1))
    n = int(rng.integers(1, min(m, config.weight_registers) + 1))
    lanes = config.sore_lanes
    k, b = m * int(rng.integers(1, 5)), int(rng.integers(1, 9))
    # few magnitudes, so that ties are everywhere, or any bits
    w: np.ndarray = rng.integers(0, 1 << 16, (k, b)).astype(np.uint16)
    if rng.random() < 0.5:
        w = (w & 0x8001) | 0x3C00
    values, index, cycles = run_sore(config, w.view(np.float16), NM(n, m))
    groups = k // m * b
    rounds = -(-groups // lanes)
    beats = np.zeros((rounds * lanes, m), np.uint16)
    beats[:groups] = w.T.reshape(-1, m)
    out: np.ndarray = np.zeros((rounds * lanes, n, 3), np.uint8)
    out[:groups, :, :2] = values.T.reshape(-1, n).copy().view(np.uint8).reshape(groups, n, 2)
    out[:groups, :, 2] = index.T.reshape(-1, n)
    out[groups:, :, 2] = np.arange(n)  # lanes without a group: the first n of equal zeros
    out = out.reshape(rounds, lanes, n, 3).transpose(0, 2, 1, 3).reshape(rounds * n, lanes * 3)
    shares, reset = _stalls(rng)
    beats_in = beats.reshape(rounds, lanes, m).transpose(0, 2, 1).reshape(rounds * m, lanes)
    return _Command(
        (n, m, 0), rounds, beats_in.copy(), out.copy(), cycles, shares, reset, int(rng.integers(1, 1 << 31))
    )


WUVE_MACHINES = ((1, 1, 1), (3, 3, 4), (2, 2, 5))
"""Lanes, multiplier and adder latency of the machines that are built."""


def wuve(rng: np.random.Generator, cases: int, rtl: Path = RTL) -> BlockRow:
    rows = []
    for lanes, lm, la in WUVE_MACHINES:
        config = SatConfig(wuve_lanes=lanes, mul_latency=lm, add_latency=la)
        p = config.verilog_parameters()
        parameters = {"LANES": p["WUVE_LANES"], "MUL_LATENCY": p["MUL_LATENCY"], "ADD_LATENCY": p["ADD_LATENCY"]}
        cfg = "t.s_cmd_minus_rate=a,t.s_cmd_beta=b,t.s_cmd_decay=c"
        defines: dict[str, str | int] = {"IN_BYTES": 10 * lanes, "OUT_BYTES": 10 * lanes, "CFG(t,a,b,c)": cfg}
        program = build("wuve", "engine_main.cpp", parameters, defines, rtl)
        commands = [_wuve_command(rng, config) for _ in range(-(-cases // len(WUVE_MACHINES)))]
        commands[::40] = [_nothing(c) for c in commands[::40]]
        rows.append(_engine("wuve", program, commands))
    return _sum("wuve", rows)


def _wuve_command(rng: np.random.Generator, config: SatConfig) -> _Command:
    lanes, count = config.wuve_lanes, int(rng.integers(1, 60))
    rate, beta, decay = (float(x) for x in rng.choice([0.0, 1e-30, 1e-3, 0.05, 0.9, 1.0, 3e38], 3))
    rates = (rate, beta, decay)
    if rng.random() < 0.5:  # like training
        w, v = rng.standard_normal((2, count)).astype(np.float32) * np.float32(0.1)
        g = rng.standard_normal(count).astype(np.float16)
    else:
        w, v = (operands32(rng, count)[0][-count:].view(np.float32) for _ in range(2))
        g = rng.integers(0, 1 << 16, count).astype(np.uint16).view(np.float16)
    new_w, new_v, new_h, cycles = run_wuve(config, w, v, g, rates)
    rounds = -(-count // lanes)
    nothing = np.zeros(1, np.float32)
    rest = run_wuve(config, nothing, nothing, np.zeros(1, np.float16), rates)[:3]  # of a lane without a weight
    beats: np.ndarray = np.zeros((rounds * lanes, 10), np.uint8)
    out: np.ndarray = np.tile(np.frombuffer(b"".join(x.tobytes() for x in rest), np.uint8), (len(beats), 1))
    for target, parts in ((beats, (w, v, g)), (out, (new_w, new_v, new_h))):
        at = 0
        for part in parts:
            target[:count, at : at + part.itemsize] = np.ascontiguousarray(part).view(np.uint8).reshape(count, -1)
            at += part.itemsize
    a, b, c = (int(x) for x in np.array([-rate, beta, decay], np.float32).view(np.uint32))
    shares, reset = _stalls(rng)
    seed = int(rng.integers(1, 1 << 31))
    beats, out = beats.reshape(rounds, -1), out.reshape(rounds, -1)
    return _Command((a, b, c), rounds, beats, out, cycles, shares, reset, seed)


def _sum(block: str, rows: list[BlockRow]) -> BlockRow:
    total = BlockRow(block)
    for row in rows:
        for name in ("cases", "bits", "cycles", "wrong_values", "wrong_cycles", "seconds"):
            setattr(total, name, getattr(total, name) + getattr(row, name))
        total.first = total.first or row.first
    return total


BLOCKS: dict[str, tuple[Block, int]] = {
    "fp16_mul": (fp16_mul, 1000),
    "fp32_add": (fp32_add, 1000),
    "fp32_mul": (fp32_mul, 1000),
    "fp16_to_fp32": (fp16_to_fp32, 0),
    "fp32_to_fp16": (fp32_to_fp16, 1000),
    "sore": (sore, 1),
    "wuve": (wuve, 1),
}
"""Each block, and how many random operands stand for one case."""


def verify(names: Sequence[str], cases: int, seed: int, rtl: Path = RTL) -> Iterator[BlockRow]:
    """Compare blocks on ``cases`` random cases each (a thousand operands of an arithmetic unit are one), two at a time:
    building them takes longest."""

    def compare(name: str) -> BlockRow:
        block, scale = BLOCKS[name]
        return block(np.random.default_rng([seed, list(BLOCKS).index(name)]), cases * scale, rtl)

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(compare, names)
