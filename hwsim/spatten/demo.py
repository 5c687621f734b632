# SPDX-License-Identifier: Apache-2.0
"""SpAtten's part of ``hwsim demo``: a real model's attention, pruned, and larger models on the machine."""

from __future__ import annotations

from hwsim.core.demo import Demo

from .run import SpattenStudy
from .study import study_tables


def demo(context: Demo) -> None:
    """Adds the study, with a trace of a real model and a picture of what pruning leaves, to the page."""
    context.step("Prune", "a transformer's attention, and run it and larger ones on SpAtten, cycle by cycle")
    folder = context.folder / "attention"
    words = context.attention_trace(folder)
    settings = SpattenStudy()
    settings = settings.model_copy(update={"workloads": (*settings.workloads, str(folder))})
    study = study_tables(settings, context.tick)
    if words:
        study.tables["words"] = words
    for row in study.tables["attention"]:
        context.say(f"   {row['workload']}: {row['dram_ratio']:.1f}x less DRAM traffic, "
                    f"{row['speedup']:.2f}x as fast as dense")  # fmt: skip
    context.add(study)
