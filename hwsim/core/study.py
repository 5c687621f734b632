# SPDX-License-Identifier: Apache-2.0
"""A study: named tables of plain rows and the facts of the run that made them; what a report shows.

Stored as a folder: ``meta.json`` (with a format version) and for each table a Parquet file, so that a report can be
made again later, elsewhere, without simulating. Values keep their types: text that looks like a number stays text. A
CSV of each table lies beside it for spreadsheets; it is not read back. Folders of the first format, which had CSV
alone, are still read; there a cell that looks like a number becomes one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataflow.errors import InputError
from dataflow.files import atomic_path, read_json, write_text

from .result import why

if TYPE_CHECKING:
    import pyarrow as pa

STUDY_FORMAT = "hwsim-study/2"
FIRST_FORMAT = "hwsim-study/1"
_JSON = {b"hwsim": b"json"}
"""Marks a column whose values are of several kinds, or lists: each is stored as JSON."""


@dataclass
class StudyTables:
    """``meta``: facts of the run; ``tables``: name to rows, all rows of a table with the same keys."""

    meta: dict[str, Any]
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``<table>.parquet`` and ``<table>.csv``, and ``meta.json`` last, so that a folder with it is whole."""
        import pyarrow.parquet as pq

        for name, rows in self.tables.items():
            with atomic_path(folder / f"{name}.csv") as temporary, temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, columns(rows))
                writer.writeheader()
                writer.writerows(rows)
            with atomic_path(folder / f"{name}.parquet") as temporary:
                pq.write_table(to_arrow(rows), temporary)
        facts = {"format": STUDY_FORMAT, "tables": list(self.tables), **self.meta}
        write_text(folder / "meta.json", json.dumps(facts, indent=1, default=str) + "\n")

    @classmethod
    def read(cls, folder: Path) -> StudyTables:
        """Read a stored study.

        Raises:
            InputError: a missing or broken file, or another version.
        """
        path = folder / "meta.json"
        if not path.is_file():
            raise InputError(f"{path}: not a study: No such file")
        meta = read_json(path)
        found = meta.pop("format", None) if isinstance(meta, dict) else None
        if found not in (STUDY_FORMAT, FIRST_FORMAT):
            raise InputError(f"{path}: field format: not a study of this version ({STUDY_FORMAT})")
        names = meta.pop("tables", None)
        if not isinstance(names, list):
            raise InputError(f"{path}: field tables: is missing")
        read = _read_parquet if found == STUDY_FORMAT else _read_csv
        return cls(meta, {str(name): read(folder, str(name)) for name in names})


def columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The keys of all rows, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def to_arrow(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as a table; integers beside floats become floats, any other mixture is kept as JSON."""
    import pyarrow as pa

    arrays, fields = [], []
    for name in columns(rows):
        values = [row.get(name) for row in rows]
        kinds = {type(v) for v in values if v is not None}
        plain = kinds <= {int, float} or (len(kinds) == 1 and kinds <= {bool, str})
        array = pa.array(values) if plain and kinds != {int, float} else None
        if plain and array is None:
            array = pa.array([None if v is None else float(v) for v in values])
        if array is None:
            array = pa.array([json.dumps(v, default=_plain) for v in values])
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=None if plain else _JSON))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def from_arrow(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table that `to_arrow` made."""
    columns = {}
    for part in table.schema:
        values = table[part.name].to_pylist()
        columns[part.name] = [json.loads(v) for v in values] if part.metadata == _JSON else values
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    """A NumPy scalar as a Python value, anything else as text."""
    return value.item() if hasattr(value, "item") else str(value)


def _read_parquet(folder: Path, name: str) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{name}.parquet"
    try:
        return from_arrow(pq.read_table(path))
    except (OSError, pa.ArrowException, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {why(error)}") from None


def _read_csv(folder: Path, name: str) -> list[dict[str, Any]]:
    path = folder / f"{name}.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{k: _number(v) for k, v in row.items()} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a CSV file"
        raise InputError(f"{path}: cannot be read: {reason}") from None


def _number(text: str | None) -> int | float | str | None:
    if text is None or text == "":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
