# SPDX-License-Identifier: Apache-2.0
"""The schedule: an explicit list of steps, each with its mapping, that a person can read and a machine can replay.

A step is a matrix product with its mapping, an element-wise operation, or a weight update. The file form is YAML, one
line a step's mapping; `SCHEDULE_FORMAT` is its version.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ..errors import InputError
from ..files import read_yaml, validated, write_text
from .lowering import Product, VectorOp, Work, Workload

SCHEDULE_FORMAT: Literal["hwsim-schedule/1"] = "hwsim-schedule/1"


class Mapping(NamedTuple):
    """How a product runs: integers only, so that a table of candidates is an int64 array of seven columns.

    A job of the array is ``tile_rows x tile_reduction x tile_cols``. The reduction is innermost; ``rows_outer`` says
    whether row tiles or column tiles are the outer loop. ``transpose`` computes Y^T = R^T L^T (dense products only):
    then rows and columns here are those of Y^T.
    """

    is_os: int
    interleave: int
    transpose: int
    tile_rows: int
    tile_reduction: int
    tile_cols: int
    rows_outer: int

    def __str__(self) -> str:
        flow = "OS" if self.is_os else "WS"
        loops = "rows>cols" if self.rows_outer else "cols>rows"
        flip = " transposed" if self.transpose else ""
        size = f"{self.tile_rows}x{self.tile_reduction}x{self.tile_cols}"
        return f"{flow} I={self.interleave} tile={size} {loops}{flip}"

    @classmethod
    def parse(cls, text: str) -> Mapping:
        """Read the form `__str__` writes."""
        try:
            flow, inter, tile, loops, *flip = text.split()
            size = [int(n) for n in tile.removeprefix("tile=").split("x")]
            mapping = cls(  # type: ignore[call-arg]  # fields by name
                ("WS", "OS").index(flow), int(inter.removeprefix("I=")), int(flip == ["transposed"]), *size,
                1 - ("rows>cols", "cols>rows").index(loops),
            )  # fmt: skip
        except (ValueError, TypeError):
            raise InputError(f"mapping {text!r}: write it as 'WS I=8 tile=512x256x64 rows>cols [transposed]'") from None
        if min(mapping.interleave, *size) < 1:
            raise InputError(f"mapping {text!r}: interleave and tile sizes must be at least 1")
        return mapping


class ScheduleStep(BaseModel):
    """One line of a schedule: what runs, and how (products only)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: str = Field(description="layer.PASS or layer.PASS.part")
    kind: Literal["product", "elementwise", "update"]
    shape: str | None = Field(None, description="products: count x (rows x reduction x cols), pattern")
    mapping: str | None = None


class Schedule(BaseModel):
    """Steps in order, with what they were made for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["hwsim-schedule/1"] = SCHEDULE_FORMAT
    network: str
    batch: int = Field(ge=1)
    method: str
    pattern: str
    machine: dict[str, Any] = Field(description="the configuration the schedule was made for")
    steps: tuple[ScheduleStep, ...]

    @classmethod
    def of(cls, workload: Workload, mappings: dict[str, Mapping], machine: dict[str, Any]) -> Schedule:
        """The schedule of a workload, given a mapping for each product by name."""
        steps = tuple(_step(w, mappings) for w in workload.work)
        return cls(
            network=workload.network,
            batch=workload.batch,
            method=workload.method.name,
            pattern=str(workload.pattern),
            machine=machine,
            steps=steps,
        )

    def mappings(self) -> dict[str, Mapping]:
        """Each product's mapping by step name."""
        return {s.step: Mapping.parse(s.mapping) for s in self.steps if s.mapping is not None}

    def check(self, workload: Workload) -> None:
        """Raise InputError unless the schedule's steps are the workload's, in name, order and shape."""
        want = [_step(w, None) for w in workload.work]
        for i, (mine, theirs) in enumerate(zip(self.steps, want, strict=False)):
            if (mine.step, mine.kind, mine.shape) != (theirs.step, theirs.kind, theirs.shape):
                raise InputError(
                    f"schedule step {i}: {mine.step} {mine.shape or ''} does not match the workload's "
                    f"{theirs.step} {theirs.shape or ''}"
                )
            if mine.kind == "product" and mine.mapping is None:
                raise InputError(f"schedule step {i} ({mine.step}): a product needs a mapping")
        if len(self.steps) != len(want):
            raise InputError(f"schedule has {len(self.steps)} steps, the workload {len(want)}")

    def write(self, path: Path) -> None:
        lines = [
            f"format: {self.format}",
            f"network: {self.network}",
            f"batch: {self.batch}",
            f"method: {self.method}",
            f"pattern: '{self.pattern}'",
            "machine:",
            *(f"  {key}: {_scalar(value)}" for key, value in self.machine.items()),
            "steps:",
        ]
        for s in self.steps:
            fields = [f"step: {_scalar(s.step)}", f"kind: {s.kind}"]
            fields += [f"shape: {_scalar(s.shape)}"] if s.shape else []
            fields += [f"mapping: {_scalar(s.mapping)}"] if s.mapping else []
            lines.append("- {" + ", ".join(fields) + "}")
        write_text(path, "\n".join(lines) + "\n")

    @classmethod
    def read(cls, path: Path) -> Schedule:
        return validated(cls, read_yaml(path), str(path))


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def _step(work: Work, mappings: dict[str, Mapping] | None) -> ScheduleStep:
    if isinstance(work, Product):
        shape = f"{work.count} x ({work.rows} x {work.reduction} x {work.cols}), {work.pattern}"
        mapping = str(mappings[work.name]) if mappings is not None else None
        return ScheduleStep(step=work.name, kind="product", shape=shape, mapping=mapping)
    kind: Literal["elementwise", "update"] = "elementwise" if isinstance(work, VectorOp) else "update"
    return ScheduleStep(step=work.name, kind=kind)
