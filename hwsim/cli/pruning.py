# SPDX-License-Identifier: Apache-2.0
"""``hwsim pruning``: many pruning runs, kept as they come, and the page of their quality, cycles and energy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from dataflow.errors import InputError, unknown
from hwsim.core.command import Json, Out, made, print_json, show, ticking


def pruning(
    cells: Annotated[
        Path | None, typer.Argument(help="YAML list of settings of `hwsim prune` (default: that of the kept page).")
    ] = None,
    store: Annotated[Path, typer.Option(metavar="DIR", help="Folder of cells; those it has are not run.")] = Path(
        "out/pruning"
    ),
    again: Annotated[
        str | None, typer.Option(help="Names of cells to run once more, separated by commas (default: none).")
    ] = None,
    draw: Annotated[
        bool, typer.Option("--draw", help="Run nothing but what --again names; show what there is.")
    ] = False,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Run every cell of a study of pruning that its store does not have; a study that was stopped goes on.

    Example: hwsim pruning --draw
    """
    import reports
    from algorithms.pruning.study import cell_name, fill, read_cells, row, stored
    from hwsim.core.command import progress

    from .prune import machine_costs
    from .pruning_machines import masked_rows

    wanted = read_cells(cells or Path(reports.__file__).parent / "pruning" / "cells.yaml")
    names = [cell_name(config) for config in wanted]
    repeat = [w.strip() for w in (again or "").split(",") if w.strip()]
    for name in repeat:
        if name not in names:
            raise unknown("cell", name, names)
    before = {name: cell for name, cell in stored(store, wanted).items() if name in repeat}
    todo = [c for c, name in zip(wanted, names, strict=True) if name in repeat] if draw else wanted
    with progress() as bar:
        task = bar.add_task("pruning", total=len(todo))
        fill(
            store, todo, again=repeat, tick=lambda text: bar.update(task, advance=1, description=text),
            costs=machine_costs, machines=masked_rows,
        )  # fmt: skip
    found = stored(store, wanted)
    if not found:
        raise InputError(f"{store}: has none of the {len(wanted)} cells; without --draw they are run")
    rows = [row(name, cell) for name, cell in found.items()]
    repeated = [
        {"cell": name, "before": cell.quality["nll"], "now": found[name].quality["nll"]}
        for name, cell in before.items()
        if "nll" in cell.quality
    ]  # fmt: skip
    if out is not None:
        paths = _page(found, rows, repeated, dict(zip(names, wanted, strict=True)), out)
    if json_:
        print_json({"cells": rows, "again": repeated, "missing": [n for n in names if n not in found]})
        return
    _show(rows, len(wanted))
    if out is not None:
        made([p for p in paths if p.suffix in (".html", ".md")])


