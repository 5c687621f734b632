# SPDX-License-Identifier: Apache-2.0
"""Cases of SORE and WUVE: random machines and shapes, values against the functional, cycles against the clock level.

Half of the commands run free; the others meet random stalls on both streams (values only: a stalled engine takes
longer), some a reset in the middle before they are run again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dataflow.pattern import NM
from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, check_all
from hwsim.verification.units import operands32

from ..config import SatConfig
from ..timing.clock_engines import run_sore, run_wuve


@dataclass(slots=True)
class Command:
    """One command of an engine: its words, beats, and what must come out."""

    config: tuple[int, int, int]
    names: tuple[str, ...]
    """Command ports that ``config`` goes to."""
    rounds: int
    beats_in: np.ndarray
    expected: np.ndarray
    cycles: int
    shares: tuple[int, int]
    reset_after: int
    seed: int

    def fields(self) -> dict[str, int]:
        return dict(zip(self.names, self.config, strict=False)) | {"rounds": self.rounds}

    def beats(self) -> list[bytes]:
        return [beat.tobytes() for beat in self.beats_in]

    def answer(self) -> list[bytes]:
        return [beat.tobytes() for beat in self.expected]

    def case(self) -> Case:
        head = [*self.config, self.rounds, len(self.beats_in), len(self.expected), self.seed, *self.shares]
        stdin = np.array([*head, self.reset_after], np.uint32).tobytes() + self.beats_in.tobytes()
        expected = {"cycles": np.array([self.cycles], np.uint32), "output": self.expected}
        free_running = self.shares == (256, 256) and not self.reset_after
        return Case(f"{self.config}, {self.rounds} rounds", stdin, expected, timed=free_running)


def _nothing(command: Command) -> Command:
    """The command with 0 rounds: done in the next cycle, no beats."""
    return replace(command, rounds=0, beats_in=command.beats_in[:0], expected=command.expected[:0], cycles=1)


def _stalls(rng: np.random.Generator) -> tuple[tuple[int, int], int]:
    """Shares of cycles (of 256) with valid and with ready, and when to reset: half of the commands run free."""
    if rng.random() < 0.5:
        return (256, 256), 0
    shares = rng.choice([16, 64, 128, 200, 256], 2)
    return (int(shares[0]), int(shares[1])), int(rng.integers(1, 60)) if rng.random() < 0.3 else 0


SORE_MACHINES = ((1, 1, 2), (3, 2, 4), (4, 8, 16), (2, 5, 7))
"""Lanes, entries and largest group of the machines that are built."""


SORE_FIELDS = ("n", "m")


def sore_commands(rng: np.random.Generator, config: SatConfig, count: int) -> tuple[list[Command], dict[str, int]]:
    """Random commands of a machine's SORE, and its Verilog parameters; every fortieth is of 0 rounds."""
    p = config.verilog_parameters()
    commands = [_sore_command(rng, config) for _ in range(count)]
    commands[::40] = [_nothing(c) for c in commands[::40]]
    return commands, {"LANES": p["SORE_LANES"], "ENTRIES": p["WEIGHT_REGS"], "GROUP_MAX": p["GROUP_MAX"]}


def sore(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    def work() -> Iterator[tuple[Bench, list[Case]]]:
        for lanes, entries, group in SORE_MACHINES:
            config = SatConfig(sore_lanes=lanes, weight_registers=entries, group_max=group)
            commands, parameters = sore_commands(rng, config, -(-cases // len(SORE_MACHINES)))
            yield _bench("sore", parameters, SORE_FIELDS, 2 * lanes, 3 * lanes), [c.case() for c in commands]

    return check_all("sore", work(), options)


def _bench(top: str, parameters: dict[str, int], names: tuple[str, ...], beat_in: int, beat_out: int) -> Bench:
    sets = ",".join(f"t.s_cmd_{name}={letter}" for name, letter in zip(names, "abc", strict=False))
    defines: dict[str, str | int] = {"HAS_CLOCK": 1, "IN_BYTES": beat_in, "OUT_BYTES": beat_out, "CFG(t,a,b,c)": sets}
    return Bench(top, "hwsim.sat.bench:engine_main.cpp", parameters, defines)


def _sore_command(rng: np.random.Generator, config: SatConfig) -> Command:
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
    seed = int(rng.integers(1, 1 << 31))
    return Command((n, m, 0), SORE_FIELDS, rounds, beats_in.copy(), out.copy(), cycles, shares, reset, seed)


WUVE_MACHINES = ((1, 1, 1), (3, 3, 4), (2, 2, 5))
"""Lanes, multiplier and adder latency of the machines that are built."""


WUVE_FIELDS = ("minus_rate", "beta", "decay")


def wuve_commands(rng: np.random.Generator, config: SatConfig, count: int) -> tuple[list[Command], dict[str, int]]:
    """Random commands of a machine's WUVE, and its Verilog parameters; every fortieth is of 0 rounds."""
    p = config.verilog_parameters()
    commands = [_wuve_command(rng, config) for _ in range(count)]
    commands[::40] = [_nothing(c) for c in commands[::40]]
    return commands, {"LANES": p["WUVE_LANES"], "MUL_LATENCY": p["MUL_LATENCY"], "ADD_LATENCY": p["ADD_LATENCY"]}


def wuve(rng: np.random.Generator, cases: int, options: VerifyOptions) -> BlockRow:
    def work() -> Iterator[tuple[Bench, list[Case]]]:
        for lanes, lm, la in WUVE_MACHINES:
            config = SatConfig(wuve_lanes=lanes, mul_latency=lm, add_latency=la)
            commands, parameters = wuve_commands(rng, config, -(-cases // len(WUVE_MACHINES)))
            yield _bench("wuve", parameters, WUVE_FIELDS, 10 * lanes, 10 * lanes), [c.case() for c in commands]

    return check_all("wuve", work(), options)


def _wuve_command(rng: np.random.Generator, config: SatConfig) -> Command:
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
    return Command((a, b, c), WUVE_FIELDS, rounds, beats, out, cycles, shares, reset, seed)
