# SPDX-License-Identifier: Apache-2.0
"""``hwsim serve-profile``: a model's times on machines, as a server's simulator reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.core.command import ConfigFile, Json, Sets, load, made, print_json, quick_numba, show, ticking


def serve_profile(
    model: Annotated[
        str | None, typer.Argument(help="Language model by name, or its config.json (default: the settings').")
    ] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    budget: Annotated[
        int | None, typer.Option(help="Keys that a query sees at most, chosen ones (default: all).")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Write the tables into this folder; a stopped run goes on.")
    ] = Path("out/serve-profile"),
    json_: Json = False,
) -> None:
    """Time a model's attention and products for LLMServingSim, whose scheduler then gives latency and throughput.

    Each row is a simulation: of attention on one machine, of all other layers on another.
    Settings: `hwsim schema serve-profile`.

    Example: hwsim serve-profile smollm2-135m --set decodes=[1,8] --set contexts=[512,2048]
    """
    from rich.table import Table

    from hwsim.serving.bundle import falling, not_timed, step_rows, timed, write_bundle
    from hwsim.serving.settings import ServeProfile

    settings = load(ServeProfile, config, set_, model=model, budget=budget, options={"model": "MODEL"})
    with quick_numba(), ticking("serve-profile") as tick:
        times = timed(settings, out, tick)
    paths = write_bundle(settings, times, out)
    _, shape = settings.config()
    steps, down = step_rows(settings, shape, times), falling(settings, times)
    if json_:
        print_json({
            "steps": steps, "not_timed": not_timed(settings), "files": paths,
            "falling": [[a._asdict(), b._asdict()] for a, b in down],
        })  # fmt: skip
        return
    where = f"attention on {settings.attention.machine}, the rest on {settings.products.machine}"
    table = Table(title=f"{shape.name}: a token more of every sequence, {where}", title_justify="left")
    for title in ("sequences", "tokens in each cache", "attention", "other layers", "step", "tokens/s"):
        table.add_column(title, justify="right")
    for row in steps:
        table.add_row(
            f"{row['sequences']:,}", f"{row['context']:,}", f"{row['attention_ms']:,.3f} ms",
            f"{row['products_ms']:,.3f} ms", f"{row['step_ms']:,.3f} ms", f"{row['tokens_per_s']:,.1f}",
        )  # fmt: skip
    show(table)
    typer.echo(f"not in these times: {'; '.join(not_timed(settings))}")
    for less, more in down:
        typer.echo(f"takes longer than a step with more: {less._asdict()} than {more._asdict()}")
    made(paths)
