# SPDX-License-Identifier: Apache-2.0
"""``hwsim verify``: the RTL against the simulator, bits and cycles."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflow.errors import InputError, unknown
from dataflow.files import validated
from hwsim.core.command import ConfigFile, Json, Out, Sets, load, made, print_json, progress, show, si

if TYPE_CHECKING:
    from hwsim.verification.case import BlockRow


def verify(
    machine: Annotated[
        str | None, typer.Argument(help="Name of the machine (default: the first in `hwsim machines` with RTL).")
    ] = None,
    cases: Annotated[
        int | None, typer.Option(help="Random cases of each block (default: each block's own number).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the cases (default: 0).")] = None,
    block: Annotated[
        list[str] | None,
        typer.Option(help="Only this block; may be repeated (default: all; an unknown name lists them)."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="Only an array of this many rows (default: arrays of several sizes).")
    ] = None,
    cols: Annotated[
        int | None, typer.Option(help="Only an array of this many columns (default: as many as --rows).")
    ] = None,
    rtl: Annotated[
        Path | None, typer.Option(help="Folder of Verilog files to verify (default: the machine's own).")
    ] = None,
    coverage: Annotated[bool | None, typer.Option("--coverage", help="Also count line and toggle coverage.")] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="Run only the tensors of this trace folder through the RTL (default: random cases)."),
    ] = None,
    case: Annotated[
        Path | None, typer.Option(help="Run only this failing case, a file that an earlier run stored (default: none).")
    ] = None,
    failures: Annotated[
        Path | None, typer.Option(help="Folder for a failing case and its waveform (default: out/verify).")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write this JUnit XML file (default: none).")] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Compare the RTL with the simulator: every bit and every cycle, on random cases. Exit code 1 on a mismatch. With
    --set machine.FIELD=VALUE (or a file with ``machine:``) your own machine.

    Example: hwsim verify MACHINE --cases 100
    """
    from hwsim.verification.run import VerifyRun

    options: dict[str, Any] = {"cases": cases, "seed": seed, "blocks": block, "rows": rows, "cols": cols, "rtl": rtl}
    options |= {"coverage": coverage}
    run = load(VerifyRun, config, set_, **options, failures=failures)
    from hwsim.core.machine import every, find
    from hwsim.rtl_tools.sources import RTL, sources
    from hwsim.verification.case import VerifyOptions, rerun
    from hwsim.verification.runner import verify as compare

    kind = find(machine) if machine is not None else next(m for m in every() if m.blocks())
    blocks = kind.blocks()
    if not blocks:
        raise kind.without("blocks of RTL to verify")
    if run.array is not None and not kind.shaped_block:
        raise InputError(f"--rows, --cols: {kind.name} has no array")
    given = run.machine if run.machine is not None else run.array
    design = None if given is None else validated(kind.Config, given, "machine")
    able = kind.machine_blocks if run.machine is not None else (kind.shaped_block,)
    if design is not None and not any(able):
        raise InputError(f"machine: no block of {kind.name} can be verified at a configuration of one's own")
    chosen = run.blocks or (tuple(blocks) if design is None else able)
    if design is not None and set(chosen) & set(kind.machine_blocks[:1]):
        kind.check_rtl(design)
    for name in chosen if design is not None else ():
        if name in blocks and name not in able:
            raise InputError(f"block {name}: has sizes of its own; at a configuration: {', '.join(able)}")
    for name in chosen:
        if name not in blocks:
            raise unknown("block", name, blocks)
    folder = run.rtl or kind.rtl or RTL
    if not sources(folder):
        raise InputError(f"rtl {folder}: no Verilog files there")
    with tempfile.TemporaryDirectory(prefix="hwsim-coverage-") as scratch:
        how = VerifyOptions(folder, run.failures, machine=design, coverage=Path(scratch) if run.coverage else None)
        found = []
        with progress() as bar:
            alone = rerun(case, how) if case else kind.verify_trace(trace, how) if trace else None
            task = bar.add_task("build and compare", total=1 if alone else len(chosen))
            for row in [alone] if alone else compare(blocks, chosen, run.cases, run.seed, how):
                found.append(row)
                bar.update(task, advance=1, description=row.block)
        table = [{f: getattr(r, f) for f in r.__slots__ if f != "left"} for r in found]
        tables = {"verify": table}
        if run.coverage:
            tables["coverage"] = _coverage(Path(scratch), quiet=json_)
    if json_:
        print_json(tables)
    else:
        _show(found)
    files = []
    if junit is not None:
        files.append(_junit(found, kind.name, junit))
    if out is not None:
        from hwsim.core.study import StudyTables

        StudyTables({"title": "RTL against simulator", "settings": run.model_dump(mode="json")}, tables).write(out)
        files += [out / f"{name}.csv" for name in tables]
    if not json_:
        made(files)
    if not all(r.agrees for r in found):
        raise typer.Exit(1)


