# SPDX-License-Identifier: Apache-2.0
"""``hwsim sat``: one training step on SAT, beside the dense one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import (
    ConfigFile,
    Dim,
    IgnoreOp,
    Json,
    Out,
    Sets,
    graph_flags,
    load,
    made,
    print_json,
    quick_numba,
    show,
    show_ignored,
    si,
)

if TYPE_CHECKING:
    from dataflow.training.trace import Trace
    from hwsim.sat.config import SatConfig
    from hwsim.sat.replay import ReplayRow
    from hwsim.sat.result import StepResult


def sat(
    network: Annotated[
        str | None,
        typer.Argument(
            help="Network name, a .yaml, .csv, .onnx, .pt2 or config.json file, or package.module:factory "
            "(default: resnet18)."
        ),
    ] = None,
    topology: Annotated[
        Path | None,
        typer.Option(help="SCALE-Sim topology CSV; sets --passes FF, --batch 1 and its own Sparsity (default: none)."),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="Trace folder: simulate its network, method, pattern, batch; replay its tensors (default: none)."
        ),
    ] = None,
    nm: Annotated[str | None, typer.Option(help="N:M pattern, N of M weights not 0, or dense (default: 2:8).")] = None,
    method: Annotated[
        str | None, typer.Option(help="N:M training method (default: bdwp; an unknown name lists all).")
    ] = None,
    phase: Annotated[
        str | None,
        typer.Option(help="Of a language model: prefill or decode; sets --passes FF, --batch 1 (default: training)."),
    ] = None,
    context: Annotated[
        int | None, typer.Option(help="Tokens of a language model's sequence (default: 2048, or the model's most).")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Samples in a step (default: 512; in inference 1).")] = None,
    passes: Annotated[
        str | None, typer.Option(help="Passes: FF forward, BP backward, WU weight gradients (default: FF,BP,WU).")
    ] = None,
    schedule: Annotated[
        Path | None, typer.Option(help="Use this schedule file (default: the offline scheduler makes one).")
    ] = None,
    compare: Annotated[bool, typer.Option(help="Also simulate the dense step and print the speedup.")] = True,
    ignore_op: IgnoreOp = None,
    dim: Dim = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Simulate one training step, or a language model's inference, on SAT: cycles by cause, traffic, energy.

    Example: hwsim sat resnet9 --nm 2:4 --batch 64
    """
    from dataflow.mapping.schedule import Schedule
    from hwsim.sat.run import SatRun

    if sum(given is not None for given in (network, topology, trace)) > 1:
        raise InputError("give one of: a network, --topology, --trace")
    flags: dict[str, Any] = {"network": network, "batch": batch, "method": method, "pattern": nm,
                             "phase": phase, "context": context,
                             **graph_flags(ignore_op, dim)}  # fmt: skip
    base: dict[str, Any] = {}
    if passes is not None:
        flags["passes"] = [p.strip().upper() for p in passes.split(",")]
    if topology is not None:
        flags["network"] = str(topology)
        if topology.suffix.lower() != ".csv":
            raise InputError(f"--topology {topology}: a SCALE-Sim topology is a .csv file")
        base = {"batch": 1, "pattern": "dense", "passes": ["FF"]}  # a topology file describes inference
    opened = None
    if trace is not None:
        from dataflow.training.trace import Trace

        opened = Trace.read(trace)
        opened.check()
        meta = opened.meta
        flags["network"] = str(trace)
        base = {"batch": meta.batch, "method": meta.method, "pattern": meta.pattern}
    run = load(SatRun, config, set_, base, options={"pattern": "--nm", "dims": "--dim"}, **flags)
    net = run.read_network()
    workload = run.workload(net)
    warning = run.nothing_sparse(net)
    if warning:
        sys.stderr.write(f"hwsim: warning: {warning}; every layer runs dense\n")
    with quick_numba():
        from hwsim.sat.timing.step import make_schedule, simulate

        plan = Schedule.read(schedule) if schedule is not None else make_schedule(run.machine, workload)
        masks = run.masks()
        result = simulate(run.machine, workload, plan, masks)
        if schedule is None:
            result.run_settings = run.model_dump(mode="json", exclude_defaults=True)
        dense = None
        if compare and (masks or any(not p.pattern.is_dense for p in workload.products)):
            dense = simulate(run.machine, run.workload(net, dense=True))
    replayed = _replay(opened, run.machine) if opened is not None else []
    table = [row.as_dict() for row in replayed]
    if json_:
        print_json(
            ({"warning": warning} if warning else {})
            | _summary(result, dense)
            | ({"replay": table} if opened is not None else {})
        )
    else:
        _show(result, dense)
        if opened is not None:
            show_replay(replayed)
    if out is not None:
        paths = result.save(out)
        plan.write(out / "schedule.yaml")
        result.write_timeline(out / "timeline.json")
        paths += [out / "schedule.yaml", out / "timeline.json"]
        if dense is not None:
            paths += dense.save(out / "dense")
        if opened is not None:
            from hwsim.core.study import StudyTables

            StudyTables({"title": f"replay of {trace}"}, {"replay": table}).write(out / "replay")
            paths.append(out / "replay" / "replay.csv")
        if not json_:
            made(paths)
    if not all(row.agrees for row in replayed):
        raise typer.Exit(1)