def _page(
    found: dict[str, Any], rows: list[dict[str, Any]], repeated: list[dict[str, Any]], wanted: dict[str, Any], out: Path
) -> list[Path]:
    """The page of a study: what machines make of its cells is simulated now."""
    from algorithms.models import smollm2
    from algorithms.pruning.method import PRUNING_METHODS
    from hwsim.core.machine import find
    from hwsim.core.study import StudyTables
    from hwsim.core.version import facts
    from reports.pruning_page import write_pruning

    from .pruning_machines import SETTINGS, machine_rows

    for r in rows:
        r["part"] = PRUNING_METHODS.get(r["name"]).part if r["name"] in PRUNING_METHODS else "score"
    main = rows[0]["model"]
    elsewhere = _other_machines(found, main)
    others = [
        {
            "model": cell.config.model, "method": r["method"], "pattern": r["pattern"], "density": r["density"],
            "figures": ", ".join(
                f"{key} {value:.3f} (dense {cell.dense[key]:.3f})"
                for key, value in cell.quality.items() if isinstance(value, float) and key != "error"
            ),
        }
        for r, cell in zip(rows, found.values(), strict=True) if r["model"] != main
    ]  # fmt: skip
    controls = [
        {
            "model": cell.config.model, "method": r["method"], "pattern": r["pattern"], "density": r["density"],
            "dense": 1 - cell.dense["error"], "pruned": 1 - cell.quality["error"],
            "small": 1 - cell.control["error"], "small_density": cell.control["density"],
        }
        for r, cell in zip(rows, found.values(), strict=True) if cell.control
    ]  # fmt: skip
    missing = missing_cells(wanted, found)
    without = tested_less(found, main)
    found = {name: cell for name, cell in found.items() if cell.config.model == main}
    rows = [r for r in rows if r["model"] == main]
    with ticking("machines") as tick:
        machines = machine_rows(found, smollm2.config(), lambda text: tick(text, 0, None))
    ran = {r["cell"] for r in machines}
    not_run = [{"model": main, "method": r["method"], "pattern": r["pattern"]} for r in rows if r["cell"] not in ran]
    not_run += [{k: r[k] for k in ("model", "method", "pattern")} for r in elsewhere if not r["machine"]]
    errors = [
        {"method": r["method"], "pattern": r["pattern"], **cell.kinds}
        for r, cell in zip(rows, found.values(), strict=True)
        if cell.config.allocation == "uniform" and not cell.config.seed and cell.config.recovery == "none"
    ]
    patterns = dict.fromkeys(r["pattern"] for r in rows if r["allocation"] == "uniform")
    kinds = dict.fromkeys(kind for cell in found.values() for kind in cell.kinds)
    meta = {
        "model": main, "title": f"Pruning {rows[0]['model']} in one shot", "command": "hwsim pruning --draw --out DIR",
        "count": len(rows) + len(others), "wanted": len(wanted), "missing": sum(r["cells"] for r in missing),
        "whole": whole(rows), **without, "tokens": rows[0]["tokens"], "second_tokens": rows[0]["second_tokens"],
        "dense_nll": rows[0]["dense_nll"], "patterns": [(p, p, ".3f") for p in patterns],
        "kinds": [(k, k, ".3f") for k in kinds], "machines": list(dict.fromkeys(r["machine"] for r in machines)),
        "titles": {name: find(name).title.partition(";")[0] for name in dict.fromkeys(r["machine"] for r in machines)},
        "length": next(iter(found.values())).config.length, "context": dict(SETTINGS)["prefill"]["context"],
        "facts": next(iter(found.values())).facts, **facts(),
    }  # fmt: skip
    tables = {"cells": rows, "machines": machines, "errors": errors, "again": repeated, "others": others,
              "elsewhere": [r for r in elsewhere if r["machine"]], "controls": controls, "not_run": not_run,
              "missing": missing, "multipliers": _multipliers()}  # fmt: skip
    return write_pruning(StudyTables(meta, tables), out)


def missing_cells(wanted: dict[str, Any], found: dict[str, Any]) -> list[dict[str, Any]]:
    """How many cells of the study were not run, by model and pattern."""
    counts = Counter((c.model, c.pattern) for name, c in wanted.items() if name not in found)
    return [{"model": model, "pattern": pattern, "cells": count} for (model, pattern), count in counts.items()]


PARTS = {
    "score": "scores", "repair": "repair of a mask", "structure": "matrices around a mask", "allocation": "allocation",
    "recovery": "recovery", "integers": "with integers", "control": "controls, not counted",
}  # fmt: skip


