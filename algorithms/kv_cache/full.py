# SPDX-License-Identifier: Apache-2.0
"""Nothing pruned: every token reads every key and value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .method import CacheMethod


@dataclass(frozen=True)
class Full(CacheMethod):
    """The whole cache."""

    title: ClassVar[str] = "the whole cache"
    source: ClassVar[str] = "the baseline"
