# SPDX-License-Identifier: Apache-2.0
"""``hwsim train``: N:M training on real data, with traces; ``--full``: the study of all methods."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import ConfigFile, Json, Out, Sets, load, made, print_json, show


def train(
    task: Annotated[str | None, typer.Argument(help="digits-cnn (default), digits-mlp, digits-vit or char-lm.")] = None,
    nm: Annotated[str | None, typer.Option(help="N:M pattern, N of M weights not 0, or dense (default: 2:8).")] = None,
    method: Annotated[
        str | None, typer.Option(help="N:M training method (default: bdwp; an unknown name lists all).")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps (default: 230).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and batches (default: 0).")] = None,
    trace: Annotated[
        str | None,
        typer.Option(
            help="Optimizer steps whose tensors are stored, separated by commas, as in 0,100 (default: none)."
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Every method, 2:4 to 2:16, three seeds, three tasks (over an hour; default folder out/accuracy).",
        ),
    ] = False,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Train a small network N:M sparse on real data; --out stores result and trace, and a stopped run goes on.

    Example: hwsim train digits-cnn --nm 2:8 --steps 100 --trace 0,99 --out out/train
    """
    if full:
        if any(v is not None for v in (task, nm, method, steps, seed, trace, config)) or set_:
            raise InputError("--full: its settings are fixed; only --out and --json go with it")
        _full(out or Path("out/accuracy"), json_)
        return
    from algorithms.training.config import TrainConfig

    flags: dict[str, Any] = {"task": task, "pattern": nm, "method": method, "steps": steps, "seed": seed}
    if trace is not None:
        flags["trace_steps"] = [s.strip() for s in trace.split(",")]
    settings = load(TrainConfig, config, set_, options={"pattern": "--nm", "trace_steps": "--trace"}, **flags)
    result = run_training(settings, out)
    if json_:
        print_json({k: v for k, v in result.items() if k != "loss"})
        return
    _show(result)
    if out is not None:
        made([out / "training.json"] + ([out / "trace" / "meta.json"] if settings.trace_steps else []))


def run_training(settings: Any, out: Path | None) -> dict[str, Any]:
    """Train with a progress bar."""
    from algorithms.training.train import train as train_task
    from algorithms.training.train import use_one_thread
    from hwsim.core.command import progress

    use_one_thread()
    with progress() as bar:
        task = bar.add_task(f"{settings.task} {settings.method}", total=settings.steps, visible=False)

        def tick(step: int, loss: float) -> None:
            text = f"{settings.task} {settings.method} loss {loss:.3f}"
            bar.update(task, completed=step, description=text, visible=True)

        return train_task(settings, out, tick)


def _show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    c = result["config"]
    table = Table("layer", "weights not 0 in FF", "weights not 0 in BP", "why dense")
    for layer in result["layers"]:
        densities = (f"{layer['ff_density']:.1%}", f"{layer['bp_density']:.1%}")
        table.add_row(layer["name"], *densities, layer["dense_cause"] or "")
    console = Console()
    show(table)
    figures = ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in result["test"].items())
    console.print(f"{c['task']}, {c['method']} {c['pattern']}, seed {c['seed']}: on test data {figures}")


def _full(out: Path, json_: bool) -> None:
    import platform

    from algorithms.accuracy.training import SETTINGS, full_runs, full_study
    from algorithms.training.tracing import versions
    from algorithms.training.train import task_network, use_one_thread
    from dataflow.importers.network_files import write_network_yaml
    from hwsim.core.command import progress
    from hwsim.core.study import StudyTables
    from hwsim.core.version import facts

    use_one_thread()
    runs = list(full_runs())
    with progress() as bar:
        task = bar.add_task("train --full", total=len(runs))
        rows = full_study(out, lambda text: bar.update(task, advance=1, description=text))
    first: dict[str, Any] = {c.task: c for c in reversed(runs)}
    for name in SETTINGS:
        write_network_yaml(task_network(first[name]), out / "networks" / f"{name}.yaml")
    meta = {
        "title": "N:M training: accuracy",
        "command": "hwsim train --full",
        "settings": SETTINGS,
        "versions": {**versions(), "platform": platform.platform()},
        **facts(),
    }
    StudyTables(meta, {"accuracy": rows}).write(out)
    if json_:
        print_json(rows)
    else:
        made([out / "accuracy.csv", out / "meta.json"])
