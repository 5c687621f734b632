# SPDX-License-Identifier: Apache-2.0
"""``hwsim cache``: what keeping or reading a part of a language model's cache costs, and what it saves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hwsim.core.command import ConfigFile, Json, Out, Sets, load, made, print_json, show, si, words


def cache(
    model: Annotated[str | None, typer.Option(help="Name from `hwsim models` (default: smollm2-135m).")] = None,
    method: Annotated[
        str | None, typer.Option(help="Cache methods from `hwsim methods`, separated by commas (default: all).")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Tokens kept or read, one number or several by commas (default: 128).")
    ] = None,
    context: Annotated[int | None, typer.Option(help="Tokens of a prompt (default: 768).")] = None,
    tokens: Annotated[int | None, typer.Option(help="Tokens behind it (default: 32; of a trace 2).")] = None,
    windows: Annotated[int | None, typer.Option(help="Held-out texts to measure on (default: 2).")] = None,
    needles: Annotated[
        int | None, typer.Option(help="Prompts with a planted number that is asked for (default: 0).")
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="Only write one method's tokens as a trace into this folder, for a machine (default: none)."),
    ] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Keep or read a part of a language model's keys and values: loss on held-out text, bytes and products, beside
    the whole cache and controls.

    Example: hwsim cache --method quest --budget 256
    """
    from algorithms.kv_cache.config import CacheConfig

    flags: dict[str, Any] = {"model": model, "method": words(method), "budget": words(budget), "context": context,
                             "tokens": tokens, "windows": windows, "needles": needles}  # fmt: skip
    base = {"tokens": 2} if trace is not None else {}
    settings = load(CacheConfig, config, set_, base, **flags)
    from algorithms.kv_cache import run
    from algorithms.training.train import use_one_thread
    from hwsim.core.command import progress

    use_one_thread()
    if trace is not None:
        run.trace(settings, trace)
        if not json_:
            made([trace / "meta.json"])
        return
    total = (len(run.entries(settings)) + 1) * -(-settings.windows // 2)
    with progress() as bar:
        task = bar.add_task("cache", total=total)
        found = run.compare(settings, lambda name: bar.update(task, advance=1, description=name))
    tables = {name: rows for name, rows in found.items() if name != "facts"}
    if json_:
        print_json({"settings": settings.facts(), **found})
    else:
        _show(settings, tables)
    if out is not None:
        from hwsim.core.study import StudyTables

        meta = {"title": f"The cache of {settings.model}", "settings": settings.facts(), **found["facts"]}
        StudyTables(meta, tables).write(out)
        if not json_:
            made([out / f"{name}.csv" for name in tables])


def _show(settings: Any, tables: dict[str, list[dict[str, Any]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{settings.model}: {settings.windows} x {settings.tokens} tokens behind prompts of {settings.context:,}"
    table = Table(title=title, title_justify="left")
    for column in ("method", "setting"):
        table.add_column(column, no_wrap=True)
    for column in ("nats a token", "above whole", "+-", "KV bytes", "choosing", "reads", "KV MACs", "choosing"):
        table.add_column(column, justify="right")
    for r in tables["cache"]:
        loss = [f"{r[k]:.3f}" for k in ("nll", "delta", "error")] if "nll" in r else ["", "", ""]
        table.add_row(
            r["method"], r["setting"], *loss, si(r["kv_bytes"], "B"), si(r["selection_bytes"], "B"),
            f"{r['reads']:.0%}", si(r["kv_macs"]), si(r["selection_macs"]),
        )  # fmt: skip
    shown = [table]
    if "needles" in tables:
        found = Table(title=f"Planted numbers found, prompts of {settings.context:,} tokens", title_justify="left")
        for column in ("method", "setting", "found"):
            found.add_column(column)
        for r in tables["needles"]:
            found.add_row(r["method"], r["setting"], f"{r['found']:.0%} of {r['needles']}")
        shown.append(found)
    show(*shown)
    Console().print(
        "of a token and sequence, all layers, what is read: keys and values, and what choosing takes; reads: bytes of "
        "both over the whole cache's; +-: standard error over the texts; no loss: the method needs training",
        highlight=False,
    )
