# SPDX-License-Identifier: Apache-2.0
"""Faults generated from Verilog: which there are, and a copy of the RTL that holds many of them behind a switch."""

from __future__ import annotations

import random
import re
import shutil
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwsim.rtl_tools.sources import RTL, sources

from .verilog import Node, Place, read

SWITCH = "HWSIM_MUTANT"
"""Environment variable that says which fault of a program is there; 0 or none: it is the original."""

_HEADER = f"""`ifndef MUTANT_SWITCH_VH
`define MUTANT_SWITCH_VH
package mutant_switch;
    int number = $c32("(std::getenv(\\"{SWITCH}\\") ? std::atoi(std::getenv(\\"{SWITCH}\\")) : 0)");
endpackage
`endif
"""
_INCLUDE = '`include "mutant_switch.vh"'
_QUIET = ("WIDTH", "SELRANGE", "UNSIGNED", "CMPCONST", "LATCH", "UNOPTFLAT", "CASEINCOMPLETE", "ALWCOMBORDER", "UNUSED",
          "COMBDLY", "BLKSEQ", "UNDRIVEN", "INFINITELOOP")  # fmt: skip

SWAPS = {
    "&&": ["||"], "||": ["&&"], "&": ["|"], "|": ["&"], "^": ["|"], "+": ["-"], "-": ["+"], "*": ["+"],
    "<<": [">>"], ">>": ["<<"], ">>>": [">>"], "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="],
    ">=": [">", "<"], "==": ["!=", ">="], "!=": ["==", "<"],
}  # fmt: skip
"""Operators and what stands in their place: the neighbour first, then the contrary."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault: text of a file, from ``start`` to ``end``, that becomes ``new``."""

    file: str
    """Below the folder of the RTL."""
    start: int
    end: int
    old: str
    new: str
    kind: str
    line: int
    switched: bool
    """Can be there behind a switch; else its program is built for it alone."""

    @property
    def module(self) -> str:
        return Path(self.file).stem

    @property
    def key(self) -> str:
        """Says the same of the same fault while its file does not change."""
        return f"{self.file}:{self.start}:{self.new}"

    def __str__(self) -> str:
        old, new = (" ".join(t.split()) for t in (self.old, self.new))
        return f"{self.file}:{self.line}: {old} -> {new} [{self.kind}]"


def _constants(rng: random.Random, text: str) -> Iterator[tuple[str, str]]:
    """One more, one less, a bit the other way: (kind, text)."""
    match = re.fullmatch(r"(\d*)\s*'([sS]?)([bdohBDOH])\s*([0-9a-fA-F_]+)", text)
    if match is None:
        if text.isdigit():
            yield "constant", str(int(text) + 1)
            if int(text) > 0:
                yield "constant", str(int(text) - 1)
        return
    width = int(match[1] or 32)
    value = int(match[4].replace("_", ""), {"b": 2, "d": 10, "o": 8, "h": 16}[match[3].lower()])
    found = {(value + 1) % (1 << width): "constant", (value - 1) % (1 << width): "constant"}
    found.setdefault(value ^ 1 << rng.randrange(width), "bit")
    found.pop(value, None)
    for other, kind in found.items():
        yield kind, f"{width}'{match[2]}h{other:x}"


