# SPDX-License-Identifier: Apache-2.0
"""Fits the numbers of `kernel` to one half of the measured tables, and says how wrong they are on the other half.

``python -m hwsim.tensor24.gpu.fit`` (``make gpu-fit``) writes `fitted.yaml`; needs SciPy. The protocol is in this
folder's README.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataflow.errors import InputError
from dataflow.files import read_text, write_text
from dataflow.pattern import NM

from .cards import FITTED, FORMAT, HERE, MODE, SHARED, Sheet, fitted, named, published, sheet, sheets, stored, vector
from .kernel import times

MEASURED, MEASURED_HERE = HERE / "measured", HERE / "measured_here"
DENSE, SPARSE = "cuBLAS", "cuSPARSE_2_4"
"""Columns of the tables: microseconds of the dense and of the 2:4 product."""
HALVES = (("Llama3.2-1B-INT8", "Qwen2.5-7B-INT8", "SQUARE"), ("Llama3.2-3B-INT8", "Qwen2.5-14B-INT8", "BitNet-2B-INT8"))
SPLITS = {"A": HALVES, "A2": HALVES[::-1]}
"""Split -> tables that are fitted to, tables that are tested on. BitNet was measured on the A100 alone."""
SEED, GENERATIONS, POPULATION = 0, 250, 6
BF16 = 2
TWO_OF_FOUR = NM(2, 4)

RANGE: Mapping[str, tuple[float, float]] = {
    "dram_share": (0.5, 1.0), "overlap": (1.2, 8.0), "l2_speed": (1.0, 6.0), "l2_share": (0.2, 1.2),
    "power_onset_us": (100.0, 5000.0), "launch_us": (2.0, 10.0), "step_us": (0.01, 0.6), "small_tile": (0.0, 1.5),
    "raster": (1.0, 16.0), "split_us": (0.5, 10.0), "power_drop": (0.0, 0.4),
}  # fmt: skip
RATE = ((0.5, 1.05), (0.7, 2.1))
"""Ranges that are searched; of the rate dense and 2:4."""
LOGARITHMIC = {"overlap", "l2_speed", "power_onset_us", "launch_us", "step_us", "raster", "split_us"}
"""Numbers that are searched, and averaged over cards, as logarithms."""
_NAMES = (*SHARED, *MODE, *MODE)
_IS_LOG = np.array([name in LOGARITHMIC for name in _NAMES])


@dataclass(frozen=True)
class Table:
    """Measured products: ``sizes[n, 3]`` are rows, columns and reduction, ``micros[n, 2]`` the microseconds dense and
    2:4."""

    sizes: np.ndarray
    micros: np.ndarray

    def __add__(self, other: Table) -> Table:
        return Table(np.concatenate([self.sizes, other.sizes]), np.concatenate([self.micros, other.micros]))


def read_table(path: Path) -> Table:
    """A measured table; rows without both times (blank or 0: not measured) are left out.

    Raises:
        InputError: a column is missing, a value is no number or a size below 1.
    """
    reader = csv.DictReader(read_text(path).splitlines())
    wanted = ("M", "N", "K", DENSE, SPARSE)
    if missing := [name for name in wanted if name not in (reader.fieldnames or ())]:
        raise InputError(f"{path}: column {missing[0]} is missing")
    sizes, micros = [], []
    for line, row in enumerate(reader, 2):
        if not all((row[name] or "").strip() for name in (DENSE, SPARSE)):
            continue
        try:
            size, found = [int(row[n]) for n in "MNK"], [float(row[n]) for n in (DENSE, SPARSE)]
        except (TypeError, ValueError):
            raise InputError(f"{path}: line {line}: expected numbers in {', '.join(wanted)}") from None
        if min(size) < 1 or min(found) < 0:
            raise InputError(f"{path}: line {line}: sizes are at least 1, microseconds at least 0")
        if min(found) > 0:
            sizes.append(size)
            micros.append(found)
    if not sizes:
        raise InputError(f"{path}: no row has both times")
    return Table(np.array(sizes), np.array(micros))


def tables(card: Sheet, names: Iterable[str]) -> Table:
    """A card's measurements in some tables; one that was not measured on it is left out."""
    folder = MEASURED_HERE if card.measured_here else MEASURED
    found = [folder / f"{card.measured_as}_BF16_{name}.csv" for name in names]
    first, *others = [read_table(path) for path in found if path.is_file()]
    for table in others:
        first = first + table
    return first


