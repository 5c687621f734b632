# SPDX-License-Identifier: Apache-2.0
"""Analysis of a table of results: Pareto fronts, sensitivity to each field, heat maps of two fields."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dataflow.errors import InputError
from hwsim.core.study import StudyTables

from .expression import Expression, names_of
from .spec import Spec
from .table import EXTRA

Row = dict[str, Any]
JUDGED = ("method", "pattern", "pruning")
"""Fields that change what is computed, and its quality."""
BINS = 8
"""A field of more values than this is looked at in so many groups of as many points each."""


def pareto(table: pd.DataFrame, objectives: Sequence[str]) -> np.ndarray:
    """Which rows no other is better than: bool[n].

    A row is better than another where it is at least as good in each objective (``min COLUMN`` or ``max COLUMN``) and
    better in one; equal rows stay both. Rows with a missing value are never on the front.
    """
    columns = [objective.split() for objective in objectives]
    values = np.stack([table[c].to_numpy(np.float64) * (1 if d == "min" else -1) for d, c in columns], axis=1)
    whole = np.flatnonzero(~np.isnan(values).any(axis=1))
    front = np.empty_like(values)
    kept: list[int] = []
    for i in whole[np.lexsort(values[whole].T[::-1])]:  # none is better than one that comes before it
        others = front[: len(kept)]
        if not ((others <= values[i]).all(axis=1) & (others < values[i]).any(axis=1)).any():
            front[len(kept)] = values[i]
            kept.append(int(i))
    found = np.zeros(len(table), np.bool_)
    found[kept] = True
    return found


def workload_fields(table: pd.DataFrame, fields: Sequence[str], objectives: Sequence[str]) -> list[str]:
    """Fields that say what is computed, of those that vary: points that differ in one are never compared.

    These are all but the machine's own (``machine.*``). Where quality is an objective it speaks for what a method, a
    pattern or pruning leaves out, and those may be compared.
    """
    judged = any(o.split()[1].startswith("quality") for o in objectives)
    mine = [f for f in fields if not f.startswith("machine.") and f in table and table[f].nunique(dropna=False) > 1]
    return [f for f in mine if f.partition(".")[0] not in JUDGED] if judged else mine


def fronts(table: pd.DataFrame, objectives: Sequence[str], fields: Sequence[str]) -> np.ndarray:
    """Which rows no other row of the same workload is better than: bool[n]; one front for each value of the
    `workload_fields` among ``fields``."""
    apart = workload_fields(table, fields, objectives)
    if not apart or not len(table):
        return pareto(table, objectives)
    found = np.zeros(len(table), np.bool_)
    for rows in table.reset_index(drop=True).groupby(apart, dropna=False, sort=False).indices.values():
        found[rows] = pareto(table.iloc[rows], objectives)
    return found


def groups(values: pd.Series) -> pd.Series:
    """A field's values as labels in their order; many numbers as ranges that hold as many points each."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and values.nunique() > BINS:
        cut = pd.qcut(values, BINS, duplicates="drop")
        return cut.map(lambda v: f"{v.left:.4g} to {v.right:.4g}").astype(pd.CategoricalDtype(
            [f"{c.left:.4g} to {c.right:.4g}" for c in cut.cat.categories], ordered=True))  # fmt: skip
    order = sorted(values.dropna().unique()) if pd.api.types.is_numeric_dtype(values) else values.dropna().unique()
    names = [f"{v:g}" if isinstance(v, int | float) and not isinstance(v, bool) else str(v) for v in order]
    return values.map(dict(zip(order, names, strict=True))).astype(pd.CategoricalDtype(names, ordered=True))


def sensitivity(table: pd.DataFrame, fields: Sequence[str], objective: str) -> list[Row]:
    """How much each field moves an objective: of all points with a value of the field the geometric mean, over that of
    all points; the lowest and the highest of these. Most first; fields of one value are left out.

    In a grid without exclusions that is the field's own effect; where conditions tie fields together it is not.
    """
    column = objective.split()[1]
    usable = table[table[column] > 0]
    logs = pd.Series(np.log(usable[column].to_numpy(np.float64)), usable.index)
    rows: list[Row] = []
    for name in fields:
        means = logs.groupby(groups(usable[name]), observed=True).mean() - logs.mean()
        if len(means) > 1:
            ratio, labels = np.exp(means.to_numpy()), [str(v) for v in means.index]
            low, high = int(ratio.argmin()), int(ratio.argmax())
            rows.append({"field": name, "low": float(ratio[low]), "high": float(ratio[high]),
                         "low_at": labels[low], "high_at": labels[high]})  # fmt: skip
    return sorted(rows, key=lambda r: r["low"] / r["high"])


