# SPDX-License-Identifier: Apache-2.0
"""``hwsim dram``: a list of transactions through the memory, or its bandwidth by run length."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwsim.core.command import ConfigFile, Json, Out, Sets, load, made, print_json, show

if TYPE_CHECKING:
    from hwsim.memory.run import DramRun


def dram(
    trace: Annotated[
        Path | None,
        typer.Argument(
            help='File of transactions, "LD 0x1f40" or "ST 0x1f40" a line (default: reads at random addresses).'
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="DRAM standard: hbm2 (default), hbm3, ddr4-2400, ddr5-4800, lpddr5-6400, or one of another package."
        ),
    ] = None,
    channels: Annotated[int | None, typer.Option(help="Channels (default: as many as the standard has).")] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Simulate memory transactions: cycles, commands, bandwidth, energy; without a trace, bandwidth by run length.

    Example: hwsim dram --memory ddr4-2400
    """
    import pandas as pd
    from rich.table import Table

    from dataflow.files import write_text
    from hwsim.memory.config import DramConfig
    from hwsim.memory.energy import without_figures
    from hwsim.memory.run import bandwidth_by_run, read_trace, run

    settings = load(DramConfig, config, set_, options={"standard": "--memory"}, standard=memory, channels=channels)
    name = f"{settings.standard}, {settings.channels} channel{'s' * (settings.channels > 1)}"
    quiet = without_figures(settings)
    if trace is None:
        sizes = [settings.transaction_bytes << i for i in range(9)]
        found = bandwidth_by_run(settings, sizes, transactions=settings.channels << 12)
        title = f"{name}: reads of runs of consecutive bytes at random addresses"
    else:
        result = run(settings, *read_trace(trace))
        row = {"transactions": result.transactions, "bytes": result.bytes, "cycles": result.cycles,
               "bandwidth_gb_per_s": result.bandwidth_gb_per_s,
               "share_of_peak": result.share_of_peak, "row_hits": result.row_hits, **result.commands,
               **({} if quiet else {f"{k}_energy_pj": v for k, v in result.energy_pj.items()})}  # fmt: skip
        found = pd.DataFrame([row])
        title = f"{name}: {trace}"
    if json_:
        print_json(found.to_dict("records"))
    elif trace is None:
        energy_title = () if quiet else ("energy, pJ/byte",)
        table = Table("bytes of a run", "bandwidth, GB/s", "of peak", "row hits", *energy_title,
                      title=title, title_justify="left")  # fmt: skip
        for size, bandwidth_, share, hits, *energy in found.itertuples(index=False):
            told = (f"{size:,}", f"{bandwidth_:.3g}", f"{share:.1%}", f"{hits:.1%}", *(f"{e:.3g}" for e in energy))
            table.add_row(*told)
        show(table)
    else:
        table = Table(title=title, title_justify="left", show_header=False)
        for name, text in _in_words(result):
            table.add_row(name, text)
        show(table)
    if quiet and not json_:
        typer.echo(f"energy: none, {quiet}")
    if out is not None:
        files = [out / "dram.csv"]
        write_text(files[0], found.to_csv(index=False))
        if trace is None:
            from reports.figures import bandwidth
            from reports.style import save

            files += save(bandwidth(found.to_dict("records"), name), out, "bandwidth")[0]  # type: ignore[arg-type]
        if not json_:
            made(files)


COMMAND_WORDS = {
    "ACT": "activations (ACT)", "PRE": "precharges (PRE)", "RD": "reads (RD)", "WR": "writes (WR)",
    "REF": "refreshes (REF)",
}  # fmt: skip


def _in_words(result: DramRun) -> list[tuple[str, str]]:
    """What a list of transactions took, as rows for people."""
    from hwsim.memory.energy import without_figures

    energy = {} if without_figures(result.config) else result.energy_pj
    seconds = result.cycles * result.config.clock_ps * 1e-12
    return [
        ("transactions", f"{result.transactions:,}"),
        ("bytes", f"{result.bytes:,}"),
        ("cycles", f"{result.cycles:,}"),
        ("time", f"{seconds * 1e6:,.4g} µs"),
        ("bandwidth", f"{result.bandwidth_gb_per_s:.3g} GB/s, {result.share_of_peak:.1%} of the peak"),
        ("row hits", f"{result.row_hits:.1%}"),
        *((COMMAND_WORDS.get(name, name), f"{count:,}") for name, count in result.commands.items()),
        *((f"energy, {kind}", f"{value / 1e6:.3g} µJ") for kind, value in energy.items()),
    ]