def shapes(sizes: np.ndarray) -> np.ndarray:
    """Products as the kernel takes them (`kernel.SHAPE`), ``[n, 2, 8]``: dense and with 2:4 weights, L2 warm."""
    found = np.ones((len(sizes), 2, 8))
    for i, (rows, cols, reduction) in enumerate(sizes.tolist()):
        x, w, y = BF16 * rows * reduction, BF16 * reduction * cols, BF16 * rows * cols
        found[i, :, :7] = rows, cols, reduction, 1, x, w, y
        found[i, 1, 5] = TWO_OF_FOUR.storage_bytes(reduction, cols)
    return found


def predict(card: Sheet, numbers: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Microseconds of products dense and 2:4, as they were measured, ``[n, 2]``."""
    found = np.empty((len(sizes), 2))
    times(card.vector, numbers, shapes(sizes), found)
    return found


def fit(card: Sheet, table: Table, *, seed: int = SEED, generations: int = GENERATIONS) -> np.ndarray:
    """The numbers with the least mean |log error| of both times and of their ratio, by differential evolution.

    Raises:
        InputError: SciPy is not installed.
    """
    try:
        from scipy.optimize import differential_evolution
    except ImportError:
        raise InputError("the fit needs SciPy: pip install 'hwsim[sweep]'") from None
    ranges = [RANGE[n] for n in SHARED] + [RANGE.get(n, rate) for rate in RATE for n in MODE]
    bounds = [tuple(np.log(r)) if log else r for r, log in zip(ranges, _IS_LOG, strict=True)]
    products, measured = shapes(table.sizes), np.log(table.micros)
    sheet_vector, found = card.vector, np.empty_like(measured)

    def loss(x: np.ndarray) -> float:
        times(sheet_vector, np.where(_IS_LOG, np.exp(x), x), products, found)
        error = np.log(found) - measured
        return float(np.abs(error).mean(axis=0).sum() + np.abs(error[:, 0] - error[:, 1]).mean())

    best = differential_evolution(
        loss, bounds, seed=seed, maxiter=generations, popsize=POPULATION, mutation=(0.4, 0.9), recombination=0.8,
        init="sobol", polish=False, tol=1e-8,
    ).x  # fmt: skip
    return vector(named(np.where(_IS_LOG, np.exp(best), best)))  # as it is stored


def average(numbers: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of several cards' numbers, of some of them the geometric one (`LOGARITHMIC`)."""
    logs = [np.where(_IS_LOG, np.log(np.where(_IS_LOG, x, 1.0)), x) for x in numbers]
    mean = np.mean(logs, axis=0)
    return np.asarray(np.where(_IS_LOG, np.exp(mean), mean))


def errors(measured: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """How far microseconds ``[n, 2]`` (dense, 2:4) are from the measured ones: means of |found / measured - 1| of the
    times and of the speedup, the rank correlation (Spearman) of the speedup, and the share of products for which 2:4 is
    rightly said to be faster or slower."""
    off = np.abs(found / measured - 1)
    return {"rows": len(measured), "dense": float(off[:, 0].mean()), "2:4": float(off[:, 1].mean()),
            "latency": float(off.mean()), **speedup_errors(measured, found[:, 0] / found[:, 1])}  # fmt: skip


def speedup_errors(measured: np.ndarray, speedup: np.ndarray) -> dict[str, float | None]:
    """The errors of `errors` that are of the speedup alone; no rank correlation where all are said to be alike."""
    true = measured[:, 0] / measured[:, 1]
    ranks = [_ranks(x) for x in (true, speedup)]
    alike = np.ptp(ranks[1]) == 0
    return {"speedup": float(np.abs(speedup / true - 1).mean()),
            "spearman": None if alike else float(np.corrcoef(ranks[0], ranks[1])[0, 1]),
            "side": float(((true > 1) == (speedup > 1)).mean())}  # fmt: skip


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks; equal values have the mean of theirs."""
    _, groups, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(sizes) - (sizes - 1) / 2)[groups])


Predictions = dict[str, tuple[np.ndarray, np.ndarray]]
"""Measured and found microseconds by card."""


def of_split(split: str, numbers: Mapping[str, np.ndarray] | None = None, *, test: bool = True) -> Predictions:
    """What was measured and what the model says, by card, on a split's test tables (or on those fitted to).

    Args:
        numbers: fitted numbers by card; None: the stored ones.
    """
    result = {}
    for name, card in sheets().items():
        table = tables(card, SPLITS[split][test])
        mine = fitted(name, split) if numbers is None else numbers[name]
        result[name] = table.micros, predict(card, mine, table.sizes)
    return result


def left_out(split: str, numbers: Mapping[str, np.ndarray] | None = None) -> Predictions:
    """All of a card's tables, with its data sheet and the mean of the other published cards' numbers: a card never
    measured."""
    mine = numbers or {name: fitted(name, split) for name in sheets()}
    result = {}
    for name, card in sheets().items():
        table = tables(card, SPLITS[split][0] + SPLITS[split][1])
        others = average([mine[other] for other in published() if other != name])
        result[name] = table.micros, predict(card, others, table.sizes)
    return result


def by_a_like_one(split: str, numbers: Mapping[str, np.ndarray] | None = None) -> Predictions:
    """All tables of the cards that were measured here, with their data sheets and the numbers of a published card of
    their generation: nothing was fitted to them."""
    result = {}
    for name, card in sheets().items():
        if card.like:
            table = tables(card, SPLITS[split][0] + SPLITS[split][1])
            mine = fitted(card.like, split) if numbers is None else numbers[card.like]
            result[name] = table.micros, predict(card, mine, table.sizes)
    return result


def roofs(split: str) -> Predictions:
    """A baseline on a split's test tables: what the data sheet promises, the longer of multiplies and bytes."""
    result = {}
    for name, card in sheets().items():
        table = tables(card, SPLITS[split][1])
        s, (_, peak, dram, _) = shapes(table.sizes), card.vector
        flops, size = 2 * s[..., 0] * s[..., 1] * s[..., 2], s[..., 4:7].sum(axis=-1)
        result[name] = table.micros, np.maximum(flops / (peak * np.array([1.0, 2.0])), size / dram)
    return result


def baselines(split: str) -> dict[str, dict[str, Any]]:
    """Errors of the speedup on a split's test tables of two guesses: the mean of the card's fit tables, and 2."""
    measured, mean = [], []
    for card in published().values():
        there, here = (tables(card, names).micros for names in SPLITS[split])
        measured.append(here)
        mean.append(np.full(len(here), (there[:, 0] / there[:, 1]).mean()))
    all_rows = np.concatenate(measured)
    return {"one mean speedup a card": speedup_errors(all_rows, np.concatenate(mean)),
            "always 2": speedup_errors(all_rows, np.full(len(all_rows), 2.0))}  # fmt: skip


def with_pooled(found: Predictions) -> dict[str, dict[str, Any]]:
    """Errors by card, and of all rows of the published ones together as ``pooled``."""
    each = {name: errors(*pair) for name, pair in found.items()}
    measured, said = (np.concatenate([found[name][i] for name in published()]) for i in (0, 1))
    return {**each, "pooled": errors(measured, said)}


def cross_validated(split: str, *, seed: int = SEED, generations: int = GENERATIONS) -> Predictions:
    """Within the tables that a split fits to, each language model's table by numbers fitted to the other ones: what the
    form of the model may be chosen by, without a look at the test tables."""
    names = SPLITS[split][0]
    result = {}
    for name, card in sheets().items():
        parts = []
        for out in (n for n in names if not n.startswith(("SQUARE", "BitNet"))):
            table = tables(card, [out])
            numbers = fit(card, tables(card, [n for n in names if n != out]), seed=seed, generations=generations)
            parts.append((table.micros, predict(card, numbers, table.sizes)))
        result[name] = (np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))
    return result


HEAD = """\
# SPDX-License-Identifier: Apache-2.0
# FITTED numbers, no published ones and no data sheet: written by `python -m hwsim.tensor24.gpu.fit` (make gpu-fit),
# which fits the model of hwsim/tensor24/gpu/kernel.py to one half of the tables in hwsim/tensor24/gpu/measured.
# `fitted_on` names the tables that were fitted to, `tested_on` those that were not; `errors` are shares (0.1: 10%).
"""


def text_of(found: Mapping[str, Any]) -> str:
    """The text of a file of fitted numbers."""
    lines = [HEAD.rstrip()]
    lines += [f"{key}: {_flow(value)}" for key, value in found.items() if key != "splits"]
    lines.append("splits:")
    for split, part in found["splits"].items():
        lines += [
            f"  {split}:",
            f"    fitted_on: {_flow(part['fitted_on'])}",
            f"    tested_on: {_flow(part['tested_on'])}",
        ]
        for what in ("cards", "errors"):
            lines.append(f"    {what}:")
            for name, facts in part[what].items():
                lines.append(f"      {name}:")
                for key, value in facts.items():
                    lines.append(f"        {_flow(key)}:" + ("" if "shared" in value else f" {_flow(value)}"))
                    lines += [f"          {_flow(k)}: {_flow(v)}" for k, v in value.items() if "shared" in value]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A value on one line of YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, float):
        return f"{value:.6g}" if "e" not in f"{value:.6g}" else repr(float(f"{value:.6g}"))
    if value is None:
        return "null"
    return f'"{value}"' if isinstance(value, str) and ":" in value else str(value)


