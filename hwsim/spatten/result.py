# SPDX-License-Identifier: Apache-2.0
"""A simulated attention workload: a row a layer of an iteration, with cycles by cause, bytes by kind, work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import pandas as pd

from hwsim.core.result import Result, energy_component

from .config import SpattenConfig
from .timing.pipeline import CAUSES

BETWEEN = ("selection", "projections")
"""Causes of cycles between segments: top-k over tokens and heads; products."""
ALL_CAUSES = (*CAUSES, *BETWEEN)
"""All causes; their cycles sum to the run's cycles."""
BOUND_TEXT = {"memory": "peak bandwidth", "qk": "Q x K", "pv": "prob x V"}
CAUSE_TEXT = {
    "qk": "computes",
    "keys": "waits for q or keys (memory)",
    "key_sram": "waits for space in the key SRAM",
    "lsb": "waits for LSBs of keys",
    "candidates": "waits for the candidate search",
    "softmax": "no free query slot: softmax",
    "topk": "no free query slot: top-k of values",
    "values": "no free query slot: fetch of values",
    "pv": "no free query slot: prob x V",
    "latency": "no free query slot: latency of the pipeline",
    "drain": "no query left in the layer (pipeline drains)",
    "selection": "top-k over tokens and heads, between layers",
    "projections": "projections, between layers",
}


@dataclass(eq=False)
class SpattenResult(Result):
    """A simulated workload."""

    CAUSES: ClassVar[Mapping[str, str]] = {f"{cause}_cycles": CAUSE_TEXT[cause] for cause in ALL_CAUSES}
    COMPONENTS: ClassVar[Mapping[str, str]] = {
        "dram": "DRAM", "dram_refresh": "DRAM refresh", "qk": "Q x K", "pv": "prob x V", "key_sram": "key SRAM",
        "value_sram": "value SRAM",
        "topk": "top-k", "candidates": "candidate search",
    }  # fmt: skip

    style: str
    """SpAtten, or a baseline by name (`hwsim.spatten.baselines`)."""
    workload: str
    config: dict[str, Any]
    steps: list[dict[str, Any]] = field(default_factory=list)
    """One a layer of an iteration (with overlap: an iteration): sizes, cycles by cause, bytes by kind, work."""
    queries: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The first queries: iteration, layer, head, cycle of each event of `LOG`, and for how many cycles a unit took
    rows of it (``dot_busy``, ``row_busy`` of exp and divide, ``output_busy``)."""
    machine: str = "spatten"

    @property
    def frequency_hz(self) -> int:
        return int(self.config["frequency_hz"])

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        return self.steps

    @property
    def name(self) -> str:
        return f"{self.workload} on {self.style}"

    def tables(self) -> dict[str, pd.DataFrame]:
        return {"queries": self.queries}

    def energy_rows(self) -> list[dict[str, float]]:
        from .energy import row_energy

        settings = self.settings
        return [row_energy(settings, row) for row in self.steps]

    def facts(self) -> dict[str, Any]:
        return {"style": self.style, "workload": self.workload, "config": self.config}

    @classmethod
    def of(cls, facts: dict[str, Any], rows: list[dict[str, Any]], tables: dict[str, pd.DataFrame]) -> Self:
        steps = [{k: v for k, v in row.items() if not energy_component(k)} for row in rows]
        return cls(facts["style"], facts["workload"], facts["config"], steps, tables["queries"])

    def total(self, column: str) -> int:
        """Sum of a column."""
        return int(sum(r[column] for r in self.steps))

    @property
    def settings(self) -> SpattenConfig:
        return SpattenConfig.model_validate(self.config)

    @property
    def dram_bytes(self) -> int:
        return self.total("dram_bytes")

    @property
    def macs(self) -> int:
        """Multiplies of attention that were done."""
        return self.total("qk_macs") + self.total("pv_macs")

    @property
    def operations(self) -> int:
        """Operations that were done, two a multiply; a workload file does not have the dense count."""
        return 2 * self.macs

    @property
    def occupancy(self) -> dict[str, float]:
        """Share of the cycles in which a unit takes rows, the top-k engines compare, the memory's data moves."""
        total, c = max(self.cycles, 1), self.settings
        moved = self.dram_bytes / c.peak_bytes_per_cycle
        return {
            "memory": moved / total, "Q x K": self.total("qk_cycles") / total, "exp": self.total("exp_busy") / total,
            "divide": self.total("divide_busy") / total,
            "top-k": self.total("topk_busy") / (total * c.value_topk_engines),
            "prob x V": self.total("pv_busy") / total,
        }  # fmt: skip

    @property
    def bottleneck(self) -> str:
        """The busiest unit, in words, with its occupancy; "none" where that is below a half."""
        occupancy = self.occupancy
        unit = max(occupancy, key=occupancy.__getitem__)
        none = "none: " if occupancy[unit] < 0.5 else ""
        return f"{none}{unit}, {occupancy[unit]:.0%} busy"

    def bounds(self) -> dict[str, float]:
        """Cycles that the run cannot be below: of the memory, of each array of multipliers.

        With projections, their multiplies and weights count too."""
        c = self.settings
        shared = self.total("projection_macs") / (c.qk_multipliers + c.pv_multipliers)
        return {
            "memory": self.dram_bytes / c.peak_bytes_per_cycle,
            "qk": self.total("qk_macs") / c.qk_multipliers + shared,
            "pv": self.total("pv_macs") / c.pv_multipliers + shared,
        }

    @property
    def bound(self) -> str:
        """What sets the largest of `bounds`, in words."""
        bounds = self.bounds()
        return BOUND_TEXT[max(bounds, key=bounds.__getitem__)]

    @property
    def share_of_bound(self) -> float:
        """The largest of `bounds` over the cycles: at most 1."""
        return max(self.bounds().values()) / self.cycles if self.cycles else 1.0
