# SPDX-License-Identifier: Apache-2.0
"""Runs the benches on faults, a program for many of them, and keeps what came of each."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from dataflow.errors import InputError
from hwsim.rtl_tools import verilator
from hwsim.rtl_tools.sources import RTL, folders, needed
from hwsim.rtl_tools.verilator import build, environment, main_file
from hwsim.sat.bench import core
from hwsim.spatten.bench import attention
from hwsim.verification.case import Bench, BlockRow, Case, VerifyOptions, differing
from tests.support.blocks import BLOCKS, verify
from tests.support.counts import CASES, SEED

from .generate import SWITCH, Mutant, plant, replaced

LEFT_OUT = ("stce_32x32", "spatten_full")
"""Blocks at full size: what they run is in smaller ones too."""
STEPS = (4, 16, 64, 256)
"""Ends of the first parts of a machine's cases, a run of its program each: most faults show in the first."""
LEAST_SECONDS, PATIENCE = 5, 10
"""A program that takes longer than these seconds of a processor, and so many times as long as the original, hangs."""
WHOLE = (core.bench_of(core.MACHINES[1]), *(attention.bench_of(m) for m in attention.MACHINES[:2]))
"""Machines that hold every module between them."""
HEADERS = Path(verilator.__file__).parent
Part = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Work:
    """A machine of a block, and its cases."""

    block: str
    bench: Bench
    cases: Sequence[Case]


def cases_of(block: str, share: float = 1.0) -> list[Work]:
    """What `make test-rtl` runs of a block; ``share``: of its cases."""
    found: list[Work] = []

    def visit(name: str, bench: Bench, cases: Sequence[Case]) -> BlockRow:
        found.append(Work(name, bench, cases))
        return BlockRow(name, cases=len(cases))

    count = max(1, int(CASES.get(block, 400) * share))
    list(verify([block], count, SEED, VerifyOptions(visit=visit)))
    return found


def blocks_of(tops: dict[str, str], module: str) -> list[str]:
    """Blocks that hold a module, the smallest first; ``tops``: modules that the blocks are of."""
    files = {block: {p.stem for p in needed(top)} for block, top in tops.items()}
    return sorted((b for b, held in files.items() if module in held), key=lambda b: (len(files[b]), b))


@dataclass(slots=True)
class Result:
    """What came of a fault."""

    mutant: Mutant
    state: str
    """``caught``, ``survived``, ``unbuilt`` (no program came of it), ``waiting`` (not yet run to its end)."""
    block: str = ""
    """The one that caught it, else those that did not."""
    how: str = ""


def digest_of(works: Sequence[Work]) -> str:
    """Of all that a block's machines are given and must answer: what is kept of one run is not taken for another's."""
    digest = hashlib.sha256()
    headers = [(HEADERS / name).read_bytes() for name in ("bench.h", "axi.h")]
    for work in works:
        bench = work.bench
        settings = (work.block, bench.top, sorted(bench.parameters.items()), sorted(bench.defines.items()))
        for part in (repr(settings).encode(), main_file(bench.main).read_bytes(), *headers):
            digest.update(part)
        for case in work.cases:
            digest.update(case.stdin)
            for array in (*case.expected.values(), *([] if case.care is None else [case.care])):
                digest.update(array.tobytes())
    return digest.hexdigest()[:16]


@dataclass(slots=True)
class Store:
    """Answers of earlier runs, one a line of a file: a run that was broken off goes on where it was."""

    path: Path
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self.known[row["key"]] = row

    def add(self, key: str, **row: str) -> None:
        with self.lock:
            self.known[key] = {"key": key, **row}
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self.known[key]) + "\n")