def _coverage(folder: Path, *, quiet: bool) -> list[dict[str, Any]]:
    """Coverage by module as a table; shown, with what was missed, unless ``quiet``."""
    from rich.console import Console
    from rich.table import Table

    from hwsim.verification.coverage import by_module, read_points

    modules = by_module(read_points(sorted(folder.glob("*.dat"))))
    if not quiet:
        table = Table(title="Coverage", title_justify="left")
        for column in ("module", "lines run", "of lines", "bits toggled", "of bits", "not covered"):
            table.add_column(column, justify="left" if column in ("module", "not covered") else "right")
        for m in modules:
            missed = ", ".join(m.missed[:6]) + (f" and {len(m.missed) - 6} more" if len(m.missed) > 6 else "")
            sizes = (m.lines_covered, m.lines, m.toggles_covered, m.toggles)
            table.add_row(m.module, *(f"{n:,}" for n in sizes), missed)
        lines, toggles = sum(m.lines for m in modules), sum(m.toggles for m in modules)
        console = Console()
        show(table)
        console.print(
            f"covered: lines {sum(m.lines_covered for m in modules) / max(lines, 1):.1%}, "
            f"toggles {sum(m.toggles_covered for m in modules) / max(toggles, 1):.1%}"
        )
    columns = ("module", "lines", "lines_covered", "toggles", "toggles_covered")
    return [{c: getattr(m, c) for c in columns} | {"missed": "; ".join(m.missed)} for m in modules]


def _show(rows: list[BlockRow]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="RTL against simulator", title_justify="left")
    for column in (
        "block",
        "cases",
        "bits compared",
        "cycles",
        "cases with wrong bits",
        "with wrong cycles",
        "cases a second",
    ):
        table.add_column(column, justify="left" if column == "block" else "right", no_wrap=column == "block")
    for r in rows:
        sizes = (si(r.cases), si(r.bits), si(r.cycles))
        rate = si(r.cases / max(r.seconds, 1e-9))
        style = None if r.agrees else "red"
        table.add_row(r.block, *sizes, f"{r.wrong_values:,}", f"{r.wrong_cycles:,}", rate, style=style)
    console = Console()
    show(table)
    for r in rows:
        if r.first:
            console.print(f"{r.block}: {r.first}", markup=False)
        for path in r.left:
            console.print(f"  {path}", markup=False)


def _junit(rows: list[BlockRow], machine: str, path: Path) -> Path:
    from xml.etree import ElementTree as Xml

    from dataflow.files import write_text

    failed = sum(not r.agrees for r in rows)
    suite = Xml.Element("testsuite", name=f"hwsim verify {machine}", tests=str(len(rows)), failures=str(failed))
    for r in rows:
        case = Xml.SubElement(suite, "testcase", classname="rtl", name=r.block, time=f"{r.seconds:.3f}")
        if not r.agrees:
            text = f"{r.wrong_values} of {r.cases} cases differ in value, {r.wrong_cycles} in cycles; first: {r.first}"
            Xml.SubElement(case, "failure", message=text)
    Xml.indent(suite)
    write_text(path, Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n")
    return path
