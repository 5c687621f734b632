# SPDX-License-Identifier: Apache-2.0
"""Whether the packages that belong to hwsim are ours: their names are plain words that other projects use too."""

from __future__ import annotations

import importlib.util
from pathlib import Path

OURS = ("dataflow", "algorithms", "reports")


def place(name: str) -> Path | None:
    """Where Python would import a package from; None: nowhere."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.origin is not None and spec.has_location:
        return Path(spec.origin)
    return next((Path(p) for p in spec.submodule_search_locations or ()), None)


def hidden() -> str:
    """What is wrong, in one line, if one of `OURS` is missing or another project's; empty: all is well."""
    root = Path(__file__).resolve().parents[2]
    for name in OURS:
        found = place(name)
        if found is None:
            return f"the package {name} is missing from {root}: install hwsim again"
        folder = found if found.is_dir() else found.parent
        if folder.resolve() != root / name:
            return (
                f"{found} hides hwsim's own package {name}: rename or remove it, or leave its folder out of PYTHONPATH "
                "and start hwsim from another one"
            )
    return ""
