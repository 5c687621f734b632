# SPDX-License-Identifier: Apache-2.0
"""A package as pip would install it, made in a temporary folder: modules, and metadata with entry points."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def installed(folder: Path, name: str, modules: dict[str, str], points: dict[str, dict[str, str]]) -> Iterator[None]:
    """Put a distribution on ``sys.path`` for the block.

    Args:
        name: of the distribution; its version is 1.0.
        modules: source text by module name.
        points: ``{group: {name: "module:attribute"}}``.
    """
    site = folder / name
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, entries in points.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source)
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(site))
        for module in modules:
            sys.modules.pop(module, None)
