# SPDX-License-Identifier: Apache-2.0
"""The table of a sweep, ``results.parquet``: a row a point in the sweep's order, fields first; written whole or not at
all, and read together with the sweep it is of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from dataflow.errors import InputError
from dataflow.files import atomic_path, validated

from .errors import SweepStopped
from .evaluate import FRONT, describe
from .space import Point, Space
from .spec import Spec
from .store import Store

EXTRA = "paper, not swept"
"""The marked design, where it is none of the sweep's points."""
TABLE = "results.parquet"


class Results(NamedTuple):
    """What a folder of results holds."""

    table: pa.Table
    """A row a point: ``design``, the fields, ``key``, ``status``, ``error``, then the result's columns."""
    spec: Spec
    fields: list[str]
    """The fields that the sweep varies."""
    damaged: list[Path]
    """Files that were found damaged: where they are now. Their points are not in the table."""


def write_table(store: Store, space: Space, plan: Sequence[tuple[str, Point]]) -> pa.Table:
    """Write ``results.parquet``: the rows of a plan (name, point) in its order.

    Raises:
        SweepStopped: points that were finished are no longer in the folder; no room for the table.
    """
    store.check()
    rows = store.rows()
    there = set(rows["key"].to_pylist())
    missing = {key: point for key, point in plan if key not in there}
    if missing:
        few = "; ".join(describe(point.values) for point in list(missing.values())[:3])
        raise SweepStopped(
            f"{store.folder}: {len(missing):,} of {len(dict(plan)):,} points are missing, though they were run: parts "
            f"were removed or damaged meanwhile; no table was made ({few}{' ...' * (len(missing) > 3)})"
        )
    table = ordered(rows, space, plan)
    try:
        with atomic_path(store.folder / TABLE) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    except InputError as error:
        raise SweepStopped(str(error)) from None
    return table


def read_results(folder: Path) -> Results:
    """A sweep's results: its table, or, of a run that has not come to its end, the points that are finished.

    Raises:
        InputError: no results, or of another version.
    """
    store = Store(folder)
    spec = validated(Spec, store.manifest().get("sweep"), f"{folder / 'manifest.json'}: sweep")
    fields = [f.strip() for name in spec.axes for f in name.split(",")]
    path = folder / TABLE
    table = None
    if path.exists():
        try:
            table = pq.read_table(path, page_checksum_verification=True)
        except PermissionError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        except (OSError, ValueError):  # Arrow's are among them
            pass
        if table is None or not {"design", *fields, *FRONT[:3]} <= set(table.column_names):
            table = None
            store.set_aside(path)
    if table is None:
        table = _finished(store.rows(), fields)
    return Results(table, spec, fields, store.damaged)


def ordered(rows: pa.Table, space: Space, plan: Sequence[tuple[str, Point]]) -> pa.Table:
    """The rows of a plan in its order, with their fields as columns; a design that is there twice is marked, not
    repeated."""
    place = {key: i for i, key in enumerate(rows["key"].to_pylist())}
    marked = {key for key, point in plan if point.paper}
    swept = {key for key, point in plan if not point.paper}
    plan = [(key, point) for key, point in plan if not point.paper or key not in swept]
    columns: dict[str, Any] = {"design": [_design(point, key in marked) for key, point in plan]}
    for name in space.fields:
        columns[name] = _column([_value(space, point, name) for _, point in plan])
    if space.spec.repeat > 1:
        columns["repetition"] = [point.repetition for _, point in plan]
    taken = rows.take([place[key] for key, _ in plan]).drop_columns(["point"])
    for name in taken.column_names:
        if not pa.types.is_null(taken[name].type):
            columns[name] = taken[name]
    return pa.table(columns)


def _finished(rows: pa.Table, fields: list[str]) -> pa.Table:
    """Rows in no order, with their fields as columns."""
    points = [json.loads(text) for text in rows["point"].to_pylist()]
    columns: dict[str, Any] = {"design": pa.array([""] * len(points), pa.string())}
    for name in (*fields, "repetition"):
        if name in fields or any(name in p for p in points):
            columns[name] = _column([p.get(name) for p in points])
    return pa.table(columns | {n: rows[n] for n in rows.column_names if n != "point" and n not in columns})


def _design(point: Point, marked: bool) -> str:
    return EXTRA if point.paper else "paper" if marked else ""


def _value(space: Space, point: Point, name: str) -> Any:
    if name in point.values:
        return point.values[name]
    found, _ = space.settings(point)  # the marked design leaves fields as they are
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else getattr(found, part, None)
    return found


def _column(values: list[Any]) -> list[Any]:
    """Values of one kind: numbers stay numbers, all else is text."""
    kinds = {type(v) for v in values if v is not None}
    if kinds == {int, float}:
        return [v if v is None else float(v) for v in values]
    if len(kinds) <= 1 and kinds <= {int, float, bool, str}:
        return values
    return [v if v is None else str(v) for v in values]