class _Generator:
    def __init__(self, file: str, text: str, seed: int) -> None:
        self.file, self.module = file, read(text)
        self.rng = random.Random(zlib.crc32(f"{seed}{file}".encode()))
        self.found: list[Mutant] = []
        self.like: dict[str, list[str]] = defaultdict(list)
        for name, width in self.module.widths.items():
            if name not in self.module.inner:
                self.like[width].append(name)
        constant = " ".join(
            text[p.node.start : p.node.end] for p in self.module.places if p.role == "constant"
        ) + " ".join(self.module.widths.values())
        functions = re.finditer(r"\bfunction\b[^(]*?(\w+)\s*\(.*?\bendfunction\b", text, re.DOTALL)
        self.fixed = [m.span() for m in functions if re.search(rf"\b{m[1]}\s*\(", constant)]

    def text(self, node: Node) -> str:
        return self.module.text[node.start : node.end]

    def add(self, kind: str, node: Node, new: str, role: str) -> None:
        switched = role != "constant" and not any(a <= node.start < b for a, b in self.fixed)
        line = self.module.text.count("\n", 0, node.start) + 1
        new = " ".join(new.split())
        if new != self.text(node):
            self.found.append(Mutant(self.file, node.start, node.end, self.text(node), new, kind, line, switched))

    def node(self, node: Node, role: str, outer: bool) -> None:
        """Faults of one part of an expression; ``outer``: it is the whole."""
        if node.kind == "binary":
            a, b = (self.text(p) for p in node.parts)
            for op in SWAPS.get(node.op, ()):
                kind = "comparison" if node.op[0] in "<>=!" and node.op not in ("<<", ">>") else "operator"
                self.add(kind, node, f"{a} {op} {b}", role)
            if node.op in ("&&", "||"):
                self.add("dropped", node, f"({a}) && 1'b1", role)
                self.add("dropped", node, f"({b}) && 1'b1", role)
            elif node.op in ("&", "|", "+", "-"):
                self.add("dropped", node, a, role)
        elif node.kind == "unary" and node.op in ("!", "~"):
            inner = self.text(node.parts[0])
            self.add("negated", node, f"({inner}) != 0" if node.op == "!" else inner, role)
        elif node.kind == "unary" and node.op in ("&", "|"):
            inner = self.text(node.parts[0])
            self.add("operator", node, ("|" if node.op == "&" else "&") + inner, role)
        elif node.kind == "choice":
            _, yes, no = (self.text(p) for p in node.parts)
            self.add("choice", node, yes, role)
            self.add("choice", node, no, role)
        elif node.kind == "number":
            for kind, text in _constants(self.rng, node.op):
                self.add(kind, node, text, role)
        elif node.kind == "name" and role != "constant" and node.op in self.module.widths:
            others = [n for n in self.like[self.module.widths[node.op]] if n != node.op and n != "clk"]
            if others and node.op != "clk":
                self.add("signal", node, self.rng.choice(others), role)
            if role != "port" and not outer and self.module.widths[node.op] == "":
                self.add("negated", node, f"!{node.op}", role)

    def place(self, place: Place) -> None:
        whole, role = place.node, place.role
        if place.target.startswith("unused"):  # nobody reads it
            return
        if role == "statement":
            if place.clocked or place.nested:  # else it would be a latch, which lint refuses
                self.add("reset" if place.reset else "hold", whole, f"; // no {self.text(whole)}", role)
            return
        for node in whole.all():
            self.node(node, role, node is whole)
        if role == "condition":
            self.add("reset" if "rst" in self.text(whole) else "negated", whole, f"!({self.text(whole)})", role)
            self.add("reset" if "rst" in self.text(whole) else "condition", whole, "1'b0", role)
            self.add("condition", whole, "1'b1", role)
        width = self.module.widths.get(place.target)
        fixed = whole.kind == "number" or (whole.kind == "name" and whole.op not in self.module.widths)
        fixed |= bool(re.fullmatch(r"\{.*\{1'b0\}\}", self.text(whole)))  # zeros of some width
        if role == "value" and width and not fixed and (place.clocked or place.target.endswith("_next")):
            text, ends = self.text(whole), width[1:-1].split(":")
            self.add("width", whole, f"({text}) & ({{({ends[0]}+1){{1'b1}}}} >> 1)", role)
            if ends[0].strip().isdigit() and int(ends[0]) >= 16:
                for bits in (8, 16):
                    self.add("width", whole, f"({text}) & {int(ends[0]) + 1}'h{(1 << bits) - 1:x}", role)


def mutants_of(file: str, text: str, seed: int = 0) -> list[Mutant]:
    """Every fault of a file that is known; of constants and signals, drawn ones.

    Args:
        file: its name below the folder of the RTL.
    """
    generator = _Generator(file, text, seed)
    for place in generator.module.places:
        generator.place(place)
    return list({m.key: m for m in generator.found}.values())


