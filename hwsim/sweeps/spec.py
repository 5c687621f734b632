# SPDX-License-Identifier: Apache-2.0
"""The sweep file: one checked object that says which designs run on which workloads, and what is looked for.

A field is named by its path in the machine's run settings (``hwsim schema MACHINE``): ``machine.rows``, ``pattern``.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from dataflow.errors import InputError
from hwsim.core.machine import find

Number = int | float
_FORBID = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Range(BaseModel):
    """Values between two ends, both included: in steps, so many of them, or powers; with none of these any value
    between, for sampling and searching."""

    model_config = _FORBID

    from_: Number = Field(alias="from", description="first value")
    to: Number = Field(description="last value")
    step: Number | None = Field(None, gt=0, description="distance of the values")
    count: int | None = Field(None, ge=1, le=100_000, description="so many values, evenly spread")
    powers_of: int | None = Field(None, ge=2, description="each value is so many times the one before")
    log: bool = Field(False, description="spread evenly in the logarithm (with count, or with none)")

    @model_validator(mode="after")
    def _whole(self) -> Range:
        if not (math.isfinite(self.from_) and math.isfinite(self.to)):
            raise ValueError("both ends must be finite")
        if self.from_ > self.to:
            raise ValueError(f"empty range: from {self.from_} is above to {self.to}")
        if sum(v is not None for v in (self.step, self.count, self.powers_of)) > 1:
            raise ValueError("give one of step, count, powers_of")
        if (self.powers_of or self.log) and self.from_ <= 0:
            raise ValueError(f"from {self.from_}: powers and logarithms begin above 0")
        if self.log and (self.step or self.powers_of):
            raise ValueError("log: only with count, or with none")
        return self

    @property
    def integer(self) -> bool:
        """Whether both ends are integers, and so every value."""
        return isinstance(self.from_, int) and isinstance(self.to, int)

    def values(self) -> tuple[Number, ...] | None:
        """The values; None: any between the ends."""
        low, high = self.from_, self.to
        found: list[Number]
        if self.step is not None:
            found = [low + i * self.step for i in range(int((high - low) / self.step + 1e-9) + 1)]
        elif self.powers_of is not None:
            found = []
            while low <= high:
                found.append(low)
                low *= self.powers_of
        elif self.count is not None:
            spread = np.geomspace if self.log else np.linspace
            found = spread(low, high, self.count).tolist()
            if self.integer:
                found = list(dict.fromkeys(round(v) for v in found))
        else:
            return None
        return tuple(found)

    def at(self, share: float) -> Number:
        """The value at a share (0 to below 1) of the way from the first end to the last."""
        low, high = float(self.from_), float(self.to)
        if self.integer:  # every integer is as likely
            low, high = low - 0.5, high + 0.5
            low = max(low, 0.5) if self.log else low
        value = low * (high / low) ** share if self.log else low + (high - low) * share
        return min(max(round(value), int(self.from_)), int(self.to)) if self.integer else value


Values = Annotated[
    Annotated[list[Any], Tag("values")] | Annotated[Range, Tag("range")],
    Discriminator(lambda given: "range" if isinstance(given, dict | Range) else "values"),
]


class Sample(BaseModel):
    """Points drawn from the space, in place of all of them."""

    model_config = _FORBID

    method: Literal["random", "latin-hypercube"] = Field("latin-hypercube", description="how they are drawn")
    count: int = Field(
        ge=1, le=10_000_000, description="points drawn; conditions and repetition of a point leave fewer"
    )
    seed: int = Field(0, ge=0, lt=2**31)


def objective(text: str) -> str:
    """``min COLUMN`` or ``max COLUMN``, from that or from a column alone.

    Raises:
        ValueError: it is neither.
    """
    direction, _, column = text.strip().rpartition(" ")
    if direction not in ("", "min", "max") or not column.isidentifier():
        raise ValueError("write a column, min COLUMN or max COLUMN, as in cycles or max quality")
    return f"{direction or 'min'} {column}"


ObjectiveText = Annotated[str, AfterValidator(objective)]


def machine_name(text: str) -> str:
    """The name of a machine that there is.

    Raises:
        ValueError: there is none of that name; says which there are.
    """
    try:
        find(text)
    except InputError as error:
        raise ValueError(str(error)) from None
    return text


MachineName = Annotated[str, AfterValidator(machine_name)]


class Search(BaseModel):
    """How ``hwsim search`` goes through the space."""

    model_config = _FORBID

    sampler: Literal["nsga2", "tpe"] = Field("nsga2", description="genetic (NSGA-II), or tree-structured Parzen")
    trials: int = Field(400, ge=1, le=1_000_000, description="points asked for")
    batch: int = Field(
        40, ge=1, le=10_000, description="points that run between two asks of the sampler; its population"
    )
    seed: int = Field(0, ge=0, lt=2**31)


class AttentionQuality(BaseModel):
    """The character model, trained once, generates behind prompts with the point's pruning."""

    model_config = _FORBID

    steps: int = Field(400, ge=1, le=100_000, description="training steps of the model")
    prompts: int = Field(16, ge=1, le=10_000, description="prompts, spread over the held-out text")