def heat(table: pd.DataFrame, x: str, y: str, objective: str) -> Row:
    """The best value of an objective for each pair of values of two fields: labels and a matrix, None where no point
    is."""
    direction, column = objective.split()
    by = table.assign(_x=groups(table[x]), _y=groups(table[y])).groupby(["_y", "_x"], observed=False)[column]
    best = (by.min() if direction == "min" else by.max()).unstack()
    cells = [[None if pd.isna(v) else float(v) for v in row] for row in best.to_numpy()]
    return {"x": [str(c) for c in best.columns], "y": [str(c) for c in best.index], "cells": cells}


def select(table: pd.DataFrame, where: Sequence[str]) -> pd.DataFrame:
    """Rows for which every condition holds.

    Raises:
        InputError: a condition that cannot be worked out; an unknown column.
    """
    for text in where:
        condition = Expression(text, "--where")
        used = [c for c in table.columns if c in condition.names]
        names = [names_of(dict(zip(used, row, strict=True))) for row in table[used].itertuples(index=False, name=None)]
        table = table[np.array([bool(condition(n)) for n in names], np.bool_)]
    return table


def sentences(texts: Sequence[str], table: pd.DataFrame) -> list[str]:
    """Sentences with each ``{{ ... }}`` worked out: ``least(column, where)``, ``most``, ``at(column, field, where)``
    (the value of ``field`` in the row with the least ``column``), ``count(where)``; ``: .2f`` formats it.

    Raises:
        InputError: an expression that cannot be worked out; no row meets its condition.
    """

    def rows(where: str) -> pd.DataFrame:
        found = select(table, [where] if where else [])
        if not len(found):
            raise InputError(f"learnt: no point where {where}")
        return found

    functions: dict[str, Callable[..., Any]] = {
        "least": lambda column, where="": rows(where)[column].min(),
        "most": lambda column, where="": rows(where)[column].max(),
        "at": lambda column, field, where="": rows(where).sort_values(column, kind="stable")[field].iloc[0],
        "count": lambda where="": len(select(table, [where] if where else [])),
    }

    def value(match: re.Match[str]) -> str:
        text, colon, form = match[1].rpartition("::")
        found = Expression(text if colon else form, "learnt", functions)({})
        return format(found, form.strip()) if colon else str(found)

    return [re.sub(r"\{\{(.*?)\}\}", value, text) for text in texts]


MOST_PARTED = 8


def parts(table: pd.DataFrame, fields: Sequence[str], by: str, where: str) -> list[Row]:
    """Cycles of a few points by part: ``point`` (its fields that differ among them), ``part``, ``cycles``.

    Raises:
        InputError: no or too many points are chosen; parts without that column.
    """
    chosen = select(table, [where])
    if not 0 < len(chosen) <= MOST_PARTED:
        raise InputError(f"figures.parts: {where!r} chooses {len(chosen)} points: 1 to {MOST_PARTED} are wanted")
    differing = [f for f in fields if chosen[f].nunique() > 1]
    rows: list[Row] = []
    for _, point in chosen.iterrows():
        name = ", ".join(f"{f.rpartition('.')[2]} {point[f]}" for f in differing)
        found = pd.DataFrame(list(point["parts"]))
        if by not in found.columns:
            raise InputError(f"figures.parts.by: {by}: parts have {', '.join(found.columns)}")
        cycles = found.groupby(by, sort=False)["cycles"].sum()
        rows += [{"point": name, "part": str(k), "cycles": int(v)} for k, v in cycles.items()]
    return rows


SHOWN = (
    "cycles", "seconds", "energy_j", "samples_per_s", "samples_per_j", "quality", "utilization", "share_of_bound",
    "dram_bytes", "multipliers", "sram_bytes", "dram_bytes_per_cycle", "flop_per_s",
)  # fmt: skip
"""Columns that a page offers, where results have them."""
MOST_SHOWN = 20_000
"""Points of a page: the front, and evenly chosen others."""
PAIRED = 5
"""Of so many fields, the first ones that vary, heat maps are made."""


