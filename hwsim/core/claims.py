# SPDX-License-Identifier: Apache-2.0
"""Rows of what a machine claims: ours, the command that makes the number, and what stands behind it.

A claim's row has the key of the published figure, which only the report sets beside it. What is not a claim: bounds
that nothing may beat, and machines that are costed alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
Tables = dict[str, list[Row]]


def claim(tables: Tables, key: str, value: float | None, ours: str, command: str, why: str, against: str = "") -> None:
    """Add a published claim's row.

    Args:
        key: of the published figure.
        value: ours, in the published figure's unit.
        ours: the same in words.
        command: that makes it.
        why: what stands behind a difference.
        against: key of the published figure that ours stands beside, if it is another one.
    """
    tables.setdefault("claims", []).append(
        {"key": key, "value": value, "ours": ours, "command": command, "why": why, "against": against or key}
    )


def bound(tables: Tables, what: str, ours: float, limit: float, unit: str, least: bool = False) -> None:
    """Add a bound, ours beside it, and whether ours respects it; ``least``: it is a lower bound."""
    holds = ours >= limit * (1 - 1e-9) if least else ours <= limit * (1 + 1e-9)
    tables.setdefault("bounds", []).append(
        {"what": what, "ours": ours, "side": "at least" if least else "at most", "bound": limit, "unit": unit,
         "holds": "yes" if holds else "NO"}
    )  # fmt: skip


def costed(
    tables: Tables, table: str, names: tuple[str, str], gop: float, seconds: float, area: float, rows: Sequence[Row]
) -> None:
    """Speed and efficiency of a machine (its name and the run's); ``gop``: the task's operations, the same for all."""
    table_j, rtl_j = (sum(r[f"{kind}_j"] or 0.0 for r in rows) for kind in ("table", "rtl"))
    tables.setdefault(table, []).append({
        "machine": names[0], "run": names[1], "ms": 1e3 * seconds, "area_mm2": area, "gop_per_s": gop / seconds,
        "gop_per_s_mm2": gop / seconds / area, "gop_per_j_table": gop / table_j, "gop_per_j_rtl": gop / rtl_j,
        "watts_rtl": rtl_j / seconds,
    })  # fmt: skip


def several(tables: Tables, key: str, found: dict[str, float], command: str, why: str) -> None:
    """A claim of several workloads: the mean."""
    if found:
        text = "; ".join(f"{value:.2f}x ({name})" for name, value in found.items())
        claim(tables, key, sum(found.values()) / len(found), text, command, why)
