# SPDX-License-Identifier: Apache-2.0
"""The points of a sweep: which values each field takes, in a fixed order, and what a point's settings are.

A grid runs through the last field first. Sampled points come from one seed. Points that a condition excludes, and
repetitions of a sampled point, are left out.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from dataflow.errors import InputError
from dataflow.files import first_problem, put, validated
from hwsim.core.machine import find

from .expression import Expression, names_of
from .spec import Range, Sample, Spec

MOST_POINTS = 10_000_000
DRAWS = 1000
"""A random sample ends early after so many draws in a row that gave no new point."""


class Axis(NamedTuple):
    """Fields that move together."""

    name: str
    fields: tuple[str, ...]
    range: Range | None
    values: tuple[Any, ...] | None
    """None: any value of the range."""

    def at(self, share: float) -> Any:
        """The value at a share (0 to below 1) of the axis."""
        if self.values is None:
            assert self.range is not None
            return self.range.at(share)
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def assign(self, value: Any) -> dict[str, Any]:
        """The value by field: each its own of a list, or the same for all."""
        if len(self.fields) > 1 and isinstance(value, list):
            return dict(zip(self.fields, value, strict=True))
        return dict.fromkeys(self.fields, value)


class Point(NamedTuple):
    """Where a run is in the space."""

    values: dict[str, Any]
    """By field."""
    repetition: int = 0
    paper: bool = False
    """Whether it is the design that is marked."""


class Space:
    """The points of a checked sweep.

    Raises:
        InputError: an unknown field, a value its field cannot have, an empty axis, a broken condition.
    """

    def __init__(self, spec: Spec, where: str = "sweep") -> None:
        self.spec, self.where = spec, where
        self.model = find(spec.machine).Run
        self.axes = [self._axis(name, given) for name, given in spec.axes.items()]
        self.fields = [f for axis in self.axes for f in axis.fields]
        for field in self.fields:
            if self.fields.count(field) > 1:
                raise InputError(f"{where}: axes: {field}: is given twice")
        self.default = validated(self.model, spec.base, f"{where}: base").model_dump(mode="json")
        self.seeded = "seed" in self.model.model_fields or (spec.quality is not None and spec.quality.train is not None)
        if spec.repeat > 1 and not self.seeded:
            raise InputError(f"{where}: repeat: nothing in a run of {spec.machine} is drawn at random")
        self._check_values()
        self.conditions = [Expression(text, f"{where}: where[{i}]") for i, text in enumerate(spec.where)]
        first = self.first()
        for condition in self.conditions:
            condition(names_of(self.merged(first)))

    def _axis(self, name: str, given: list[Any] | Range) -> Axis:
        fields = tuple(f.strip() for f in name.split(","))
        where = f"{self.where}: axes: {name}"
        if not all(fields):
            raise InputError(f"{where}: write field or field, field")
        if isinstance(given, Range):
            return Axis(name, fields, given, given.values())
        if not given:
            raise InputError(f"{where}: empty: give at least one value")
        texts = [json.dumps(v, default=str) for v in given]
        for text in texts:
            if texts.count(text) > 1:
                raise InputError(f"{where}: {text}: is given twice")
        if len(fields) > 1:
            for value in given:
                if isinstance(value, list) and len(value) != len(fields):
                    raise InputError(f"{where}: {value}: {len(value)} values for {len(fields)} fields")
        return Axis(name, fields, None, tuple(given))

    def first(self) -> dict[str, Any]:
        """Each axis at its first value."""
        return {f: v for axis in self.axes for f, v in axis.assign(axis.at(0.0)).items()}

    def _check_values(self) -> None:
        """Each value alone must be one its field can have; what only a combination forbids is that point's failure."""
        for axis in self.axes:
            ends = (axis.at(0.0), axis.at(1 - 1e-12))
            for value in axis.values if axis.values is not None and len(axis.values) <= 10_000 else ends:
                assigned = axis.assign(value)
                try:
                    self.model.model_validate(self._put(assigned))
                except ValidationError as error:
                    for e in error.errors(include_url=False):
                        place = ".".join(str(part) for part in e["loc"])
                        # of a whole section only a combination is wrong
                        inner = e["type"] != "value_error"
                        mine = [f for f in assigned if f == place or place.startswith(f + ".")
                                or (inner and f.startswith(place + "."))]  # fmt: skip
                        if place and mine:
                            raise InputError(f"{self.where}: axes: {first_problem(error, self.model)}") from None
                except InputError as error:
                    raise InputError(f"{self.where}: axes: {error}") from None

    def _put(self, values: Mapping[str, Any]) -> dict[str, Any]:
        data = copy.deepcopy(self.spec.base)
        for field, value in values.items():
            try:
                put(data, field, value)
            except InputError as error:
                raise InputError(f"{self.where}: axes: {error}") from None
        return data

    def merged(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All settings with ``values``, unchecked: what a condition sees."""
        data = copy.deepcopy(self.default)
        for field, value in values.items():
            put(data, field, value)
        return data

    def allowed(self, values: Mapping[str, Any]) -> bool:
        """Whether every condition holds."""
        if not self.conditions:
            return True
        names = names_of(self.merged(values))
        return all(condition(names) for condition in self.conditions)

    def grid_size(self) -> int:
        """Points of the whole grid, before conditions; of a sample, those asked for."""
        if self.spec.sample is not None:
            return self.spec.sample.count * self.spec.repeat
        return math.prod(len(axis.values or ()) for axis in self.axes) * self.spec.repeat

    def points(self) -> Iterator[Point]:
        """Every point in its order, and the marked design last.

        Raises:
            InputError: a grid over a range of any value; the conditions exclude every point.
        """
        found = False
        if self.grid_size() > MOST_POINTS:
            raise InputError(f"{self.where}: axes: {self.grid_size():,} points: at most {MOST_POINTS:,}; draw a sample")
        for axis in self.axes:
            if axis.values is None and self.spec.sample is None:
                where = f"{self.where}: axes: {axis.name}"
                raise InputError(f"{where}: a grid needs step, count or powers_of in its range")
        for values in self._drawn() if self.spec.sample is not None else self._grid():
            for repetition in range(self.spec.repeat):
                found = True
                yield Point(values, repetition)
        if not found:
            raise InputError(f"{self.where}: where: the conditions exclude every point")
        yield self.paper()

    def possible(self) -> None:
        """Raises:
        InputError: none of a thousand points, drawn from everywhere, meets the conditions.
        """
        rng = np.random.default_rng(0)
        drawn = (tuple(axis.at(float(s)) for axis, s in zip(self.axes, rng.random(len(self.axes)), strict=True))
                 for _ in range(DRAWS))  # fmt: skip
        if not any(self.allowed(self._assigned(chosen)) for chosen in drawn):
            raise InputError(f"{self.where}: where: the conditions exclude every point that was tried")

    def paper(self) -> Point:
        """The marked design: the paper's machine on the base's workload, or as the sweep says."""
        return Point(self.spec.paper or {}, paper=True)

    def _grid(self) -> Iterator[dict[str, Any]]:
        for chosen in itertools.product(*(axis.values or () for axis in self.axes)):
            values = self._assigned(chosen)
            if self.allowed(values):
                yield values

    def _assigned(self, chosen: tuple[Any, ...]) -> dict[str, Any]:
        return {f: v for axis, value in zip(self.axes, chosen, strict=True) for f, v in axis.assign(value).items()}

    def _drawn(self) -> Iterator[dict[str, Any]]:
        sample = self.spec.sample
        assert sample is not None
        seen: set[str] = set()
        missed = 0
        for shares in self._shares(sample):
            values = self._assigned(tuple(axis.at(float(s)) for axis, s in zip(self.axes, shares, strict=True)))
            text = json.dumps(values, default=str)
            missed += 1
            if text not in seen and self.allowed(values):
                missed = 0
                seen.add(text)
                yield values
            if len(seen) == sample.count or missed == DRAWS:
                return

    def _shares(self, sample: Sample) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(sample.seed)
        if sample.method == "latin-hypercube":
            from scipy.stats import qmc

            yield from qmc.LatinHypercube(len(self.axes), rng=rng).random(sample.count)
            return
        while True:
            yield rng.random(len(self.axes))

    def settings(self, point: Point) -> tuple[Any, str]:
        """A point's checked settings; or what was given, as a dictionary, and why it cannot be."""
        if point.paper:
            data = {k: v for k, v in self.spec.base.items() if k != "machine"}
            for field, value in point.values.items():
                put(data, field, value)
        else:
            data = self._put(point.values)
        if "seed" in self.model.model_fields and point.repetition:
            data["seed"] = self.default["seed"] + point.repetition
        try:
            return validated(self.model, data, "settings"), ""
        except InputError as error:
            return data, str(error).removeprefix("settings: ")


def content_key(machine: str, code: str, settings: Mapping[str, Any], more: object, inputs: list[Path]) -> str:
    """The name of a result: a digest of everything that it depends on."""
    text = json.dumps([machine, code, settings, more, [_content(p) for p in inputs]], sort_keys=True, default=str)
    for path in inputs:  # where a file lies is no matter
        text = text.replace(json.dumps(str(path)), json.dumps(path.name))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _content(path: Path) -> str:
    try:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        stamps = tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files)
    except OSError:
        return "missing"  # the run says so
    return _digest(stamps)