def fit_all(*, seed: int = SEED, generations: int = GENERATIONS) -> dict[str, Any]:
    """Fit every card on each split: what `fitted.yaml` holds."""
    import scipy

    splits: dict[str, Any] = {}
    for split, (on, tested) in SPLITS.items():
        seen = {name: tables(card, on) for name, card in sheets().items()}
        numbers = {name: fit(sheet(name), t, seed=seed, generations=generations) for name, t in seen.items()}
        cards = {
            name: {
                "measured": {
                    what: [int(f(t.sizes[:, i])) for f in (np.min, np.max)] for i, what in enumerate(MEASURES)
                },
                "fitted": named(numbers[name]),
            }
            for name, t in seen.items()
        }
        splits[split] = {"fitted_on": on, "tested_on": tested, "cards": cards, "errors": all_errors(split, numbers)}
    how = {"method": "differential evolution of SciPy, least mean absolute log error", "seed": seed}
    size = {"generations": generations, "population": POPULATION, "scipy": scipy.__version__}
    return {"format": FORMAT, **how, **size, "splits": splits}


MEASURES = ("rows", "cols", "reduction")


def all_errors(split: str, numbers: Mapping[str, np.ndarray] | None = None) -> dict[str, dict[str, Any]]:
    """Every error that a file of fitted numbers holds, of a split; ``numbers``: by card; None: the stored ones."""
    return {"fitted_on": with_pooled(of_split(split, numbers, test=False)),
            "tested_on": with_pooled(of_split(split, numbers)),
            "left_out": with_pooled(left_out(split, numbers)),
            "by_a_like_one": {name: errors(*pair) for name, pair in by_a_like_one(split, numbers).items()},
            "data_sheet": with_pooled(roofs(split)),
            "baselines": baselines(split)}  # fmt: skip


