# SPDX-License-Identifier: Apache-2.0
"""SAT's part of ``hwsim demo``: train with BDWP, replay the tensors clock by clock, simulate larger networks."""

from __future__ import annotations

from typing import Any

from dataflow.training.trace import Trace
from hwsim.core.demo import Demo

from .cli import show_replay
from .replay import replay
from .run import SatStudy
from .study import study_tables


def demo(context: Demo) -> None:
    """Adds the study, the replay and the training curves to the page."""
    settings = context.settings(SatStudy)
    nm, folder = context.pattern, context.folder / "train"
    context.step("Train", f"a small CNN on handwritten digits, dense and with BDWP {nm}")
    dense = context.train(folder / "dense", task="digits-cnn", method="dense", pattern="dense")
    sparse = context.train(folder / "bdwp", task="digits-cnn", method="bdwp", pattern=nm, trace_steps=(0, 229),
                           trace_layers=("convs.1", "convs.3"))  # fmt: skip
    for name, trained in (("dense", dense), (f"BDWP {nm}", sparse)):
        context.say(f"   {name}: held-out accuracy {trained.result['test']['accuracy']:.2%}")

    context.step("Replay", "its weights and gradients through SAT's units, clock by clock")
    trace = Trace.read(folder / "bdwp" / "trace")
    trace.check()
    replayed = replay(trace, settings.machine, lambda text: context.tick(f"replay {text}", 0, None))
    context.failed |= not all(row.agrees for row in replayed)
    if context.show:
        show_replay(replayed)

    context.step("Simulate", "training steps of the paper's five networks and of this one")
    study = study_tables(settings, context.tick, [sparse.network])
    study.tables["replay"] = [row.as_dict() for row in replayed]
    study.tables["training"] = [row for trained in (dense, sparse) for row in _curve(trained.result)]
    for row in study.tables["speedup"]:
        if row["network"] == "mean":
            context.say(f"   BDWP {row['pattern']}: {row['speedup']:.3f}x, mean of five "
                        f"(ideal {row['ideal_speedup']:.2f}x)")  # fmt: skip
    context.add(study)


def _curve(result: Any) -> list[dict[str, Any]]:
    c = result["config"]
    return [
        {"method": c["method"], "pattern": c["pattern"], "step": i, "loss": v} for i, v in enumerate(result["loss"])
    ]
