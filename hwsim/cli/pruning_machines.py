# SPDX-License-Identifier: Apache-2.0
"""What a study's pruned models cost on every machine that runs a network, in each phase of a language model."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataflow.errors import InputError
from dataflow.networks.hf_config import language_model
from dataflow.networks.network import Conv, Linear, Network
from dataflow.pruned import PrunedFolder
from hwsim.core.explain import with_more
from hwsim.core.machine import Machine, every
from hwsim.core.result import Result

SETTINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("prefill", {"phase": "prefill", "context": 512, "batch": 1}),
    ("decode, batch 1", {"phase": "decode", "context": 512, "batch": 1}),
    ("decode, batch 64", {"phase": "decode", "context": 512, "batch": 64}),
    ("training", {"phase": "training", "context": 256, "batch": 8}),
)
"""What is simulated: its name on the page, and the run's settings."""
OTHERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("inference, batch 1", {"passes": ["FF"], "batch": 1}),
    ("inference, batch 64", {"passes": ["FF"], "batch": 64}),
    ("training", {"batch": 64}),
)
"""The same of a model that is no language model."""


FACTOR = 4
"""Of a resource there is so much more where it is tried as the cause."""


@dataclass(frozen=True)
class Job:
    """A model on a machine in a phase, pruned or dense: what to simulate, and that with more of a resource too."""

    kind: type[Machine]
    run: Any
    network: Network | None = None
    """None: the settings name it."""

    def result(self, resource: str = "") -> Result:
        """The run; with `FACTOR` times a resource where one is named.

        Raises:
            InputError: the machine cannot have so much of it.
        """
        run = with_more(self.kind, self.run, resource, FACTOR) if resource else self.run
        with warnings.catch_warnings(action="ignore"):
            return self.kind.simulate(run, workload=self.network)


def figures(result: Result) -> dict[str, Any]:
    """Of a run: cycles, joules (0: none are counted), what most cycles are spent on."""
    energy = result.table_energy()
    return {"cycles": result.cycles, "energy_j": energy.total if energy else 0.0, "most": _most(result)}


def cause(pruned: Job, dense: Job) -> str:
    """Why a pruned model takes no fewer cycles, or no less energy, than the dense one: what simulations say.

    Cycles: of the resources of the machine the one of which `FACTOR` times as much, for both models, makes the pruned
    one the fastest beside the dense one. Energy: the fewest components without whose increase it would be less.
    """
    mine, other = pruned.result(), dense.result()
    spent, before = mine.table_energy(), other.table_energy()
    same_energy = spent is None or before is None or spent.total == before.total
    if mine.cycles == other.cycles and same_energy:
        pruned_layers = (
            {layer.name for layer in pruned.network.layers if _has_pattern(layer)} if pruned.network else None
        )
        layers = dict.fromkeys(
            str(r["dense_cause"])
            for r in mine.records
            if r.get("dense_cause") and r["phase"] == "FF" and (pruned_layers is None or r["layer"] in pruned_layers)
        )
        told = [text for text in layers if text != "dense method"]  # of a machine without a format for the masks
        return "runs as the dense model" + (f": {'; '.join(told)}" if told else "")
    said = []
    if mine.cycles >= other.cycles:
        said.append(_slower(pruned, dense))
    if spent is not None and before is not None and spent.total >= before.total:
        said.append(_hungrier(mine.COMPONENTS, spent.components, before.components))
    return "; ".join(said)


def _has_pattern(layer: Any) -> bool:
    """Whether a layer has weights that were pruned."""
    return isinstance(layer, Conv | Linear) and layer.sparsity is not None


def _slower(pruned: Job, dense: Job) -> str:
    tried = {}
    for name in pruned.kind.growing(pruned.run):
        try:
            tried[name] = dense.result(name).seconds / pruned.result(name).seconds
        except InputError:
            continue
    if not tried:
        return "cycles: no resource of it can grow"
    best = max(tried, key=tried.__getitem__)
    if tried[best] > 1:
        return f"cycles: {best} (with {FACTOR} times as much speed {tried[best]:.2f})"
    return f"cycles: no resource alone ({FACTOR} times the best, {best}: speed {tried[best]:.2f})"


def _hungrier(words: Mapping[str, str], mine: Mapping[str, float], before: Mapping[str, float]) -> str:
    """The components that grew most, as many as make the difference; what is left is less than the dense model's."""
    grew = sorted(((mine[name] - before.get(name, 0.0), name) for name in mine), reverse=True)
    total, was, named = sum(mine.values()), sum(before.values()), []
    for more, name in grew:
        if total < was or more <= 0:
            break
        total -= more
        named.append(f"{words.get(name, name)} {mine[name] / before[name]:.2f} times" if before.get(name) else name)
    return f"energy: {', '.join(named)} (without that growth {total / was:.3f} of the dense model's)"


