# SPDX-License-Identifier: Apache-2.0
"""``hwsim spatten``: a workload of attention on SpAtten, alone or beside what it is compared with."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwsim.core.command import ConfigFile, Json, Out, Sets, load, made, print_json, quick_numba, show, si

if TYPE_CHECKING:
    from hwsim.spatten.result import SpattenResult
    from hwsim.spatten.run import OpenWorkload, SpattenRun


class Design(StrEnum):
    """Machines to start from; `hwsim.spatten.config.DESIGNS` has their settings."""

    PAPER = "paper"
    EIGHTH = "eighth"
    STREAMING = "streaming"


def spatten(
    workload: Annotated[
        str | None,
        typer.Argument(
            help="Model or benchmark (gpt2-small (default), bert-base-mrpc ...), a workload CSV, or a trace folder."
        ),
    ] = None,
    design: Annotated[
        Design | None,
        typer.Option(
            help="paper: SpAtten (default); eighth: its SpAtten-1/8; streaming: ours, as many multipliers, same memory."
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option(help="Also run the dense datapath, MNNFast and A3 on the same machine.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Seed of synthetic importance and probabilities (default: 0).")
    ] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Simulate attention on SpAtten: cycles by cause, DRAM traffic by kind, energy, lower bounds.

    Example: hwsim spatten bert-base --compare
    """
    from hwsim.spatten.baselines import STYLES
    from hwsim.spatten.run import SpattenRun

    sets = [*([f"machine.design={design.value}"] if design else []), *(set_ or [])]
    run = load(SpattenRun, config, sets, {}, workload=workload, seed=seed)
    opened = run.open()
    with quick_numba():
        results = [_run(run, opened)]
        replayed = _replay(run, opened)
        if compare:
            for style in [name for name in STYLES if name != run.style]:
                results.append(_run(run.model_copy(update={"style": style}), opened))
    if json_:
        more = {"reading": opened.reading} | ({"replay": replayed} if replayed else {})
        print_json([_summary(r) | (more if r is results[0] else {}) for r in results])
    else:
        _show(results, opened)
        if replayed:
            _show_replay(replayed)
    if out is not None:
        from hwsim.spatten.timeline import write_timeline

        paths = results[0].save(out)
        paths.append(out / "timeline.json")
        write_timeline(results[0], paths[-1])
        for other in results[1:]:
            paths += other.save(out / other.style.lower())
        if opened.whole is not None:
            paths.append(out / "workload.csv")
            opened.whole.write(paths[-1])
        if not json_:
            made(paths)


def _replay(run: SpattenRun, opened: OpenWorkload) -> list[dict[str, Any]]:
    """A trace's tensors through the functional level, beside torch's; nothing of another workload."""
    if opened.trace is None:
        return []
    from hwsim.core.command import progress
    from hwsim.spatten.replay import replay

    meta, steps = opened.trace
    with progress() as bar:
        task = bar.add_task("replay", total=len(steps))
        return [row.as_dict() for row in replay(run.machine, meta, steps, lambda: bar.update(task, advance=1))]


