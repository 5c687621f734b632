# SPDX-License-Identifier: Apache-2.0
"""What a study's pruned models cost on every machine that runs a network, in each phase of a language model."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dataflow.networks.hf_config import language_model
from dataflow.networks.network import Conv, Linear, Network
from dataflow.pruned import PrunedFolder
from hwsim.core.machine import Machine, every

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


def machine_rows(
    cells: Mapping[str, Any], config: Mapping[str, Any], tick: Callable[[str], None] = lambda text: None
) -> list[dict[str, Any]]:
    """A row a cell, machine and phase: cycles and joules, over the dense model's, and why layers run dense.

    Args:
        cells: `algorithms.pruning.study.Cell` by name.
        config: the model's configuration, as a ``config.json``.
    """
    machines = [kind for kind in every() if kind.workload_field == "network" and hasattr(kind.Run, "workload")]
    known: dict[tuple[str, str, str], tuple[int, float, str, str]] = {}
    rows = []
    for name, cell in cells.items():
        for kind in machines:
            for what, settings in SETTINGS:
                network = language_model(dict(config), cell.config.model, cell.config.model).network(
                    settings["phase"], settings["context"]
                )
                patterns = _patterns(cell, network)
                results = []
                for chosen in ({}, patterns):
                    key = (kind.name, what, json.dumps(chosen, sort_keys=True))
                    if key not in known:
                        tick(f"{kind.name}, {what}: {cell.config.pattern}")
                        known[key] = _run(kind, network, settings, chosen)
                    results.append(known[key])
                (cycles, joules, _, _), (mine, spent, why, most) = results
                own = next((r for r in cell.machines if (r["machine"], r["phase"]) == (kind.name, what)), None)
                if own is not None:
                    mine, spent, most = own["cycles"], own["energy_j"], own["most"]
                    whole = ":" not in cell.config.pattern and not own["by_tile"]
                    why = f"{cell.config.pattern}: every layer is dense here" if whole else ""
                elif not patterns:
                    why = f"{cell.config.pattern}: no N:M pattern, and its masks were not kept: every layer dense"
                rows.append({
                    "cell": name, "machine": kind.name, "phase": what, "cycles": mine, "energy_j": spent,
                    "dense_cycles": cycles, "dense_energy_j": joules, "speedup": cycles / mine,
                    "energy_ratio": joules / spent if spent else None,
                    "most": most, "why_dense": why,
                    "by_tile": own["by_tile"] if own is not None else 0,
                })  # fmt: skip
    return rows


def masked_rows(folder: Path) -> list[dict[str, Any]]:
    """What each machine makes of a pruned model's folder in each phase: cycles, joules, and on what; of a model that is
    no language model beside those of the dense one."""
    rows = []
    others = PrunedFolder.read(folder).model.config is None
    for kind in every():
        if kind.workload_field != "network" or not hasattr(kind.Run, "workload"):
            continue
        for what, settings in OTHERS if others else SETTINGS:
            run = {**settings, "network": str(folder)}
            with warnings.catch_warnings(action="ignore"):
                result = kind.simulate(kind.settings(run))
                dense = kind.simulate(kind.settings({**run, "method": "dense", "pattern": "dense"})) if others else None
            energy = result.table_energy()
            causes = [str(r["dense_cause"]) for r in result.records if r.get("dense_cause") and r["phase"] == "FF"]
            by_tile = sum("by tile" in str(r.get("pattern", "")) for r in result.records)
            rows.append({
                "machine": kind.name, "phase": what, "cycles": result.cycles,
                "energy_j": energy.total if energy else 0.0, "most": _most(result), "by_tile": by_tile,
                "dense_causes": len(causes), **_beside(dense),
            })  # fmt: skip
    return rows


def _beside(dense: Any) -> dict[str, Any]:
    """Figures of the dense model, where it was run."""
    if dense is None:
        return {}
    energy = dense.table_energy()
    return {"dense_cycles": dense.cycles, "dense_energy_j": energy.total if energy else 0.0}


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


def _run(
    kind: type[Machine], network: Network, settings: Mapping[str, Any], patterns: Mapping[str, str]
) -> tuple[int, float, str, str]:
    """Cycles, joules, why layers that have a pattern run dense, and what most cycles are spent on."""
    layers = tuple(
        layer.model_copy(update={"sparsity": patterns[layer.name]}) if layer.name in patterns else layer
        for layer in network.layers
    )
    passes = {} if settings["phase"] == "training" else {"passes": ["FF"]}
    method = {"method": "masked", "pattern": "1:2"} if patterns else {"method": "dense", "pattern": "dense"}
    skip = {"skip": ["head"]} if patterns else {}
    run = kind.settings({**settings, **passes, **method, **skip})
    with warnings.catch_warnings(action="ignore"):
        result = kind.simulate(run, workload=network.model_copy(update={"layers": layers}))
    energy = result.table_energy()
    causes = [
        str(row["dense_cause"])
        for row in result.records
        if row["layer"] in patterns and row["phase"] == "FF" and row.get("dense_cause")
    ]
    why = "; ".join(dict.fromkeys(causes))
    return result.cycles, energy.total if energy else 0.0, why, _most(result)
