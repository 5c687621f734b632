# SPDX-License-Identifier: Apache-2.0
"""Results: one row a step, with cycles by cause, MACs, bytes by memory; as Parquet with the run's facts beside it.

Any machine fills the same row; a cause or memory it does not have stays 0. Units are in the names: cycles unless said
otherwise, bytes, picojoules (added by `hwsim.core.energy`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dataflow.errors import InputError
from dataflow.files import atomic_path, write_text

RESULT_FORMAT = "hwsim-result/1"

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
    jobs: int = 0

    @property
    def dram_bytes(self) -> int:
        return self.dram_read_bytes + self.dram_write_bytes


@dataclass(slots=True)
class StepResult:
    """A simulated step: rows, and what they were made from."""

    machine: str
    network: str
    batch: int
    method: str
    pattern: str
    frequency_hz: int
    peak_macs_per_cycle: int
    dram_bytes_per_cycle: float
    config: dict[str, Any]
    rows: list[StepRow] = field(default_factory=list)

    def total(self, column: str, where: Callable[[StepRow], bool] | None = None) -> int:
        """Sum of a column over all rows, or over those for which ``where`` holds."""
        return sum(getattr(r, column) for r in self.rows if where is None or where(r))

    @property
    def cycles(self) -> int:
        return self.total("cycles")

    @property
    def seconds(self) -> float:
        return self.cycles / self.frequency_hz

    @property
    def utilization(self) -> float:
        """Share of the array's multiply slots, over the whole step, that did work of the pruned products."""
        return self.total("macs_done") / (self.cycles * self.peak_macs_per_cycle) if self.cycles else 0.0

    def facts(self) -> dict[str, Any]:
        """Everything but the rows."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "rows"}

    def write(self, path: Path, energy_pj: Sequence[dict[str, float]] | None = None) -> None:
        """Write as Parquet; ``energy_pj`` adds a column ``energy_<component>_pj`` for each key."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, list[Any]] = {f.name: [getattr(r, f.name) for r in self.rows] for f in fields(StepRow)}
        if energy_pj:
            for component in energy_pj[0]:
                columns[f"energy_{component}_pj"] = [e[component] for e in energy_pj]
        facts = {"format": RESULT_FORMAT, **self.facts()}
        table = pa.table(columns).replace_schema_metadata({"hwsim": json.dumps(facts)})
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary)

    @classmethod
    def read(cls, path: Path) -> StepResult:
        """Read a stored result.

        Raises:
            InputError: no such file, not Parquet, not ours, or of another version.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0][:100]
            raise InputError(f"{path}: not a readable result file: {reason}") from None
        raw = (table.schema.metadata or {}).get(b"hwsim")
        facts = json.loads(raw) if raw else {}
        if facts.pop("format", None) != RESULT_FORMAT:
            raise InputError(f"{path}: field format: not a result of this version ({RESULT_FORMAT})")
        names = [f.name for f in fields(StepRow)]
        for name in names:
            if name not in table.column_names:
                raise InputError(f"{path}: column {name} is missing")
        rows = [StepRow(**{n: r[n] for n in names}) for r in table.select(names).to_pylist()]
        return cls(rows=rows, **facts)

    def write_timeline(self, path: Path) -> None:
        """Write the step as Chrome / Perfetto trace JSON: one slice a row, a track a phase; times at the clock."""
        events: list[dict[str, Any]] = [
            {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": f"{self.machine}: {self.network}"}}
        ]
        phases = list(dict.fromkeys(r.phase for r in self.rows))
        for i, phase in enumerate(phases):
            events.append({"name": "thread_name", "ph": "M", "pid": 1, "tid": i, "args": {"name": phase}})
        now = 0
        for row in self.rows:
            spent = {c: v for c in CAUSES if (v := getattr(row, c))}
            facts = {"cycles": row.cycles, **spent, "dram_bytes": row.dram_bytes, "mapping": row.mapping}
            times = {"ts": now / self.frequency_hz * 1e6, "dur": row.cycles / self.frequency_hz * 1e6}
            events.append(
                {"name": row.step, "ph": "X", "pid": 1, "tid": phases.index(row.phase), **times, "args": facts}
            )
            now += row.cycles
        write_text(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}) + "\n")