def _show_replay(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console

    queries, again, values = (
        sum(r[n] for r in rows) for n in ("queries", "lsb_decisions_different", "values_different")
    )
    units, error = (max(r[n] for r in rows) for n in ("probability_units", "output_error"))
    Console().print(
        f"{queries:,} queries in the hardware's arithmetic, compared with torch: probabilities differ by {units:.2f} "
        f"units of their last bit at most; {again} decisions on LSBs differ; {values:,} queries chose other values of "
        f"equal probability; outputs of the others differ by {error:.2%} of a head's largest at most",
        highlight=False,
    )


def _run(run: SpattenRun, opened: OpenWorkload) -> SpattenResult:
    from hwsim.core.command import progress

    total = None if opened.whole is None else len(opened.whole.rows)
    with progress() as bar:
        task = bar.add_task(f"{run.style}: {opened.name}", total=total if run.style == "SpAtten" else None)
        result = run.run(opened, lambda rows: bar.update(task, advance=rows))
    result.run_settings = run.model_dump(mode="json", exclude_defaults=True)
    return result


def _summary(r: SpattenResult) -> dict[str, Any]:
    from hwsim.spatten.energy import total_energy_j
    from hwsim.spatten.result import ALL_CAUSES
    from hwsim.spatten.timing.lower import KINDS

    return {
        "machine": r.style, "workload": r.workload, "config": r.config, "cycles": r.cycles, "seconds": r.seconds,
        "bounds_cycles": r.bounds(), "share_of_bound": r.share_of_bound,
        "cycles_by_cause": {c: r.total(f"{c}_cycles") for c in ALL_CAUSES},
        "occupancy": r.occupancy, "queries": r.total("queries"),
        "beyond_scores": r.total("beyond_scores"), "lsb_recomputations": r.total("lsb_recomputations"),
        "macs": r.macs,
        "dram_bytes": r.dram_bytes, "dram_bytes_by_kind": {k: r.total(f"{k}_bytes") for k in (*KINDS, "weight")},
        "energy_j": total_energy_j(r.settings, r.steps),
    }  # fmt: skip


def _show(results: list[SpattenResult], opened: OpenWorkload) -> None:
    from rich.console import Console
    from rich.table import Table

    from hwsim.core.units import time_text
    from hwsim.spatten.energy import COMPONENTS
    from hwsim.spatten.result import ALL_CAUSES, CAUSE_TEXT
    from hwsim.spatten.timing.lower import KINDS

    console = Console()
    if not console.is_terminal:
        console.width = 120  # a file's lines need no folding
    table = Table(title=f"{opened.name} on SpAtten", title_justify="left")
    table.add_column("", no_wrap=console.width >= 60 + 18 * len(results))
    for r in results:
        table.add_column(r.style, justify="right")
    summaries = [_summary(r) for r in results]

    def add(name: str, cells: list[str]) -> None:
        table.add_row(name, *cells)

    add("cycles", [f"{r.cycles:,}" for r in results])
    add("time at clock", [time_text(r.seconds, 4) for r in results])
    add("lower bound set by", [r.bound for r in results])
    add("  lower bound, of cycles", [f"{r.share_of_bound:.1%}" for r in results])
    add("bottleneck", [r.bottleneck for r in results])
    table.add_section()
    table.add_row("[bold]what the Q x K unit does, of cycles[/bold]")
    for cause in ALL_CAUSES:
        if any(s["cycles_by_cause"][cause] for s in summaries):
            add(CAUSE_TEXT[cause], [f"{s['cycles_by_cause'][cause] / max(s['cycles'], 1):.1%}" for s in summaries])
    table.add_section()
    table.add_row("[bold]busy, of cycles[/bold]")
    for unit in summaries[0]["occupancy"]:
        add(unit, [f"{s['occupancy'][unit]:.1%}" for s in summaries])
    table.add_section()
    add("DRAM traffic", [si(r.dram_bytes, "B") for r in results])
    for kind, text in zip(
        (*KINDS, "weight"), ("  q", "  keys", "  LSBs of keys", "  values", "  weights"), strict=True
    ):
        if any(s["dram_bytes_by_kind"][kind] for s in summaries):
            add(text, [si(s["dram_bytes_by_kind"][kind], "B") for s in summaries])
    add("multiplies", [si(r.macs) for r in results])
    add("throughput", [si(2 * r.macs / r.seconds if r.cycles else 0.0, "FLOP/s") for r in results])
    add(
        "queries; of them recomputed with LSBs",
        [f"{s['queries']:,}; {s['lsb_recomputations'] / max(s['queries'], 1):.1%}" for s in summaries],
    )
    energies = [s["energy_j"] for s in summaries]
    add("energy", [f"{1e3 * sum(e.values()):.4g} mJ" for e in energies])
    for component in COMPONENTS:
        if any(e[component] for e in energies):
            add(f"  {component}", [f"{e[component] / sum(e.values()):.1%}" for e in energies])
    show(table)
    if opened.trace is None:
        console.print(
            "importance and probabilities: synthetic, random with --seed (see `hwsim schema spatten`)", highlight=False
        )
    if opened.reading:
        console.print(opened.reading, highlight=False)
    if beyond := results[0].total("beyond_scores"):
        console.print(
            f"{beyond:,} queries have more scores than the ring holds (machine.score_tokens="
            f"{results[0].settings.score_tokens:,}): timed as if the rest streamed by", highlight=False,
        )  # fmt: skip
    for r in results[1:]:
        console.print(f"[bold]{r.cycles / max(results[0].cycles, 1):.2f}x[/bold] the speed of {r.style}, "
                      f"{r.dram_bytes / max(results[0].dram_bytes, 1):.2f}x less DRAM traffic")  # fmt: skip