def whole(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What ran on the whole of a model, by name, each once however many options and patterns it ran with: what chooses
    weights, divides them over layers, trains them again; a control is no method."""
    ran: dict[str, list[str]] = {part: [] for part in PARTS}
    for r in rows:
        ran[r["part"]].append(r["name"])
        ran["allocation"] += [r["allocation"]] if r["allocation"] != "uniform" else []
        ran["recovery"] += [r["recovery"].partition(",")[0]] if r["recovery"] else []
    return [
        {"part": PARTS[part], "names": list(dict.fromkeys(names)), "counted": part != "control"}
        for part, names in ran.items() if names
    ]  # fmt: skip


def tested_less(found: dict[str, Any], main: str) -> dict[str, list[str]]:
    """Of everything registered what no cell of the main model has: ``other_models``: another whole model has it;
    ``small``: ours, none has (unit tests run each of these on small tensors); ``unknown``: another package's."""
    from typing import get_args

    from algorithms.pruning.config import PruneConfig
    from algorithms.pruning.method import PRUNING_METHODS

    names = {("method", name) for name in PRUNING_METHODS if PRUNING_METHODS.get(name).part != "control"}
    for field in ("allocation", "recovery"):
        default = PruneConfig.model_fields[field].default
        names |= {(field, n) for n in get_args(PruneConfig.model_fields[field].annotation) if n != default}
    ran: dict[tuple[str, str], set[str]] = {}
    for cell in found.values():
        for field in ("method", "allocation", "recovery"):
            ran.setdefault((field, getattr(cell.config, field)), set()).add(cell.config.model)
    left: dict[str, list[str]] = {"other_models": [], "small": [], "unknown": []}
    for field, name in sorted(names, key=lambda pair: (pair[0] != "method", pair)):
        text = name if field == "method" else f"{field} {name}"
        models = ran.get((field, name), set())
        if models and main not in models:
            left["other_models"].append(f"{text} ({', '.join(sorted(models))})")
        elif not models:
            ours = field != "method" or PRUNING_METHODS.get(name).__module__.startswith("algorithms.")
            left["small" if ours else "unknown"].append(text)
    return left


def _multipliers() -> list[dict[str, Any]]:
    """Areas of the multipliers, where Yosys is there to tell them."""
    from hwsim.silicon.multipliers import multipliers

    try:
        return multipliers()
    except InputError:
        return []


def _other_machines(found: dict[str, Any], main: str) -> list[dict[str, Any]]:
    """What machines make of the other models: of each pattern the cell of lowest error, with stored costs or
    without; one without is a row of no machine."""
    from .pruning_machines import beside

    best: dict[tuple[str, str], Any] = {}
    for cell in found.values():
        key = (cell.config.model, cell.config.pattern)
        if cell.config.model != main and (key not in best or cell.quality["error"] < best[key].quality["error"]):
            best[key] = cell
    rows = []
    for (model, pattern), cell in best.items():
        same = {"model": model, "pattern": pattern, "method": cell.config.method, "allocation": cell.config.allocation,
                "error": cell.quality["error"], "dense_error": cell.dense["error"], "machine": ""}  # fmt: skip
        costs = [row for row in cell.machines if "dense_cycles" in row]
        for row in costs:
            dense = {"cycles": row["dense_cycles"], "energy_j": row["dense_energy_j"]}
            figures = {key: row[key] for key in ("machine", "phase", "cycles", "energy_j", "most")}
            rows.append({**same, **figures, **beside(row, dense), "why": row.get("why", "")})
        if not costs:
            rows.append(same)
    return rows


def _show(rows: list[dict[str, Any]], count: int) -> None:
    from rich.table import Table

    table = Table(title=f"Cells of the store, {len(rows)} of {count}", title_justify="left")
    for column in ("method", "pattern", "allocation", "seed", "kept", "nats a token", "second domain", "words said"):
        table.add_column(column, justify="left" if column in ("method", "pattern", "allocation") else "right")
    for r in rows:
        allocation = r["allocation"] + (f", {r['budget']}" if r["budget"] else "")
        figures = (f"{r[k]:.3f}" if k in r else "" for k in ("nll", "nll_second", "cloze"))
        table.add_row(r["method"], r["pattern"], allocation, str(r["seed"]), f"{r['density']:.1%}", *figures)
    show(table)
