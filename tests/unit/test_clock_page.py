# SPDX-License-Identifier: Apache-2.0
"""The page on clocks has the kept measurements, and no module of them is slower than its floor."""

from __future__ import annotations

import csv
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clock.md").read_text(encoding="utf-8")
BEHIND = 27.5
"""MHz of the FP32 adder with its registers behind its logic."""
FLOOR = 80.0


def rows() -> dict[str, dict[str, str]]:
    found = {}
    for path in sorted((ROOT / "reports" / "clocks").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found |= {row["module"]: row for row in csv.DictReader(file)}
    return found


def test_the_page_has_the_kept_measurements() -> None:
    shown = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", PAGE, re.M))
    kept = rows()
    assert {"fp32_add", "fp16_mul", "uspe"} <= kept.keys()
    assert shown == {name: f"{float(row['fmax_mhz']):.1f}" for name, row in kept.items()}


def test_floors() -> None:
    kept = rows()
    assert float(kept["fp32_add"]["fmax_mhz"]) >= 3 * BEHIND
    slow = {name for name, row in kept.items() if float(row["fmax_mhz"]) < FLOOR}
    assert all(f"`{name}` is under {FLOOR:.0f} MHz" in PAGE for name in slow)