def study_of(table: pd.DataFrame, spec: Spec, fields: Sequence[str]) -> StudyTables:
    """Everything that a page of the results shows."""
    good = table[table["status"] == "ok"].reset_index(drop=True)
    axes = {name: [f.strip() for f in name.split(",")] for name in spec.axes}
    good = good.assign(**{name: _together(good, mine) for name, mine in axes.items() if len(mine) > 1})
    varied = [f for f in fields if good[f].nunique() > 1]
    moved = [name for name in axes if good[name].nunique() > 1]
    objectives = [o for o in spec.objectives if o.split()[1] in good.columns and good[o.split()[1]].notna().any()]
    columns = [o.split()[1] for o in objectives]
    wanted = [spec.figures.x, spec.figures.y, spec.figures.colour]
    apart = workload_fields(good, fields, objectives) if len(good) else []
    front = fronts(good, objectives, fields) if len(good) else np.zeros(0, np.bool_)
    shown = np.unique(np.concatenate([
        np.flatnonzero(front | (good["design"] != "").to_numpy()),
        np.linspace(0, max(len(good) - 1, 0), min(len(good), MOST_SHOWN)).astype(np.int64),
    ])) if len(good) else np.zeros(0, np.int64)  # fmt: skip
    more = [c for c in (*SHOWN, *(w for w in wanted if w)) if c in good.columns]
    names = list(dict.fromkeys(["design", *fields, *columns, *more]))
    points = good.assign(front=front, workload_of=_named(good, apart)).iloc[shown][[*names, "front", "workload_of"]]
    grid = good[good["design"] != EXTRA]
    heats = []
    pairs = list(itertools.combinations(moved[:PAIRED], 2))
    if spec.figures.heat is not None:
        pairs = [spec.figures.heat, *(p for p in pairs if set(p) != set(spec.figures.heat))]
    for objective in objectives:
        for x, y in pairs:
            heats.append({"x_name": x, "y_name": y, "objective": objective, **heat(grid, x, y, objective)})
    tables: dict[str, list[Row]] = {
        "points": _records(points),
        "front": _records(good[front][names].sort_values([*apart, columns[0]]) if columns else good[:0]),
        "sensitivity": [{"objective": o, **r} for o in objectives for r in sensitivity(grid, moved, o)],
        "parts": parts(grid, varied, spec.figures.parts.by, spec.figures.parts.where) if spec.figures.parts else [],
        "failed": _records(table[table["status"] == "failed"][[*fields, "error"]].head(50)),
    }
    first = columns[0] if columns else ""
    meta = {
        "title": spec.title, "text": spec.text, "learnt": sentences(spec.learnt, grid) if len(grid) else [],
        "machine": spec.machine, "fields": varied, "objectives": objectives, "workload_fields": apart,
        "columns": [n for n in names if n != "design"], "x": spec.figures.x or first,
        "y": spec.figures.y or columns[min(1, len(columns) - 1)] if columns else "",
        "colour": spec.figures.colour or (varied[0] if varied else first), "log": spec.figures.log, "heats": heats,
        "points": len(good), "shown": len(points), "left_out": int(len(good) - len(points)),
        "failed": int((table["status"] == "failed").sum()),
    }  # fmt: skip
    return StudyTables(meta, tables)


def _named(table: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    """Of each row, the values of the fields as one text; empty where there is no field."""
    return [", ".join(map(str, row)) for row in zip(*(table[f] for f in fields), strict=True)] if fields else (
        [""] * len(table))  # fmt: skip


def _together(table: pd.DataFrame, fields: list[str]) -> pd.Series:
    """Fields that move together as one: their value where it is the same for all, else all of them."""
    rows = list(zip(*(table[f] for f in fields), strict=True))
    same = all(len(set(row)) == 1 for row in rows)
    return pd.Series([row[0] if same else " / ".join(map(str, row)) for row in rows], index=table.index)


def _records(table: pd.DataFrame) -> list[Row]:
    """Rows as plain values; missing ones None."""
    columns = {name: table[name].tolist() for name in table.columns}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [{k: None if isinstance(v, float) and v != v else v for k, v in row.items()} for row in rows]
