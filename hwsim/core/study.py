# SPDX-License-Identifier: Apache-2.0
"""A study: named tables of plain rows and the facts of the run that made them; what a report shows.

Stored as a folder: ``meta.json`` (with a format version) and one CSV a table, so that a report can be made again later,
elsewhere, without simulating.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataflow.errors import InputError
from dataflow.files import atomic_path, write_text

STUDY_FORMAT = "hwsim-study/1"


@dataclass
class StudyTables:
    """``meta``: facts of the run; ``tables``: name to rows, all rows of a table with the same keys."""

    meta: dict[str, Any]
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``meta.json`` (last, so that a folder with it is whole) and ``<table>.csv``."""
        for name, rows in self.tables.items():
            with atomic_path(folder / f"{name}.csv") as temporary, temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]) if rows else [])
                writer.writeheader()
                writer.writerows(rows)
        facts = {"format": STUDY_FORMAT, "tables": list(self.tables), **self.meta}
        write_text(folder / "meta.json", json.dumps(facts, indent=1, default=str) + "\n")

    @classmethod
    def read(cls, folder: Path) -> StudyTables:
        """Read a stored study; numbers come back as int or float, empty cells as None.

        Raises:
            InputError: a missing or broken file, or another version.
        """
        path = folder / "meta.json"
        try:
            meta = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "broken JSON"
            raise InputError(f"{path}: not a study: {reason}") from None
        if not isinstance(meta, dict) or meta.pop("format", None) != STUDY_FORMAT:
            raise InputError(f"{path}: field format: not a study of this version ({STUDY_FORMAT})")
        tables = {}
        for name in meta.pop("tables"):
            try:
                with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
                    tables[name] = [{k: _number(v) for k, v in row.items()} for row in csv.DictReader(file)]
            except OSError as error:
                raise InputError(f"{folder / name}.csv: cannot be read: {error.strerror}") from None
        return cls(meta, tables)


def _number(text: str | None) -> int | float | str | None:
    if text is None or text == "":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
