# SPDX-License-Identifier: Apache-2.0
"""``hwsim demo``: train, trace, replay, simulate, report; the whole of the workbench in a few minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.study import StudyTables

from .common import ConfigFile, Json, Out, Sets, load, made, print_json


def demo(
    pattern: Annotated[str, typer.Option("--nm", help="N:M pattern that the small network is trained with.")] = "2:8",
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Both machines: train with BDWP and replay it on SAT; prune a model's attention and run it on SpAtten; the report.

    Settings (--config, --set) are those of `hwsim report`: another machine, another batch. A stopped demo goes on.
    """
    from rich.console import Console

    from algorithms.training.config import TrainConfig
    from algorithms.training.train import task_network
    from dataflow.pattern import NM
    from dataflow.training.trace import Trace
    from hwsim.sat.replay import replay
    from hwsim.sat.run import SatStudy
    from reports.report import write_report

    from .sat import show_replay
    from .studies import progress, run_study
    from .train import run_training

    target = out or Path("out/demo")
    say = Console(stderr=json_).print
    nm = NM.parse(pattern)
    if nm.is_dense:
        raise InputError("--nm dense: the demo compares an N:M pattern with dense")
    settings = load(SatStudy, config, set_)

    say("[bold]1. Train[/bold] a small CNN on handwritten digits, dense and with BDWP", str(nm))
    dense = TrainConfig(task="digits-cnn", method="dense", pattern="dense")
    bdwp = TrainConfig(
        task="digits-cnn", method="bdwp", pattern=str(nm), trace_steps=(0, 229), trace_layers=("convs.1", "convs.3")
    )
    results = [run_training(c, target / "train" / c.method) for c in (dense, bdwp)]
    for c, result in zip((dense, bdwp), results, strict=True):
        name = "dense" if c is dense else f"BDWP {nm}"
        say(f"   {name}: held-out accuracy {result['test']['accuracy']:.2%}")

    say("[bold]2. Replay[/bold] its weights and gradients through SAT's units, clock by clock")
    trace = Trace.read(target / "train" / "bdwp" / "trace")
    trace.check()
    with progress() as bar:
        task = bar.add_task("replay", total=None)
        replayed = replay(trace, settings.machine, lambda text: bar.update(task, advance=1, description=text))
    if not json_:
        show_replay(replayed)

    say("[bold]3. Simulate[/bold] training steps of the paper's five networks and of this one")
    tables = run_study(settings, extra=[task_network(bdwp)])
    tables.tables["replay"] = [row.as_dict() for row in replayed]
    tables.tables["training"] = _curves(results)

    for row in tables.tables["speedup"]:
        if row["network"] == "mean":
            say(f"   BDWP {row['pattern']}: {row['speedup']:.3f}x, mean of five (ideal {row['ideal_speedup']:.2f}x)")

    say("[bold]4. Prune[/bold] a transformer's attention, and run it and larger ones on SpAtten, cycle by cycle")
    spatten = _spatten(target)
    tables.tables |= spatten.tables
    tables.meta = spatten.meta | tables.meta | {"title": "SAT and SpAtten, simulated"}
    for row in spatten.tables["attention"]:
        say(f"   {row['workload']}: {row['dram_ratio']:.1f}x less DRAM traffic, {row['speedup']:.2f}x as fast as dense")

    say("[bold]5. Report[/bold]: where the difference to the ideal goes, layer by layer and technique by technique")
    paths = write_report(tables, target)
    if json_:
        print_json([str(p) for p in paths])
    else:
        made([p for p in paths if p.suffix in (".html", ".md")])
    if not all(row.agrees for row in replayed):
        raise typer.Exit(1)


def _spatten(target: Path) -> StudyTables:
    """SpAtten's study, with a trace of a real model and a picture of what pruning leaves."""
    from algorithms.attention import minilm
    from hwsim.spatten.run import SpattenStudy

    from .attention import SENTENCE, words_left, write_trace
    from .studies import run_spatten_study

    real = minilm.folder() is not None
    folder = target / "attention"
    text = " ".join(text for _, text in minilm.docstrings()[:6])[:1000] if real else ""
    write_trace(real, folder, text, 0.4, 50, target / "train" / "char-lm")
    settings = SpattenStudy()
    tables = run_spatten_study(settings.model_copy(update={"workloads": (*settings.workloads, str(folder))}))
    if real:
        tables.tables["words"] = words_left(SENTENCE, 0.4)
    return tables


def _curves(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for result in results:
        c = result["config"]
        rows += [
            {"method": c["method"], "pattern": c["pattern"], "step": i, "loss": v} for i, v in enumerate(result["loss"])
        ]
    return rows
