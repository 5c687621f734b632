# SPDX-License-Identifier: Apache-2.0
"""``hwsim demo``: train, trace, replay, simulate, report; the whole of the workbench in a few minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import ConfigFile, Json, Sets, load, made, print_json, ticking


def demo(
    pattern: Annotated[str, typer.Option("--nm", help="N:M pattern of the small network that is trained.")] = "2:8",
    config: ConfigFile = None,
    set_: Sets = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Write results into this folder.")] = Path(
        "out/demo"
    ),
    json_: Json = False,
) -> None:
    """Every machine's demonstration: train, trace, replay, prune, simulate; then the report.

    Settings (--config, --set) are those of `hwsim report`: another machine, another batch. A stopped demo goes on.

    Example: hwsim demo --nm 2:4
    """
    from rich.console import Console

    from dataflow.pattern import NM
    from hwsim.core.demo import Demo
    from hwsim.core.machine import every
    from reports.report import write_report

    nm = NM.parse(pattern)
    if nm.is_dense:
        raise InputError("--nm dense: the demo compares an N:M pattern with dense")
    with ticking("demo") as tick:
        context = Demo(
            out, Console(stderr=json_).print, tick, str(nm), lambda kind: load(kind, config, set_), _train,
            lambda folder: _attention_trace(folder, out / "train" / "char-lm"), show=not json_,
        )  # fmt: skip
        shown = []
        for kind in every():
            if kind.demo(context):
                shown.append(kind.title.partition(":")[0])
        context.tables.meta["title"] = f"{' and '.join(shown)}, simulated"
        context.step("Report", ": where the difference to the ideal goes, layer by layer and technique by technique")
        paths = write_report(context.tables, out)
    if json_:
        print_json([str(p) for p in paths])
    else:
        made([p for p in paths if p.suffix in (".html", ".md")])
    if context.failed:
        raise typer.Exit(1)


def _train(folder: Path, **settings: Any) -> Any:
    from algorithms.training.config import TrainConfig
    from algorithms.training.train import task_network
    from hwsim.core.demo import Trained

    from .train import run_training

    config = TrainConfig(**settings)
    return Trained(run_training(config, folder), task_network(config))


def _attention_trace(folder: Path, model: Path) -> list[dict[str, Any]]:
    from algorithms.attention import minilm

    from .attention import SENTENCE, words_left, write_trace

    real = minilm.folder() is not None
    text = " ".join(text for _, text in minilm.docstrings()[:6])[:1000] if real else ""
    write_trace(real, folder, text, 0.4, 50, model)
    return words_left(SENTENCE, 0.4) if real else []
