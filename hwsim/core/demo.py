# SPDX-License-Identifier: Apache-2.0
"""What ``hwsim demo`` hands to each machine for its part: folder, printing, training and real traces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .machine import Tick
from .study import StudyTables


class Trained(NamedTuple):
    """A training run."""

    result: Mapping[str, Any]
    """``test`` (quality on held-out data), ``loss`` (by step), ``config``."""
    network: Any
    """The network's layers as shapes (`dataflow.networks.network.Network`)."""


@dataclass
class Demo:
    """State of a demonstration, handed from machine to machine."""

    folder: Path
    say: Callable[[str], None]
    tick: Tick
    pattern: str
    """N:M pattern of the network that is trained."""
    settings: Callable[[Any], Any]
    """The checked settings of a study class, as the user gave them."""
    train: Callable[..., Trained]
    """``train(folder, task=..., method=..., pattern=..., ...)``: fields of `hwsim train`'s settings."""
    attention_trace: Callable[[Path], list[dict[str, Any]]]
    """Writes a real model's attention as a trace into a folder; gives a sentence's words and how long each stays."""
    show: bool = True
    """Whether tables may be printed."""
    failed: bool = False
    """Whether a comparison found a difference."""
    tables: StudyTables = field(default_factory=lambda: StudyTables({}, {}))
    steps: int = 0

    def step(self, title: str, text: str) -> None:
        """Print the title of the next part."""
        self.steps += 1
        self.say(f"[bold]{self.steps}. {title}[/bold]{text if text[:1] in ':,' else ' ' + text}")

    def add(self, study: StudyTables) -> None:
        """Add a machine's study to the page."""
        self.tables.tables |= study.tables
        self.tables.meta = study.meta | self.tables.meta
