# SPDX-License-Identifier: Apache-2.0
"""Which commands `sat_core` takes: the rules at the head of ``rtl/sat/sat_control.v``, in integers of any size.

The words of a command are those of `hwsim.sat.program`; of its bits that no rule names, any may be set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .command import Command
from .program import BUFFERS, LOAD, REDUCE, RUN, STORE, UPDATE, Op

OPCODE, ADDRESS, BEYOND, FIELD = 1, 2, 3, 4
"""Errors: no such opcode, an address within a beat, words beyond their buffer, a field."""
_ZERO_IS_ALLOWED = ("os", "accumulate", "load_lead", "drain_gap")


def check_command(parameters: Mapping[str, int], words: Sequence[int]) -> int:
    """0, or the error that a command is.

    Args:
        parameters: of the core, by their Verilog names.
        words: 32 words of 32 bits.
    """
    kind = words[0] & 0xFF
    sizes: dict[str, int] = {name: 1 << parameters[f"{name.upper()}_WIDTH"] for name in BUFFERS}
    if kind in (LOAD, STORE):
        return _move(parameters, kind, words, sizes)
    if kind == RUN:
        return _run(parameters, words, sizes)
    if kind == REDUCE:
        n, m, rounds, source, target = words[2:7]
        if words[1] == 0 or not _group(parameters, n, m, rounds):
            return FIELD
        beyond = source + rounds * m > sizes["north"] or target + rounds * n > sizes["north"]
        return BEYOND if beyond else 0
    return _update(parameters, words, sizes) if kind == UPDATE else OPCODE


def _group(parameters: Mapping[str, int], n: int, m: int, rounds: int) -> bool:
    """Whether SORE can keep n of m, so many times."""
    entries, largest = parameters["WEIGHT_REGS"], parameters["GROUP_MAX"]
    return 1 <= n <= min(m, entries) and m <= largest and 1 <= rounds <= 1 << parameters["NORTH_WIDTH"]


def _move(parameters: Mapping[str, int], kind: int, words: Sequence[int], sizes: Mapping[str, int]) -> int:
    if words[1] % (2 * parameters["WORD"]):
        return ADDRESS
    where, half = words[3] & 0xFF, words[3] >> 8
    if kind == LOAD:
        known = words[3] < len(BUFFERS)
    else:  # the west buffer cannot be stored; sums and weights can as binary16
        known = half <= 1 and 1 <= where < len(BUFFERS) and not (half and BUFFERS[where] == "north")
    if not known:
        return FIELD
    first, count = words[4:6]
    return 0 if count and first + count <= sizes[BUFFERS[where]] else BEYOND


def _run(parameters: Mapping[str, int], words: Sequence[int], sizes: Mapping[str, int]) -> int:
    fields = Command(*words[2:22])
    zero = any(value == 0 for name, value in fields._asdict().items() if name not in _ZERO_IS_ALLOWED)
    if words[1] == 0 or zero or fields.interleave > parameters["INTERLEAVE_MAX"]:
        return FIELD
    if parameters["EXACT"] and Op(tuple(words)).reads_sums:
        return FIELD
    bases = zip(words[22:25], ("west", "north", "output"), strict=True)
    return BEYOND if any(base >= sizes[name] for base, name in bases) else 0


def _update(parameters: Mapping[str, int], words: Sequence[int], sizes: Mapping[str, int]) -> int:
    n, m, rounds, count = *words[2:5], words[7]
    direct, across = bool(words[11] & 1), bool(words[11] & 2)
    entries = 0
    if words[1] == 0:
        return FIELD
    if direct or across:
        halves = direct and across
        each = rounds // 2 if halves else rounds
        if not _group(parameters, n, m, rounds) or each * m != count or (halves and rounds % 2):
            return FIELD
        if across and parameters["COLS"] % m:
            return FIELD
        entries = each * n
    beyond = count == 0 or words[8] + count > sizes["state"] or words[9] + count > sizes["output"]
    beyond = beyond or (direct and words[6] + entries > sizes["north"])
    beyond = beyond or (across and words[10] + entries > sizes["north"])
    return BEYOND if beyond else 0