def sample(
    found: Sequence[Mutant], count: int, seed: int = 0, skip: Callable[[Mutant], bool] = lambda _: False
) -> list[Mutant]:
    """At most ``count`` of a module's faults, every kind in its turn, and so of every kind about as many; of those to
    ``skip`` the next one is taken, and all others stay."""
    rng = random.Random(zlib.crc32(f"{seed} {found[0].file}".encode()) if found else seed)
    kinds: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in found:
        kinds[mutant.kind].append(mutant)
    piles = [kinds[k] for k in sorted(kinds)]
    for pile in piles:
        rng.shuffle(pile)
    rng.shuffle(piles)
    taken: list[Mutant] = []
    while len(taken) < count and any(piles):
        for pile in piles:
            while pile and skip(pile[-1]):
                pile.pop()
            if pile and len(taken) < count:
                taken.append(pile.pop())
    return taken


def all_mutants(rtl: Path = RTL, seed: int = 0) -> dict[str, list[Mutant]]:
    """Faults of every module, by its name."""
    return {p.stem: mutants_of(str(p.relative_to(rtl)), p.read_text(encoding="utf-8"), seed) for p in sources(rtl)}


def planted(text: str, numbered: Iterable[tuple[int, Mutant]]) -> str:
    """A file's text with faults behind the switch: each has its number. Lines stay where they are but for one more."""
    here = sorted(numbered, key=lambda n: (n[1].start, -n[1].end))

    def render(start: int, end: int, inside: list[tuple[int, Mutant]]) -> str:
        parts, at = [], start
        while inside:
            first = inside[0][1]
            same = [n for n in inside if (n[1].start, n[1].end) == (first.start, first.end)]
            below = [n for n in inside if n not in same and n[1].start >= first.start and n[1].end <= first.end]
            inside = [n for n in inside if n not in same and n not in below]
            parts.append(text[at : first.start])
            inner = render(first.start, first.end, below)
            for number, mutant in same:
                chosen = f"mutant_switch::number=={number}"
                if mutant.new.startswith("; //"):
                    inner = f"begin if (!({chosen})) begin {inner} end end"
                else:
                    inner = f"({chosen} ? ({mutant.new}) : ({inner}))"
            parts.append(inner)
            at = first.end
        return "".join([*parts, text[at:end]])

    first, rest = _quiet(render(0, len(text), here)).split("\n", 1)
    return f"{first}\n{_INCLUDE}\n{rest}"


def _quiet(text: str) -> str:
    """Without warnings, which end a build: a fault that only lint sees must be seen by what runs."""
    off = " ".join(f"/* verilator lint_off {name} */" for name in _QUIET)
    return text.replace("\nmodule ", f"\n{off} module ", 1)


def plant(rtl: Path, folder: Path, numbered: Iterable[tuple[int, Mutant]]) -> Path:
    """A copy of the RTL with faults behind the switch; its folder."""
    target = folder / "rtl"
    shutil.copytree(rtl, target)
    (target / "common" / "mutant_switch.vh").write_text(_HEADER, encoding="utf-8")
    by_file: dict[str, list[tuple[int, Mutant]]] = defaultdict(list)
    for number, mutant in numbered:
        by_file[mutant.file].append((number, mutant))
    for file, some in by_file.items():
        path = target / file
        path.write_text(planted(path.read_text(encoding="utf-8"), some), encoding="utf-8")
    return target


def replaced(rtl: Path, folder: Path, mutant: Mutant) -> Path:
    """A copy of the RTL with one fault in place of the original text; its folder."""
    target = folder / "rtl"
    shutil.copytree(rtl, target)
    path = target / mutant.file
    text = path.read_text(encoding="utf-8")
    new = ";" if mutant.new.startswith("; //") else f"({mutant.new})"
    path.write_text(_quiet(text[: mutant.start] + new + text[mutant.end :]), encoding="utf-8")
    return target
