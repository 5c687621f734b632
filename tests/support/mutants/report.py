# SPDX-License-Identifier: Apache-2.0
"""What came of the faults of a run, as a page and as a table for other programs."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence

from .equivalent import equivalents
from .run import Result

STATES = ("caught", "survived", "unbuilt", "waiting")


def score(results: Sequence[Result]) -> float:
    """Percent caught of those that ran to their end; 0 where none did."""
    counts = Counter(r.state for r in results)
    ran = counts["caught"] + counts["survived"]
    return 100 * counts["caught"] / ran if ran else 0.0


def scores(results: Sequence[Result]) -> str:
    """A line a module and kind: how many are in each state."""
    counts = Counter((r.mutant.file, r.mutant.kind, r.state) for r in results)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["module", "kind", *STATES])
    for module, kind in sorted({(m, k) for m, k, _ in counts}):
        writer.writerow([module.removesuffix(".v"), kind, *(counts[module, kind, s] for s in STATES)])
    return file.getvalue()


def report(results: Sequence[Result]) -> str:
    """The page: scores by kind and by module, what survived, what is left out as equivalent."""
    counts = Counter(r.state for r in results)
    ran = counts["caught"] + counts["survived"]
    lines = [
        "# Generated faults",
        "",
        f"`make mutants`: of {len(results)} faults, drawn from those that are generated from the Verilog sources, "
        f"{ran} ran through the benches of `make test-rtl` to their end; **{counts['caught']} were caught, "
        f"{score(results):.1f}%**. {counts['unbuilt']} gave no program, "
        f"{counts['waiting']} were not reached in time. "
        "Formal proofs and cocotb benches, which also are part of `make test-rtl`, are not counted.",
        "",
        *_table("kind", results, lambda r: r.mutant.kind),
        "",
        *_table("module", results, lambda r: r.mutant.file.removesuffix(".v")),
        "",
        "## Survived",
        "",
    ]  # fmt: skip
    survived = [r for r in results if r.state == "survived"]
    if survived:
        lines += ["| where | kind | before | after | benches |", "| --- | --- | --- | --- | --- |"]
    for r in survived:
        m = r.mutant
        lines.append(f"| {m.file}:{m.line} | {m.kind} | {_code(m.old)} | {_code(m.new)} | {r.block} |")
    lines += ["", "## Left out: nothing that anybody can see changes", ""]
    lines += ["| file | before | after | why |", "| --- | --- | --- | --- |"]
    for e in equivalents():
        lines.append(f"| {e.file} | {_code(e.old)} | {_code(e.new) if e.new else 'anything'} | {e.reason} |")
    return "\n".join([*lines, ""])


def _table(name: str, results: Sequence[Result], of: Callable[[Result], str]) -> list[str]:
    lines = [f"| {name} | caught | survived | score | no program | not reached |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for group in sorted({of(r) for r in results}):
        mine = [r for r in results if of(r) == group]
        counts = Counter(r.state for r in mine)
        percent = f"{score(mine):.0f}%" if counts["caught"] + counts["survived"] else ""
        lines.append(f"| {group} | {counts['caught']} | {counts['survived']} | {percent} "
                     f"| {counts['unbuilt'] or ''} | {counts['waiting'] or ''} |")  # fmt: skip
    return lines


def _code(text: str) -> str:
    """Verilog in a cell of a table."""
    return "`" + " ".join(text.split()).replace("|", "\\|") + "`"