class Stage:
    """A block with the faults behind their switch: one program a machine, built when it is needed."""

    def __init__(self, block: str, works: Sequence[Work], rtl: Path) -> None:
        self.block, self.works, self.rtl = block, works, rtl
        self.programs: dict[int, Path] = {}
        self.seconds: dict[Part, float] = {}

    def parts(self) -> list[Part]:
        """(machine, first case, end): first cases of each machine, then the rest. The second machine goes before
        the first, which is mostly the smallest that can be and has no neighbours, no carries, no second beat."""
        found = []
        order = sorted(range(len(self.works)), key=lambda i: i != 1)
        for ends in ([0, *STEPS[:2]], [*STEPS[1:], 1 << 30]):
            for i in order:
                work = self.works[i]
                spans = [(first, min(last, len(work.cases))) for first, last in pairwise(ends)]
                found += [(i, first, end) for first, end in spans if end > first]
        return found

    def prepare(self, part: Part) -> None:
        """The machine's program; the original must be right, and how long it takes is the measure of all others.

        Raises:
            RuntimeError: it is not.
        """
        if part[0] not in self.programs:
            self.programs[part[0]] = program(self.works[part[0]].bench, self.rtl)
        before = getrusage(RUSAGE_CHILDREN).ru_utime
        if wrong := self.part(0, part):
            raise RuntimeError(f"{self.block}: the original differs: {wrong}")
        self.seconds[part] = getrusage(RUSAGE_CHILDREN).ru_utime - before

    def part(self, number: int, part: Part, own: Path | None = None) -> str:
        """What shows that a fault is there; empty: nothing. ``own``: the fault's program, where there is no switch."""
        i, first, end = part
        cases = self.works[i].cases[first:end]
        command = [str(own or self.programs[i])]
        limit = 0
        if part in self.seconds:
            limit = int(LEAST_SECONDS + PATIENCE * self.seconds[part]) + 1
            command = ["sh", "-c", f'ulimit -t {limit}; exec "$0"', *command]
        stdin = b"".join(c.stdin for c in cases)
        done = subprocess.run(command, input=stdin, capture_output=True, check=False,
                              env=os.environ | {SWITCH: str(number)})  # fmt: skip
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL, 128 + signal.SIGXCPU):
            return f"machine {i}: did not end in {limit} s"
        if done.returncode:
            return f"machine {i}: exit code {done.returncode}"
        try:
            wrong = differing(cases, done.stdout)
        except RuntimeError as error:
            wrong = str(error)
        return f"machine {i}, of cases {first} to {end}: {wrong}" if wrong else ""


def program(bench: Bench, rtl: Path, *, quick: bool = False) -> Path:
    return build(bench.top, bench.main, bench.parameters, bench.defines, rtl, quick=quick or bench.quick)


def tops() -> dict[str, str]:
    """The module that each block is of."""
    named = {"stce_masked": "stce", "stce_32x32": "stce", "spatten_full": "spatten_core"}
    return {block: named.get(block, block) for block in BLOCKS if block not in LEFT_OUT}


