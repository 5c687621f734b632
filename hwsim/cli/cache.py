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
    context: Annotated[
        str | None, typer.Option(help="Tokens of a prompt, one number or several by commas (default: 768).")
    ] = None,
    tokens: Annotated[int | None, typer.Option(help="Tokens behind it (default: 32; of a trace 2).")] = None,
    windows: Annotated[int | None, typer.Option(help="Held-out texts of a seed to measure on (default: 2).")] = None,
    needles: Annotated[
        int | None, typer.Option(help="Prompts of a seed with a planted number that is asked for (default: 0).")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="How often texts and numbers are drawn, for the spread (default: 1).")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keeps what was measured; what it has is not measured again (default: none).",
        ),
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

    flags: dict[str, Any] = {"model": model, "method": words(method), "budget": words(budget),
                             "context": words(context), "tokens": tokens, "windows": windows, "needles": needles,
                             "seeds": seeds}  # fmt: skip
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
    groups = len(settings.context) * settings.seeds
    total = groups * ((len(run.entries(settings)) + 1) * -(-settings.windows // 2) + settings.needles)
    with progress() as bar:
        task = bar.add_task("cache", total=total)
        found = run.compare(settings, lambda name: bar.update(task, advance=1, description=name), store)
    facts = {"held_out_sha256": run.text_digest()}
    if json_:
        print_json({"settings": settings.facts(), **found, "facts": facts})
    else:
        _show(settings, found)
    if out is not None:
        from hwsim.core.study import StudyTables
        from hwsim.core.version import facts as version
        from reports.cache_page import write_cache

        meta = {"title": f"The cache of {settings.model}", "settings": settings.facts(), "command": _command(settings),
                **facts, **version()}  # fmt: skip
        paths = write_cache(StudyTables(meta, found), out)
        if not json_:
            made([p for p in paths if p.suffix in (".html", ".md")])


def _command(settings: Any) -> str:
    """The command that gives the same figures."""
    usual = type(settings)()
    changed = {
        k: getattr(settings, k) for k in type(settings).model_fields if getattr(settings, k) != getattr(usual, k)
    }
    options = changed.pop("options", {})
    told = [f"--{k} {','.join(map(str, v)) if isinstance(v, tuple) else v}" for k, v in changed.items()
              if k != "element_bytes"]  # fmt: skip
    told += [f"--set options.{k}={v}" for k, v in options.items()]
    told += [f"--set element_bytes={changed['element_bytes']}"] if "element_bytes" in changed else []
    return " ".join(["hwsim cache", *told, "--out DIR"])


def _show(settings: Any, tables: dict[str, list[dict[str, Any]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = []
    for context in settings.context:
        shown.append(_losses(settings, context, [r for r in tables["cache"] if r["context"] == context]))
        if "needles" in tables:
            found = Table(title=f"Planted numbers found, prompts of {context:,} tokens", title_justify="left")
            for column in ("method", "setting", "found"):
                found.add_column(column)
            for r in tables["needles"]:
                if r["context"] == context:
                    found.add_row(r["method"], r["setting"], f"{r['found']:.0%} of {r['needles']}")
            shown.append(found)
    show(*shown)
    Console().print(
        "of a token and sequence, all layers, what is read: keys and values, and what choosing takes; reads: bytes of "
        "both over the whole cache's; +-: standard error over the texts; no loss: the method needs training",
        highlight=False,
    )


def _losses(settings: Any, context: int, rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    count = settings.seeds * settings.windows
    title = f"{settings.model}: {count} x {settings.tokens} tokens behind prompts of {context:,}"
    table = Table(title=title, title_justify="left")
    for column in ("method", "setting"):
        table.add_column(column, no_wrap=True)
    for column in ("nats a token", "above whole", "+-", "KV bytes", "choosing", "reads", "KV MACs", "choosing"):
        table.add_column(column, justify="right")
    for r in rows:
        loss = [f"{r[k]:.3f}" for k in ("nll", "delta", "error")] if "nll" in r else ["", "", ""]
        table.add_row(
            r["method"], r["setting"], *loss, si(r["kv_bytes"], "B"), si(r["selection_bytes"], "B"),
            f"{r['reads']:.0%}", si(r["kv_macs"]), si(r["selection_macs"]),
        )  # fmt: skip
    return table
