# SPDX-License-Identifier: Apache-2.0
"""A case: what a block's simulation is given and what must come back; comparing, and keeping a failing one.

A bench is a program made of a module and a C++ side; it reads cases from its stdin and writes one answer each. A
failing case is stored as a file that runs it alone, with a waveform beside it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dataflow.errors import InputError
from dataflow.files import atomic_path

from ..rtl_tools.sources import RTL
from ..rtl_tools.verilator import Stopped, build, run

FORMAT = "hwsim-rtl-case/1"
NEVER = 0xFFFFFFFF
"""Cycles of a command that did not end, or ended wrongly."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A verilated module with its C++ side (see `build`)."""

    top: str
    main: str
    parameters: Mapping[str, int]
    defines: Mapping[str, str | int]
    quick: bool = False
    """Build fast rather than run fast."""


@dataclass(slots=True)
class Case:
    """One command, or a block of operands."""

    label: str
    stdin: bytes
    expected: dict[str, np.ndarray]
    """The answer, array after array as the program writes them. ``cycles`` is one uint32; ``when``, if there, the cycle
    in which each word of ``output`` was last written."""
    timed: bool = True
    """Compare ``cycles`` and ``when``; a case with stalls or a reset compares values alone."""
    care: np.ndarray | None = None
    """bool, shaped as ``output``: words that are compared."""


