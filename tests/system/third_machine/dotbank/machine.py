# SPDX-License-Identifier: Apache-2.0
"""A bank of dot-product lanes that multiplies a matrix with a vector: each lane takes a row, one element a cycle."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hwsim.core.energy import DRAM, INT16_ADD
from hwsim.core.machine import Machine, RunSettings, quiet
from hwsim.core.report import Section
from hwsim.core.result import Result
from hwsim.core.study import StudyTables
from hwsim.core.version import command, facts

HERE = Path(__file__).parent


class BankConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    lanes: int = Field(16, ge=1, le=4096, description="lanes, a row each")
    bytes_per_cycle: int = Field(32, ge=1, description="memory bandwidth, bytes a cycle")
    frequency_hz: int = Field(500_000_000, ge=1, description="clock, hertz")

    def verilog_parameters(self) -> dict[str, int]:
        return {"LATENCY": 1}


class BankRun(RunSettings):
    matrix: str = Field("64x256", pattern=r"^[1-9]\d{0,5}x[1-9]\d{0,5}$", description="rows x columns, 16 bits each")
    machine: BankConfig = BankConfig()


class BankStudy(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    matrices: tuple[str, ...] = Field(("64x256", "100x1000"), min_length=1, description="matrices, rows x columns")
    machine: BankConfig = BankConfig()


@dataclass
class Pass:
    """Rows that the lanes take at once."""

    first_row: int
    cycles: int
    useful: int
    memory: int
    macs: int
    bytes: int


@dataclass(eq=False)
class BankResult(Result):
    CAUSES = {"useful": "multiplies", "memory": "waiting for the matrix"}  # noqa: RUF012

    workload: str
    clock_hz: int
    passes: list[Pass]
    machine: str = "dotbank"

    @property
    def frequency_hz(self) -> int:
        return self.clock_hz

    @property
    def records(self) -> list[dict[str, Any]]:
        return [asdict(p) for p in self.passes]

    def facts(self) -> dict[str, Any]:
        return {"workload": self.workload, "frequency_hz": self.clock_hz}

    @classmethod
    def of(cls, facts: dict[str, Any], rows: list[dict[str, Any]], tables: Any) -> BankResult:
        return cls(
            facts["workload"], facts["frequency_hz"], [Pass(**{f.name: r[f.name] for f in fields(Pass)}) for r in rows]
        )

    def energy_rows(self) -> list[dict[str, float]]:
        return [{"multiply": 8 * p.macs * INT16_ADD.value_pj, "dram": p.bytes * DRAM.value_pj / 8} for p in self.passes]


class DotBank(Machine):
    title = "a bank of dot-product lanes, from outside"
    Config, Run, result_class, workload_field = BankConfig, BankRun, BankResult, "matrix"
    Study, study_field = BankStudy, "matrices"
    rtl, top = HERE, "dot_mul"

    @classmethod
    def simulate(cls, run: BankRun, workload: Any = None, tick: Any = quiet) -> BankResult:
        rows, cols = map(int, run.matrix.split("x"))
        passes = []
        for first in range(0, rows, run.machine.lanes):
            size = 2 * cols * min(run.machine.lanes, rows - first)
            wait = max(math.ceil(size / run.machine.bytes_per_cycle) - cols, 0)
            passes.append(Pass(first, cols + wait, cols, wait, size // 2, size))
        return BankResult(run.matrix, run.machine.frequency_hz, passes)

    @classmethod
    def bounds(cls, run: BankRun, result: Any) -> dict[str, float]:
        return {"lanes": sum(p.macs for p in result.passes) / run.machine.lanes,
                "memory": sum(p.bytes for p in result.passes) / run.machine.bytes_per_cycle}  # fmt: skip

    @classmethod
    def study(cls, settings: BankStudy, tick: Any = quiet, extra: Any = ()) -> StudyTables:
        runs = [cls.simulate(BankRun(matrix=name, machine=settings.machine)) for name in settings.matrices]
        rows = [{"matrix": r.workload, "cycles": r.cycles, "waiting": r.causes["memory"] / r.cycles} for r in runs]
        return StudyTables({"title": "Dot products", "command": command(), **facts()}, {"dotbank_matrices": rows})

    @classmethod
    def blocks(cls) -> dict[str, Any]:
        from hwsim.verification.case import Block
        from hwsim.verification.units import unit

        def dot_mul(rng: np.random.Generator, cases: int, job: Any) -> Any:
            a, b = rng.integers(0, 1 << 16, (2, cases)).astype(np.uint32)
            return unit("dot_mul", 1, a, b, a * b, job)

        return {"dot_mul": Block(dot_mul, 100, 20)}


def section() -> Section:
    def bars(study: StudyTables, draw: Any) -> Any:
        rows = study.tables["dotbank_matrices"]
        yield "dotbank", draw.bars([r["matrix"] for r in rows], {"": [r["cycles"] for r in rows]}, "cycles", digits=0)

    return Section("dotbank", "Dot products", "dotbank_matrices", HERE / "section.md.j2", bars)
