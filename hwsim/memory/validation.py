# SPDX-License-Identifier: Apache-2.0
"""DRAM beside Ramulator: the same lists of transactions, cycle for cycle."""

from __future__ import annotations

import csv
from pathlib import Path

from hwsim.core.validation import Check, Part

from .config import DramConfig
from .lists import addresses
from .run import run


def part() -> Part:
    """Every list of ``reference.csv``, and their mean distance."""
    checks = []
    with Path(__file__).with_name("reference.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            config = DramConfig(standard=row["dram"], channels=1, mapping="row-bank-column")
            ours = run(config, *addresses(row["name"], config.transaction_bytes)).cycles
            checks.append(Check(
                f"{row['dram']}, {row['name']}", ours, float(row["cycles"]), "cycles", "Ramulator 2.1, commit c5b1c3a",
                "hwsim validate --part dram", "the scheduler's choices among requests that are equally old", 0.01,
            ))  # fmt: skip
    mean = sum(abs(c.ratio - 1) for c in checks) / len(checks)
    return Part("DRAM", f"{len(checks)} lists of transactions, one channel, from the first request to the last "
                f"completion; mean distance {mean:.3%}. Targets: each within 1%.", tuple(checks))  # fmt: skip