class Quality(BaseModel):
    """Where a point's quality comes from: the reference table, or training runs made now (and stored). One of them."""

    model_config = _FORBID

    stored: str | None = Field(
        None,
        description="task of the reference table of `hwsim train --full`: mean over its seeds by method and pattern",
    )
    table: str | None = Field(None, description="folder of another such table (default: the one of hwsim)")
    train: dict[str, Any] | None = Field(
        None, description="settings of `hwsim train`; method, pattern and repetition's seed come from the point"
    )

    attention: AttentionQuality | None = Field(
        None, description="of a point's attention pruning (a model's size by name): bits per character in generation"
    )

    @model_validator(mode="after")
    def _one(self) -> Quality:
        if sum(given is not None for given in (self.stored, self.train, self.attention)) != 1:
            raise ValueError("give one of stored, train, attention")
        if self.table is not None and self.stored is None:
            raise ValueError("table: goes with stored")
        for name in set(self.train or {}) & {"method", "pattern", "seed"}:
            raise ValueError(f"train.{name}: comes from the point")
        return self


class Parts(BaseModel):
    """A figure of what a few points' cycles are made of (with ``detail``)."""

    model_config = _FORBID

    by: str = Field(description="what of a point's parts is one mark: layer, phase, step ...")
    where: str = Field(description="condition that chooses the points, at most eight")


class Figures(BaseModel):
    """What the page draws first; each can be changed there."""

    model_config = _FORBID

    x: str | None = Field(None, description="column across (default: the first objective)")
    y: str | None = Field(None, description="column upwards (default: the second objective)")
    colour: str | None = Field(None, description="column of the colour (default: the first field that is varied)")
    heat: tuple[str, str] | None = Field(None, description="two fields of the heat map (default: the first two)")
    log: bool = Field(True, description="logarithmic axes")
    parts: Parts | None = None


class Spec(BaseModel):
    """A sweep."""

    model_config = _FORBID

    title: str = Field("sweep", description="what the page is called")
    machine: MachineName = Field(description="which machine's run settings the fields are of")
    base: dict[str, Any] = Field({}, description="settings of every point, as in a --config file")
    axes: dict[str, Values] = Field(
        min_length=1, description="field, or several separated by commas that move together: values or a range"
    )
    where: tuple[str, ...] = Field((), description="conditions that every point meets, as in machine.rows <= 64")
    sample: Sample | None = Field(None, description="draw points; none: all of them")
    repeat: int = Field(1, ge=1, le=1000, description="runs of a point, each with the next seed")
    detail: bool = Field(False, description="keep each point's steps or layers too")
    objectives: tuple[ObjectiveText, ...] = Field(
        ("min cycles", "min energy_j"), min_length=1, description="columns to be small (or, with max, large)"
    )
    paper: dict[str, Any] | None = Field(
        None, description="fields of the design that is marked (default: the paper's machine on the base's workload)"
    )
    quality: Quality | None = None
    search: Search = Search()
    figures: Figures = Figures()
    text: str = Field("", description="what is asked, for the page")
    learnt: tuple[str, ...] = Field(
        (), description="what was learnt: sentences, in which {{ ... }} is worked out from the results"
    )

    @model_validator(mode="after")
    def _has_parts(self) -> Spec:
        if self.figures.parts is not None and not self.detail:
            raise ValueError("figures.parts: needs detail: true")
        return self
