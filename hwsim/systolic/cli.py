# SPDX-License-Identifier: Apache-2.0
"""``hwsim scalesim``: SCALE-Sim's files in, its reports out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from hwsim.core.command import Json, Out, made, print_json, quick_numba, show


def scalesim(
    config: Annotated[
        Path, typer.Argument(metavar="FILE.cfg", help="SCALE-Sim configuration, InterfaceBandwidth CALC.")
    ],
    topology: Annotated[Path, typer.Argument(metavar="TOPOLOGY.csv", help="SCALE-Sim topology.")],
    form: Annotated[
        Literal["conv", "gemm"] | None,
        typer.Option(
            "--input", "-i", help="Form of the topology: conv or gemm (M, N, K) (default: what its titles say)."
        ),
    ] = None,
    corrected: Annotated[
        bool, typer.Option("--corrected", help="Count cycles and sums as they are, without that tool's slips.")
    ] = False,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Run a SCALE-Sim configuration and topology: its cycles, use, accesses and bandwidths, layer by layer.

    With --out also its COMPUTE_REPORT.csv, BANDWIDTH_REPORT.csv and DETAILED_ACCESS_REPORT.csv.

    Example: hwsim scalesim scale.cfg net.csv
    """  # fmt: skip
    from rich.table import Table

    from .scalesim import BANDWIDTH, COMPUTE, DETAILED, layers, read_config, run_layer, write_reports

    settings = read_config(config)
    rows = layers(topology, gemm=None if form is None else form == "gemm")
    with quick_numba():
        found = [run_layer(settings, row, corrected=corrected) for row in rows]
    if json_:
        titles = (*COMPUTE[1:], *BANDWIDTH[1:], *DETAILED[1:])
        print_json([
            {"layer": layer.name, **dict(zip(titles, (*layer.compute, *layer.bandwidth, *layer.detailed), strict=True))}
            for layer in found
        ])  # fmt: skip
    else:
        array = f"{settings.rows} x {settings.cols}, {settings.dataflow}"
        table = Table(title=f"{topology.stem} on {array}", title_justify="left")
        for title in ("layer", *COMPUTE[1:]):
            table.add_column(title.lower(), justify="left" if title == "layer" else "right")
        for layer in found:
            whole, share = layer.compute[:3], layer.compute[3:]
            table.add_row(layer.name, *(f"{v:,}" for v in whole), *(f"{v:.2f}" for v in share))
        table.add_section()
        table.add_row("all", "", f"{sum(layer.compute[1] for layer in found):,}")
        show(table)
        if settings.without_effect:
            sys.stdout.write(f"without effect in CALC mode: {', '.join(settings.without_effect)}\n")
    if out is not None:
        paths = write_reports(settings, found, out)
        if not json_:
            made(paths)
