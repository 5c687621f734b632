# SPDX-License-Identifier: Apache-2.0
"""Real data without the network: scikit-learn's handwritten digits, and the Python standard library's sources as text.

The text differs between Python versions: its SHA-256 is recorded with every result. Whole files are held out.
"""

from __future__ import annotations

import hashlib
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dataflow.errors import InputError

CHARACTERS = 97
"""Vocabulary of the text: 95 printable ASCII characters, newline, and one for everything else."""


@dataclass(frozen=True)
class Digits:
    """float32 [n, 1, 8, 8] images scaled to zero mean, int64 [n] labels; 80% train, 20% test."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


@cache
def digits() -> Digits:
    """scikit-learn's 1,797 digits, always the same split."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    x = torch.tensor(raw.images, dtype=torch.float32)[:, None] / 8 - 0.6
    y = torch.tensor(raw.target, dtype=torch.int64)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(1797))
    cut = len(y) * 4 // 5
    return Digits(x[order[:cut]], y[order[:cut]], x[order[cut:]], y[order[cut:]])


@dataclass(frozen=True)
class Text:
    """uint8 character codes below `CHARACTERS`, and the SHA-256 of all of them."""

    train: Tensor
    test: Tensor
    sha256: str


@cache
def library_text() -> Text:
    """The standard library's ``.py`` files, tests and site packages left out, sorted by name; one file in sixteen (by
    a hash of its name) is held out.

    Raises:
        InputError: the sources are not on this machine.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    parts: tuple[list[bytes], list[bytes]] = ([], [])
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if {"site-packages", "test", "tests", "idle_test", "lib2to3", "__pycache__"} & set(name.split("/")):
            continue
        held_out = hashlib.sha256(name.encode()).digest()[0] % 16 == 0
        parts[held_out].append(path.read_bytes())
    if sum(len(p) for p in parts[0]) < 1_000_000:
        raise InputError(f"char-lm: under 1 MB of Python sources in the standard library at {root}")
    codes = np.full(256, CHARACTERS - 1, np.uint8)
    codes[32:127] = np.arange(95)
    codes[10] = 95
    train, test = (codes[np.frombuffer(b"\n".join(p), np.uint8)] for p in parts)
    digest = hashlib.sha256(train.tobytes() + test.tobytes()).hexdigest()
    return Text(torch.from_numpy(train), torch.from_numpy(test), digest)
