# SPDX-License-Identifier: Apache-2.0
"""Line and toggle coverage: Verilator's counts of all runs, merged per module.

A point is a statement block of a source line, or a bit of a signal going up or down; it is covered if any instance in
any run reached it. Instances and parameters are merged: a module is its file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_POINT = re.compile(r"^C '(.*)' (\d+)$")


@dataclass(slots=True)
class ModuleCoverage:
    """Coverage of one module."""

    module: str
    lines: int = 0
    lines_covered: int = 0
    toggles: int = 0
    toggles_covered: int = 0
    missed: list[str] = field(default_factory=list)
    """Uncovered lines, then signals with their uncovered share of bits."""


def read_points(paths: Iterable[Path]) -> dict[tuple[str, str, int, str], int]:
    """Counts by (module, kind, line, what), summed over files. Kinds: line, branch, toggle."""
    points: dict[tuple[str, str, int, str], int] = {}
    for path in paths:
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if not (match := _POINT.match(text)):
                continue
            fields = dict(part.split("\x02", 1) for part in match[1].split("\x01") if "\x02" in part)
            kind = fields.get("page", "").split("/")[0].removeprefix("v_")
            key = (Path(fields["f"]).stem, kind, int(fields["l"]), f"{fields.get('n', '')} {fields.get('o', '')}")
            points[key] = points.get(key, 0) + int(match[2])
    return points


def by_module(points: dict[tuple[str, str, int, str], int]) -> list[ModuleCoverage]:
    """Coverage of each module, by name."""
    found: dict[str, ModuleCoverage] = {}
    blocks: dict[tuple[str, int], bool] = {}
    signals: dict[tuple[str, str], list[int]] = {}
    for (module, kind, line, what), count in points.items():
        row = found.setdefault(module, ModuleCoverage(module))
        if kind == "toggle":
            row.toggles += 1
            row.toggles_covered += count > 0
            name = re.sub(r"\[.*|:.*", "", what.split(" ", 1)[1])
            tally = signals.setdefault((module, name), [0, 0])
            tally[0] += count == 0
            tally[1] += 1
        elif kind in ("line", "branch"):
            blocks[module, line] = blocks.get((module, line), False) or count > 0
    for (module, line), covered in sorted(blocks.items()):
        row = found[module]
        row.lines += 1
        row.lines_covered += covered
        if not covered:
            row.missed.append(f"line {line}")
    for (module, name), (missed, bits) in sorted(signals.items(), key=lambda s: -s[1][0]):
        if missed:
            found[module].missed.append(f"{name} {missed}/{bits}")
    return [found[name] for name in sorted(found)]
