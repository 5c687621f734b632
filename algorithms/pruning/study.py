# SPDX-License-Identifier: Apache-2.0
"""Many pruning runs: cells by a file, each kept as it comes, so that a study that was stopped goes on.

A cell is one `PruneConfig`; its file in the store is called by what differs from the defaults, and holds settings,
figures and the pattern of each layer.
"""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dataflow.errors import InputError
from dataflow.files import read_json, read_yaml, validated, write_text

from .config import PruneConfig

CELL_FORMAT: Literal["hwsim-pruning-cell/1"] = "hwsim-pruning-cell/1"


class Cell(BaseModel):
    """What one run found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["hwsim-pruning-cell/1"] = CELL_FORMAT
    config: PruneConfig
    dense: dict[str, Any]
    quality: dict[str, Any]
    density: float = Field(description="share kept of the weights in prunable layers")
    kinds: dict[str, float] = Field(description="mean relative output error by kind of layer")
    patterns: dict[str, str] = Field({}, description="of layers that do not have the cell's")
    allocation: dict[str, Any] = Field({}, description="budget, what was spent, losses")
    machines: list[dict[str, Any]] = Field(
        [],
        description="of masks that are no N:M pattern, and of wrapped layers, which a cell does not keep, and of a "
        "model that is no language model: what machines made of them",
    )
    control: dict[str, Any] = Field({}, description="figures of a small dense network, of models trained here")
    seconds: float
    cpu_seconds: float
    facts: dict[str, Any] = Field(description="digests of data, versions")


def read_cells(path: Path) -> list[PruneConfig]:
    """The cells of a file: a list of settings of which any may be a list; all combinations, each once.

    Raises:
        InputError: no such list, or settings that are wrong.
    """
    data = read_yaml(path)
    if not isinstance(data, list) or not data:
        raise InputError(f"{path}: expected a list of settings of hwsim prune")
    found: dict[str, PruneConfig] = {}
    for number, entry in enumerate(data):
        where = f"{path}: entry {number + 1}"
        if not isinstance(entry, dict):
            raise InputError(f"{where}: expected settings of hwsim prune, found {type(entry).__name__}")
        lists = {key: value if isinstance(value, list) and key != "levels" else [value] for key, value in entry.items()}
        for values in itertools.product(*lists.values()):
            config = validated(PruneConfig, dict(zip(lists, values, strict=True)), where)
            found[cell_name(config)] = config
    return list(found.values())


def cell_name(config: PruneConfig) -> str:
    """A cell's name, also of its file: model, method, pattern, seed, and what else is not the default."""
    parts = [config.model, config.method, config.pattern, f"seed{config.seed}"]
    for key, field in PruneConfig.model_fields.items():
        value = getattr(config, key)
        if key not in ("model", "method", "pattern", "seed") and value != field.get_default():
            parts.append(f"{key}-{value}")
    return re.sub(r"[^\w.%=,-]+", "_", " ".join(parts)).replace("%", "pc")


def read_cell(path: Path) -> Cell:
    """A cell of a store.

    Raises:
        InputError: broken, or of another version.
    """
    data = read_json(path)
    if not isinstance(data, dict) or data.get("format") != CELL_FORMAT:
        raise InputError(f"{path}: field format: not a cell of this version ({CELL_FORMAT}); remove it to run it again")
    return validated(Cell, data, str(path))


def fill(
    store: Path,
    wanted: Sequence[PruneConfig],
    *,
    again: Sequence[str] = (),
    tick: Callable[[str], None] = lambda text: None,
    costs: Callable[[str], Any] = lambda budget: None,
    machines: Callable[[Path], list[dict[str, Any]]] = lambda folder: [],
) -> dict[str, Cell]:
    """Run what the store does not have.

    Args:
        again: names of cells that are run although the store has them.
        costs: costs of layers by the text of a budget, see `algorithms.pruning.run.run`.
        machines: rows of what machines make of a pruned model's folder; asked of masks that are no N:M pattern and of
            wrapped layers.

    Returns:
        all wanted cells by name.

    Raises:
        InputError: a broken cell in the store, or whatever a run refuses.
    """
    found = {}
    for config in wanted:
        name = cell_name(config)
        path = store / f"{name}.json"
        if not path.is_file() or name in again:
            tick(name)
            write_text(path, json.dumps(run_cell(config, costs, machines).model_dump(mode="json"), indent=1) + "\n")
        found[name] = read_cell(path)
    return found


def stored(store: Path, wanted: Sequence[PruneConfig]) -> dict[str, Cell]:
    """Those of the wanted cells that the store has, by name."""
    names = [cell_name(config) for config in wanted]
    return {name: read_cell(path) for name in names if (path := store / f"{name}.json").is_file()}


def run_cell(
    config: PruneConfig,
    costs: Callable[[str], Any] = lambda budget: None,
    machines: Callable[[Path], list[dict[str, Any]]] = lambda folder: [],
) -> Cell:
    """Run one cell. Arguments as of `fill`."""
    from algorithms.training.tracing import versions

    from .run import run

    found = run(config, costs=None if config.budget == "parameters" else costs(config.budget))
    made: list[dict[str, Any]] = []
    kept_apart = ":" not in config.pattern or any(layer.wrappers for layer in found.layers)
    if kept_apart or not hasattr(found.subject.model, "sizes"):
        with tempfile.TemporaryDirectory() as place:
            found.write(Path(place))
            made = machines(Path(place))
    kinds: dict[str, list[float]] = {}
    for layer in found.layers:
        kinds.setdefault(layer.name.rpartition(".")[2], []).append(layer.error)
    return Cell(
        config=config, dense=found.dense, quality=found.quality, density=found.density,
        kinds={kind: sum(errors) / len(errors) for kind, errors in kinds.items()},
        patterns={layer.name: layer.pattern for layer in found.layers if layer.pattern != config.pattern},
        allocation=found.allocation, machines=made, control=found.subject.control(found.density),
        seconds=found.seconds, cpu_seconds=found.cpu_seconds, facts={**found.subject.facts(), "versions": versions()},
    )  # fmt: skip


def row(name: str, cell: Cell) -> dict[str, Any]:
    """A cell as a row of a table."""
    config = cell.config
    figures: Mapping[str, Any] = {k: v for k, v in cell.quality.items() if isinstance(v, int | float)}
    options = ", ".join(f"{key} {value}" for key, value in config.options.items())
    return {
        "cell": name, "model": config.model, "method": config.method + (f" ({options})" if options else ""),
        "pattern": config.pattern, "seed": config.seed,
        "allocation": config.allocation, "budget": config.budget if config.allocation == "rd" else "",
        "bits": int(config.options.get("bits", 0)), "name": config.method,
        "recovery": "" if config.recovery == "none" else f"{config.recovery}, {config.recovery_steps} steps",
        "density": cell.density, **figures, **{f"dense_{k}": cell.dense[k] for k in figures},
        "seconds": cell.seconds, "cpu_seconds": cell.cpu_seconds,
        "expected_loss": cell.allocation.get("expected_loss"), "measured_loss": cell.allocation.get("measured_loss"),
        "allowed": cell.allocation.get("budget"), "spent": cell.allocation.get("spent"),
    }  # fmt: skip