def machine_rows(
    cells: Mapping[str, Any], config: Mapping[str, Any], tick: Callable[[str], None] = lambda text: None
) -> list[dict[str, Any]]:
    """A row a cell, machine and phase: cycles and joules, over the dense model's, and why they are no fewer.

    A cell of masks that are no N:M pattern, or of wrapped layers, has no row on a machine of which no costs were stored
    with it: neither is kept.

    Args:
        cells: `algorithms.pruning.study.Cell` by name.
        config: the model's configuration, as a ``config.json``.
    """
    machines = [kind for kind in every() if kind.workload_field == "network" and hasattr(kind.Run, "workload")]
    known: dict[tuple[str, str, str], dict[str, Any]] = {}
    rows = []
    for name, cell in cells.items():
        for kind in machines:
            for what, settings in SETTINGS:
                network = language_model(dict(config), cell.config.model, cell.config.model).network(
                    settings["phase"], settings["context"]
                )
                patterns = _patterns(cell, network)
                own = next((r for r in cell.machines if (r["machine"], r["phase"]) == (kind.name, what)), None)
                if own is None and (cell.machines or not patterns):
                    continue  # of masks or wrappers that are not kept
                dense = _job(kind, network, settings, {})
                key = (kind.name, what, "")
                if key not in known:
                    tick(f"{kind.name}, {what}: dense")
                    known[key] = figures(dense.result())
                before = known[key]
                if own is None:
                    key = (kind.name, what, json.dumps(patterns, sort_keys=True))
                    if key not in known:
                        tick(f"{kind.name}, {what}: {cell.config.pattern}")
                        job = _job(kind, network, settings, patterns)
                        known[key] = figures(job.result())
                        known[key]["why"] = cause(job, dense) if no_gain(known[key], before) else ""
                    own = known[key]
                rows.append({
                    "cell": name, "machine": kind.name, "phase": what, "cycles": own["cycles"],
                    "energy_j": own["energy_j"], "dense_cycles": before["cycles"], "dense_energy_j": before["energy_j"],
                    **beside(own, before), "most": own["most"], "why": own.get("why", ""),
                    "by_tile": own.get("by_tile", 0),
                })  # fmt: skip
    return rows


def no_gain(mine: Mapping[str, Any], dense: Mapping[str, Any]) -> bool:
    """Whether a pruned model takes as many cycles as the dense one or more, or as much energy."""
    return bool(mine["cycles"] >= dense["cycles"] or (mine["energy_j"] and mine["energy_j"] >= dense["energy_j"]))


def beside(mine: Mapping[str, Any], dense: Mapping[str, Any]) -> dict[str, Any]:
    """Speed and energy: the dense model's over the pruned one's."""
    return {
        "speedup": dense["cycles"] / mine["cycles"],
        "energy_ratio": dense["energy_j"] / mine["energy_j"] if mine["energy_j"] else None,
    }


def masked_rows(folder: Path) -> list[dict[str, Any]]:
    """What each machine makes of a pruned model's folder in each phase: cycles, joules, and on what, beside those of
    the dense one; where they are no fewer, why."""
    rows = []
    others = PrunedFolder.read(folder).model.config is None
    for kind in every():
        if kind.workload_field != "network" or not hasattr(kind.Run, "workload"):
            continue
        for what, settings in OTHERS if others else SETTINGS:
            run = {**settings, "network": str(folder)}
            job = Job(kind, kind.settings(run))
            dense = Job(kind, kind.settings({**run, "method": "dense", "pattern": "dense"}))
            result = job.result()
            mine, before = figures(result), figures(dense.result())
            causes = [str(r["dense_cause"]) for r in result.records if r.get("dense_cause") and r["phase"] == "FF"]
            rows.append({
                "machine": kind.name, "phase": what, **mine,
                "by_tile": sum("by tile" in str(r.get("pattern", "")) for r in result.records),
                "dense_causes": len(causes), "dense_cycles": before["cycles"], "dense_energy_j": before["energy_j"],
                "why": cause(job, dense) if no_gain(mine, before) else "",
            })  # fmt: skip
    return rows


def _most(result: Any) -> str:
    """What most cycles are spent on."""
    cause = max(result.causes, key=lambda name: result.causes[name])
    return f"{result.causes[cause] / max(result.cycles, 1):.0%} of its cycles: {result.CAUSES.get(cause, cause)}"


def _patterns(cell: Any, network: Network) -> dict[str, str]:
    """By layer the N:M pattern that it has in a cell; head and layers that were left dense have none."""
    own = cell.patterns
    pruned = [layer.name for layer in network.layers if isinstance(layer, Conv | Linear) and layer.name != "head"]
    found = {name: own.get(name, cell.config.pattern) for name in pruned}
    return {name: pattern for name, pattern in found.items() if ":" in pattern}


def _job(kind: type[Machine], network: Network, settings: Mapping[str, Any], patterns: Mapping[str, str]) -> Job:
    """A language model with a pattern of its own in the layers that have one; none: dense."""
    layers = tuple(
        layer.model_copy(update={"sparsity": patterns[layer.name]}) if layer.name in patterns else layer
        for layer in network.layers
    )
    passes = {} if settings["phase"] == "training" else {"passes": ["FF"]}
    method = {"method": "masked", "pattern": "1:2"} if patterns else {"method": "dense", "pattern": "dense"}
    skip = {"skip": ["head"]} if patterns else {}
    run = kind.settings({**settings, **passes, **method, **skip})
    return Job(kind, run, network.model_copy(update={"layers": layers}))
