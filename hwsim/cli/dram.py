# SPDX-License-Identifier: Apache-2.0
"""``hwsim dram``: a list of transactions through the memory, or its bandwidth against locality."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .common import ConfigFile, Json, Out, Sets, load, made, print_json, si


class Memory(StrEnum):
    """Devices that are built in."""

    HBM2 = "hbm2"
    DDR4_2400 = "ddr4-2400"


def dram(
    trace: Annotated[
        Path | None, typer.Argument(help='Transactions, "LD 0x1f40" or "ST 0x1f40" a line; none: random runs.')
    ] = None,
    memory: Annotated[Memory, typer.Option(help="Device to start from.")] = Memory.HBM2,
    channels: Annotated[int | None, typer.Option(help="Channels.")] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Run memory transactions: cycles, commands, bandwidth, energy; without a trace, bandwidth against locality."""
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from dataflow.files import write_text
    from hwsim.memory.config import PRESETS, DramConfig
    from hwsim.memory.run import bandwidth_by_run, read_trace, run

    base = PRESETS[memory.value]().model_dump()
    settings = load(DramConfig, config, set_, base, channels=channels)
    if trace is None:
        sizes = [settings.transaction_bytes << i for i in range(9)]
        found = bandwidth_by_run(settings, sizes, transactions=settings.channels << 12)
        title = f"{settings.standard}, {settings.channels} channels: reads of consecutive bytes at random places"
    else:
        result = run(settings, *read_trace(trace))
        row = {"transactions": result.transactions, "bytes": result.bytes, "cycles": result.cycles,
               "bandwidth_gb_per_s": result.bandwidth_gb_per_s,
               "share_of_peak": result.share_of_peak, "row_hits": result.row_hits, **result.commands,
               **{f"{k}_energy_pj": v for k, v in result.energy_pj.items()}}  # fmt: skip
        found = pd.DataFrame([row])
        title = f"{settings.standard}, {settings.channels} channels: {trace}"
    if json_:
        print_json(found.to_dict("records"))
    elif trace is None:
        table = Table(*found.columns, title=title, title_justify="left")
        for values in found.itertuples(index=False):
            table.add_row(f"{values[0]:,}", *(f"{v:.3g}" for v in values[1:]))
        Console().print(table)
    else:
        table = Table(title=title, title_justify="left", show_header=False)
        for name, value in row.items():
            table.add_row(name, f"{value:,}" if isinstance(value, int) else si(value))
        Console().print(table)
    if out is not None:
        files = [out / "dram.csv"]
        write_text(files[0], found.to_csv(index=False))
        if trace is None:
            from reports.figures import bandwidth
            from reports.style import save

            name = f"{settings.standard}, {settings.channels} channels"
            files += save(bandwidth(found.to_dict("records"), name), out, "bandwidth")[0]  # type: ignore[arg-type]
        if not json_:
            made(files)