class Campaign:
    """All faults through the blocks that hold their modules, smallest block first."""

    def __init__(
        self, mutants: Sequence[Mutant], store: Store, *, deadline: float, workers: int, share: float = 1.0,
        only: Iterable[str] = (), rtl: Path = RTL, say: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        self.numbered = dict(enumerate(mutants, 1))
        self.store, self.deadline, self.workers, self.share, self.say = store, deadline, workers, share, say
        self.rtl = rtl
        held = tops()
        self.blocks: dict[str, list[str]] = {
            module: [b for b in blocks_of(held, module) if not set(only) or b in set(only)]
            for module in {m.module for m in mutants}
        }
        self.results = {n: Result(m, "waiting") for n, m in self.numbered.items()}
        self.told: Callable[[], None] = lambda: None
        """Called when a block is through."""
        self.texts = {p: p.read_bytes() for p in rtl.rglob("*.v*")}

    def key(self, block: str, digest: str, mutant: Mutant) -> str:
        text = hashlib.sha256(self.texts[self.rtl / mutant.file]).hexdigest()[:12]
        return f"{block} {digest} {text} {mutant.key}"

    def late(self) -> bool:
        return time.monotonic() > self.deadline

    def run(self) -> list[Result]:
        order = sorted(
            {b for blocks in self.blocks.values() for b in blocks}, key=lambda b: (len(needed(tops()[b])), b)
        )
        with tempfile.TemporaryDirectory() as folder:
            planted = self.plant(Path(folder), order)
            for block in order:
                if not self.late():
                    self.stage(block, planted, Path(folder))
                    self.told()
        return list(self.results.values())

    def plant(self, folder: Path, order: Sequence[str]) -> Path:
        """The RTL with all switched faults; those of which no program comes are left out."""
        kept = {n: m for n, m in self.numbered.items() if m.switched}
        for attempt in range(20):
            rtl = plant(self.rtl, folder / str(attempt), kept.items())
            machines = [bench for bench in WHOLE if bench.top in {tops()[b] for b in order}]
            if not any(self.elaborated(rtl, bench, kept) for bench in machines):
                return rtl
        raise RuntimeError("the planted RTL does not build")

    def elaborated(self, rtl: Path, bench: Bench, kept: dict[int, Mutant]) -> int:
        """How many faults were taken out because the RTL did not elaborate."""
        top = bench.top
        path = next(p for p in needed(top, rtl) if p.stem == top)
        command = ["verilator", "--lint-only", "-Wno-fatal", "-Wno-lint", "-Wno-style", *folders(rtl),
                   *(f"-G{k}={v}" for k, v in bench.parameters.items()), "--top-module", top, str(path)]  # fmt: skip
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return 0
        out = set()
        for file, line in re.findall(r"%Error[^:]*: (\S+?\.v):(\d+):", done.stderr):
            out |= {
                n for n, m in kept.items() if Path(file).name == Path(m.file).name and self.touches(m, int(line) - 1)
            }
        if not out:
            raise RuntimeError(f"{top} does not build: {done.stderr[:600]}")
        for n in out:
            self.results[n] = Result(kept.pop(n), "unbuilt", how=done.stderr.splitlines()[0][:200])
        return len(out)

    def touches(self, mutant: Mutant, line: int) -> bool:
        return mutant.line <= line <= mutant.line + mutant.old.count("\n")

    def stage(self, block: str, planted: Path, folder: Path) -> None:
        held = {p.stem for p in needed(tops()[block])}
        mine = {
            n: r for n, r in self.results.items()
            if r.state in ("waiting", "survived") and r.mutant.module in held and block in self.blocks[r.mutant.module]
        }  # fmt: skip
        if not mine:
            return
        began = time.monotonic()
        works = cases_of(block, self.share)
        digest = digest_of(works)
        fresh: dict[int, Result] = {}
        for n, result in mine.items():
            row = self.store.known.get(self.key(block, digest, result.mutant))
            if row is None:
                fresh[n] = result
            else:
                self.note(n, block, row["state"], row["how"])
        stage = Stage(block, works, planted)

        def tell(n: int, state: str, how: str) -> None:
            mutant = fresh[n].mutant
            self.store.add(
                self.key(block, digest, mutant), state=state, block=block, at=f"{mutant.file}:{mutant.line}",
                kind=mutant.kind, before=mutant.old, after=mutant.new, how=how,
            )  # fmt: skip
            self.note(n, block, state, how)

        def one(n: int, part: Part) -> str | None:
            """What shows; None: not run."""
            if self.late():
                return None
            if wrong := stage.part(n, part):
                tell(n, "caught", wrong)
            return wrong

        alive = [n for n, r in fresh.items() if r.mutant.switched]
        own = [n for n in fresh if n not in alive]
        total = len(alive)
        with ThreadPoolExecutor(self.workers) as pool:
            for part in stage.parts():
                if not alive or self.late():
                    break
                stage.prepare(part)
                wrongs = list(pool.map(lambda n, part=part: one(n, part), alive))  # type: ignore[misc]
                alive = [n for n, wrong in zip(alive, wrongs, strict=True) if not wrong]
                self.say(f"{block}: machine {part[0]}, cases {part[1]} to {part[2]}: {total - len(alive)} of {total} "
                         f"caught, {time.monotonic() - began:.0f} s")  # fmt: skip
        if not self.late():
            for n in alive:
                tell(n, "survived", "")
        for n in own:
            if not self.late():
                tell(n, *self.rebuilt(stage, fresh[n].mutant, folder / f"m{n}"))

    def rebuilt(self, stage: Stage, mutant: Mutant, folder: Path) -> tuple[str, str]:
        """A fault of a constant: programs of its own, of the first machine and, if nothing shows, of the last."""
        folder.mkdir()
        rtl = replaced(self.rtl, folder, mutant)
        for i in dict.fromkeys((0, len(stage.works) - 1)):
            try:
                own = program(stage.works[i].bench, rtl, quick=len(needed(stage.works[i].bench.top)) > 25)
            except InputError as error:
                return "unbuilt", str(error)[:200]
            for part in stage.parts():
                if part[0] == i and (wrong := stage.part(-1, part, own)):
                    return "caught", wrong
        return "survived", ""

    def note(self, n: int, block: str, state: str, how: str) -> None:
        was = self.results[n]
        blocks = f"{was.block} {block}".strip() if state == "survived" else block
        self.results[n] = Result(was.mutant, state, blocks, how)