def _replay(trace: Trace, machine: SatConfig) -> list[ReplayRow]:
    from hwsim.core.command import progress
    from hwsim.sat.replay import replay

    with progress() as bar:
        task = bar.add_task("replay", total=None)
        return replay(trace, machine, lambda text: bar.update(task, advance=1, description=f"replay {text}"))


def show_replay(rows: list[ReplayRow]) -> None:
    """Totals by unit: what ran at clock level, and what differed."""
    from rich.table import Table

    table = Table(title="Traced tensors, cycle by cycle", title_justify="left")
    for column in ("unit", "values", "cycles", "cycles off", "bits off", "masks off", "error / bound"):
        table.add_column(column, justify="left" if column == "unit" else "right")
    for unit in dict.fromkeys(r.unit for r in rows):
        mine = [r for r in rows if r.unit == unit]
        counts = [sum(getattr(r, c) for r in mine) for c in ("values", "cycles", "cycles_different", "bits_different")]
        table.add_row(
            unit, *(f"{c:,}" for c in counts), str(sum(r.masks_different for r in mine)),
            f"{max(r.error for r in mine):.3f}",
        )  # fmt: skip
    show(table)
    sys.stdout.write(
        "off: different from the functional level, must be 0; error / bound: difference from torch, of what rounding "
        "allows, must be at most 1\n"
    )


def _summary(result: StepResult, dense: StepResult | None) -> dict[str, Any]:
    from hwsim.sat.energy import total_energy_j
    from hwsim.sat.result import CAUSES

    def facts(r: StepResult) -> dict[str, Any]:
        return {
            "cycles": r.cycles,
            "seconds": r.seconds,
            "macs": r.total("macs"),
            "macs_done": r.total("macs_done"),
            "utilization": r.utilization,
            "cycles_by_cause": {c: r.total(c) for c in CAUSES},
            "dram_read_bytes": r.total("dram_read_bytes"),
            "dram_write_bytes": r.total("dram_write_bytes"),
            "energy_j": total_energy_j(r),
        }

    summary = {"machine": result.machine, **result.facts(), **facts(result)}
    if dense is not None:
        summary["dense"] = facts(dense)
        summary["speedup"] = dense.cycles / result.cycles
    return summary


def _name(result: StepResult) -> str:
    """Method and pattern; a network file may give each layer its own."""
    patterns = {r.pattern for r in result.steps if r.kind == "product"} - {"dense"}
    if not patterns:
        return "dense"
    return f"{result.method} {result.pattern if patterns == {result.pattern} else 'by layer'}"


def _show(result: StepResult, dense: StepResult | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from hwsim.core.units import energy_text, time_text
    from hwsim.sat.energy import total_energy_j
    from hwsim.sat.result import CAUSE_TEXT, CAUSES

    console = Console()
    results = [r for r in (dense, result) if r is not None]
    name = _name(result)
    title = f"{result.title}, batch {result.batch}: {name} on SAT"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for r in results:
        table.add_column("dense" if r is dense else name, justify="right")
    table.add_row("cycles", *(si(r.cycles) for r in results))
    table.add_row("time at clock", *(time_text(r.seconds, 4) for r in results))
    for phase in ("FF", "BP", "WU", "UP"):
        if any(r.phase == phase for r in result.steps):
            cells = [si(r.total("cycles", lambda row, p=phase: row.phase == p)) for r in results]  # type: ignore[misc]
            table.add_row(f"  {phase}", *cells)
    table.add_section()
    for cause in CAUSES:
        if any(r.total(cause) for r in results):
            table.add_row(CAUSE_TEXT[cause], *(f"{r.total(cause) / r.cycles:.2%}" for r in results))
    table.add_section()
    table.add_row("multiplies", *(si(r.total("macs_done")) for r in results))
    table.add_row("multiplies, of the array's peak", *(f"{r.utilization:.1%}" for r in results))
    table.add_row("DRAM traffic", *(si(r.total("dram_read_bytes") + r.total("dram_write_bytes"), "B") for r in results))
    table.add_row("energy (45 nm table)", *(energy_text(sum(total_energy_j(r).values()), 4) for r in results))
    show(table)
    show_ignored(result.ignored)
    if dense is not None:
        console.print(f"[bold]{dense.cycles / result.cycles:.3f}x[/bold] faster than the dense step")
