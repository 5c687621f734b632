# SPDX-License-Identifier: Apache-2.0
"""magika to prune: the types of the files of installed packages, whose endings are the truth.

Half of the files, by a hash of their path, are calibrated on; the others are measured on: ``accuracy``, ``error`` what
is missing from 1. Of one ending at most `MOST` files count, so that Python's do not drown the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from algorithms.models import magika
from algorithms.shapes import network_of
from dataflow.errors import InputError
from dataflow.networks.network import Network, Phase

from .subject import Row, Subject

PACKAGES = {"numpy": "numpy", "torch": "torch", "matplotlib": "matplotlib", "sklearn": "scikit-learn", "scipy": "scipy"}
"""Folders of packages that training and reports need, and what pip calls them."""
TYPES: dict[str, tuple[str, ...]] = {
    ".py": ("python",), ".pyi": ("python",), ".so": ("elf",), ".h": ("c", "cpp"), ".hpp": ("cpp",), ".c": ("c",),
    ".json": ("json",), ".png": ("png",), ".svg": ("svg",), ".csv": ("csv",), ".ttf": ("ttf",), ".pdf": ("pdf",),
    ".html": ("html",), ".css": ("css",), ".js": ("javascript",), ".gz": ("gzip",), ".npz": ("npz",),
    ".npy": ("npy",), ".md": ("markdown",), ".rst": ("rst",), ".yaml": ("yaml",), ".toml": ("toml",),
    ".cmake": ("cmake",), ".f90": ("fortran",), ".mat": ("matlab",), ".wav": ("wav",), ".xml": ("xml",),
}  # fmt: skip
"""What magika may say of a file by its ending."""
MOST, BATCH = 40, 32


def package_versions() -> dict[str, str]:
    """Versions of `PACKAGES`, whose files are read."""
    found = {}
    for package in PACKAGES.values():
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def typed_files() -> tuple[list[tuple[Path, str]], list[tuple[Path, str]]]:
    """(file, ending) for calibration, and held out; in the order of their paths' hashes.

    Raises:
        InputError: no such package is installed.
    """
    parts: tuple[list[tuple[Path, str]], list[tuple[Path, str]]] = ([], [])
    found = []
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            continue
        root = Path(spec.origin).parent
        for path in root.rglob("*"):
            if path.suffix in TYPES and path.is_file() and not path.is_symlink() and path.stat().st_size >= 64:
                key = hashlib.sha256(f"{name}/{path.relative_to(root).as_posix()}".encode()).hexdigest()
                found.append((key, path, path.suffix))
    counts: dict[tuple[int, str], int] = {}
    for key, path, suffix in sorted(found):
        half = int(key[:2], 16) % 2
        if counts.get((half, suffix), 0) < MOST // 2:
            counts[half, suffix] = counts.get((half, suffix), 0) + 1
            parts[half].append((path, suffix))
    if not parts[0] or not parts[1]:
        raise InputError(f"magika: no files to measure on: install one of {', '.join(PACKAGES.values())}")
    return parts


def _bytes(path: Path) -> bytes:
    """What magika looks at."""
    with path.open("rb") as file:
        data = file.read(magika.READ)
        size = path.stat().st_size
        if size > 2 * magika.READ:
            file.seek(size - magika.READ)
        return data + file.read()


class FileTyper(Subject):
    """magika.

    Args:
        model, types: None: the real ones.
        samples: files of calibration, at most.
    """

    name: ClassVar[str] = magika.NAME
    metric: ClassVar[str] = "error"
    classes: ClassVar[int] = 214
    model: magika.Magika

    def __init__(
        self, model: magika.Magika | None = None, types: Sequence[str] | None = None, *, samples: int = 256
    ) -> None:
        self.model = magika.load() if model is None else model
        self.types = magika.labels() if types is None else list(types)
        self.samples = samples
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    @property
    def stages(self) -> Sequence[nn.Module]:
        return self.model.stages

    def network(self, phase: Phase = "prefill") -> Network:
        return network_of(self.model, torch.zeros(1, 2 * magika.HALF, dtype=torch.int64), self.name)

    def facts(self) -> Row:
        return {
            "files_of": package_versions(),
            "calibration_files": len(typed_files()[0]),
            "held_out_files": len(typed_files()[1]),
        }

    def calibration(self, seed: int) -> list[Tensor]:
        files = typed_files()[0]
        chosen = torch.randperm(len(files), generator=torch.Generator().manual_seed(seed))[: self.samples]
        return list(torch.stack([magika.features(_bytes(files[i][0])) for i in chosen.tolist()]).split(BATCH))

    def loss_of(self, output: Tensor, inputs: Tensor) -> Tensor:
        """Cross-entropy to what the model itself says most: a batch does not hold its truth."""
        return F.cross_entropy(output, output.detach().argmax(1))

    def class_of(self, inputs: Tensor) -> Tensor:
        """The type that the model says."""
        found: Tensor = self.model(inputs).argmax(-1)
        return found

    @torch.no_grad()
    def quality(self) -> Row:
        files = typed_files()[1]
        right = 0
        for start in range(0, len(files), BATCH):
            part = files[start : start + BATCH]
            said = self.model(torch.stack([magika.features(_bytes(path)) for path, _ in part])).argmax(1)
            right += sum(self.types[i] in TYPES[end] for i, (_, end) in zip(said.tolist(), part, strict=True))
        return {"error": 1 - right / len(files), "accuracy": right / len(files), "files": len(files)}