@lru_cache(maxsize=256)
def _digest(stamps: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for name, _, _ in stamps:
        digest.update(Path(name).name.encode() + b"\0" + Path(name).read_bytes())
    return digest.hexdigest()


INGREDIENTS = ("hwsim.training_methods", "hwsim.networks", "hwsim.importers", "hwsim.dram_standards")
"""Entry points of which any result may be made."""


def _decides(path: Path) -> bool:
    """Whether a file is code, or data that networks are made from."""
    return path.suffix in (".py", ".yaml") or path.parent.name == "configs"


@lru_cache(maxsize=8)
def code_version(machine: str = "") -> str:
    """A digest of the code that results come from: our machines and what they are made of, not how they are run; with a
    machine from elsewhere, its package too; and packages that add methods, networks, importers or DRAM standards."""
    import dataflow
    from dataflow.registry import sources_from_outside

    digest = hashlib.sha256()
    packages = {"dataflow": Path(str(dataflow.__file__)).parent, "hwsim": Path(__file__).parents[1]}
    outside = find(machine).__module__.partition(".")[0] if machine else ""
    if outside and outside not in packages and (file := getattr(sys.modules.get(outside), "__file__", None)):
        packages[outside] = Path(file).parent if Path(file).name == "__init__.py" else Path(file)
    for root in packages.values():
        files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if _decides(p))
        for path in files:
            name = path.name if root.is_file() else path.relative_to(root).as_posix()
            if not name.startswith(("cli/", "verification/", "sweeps/")):
                digest.update(name.encode() + b"\0" + path.read_bytes())
    for path in sources_from_outside(INGREDIENTS):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
