# SPDX-License-Identifier: Apache-2.0
"""``hwsim prune``: a pretrained model pruned in one shot, with its quality before and after; ``hwsim methods``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dataflow.errors import InputError
from hwsim.core.command import ConfigFile, Json, Out, Sets, load, made, print_json, show


def prune(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Name from `hwsim models`, or one that is trained here: blocks-cnn, blocks-transformer "
            "(default: smollm2-135m)."
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Pruning method, as `hwsim methods` lists (default: wanda).")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help="N:M (N kept of M), a share removed, as in 50%, or blocks, as in block4-50% (default: 2:4)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the calibration data (default: 0).")] = None,
    allocation: Annotated[
        str | None,
        typer.Option(
            help="What each keeps: uniform, global, erk, lamp, pqi, farms, ecoflap, or, of N:M, rd (default: uniform)."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="What rd keeps equal to the pattern in all layers: parameters, MACHINE:cycles or MACHINE:energy "
            "(default: parameters)."
        ),
    ] = None,
    recovery: Annotated[
        str | None, typer.Option(help="Training after pruning, masks kept: none, perp, paser or gpusq (default: none).")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Calibration sequences (default: 32).")] = None,
    tokens: Annotated[int | None, typer.Option(help="Held-out tokens to measure on (default: 20000).")] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Prune a pretrained model in one shot and measure what is kept; machines read the folder that --out writes.

    Example: hwsim prune smollm2-135m --method sparsegpt --pattern 2:4 --out out/pruned
    """
    from algorithms.pruning.config import PruneConfig

    flags: dict[str, Any] = {"model": model, "method": method, "pattern": pattern, "seed": seed, "samples": samples,
                             "tokens": tokens, "allocation": allocation, "budget": budget,
                             "recovery": recovery}  # fmt: skip
    settings = load(PruneConfig, config, set_, **flags)
    costs = None if settings.budget == "parameters" else machine_costs(settings.budget)
    from algorithms.pruning.run import run
    from hwsim.core.command import progress

    with progress() as bar:
        task = bar.add_task("prune", total=None)
        found = run(settings, lambda text: bar.update(task, advance=1, description=text), costs)
    kinds = by_kind(found.rows())
    if json_:
        print_json({"settings": settings.facts(), "density": found.density, "dense": found.dense,
                    "quality": found.quality, "kinds": kinds, "layers": found.rows(), "seconds": found.seconds,
                    "cpu_seconds": found.cpu_seconds, "allocation": found.allocation,
                    "facts": found.subject.facts()})  # fmt: skip
    else:
        _show(found, kinds)
    if out is not None:
        paths = found.write(out)
        if not json_:
            made(paths)


def machine_costs(budget: str) -> Any:
    """What layers cost on a machine, one sample: a function of the model as shapes, its layers and patterns.

    Args:
        budget: ``MACHINE:cycles`` or ``MACHINE:energy`` (picojoules).

    Raises:
        InputError: no such machine, or another word behind it.
    """
    from dataflow.errors import unknown
    from hwsim.core.machine import find

    name, _, what = budget.partition(":")
    kind = find(name)
    if what not in ("cycles", "energy"):
        raise unknown(f"budget {name}: of it", what, ["cycles", "energy"])

    def costs(network: Any, layers: Sequence[str], levels: Sequence[str]) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {layer: {} for layer in layers}
        for level in levels:
            changed = [
                layer.model_copy(update={"sparsity": level}) if layer.name in found else layer
                for layer in network.layers
            ]
            settings = {"phase": network.phase, "context": network.context, "passes": ["FF"], "batch": 1}
            run = kind.settings({**settings, "method": "masked", "pattern": "1:2"})  # of layers without their own
            with warnings.catch_warnings(action="ignore"):  # a level that the machine runs dense
                result = kind.simulate(run, workload=network.model_copy(update={"layers": tuple(changed)}))
            if what == "energy" and not result.energy_rows():
                raise InputError(f"budget {budget}: machine {name} counts no energy")
            picojoules = result.energy_rows() if what == "energy" else []
            for number, row in enumerate(result.records):
                if row["layer"] in found:
                    cost = sum(picojoules[number].values()) if what == "energy" else row["cycles"]
                    found[row["layer"]][level] = found[row["layer"]].get(level, 0.0) + float(cost)
        return found

    return costs