def table_of(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Errors as lines of text."""
    lines = []
    for name, e in found.items():
        cells = [f"{100 * e[k]:6.1f}%" if k in e else "      -" for k in ("dense", "2:4", "latency", "speedup")]
        rank = "    -" if e["spearman"] is None else f"{e['spearman']:5.2f}"
        lines.append(f"  {name:24}" + " ".join(cells) + f"  {rank}  {100 * e['side']:4.0f}%  {e.get('rows', '')}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: fit, write the file, print the errors; or show those of the stored numbers."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m hwsim.tensor24.gpu.fit", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=FITTED, help="file to write (default: the shipped one)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--generations", type=int, default=GENERATIONS)
    parser.add_argument("--stored", action="store_true", help="fit nothing: the errors of the stored numbers")
    parser.add_argument("--cross", action="store_true", help="cross-validate within the tables that split A fits to")
    given = parser.parse_args(arguments)
    head = f"  {'':24}  dense     2:4 latency speedup   rank  side  rows"
    if given.cross:
        print(
            head, table_of(with_pooled(cross_validated("A", seed=given.seed, generations=given.generations))), sep="\n"
        )
        return
    if given.stored:
        kept: dict[str, Any] = {"splits": {split: {"errors": all_errors(split)} for split in SPLITS}}
    else:
        kept = fit_all(seed=given.seed, generations=given.generations)
        write_text(given.out, text_of(kept))
        stored.cache_clear()
    for split, part in kept["splits"].items():
        for what, each in part["errors"].items():
            print(f"split {split}, {what.replace('_', ' ')}", head, table_of(each), sep="\n")


if __name__ == "__main__":
    main()
