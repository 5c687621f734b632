# SPDX-License-Identifier: Apache-2.0
"""What a comparison of cache methods measured, one file a prompt: a comparison that was stopped goes on.

A file's name has a digest of all that its figures follow from but the code: the model, the prompt, the methods with
their options. So a store never answers for another question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from algorithms.accuracy.cache import Entry
from dataflow.errors import InputError
from dataflow.files import write_text

FORMAT = "hwsim-cache-cell/1"


def cell(store: Path | None, kind: str, ids: Tensor, facts: dict[str, Any], measure: Callable[[], Any]) -> Any:
    """What is stored of a prompt, or is measured now.

    Args:
        store: none: always measured, nothing kept.
        kind: the name's beginning.
        ids: int64, the prompt and what follows.
        facts: all else that the figures follow from; goes into the file.
        measure: gives figures as JSON has them.

    Raises:
        InputError: a file of the store that is no such cell.
    """
    if store is None:
        return measure()
    text = json.dumps(facts, sort_keys=True)
    tokens = ids.to(torch.int64).numpy().astype("<i8").tobytes()
    digest = hashlib.sha256(text.encode() + tokens).hexdigest()[:16]
    path = store / f"{kind}-{digest}.json"
    if path.is_file():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["format"] != FORMAT:
                raise ValueError
            return kept["figures"]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{path}: no cell of format {FORMAT}: remove it, and it is measured again") from None
    figures = measure()
    write_text(path, json.dumps({"format": FORMAT, "facts": facts, "figures": figures}) + "\n")
    return figures


def described(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Methods and options, for `cell`'s facts."""
    return [{"name": e.name, **asdict(e.method)} for e in entries]