@dataclass(slots=True)
class BlockRow:
    """Result of one block's comparison."""

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
    left: list[str] = field(default_factory=list)
    """Files of the first mismatch: the case, its waveform."""

    @property
    def agrees(self) -> bool:
        return self.cases > 0 and not self.wrong_values and not self.wrong_cycles

    def add(self, other: BlockRow) -> None:
        for name in ("cases", "bits", "cycles", "wrong_values", "wrong_cycles", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first = self.first or other.first
        self.left = self.left or other.left


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """Where RTL comes from and where the files of a mismatch go."""

    rtl: Path = RTL
    failures: Path | None = None
    """Folder for the case and the waveform of a mismatch; None leaves none."""
    machine: Any = None
    """Configuration of the only machine to build; None: several of each block's own."""
    stop: bool = False
    """Build no further machine of a block once one differs."""
    smallest: bool = False
    """Build only the first machine of each block, which is its smallest."""
    visit: Callable[[str, Bench, Sequence[Case]], BlockRow] | None = None
    """Called with a block's name, a bench and its cases in place of running them: for who wants the cases."""
    coverage: Path | None = None
    """Folder for coverage files. They make programs several times slower: only a block's first machine is run."""


class Block(NamedTuple):
    """A block of a machine's RTL and how it is compared with the simulator."""

    compare: Callable[[np.random.Generator, int, VerifyOptions], BlockRow]
    operands: int
    """Random operands that count as one case; 0: the block has a fixed number."""
    cases: int
    """Number of random cases by default."""


def program(bench: Bench, options: VerifyOptions, *, trace: bool = False) -> Path:
    """The bench's simulation, built if it is not there yet."""
    covered = options.coverage is not None and not trace
    return build(
        bench.top,
        bench.main,
        bench.parameters,
        bench.defines,
        options.rtl,
        trace=trace,
        coverage=covered,
        quick=bench.quick or covered or options.smallest,
    )


def _split(case: Case, answer: bytes, at: int) -> tuple[dict[str, np.ndarray], int]:
    found = {}
    for name, want in case.expected.items():
        if len(answer) < at + want.nbytes:
            raise RuntimeError(f"{case.label}: the simulation's answer ends early")
        found[name] = np.frombuffer(answer, want.dtype, want.size, at).reshape(want.shape)
        at += want.nbytes
    return found, at


def compare(case: Case, found: Mapping[str, np.ndarray]) -> tuple[bool, bool, str]:
    """Values right, cycles right, and the first difference in words."""
    want = case.expected
    values = found["output"] != want["output"]
    late = np.zeros(values.shape, np.bool_)
    if "when" in want and case.timed:
        late = found["when"] != want["when"]
    if case.care is not None:
        values &= case.care
        late &= case.care
    unfinished = "cycles" in want and int(found["cycles"][0]) == NEVER
    values_right = not values.any() and not unfinished
    cycles_right = not late.any()
    if "cycles" in want and case.timed:
        cycles_right = cycles_right and bool((found["cycles"] == want["cycles"]).all())
    parts = []
    if unfinished:
        parts.append("not finished, or output missing, too much or wrongly marked")
    elif "cycles" in want and case.timed and found["cycles"][0] != want["cycles"][0]:
        parts.append(f"{int(found['cycles'][0])} cycles, the simulator has {int(want['cycles'][0])}")
    either = values | late
    if either.any():
        at = np.flatnonzero(either)
        if "when" in want:
            at = at[np.argsort(np.minimum(found["when"].ravel()[at], want["when"].ravel()[at]), kind="stable")]
        where = ", ".join(str(int(i)) for i in np.unravel_index(at[0], values.shape))
        got, must = (int(a["output"].ravel()[at[0]]) for a in (found, want))
        text = f"output[{where}] is {got:#x}, must be {must:#x}"
        if "when" in want:
            when, then = (int(a["when"].ravel()[at[0]]) for a in (found, want))
            text = f"cycle {min(when, then)}: {text} (written in cycle {when}, must be {then})"
        parts.append(text)
    return values_right, cycles_right, "; ".join(parts)


def check(
    block: str, bench: Bench, cases: Sequence[Case], options: VerifyOptions, wave: Path | None = None
) -> BlockRow:
    """Run cases back to back on a bench and compare; keep the first that differs if the options have a folder.

    Args:
        wave: also write the waveform, to this file.
    """
    if options.visit is not None:
        return options.visit(block, bench, cases)
    row = BlockRow(block)
    began = time.perf_counter()
    file = wave
    if wave is None and options.coverage is not None:
        options.coverage.mkdir(parents=True, exist_ok=True)
        file = options.coverage / f"{block}-{len(list(options.coverage.iterdir()))}.dat"
    arguments = [] if file is None else [str(file)]
    try:
        answer = run(program(bench, options, trace=wave is not None), b"".join(c.stdin for c in cases), arguments)
    except Stopped as stopped:
        return _stopped(row, stopped, bench, cases, options, wave)
    at = 0
    for i, case in enumerate(cases):
        found, at = _split(case, answer, at)
        values_right, cycles_right, text = compare(case, found)
        row.cases += 1
        output = case.expected["output"]
        row.bits += 8 * output.itemsize * (output.size if case.care is None else int(case.care.sum()))
        if "cycles" in case.expected and case.timed:
            row.cycles += int(case.expected["cycles"][0])
        row.wrong_values += not values_right
        row.wrong_cycles += not cycles_right
        if not (values_right and cycles_right) and not row.first:
            row.first = f"case {i}, {case.label}: {text}"
            if options.failures is not None:
                row.left = [str(p) for p in keep(block, bench, case, options)]
    row.seconds = time.perf_counter() - began
    return row


def _stopped(
    row: BlockRow, stopped: Stopped, bench: Bench, cases: Sequence[Case], options: VerifyOptions, wave: Path | None
) -> BlockRow:
    """A row of cases of which one made a module's assertion fail: that case, where one does so alone."""
    row.cases, row.wrong_values, row.first = len(cases), 1, str(stopped)
    if wave is None:
        for i, case in enumerate(cases):
            try:
                run(program(bench, options), case.stdin)
            except Stopped as alone:
                row.first = f"case {i}, {case.label}: {alone}"
                if options.failures is not None:
                    row.left = [str(p) for p in keep(row.block, bench, case, options)]
                break
    return row


def check_all(block: str, work: Iterable[tuple[Bench, Sequence[Case]]], options: VerifyOptions) -> BlockRow:
    """`check` on several machines, one row; the first mismatch of all is reported."""
    total = BlockRow(block)
    for bench, cases in work:
        total.add(check(block, bench, cases, options if not total.first else replace(options, failures=None)))
        if options.smallest or (options.stop and not total.agrees):
            break
    return total


def differing(cases: Sequence[Case], answer: bytes) -> str:
    """The first case of a simulation's answers that differs, in words; empty: none does."""
    at = 0
    for case in cases:
        found, at = _split(case, answer, at)
        values_right, cycles_right, text = compare(case, found)
        if not (values_right and cycles_right):
            return f"{case.label}: {text}"
    return ""


def keep(block: str, bench: Bench, case: Case, options: VerifyOptions) -> list[Path]:
    """Write ``BLOCK.case.npz`` and, run alone, its waveform ``BLOCK.fst``."""
    assert options.failures is not None
    options.failures.mkdir(parents=True, exist_ok=True)
    path = options.failures / f"{block}.case.npz"
    meta: dict[str, Any] = {
        "format": FORMAT,
        "block": block,
        "label": case.label,
        "timed": case.timed,
        "arrays": list(case.expected),
        "bench": asdict(bench),
    }
    arrays: dict[str, Any] = {f"expected_{k}": v for k, v in case.expected.items()}
    if case.care is not None:
        arrays["care"] = case.care
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        arrays |= {"meta": np.array(json.dumps(meta)), "stdin": np.frombuffer(case.stdin, np.uint8)}
        np.savez_compressed(file, allow_pickle=False, **arrays)
    wave = path.with_name(f"{block}.fst")
    with suppress(Stopped):
        run(program(bench, options, trace=True), case.stdin, [str(wave)])
    return [path, wave]


def _checked(bench: Bench) -> Bench:
    """The bench of a stored case, checked: it is built and run, and the file may come from anywhere.

    A C++ side of hwsim or of an installed machine; macros in capitals that are numbers or assignments of fields
    (``t.s_cmd_rows=a``), so that none is a call.

    Raises:
        ValueError: anything else.
    """
    packages = {"hwsim"} | {point.module.partition(".")[0] for point in entry_points(group="hwsim.machines")}
    name, number, setting = r"[A-Z][A-Z0-9_]*", r"-?\d{1,20}", r"[a-z]\.\w+=\w+(\[\d+\])?"
    main = re.fullmatch(r"(\w+)(\.\w+)*:\w+\.cpp", bench.main)
    if not (re.fullmatch(r"\w+", bench.top) and main and main[1] in packages):
        raise ValueError(f"bench {bench.top!r}, {bench.main!r}")
    for key, value in bench.parameters.items():
        if not (re.fullmatch(name, key) and re.fullmatch(number, str(value))):
            raise ValueError(f"parameter {key}={value!r}")
    for key, text in bench.defines.items():
        named = re.fullmatch(rf"{name}(\([a-z](,[a-z])*\))?", key) and key not in ("TOP", "TOP_HEADER")
        if not (named and re.fullmatch(rf"{number}|{setting}(,{setting})*", str(text))):
            raise ValueError(f"macro {key}={text!r}")
    return bench


def rerun(path: Path, options: VerifyOptions) -> BlockRow:
    """Run a stored case alone; its waveform is written beside it.

    Raises:
        InputError: not a case file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {k: file[k] for k in file.files}
        meta = json.loads(str(data["meta"]))
        if meta["format"] != FORMAT:
            raise InputError(f"case {path}: format {meta['format']!r}, must be {FORMAT!r}")
        bench, block = _checked(Bench(**meta["bench"])), str(meta["block"])
        if not re.fullmatch(r"\w+", block):
            raise ValueError(f"block {block!r}")
        expected = {k: data[f"expected_{k}"] for k in meta["arrays"]}
        case = Case(meta["label"], data["stdin"].tobytes(), expected, meta["timed"], data.get("care"))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"case {path}: not a file of a failing case ({type(error).__name__}: {error})") from error
    wave = path.with_name(f"{block}.fst")
    row = check(block, bench, [case], replace(options, failures=None), wave)
    row.left = [str(wave)]
    return row
