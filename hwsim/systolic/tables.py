# SPDX-License-Identifier: Apache-2.0
"""The array's cycles beside LLMCompass's tables of products, output stationary and without memories.

``python -m hwsim.systolic.tables FOLDER`` counts all rows of the tables in that repository's ``systolic_array_model``;
``--keep`` stores the count. 200 of the rows are shipped (BSD-3-Clause, licence beside them).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast, get_args

from dataflow.errors import InputError
from dataflow.files import read_text, write_text

from .config import Dataflow
from .folds import Folds

SOURCE = "PrincetonUniversity/LLMCompass, commit 2e015fd, systolic_array_model (BSD-3-Clause)"
HERE = Path(__file__).with_name("llmcompass")
SAMPLE = HERE / "sample.csv"
COUNTED = HERE / "counted.json"
"""What ``--keep`` stored."""
TABLES = "look_up_table_*_*.csv"
"""Names of the tables: one an array."""
_TITLES = "m,n,k,rows,cols,dataflow,cycles,utilization"


def compare(path: Path) -> tuple[int, int]:
    """Rows of a table, and those whose cycles the array does not have.

    Raises:
        InputError: a row that is no product; names file and line.
    """
    lines = [line for line in read_text(path).splitlines() if not line.startswith("#")]
    found = different = 0
    for number, cells in enumerate(csv.reader(lines), 1):
        try:
            m, n, k, rows, cols = (int(cell) for cell in cells[:5])
            flow, cycles = cells[5], int(cells[6])
        except (ValueError, IndexError):
            raise InputError(f"{path}: row {number}: {','.join(cells)[:60]!r}: expected {_TITLES}") from None
        if min(m, n, k, rows, cols) < 1 or flow not in get_args(Dataflow):
            raise InputError(f"{path}: row {number}: sizes from 1, dataflow one of {', '.join(get_args(Dataflow))}")
        found += 1
        different += Folds(rows, cols, cast(Dataflow, flow), m, k, n, as_scalesim=True).cycles != cycles
    return found, different


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: rows and differences of every table of a folder."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m hwsim.systolic.tables", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="LLMCompass's systolic_array_model")
    parser.add_argument("--keep", action="store_true", help="store the count for the page of validation")
    given = parser.parse_args(arguments)
    try:
        found = {path.name: compare(path) for path in sorted(given.folder.glob(TABLES))}
    except InputError as error:
        parser.error(str(error))
    if not found:
        parser.error(f"{given.folder}: no {TABLES}")
    kept = {"source": SOURCE, "date": f"{datetime.now(UTC):%Y-%m-%d}", "tables": found}
    for name, (rows, different) in found.items():
        print(f"{name}: {rows:,} rows, {different:,} different")
    print(f"all: {sum(r for r, _ in found.values()):,} rows, {sum(d for _, d in found.values()):,} different")
    if given.keep:
        write_text(COUNTED, json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
