# SPDX-License-Identifier: Apache-2.0
"""A simulated training step: one row a step of the schedule, with cycles by cause, MACs, bytes by memory.

Units are in the names: cycles unless said otherwise, bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dataflow.files import write_text
from dataflow.networks.network import phase_text
from hwsim.core.result import Result

if TYPE_CHECKING:
    import pandas as pd

CAUSES = (
    "useful", "padding", "interleave", "west", "north", "output", "fill_drain", "dram", "sore", "wuve", "elementwise",
)  # fmt: skip
"""What a step's cycles are spent on; they sum to its cycles. ``useful``: multiply slots of the array that do work of
the (pruned) product; ``dram``, ``sore``, ``wuve``: waiting for that unit; ``elementwise``: element-wise traffic; the
others as in `hwsim.sat.timing.tile`."""

CAUSE_TEXT = {
    "useful": "useful multiplies",
    "padding": "padding: shapes that are no multiple of the array",
    "interleave": "adder bubbles: too little interleaved",
    "west": "activation port",
    "north": "weight port and weight load",
    "output": "output port, drain and partial sums",
    "fill_drain": "pipeline fill and drain",
    "dram": "DRAM bandwidth",
    "sore": "pruning engine (SORE)",
    "wuve": "update engine (WUVE)",
    "elementwise": "element-wise operations (DRAM traffic)",
}

COMPONENT_TEXT = {
    "multiply": "multiplies",
    "add": "additions",
    "west": "activation buffer (west)",
    "north": "weight buffer (north)",
    "output": "output buffer",
    "dram": "DRAM",
    "wuve": "update engine (WUVE)",
    "sore": "pruning engine (SORE)",
}
"""Components of energy, in words (`hwsim.sat.energy`)."""


@dataclass(slots=True)
class StepRow:
    """One step of a schedule, simulated."""

    step: str
    layer: str
    phase: str
    """FF, BP, WU or UP (update)."""
    kind: str
    """product, elementwise or update."""
    op: str = ""
    pattern: str = ""
    dense_cause: str = ""
    """Why a product's weights are dense; empty where they are not."""
    mapping: str = ""
    cycles: int = 0
    useful: int = 0
    padding: int = 0
    interleave: int = 0
    west: int = 0
    north: int = 0
    output: int = 0
    fill_drain: int = 0
    dram: int = 0
    sore: int = 0
    wuve: int = 0
    elementwise: int = 0
    macs: int = 0
    """Multiply-accumulates of the algorithm, dense count."""
    macs_done: int = 0
    """Multiply-accumulates after pruning."""
    dram_read_bytes: int = 0
    dram_write_bytes: int = 0
    west_read_bytes: int = 0
    west_write_bytes: int = 0
    north_read_bytes: int = 0
    north_write_bytes: int = 0
    output_read_bytes: int = 0
    output_write_bytes: int = 0
    wuve_updates: int = 0
    """Weights updated."""
    sore_elements: int = 0
    """Elements sorted by SORE, in pre-generation or on the way into the north buffer."""
    sore_comparisons: int = 0
    """Comparisons in SORE: of an element as many as its layer's pattern keeps of a group."""
    jobs: int = 0
    ideal: int = 0
    """Of weights with a mask that is no N:M pattern: cycles of the kept weights alone, on all multipliers."""

    @property
    def dram_bytes(self) -> int:
        return self.dram_read_bytes + self.dram_write_bytes


@dataclass(eq=False)
class StepResult(Result):
    """A simulated step: rows, and what they were made from."""

    CAUSES: ClassVar[Mapping[str, str]] = CAUSE_TEXT
    COMPONENTS: ClassVar[Mapping[str, str]] = COMPONENT_TEXT

    network: str
    batch: int
    method: str
    pattern: str
    clock_hz: int
    peak_macs_per_cycle: int
    dram_bytes_per_cycle: float
    config: dict[str, Any]
    steps: list[StepRow] = field(default_factory=list)
    machine: str = "sat"
    phase: str = "training"
    """What a language model is run for: training, prefill or decode."""
    context: int | None = None
    """Tokens of its sequence; None: the network is none."""
    left_out: tuple[str, ...] = ()
    """What `ignored` says."""

    @property
    def ignored(self) -> Sequence[str]:
        return self.left_out

    @property
    def title(self) -> str:
        """The network, with its phase where it is a language model."""
        return self.network + phase_text(self.phase, self.context)

    @property
    def workload(self) -> str:  # type: ignore[override]  # read only
        return f"{self.title}, batch {self.batch}, {' '.join(dict.fromkeys((self.method, self.pattern)))}"

    @property
    def frequency_hz(self) -> int:
        return self.clock_hz

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        names = [f.name for f in fields(StepRow)]
        return [{n: getattr(r, n) for n in names} for r in self.steps]

    def total(self, column: str, where: Callable[[StepRow], bool] | None = None) -> int:
        """Sum of a column over all rows, or over those for which ``where`` holds."""
        return sum(getattr(r, column) for r in self.steps if where is None or where(r))

    @property
    def cycles(self) -> int:
        return self.total("cycles")

    @property
    def operations(self) -> int:
        return 2 * self.total("macs")

    @property
    def utilization(self) -> float:
        """Share of the array's multiply slots, over the whole step, that did work of the pruned products."""
        return self.total("macs_done") / (self.cycles * self.peak_macs_per_cycle) if self.cycles else 0.0

    def energy_rows(self) -> list[dict[str, float]]:
        from .energy import step_energy

        return step_energy(self)

    def facts(self) -> dict[str, Any]:
        return {"network": self.network, "phase": self.phase, "context": self.context, "batch": self.batch,
                "method": self.method, "pattern": self.pattern, "frequency_hz": self.clock_hz,
                "peak_macs_per_cycle": self.peak_macs_per_cycle, "config": self.config,
                "dram_bytes_per_cycle": self.dram_bytes_per_cycle, "ignored": list(self.left_out)}  # fmt: skip

    @classmethod
    def of(cls, facts: dict[str, Any], rows: list[dict[str, Any]], tables: dict[str, pd.DataFrame]) -> Self:
        names = [f.name for f in fields(StepRow)]
        steps = [StepRow(**{name: row[name] for name in names}) for row in rows]
        return cls(facts["network"], facts["batch"], facts["method"], facts["pattern"], facts["frequency_hz"],
                   facts["peak_macs_per_cycle"], facts["dram_bytes_per_cycle"], facts["config"], steps,
                   phase=facts.get("phase", "training"), context=facts.get("context"),
                   left_out=tuple(facts.get("ignored", ())))  # fmt: skip

    def write_timeline(self, path: Path) -> None:
        """Write the step as Chrome / Perfetto trace JSON: one slice a row, a track a phase; times at the clock."""
        events: list[dict[str, Any]] = [
            {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": f"SAT: {self.title}"}}
        ]
        phases = list(dict.fromkeys(r.phase for r in self.steps))
        for i, phase in enumerate(phases):
            events.append({"name": "thread_name", "ph": "M", "pid": 1, "tid": i, "args": {"name": phase}})
        now = 0
        for row in self.steps:
            spent = {c: v for c in CAUSES if (v := getattr(row, c))}
            facts = {"cycles": row.cycles, **spent, "dram_bytes": row.dram_bytes, "mapping": row.mapping}
            times = {"ts": now / self.frequency_hz * 1e6, "dur": row.cycles / self.frequency_hz * 1e6}
            events.append(
                {"name": row.step, "ph": "X", "pid": 1, "tid": phases.index(row.phase), **times, "args": facts}
            )
            now += row.cycles
        write_text(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}) + "\n")