def by_kind(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Layers of one kind together (``layers.3.q`` is a ``q``): how many, share kept, mean relative output error."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["name"].rpartition(".")[2], []).append(row)
    return [
        {
            "kind": kind, "layers": len(mine), "patterns": ", ".join(dict.fromkeys(r["pattern"] for r in mine)),
            "density": sum(r["kept"] for r in mine) / sum(r["weights"] for r in mine),
            "error": sum(r["error"] for r in mine) / len(mine),
        }
        for kind, mine in found.items()
    ]  # fmt: skip


WORDS = {
    "nll": "nats a token, held-out help topics", "nll_second": "nats a token, NumPy's docstrings",
    "cloze": "words said, not seen before", "accuracy": "pitches right within 50 cents",
    "accuracy_0db": "of these, in noise as loud as the tone", "recall": "texts found by their first sentence",
    "cosine": "cosine to the dense embedding", "balanced": "mean of the types' shares right",
}  # fmt: skip
"""Figures of quality that are shown, in words."""


def _show(found: Any, kinds: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    c = found.config
    table = Table(title=f"{c.model}: {c.method} {c.pattern}, seed {c.seed}", title_justify="left")
    for column in ("", "dense", "pruned"):
        table.add_column(column, justify="left" if not column else "right")
    for key, text in WORDS.items():
        if key in found.quality:
            table.add_row(text, f"{found.dense[key]:.3f}", f"{found.quality[key]:.3f}")
    table.add_row("weights kept, of the layers that are pruned", "100%", f"{found.density:.1%}")
    errors = Table(title="Layers by kind", title_justify="left")
    for column in ("kind", "layers", "pattern", "kept", "relative output error"):
        errors.add_column(column, justify="left" if column in ("kind", "pattern") else "right")
    for row in kinds:
        kept, error = f"{row['density']:.1%}", f"{row['error']:.3f}"
        errors.add_row(row["kind"], str(row["layers"]), row["patterns"], kept, error)
    show(table, errors)
    Console().print(
        f"pruned in {found.seconds:.0f} s ({found.cpu_seconds:.0f} CPU seconds); embedding, head, norms and biases are "
        "left as they are; the error is of a layer's outputs on the calibration data",
        highlight=False,
    )


def methods(json_: Json = False) -> None:
    """List the methods: pruning of pretrained models, N:M training, a decoder's cache; those of other packages too.

    Example: hwsim methods
    """
    from rich.table import Table

    from dataflow.training.methods import METHODS

    pruning, cache, training = _pruning(), _cache(), []
    for name in METHODS.names():
        try:
            one = METHODS.get(name)
            row = {"name": name, "title": one.title, "source": one.source, "error": ""}
        except InputError as error:
            row = {"name": name, "title": "", "source": "", "error": str(error)}
        source = METHODS.source(name)
        training.append(row | {"offered_by": "hwsim" if source.startswith("dataflow.") else source})
    if json_:
        print_json({"pruning": pruning, "training": training, "cache": cache})
        return
    tables = []
    for title, rows in (
        ("Pruning: hwsim prune --method", pruning), ("N:M training: --method", training),
        ("Keys and values: hwsim cache --method", cache),
    ):  # fmt: skip
        table = Table(title=title, title_justify="left")
        table.add_column("name", no_wrap=True)
        for column in ("method", "source", "package"):
            table.add_column(column)
        for each in rows:
            table.add_row(each["name"], each["title"] or each["error"], each["source"], each["offered_by"])
        tables.append(table)
    show(*tables)


def _pruning() -> list[dict[str, Any]]:
    """A row a pruning method, with its options and their defaults."""
    from algorithms.pruning.method import PRUNING_METHODS

    return _listed(PRUNING_METHODS, lambda kind: {"needs": sorted(kind.needs)}, {"needs": []})


def _cache() -> list[dict[str, Any]]:
    """A row a method of the cache, with its options and their defaults."""
    from algorithms.kv_cache.method import CACHE_METHODS

    return _listed(CACHE_METHODS, lambda kind: {"needs_training": kind.trained}, {"needs_training": False})


def _listed(methods: Any, more: Any, empty: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a method of a registry; ``more`` says what else one has, ``empty`` stands for it where it cannot be had."""
    import dataclasses

    rows = []
    for name in sorted(methods):
        row: dict[str, Any] = {"name": name, "title": "", "source": "", **empty, "options": {}, "error": ""}
        try:
            kind = methods.get(name)
            options = {f.name: f.default for f in dataclasses.fields(kind)}
            row |= {"title": kind.title, "source": kind.source, **more(kind), "options": options}
        except InputError as error:
            row["error"] = str(error)
        rows.append(row | {"offered_by": methods.source(name)})
    return rows
